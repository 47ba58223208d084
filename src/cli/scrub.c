/* SPDX-License-Identifier: MIT */
#include "cli/scrub.h"

#include "base/log.h"
#include "cli/set_stores.h"
#include "cli/standing.h"
#include "sync/state.h"

#include <string.h>

#define FIRST_INTERVAL_S (7.0 * 24 * 60 * 60) /* the timer's, until two runs show it */

/* Returns the node of store number I of ROSTER, by its share; NULL: two stores have that share. */
static struct sync_node *node_of(const struct sync_set *set, const struct roster *roster, size_t i)
{
    int share = roster->entries[i].share;

    for (size_t at = 0; at < roster->count; at++) {
        if (at != i && roster->entries[at].share == share)
            return NULL;
    }
    for (size_t at = 0; at < set->count; at++) {
        if (set->nodes[at].share == share)
            return &set->nodes[at];
    }
    return NULL;
}

/* When a slice was last read at all nodes that were there; SLICE_ILL if it was bad at one. */
struct slice {
    time_t read;
    unsigned number;
};

static int compare_slices(const void *one, const void *other)
{
    const struct slice *first = one, *second = other;

    return first->read < second->read ? -1 : first->read > second->read;
}

/*
 * Returns the slices to read now so that none stays unread for longer than the set allows, if the
 * next run is as far away as the last one is: those that would be too old by then; the oldest,
 * until they are as large a part of all slices as the time since that run is of the whole; and bad
 * ones.
 */
static uint64_t choose_slices(const struct sync_set *set, const struct roster *roster, time_t now)
{
    struct slice slices[CHECK_SLICES];
    time_t last = 0;
    uint64_t ret = 0;
    size_t ill = 0;

    for (unsigned number = 0; number < CHECK_SLICES; number++) {
        struct slice *slice = &slices[number];
        *slice = (struct slice){now, number};
        for (size_t i = 0; i < roster->count; i++) {
            const struct sync_node *node = node_of(set, roster, i);
            time_t read = node && node->memory.read[number] <= now ? node->memory.read[number] : 0;
            if (!node)
                continue;
            slice->read = read < slice->read ? read : slice->read;
            last = read > last ? read : last;
        }
        ill += slice->read == SLICE_ILL;
    }
    qsort(slices, CHECK_SLICES, sizeof *slices, compare_slices);
    double interval = last > 0 ? (double)(now - last) : FIRST_INTERVAL_S;
    double quota = CHECK_SLICES * interval / set->check_within;
    for (size_t i = 0; i < CHECK_SLICES; i++) {
        const struct slice *slice = &slices[i];
        bool is_late =
            slice->read > 0 && (double)(now - slice->read) + interval > (double)set->check_within;
        if (i < ill || (double)(i - ill) < quota || i == ill || is_late)
            ret |= UINT64_C(1) << slice->number;
    }
    return ret;
}

int scrub_begin(const struct options *options, struct sync_set *set, const struct roster *roster,
                struct scrub *ret)
{
    cleanup_free char *folder = NULL;
    int r = 0;

    *ret = (struct scrub){.began = time(NULL),
                          .slices = UINT64_MAX,
                          .ills = calloc(roster->count + 1, sizeof *ret->ills),
                          .roster = roster};
    if (!ret->ills)
        return log_errno(-ENOMEM, "check");
    if (set && options->due) {
        r = state_folder(&folder);
        if (r == 0)
            r = state_read(folder, set);
        if (r == 0 || r == -ENOENT || r == -EBADMSG)
            ret->slices = choose_slices(set, roster, ret->began);
    }
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

void scrub_end(struct scrub *scrub)
{
    free(scrub->ills);
}

static void note_ill(struct scrub *scrub, size_t store, const char *path)
{
    atomic_fetch_or(&scrub->ills[store], UINT64_C(1) << check_slice(path));
}

void scrub_consider(struct scrub *scrub, const char *path, const struct inspection *inspection)
{
    bool is_lost = inspection->lost.count > 0 || inspection->conflict;

    for (size_t i = 0; i < inspection->count; i++) {
        enum copy_state state = inspection->copies[i].state;
        const struct store *store = inspection->survey.inquiry.list->stores[i];
        if (!is_lost && state != COPY_DAMAGED && state != COPY_UNREADABLE)
            continue;
        for (size_t at = 0; at < scrub->roster->count; at++) {
            if (scrub->roster->entries[at].store == store)
                note_ill(scrub, at, path);
        }
    }
}

void scrub_failed(struct scrub *scrub, const char *path)
{
    for (size_t i = 0; i < scrub->roster->count; i++)
        note_ill(scrub, i, path);
}

/* Returns true if a node's store answers, and holds something. */
static bool can_be_read(const struct roster *roster, const char *set, const char *node)
{
    const size_t length = strlen(set);
    struct store_voice voice;

    for (size_t i = 0; i < roster->count; i++) {
        const char *name = store_name(roster->entries[i].store);
        if (strncmp(name, set, length) == 0 && name[length] == '/' &&
            strcmp(name + length + 1, node) == 0)
            return !roster->entries[i].empty && store_voice(roster->entries[i].store, &voice);
    }
    return false;
}

/* Notes which nodes could not be read. For nodes that were not to be read, the old state stays. */
static void note_unread(const struct scrub *scrub, struct sync_set *set,
                        const struct options *options)
{
    for (size_t i = 0; i < set->count; i++) {
        if (can_be_read(scrub->roster, set->name, set->nodes[i].name))
            set->nodes[i].memory.unread = 0;
        else if (set_stores_wanted(options, i))
            set->nodes[i].memory.unread = scrub->began;
    }
}

void scrub_note(const struct scrub *scrub, struct sync_set *set, const struct findings *findings)
{
    enum exit_status status = findings_status(findings);
    bool reads_slices = findings->options->sample >= 1, covers = reads_slices;

    for (size_t i = 0; i < scrub->roster->count; i++) {
        struct sync_node *node = node_of(set, scrub->roster, i);
        if (!node)
            continue;
        struct memory *memory = &node->memory;
        uint64_t bad = store_findings_bad(&findings->stores[i]), left = 0;
        for (unsigned slice = 0; slice < CHECK_SLICES; slice++) {
            uint64_t bit = UINT64_C(1) << slice;
            bool is_read = reads_slices && scrub->slices & bit;
            left += memory->read[slice] == SLICE_ILL && !is_read;
            if (scrub->ills[i] & bit)
                memory->read[slice] = SLICE_ILL;
            else if (is_read)
                memory->read[slice] = scrub->began;
        }
        /* Copies that were not inspected again are as bad as before. */
        covers &= left == 0;
        memory->bad = left > 0 && memory->bad > bad ? memory->bad : bad;
        memory->looked = scrub->began;
    }
    note_unread(scrub, set, findings->options);
    /* A node that was left out is noted at the node. */
    if (status == EXIT_STATUS_DAMAGED && findings->degraded == 0 && findings->foreign == 0 &&
        !roster_has_empty(scrub->roster))
        status = EXIT_STATUS_OK;
    if (!covers && status != EXIT_STATUS_FAILED)
        status = standing_worse((enum exit_status)set->watch.check, status);
    if (covers || status != EXIT_STATUS_FAILED)
        set->watch.check = (int)status;
}
