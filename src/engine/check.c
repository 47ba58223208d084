/* SPDX-License-Identifier: MIT */
#include "engine/check.h"

#include "base/shortage.h"
#include "engine/visit.h"
#include "restore/look.h"
#include "view/store_source.h"

#include <string.h>

struct check {
    struct visit visit;
    const struct roster *roster;
    const struct check_settings *settings;
};

/* What rclone adds to the name of a symlink, which it keeps as a file of its target. */
#define LINK_SUFFIX ".rclonelink"

/*
 * Returns true if all that stores have at PATH is how rclone keeps the symlink that others show: a
 * file of its target, which is no share. That is no damage, and no loss where many stores have it.
 */
static bool is_symlink_of_rclone(const struct share_terms *terms, const char *path,
                                 const struct inspection *inspection)
{
    const struct inquiry *looks = &inspection->survey.inquiry;
    cleanup_survey struct survey survey = NO_SURVEY;
    cleanup_free char *link = strdup(path);
    const size_t suffix = strlen(LINK_SUFFIX), length = strlen(path);
    bool found = false, same = true;

    if (!link || length <= suffix || strcmp(path + length - suffix, LINK_SUFFIX) != 0)
        return false;
    link[length - suffix] = '\0';
    if (survey_make(terms, link, NULL, &survey) < 0 || survey.ruling.verdict != NAME_SETTLED ||
        !S_ISLNK(survey.status.st_mode))
        return false;
    const char *target = survey.ballots[survey.ruling.winner].target;
    for (size_t i = 0; i < looks->list->count && same; i++) {
        int r = inquiry_result(looks, i);
        if (r == -ENOENT || r == -ENOTDIR)
            continue;
        const struct look *look = r == 0 ? look_answer(looks, i) : NULL;
        const size_t size = strlen(target);
        found = same = look && S_ISREG(look->object.status.st_mode) &&
                       (size_t)look->object.status.st_size == size &&
                       look->start_size == (size < LOOK_START ? size : LOOK_START) &&
                       memcmp(look->start, target, look->start_size) == 0;
    }
    return found && same;
}

/* Counts what is no name of the tree as a leftover. */
static void set_aside(struct inspection *inspection)
{
    inspection->hidden = inspection->leftover = inspection->symlink_of_rclone = true;
    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        report->state = report->state == COPY_ABSENT ? COPY_ABSENT : COPY_LEFTOVER;
        report->other_metadata = 0;
    }
}

/* As a directory, the root is a name, too. */
static void check_name(struct visit *visit, const char *path, void *part)
{
    struct check *check = (struct check *)visit;
    struct source *source = visit->source;
    const struct check_settings *settings = check->settings;
    const struct sweep_depth depth = {
        .part = settings->part,
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
    if (is_symlink_of_rclone(store_source_terms(source), path, &inspection))
        set_aside(&inspection);
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
