/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/findings_json.h"
#include "cli/findings_text.h"
#include "cli/output.h"
#include "cli/report.h"
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

static enum exit_status run(const struct options *options, struct source *source,
                            struct meter *meter, const struct roster *roster,
                            const struct report *report)
{
    CLEANUP(findings_end) struct findings findings;
    struct check_settings settings = {
        .jobs = options->jobs,
        .part = options->sample,
        .context = &findings,
        .report = findings_report,
        .failed = findings_failed,
    };

    if (findings_begin(&findings, options, roster) < 0)
        return EXIT_STATUS_FAILED;
    if (options->sample < 1 && getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
        settings.seed = (uint64_t)meter->started;
    int r = check_run(source, roster, &settings, &meter->progress);
    if (r < 0) {
        if (r != -ECANCELED)
            log_errno(r, "check");
        return EXIT_STATUS_FAILED;
    }
    const struct page_facts facts = {time(NULL), meter_seconds(meter)};
    enum exit_status status = findings_status(&findings);
    if (report_write(report, &findings, &facts) < 0 && status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    summarize(&findings, meter, status);
    return status;
}

enum exit_status check_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    cleanup_report struct report report = NO_REPORT;
    enum exit_status status = EXIT_STATUS_FAILED;
    struct meter meter;

    if (take_stores(options, 0) < 0)
        return EXIT_STATUS_USAGE;
    if (report_open(options->report, &report) < 0 || meter_start(&meter, "check") < 0)
        return status;
    int r = source_of_stores_now(options, (struct share_terms){.everything = true}, &source);
    if (r == 0)
        source_tell_empty(source);
    else
        status = status_of_stores(r);
    if (r == 0 && (r = roster_make(source, options->jobs, &meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        status = run(options, source, &meter, &roster, &report);
    meter_stop(&meter);
    return status;
}
