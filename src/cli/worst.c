/* SPDX-License-Identifier: MIT */
#include "cli/worst.h"

#include "base/log.h"
#include "cli/findings_text.h"

#include <limits.h>
#include <string.h>

static void clear_name(struct worst_name *name)
{
    free(name->path);
    free(name->lost);
    names_clear(&name->stores);
    names_clear(&name->wrongs);
}

void worst_clear(struct worst *worst)
{
    while (worst->count > 0)
        clear_name(&worst->names[--worst->count]);
}

/*
 * What was removed from most stores, probably, must not crowd out what was not; nor what is in too
 * few to be a loss.
 */
static int rank_of(bool foreign, int spare, const char *hint)
{
    if (foreign)
        return INT_MAX;
    return spare >= 0 ? spare : hint ? -1 : -2;
}

static size_t place_by_rank(const struct worst *worst, int rank, const char *path)
{
    size_t place = worst->count;

    for (; place > 0; place--) {
        const struct worst_name *other = &worst->names[place - 1];
        int other_rank = rank_of(other->foreign, other->spare, other->hint);
        if (other_rank < rank || (other_rank == rank && strcmp(other->path, path) < 0))
            break;
    }
    return place;
}

static int describe_lost(const struct inspection *inspection, char **ret)
{
    size_t size;
    FILE *text = open_memstream(ret, &size);

    if (!text)
        return -ENOMEM;
    findings_print_lost(text, inspection);
    return fclose(text) == 0 ? 0 : -ENOMEM;
}

static int describe_copy(const struct copy_report *report, const char *store,
                         struct worst_name *name)
{
    cleanup_free char *wrong = NULL;
    size_t size;
    FILE *text = open_memstream(&wrong, &size);

    if (!text)
        return -ENOMEM;
    findings_print_copy(text, report);
    if (fclose(text) != 0 || names_add(&name->stores, store) < 0)
        return -ENOMEM;
    return names_add(&name->wrongs, wrong);
}

static int describe_name(const struct findings *findings, const char *path,
                         const struct inspection *inspection, struct worst_name *ret)
{
    *ret = (struct worst_name){
        .path = strdup(log_path(path)),
        .foreign = inspection->hidden,
        .spare = inspection->spare,
        .hint = findings_hint(inspection),
    };
    int r = ret->path ? 0 : -ENOMEM;
    if (r == 0 && findings_has_lost(inspection))
        r = describe_lost(inspection, &ret->lost);
    for (size_t i = 0; r == 0 && i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        if (copy_is_wrong(report) && !(inspection->hidden && report->state == COPY_ABSENT))
            r = describe_copy(report, findings_store_name(findings, inspection, i), ret);
    }
    if (r < 0)
        clear_name(ret);
    return r;
}

void worst_consider(struct worst *worst, const struct findings *findings, const char *path,
                    const struct inspection *inspection)
{
    enum name_health health = inspection_health(inspection);
    if (health == HEALTH_INTACT || health == HEALTH_LEFTOVER)
        return;
    int rank = rank_of(inspection->hidden, inspection->spare, findings_hint(inspection));
    size_t place = place_by_rank(worst, rank, log_path(path));
    struct worst_name name;

    worst->all++;
    if (place == WORST_MAX)
        return;
    int r = describe_name(findings, path, inspection, &name);
    if (r < 0) {
        worst->error = r;
        return;
    }
    if (worst->count == WORST_MAX)
        clear_name(&worst->names[--worst->count]);
    memmove(&worst->names[place + 1], &worst->names[place],
            (worst->count - place) * sizeof worst->names[0]);
    worst->names[place] = name;
    worst->count++;
}
