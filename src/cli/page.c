/* SPDX-License-Identifier: MIT */
#include "cli/page.h"

#include "base/log.h"
#include "cli/findings_text.h"
#include "cli/output.h"
#include "cli/page_style.h"
#include "tree/temporary.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Writes TEXT with nothing in it that is a tag or ends an attribute; what is no text as \xNN. */
static void print_text(FILE *out, const char *text)
{
    static const char special[] = "&<>\"'";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    cleanup_free char *shown = log_escape(text);

    for (const char *at = shown ? shown : text; *at; at++) {
        const char *found = strchr(special, *at);
        if (found)
            fputs(entities[found - special], out);
        else
            putc(*at, out);
    }
}

/* Writes a name as an element of its own: it cannot turn the direction of what is around it. */
static void print_name(FILE *out, const char *name)
{
    fputs("<bdi class=\"name\">", out);
    print_text(out, name);
    fputs("</bdi>", out);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* The sentence, and what to do. */
static void print_verdict(FILE *out, const struct findings *findings, const char *sentence)
{
    static const struct {
        const char *class, *words;
    } states[] = {
        [EXIT_STATUS_OK] = {"good", "Intact"},
        [EXIT_STATUS_DAMAGED] = {"warning", "Damaged, and all can be restored"},
        [EXIT_STATUS_LOST] = {"bad", "Lost"},
        [EXIT_STATUS_FAILED] = {"warning", "Not all could be checked"},
    };
    enum exit_status status = findings_status(findings);
    bool scarce = status == EXIT_STATUS_OK && findings_least_spare(findings) == 0;

    fprintf(out, "<header class=\"verdict %s\">\n<p class=\"state\">%s</p>\n<h1>",
            scarce ? "warning" : states[status].class, states[status].words);
    print_text(out, sentence);
    fputs("</h1>\n", out);
    if (findings->lost > 0)
        fputs("<p>What is lost cannot be restored from these stores. If there are others, bring "
              "them back.</p>\n",
              out);
    if (findings->failed > 0)
        fprintf(out, "<p>%s could not be looked at; the messages of the run say why.</p>\n",
                show_count(findings->failed).text);
    if (findings->degraded > 0)
        fprintf(out,
                "<p>Something is wrong with %s %sname%s in some store; all of that can be "
                "restored, and <code>zfec-fs repair</code> mends it.</p>\n",
                show_count(findings->degraded).text, findings->lost > 0 ? "other " : "",
                plural(findings->degraded));
    fputs("</header>\n", out);
}

/* What was looked at, when, and how. */
static void print_facts(FILE *out, const struct findings *findings, double seconds)
{
    const struct options *options = findings->options;
    size_t stores = findings->roster->count;
    time_t now = time(NULL);
    char when[64] = "";
    struct tm parts;

    fprintf(out, "<dl>\n<div><dt>%zu store%s in</dt><dd>", stores, plural(stores));
    if (options->source)
        print_name(out, options->source);
    for (size_t i = 0; i < options->stores.count; i++) {
        if (i > 0 || options->source)
            fputs(", ", out);
        print_name(out, names_get(&options->stores, i));
    }
    if (localtime_r(&now, &parts))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S %Z", &parts);
    fputs("</dd></div>\n<div><dt>Checked</dt><dd>", out);
    print_text(out, when);
    if (seconds < 60)
        fprintf(out, "</dd><dd>in %.1f s", seconds);
    else
        fprintf(out, "</dd><dd>in %s", show_time(seconds).text);
    fputs("</dd></div>\n<div><dt>Looked at</dt><dd>", out);
    if (options->sample >= 1)
        fputs("every block of every share", out);
    else if (options->sample > 0)
        fprintf(out, "a random %g %% of the blocks", 100 * options->sample);
    else
        fputs("presence, sizes and headers only", out);
    fprintf(out,
            "</dd></div>\n<div><dt>Names</dt><dd>%s file%s (%s), %s other name%s</dd>"
            "<dd>%s intact, %s degraded, %s lost</dd></div>\n</dl>\n",
            show_count(findings->files).text, plural(findings->files),
            show_bytes(findings->bytes).text, show_count(findings->others).text,
            plural(findings->others), show_count(findings->intact).text,
            show_count(findings->degraded).text, show_count(findings->lost).text);
}

enum { LEVEL_MAX = 5 }; /* of the classes of page_style.c: that, or better */

/* The files, by how many more stores they can lose. */

static size_t level_of(size_t place)
{
    return place < LEVEL_MAX ? place : LEVEL_MAX;
}

static void print_key(FILE *out, size_t place, uint64_t count, uint64_t all)
{
    double percent = 100 * (double)count / (double)all;

    fprintf(out, "<li><i class=\"l%zu\"></i>", level_of(place));
    if (place == 0)
        fputs("lost", out);
    else
        fprintf(out, "%zu more store%s", place - 1, plural(place - 1));
    fprintf(out, ": <b>%s</b> <span class=\"soft\">", show_count(count).text);
    /* 0 % and 100 % are shown only where they are exact. */
    if (count > 0 && percent < 0.1)
        fputs("&lt; 0.1 %", out);
    else if (count < all && percent > 99.9)
        fputs("&gt; 99.9 %", out);
    else if (count > 0)
        fprintf(out, "%.1f %%", percent);
    fputs("</span></li>\n", out);
}

static void print_files(FILE *out, const struct findings *findings)
{
    uint64_t all = 0;

    for (size_t i = 0; i <= SPARES; i++)
        all += findings->spares[i];
    if (all == 0)
        return;
    fputs("<section>\n<h2>Files and other names, by how many more stores they can lose</h2>\n"
          "<div class=\"bar strip\" aria-hidden=\"true\">",
          out);
    for (size_t i = 0; i <= SPARES; i++) {
        if (findings->spares[i] == 0)
            continue;
        fprintf(out, "<span class=\"l%zu\" style=\"flex-grow:%llu\"><b>", level_of(i),
                (unsigned long long)findings->spares[i]);
        if (i == 0)
            fputs("lost</b></span>", out);
        else
            fprintf(out, "%zu</b></span>", i - 1);
    }
    fputs("</div>\n<ul class=\"key\">\n", out);
    for (size_t i = 0; i <= SPARES; i++) {
        if (i == 0 || findings->spares[i] > 0)
            print_key(out, i, findings->spares[i], all);
    }
    fputs("</ul>\n</section>\n", out);
}

/* The stores. */

static const char *const state_classes[COPY_STATES] = {
    [COPY_GOOD] = "c-good",
    [COPY_ABSENT] = "c-missing",
    [COPY_STALE] = "c-stale",
    [COPY_DAMAGED] = "c-damaged",
    [COPY_MISPLACED] = "c-misplaced",
    [COPY_OTHER_KIND] = "c-kind",
    [COPY_UNREADABLE] = "c-unreadable",
    [COPY_FOREIGN] = "c-foreign",
    [COPY_LEFTOVER] = "c-leftover",
};

static void print_mark(FILE *out, const char *class, uint64_t count, const char *words)
{
    if (count > 0)
        fprintf(out, "<li><i class=\"%s\"></i>%s %s</li>", class, show_count(count).text, words);
}

static void print_store(FILE *out, const struct store_findings *store)
{
    char words[64];

    fprintf(out, "<tr><td class=\"share\">%s</td><td class=\"store\">", store->digits);
    print_name(out, store->name);
    fputs("</td><td class=\"parts\"><div class=\"bar\" aria-hidden=\"true\">", out);
    for (enum copy_state state = 0; state < COPY_STATES; state++) {
        if (store->copies[state] > 0)
            fprintf(out, "<span class=\"%s\" style=\"flex-grow:%llu\"></span>",
                    state_classes[state], (unsigned long long)store->copies[state]);
    }
    fprintf(out, "</div></td><td class=\"number\">%s</td><td class=\"marked\">",
            show_count(store->copies[COPY_GOOD]).text);
    fputs(store_findings_are_bad(store) ? "<ul class=\"marks\">"
                                        : "<span class=\"soft\">nothing</span>",
          out);
    for (enum copy_state state = COPY_GOOD + 1;
         state < COPY_STATES && store_findings_are_bad(store); state++) {
        bool blocks = state == COPY_DAMAGED && store->damaged_blocks > 0;
        snprintf(words, sizeof words, blocks ? "%s (%s bad block%s)" : "%s",
                 findings_state_words(state), show_count(store->damaged_blocks).text,
                 plural(store->damaged_blocks));
        print_mark(out, state_classes[state], store->copies[state], words);
    }
    print_mark(out, "c-metadata", store->other_metadata, "with other metadata");
    fputs(store_findings_are_bad(store) ? "</ul></td></tr>\n" : "</td></tr>\n", out);
}

static void print_stores(FILE *out, const struct findings *findings)
{
    fputs("<section>\n<h2>Stores</h2>\n<table class=\"stores\">\n<thead><tr><th>Share</th>"
          "<th>Store</th><th>Names</th><th class=\"number\">Good</th>"
          "<th>What is wrong</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < findings->roster->count; i++)
        print_store(out, &findings->stores[i]);
    fputs("</tbody>\n</table>\n</section>\n", out);
}

/* The worst names. */

/* Once for all stores with which the same is wrong. */
static void print_wrong(FILE *out, const struct worst_name *name, size_t first)
{
    const char *wrong = names_get(&name->wrongs, first);

    for (size_t i = 0; i < first; i++) {
        if (strcmp(names_get(&name->wrongs, i), wrong) == 0)
            return;
    }
    fputs("<li>", out);
    for (size_t i = first; i < name->stores.count; i++) {
        if (strcmp(names_get(&name->wrongs, i), wrong) != 0)
            continue;
        if (i > first)
            fputs(", ", out);
        print_name(out, names_get(&name->stores, i));
    }
    fputs(": ", out);
    print_text(out, wrong);
    fputs("</li>", out);
}

static void print_worst_name(FILE *out, const struct worst_name *name)
{
    size_t level = name->spare < 0 ? 0 : level_of((size_t)name->spare + 1);

    fprintf(out, "<tr><td><span class=\"level l%zu\">", level);
    if (name->foreign)
        fputs("foreign", out);
    else if (name->spare < 0)
        fputs("lost", out);
    else
        fprintf(out, "%d more", name->spare);
    fputs("</span></td><td><div class=\"path\">", out);
    print_name(out, name->path);
    fputs("</div><ul class=\"wrongs\">", out);
    if (name->lost)
        fprintf(out, "<li>lost: %s</li>", name->lost);
    for (size_t i = 0; i < name->wrongs.count; i++)
        print_wrong(out, name, i);
    if (name->hint)
        fprintf(out, "<li class=\"soft\">%s</li>", name->hint);
    fputs("</ul></td></tr>\n", out);
}

static void print_worst(FILE *out, const struct worst *worst)
{
    if (worst->count == 0)
        return;
    if (worst->all > worst->count)
        fprintf(out, "<section>\n<h2>The worst %zu of %s names with something wrong</h2>\n",
                worst->count, show_count(worst->all).text);
    else
        fprintf(out, "<section>\n<h2>What is wrong, the worst first</h2>\n");
    fputs("<table class=\"worst\">\n<thead><tr><th>Can lose</th><th>Name, and what is wrong in "
          "which store</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < worst->count; i++)
        print_worst_name(out, &worst->names[i]);
    fputs("</tbody>\n</table>\n", out);
    if (worst->all > worst->count)
        fputs("<p class=\"soft\"><code>zfec-fs check</code> prints all of them.</p>\n", out);
    fputs("</section>\n", out);
}

static void print_page(FILE *out, const struct page *page, const struct findings *findings,
                       double seconds)
{
    cleanup_free char *text = findings_sentence(findings);
    const char *sentence = text ? text : "";

    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" "
          "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          out);
    print_text(out, sentence);
    fputs("</title>\n<style>\n", out);
    page_style_print(out);
    fputs("</style>\n</head>\n<body>\n<main>\n", out);
    print_verdict(out, findings, sentence);
    print_facts(out, findings, seconds);
    print_files(out, findings);
    print_stores(out, findings);
    print_worst(out, &page->worst);
    fputs("<footer>Made by zfec-fs " VERSION " check.</footer>\n</main>\n</body>\n</html>\n", out);
}

/* The file. */

/* A page takes the place of an old one, and of nothing else: not of /dev/null, for one. */
static int check_target(const struct page *page)
{
    struct stat status;

    if (!*page->name)
        return -EISDIR;
    if (fstatat(page->directory, page->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISREG(status.st_mode) ? 0 : S_ISDIR(status.st_mode) ? -EISDIR : -EEXIST;
}

int page_open(const char *path, struct page *ret)
{
    *ret = NO_PAGE;
    if (!path)
        return 0;
    const char *slash = strrchr(path, '/');
    char temporary[TEMPORARY_NAME_SIZE];
    ret->path = path;
    ret->name = slash ? slash + 1 : path;
    cleanup_free char *directory = strndup(path, (size_t)(ret->name - path));
    if (!directory)
        return log_errno(-ENOMEM, "--report %s", path);
    ret->directory = open(*directory ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = ret->directory < 0 ? -errno : check_target(ret);
    /* Nothing is left of this while check runs, which may be for hours, and be killed. */
    cleanup_fd int fd = -1;
    if (r == 0)
        r = temporary_file(ret->directory, temporary, &fd);
    if (r == 0 && unlinkat(ret->directory, temporary, 0) < 0)
        r = -errno;
    return r < 0 ? log_errno(r, "--report %s: cannot be written", path) : 0;
}

void page_close(struct page *page)
{
    worst_clear(&page->worst);
    cleanup_close_fd(&page->directory);
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int write_file(const struct page *page, const char *text, size_t size)
{
    char temporary[TEMPORARY_NAME_SIZE];
    cleanup_fd int fd = -1;

    int r = temporary_file(page->directory, temporary, &fd);
    if (r < 0)
        return r;
    r = write_all(fd, text, size);
    mode_t hidden = umask(0); /* whoever may read what the user makes may read this */
    umask(hidden);
    if (r == 0 && (fchmod(fd, 0666 & ~hidden) < 0 || fsync(fd) < 0))
        r = -errno;
    if (r == 0)
        r = check_target(page); /* once more: hours may have passed */
    if (r == 0)
        return temporary_rename(page->directory, temporary, page->name);
    unlinkat(page->directory, temporary, 0);
    return r;
}

int page_write(const struct page *page, const struct findings *findings, double seconds)
{
    cleanup_free char *text = NULL;
    size_t size;

    if (page->directory < 0)
        return 0;
    FILE *out = open_memstream(&text, &size);
    int r = out ? page->worst.error : -ENOMEM;
    if (out) {
        print_page(out, page, findings, seconds);
        if (fclose(out) != 0)
            r = -ENOMEM;
    }
    if (r == 0)
        r = write_file(page, text, size);
    return r < 0 ? log_errno(r, "--report %s: cannot be written", page->path) : 0;
}
