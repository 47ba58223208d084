/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/findings_json.h"
#include "cli/findings_text.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/sources.h"

#include <string.h>
#include <sys/random.h>

static void summarize(const struct findings *findings, const struct meter *meter,
                      enum exit_status status)
{
    findings_summarize(findings, meter);
    json_t *summary =
        json_pack("{s:s, s:f, s:i, s:f}", "command", "check", "seconds", meter_seconds(meter),
                  "exit_status", status, "part", findings->options->sample);
    findings_add_json(findings, summary);
    output_json("summary", summary);
}

static void report_name(void *opaque, const char *path, const struct inspection *inspection)
{
    struct findings *findings = opaque;

    findings_report(findings, path, inspection);
    if (findings->worst) {
        pthread_mutex_lock(&findings->lock);
        worst_consider(findings->worst, findings, path, inspection);
        pthread_mutex_unlock(&findings->lock);
    }
}

static enum exit_status check_names(const struct options *options, struct source *source,
                                    struct meter *meter, const struct roster *roster,
                                    struct page *page)
{
    CLEANUP(findings_end) struct findings findings;
    struct check_settings settings = {
        .jobs = options->jobs,
        .part = options->sample,
        .context = &findings,
        .report = report_name,
        .failed = findings_failed,
    };

    if (findings_begin(&findings, options, roster) < 0)
        return EXIT_STATUS_FAILED;
    if (options->report)
        findings.worst = &page->worst;
    if (options->sample < 1 && getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
        settings.seed = (uint64_t)meter->started;
    int r = check_run(source, roster, &settings, &meter->progress);
    if (r < 0) {
        if (r != -ECANCELED)
            log_errno(r, "check");
        return EXIT_STATUS_FAILED;
    }
    enum exit_status status = findings_status(&findings);
    if (page_write(page, &findings, meter_seconds(meter)) < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    summarize(&findings, meter, status);
    return status;
}

enum exit_status check_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    cleanup_page struct page page = NO_PAGE;
    enum exit_status status = EXIT_STATUS_FAILED;
    struct meter meter;

    if (take_stores(options, 0) < 0)
        return EXIT_STATUS_USAGE;
    if (page_open(options->report, &page) < 0 || meter_start(&meter, "check") < 0)
        return status;
    const struct share_terms terms = {.everything = true, .stop = &meter.progress.stop};
    int r = source_of_stores_now(options, terms, &source);
    if (r == 0)
        source_tell_empty(source);
    else
        status = status_of_stores(r);
    if (r == 0 && (r = roster_make(source, options->jobs, &meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        status = check_names(options, source, &meter, &roster, &page);
    meter_stop(&meter);
    return status;
}
