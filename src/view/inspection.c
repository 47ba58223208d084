/* SPDX-License-Identifier: MIT */
#include "view/inspection.h"

#include "view/attributes.h"
#include "view/look.h"
#include "view/spare.h"

#include <limits.h>
#include <string.h>

/* One inspection under way. */
struct inspecting {
    struct stores *stores;
    const struct share_terms *terms;
    const char *path;
    const struct sweep_depth *depth;
    struct inspection *inspection;
};

static const struct store_list *list_of(const struct inspection *inspection)
{
    return inspection->survey.inquiry.list;
}

void inspection_clear(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->count; i++)
        damage_clear(&inspection->copies[i].damage);
    free(inspection->copies);
    damage_clear(&inspection->lost);
    if (inspection->shares)
        share_set_free(inspection->shares);
    survey_clear(&inspection->survey);
    *inspection = NO_INSPECTION;
}

/* The report on STORE, or NULL where it was not there when the name was looked at. */
static struct copy_report *report_on(const struct inspection *inspection, const struct store *store)
{
    for (size_t i = 0; i < inspection->count; i++) {
        if (list_of(inspection)->stores[i] == store)
            return &inspection->copies[i];
    }
    return NULL;
}

/* What the names alone say. */
static void judge_names(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        int r = inquiry_result(&inspection->survey.inquiry, i);
        report->index = -1;
        if (r == -ENOENT || r == -ENOTDIR)
            report->state = COPY_ABSENT;
        else if (r < 0)
            *report = (struct copy_report){COPY_UNREADABLE, .error = r, .index = -1};
        else if (!inspection->survey.ballots[i].cast)
            report->state = COPY_OTHER_KIND;
    }
}

static bool same_metadata(const struct stat *a, const struct stat *b)
{
    return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int judge_metadata(const struct inspecting *inspecting)
{
    struct inspection *inspection = inspecting->inspection;
    cleanup_free bool *differs = calloc(inspection->count + 1, sizeof *differs);

    if (!differs)
        return -ENOMEM;
    int r = attributes_compare(inspecting->stores, inspecting->path, list_of(inspection), differs);
    for (size_t i = 0; r == 0 && i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        const struct stat *status = &inspection->survey.ballots[i].status;
        if (report->state == COPY_GOOD || report->state == COPY_MISPLACED)
            report->other_metadata = differs[i] || !same_metadata(status, &inspection->status);
    }
    return r;
}

/* What came of one copy of a share. */
static void judge_copy(struct copy *copy, struct copy_report *report)
{
    const struct share_header *header = &copy->facts.header;

    report->index = copy->index;
    report->bad_header = !copy->facts.has_header;
    report->bad_size = !report->bad_header && copy->role == COPY_MEMBER &&
                       copy->facts.size != layout_share_size(&header->layout);
    if (!report->bad_header && copy->role != COPY_MEMBER) {
        report->state = COPY_STALE;
        return;
    }
    if (copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS) {
        report->damage = copy->damage;
        copy->damage = (struct damage){0};
    }
    if (report->bad_header || report->bad_size || report->damage.count > 0)
        report->state = COPY_DAMAGED;
    else
        report->state = copy->failing ? COPY_UNREADABLE : COPY_GOOD;
    report->error = report->state == COPY_UNREADABLE ? -EIO : 0;
}

/* All is lost of a file without a version. */
static void lose_all(struct inspection *inspection)
{
    uint64_t stripes =
        inspection->version.layout.required > 0 ? layout_stripes(&inspection->version.layout) : 0;

    inspection->spare = -1;
    if (stripes > 0)
        damage_add_end(&inspection->lost, 0, stripes - 1);
}

static void limit_spare(struct inspection *inspection, int spare)
{
    if (inspection->spare > spare)
        inspection->spare = spare;
}

/* Whether another version takes this one's place once this one has fewer than k shares. */
static bool has_rival(const struct copies *copies, const struct share_header *version)
{
    for (size_t i = 0; i < copies->count; i++) {
        const struct share_header *header = &copies->items[i].facts.header;
        bool seen[256] = {false};
        unsigned shares = 0;
        if (!copies->items[i].facts.has_header || copies->items[i].role == COPY_MEMBER)
            continue;
        for (size_t j = 0; j < copies->count; j++) {
            const struct copy_facts *other = &copies->items[j].facts;
            if (other->has_header && version_is_same(&other->header, header) &&
                !seen[other->header.index]) {
                seen[other->header.index] = true;
                shares++;
            }
        }
        if (header->mtime_ns >= version->mtime_ns || shares >= header->layout.required)
            return true;
    }
    return false;
}

/* What the headers say alone; blocks that are looked at can make it less. */
static void count_by_headers(struct inspection *inspection, const struct copies *copies, bool all)
{
    unsigned k = inspection->version.layout.required;
    int headers = 0;

    inspection->spare = all ? INT_MAX : spare_by_headers(copies, k, true);
    for (size_t i = 0; i < copies->count; i++)
        headers += copies->items[i].role == COPY_MEMBER;
    limit_spare(inspection, headers - 1); /* without one, nothing says what the file is */
    if (has_rival(copies, &inspection->version)) {
        int own = spare_by_headers(copies, k, false);
        limit_spare(inspection, own > 0 ? own : 0);
    }
}

static int sweep(const struct inspecting *inspecting, struct share_set *set)
{
    struct inspection *inspection = inspecting->inspection;
    struct sweep sweep = {inspection->lost, inspection->spare, inspection->bytes};

    int r = sweep_run(set, inspecting->depth, &sweep);
    inspection->lost = sweep.lost;
    inspection->spare = sweep.spare;
    inspection->bytes = sweep.bytes;
    return r;
}

/* Copies that could not be opened are unreadable; what the others are, is found out. */
static void judge_unopened(struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        if (report->state != COPY_GOOD)
            continue;
        report->state = COPY_UNREADABLE;
        report->error = look_answer(&inspection->survey.inquiry, i)->object.open_error;
    }
}

static int inspect_shares(const struct inspecting *inspecting)
{
    struct inspection *inspection = inspecting->inspection;
    cleanup_share_set struct share_set *set = NULL;

    judge_unopened(inspection);
    int r =
        share_set_new(&inspection->survey.inquiry, inspecting->terms, inspecting->path, 0, &set);
    if (r == -ENOMEM)
        return r;
    inspection->spare = -1;
    if (r < 0)
        return 0;
    struct copies *copies = share_set_copies(set);
    share_set_status(set, &inspection->status);
    if (share_set_header(set))
        inspection->version = *share_set_header(set);
    if (share_set_check(set) < 0) {
        lose_all(inspection);
        r = 0;
    } else {
        count_by_headers(inspection, copies,
                         inspecting->depth->part >= 1 &&
                             inspection->version.layout.source_size > 0);
    }
    if (share_set_header(set) && inspecting->depth->part > 0 &&
        inspection->version.layout.source_size > 0)
        r = sweep(inspecting, set);
    for (size_t i = 0; r == 0 && i < copies->count; i++) {
        struct copy_report *report = report_on(inspection, copies->items[i].store);
        if (report)
            judge_copy(&copies->items[i], report);
    }
    inspection->shares = steal_pointer(set);
    return r;
}

/* What is no file is whole in each store that has it. */
static void count_wholes(struct inspection *inspection)
{
    inspection->spare = -1;
    for (size_t i = 0; i < inspection->count; i++)
        inspection->spare += inspection->copies[i].state == COPY_GOOD;
}

static void judge_places(struct inspection *inspection,
                         int (*expected)(const void *context, const struct store *store),
                         const void *context)
{
    for (size_t i = 0; expected && i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        int index = expected(context, list_of(inspection)->stores[i]);
        if (report->state == COPY_GOOD && index >= 0 && report->index != index)
            report->state = COPY_MISPLACED;
    }
}

int inspection_make(struct stores *stores, const struct share_terms *terms, const char *path,
                    const struct sweep_depth *depth,
                    int (*expected)(const void *context, const struct store *store),
                    const void *context, struct inspection *ret)
{
    const struct inspecting inspecting = {stores, terms, path, depth, ret};

    *ret = NO_INSPECTION;
    int r = survey_make(stores, path, NULL, &ret->survey);
    if (r < 0)
        return r;
    ret->status = ret->survey.status;
    ret->copies = calloc(list_of(ret)->count + 1, sizeof *ret->copies);
    if (!ret->copies)
        return -ENOMEM;
    ret->count = list_of(ret)->count;
    judge_names(ret);
    if (S_ISREG(ret->status.st_mode)) {
        r = inspect_shares(&inspecting);
        judge_places(ret, expected, context);
    } else {
        count_wholes(ret);
    }
    return r == 0 && depth->part > 0 ? judge_metadata(&inspecting) : r;
}

bool copy_is_wrong(const struct copy_report *report)
{
    return report->state != COPY_GOOD || report->other_metadata;
}

bool inspection_is_intact(const struct inspection *inspection)
{
    if (inspection->spare < 0)
        return false;
    for (size_t i = 0; i < inspection->count; i++) {
        if (copy_is_wrong(&inspection->copies[i]))
            return false;
    }
    return true;
}

bool inspection_is_rare(const struct inspection *inspection)
{
    size_t have = 0, lack = 0;

    for (size_t i = 0; i < inspection->count; i++) {
        lack += inspection->copies[i].state == COPY_ABSENT;
        have += inspection->copies[i].state != COPY_ABSENT &&
                inspection->copies[i].state != COPY_UNREADABLE;
    }
    return lack > have;
}
