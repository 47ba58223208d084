/* SPDX-License-Identifier: MIT */
#include "cli/works.h"

#include "base/log.h"
#include "cli/findings_json.h"
#include "cli/findings_text.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/sources.h"

#include <string.h>
#include <sys/random.h>

static int check_words(struct work *work)
{
    size_t least = work->arguments.stores.count > 0 ? 0 : 1;

    if (work->word_count < least || work->word_count > 1) {
        log_error("check: give STORES, the directory of the stores; see zfec-fs check --help");
        return -EINVAL;
    }
    if (work->word_count == 0)
        return 0;
    work->arguments.source = strdup(work->words[0]);
    return work->arguments.source ? 0 : -ENOMEM;
}

static void summarize(const struct findings *findings, const struct meter *meter,
                      enum exit_status status)
{
    findings_summarize(findings, meter);
    json_t *summary =
        json_pack("{s:s, s:f, s:i, s:f}", "command", "check", "seconds", meter_seconds(meter),
                  "exit_status", status, "part", findings->work->sample);
    findings_add_json(findings, summary);
    output_json("summary", summary);
}

static enum exit_status run(const struct work *work, struct source *source, struct meter *meter,
                            const struct roster *roster, const struct report *report)
{
    CLEANUP(findings_end) struct findings findings;
    struct check_settings settings = {
        .jobs = work->jobs,
        .part = work->sample,
        .context = &findings,
        .report = findings_report,
        .failed = findings_failed,
    };

    if (findings_begin(&findings, work, roster) < 0)
        return EXIT_STATUS_FAILED;
    if (work->sample < 1 && getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
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

enum exit_status check_command(struct work *work)
{
    cleanup_source struct source *source = NULL;
    cleanup_roster struct roster roster = {0};
    cleanup_report struct report report = NO_REPORT;
    enum exit_status status = EXIT_STATUS_FAILED;
    struct meter meter;

    if (check_words(work) < 0)
        return EXIT_STATUS_USAGE;
    if (report_open(work->report, &report) < 0 || meter_start(&meter, "check") < 0)
        return status;
    int r =
        source_of_stores_now(&work->arguments, (struct share_terms){.everything = true}, &source);
    if (r == 0)
        source_tell_empty(source);
    else
        status = status_of_stores(r);
    if (r == 0 && (r = roster_make(source, work->jobs, &meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        status = run(work, source, &meter, &roster, &report);
    meter_stop(&meter);
    return status;
}
