/* SPDX-License-Identifier: MIT */
#include "engine/check.h"

#include "base/bytes.h"
#include "base/shortage.h"
#include "engine/visit.h"
#include "restore/look.h"
#include "restore/store_names.h"
#include "view/store_source.h"

#include <string.h>

struct check {
    struct visit visit;
    const struct roster *roster;
    const struct check_settings *settings;
};

unsigned check_slice(const char *path)
{
    uint64_t hash = 0;

    for (; *path; path++)
        hash = mix_bits(hash + (unsigned char)*path);
    return hash % CHECK_SLICES;
}

/* As a directory, the root is a name, too. */
static void check_name(struct visit *visit, const char *path, void *part)
{
    struct check *check = (struct check *)visit;
    struct source *source = visit->source;
    const struct check_settings *settings = check->settings;
    const struct sweep_depth depth = {
        .part = settings->slices >> check_slice(path) & 1 ? settings->part : 0,
        .seed = settings->seed,
        .stop = &visit->progress->stop,
        .pool = visit->pool,
        .ahead = &visit->progress->ahead,
    };
    cleanup_inspection struct inspection inspection = NO_INSPECTION;

    progress_begin(visit->progress, path);
    int r = inspection_make(store_source_terms(source), path, &depth, roster_share, check->roster,
                            &inspection);
    if (is_shortage(r))
        atomic_store(&visit->result, r);
    if (r == -ENOENT || r == -ECANCELED) /* it is gone, or we are to go */
        return;
    if (r < 0) {
        settings->failed(settings->context, path, r);
        return;
    }
    if (inspection.leftover &&
        store_name_is_description(store_source_terms(source), path, &inspection.survey))
        return;
    roster_excuse(check->roster, &inspection);
    settings->report(settings->context, path, &inspection);
    if (S_ISREG(inspection.status.st_mode))
        progress_end(visit->progress, inspection.version.layout.source_size);
    if (S_ISDIR(inspection.status.st_mode) && *path && !inspection.hidden &&
        inspection.survey.ruling.verdict == NAME_SETTLED)
        visit_into(visit, path);
}

static void check_failed(struct visit *visit, const char *path, int error)
{
    const struct check_settings *settings = ((struct check *)visit)->settings;

    if (error != -ENOENT)
        settings->failed(settings->context, path, error);
}

int check_run(struct source *source, const struct roster *roster,
              const struct check_settings *settings, struct progress *progress)
{
    static const struct visit_operations operations = {
        .name = check_name,
        .failed = check_failed,
    };
    struct check check = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .roster = roster,
        .settings = settings,
    };

    int r = visit_run(&check.visit, settings->jobs);
    if (r == 0)
        check_name(&check.visit, "", NULL);
    return r == 0 && atomic_load(&progress->stop) ? -ECANCELED : r;
}
