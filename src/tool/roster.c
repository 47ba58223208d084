/* SPDX-License-Identifier: MIT */
#include "tool/roster.h"

#include "tool/visit.h"
#include "view/look.h"
#include "view/share_set.h"
#include "view/store_source.h"
#include "view/survey.h"

struct tally {
    atomic_uint_fast64_t files[256]; /* of each share */
    atomic_int error;                /* as roster_entry has it */
};

struct rostering {
    struct visit visit;
    struct roster *roster;
    struct tally *tallies; /* one for each entry */
};

static void note_copy(struct rostering *rostering, const struct copy *copy)
{
    for (size_t i = 0; i < rostering->roster->count; i++) {
        if (rostering->roster->entries[i].store == copy->store)
            atomic_fetch_add(&rostering->tallies[i].files[copy->facts.header.index], 1);
    }
}

static void look_at_shares(struct rostering *rostering, const char *path,
                           const struct survey *survey)
{
    struct source *source = rostering->visit.source;
    struct progress *progress = rostering->visit.progress;
    cleanup_share_set struct share_set *set = NULL;

    atomic_fetch_add(&progress->all_files, 1);
    int r = share_set_new(&survey->inquiry, store_source_terms(source), path, 0, &set);
    if (r == -ENOMEM)
        atomic_store(&rostering->visit.result, r);
    if (r < 0)
        return;
    const struct copies *copies = share_set_copies(set);
    for (size_t i = 0; i < copies->count; i++) {
        if (copies->items[i].facts.has_header)
            note_copy(rostering, &copies->items[i]);
    }
    if (share_set_header(set))
        atomic_fetch_add(&progress->all_bytes, share_set_header(set)->layout.source_size);
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

/* Whoever comes to it later says what is wrong with a name. */
static void look_at(struct rostering *rostering, const char *path)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(store_source_stores(rostering->visit.source), path, NULL, &survey);
    if (r < 0) {
        note_error(rostering, NULL, r);
        return;
    }
    note_errors(rostering, &survey.inquiry);
    if (S_ISDIR(survey.status.st_mode))
        visit_into(&rostering->visit, path);
    else if (S_ISREG(survey.status.st_mode))
        look_at_shares(rostering, path, &survey);
}

static void look_at_part(struct visit *visit, const char *directory, const struct names *names,
                         size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        cleanup_free char *path = visit_join(directory, names_get(names, i));
        if (path)
            look_at((struct rostering *)visit, path);
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

static int begin(struct rostering *rostering, struct store_list *list)
{
    struct roster *roster = rostering->roster;

    roster->entries = calloc(list->count + 1, sizeof *roster->entries);
    rostering->tallies = calloc(list->count + 1, sizeof *rostering->tallies);
    if (!roster->entries || !rostering->tallies)
        return -ENOMEM;
    roster->left_out = list->left_out;
    for (size_t i = 0; i < list->count; i++)
        roster->entries[roster->count++] =
            (struct roster_entry){store_hold(list->stores[i]), ROSTER_UNKNOWN, 0, 0};
    return 0;
}

static void settle(struct roster_entry *entry, struct tally *tally)
{
    for (int share = 0; share < 256; share++) {
        uint64_t files = atomic_load(&tally->files[share]);
        if (files > entry->files) {
            entry->files = files;
            entry->share = share;
        }
    }
    entry->error = atomic_load(&tally->error);
    if (entry->files == 0)
        store_silence(entry->store);
}

int roster_make(struct source *source, unsigned jobs, struct progress *progress, struct roster *ret)
{
    struct rostering rostering = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .roster = ret,
    };
    cleanup_store_list struct store_list *list = NULL;

    *ret = (struct roster){0};
    int r = stores_now(store_source_stores(source), &list);
    if (r == 0)
        r = begin(&rostering, list);
    if (r == 0)
        r = visit_run(&rostering.visit, jobs);
    for (size_t i = 0; r == 0 && i < ret->count; i++)
        settle(&ret->entries[i], &rostering.tallies[i]);
    free(rostering.tallies);
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

void roster_clear(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++)
        store_release(roster->entries[i].store);
    free(roster->entries);
    *roster = (struct roster){0};
}
