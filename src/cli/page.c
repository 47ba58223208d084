/* SPDX-License-Identifier: MIT */
#include "cli/page.h"

#include "cli/html.h"
#include "cli/output.h"
#include "cli/page_style.h"
#include "cli/page_tables.h"

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_head(FILE *out, const char *sentence)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" "
          "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          out);
    html_text(out, sentence);
    fputs("</title>\n<style>\n", out);
    page_style_print(out);
    fputs("</style>\n</head>\n<body>\n<main>\n", out);
}

/* The sentence, and what to do. */

static const char *health_class(const struct findings *findings)
{
    static const char *const classes[] = {
        [EXIT_STATUS_OK] = "good",
        [EXIT_STATUS_DAMAGED] = "warning",
        [EXIT_STATUS_LOST] = "bad",
        [EXIT_STATUS_FAILED] = "warning",
    };
    enum exit_status status = findings_status(findings);
    int least = findings_least_spare(findings);

    return status == EXIT_STATUS_OK && least == 0 ? "warning" : classes[status];
}

static const char *health_word(const struct findings *findings)
{
    switch (findings_status(findings)) {
    case EXIT_STATUS_LOST:
        return "Lost";
    case EXIT_STATUS_FAILED:
        return "Not all could be checked";
    case EXIT_STATUS_DAMAGED:
        return "Damaged, and all can be restored";
    default:
        return "Intact";
    }
}

static void print_advice(FILE *out, const struct findings *findings)
{
    const char *other = findings->lost > 0 ? "other " : "";

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
                show_count(findings->degraded).text, other, plural(findings->degraded));
}

static void print_verdict(FILE *out, const struct findings *findings, const char *sentence)
{
    fprintf(out, "<header class=\"verdict %s\">\n<p class=\"state\">%s</p>\n<h1>",
            health_class(findings), health_word(findings));
    html_text(out, sentence);
    fputs("</h1>\n", out);
    print_advice(out, findings);
    fputs("</header>\n", out);
}

/* What was looked at, when, and how. */

static void print_places(FILE *out, const struct options *options)
{
    if (options->source)
        html_name(out, options->source);
    for (size_t i = 0; i < options->stores.count; i++) {
        if (i > 0 || options->source)
            fputs(", ", out);
        html_name(out, names_get(&options->stores, i));
    }
}

static void print_depth(FILE *out, double part)
{
    if (part >= 1)
        fputs("every block of every share", out);
    else if (part > 0)
        fprintf(out, "a random %g %% of the blocks", 100 * part);
    else
        fputs("presence, sizes and headers only", out);
}

static void print_time(FILE *out, time_t time)
{
    char text[64] = "";
    struct tm parts;

    if (localtime_r(&time, &parts))
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", &parts);
    html_text(out, text);
}

static void print_duration(FILE *out, double seconds)
{
    if (seconds < 60)
        fprintf(out, "in %.1f s", seconds);
    else
        fprintf(out, "in %s", show_time(seconds).text);
}

static void print_facts(FILE *out, const struct findings *findings, const struct page_facts *facts)
{
    size_t stores = findings->roster->count;

    fprintf(out, "<dl>\n<div><dt>%zu store%s in</dt><dd>", stores, plural(stores));
    print_places(out, findings->options);
    fputs("</dd></div>\n<div><dt>Checked</dt><dd>", out);
    print_time(out, facts->time);
    fputs("</dd><dd>", out);
    print_duration(out, facts->seconds);
    fputs("</dd></div>\n<div><dt>Looked at</dt><dd>", out);
    print_depth(out, findings->options->sample);
    fprintf(out,
            "</dd></div>\n<div><dt>Names</dt><dd>%s file%s (%s), %s other name%s</dd>"
            "<dd>%s intact, %s degraded, %s lost</dd></div>\n</dl>\n",
            show_count(findings->files).text, plural(findings->files),
            show_bytes(findings->bytes).text, show_count(findings->others).text,
            plural(findings->others), show_count(findings->intact).text,
            show_count(findings->degraded).text, show_count(findings->lost).text);
}

void page_print(FILE *out, const struct findings *findings, const struct page_facts *facts)
{
    cleanup_free char *sentence = findings_sentence(findings);

    print_head(out, sentence ? sentence : "");
    print_verdict(out, findings, sentence ? sentence : "");
    print_facts(out, findings, facts);
    page_files_print(out, findings);
    page_stores_print(out, findings);
    page_worst_print(out, &findings->worst);
    fputs("<footer>Made by zfec-fs " VERSION " check.</footer>\n</main>\n</body>\n</html>\n", out);
}
