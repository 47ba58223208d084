/* SPDX-License-Identifier: MIT */
#include "cli/page_tables.h"

#include "cli/findings_text.h"
#include "cli/html.h"
#include "cli/output.h"

#include <string.h>

enum { LEVEL_MAX = 5 }; /* of the classes of page_style.c: that, or better */

/* The files, by how many more stores they can lose. */

static size_t level_of(size_t place)
{
    return place < LEVEL_MAX ? place : LEVEL_MAX;
}

/* Never all but for what is all, and never none but for none. */
static void print_part(FILE *out, uint64_t count, uint64_t all)
{
    double percent = 100 * (double)count / (double)all;

    if (count == 0)
        return;
    if (percent < 0.1)
        fputs("&lt; 0.1 %", out);
    else if (count < all && percent > 99.9)
        fputs("&gt; 99.9 %", out);
    else
        fprintf(out, "%.1f %%", percent);
}

static void print_key(FILE *out, size_t place, uint64_t count, uint64_t all)
{
    fprintf(out, "<li><i class=\"l%zu\"></i>", level_of(place));
    if (place == 0)
        fputs("lost", out);
    else
        fprintf(out, "%zu more store%s", place - 1, place == 2 ? "" : "s");
    fprintf(out, ": <b>%s</b> <span class=\"soft\">", show_count(count).text);
    print_part(out, count, all);
    fputs("</span></li>\n", out);
}

void page_files_print(FILE *out, const struct findings *findings)
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
};

static void print_store_bar(FILE *out, const struct store_findings *store)
{
    fputs("<div class=\"bar\" aria-hidden=\"true\">", out);
    for (enum copy_state state = 0; state < COPY_STATES; state++) {
        if (store->copies[state] > 0)
            fprintf(out, "<span class=\"%s\" style=\"flex-grow:%llu\"></span>",
                    state_classes[state], (unsigned long long)store->copies[state]);
    }
    fputs("</div>", out);
}

static void print_mark(FILE *out, const char *class, uint64_t count, const char *words)
{
    if (count > 0)
        fprintf(out, "<li><i class=\"%s\"></i>%s %s</li>", class, show_count(count).text, words);
}

static void print_marks(FILE *out, const struct store_findings *store)
{
    char words[64];

    if (!store_findings_are_bad(store)) {
        fputs("<span class=\"soft\">nothing</span>", out);
        return;
    }
    fputs("<ul class=\"marks\">", out);
    for (enum copy_state state = COPY_GOOD + 1; state < COPY_STATES; state++) {
        bool blocks = state == COPY_DAMAGED && store->damaged_blocks > 0;
        snprintf(words, sizeof words, blocks ? "%s (%s bad block%s)" : "%s",
                 findings_state_words(state), show_count(store->damaged_blocks).text,
                 store->damaged_blocks == 1 ? "" : "s");
        print_mark(out, state_classes[state], store->copies[state], words);
    }
    print_mark(out, "c-metadata", store->other_metadata, "with other metadata");
    fputs("</ul>", out);
}

static void print_store(FILE *out, const struct store_findings *store)
{
    fprintf(out, "<tr><td class=\"share\">%s</td><td class=\"store\">", store->digits);
    html_name(out, store->name);
    fputs("</td><td class=\"parts\">", out);
    print_store_bar(out, store);
    fprintf(out, "</td><td class=\"number\">%s</td><td class=\"marked\">",
            show_count(store->copies[COPY_GOOD]).text);
    print_marks(out, store);
    fputs("</td></tr>\n", out);
}

void page_stores_print(FILE *out, const struct findings *findings)
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
        html_name(out, names_get(&name->stores, i));
    }
    fputs(": ", out);
    html_text(out, wrong);
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
    html_name(out, name->path);
    fputs("</div><ul class=\"wrongs\">", out);
    if (name->lost)
        fprintf(out, "<li>lost: %s</li>", name->lost);
    for (size_t i = 0; i < name->wrongs.count; i++)
        print_wrong(out, name, i);
    if (name->hint)
        fprintf(out, "<li class=\"soft\">%s</li>", name->hint);
    fputs("</ul></td></tr>\n", out);
}

void page_worst_print(FILE *out, const struct worst *worst)
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
