/* SPDX-License-Identifier: MIT */
#include "cli/page.h"

#include "base/array.h"
#include "base/lock.h"
#include "base/log.h"
#include "cli/published.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    WORST_MAX = 100, /* names that the page shows at most */
    LEVEL_MAX = 5,   /* of the classes l0 to l5: that, or better */
};

struct page {
    struct published published;
    pthread_mutex_t lock; /* guards all that follows */
    struct worst_name {
        char *path, *row; /* of its table */
        int rank;
    } worst[WORST_MAX]; /* the worst first, then by path */
    size_t count;
    uint64_t all; /* names that were considered */
    int error;    /* -ENOMEM: a name that belongs here is missing; or 0 */
};

extern const char *const page_style[]; /* the lines of page.css */

/*
 * Adds TEXT between BEFORE and AFTER, with special characters as entities, and with invalid bytes
 * as \xNN.
 */
static void add_text(struct draft *out, const char *before, const char *text, const char *after)
{
    static const char special[] = "&<>\"'";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    cleanup_free char *shown = log_escape(text);

    draft_add(out, "%s", before);
    for (const char *at = shown ? shown : text; *at; at++) {
        const char *found = strchr(special, *at);
        if (found)
            draft_add(out, "%s", entities[found - special]);
        else
            draft_add(out, "%c", *at);
    }
    draft_add(out, "%s", after);
}

/* Adds a name as a separate element, so that it cannot reverse the direction of the text
 * around it. */
static void add_isolated(struct draft *out, const char *name)
{
    add_text(out, "<bdi class=\"name\">", name, "</bdi>");
}

/* Adds the summary sentence, and what to do. */
static void add_verdict(struct draft *out, const struct findings *findings, const char *sentence)
{
    static const struct {
        const char *class, *words;
    } states[] = {
        [EXIT_STATUS_OK] = {"good", "Intact"},
        [EXIT_STATUS_DAMAGED] = {"warning", "Damaged, but everything can be restored"},
        [EXIT_STATUS_LOST] = {"bad", "Lost"},
        [EXIT_STATUS_FAILED] = {"warning", "Not all could be checked"},
    };
    enum exit_status status = findings_status(findings);
    bool scarce = status == EXIT_STATUS_OK && findings_least_spare(findings) == 0;

    draft_add(out, "<header class=\"verdict %s\">\n<p class=\"state\">%s</p>\n",
              scarce ? "warning" : states[status].class, states[status].words);
    add_text(out, "<h1>", sentence, "</h1>\n");
    if (findings->lost > 0)
        draft_add(out, "<p>What is lost cannot be restored from these stores. If there are more "
                       "stores, bring them back and check again.</p>\n");
    if (findings->failed > 0)
        draft_add(out, "<p>%s could not be checked; the messages of the run say why.</p>\n",
                  show_count(findings->failed).text);
    if (findings->degraded > 0)
        draft_add(
            out,
            "<p>In some stores something is wrong with %s %sname%s. All of that can be restored; "
            "<code>zfec-fs repair</code> mends the stores.</p>\n",
            show_count(findings->degraded).text, findings->lost > 0 ? "other " : "",
            plural(findings->degraded));
    draft_add(out, "</header>\n");
}

/* Adds what was checked, when, and how. */
static void add_facts(struct draft *out, const struct findings *findings, double seconds)
{
    const struct options *options = findings->options;
    size_t stores = findings->roster->count;
    time_t now = time(NULL);
    char when[64] = "";
    struct tm parts;

    draft_add(out, "<dl>\n<div><dt>%zu store%s in</dt><dd>", stores, plural(stores));
    if (options->source)
        add_isolated(out, options->source);
    for (size_t i = 0; i < options->stores.count; i++) {
        draft_add(out, "%s", i > 0 || options->source ? ", " : "");
        add_isolated(out, names_get(&options->stores, i));
    }
    if (localtime_r(&now, &parts))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S %Z", &parts);
    add_text(out, "</dd></div>\n<div><dt>Checked</dt><dd>", when, "</dd><dd>in ");
    if (seconds < 60)
        draft_add(out, "%.1f s", seconds);
    else
        draft_add(out, "%s", show_time(seconds).text);
    draft_add(out, "</dd></div>\n<div><dt>Looked at</dt><dd>");
    if (options->sample >= 1)
        draft_add(out, "every block of every share");
    else if (options->sample > 0)
        draft_add(out, "a random %g %% of the blocks", 100 * options->sample);
    else
        draft_add(out, "presence, sizes and headers only");
    draft_add(out,
              "</dd></div>\n<div><dt>Names</dt><dd>%s file%s (%s), %s other name%s</dd>"
              "<dd>%s intact, %s degraded, %s lost</dd></div>\n</dl>\n",
              show_count(findings->files).text, plural(findings->files),
              show_bytes(findings->bytes).text, show_count(findings->others).text,
              plural(findings->others), show_count(findings->intact).text,
              show_count(findings->degraded).text, show_count(findings->lost).text);
}

/* Adds the number of files by how many more stores they can lose. */
static void add_files(struct draft *out, const struct findings *findings)
{
    uint64_t all = findings->counted;
    struct draft key = {0};

    if (all == 0)
        return;
    draft_add(out, "<section>\n<h2>How many more stores each file or other name can lose"
                   "</h2>\n<div class=\"bar strip\" aria-hidden=\"true\">");
    for (size_t i = 0; i <= SPARES; i++) {
        uint64_t count = findings->spares[i];
        size_t level = i < LEVEL_MAX ? i : LEVEL_MAX;
        double percent = 100 * (double)count / (double)all;
        char name[24] = "lost";
        if (i > 0)
            snprintf(name, sizeof name, "%zu", i - 1);
        if (count > 0)
            draft_add(out, "<span class=\"l%zu\" style=\"flex-grow:%llu\"><b>%s</b></span>", level,
                      (unsigned long long)count, name);
        else if (i > 0)
            continue;
        draft_add(&key, "<li><i class=\"l%zu\"></i>%s", level, name);
        if (i > 0)
            draft_add(&key, " more store%s", plural(i - 1));
        draft_add(&key, ": <b>%s</b> <span class=\"soft\">", show_count(count).text);
        /* 0 % and 100 % are shown only where they are exact. */
        if (count > 0 && percent < 0.1)
            draft_add(&key, "&lt; 0.1 %%");
        else if (count < all && percent > 99.9)
            draft_add(&key, "&gt; 99.9 %%");
        else if (count > 0)
            draft_add(&key, "%.1f %%", percent);
        draft_add(&key, "</span></li>\n");
    }
    cleanup_free char *keys = draft_take(&key);
    draft_add(out, "</div>\n<ul class=\"key\">\n%s</ul>\n</section>\n", keys ? keys : "");
    out->failed |= !keys;
}

static void add_store(struct draft *out, const struct findings *findings, size_t place)
{
    const struct store_findings *store = &findings->stores[place];
    bool bad = store_findings_are_bad(store);

    draft_add(out, "<tr><td class=\"share\">%s</td><td class=\"store\">", store->digits);
    add_isolated(out, store->name);
    draft_add(out, "</td><td class=\"parts\"><div class=\"bar\" aria-hidden=\"true\">");
    for (enum copy_state state = 0; state < COPY_STATES; state++) {
        if (store->copies[state] > 0)
            draft_add(out, "<span class=\"c-%s\" style=\"flex-grow:%llu\"></span>",
                      copy_words[state].name, (unsigned long long)store->copies[state]);
    }
    draft_add(out, "</div></td><td class=\"number\">%s</td><td class=\"marked\">%s",
              show_count(store->copies[COPY_GOOD]).text,
              bad ? "<ul class=\"marks\">" : "<span class=\"soft\">nothing</span>");
    for (enum copy_state state = COPY_GOOD + 1; bad && state < COPY_STATES; state++) {
        if (store->copies[state] == 0)
            continue;
        draft_add(out, "<li><i class=\"c-%s\"></i>%s %s", copy_words[state].name,
                  show_count(store->copies[state]).text, copy_words[state].of_many);
        if (state == COPY_DAMAGED && store->damaged_blocks > 0)
            draft_add(out, " (%s bad block%s)", show_count(store->damaged_blocks).text,
                      plural(store->damaged_blocks));
        draft_add(out, "</li>");
    }
    if (store->other_metadata > 0)
        draft_add(out, "<li><i class=\"c-metadata\"></i>%s with other metadata</li>",
                  show_count(store->other_metadata).text);
    draft_add(out, "%s", bad ? "</ul>" : "");
    if (findings_add_limits(findings, place, "<div class=\"soft\">its storage does not keep ", out))
        draft_add(out, "</div>");
    draft_add(out, "</td></tr>\n");
}

static void add_worst(struct draft *out, const struct page *page)
{
    bool all = page->all == page->count;

    if (all)
        draft_add(out, "<section>\n<h2>What is wrong, the worst first</h2>\n");
    else
        draft_add(out, "<section>\n<h2>The worst %zu of %s names with something wrong</h2>\n",
                  page->count, show_count(page->all).text);
    draft_add(out, "<table class=\"worst\">\n<thead><tr><th>Can lose</th><th>Name, and what is "
                   "wrong in which store</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < page->count; i++)
        draft_add(out, "%s", page->worst[i].row);
    draft_add(out, "</tbody>\n</table>\n%s</section>\n",
              all ? "" : "<p class=\"soft\"><code>zfec-fs check</code> prints all of them.</p>\n");
}

static char *make_page(const struct page *page, const struct findings *findings, double seconds)
{
    cleanup_free char *sentence = findings_sentence(findings);
    struct draft out = {.failed = !sentence};

    draft_add(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" "
                    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    add_text(&out, "<title>", sentence ? sentence : "", "</title>\n<style>\n");
    for (const char *const *line = page_style; *line; line++)
        draft_add(&out, "%s", *line);
    draft_add(&out, "</style>\n</head>\n<body>\n<main>\n");
    add_verdict(&out, findings, sentence ? sentence : "");
    add_facts(&out, findings, seconds);
    add_files(&out, findings);
    draft_add(&out,
              "<section>\n<h2>Stores</h2>\n<table class=\"stores\">\n<thead><tr><th>Share</th>"
              "<th>Store</th><th>Names</th><th class=\"number\">Good</th>"
              "<th>What is wrong</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < findings->roster->count; i++)
        add_store(&out, findings, findings->order[i]);
    draft_add(&out, "</tbody>\n</table>\n</section>\n");
    if (page->count > 0)
        add_worst(&out, page);
    draft_add(&out, "<footer>Made by zfec-fs " VERSION " check.</footer>\n"
                    "</main>\n</body>\n</html>\n");
    return draft_take(&out);
}

/* Adds what is wrong with copies; stores with the same problem share an entry. */
static void add_wrongs(struct draft *out, const struct findings *findings,
                       const struct inspection *inspection)
{
    cleanup_names struct names stores = NO_NAMES, wrongs = NO_NAMES;

    for (size_t i = 0; i < inspection->count; i++) {
        struct draft wrong = {0};
        const char *store = findings_wrong(findings, inspection, i, &wrong);
        cleanup_free char *words = draft_take(&wrong);
        if (store && (!words || names_add(&stores, store) < 0 || names_add(&wrongs, words) < 0)) {
            out->failed = true;
            return;
        }
    }
    for (size_t first = 0, i; first < wrongs.count; first++) {
        const char *wrong = names_get(&wrongs, first);
        for (i = 0; strcmp(names_get(&wrongs, i), wrong) != 0; i++) {
        }
        if (i < first)
            continue;
        for (; i < stores.count; i++) {
            if (strcmp(names_get(&wrongs, i), wrong) != 0)
                continue;
            draft_add(out, i > first ? ", " : "<li>");
            add_isolated(out, names_get(&stores, i));
        }
        add_text(out, ": ", wrong, "</li>");
    }
}

static char *make_row(const struct findings *findings, const char *path,
                      const struct inspection *inspection)
{
    const char *hint = findings_hint(inspection);
    int spare = inspection->spare;
    struct draft out = {0};

    draft_add(&out, "<tr><td><span class=\"level l%d\">",
              spare < 0               ? 0
              : spare + 1 < LEVEL_MAX ? spare + 1
                                      : LEVEL_MAX);
    if (inspection->hidden)
        draft_add(&out, "not confirmed");
    else if (spare < 0)
        draft_add(&out, "lost");
    else
        draft_add(&out, "%d more", spare);
    draft_add(&out, "</span></td><td><div class=\"path\">");
    add_isolated(&out, path);
    draft_add(&out, "</div><ul class=\"wrongs\">");
    if (findings_add_lost(inspection, "<li>lost: ", &out))
        draft_add(&out, "</li>");
    add_wrongs(&out, findings, inspection);
    if (hint)
        draft_add(&out, "<li class=\"soft\">%s</li>", hint);
    draft_add(&out, "</ul></td></tr>\n");
    return draft_take(&out);
}

static void forget_name(struct worst_name *name)
{
    free(name->path);
    free(name->row);
}

void page_consider(struct page *page, const struct findings *findings, const char *path,
                   const struct inspection *inspection)
{
    enum name_health health = inspection_health(inspection);
    struct worst_name name = {.rank = inspection->spare};

    if (health == HEALTH_INTACT || health == HEALTH_LEFTOVER)
        return;
    /* Names that were probably removed from most stores, or are in too few to be a loss, must not
     * crowd out the others. */
    if (inspection->hidden)
        name.rank = INT_MAX;
    else if (inspection->spare < 0)
        name.rank = findings_hint(inspection) ? -1 : -2;
    path = log_path(path);
    HOLD(&page->lock);
    size_t place = page->count;
    for (; place > 0; place--) {
        const struct worst_name *other = &page->worst[place - 1];
        if (other->rank < name.rank || (other->rank == name.rank && strcmp(other->path, path) < 0))
            break;
    }
    page->all++;
    if (place == WORST_MAX)
        return;
    name.path = strdup(path);
    name.row = make_row(findings, path, inspection);
    if (!name.path || !name.row) {
        forget_name(&name);
        page->error = -ENOMEM;
        return;
    }
    if (page->count == WORST_MAX)
        forget_name(&page->worst[--page->count]);
    memmove(&page->worst[place + 1], &page->worst[place],
            (page->count - place) * sizeof page->worst[0]);
    page->worst[place] = name;
    page->count++;
}

int page_open(const char *path, struct page **ret)
{
    cleanup_page struct page *page = calloc(1, sizeof *page);

    if (!page)
        return log_errno(-ENOMEM, "--report %s", path);
    pthread_mutex_init(&page->lock, NULL);
    int r = published_open(&page->published, "--report", path);
    if (r == 0)
        r = published_try(&page->published); /* check may run for hours before the page */
    if (r < 0)
        return r;
    *ret = steal_pointer(page);
    return 0;
}

void page_close(struct page *page)
{
    while (page->count > 0)
        forget_name(&page->worst[--page->count]);
    published_close(&page->published);
    pthread_mutex_destroy(&page->lock);
    free(page);
}

int page_write(const struct page *page, const struct findings *findings, double seconds)
{
    cleanup_free char *text = page->error < 0 ? NULL : make_page(page, findings, seconds);
    mode_t hidden = umask(0); /* as readable as other files that the user makes */

    umask(hidden);
    return published_write(&page->published, text, 0666 & ~hidden);
}
