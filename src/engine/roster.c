/* SPDX-License-Identifier: MIT */
#include "engine/roster.h"

#include "base/array.h"
#include "base/lock.h"
#include "base/shortage.h"
#include "base/times.h"
#include "engine/visit.h"
#include "restore/attributes.h"
#include "restore/look.h"
#include "restore/store_names.h"
#include "restore/survey.h"
#include "trust/leftover.h"
#include "view/store_source.h"

struct scattered_piece {
    char *path;
    const char *other; /* another name's path, with whose shares there are enough; or NULL */
    bool alone;        /* there are enough by their own k, though not by K */
    struct {
        int64_t size, time, required, block_size, total;
    } version;
    bool shares[256];
};

static bool is_share_of(const struct copy_facts *facts, const struct share_header *version)
{
    return facts->has_header && !facts->misplaced && version_is_same(&facts->header, version);
}

/*
 * Adds the versions of which PATH has shares, but fewer than they need. Without checks, the time is
 * that of the share's file, which some storage rounds down to two seconds: times within the same
 * two are taken for equal.
 */
static int add_pieces(struct roster *roster, const char *path, const struct quorum *quorum,
                      const struct copy_facts facts[], size_t count)
{
    enum { COARSEST = 2000000000 };

    for (size_t i = 0; i < count; i++) {
        const struct share_header *header = &facts[i].header;
        const struct version version = version_count(quorum, facts, count, header);
        const unsigned enough = header->layout.required + version.untimed;
        bool skipped = !is_share_of(&facts[i], header) || version.complete;
        for (size_t j = 0; j < i && !skipped; j++)
            skipped = is_share_of(&facts[j], header);
        if (skipped)
            continue;
        int r = array_grow(&roster->pieces, sizeof *roster->pieces, roster->piece_count + 1,
                           &roster->piece_room);
        if (r < 0)
            return r;
        struct scattered_piece *piece = &roster->pieces[roster->piece_count];
        *piece = (struct scattered_piece){
            .path = strdup(path),
            .alone = version.whole >= enough,
            .version = {(int64_t)header->layout.source_size, header->mtime_ns,
                        header->layout.required, header->layout.block_size, header->total},
        };
        if (!piece->path)
            return -ENOMEM;
        roster->piece_count++;
        if (!formats[header->layout.format]->has_checks)
            piece->version.time = header->mtime_ns / COARSEST - (header->mtime_ns % COARSEST < 0);
        for (size_t j = i; j < count; j++) {
            if (is_share_of(&facts[j], header))
                piece->shares[facts[j].header.index] = true;
        }
    }
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct scattered_piece *)a)->path,
                  ((const struct scattered_piece *)b)->path);
}

/* In any order, but pieces of one version together. */
static int compare_versions(const struct scattered_piece *a, const struct scattered_piece *b)
{
    return memcmp(&a->version, &b->version, sizeof a->version);
}

static int compare_pieces(const void *a, const void *b)
{
    int order = compare_versions(a, b);

    return order == 0 ? compare_paths(a, b) : order;
}

/* Notes another name with each piece, where there are enough shares of its version; then sorts by
 * path. */
static void settle_pieces(struct scattered_piece pieces[], size_t count)
{
    size_t end;

    if (count == 0)
        return;
    qsort(pieces, count, sizeof *pieces, compare_pieces);
    for (size_t start = 0; start < count; start = end) {
        bool there[256] = {false};
        unsigned shares = 0;
        for (end = start; end < count && compare_versions(&pieces[start], &pieces[end]) == 0;
             end++) {
            for (unsigned share = 0; share < 256; share++) {
                shares += pieces[end].shares[share] && !there[share];
                there[share] |= pieces[end].shares[share];
            }
        }
        const char *first = pieces[start].path, *last = pieces[end - 1].path;
        /* Of an empty file there is nothing to restore. */
        if (shares < pieces[start].version.required || strcmp(first, last) == 0 ||
            pieces[start].version.size == 0)
            continue;
        for (size_t i = start; i < end; i++)
            pieces[i].other = strcmp(pieces[i].path, first) == 0 ? last : first;
    }
    qsort(pieces, count, sizeof *pieces, compare_paths);
}

struct scattered roster_scattered(const struct roster *roster, const char *path, bool beneath)
{
    struct scattered ret = {.other = NULL};
    const size_t length = strlen(path);
    size_t low = 0, high = roster->piece_count;

    while (low < high) { /* for the first piece whose path is not before PATH */
        size_t middle = (low + high) / 2;
        if (strcmp(roster->pieces[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; i < roster->piece_count; i++) {
        const struct scattered_piece *piece = &roster->pieces[i];
        if (strncmp(piece->path, path, length) != 0)
            break;
        if (piece->path[length] != '\0' && !(beneath && piece->path[length] == '/'))
            continue;
        ret.alone |= piece->alone;
        ret.other = ret.other ? ret.other : piece->other;
    }
    return ret;
}

struct rostering {
    struct visit visit;
    struct roster *roster;
    pthread_mutex_t lock; /* of the roster's pieces */
};

/* Notes why STORE, or any (NULL), could not say something. */
static void note_error(struct rostering *rostering, const struct store *store, int error)
{
    struct roster *roster = rostering->roster;

    for (size_t i = 0; i < roster->count; i++) {
        if (error < 0 && error != -ENOENT && error != -ENOTDIR &&
            (!store || roster->entries[i].store == store))
            atomic_store(&roster->entries[i].error, error);
    }
}

/* Counts a name for each store. Returns true if one has a directory there. */
static bool note_stores(struct rostering *rostering, const char *path, const struct survey *survey)
{
    struct roster *roster = rostering->roster;
    const struct inquiry *looks = &survey->inquiry;
    enum name_verdict verdict = survey->ruling.verdict;
    bool believed = verdict == NAME_SETTLED || verdict == NAME_LOST, directory = false;
    bool leftover = leftover_is_name(visit_last_name(path));
    size_t having = 0;

    atomic_fetch_add(&roster->believed, believed);
    for (size_t i = 0; i < looks->list->count; i++)
        having += inquiry_result(looks, i) == 0;
    for (size_t i = 0; i < looks->list->count; i++) {
        int r = inquiry_result(looks, i);
        const struct tree_object *object = r == 0 ? &look_answer(looks, i)->object : NULL;
        struct roster_entry *entry = i < roster->count ? &roster->entries[i] : NULL;
        note_error(rostering, looks->list->stores[i], object ? object->open_error : r);
        directory |= object && S_ISDIR(survey->ballots[i].status.st_mode);
        if (!entry || entry->store != looks->list->stores[i])
            continue;
        atomic_fetch_add(&entry->missing, believed && (r == -ENOENT || r == -ENOTDIR));
        if (!object || !S_ISREG(object->status.st_mode) || leftover)
            continue;
        atomic_fetch_add(&entry->files, 1);
        atomic_fetch_add(&entry->alone, having == 1 || verdict == NAME_FOREIGN);
    }
    return directory;
}

/* Notes for each store how it keeps a name that is settled. */
static void note_limits(struct rostering *rostering, const struct survey *survey)
{
    const struct share_terms *terms = store_source_terms(rostering->visit.source);
    const struct inquiry *looks = &survey->inquiry;
    struct roster *roster = rostering->roster;
    HOLD(&rostering->lock);

    for (size_t i = 0; i < looks->list->count && i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        const struct ballot *ballot = &survey->ballots[i];
        int r = inquiry_result(looks, i);
        struct timespec time;
        bool knows_time = false;
        /* A store that failed, or is empty, says nothing about its storage. */
        if (entry->store != looks->list->stores[i] || entry->empty ||
            (!ballot->cast && r != -ENOENT && r != -ENOTDIR))
            continue;
        if (ballot->cast && ballot->has_header && formats[terms->format]->has_checks) {
            struct copy_facts facts;
            look_ballot(looks, terms, i, &facts);
            time = times_of_ns(facts.header.mtime_ns);
            knows_time = true;
        }
        limits_note(&entry->seen, ballot->cast ? &ballot->status : NULL, &survey->status,
                    knows_time ? &time : NULL);
    }
}

/* Notes the shares of versions that have too few under this name. Returns 0 or -ENOMEM. */
static int note_scattered(struct rostering *rostering, const char *path,
                          const struct survey *survey)
{
    const struct share_terms *terms = store_source_terms(rostering->visit.source);
    const struct inquiry *looks = &survey->inquiry;
    cleanup_free struct copy_facts *facts = calloc(looks->list->count + 1, sizeof *facts);
    size_t count = 0;

    for (size_t i = 0; facts && i < looks->list->count; i++) {
        if (inquiry_result(looks, i) == 0 && S_ISREG(look_answer(looks, i)->object.status.st_mode))
            look_ballot(looks, terms, i, &facts[count++]);
    }
    if (!facts)
        return -ENOMEM;
    version_settle_times(facts, count, 0);
    HOLD(&rostering->lock);
    return add_pieces(rostering->roster, path, &looks->list->quorum, facts, count);
}

/* Counts a file for the progress. What its headers say of its size is no more than that. */
static void count_file(struct rostering *rostering, const struct survey *survey)
{
    struct progress *progress = rostering->visit.progress;
    const struct share_terms *terms = store_source_terms(rostering->visit.source);
    const struct inquiry *looks = &survey->inquiry;

    atomic_fetch_add(&progress->all_files, 1);
    for (size_t i = 0; i < looks->list->count; i++) {
        struct copy_facts facts;
        if (!survey->ballots[i].cast || !survey->ballots[i].has_header)
            continue;
        look_ballot(looks, terms, i, &facts);
        if (facts.size == layout_share_size(&facts.header.layout)) {
            atomic_fetch_add(&progress->all_bytes, facts.header.layout.source_size);
            return;
        }
    }
}

/* Storage whose root says that it keeps no attributes keeps none: rclone's mounts answer with an
 * error for those of a file. */
static int settle_limits(struct source *source, const struct store_list *list,
                         struct roster *roster)
{
    cleanup_free enum attributes_state *states = calloc(list->count + 1, sizeof *states);

    if (!states)
        return -ENOMEM;
    int r = attributes_compare(store_source_terms(source), "", list, states);
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        entry->limits = limits_of(&entry->seen, store_is_remote(entry->store),
                                  store_is_of_rclone(entry->store));
        if (r == 0 && states[i] == ATTRIBUTES_IMPOSSIBLE)
            entry->limits |= LIMIT_ATTRIBUTES;
    }
    return is_shortage(r) ? r : 0;
}

/* Reports nothing: check and repair visit the name again and do. */
static void look_at_name(struct visit *visit, const char *path, void *part)
{
    struct rostering *rostering = (struct rostering *)visit;
    struct source *source = visit->source;
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(store_source_terms(source), path, NULL, &survey);
    if (is_shortage(r))
        atomic_store(&visit->result, r);
    if (r < 0) {
        note_error(rostering, NULL, r);
        return;
    }
    if (store_name_is_description(store_source_terms(visit->source), path, &survey))
        return;
    bool directory = note_stores(rostering, path, &survey);
    r = note_scattered(rostering, path, &survey);
    if (r < 0)
        atomic_store(&visit->result, r);
    if (survey.ruling.verdict == NAME_SETTLED)
        note_limits(rostering, &survey);
    if (survey.ruling.verdict == NAME_SETTLED && S_ISREG(survey.status.st_mode))
        count_file(rostering, &survey);
    if (directory) /* also where too few may have it for it to be shown */
        visit_into(visit, path);
}

static void note_failure(struct visit *visit, const char *path, int error)
{
    note_error((struct rostering *)visit, NULL, error);
}

int roster_make(struct source *source, unsigned jobs, struct progress *progress, struct roster *ret)
{
    static const struct visit_operations operations = {
        .name = look_at_name,
        .failed = note_failure,
    };
    struct rostering rostering = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .roster = ret,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    cleanup_store_list struct store_list *list = NULL;

    *ret = (struct roster){0};
    int r = stores_now(store_source_stores(source), &list);
    if (r < 0)
        return r;
    ret->entries = calloc(list->count + 1, sizeof *ret->entries);
    if (!ret->entries)
        return -ENOMEM;
    ret->left_out = list->left_out;
    ret->quorum = list->quorum;
    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        /* A store that did not answer is not to be taken for one without shares. */
        int error = store_voice(list->stores[i], &voice) ? 0
                    : list->why_unheard < 0              ? list->why_unheard
                                                         : -ETIMEDOUT;
        ret->entries[ret->count++] = (struct roster_entry){
            .store = store_hold(list->stores[i]),
            .share = voice.share,
            .voter = voice.share,
            .required = voice.required,
            .empty = store_list_is_empty(list, i),
            .error = error,
        };
    }
    r = visit_run(&rostering.visit, jobs);
    settle_pieces(ret->pieces, ret->piece_count);
    if (r == 0)
        r = settle_limits(source, list, ret);
    return r == 0 && atomic_load(&progress->stop) ? -ECANCELED : r;
}

int roster_share(const void *opaque, const struct store *store)
{
    const struct roster *roster = opaque;

    for (size_t i = 0; i < roster->count; i++) {
        if (roster->entries[i].store == store)
            return roster->entries[i].share;
    }
    return ROSTER_UNKNOWN;
}

void roster_leave(struct roster_entry *entry)
{
    entry->share = ROSTER_UNKNOWN;
    entry->left = true;
}

struct mend_store roster_entry_holds(const struct roster_entry *entry)
{
    return (struct mend_store){entry->required, entry->files, entry->alone};
}

void roster_excuse(const struct roster *roster, struct inspection *inspection)
{
    const struct store_list *list = inspection->survey.inquiry.list;

    for (size_t i = 0; i < inspection->count && !inspection->hidden; i++) {
        for (size_t at = 0; at < roster->count; at++) {
            if (roster->entries[at].store == list->stores[i])
                limits_excuse(roster->entries[at].limits, inspection, i);
        }
    }
}

bool roster_has_empty(const struct roster *roster)
{
    bool empty = false;

    for (size_t i = 0; i < roster->count; i++)
        empty |= roster->entries[i].empty && !roster->entries[i].added;
    return empty;
}

void roster_clear(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        store_release(roster->entries[i].store);
    free(roster->entries);
    for (size_t i = 0; i < roster->piece_count; i++)
        free(roster->pieces[i].path);
    free(roster->pieces);
    *roster = (struct roster){0};
}
