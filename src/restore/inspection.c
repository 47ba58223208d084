/* SPDX-License-Identifier: MIT */
#include "restore/inspection.h"

#include "base/shortage.h"
#include "base/times.h"
#include "restore/attributes.h"
#include "restore/look.h"
#include "restore/spare.h"
#include "restore/store_names.h"
#include "share/block.h"
#include "share/stripe.h"
#include "tree/metadata.h"
#include "trust/leftover.h"
#include "trust/mend.h"

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
    free(inspection->conflict_text);
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
    const struct survey *survey = &inspection->survey;
    enum copy_state there = !inspection->hidden    ? COPY_GOOD
                            : inspection->leftover ? COPY_LEFTOVER
                                                   : COPY_FOREIGN;

    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        int r = inquiry_result(&survey->inquiry, i);
        report->index = -1;
        if (r == -ENOENT || r == -ENOTDIR)
            report->state = COPY_ABSENT;
        else if (r < 0)
            *report = (struct copy_report){COPY_UNREADABLE, .error = r, .index = -1};
        else
            report->state = survey->ballots[i].cast ? there : COPY_OTHER_KIND;
    }
}

/* Returns what of the metadata differs. */
static unsigned compare_metadata(const struct stat *a, const struct stat *b)
{
    return (a->st_mode != b->st_mode ? METADATA_MODE : 0) |
           (a->st_uid != b->st_uid || a->st_gid != b->st_gid ? METADATA_OWNER : 0) |
           (times_agree(&a->st_mtim, &b->st_mtim) ? 0 : METADATA_TIME);
}

/* Returns true if a copy has a say in the metadata of what is shown. */
static bool is_holder(const struct inspection *inspection, size_t place)
{
    const struct copy_report *report = &inspection->copies[place];
    bool is_file = S_ISREG(inspection->status.st_mode);

    return inspection->survey.ballots[place].cast &&
           (!is_file || (report->index >= 0 && !report->bad_header && !report->other_time &&
                         (report->state != COPY_STALE || report->other_content)));
}

/* Notes which copies keep the mode and owner that they have. */
static int judge_modes(struct inspection *inspection)
{
    cleanup_free struct ballot *ballots = calloc(inspection->count + 1, sizeof *ballots);

    for (size_t i = 0; ballots && i < inspection->count; i++) {
        ballots[i] = inspection->survey.ballots[i];
        ballots[i].cast = is_holder(inspection, i);
    }
    for (size_t i = 0; ballots && i < inspection->count; i++)
        inspection->copies[i].keeps_mode =
            ballots[i].cast && mend_keeps_mode(&list_of(inspection)->quorum, ballots,
                                               inspection->count, &ballots[i], &inspection->status);
    return ballots ? 0 : -ENOMEM;
}

static int judge_metadata(const struct inspecting *inspecting)
{
    struct inspection *inspection = inspecting->inspection;
    cleanup_free bool *differs = calloc(inspection->count + 1, sizeof *differs);

    if (!differs)
        return -ENOMEM;
    int r = attributes_compare(inspecting->stores, inspecting->terms, inspecting->path,
                               list_of(inspection), differs);
    for (size_t i = 0; r == 0 && i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        const struct stat *status = &inspection->survey.ballots[i].status;
        if (report->state == COPY_GOOD || report->state == COPY_MISPLACED)
            report->other_metadata = compare_metadata(status, &inspection->status) |
                                     (differs[i] ? METADATA_ATTRIBUTES : 0);
    }
    return r < 0 ? r : judge_modes(inspection);
}

/*
 * Returns true if all blocks of a copy in the checked format are intact, or may be, for all that
 * can be read now; others cannot tell.
 */
static bool has_intact_blocks(const struct copy *copy, const atomic_bool *stop)
{
    const struct share_header *header = &copy->facts.header;
    const struct share_layout *layout = &header->layout;
    uint64_t stripes = formats[layout->format]->has_checks ? layout_stripes(layout) : 0;
    bool intact = true;

    for (uint64_t i = 0; i < stripes && intact && !atomic_load(stop); i++) {
        cleanup_round struct round *round = NULL;
        cleanup_buffer struct buffer block = NO_BUFFER;
        struct block_read read;
        if (round_new(&round) < 0 || copy_ask(round, copy, layout_block_offset(layout, i),
                                              layout_block_size(layout, i), &read) < 0)
            return true;
        round_wait_for_all(round);
        int r = block_read_take(&read, &block);
        intact = r == 0
                     ? block_is_intact(block.data, layout_payload_size(layout, i), i, header->index)
                     : is_shortage(r) || r == -ETIMEDOUT;
    }
    return intact;
}

/*
 * Returns true if a copy in a format without checks is the very share that is shown, whatever the
 * time of its file: then that alone is wrong.
 */
static bool has_shown_content(const struct inspecting *inspecting, struct share_set *set,
                              const struct copy *copy)
{
    const struct share_layout *layout = &inspecting->inspection->version.layout;
    uint8_t index = copy->facts.header.index;
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_buffer struct buffer data = NO_BUFFER, right = NO_BUFFER;
    uint64_t stripes = layout_stripes(layout);
    bool same = !formats[layout->format]->has_checks && inspecting->depth->part >= 1 &&
                inspecting->inspection->settled &&
                version_is_like(&copy->facts.header, &inspecting->inspection->version) &&
                encoder_new(layout, 1, &index, &encoder) == 0 &&
                buffer_take(layout_full_stripe_size(layout), &data) == 0 &&
                buffer_take(layout_full_block_size(layout), &right) == 0;

    for (uint64_t i = 0; same && i < stripes; i++) {
        cleanup_round struct round *round = NULL;
        cleanup_buffer struct buffer block = NO_BUFFER;
        struct block_read read;
        size_t size = layout_block_size(layout, i);
        if (atomic_load(inspecting->depth->stop) || share_set_read_stripe(set, i, data.data) < 0 ||
            encoder_run(encoder, i, data.data, &right.data) < 0 || round_new(&round) < 0 ||
            copy_ask(round, copy, layout_block_offset(layout, i), size, &read) < 0)
            return false;
        round_wait_for_all(round);
        same = block_read_take(&read, &block) == 0 && memcmp(block.data, right.data, size) == 0;
    }
    return same;
}

static void judge_stale(const struct inspecting *inspecting, struct share_set *set,
                        const struct copy *copy, struct copy_report *report)
{
    const struct copies *copies = share_set_copies(set);
    unsigned shares = 0;

    /* Metadata tell no difference there, and would not be mended: the whole share is. */
    bool same_time = times_agree(&copy->status.st_mtim, &inspecting->inspection->status.st_mtim);
    if (!same_time && has_shown_content(inspecting, set, copy)) {
        report->state = COPY_GOOD;
        report->intact = report->other_time = true;
        return;
    }
    cleanup_free struct copy_facts *facts = copies_facts(copies);
    report->state = COPY_STALE;
    report->intact = inspecting->depth->part >= 1 &&
                     (!facts || mend_has_claim(&list_of(inspecting->inspection)->quorum, facts,
                                               copies->count, (size_t)(copy - copies->items),
                                               &inspecting->inspection->version, &shares)) &&
                     has_intact_blocks(copy, inspecting->depth->stop);
    report->claim = report->intact ? shares : 0;
}

/* What came of one copy of a share. */
static void judge_copy(const struct inspecting *inspecting, struct share_set *set,
                       struct copy *copy, struct copy_report *report)
{
    const struct share_header *header = &copy->facts.header;

    report->index = copy->index;
    report->bad_header = !copy->facts.has_header || copy->facts.misplaced;
    report->other_format = copy->facts.other_format;
    if (!report->bad_header && copy->role != COPY_MEMBER) {
        judge_stale(inspecting, set, copy, report);
        return;
    }
    report->bad_size =
        !report->bad_header && copy->facts.size != layout_share_size(&header->layout);
    if (copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS) {
        report->damage = copy->damage;
        copy->damage = (struct damage){0};
    }
    if (report->bad_header || report->bad_size || report->damage.count > 0)
        report->state = COPY_DAMAGED;
    else
        report->state = copy->failing ? COPY_UNREADABLE : copy->differs ? COPY_STALE : COPY_GOOD;
    report->error = report->state == COPY_UNREADABLE ? -EIO : 0;
    report->other_content = copy->differs;
    report->intact = report->state == COPY_GOOD || report->state == COPY_STALE;
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

/* Returns true if another version takes this one's place once this one has fewer than it needs. */
static bool has_rival(const struct inspection *inspection, const struct copies *copies)
{
    cleanup_free struct copy_facts *facts = copies_facts(copies);
    bool found = !facts;

    for (size_t i = 0; i < copies->count && !found; i++) {
        const struct share_header *header = &copies->items[i].facts.header;
        found =
            copies->items[i].facts.has_header && copies->items[i].role != COPY_MEMBER &&
            (header->mtime_ns >= inspection->version.mtime_ns ||
             version_count(&list_of(inspection)->quorum, facts, copies->count, header).complete);
    }
    return found;
}

/* Stores that may be lost before too few have the name. */
static int count_by_votes(const struct inspection *inspection)
{
    const struct survey *survey = &inspection->survey;

    return spare_by_votes(survey->ballots, inspection->count, survey->ruling.needed);
}

/* What the headers say alone; blocks that are looked at can make it less. */
static void count_by_headers(struct inspection *inspection, const struct copies *copies,
                             unsigned needed, bool all)
{
    const struct share_layout *layout = &inspection->version.layout;
    uint64_t full = layout->source_size > 0 ? layout_share_size(layout) : 0;
    int headers = 0;

    inspection->spare = all ? INT_MAX : spare_by_headers(copies, needed, false, full);
    if (inspection->spare < 0) /* copies that are cut off may do: that is for their blocks to say */
        inspection->spare = 0;
    for (size_t i = 0; i < copies->count; i++)
        headers += copies->items[i].role == COPY_MEMBER;
    limit_spare(inspection, headers - 1); /* without one, nothing says what the file is */
    limit_spare(inspection, count_by_votes(inspection));
    if (has_rival(inspection, copies)) {
        int own = spare_by_headers(copies, needed, true, full);
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

/* Goes through the blocks of the version that is shown, as deep as is wanted. */
static int inspect_version(const struct inspecting *inspecting, struct share_set *set)
{
    struct inspection *inspection = inspecting->inspection;
    bool has_blocks = inspection->version.layout.source_size > 0;
    const struct version *version = share_set_version(set);

    inspection->settled = true;
    inspection->whole = version->whole;
    count_by_headers(inspection, share_set_copies(set), version->needed,
                     inspecting->depth->part >= 1 && has_blocks);
    inspection->rival = version->rival;
    if (!has_blocks)
        return 0;
    return inspecting->depth->part > 0 || inspecting->depth->glance ? sweep(inspecting, set) : 0;
}

/* Says how many shares are too few, and with which K they would do. */
static void note_missing_shares(struct inspection *inspection, const struct share_set *set)
{
    const struct version *version = share_set_version(set);

    inspection->would_need = share_set_would_need(set);
    inspection->found = version ? version->whole : 0;
    inspection->untimed = version && version->untimed;
    inspection->needed = version ? version->needed : inspection->survey.ruling.needed;
}

/* A copy that cannot be opened may be any other version, unless its size and time say that not. */
static void compare_unopened(struct inspection *inspection)
{
    uint64_t size = layout_share_size(&inspection->version.layout);

    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        const struct stat *status = &inspection->survey.ballots[i].status;
        report->as_shown = report->state == COPY_UNREADABLE && (uint64_t)status->st_size == size &&
                           times_agree(&status->st_mtim, &inspection->status.st_mtim);
    }
}

static int inspect_shares(const struct inspecting *inspecting)
{
    struct inspection *inspection = inspecting->inspection;
    cleanup_share_set struct share_set *set = NULL;

    judge_unopened(inspection);
    int r =
        share_set_new(&inspection->survey.inquiry, inspecting->terms, inspecting->path, 0, &set);
    if (is_shortage(r))
        return r;
    inspection->spare = -1;
    if (r < 0)
        return 0;
    struct copies *copies = share_set_copies(set);
    share_set_status(set, &inspection->status);
    if (share_set_version(set))
        inspection->version = share_set_version(set)->header;
    if (share_set_header(set))
        compare_unopened(inspection);
    bool lost = inspection->survey.ruling.verdict == NAME_LOST;
    int checked = lost ? 0 : share_set_check(set);
    if (!lost && checked == 0)
        r = inspect_version(inspecting, set);
    else
        lose_all(inspection);
    inspection->conflict = share_set_is_conflict(set);
    if (inspection->conflict)
        inspection->conflict_text = share_set_describe_conflict(set);
    else if (!share_set_header(set) || inspection->survey.ruling.verdict == NAME_LOST)
        note_missing_shares(inspection, set);
    for (size_t i = 0; r == 0 && i < copies->count; i++) {
        struct copy_report *report = report_on(inspection, copies->items[i].store);
        if (report)
            judge_copy(inspecting, set, &copies->items[i], report);
    }
    inspection->shares = steal_pointer(set);
    return r == 0 && checked == -ETIMEDOUT ? checked : r;
}

/* What is no file is whole in each store that has it. */
static void count_wholes(struct inspection *inspection)
{
    const struct name_ruling *ruling = &inspection->survey.ruling;

    inspection->conflict = ruling->verdict == NAME_CONFLICT;
    if (inspection->conflict)
        inspection->conflict_text = survey_describe(&inspection->survey);
    inspection->spare = ruling->verdict == NAME_SETTLED ? count_by_votes(inspection) : -1;
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

/* Finds out whether the name is shown. */
static int judge_hidden(const struct inspecting *inspecting)
{
    struct inspection *inspection = inspecting->inspection;
    struct survey *survey = &inspection->survey;
    enum hidden why;

    int r =
        store_name_is_shown(inspecting->stores, inspecting->terms, inspecting->path, survey, &why);
    if (r < 0)
        return r;
    inspection->hidden = r == 0;
    inspection->leftover = r == 0 && why == HIDDEN_LEFTOVER;
    if (r == 0 || !leftover_is_path(inspecting->path))
        return 0;
    survey_clear(survey); /* to judge it took its files */
    return survey_make(inspecting->stores, inspecting->terms, inspecting->path, NULL, survey);
}

/* A store that could not be looked at may have what is missed: nothing is lost for certain. */
static int find_no_verdict(const struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->count && inspection->spare < 0; i++) {
        if (is_no_verdict(inspection->copies[i].error))
            return inspection->copies[i].error;
    }
    return 0;
}

static int inspect(const struct inspecting *inspecting,
                   int (*expected)(const void *context, const struct store *store),
                   const void *context)
{
    struct inspection *inspection = inspecting->inspection;
    int r = 0;

    judge_names(inspection);
    if (inspection->hidden)
        return 0;
    if (S_ISREG(inspection->status.st_mode) && inspection->survey.ruling.verdict != NAME_CONFLICT) {
        r = inspect_shares(inspecting);
        judge_places(inspection, expected, context);
    } else {
        count_wholes(inspection);
    }
    if (r == 0)
        r = find_no_verdict(inspection);
    return r == 0 && inspecting->depth->part > 0 && inspection->spare >= 0
               ? judge_metadata(inspecting)
               : r;
}

int inspection_make(struct stores *stores, const struct share_terms *terms, const char *path,
                    const struct sweep_depth *depth,
                    int (*expected)(const void *context, const struct store *store),
                    const void *context, struct inspection *ret)
{
    const struct inspecting inspecting = {stores, terms, path, depth, ret};

    *ret = NO_INSPECTION;
    ret->path = path;
    int r = survey_make(stores, terms, path, NULL, &ret->survey);
    if (r == 0)
        r = judge_hidden(&inspecting);
    if (r < 0)
        return r;
    ret->status = ret->survey.status;
    ret->copies = calloc(list_of(ret)->count + 1, sizeof *ret->copies);
    if (!ret->copies)
        return -ENOMEM;
    ret->count = list_of(ret)->count;
    return inspect(&inspecting, expected, context);
}

bool copy_is_wrong(const struct copy_report *report)
{
    return report->state != COPY_GOOD || report->other_metadata;
}

enum name_health inspection_health(const struct inspection *inspection)
{
    if (inspection->hidden)
        return inspection->leftover ? HEALTH_LEFTOVER : HEALTH_FOREIGN;
    if (inspection->conflict)
        return HEALTH_CONFLICT;
    if (inspection->spare < 0)
        return HEALTH_LOST;
    for (size_t i = 0; i < inspection->count; i++) {
        if (copy_is_wrong(&inspection->copies[i]))
            return HEALTH_DEGRADED;
    }
    return HEALTH_INTACT;
}

unsigned inspection_rival(const struct inspection *inspection)
{
    bool matters =
        inspection->rival > inspection->whole || inspection_health(inspection) == HEALTH_LOST;

    return matters ? inspection->rival : 0;
}
