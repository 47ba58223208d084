/* SPDX-License-Identifier: MIT */
#include "restore/inspection.h"

#include "base/shortage.h"
#include "base/times.h"
#include "restore/attributes.h"
#include "restore/conflict.h"
#include "restore/reading.h"
#include "restore/store_names.h"
#include "share/block.h"
#include "share/stripe.h"
#include "store/voice.h"
#include "tree/metadata.h"
#include "trust/leftover.h"
#include "trust/mend.h"

#include <limits.h>
#include <string.h>

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
    damage_clear(&inspection->unverified);
    sealed_name_clear(&inspection->sealed);
    free(inspection->conflict_text);
    if (inspection->shares)
        share_set_free(inspection->shares);
    survey_clear(&inspection->survey);
    *inspection = NO_INSPECTION;
}

/* Returns the report on STORE; NULL where it was not there when the name was looked at. */
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

/* Returns which parts of the metadata differ. */
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

/* Notes which copies have other metadata than most, and which of these keep their mode and owner.
 */
static int judge_metadata(struct inspection *inspection)
{
    const struct store_list *list = list_of(inspection);
    const struct stat *shown = &inspection->status;
    size_t count = inspection->count;
    cleanup_free struct ballot *holders = calloc(count + 1, sizeof *holders);
    cleanup_free enum attributes_state *states = calloc(count + 1, sizeof *states);

    if (!holders || !states)
        return -ENOMEM;
    int r = attributes_compare(inspection->terms, inspection->path, list, states);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        struct copy_report *report = &inspection->copies[i];
        holders[i] = inspection->survey.ballots[i];
        holders[i].cast = is_holder(inspection, i);
        if (report->state != COPY_GOOD && report->state != COPY_MISPLACED)
            continue;
        report->other_metadata =
            compare_metadata(&holders[i].status, shown) |
            (states[i] == ATTRIBUTES_DIFFER || states[i] == ATTRIBUTES_UNREAD ? METADATA_ATTRIBUTES
                                                                              : 0);
        if (report->other_metadata && voice_is_sealed(list->stores[i]))
            report->other_metadata &= S_ISDIR(shown->st_mode) ? 0 : METADATA_TIME;
        report->attributes_unread = states[i] == ATTRIBUTES_UNREAD;
        report->no_attributes = states[i] == ATTRIBUTES_IMPOSSIBLE;
    }
    for (size_t i = 0; i < count; i++)
        inspection->copies[i].keeps_mode =
            holders[i].cast && mend_keeps_mode(&list->quorum, holders, count, &holders[i], shown);
    return 0;
}

/*
 * Returns true if no block of a copy is known to be bad. Blocks that cannot be read now may be
 * good, and those of formats without checks never tell.
 */
static bool has_intact_blocks(const struct copy *copy, const atomic_bool *stop)
{
    const struct share_header *header = &copy->facts->header;
    const struct share_layout *layout = &header->layout;
    uint64_t stripes = formats[layout->format]->has_checks ? layout_stripes(layout) : 0;
    bool intact = true;

    for (uint64_t i = 0; i < stripes && intact && !atomic_load(stop); i++) {
        cleanup_buffer struct buffer block = NO_BUFFER;
        int r =
            copy_read(copy, layout_block_offset(layout, i), layout_block_size(layout, i), &block);
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
static bool has_shown_content(const struct inspection *inspection, const struct copy *copy)
{
    const struct share_layout *layout = &inspection->version.layout;
    uint8_t index = copy->facts->header.index;
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_buffer struct buffer data = NO_BUFFER, right = NO_BUFFER;
    uint8_t digest[HASH_SIZE];
    bool same = !formats[layout->format]->has_checks && inspection->depth->part >= 1 &&
                inspection->settled &&
                version_is_like(&copy->facts->header, &inspection->version) &&
                encoder_new(layout, 1, &index, &encoder) == 0 &&
                buffer_take(layout_full_stripe_size(layout), &data) == 0 &&
                buffer_take(layout_full_block_size(layout), &right) == 0;

    for (uint64_t i = 0; same && i < layout_stripes(layout); i++) {
        cleanup_buffer struct buffer block = NO_BUFFER;
        size_t size = layout_block_size(layout, i);
        same = !atomic_load(inspection->depth->stop) &&
               stripe_read(inspection->shares, i, NULL, data.data, digest) == 0 &&
               encoder_run(encoder, i, data.data, digest, &right.data) == 0 &&
               copy_read(copy, layout_block_offset(layout, i), size, &block) == 0 &&
               memcmp(block.data, right.data, size) == 0;
    }
    return same;
}

static void judge_stale(const struct inspection *inspection, const struct copy *copy,
                        struct copy_report *report)
{
    const struct share_set *set = inspection->shares;
    unsigned shares = 0;

    /* Metadata tell no difference there, and would not be mended: the whole share is. */
    if (!times_agree(&copy->ballot.status.st_mtim, &inspection->status.st_mtim) &&
        has_shown_content(inspection, copy)) {
        report->state = COPY_GOOD;
        report->intact = report->other_time = true;
        return;
    }
    report->state = COPY_STALE;
    report->intact = inspection->depth->part >= 1 &&
                     mend_has_claim(&list_of(inspection)->quorum, set->facts, set->count,
                                    (size_t)(copy - set->copies), &inspection->version, &shares) &&
                     has_intact_blocks(copy, inspection->depth->stop);
    report->claim = report->intact ? shares : 0;
}

/*
 * Returns true if the time of a copy, where times do not tell versions apart, lacks the fractions
 * of what is shown, though its store keeps these: once they tell again, it would be of another
 * version.
 */
static bool has_lost_fractions(const struct inspection *inspection, const struct copy *copy)
{
    const struct timespec *shown = &inspection->status.st_mtim;
    const struct timespec *own = &copy->ballot.status.st_mtim;
    uint64_t unit = times_granularity_in(own, copy->facts->time_unit);

    return copy->facts->untimed && times_granularity(shown) < times_granularity(own) &&
           times_agree(own, shown) && !times_agree_at(own, shown, unit);
}

/* Judges one copy of a share. */
static void judge_copy(const struct inspection *inspection, struct copy *copy,
                       struct copy_report *report)
{
    const struct copy_facts *facts = copy->facts;

    report->index = copy->index;
    report->bad_header = !facts->has_header || facts->misplaced;
    report->other_format = facts->other_format;
    if (!report->bad_header && copy->role != COPY_MEMBER) {
        judge_stale(inspection, copy, report);
        return;
    }
    report->bad_size =
        !report->bad_header && facts->size != layout_share_size(&facts->header.layout);
    if (copy->role == COPY_MEMBER || copy->role == COPY_NAMELESS) {
        report->damage = copy->damage;
        copy->damage = (struct damage){0};
    }
    if (report->bad_header || report->bad_size || report->damage.count > 0)
        report->state = COPY_DAMAGED;
    else
        report->state = copy->failure ? COPY_UNREADABLE : copy->differs ? COPY_STALE : COPY_GOOD;
    report->error = report->state == COPY_UNREADABLE ? copy->failure : 0;
    report->other_content = copy->differs;
    report->intact = report->state == COPY_GOOD || report->state == COPY_STALE;
    if (report->state == COPY_GOOD && has_lost_fractions(inspection, copy)) {
        report->state = COPY_STALE; /* metadata would not be mended there: see judge_stale */
        report->intact = false;
    }
}

static void limit_spare(struct inspection *inspection, int spare)
{
    if (inspection->spare > spare)
        inspection->spare = spare;
}

/* Returns true if another version takes this one's place once this one has fewer than it needs. */
static bool has_rival(const struct inspection *inspection)
{
    const struct share_set *set = inspection->shares;
    const struct quorum *quorum = &list_of(inspection)->quorum;
    bool found = false;

    for (size_t i = 0; i < set->count && !found; i++) {
        const struct share_header *header = &set->facts[i].header;
        found = set->facts[i].has_header && set->copies[i].role != COPY_MEMBER &&
                (header->mtime_ns >= inspection->version.mtime_ns ||
                 version_count(quorum, set->facts, set->count, header).complete);
    }
    return found;
}

/* As mend_spare, with OTHERS as well: copies of which each has most likely a share of its own. */
static int spare_with(unsigned at[256], unsigned others, unsigned needed)
{
    for (unsigned i = 0; i < 256 && others > 0; i++) {
        if (at[i] == 0) {
            at[i] = 1;
            others--;
        }
    }
    return mend_spare(at, needed);
}

/* Returns how many stores may be lost before too few have the name. */
static int spare_by_votes(const struct inspection *inspection)
{
    const struct survey *survey = &inspection->survey;
    unsigned at[256] = {0}, others = 0;

    for (size_t i = 0; i < inspection->count; i++) {
        const struct ballot *ballot = &survey->ballots[i];
        if (ballot->cast && ballot->voter >= 0 && ballot->voter < VOTER_NAMELESS)
            at[ballot->voter]++;
        else if (ballot->cast)
            others += ballot->voter >= 0 || S_ISREG(ballot->status.st_mode);
    }
    return spare_with(at, others, survey->ruling.needed);
}

/*
 * Returns how many stores may be lost by what headers and sizes say, as if all blocks were good.
 * Counts members and, unless OWN, the other copies that lend blocks and are long enough.
 */
static int spare_by_headers(const struct inspection *inspection, bool own)
{
    const struct share_set *set = inspection->shares;
    const struct share_layout *layout = &inspection->version.layout;
    bool empty = layout->source_size == 0; /* and without blocks to lend */
    unsigned at[256] = {0}, nameless = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        bool is_short = !empty && copy->facts->size < layout_share_size(layout);
        if (copy->role == COPY_USELESS || (own && copy->role != COPY_MEMBER) ||
            (copy->role == COPY_OTHER && !copy->shares) || (!own && is_short))
            continue;
        if (copy->facts->has_header)
            at[copy->facts->header.index]++;
        else
            nameless += !empty;
    }
    return spare_with(at, nameless, set->version.needed);
}

/* What the headers say alone; blocks that are looked at (ALL of them) can make it less. */
static void count_by_headers(struct inspection *inspection, bool all)
{
    const struct share_set *set = inspection->shares;
    int headers = 0;

    inspection->spare = all ? INT_MAX : spare_by_headers(inspection, false);
    if (inspection->spare < 0) /* copies that are cut off may do: that is for their blocks to say */
        inspection->spare = 0;
    for (size_t i = 0; i < set->count; i++)
        headers += set->copies[i].role == COPY_MEMBER;
    limit_spare(inspection, headers - 1); /* without one, nothing says what the file is */
    limit_spare(inspection, spare_by_votes(inspection));
    if (has_rival(inspection)) {
        int own = spare_by_headers(inspection, true);
        limit_spare(inspection, own > 0 ? own : 0);
    }
}

/* Reads the blocks of the version that is shown, as many as the depth says. */
static int inspect_version(struct inspection *inspection)
{
    const struct sweep_depth *depth = inspection->depth;
    bool has_blocks = inspection->version.layout.source_size > 0;

    inspection->settled = true;
    inspection->whole = inspection->shares->version.whole;
    inspection->rival = inspection->shares->version.rival;
    count_by_headers(inspection, depth->part >= 1 && has_blocks);
    return has_blocks && (depth->part > 0 || depth->glance) ? sweep_run(inspection) : 0;
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

/* Sets what proves the stripes of the version, where there is a key. Returns 0; -EKEYREJECTED
 * where the key says that there is no such version; or a shortage. */
static int take_prover(struct inspection *inspection)
{
    struct unsealer *unsealer = inspection->terms->unsealer;

    if (!unsealer)
        return 0;
    int r = unsealer->prover(unsealer, inspection->path, &inspection->version,
                             &inspection->shares->prover);
    return r == 0 && inspection->sealed.refused ? -EKEYREJECTED : r;
}

static void lose_all(struct inspection *inspection)
{
    const struct share_layout *layout = &inspection->version.layout;

    inspection->spare = -1;
    if (layout->required > 0 && layout->source_size > 0)
        damage_add_end(&inspection->lost, 0, layout_stripes(layout) - 1);
}

/* Notes how many shares there are, too few, and with which K they would be enough. */
static void note_missing_shares(struct inspection *inspection)
{
    const struct share_set *set = inspection->shares;

    inspection->would_need = version_would_need(&set->quorum, set->facts, set->count);
    inspection->found = set->version.whole;
    inspection->untimed = set->version.untimed;
    inspection->needed =
        set->verdict == SHARES_NONE ? inspection->survey.ruling.needed : set->version.needed;
}

static int inspect_shares(struct inspection *inspection)
{
    bool lost = inspection->survey.ruling.verdict == NAME_LOST;

    /* Copies that could not be opened are unreadable; the others are judged. */
    for (size_t i = 0; i < inspection->count; i++) {
        struct copy_report *report = &inspection->copies[i];
        if (report->state != COPY_GOOD)
            continue;
        report->state = COPY_UNREADABLE;
        report->error = look_answer(&inspection->survey.inquiry, i)->object.open_error;
    }
    int r = share_set_new(&inspection->survey.inquiry, inspection->terms, inspection->path, 0,
                          &inspection->shares);
    if (is_shortage(r))
        return r;
    inspection->spare = -1;
    if (r < 0)
        return 0;
    struct share_set *set = inspection->shares;
    share_set_status(set, &inspection->status);
    inspection->version = set->version.header;
    if (share_set_header(set))
        compare_unopened(inspection);
    int checked = lost ? 0 : share_set_check(set);
    r = !lost && checked == 0 ? take_prover(inspection) : 0;
    if (!lost && checked == 0 && r == 0)
        r = inspect_version(inspection);
    else
        lose_all(inspection);
    r = r == -EKEYREJECTED ? 0 : r;
    inspection->conflict = set->verdict == SHARES_CONFLICT || set->trust.conflict;
    if (inspection->conflict)
        inspection->conflict_text = conflict_describe(set);
    else if (!share_set_header(set) || lost)
        note_missing_shares(inspection);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        struct copy_report *report = report_on(inspection, set->copies[i].store);
        if (report)
            judge_copy(inspection, &set->copies[i], report);
    }
    return r == 0 && checked == -ETIMEDOUT ? checked : r;
}

int inspection_make(const struct share_terms *terms, const char *path,
                    const struct sweep_depth *depth,
                    int (*expected)(const void *context, const struct store *store),
                    const void *context, struct inspection *ret)
{
    struct survey *survey = &ret->survey;

    *ret = NO_INSPECTION;
    ret->terms = terms;
    ret->path = path;
    ret->depth = depth;
    int r = survey_make(terms, path, NULL, survey);
    if (r == 0)
        r = store_name_is_shown(terms, path, survey);
    if (r < 0)
        return r;
    ret->hidden = r == 0;
    r = terms->unsealer ? terms->unsealer->look(terms->unsealer, path, &ret->sealed) : 0;
    if (r < 0)
        return r;
    const mode_t owed = ret->sealed.kind; /* by its directory's manifest, whoever has it */
    const bool lacking = owed && survey->ruling.verdict != NAME_CONFLICT &&
                         (ret->hidden || (survey->status.st_mode & S_IFMT) != owed);
    ret->hidden &= !owed;
    ret->leftover = ret->hidden && leftover_is_path(path);
    if (!ret->hidden && leftover_is_path(path)) {
        survey_clear(survey); /* that judgement took its files */
        r = survey_make(terms, path, NULL, survey);
        if (r < 0)
            return r;
    }
    ret->status = survey->status;
    ret->copies = calloc(list_of(ret)->count + 1, sizeof *ret->copies);
    if (!ret->copies)
        return -ENOMEM;
    ret->count = list_of(ret)->count;
    judge_names(ret);
    if (ret->hidden)
        return 0;
    r = 0;
    if (lacking) {
        ret->spare = -1;
    } else if (S_ISREG(ret->status.st_mode) && survey->ruling.verdict != NAME_CONFLICT) {
        r = inspect_shares(ret);
        for (size_t i = 0; expected && i < ret->count; i++) {
            struct copy_report *report = &ret->copies[i];
            int index = expected(context, list_of(ret)->stores[i]);
            if (report->state == COPY_GOOD && index >= 0 && report->index != index)
                report->state = COPY_MISPLACED;
        }
    } else { /* what is no file is whole in each store that has it */
        ret->conflict = survey->ruling.verdict == NAME_CONFLICT;
        ret->conflict_text = ret->conflict ? survey_describe(survey) : NULL;
        ret->spare = survey->ruling.verdict == NAME_SETTLED ? spare_by_votes(ret) : -1;
    }
    /* A store that could not be looked at may have what is missed: nothing is lost for certain. */
    for (size_t i = 0; r == 0 && ret->spare < 0 && i < ret->count; i++)
        r = is_no_verdict(ret->copies[i].error) ? ret->copies[i].error : 0;
    return r == 0 && depth->part > 0 && ret->spare >= 0 ? judge_metadata(ret) : r;
}

const char *inspection_path(const struct inspection *inspection)
{
    return inspection->sealed.path ? inspection->sealed.path : inspection->path;
}

bool copy_is_wrong(const struct copy_report *report)
{
    return (report->state != COPY_GOOD && !report->cannot_be) || report->other_metadata;
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
