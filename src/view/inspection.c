/* SPDX-License-Identifier: MIT */
#include "view/inspection.h"

#include "view/attributes.h"
#include "view/look.h"

#include <limits.h>
#include <string.h>

/* One inspection under way. */
struct inspecting {
    struct stores *stores;
    const struct share_terms *terms;
    const char *path;
    const struct inspection_depth *depth;
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

/*
 * How many stores may be lost so that K different shares are left, where AT[i] stores have share i:
 * the worst that can happen is that the rarest shares go first.
 */
static int count_spare(const unsigned at[256], unsigned k)
{
    unsigned how_many[257] = {0}; /* shares that so many stores have */
    unsigned shares = 0;
    int spare = -1;

    for (unsigned i = 0; i < 256; i++) {
        how_many[at[i] > 256 ? 256 : at[i]]++;
        shares += at[i] > 0;
    }
    if (shares < k)
        return -1;
    unsigned to_lose = shares - k + 1; /* shares that must go for the rest to be too few */
    for (unsigned stores = 1; stores <= 256 && to_lose > 0; stores++) {
        unsigned lost = how_many[stores] < to_lose ? how_many[stores] : to_lose;
        spare += (int)(lost * stores);
        to_lose -= lost;
    }
    return spare;
}

/*
 * By what the headers say, as if all blocks were good: of the copies that could speak for the
 * version, or (HELPERS) of all that share_set_check counts.
 */
static int count_headers(const struct copies *copies, unsigned k, bool helpers)
{
    unsigned at[256] = {0}, nameless = 0;

    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (copy->role == COPY_USELESS || (copy->role == COPY_HELPER && !helpers))
            continue;
        if (copy->facts.has_header)
            at[copy->facts.header.index]++;
        else
            nameless++;
    }
    for (unsigned i = 256; i-- > 0 && nameless > 0;) { /* they are of other shares, most likely */
        if (at[i] == 0) {
            at[i] = 1;
            nameless--;
        }
    }
    return count_spare(at, k);
}

static bool is_anchor(const struct copy *copy)
{
    return copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS;
}

/*
 * By the blocks of a stripe. Those of copies that cannot speak for the version count only beside
 * one that can. Without checks a wrong block has to be outvoted: it costs a right one as well.
 */
static int count_blocks(const struct copies *copies, const int good[], uint64_t stripe,
                        const struct share_layout *layout)
{
    unsigned at[256] = {0};
    int anchors = 0, wrong = 0;

    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (good[i] >= 0) {
            at[good[i]]++;
            anchors += is_anchor(copy);
        } else {
            wrong += layout->format != SHARE_CHECKED && !copy->failing &&
                     damage_has(&copy->damage, stripe);
        }
    }
    int spare = count_spare(at, layout->required) - wrong;
    return spare < anchors - 1 ? spare : anchors - 1;
}

/* The finalizer of splitmix64 (Steele et al., 2014). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Whether a stripe is among those that are to be read; START is another number for each file. */
static bool is_sampled(const struct inspection_depth *depth, uint64_t start, uint64_t stripe)
{
    uint64_t number = mix(mix(depth->seed + start) + stripe);

    return depth->part >= 1 || (double)(number >> 11) < depth->part * 0x1p53;
}

/* The first stripe of which no copy has any byte: a header may tell of a size that no file has. */
static uint64_t end_of_copies(const struct copies *copies, const struct share_layout *layout)
{
    uint64_t longest = 0;

    for (size_t i = 0; i < copies->count; i++) {
        if (copies->items[i].facts.size > longest)
            longest = copies->items[i].facts.size;
    }
    uint64_t end = longest / layout_full_block_size(layout) + 1;
    return end < layout_stripes(layout) ? end : layout_stripes(layout);
}

/* All stripes from END on are lost, and bad in all copies. */
static void lose_end(struct inspection *inspection, struct copies *copies, uint64_t end)
{
    uint64_t stripes = layout_stripes(&inspection->version.layout);

    if (end == stripes)
        return;
    damage_add_end(&inspection->lost, end, stripes - 1);
    inspection->spare = -1;
    for (size_t i = 0; i < copies->count; i++)
        damage_add_end(&copies->items[i].damage, end, stripes - 1);
}

static int examine_stripes(const struct inspecting *inspecting, struct share_set *set)
{
    struct inspection *inspection = inspecting->inspection;
    const struct share_layout *layout = &inspection->version.layout;
    struct copies *copies = share_set_copies(set);
    uint64_t end = end_of_copies(copies, layout);
    cleanup_free int *good = calloc(copies->count, sizeof *good);
    cleanup_examiner struct examiner *examiner = NULL;
    uint64_t start = (uint64_t)copies->items[0].status.st_ino;

    int r = good ? examiner_new(set, &examiner) : -ENOMEM;
    for (uint64_t stripe = 0; r == 0 && stripe < end; stripe++) {
        if (!is_sampled(inspecting->depth, start, stripe))
            continue;
        if (atomic_load(inspecting->depth->stop))
            return -ECANCELED;
        r = examiner_run(examiner, stripe, good);
        int spare = r == 0 ? count_blocks(copies, good, stripe, layout) : -1;
        if (r < 0 && r != -ENOMEM) {
            damage_add(&inspection->lost, stripe);
            r = 0;
        }
        inspection->bytes += copies->count * layout_block_size(layout, stripe);
        if (spare < inspection->spare)
            inspection->spare = spare;
    }
    if (r == 0)
        lose_end(inspection, copies, end);
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

    inspection->spare = all ? INT_MAX : count_headers(copies, k, true);
    for (size_t i = 0; i < copies->count; i++)
        headers += copies->items[i].role == COPY_MEMBER;
    limit_spare(inspection, headers - 1); /* without one, nothing says what the file is */
    if (has_rival(copies, &inspection->version)) {
        int own = count_headers(copies, k, false);
        limit_spare(inspection, own > 0 ? own : 0);
    }
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
        r = examine_stripes(inspecting, set);
    for (size_t i = 0; r == 0 && i < copies->count; i++) {
        struct copy_report *report = report_on(inspection, copies->items[i].store);
        if (report)
            judge_copy(&copies->items[i], report);
    }
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
                    const struct inspection_depth *depth,
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

bool inspection_is_intact(const struct inspection *inspection)
{
    if (inspection->spare < 0)
        return false;
    for (size_t i = 0; i < inspection->count; i++) {
        if (inspection->copies[i].state != COPY_GOOD || inspection->copies[i].other_metadata)
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
