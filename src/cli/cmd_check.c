/* SPDX-License-Identifier: MIT */
#include "cli/node_keys.h"
#include "cli/options.h"

#include "base/log.h"
#include "cli/alarm.h"
#include "cli/metrics.h"
#include "cli/output.h"
#include "cli/page.h"
#include "cli/scrub.h"
#include "cli/sealed.h"
#include "cli/set_stores.h"
#include "cli/sources.h"
#include "cli/standing.h"

#include <sys/random.h>

struct checking {
    struct findings findings; /* the first member, so that findings_failed() can reach the whole */
    struct page *page;        /* NULL: not wanted */
    struct scrub scrub;
    struct keys_found keys;      /* of sealed shares */
    struct source *sealed;       /* the stores, if their shares are sealed, else NULL */
    struct unsealing *unsealing; /* with a key, else NULL */
};

static void report(void *opaque, const char *path, const struct inspection *inspection)
{
    struct checking *checking = opaque;

    findings_report(&checking->findings, path, inspection);
    scrub_consider(&checking->scrub, path, inspection);
    if (checking->page)
        page_consider(checking->page, &checking->findings, inspection_path(inspection), inspection);
    if (checking->sealed && S_ISDIR(inspection->status.st_mode) && !inspection->hidden)
        findings_find_missing(&checking->findings, checking->sealed, checking->unsealing, path);
}

static void failed(void *opaque, const char *path, int error)
{
    struct checking *checking = opaque;

    findings_failed(&checking->findings, path, error);
    scrub_failed(&checking->scrub, path);
}

static void checking_end(struct checking *checking)
{
    findings_end(&checking->findings);
    scrub_end(&checking->scrub);
    if (checking->page)
        page_close(checking->page);
}

/* Notes the result of SET, and reports it. Returns 0 or a negative errno, logged. */
static int note_found(struct sync_set *set, const struct checking *checking,
                      enum exit_status status)
{
    cleanup_alarm struct alarm alarm = {.lock = -1};

    int r = alarm_begin(set, &alarm);
    if (r < 0)
        return r;
    if (checking)
        scrub_note(&checking->scrub, set, &checking->findings);
    else
        set->watch.check = (int)status;
    return alarm_raise(&alarm, set);
}

/*
 * Calls note_found if a whole set was checked, but not while it was written: shares that are half
 * sent look lost, and a place that is being filled looks missing. Returns the exit status of the
 * run.
 */
static enum exit_status note_check(const struct options *options, const struct checking *checking,
                                   enum exit_status status)
{
    struct sets *sets;
    struct sync_set *set = set_stores_whole(options, &sets);
    int r = 0;

    if (!set)
        return status;
    if ((status != EXIT_STATUS_OK || options->stores_left_out > 0) &&
        set_stores_were_written(options))
        log_error("%s: a run of sync or repair was under way, so what was found wrong is not "
                  "remembered: check it again when that has ended",
                  set->name);
    else
        r = note_found(set, checking, status);
    int written = metrics_write(options, sets);
    return r < 0 || written < 0 ? standing_worse(status, EXIT_STATUS_FAILED) : status;
}

/* Refuses options that need a set. */
static int check_own_options(const struct options *options, const struct sync_set *set)
{
    if (!set && (options->due || options->metrics))
        return log_as(-EINVAL, "--%s: is of a whole set; write SET: in place of STORES",
                      options->due ? "due" : "metrics");
    if (options->due && options->sample < 1)
        return log_as(-EINVAL, "--due: chooses what is read; leave --sample and --quick out");
    return 0;
}

/* Reports the findings, and writes the page if that is wanted. */
static enum exit_status conclude(const struct checking *checking, double seconds)
{
    const struct findings *findings = &checking->findings;
    enum exit_status status = findings_status(findings);

    if (checking->keys.lost) /* the stores alone could restore nothing */
        status = EXIT_STATUS_LOST;
    else if ((checking->keys.wrong > 0 || checking->keys.contested) && status == EXIT_STATUS_OK)
        status = EXIT_STATUS_DAMAGED;
    if (checking->page && page_write(checking->page, findings, seconds) < 0 &&
        status != EXIT_STATUS_LOST)
        status = EXIT_STATUS_FAILED;
    status = note_check(findings->options, checking, status);
    json_t *summary = json_pack("{s:s, s:f, s:i, s:f}", "command", "check", "seconds", seconds,
                                "exit_status", status, "part", findings->options->sample);
    findings_summarize(findings, seconds, summary);
    output_json("summary", summary);
    return status;
}

enum exit_status check_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    cleanup_unsealing struct unsealing *unsealing = NULL;
    cleanup_roster struct roster roster = {0};
    CLEANUP(checking_end) struct checking checking = {.page = NULL};
    enum exit_status status = EXIT_STATUS_FAILED;
    struct sync_set *set;
    struct sets *sets;
    struct meter meter;
    struct check_settings settings = {
        .jobs = options->jobs,
        .part = options->sample,
        .context = &checking,
        .report = report,
        .slices = UINT64_MAX,
        .failed = failed,
    };

    int r = take_stores(options, 0);
    if (r < 0)
        return note_check(options, NULL, status_of_stores(r));
    set = set_stores_whole(options, &sets);
    if (check_own_options(options, set) < 0)
        return EXIT_STATUS_USAGE;
    if ((options->report && page_open(options->report, &checking.page) < 0) ||
        meter_start(&meter, "check", "another run begins anew") < 0)
        return status;
    if (options->sample < 1 && getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
        settings.seed = (uint64_t)meter.started;
    const struct share_terms terms = {.everything = true, .stop = &meter.progress.stop};
    r = source_find_stores(options, terms, &source);
    if (r == 0)
        r = source_hear_stores(options, source);
    if (r == 0)
        r = source_take_key(options, source, &unsealing);
    if (r < 0)
        status = status_of_stores(r);
    checking.unsealing = unsealing;
    checking.sealed = r == 0 && store_source_is_sealed(source) ? source : NULL;
    if (r == 0 && (r = roster_make(source, options->jobs, &meter.progress, &roster)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "the stores");
    if (r == 0)
        r = findings_begin(&checking.findings, options, &roster);
    if (r == 0)
        r = scrub_begin(options, set, &roster, &checking.scrub);
    if (r == 0)
        settings.slices = checking.scrub.slices;
    checking.findings.has_key = unsealing;
    if (r == 0 && (r = check_run(source, &roster, &settings, &meter.progress)) < 0 &&
        r != -ECANCELED)
        log_errno(r, "check");
    if (r == 0 && checking.sealed)
        r = node_keys_settle(&roster, false, &checking.keys);
    checking.findings.key_lost = checking.keys.lost;
    if (r == 0)
        status = conclude(&checking, meter_seconds(&meter));
    else if (!atomic_load(&meter.progress.stop))
        status = note_check(options, NULL, status);
    meter_stop(&meter);
    return status;
}
