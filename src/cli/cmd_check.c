/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/lock.h"
#include "base/log.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/sources.h"

#include <sys/random.h>

static void report_name(void *opaque, const char *path, const struct inspection *inspection)
{
    struct findings *findings = opaque;

    findings_report(findings, path, inspection);
    if (findings->page) {
        HOLD(&findings->lock);
        page_consider(findings->page, findings, path, inspection);
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
    findings.page = options->report ? page : NULL;
    if (options->sample < 1 && getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
        settings.seed = (uint64_t)meter->started;
    int r = check_run(source, roster, &settings, &meter->progress);
    if (r < 0) {
        if (r != -ECANCELED)
            log_errno(r, "check");
        return EXIT_STATUS_FAILED;
    }
    enum exit_status status = findings_status(&findings);
    double seconds = meter_seconds(meter);
    if (page_write(page, &findings, seconds) < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    json_t *summary = json_pack("{s:s, s:f, s:i, s:f}", "command", "check", "seconds", seconds,
                                "exit_status", status, "part", options->sample);
    findings_summarize(&findings, seconds, summary);
    output_json("summary", summary);
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
    if (page_open(options->report, &page) < 0 ||
        meter_start(&meter, "check", "another run begins anew") < 0)
        return status;
    const struct share_terms terms = {.everything = true, .stop = &meter.progress.stop};
    int r = source_of_stores_now(options, terms, &source);
    if (r < 0)
        status = status_of_stores(r);
    if (r == 0 && (r = roster_make(source, options->jobs, &meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        status = check_names(options, source, &meter, &roster, &page);
    meter_stop(&meter);
    return status;
}
