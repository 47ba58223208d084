/* SPDX-License-Identifier: MIT */
#include "engine/roster.h"

#include "base/shortage.h"
#include "engine/visit.h"
#include "restore/copies.h"
#include "restore/look.h"
#include "restore/survey.h"
#include "trust/leftover.h"
#include "view/store_source.h"

#include <pthread.h>

struct tally;

struct rostering {
    struct visit visit;
    struct roster *roster;
    struct tally *tallies; /* one for each store */
    atomic_uint_fast64_t believed;
    pthread_mutex_t lock; /* of the roster's scattered shares */
};

/* As roster_entry has them. */
struct tally {
    atomic_int error;
    atomic_uint_fast64_t missing, files, alone;
};

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
        copy_facts_read(terms, looks, i, &facts);
        if (facts.size == layout_share_size(&facts.header.layout)) {
            atomic_fetch_add(&progress->all_bytes, facts.header.layout.source_size);
            return;
        }
    }
}

/* Notes why STORE, or any (NULL), could not say something. */
static void note_error(struct rostering *rostering, const struct store *store, int error)
{
    for (size_t i = 0; i < rostering->roster->count; i++) {
        if ((!store || rostering->roster->entries[i].store == store) && error != -ENOENT &&
            error != -ENOTDIR)
            atomic_store(&rostering->tallies[i].error, error);
    }
}

static void note_errors(struct rostering *rostering, const struct inquiry *looks)
{
    for (size_t i = 0; i < looks->list->count; i++) {
        int r = inquiry_result(looks, i);
        if (r == 0)
            r = look_answer(looks, i)->object.open_error;
        if (r < 0)
            note_error(rostering, looks->list->stores[i], r);
    }
}

/* Counts a shown name, and for each store whether it lacks it. */
static void note_missing(struct rostering *rostering, const struct survey *survey)
{
    const struct inquiry *looks = &survey->inquiry;

    atomic_fetch_add(&rostering->believed, 1);
    for (size_t i = 0; i < looks->list->count && i < rostering->roster->count; i++) {
        int r = inquiry_result(looks, i);
        if ((r == -ENOENT || r == -ENOTDIR) &&
            rostering->roster->entries[i].store == looks->list->stores[i])
            atomic_fetch_add(&rostering->tallies[i].missing, 1);
    }
}

/* Counts a file for the stores that have it. */
static void note_files(struct rostering *rostering, const struct survey *survey)
{
    const struct inquiry *looks = &survey->inquiry;
    size_t count = looks->list->count, having = 0;

    for (size_t i = 0; i < count; i++)
        having += inquiry_result(looks, i) == 0;
    bool alone = having == 1 || survey->ruling.verdict == NAME_FOREIGN;
    for (size_t i = 0; i < count && i < rostering->roster->count; i++) {
        if (rostering->roster->entries[i].store != looks->list->stores[i] ||
            inquiry_result(looks, i) < 0 || !S_ISREG(look_answer(looks, i)->object.status.st_mode))
            continue;
        atomic_fetch_add(&rostering->tallies[i].files, 1);
        atomic_fetch_add(&rostering->tallies[i].alone, alone);
    }
}

/* Notes the shares of what this name alone has too few of. Returns 0 or -ENOMEM. */
static int note_scattered(struct rostering *rostering, const char *path,
                          const struct survey *survey)
{
    const struct share_terms *terms = store_source_terms(rostering->visit.source);
    const struct inquiry *looks = &survey->inquiry;
    cleanup_free struct copy_facts *facts = calloc(looks->list->count + 1, sizeof *facts);
    size_t count = 0;

    for (size_t i = 0; facts && i < looks->list->count; i++) {
        if (inquiry_result(looks, i) == 0 && S_ISREG(look_answer(looks, i)->object.status.st_mode))
            copy_facts_read(terms, looks, i, &facts[count++]);
    }
    if (!facts)
        return -ENOMEM;
    version_settle_times(facts, count, 0);
    pthread_mutex_lock(&rostering->lock);
    int r = scattered_add(&rostering->roster->scattered, path, &looks->list->quorum, facts, count);
    pthread_mutex_unlock(&rostering->lock);
    return r;
}

/* Returns true if a store has a directory there, though too few may have it for it to be shown. */
static bool is_directory_anywhere(const struct survey *survey)
{
    bool directory = false;

    for (size_t i = 0; i < survey->inquiry.list->count; i++)
        directory |=
            inquiry_result(&survey->inquiry, i) == 0 && S_ISDIR(survey->ballots[i].status.st_mode);
    return directory;
}

/* Reports nothing: check and repair visit the name again and do. */
static void look_at_name(struct rostering *rostering, const char *path)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    struct source *source = rostering->visit.source;

    int r =
        survey_make(store_source_stores(source), store_source_terms(source), path, NULL, &survey);
    if (is_shortage(r))
        atomic_store(&rostering->visit.result, r);
    if (r < 0) {
        note_error(rostering, NULL, r);
        return;
    }
    note_errors(rostering, &survey.inquiry);
    if (!leftover_is_name(visit_last_name(path)))
        note_files(rostering, &survey);
    r = note_scattered(rostering, path, &survey);
    if (r < 0)
        atomic_store(&rostering->visit.result, r);
    if (survey.ruling.verdict == NAME_SETTLED || survey.ruling.verdict == NAME_LOST)
        note_missing(rostering, &survey);
    if (survey.ruling.verdict == NAME_SETTLED && S_ISREG(survey.status.st_mode))
        count_file(rostering, &survey);
    if (is_directory_anywhere(&survey))
        visit_into(&rostering->visit, path);
}

static void look_at_part(struct visit *visit, const char *directory, const struct names *names,
                         size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        cleanup_free char *path = visit_join(directory, names_get(names, i));
        if (path)
            look_at_name((struct rostering *)visit, path);
        else
            atomic_store(&visit->result, -ENOMEM);
    }
}

static void note_failure(struct visit *visit, const char *path, int error)
{
    note_error((struct rostering *)visit, NULL, error);
}

static const struct visit_operations operations = {
    .part = look_at_part,
    .failed = note_failure,
};

static int begin_roster(struct rostering *rostering, struct store_list *list)
{
    struct roster *roster = rostering->roster;

    roster->entries = calloc(list->count + 1, sizeof *roster->entries);
    rostering->tallies = calloc(list->count + 1, sizeof *rostering->tallies);
    if (!roster->entries || !rostering->tallies)
        return -ENOMEM;
    roster->left_out = list->left_out;
    roster->quorum = list->quorum;
    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        if (!store_voice(list->stores[i],
                         &voice)) /* it is not to be taken for one without shares */
            atomic_store(&rostering->tallies[i].error,
                         list->why_unheard < 0 ? list->why_unheard : -ETIMEDOUT);
        roster->entries[roster->count++] = (struct roster_entry){
            .store = store_hold(list->stores[i]),
            .share = voice.share,
            .empty = store_list_is_empty(list, i),
        };
    }
    return 0;
}

static void take_tally(const struct tally *tally, struct roster_entry *entry)
{
    entry->error = atomic_load(&tally->error);
    entry->missing = atomic_load(&tally->missing);
    entry->files = atomic_load(&tally->files);
    entry->alone = atomic_load(&tally->alone);
}

int roster_make(struct source *source, unsigned jobs, struct progress *progress, struct roster *ret)
{
    struct rostering rostering = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .roster = ret,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    cleanup_store_list struct store_list *list = NULL;

    *ret = (struct roster){0};
    int r = stores_now(store_source_stores(source), &list);
    if (r == 0)
        r = begin_roster(&rostering, list);
    if (r == 0)
        r = visit_run(&rostering.visit, jobs);
    for (size_t i = 0; r == 0 && i < ret->count; i++)
        take_tally(&rostering.tallies[i], &ret->entries[i]);
    ret->believed = atomic_load(&rostering.believed);
    scattered_settle(&ret->scattered);
    free(rostering.tallies);
    pthread_mutex_destroy(&rostering.lock);
    if (r == 0 && atomic_load(&progress->stop))
        r = -ECANCELED;
    return r;
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

bool roster_entry_is_alien(const struct roster_entry *entry)
{
    return 2 * entry->alone > entry->files;
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
    scattered_clear(&roster->scattered);
    *roster = (struct roster){0};
}
