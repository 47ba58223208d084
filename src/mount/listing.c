/* SPDX-License-Identifier: MIT */
#include "mount/listing.h"

#include "base/pool.h"
#include "base/thread.h"
#include "mount/lookup.h"
#include "tree/nearby.h"

#include <stdatomic.h>

enum {
    DOTS = 2,
    NAMES_WORTH_A_THREAD = 32,
};

/* An inode number for names without attributes: entries of number 0 are skipped by readdir(3). */
static const ino_t INODE_UNKNOWN = 0xffffffff;

/* The names that there is room for, and their look-ups under way. */
struct look_ups {
    struct mounted *mounted;
    const struct listing *listing;
    size_t count, wanted; /* all of them, and those that the listing itself does not answer */
    size_t left_out;      /* that has no attributes though they are asked for; COUNT: none */
    struct fuse_entry_param *entries;
    atomic_size_t next; /* that no one looks up yet */
};

/* Number AT of the listing: the dots come first. */
static const char *name_at(const struct names *names, size_t at)
{
    static const char *const dots[DOTS] = {".", ".."};

    return at < DOTS ? dots[at] : names_get(names, at - DOTS);
}

/* Adds number AT of the listing to DATA. Returns the bytes that it takes, also if SIZE is less. */
static size_t add(fuse_req_t request, const struct listing *listing, size_t at,
                  const struct fuse_entry_param *entry, char *data, size_t size)
{
    const char *name = name_at(listing->names, at);

    return listing->plus
               ? fuse_add_direntry_plus(request, data, size, name, entry, (off_t)(at + 1))
               : fuse_add_direntry(request, data, size, name, &entry->attr, (off_t)(at + 1));
}

static size_t count_fitting(fuse_req_t request, const struct listing *listing, size_t size)
{
    static const struct fuse_entry_param nothing;
    size_t at = listing->offset, needed = 0;

    for (; at < listing->names->count + DOTS; at++) {
        needed += add(request, listing, at, &nothing, NULL, 0);
        if (needed > size)
            break;
    }
    return at - listing->offset;
}

/* What the directory says of the name at PLACE; NULL where that is nothing, or not all. */
static const struct listed *known_of(const struct look_ups *look_ups, size_t place)
{
    const struct listing *listing = look_ups->listing;
    const struct listed *name = &listing->names->items[listing->offset + place - DOTS];

    if (name->kind == 0)
        return NULL;
    if (place == look_ups->left_out)
        return name;
    return listing->detail == DETAIL_NAMES && !(listing->plus && S_ISDIR(name->kind)) ? name : NULL;
}

/*
 * Where a name has no attributes to show (it is gone, or cannot be read) the name alone is shown,
 * and whoever looks it up hears why.
 */
static void look_up(const struct look_ups *look_ups, size_t place)
{
    const struct listing *listing = look_ups->listing;
    struct fuse_entry_param *entry = &look_ups->entries[place];
    size_t at = listing->offset + place;
    const char *name = name_at(listing->names, at);
    int r;

    if (at < DOTS) {
        *entry = (struct fuse_entry_param){.attr = {.st_mode = S_IFDIR, .st_ino = NODE_ROOT}};
        return;
    }
    const struct listed *known = known_of(look_ups, place);
    if (known) {
        *entry =
            (struct fuse_entry_param){.attr = {.st_mode = known->kind, .st_ino = known->inode}};
        return;
    }
    if (listing->plus)
        r = lookup_entry(look_ups->mounted, listing->parent, name, entry);
    else
        r = lookup_stat(look_ups->mounted, listing->parent, name, &entry->attr);
    if (r < 0)
        *entry = (struct fuse_entry_param){.attr.st_ino = INODE_UNKNOWN};
}

static void look_up_next(void *opaque)
{
    struct look_ups *look_ups = opaque;
    size_t place;

    nearby_begin();
    while ((place = atomic_fetch_add(&look_ups->next, 1)) < look_ups->count)
        look_up(look_ups, place);
    nearby_end();
}

/*
 * How many threads the names are worth: what is far away is waited for; what is made from stores
 * at hand takes processors, and some of it longer than to start a thread.
 */
static size_t threads_for(const struct look_ups *look_ups)
{
    size_t worth = 1 + look_ups->wanted / NAMES_WORTH_A_THREAD, processors;

    if (lookup_is_slow(look_ups->mounted))
        return look_ups->wanted;
    if (look_ups->mounted->view->live || worth == 1)
        return 1;
    processors = thread_processors();
    return worth < processors ? worth : processors;
}

/* Chooses the file that is left out, if one is to be. */
static void leave_out(struct look_ups *look_ups)
{
    const struct listing *listing = look_ups->listing;
    size_t place = look_ups->count;

    if (listing->detail == DETAIL_ALL_BUT_ONE && listing->offset == 0) {
        for (place = DOTS; place < look_ups->count; place++) {
            if (S_ISREG(listing->names->items[place - DOTS].kind))
                break;
        }
    }
    look_ups->left_out = place;
    if (place < look_ups->count)
        interest_note_left_out(&look_ups->mounted->interest);
}

static void count_wanted(struct look_ups *look_ups)
{
    for (size_t place = 0; place < look_ups->count; place++)
        look_ups->wanted += look_ups->listing->offset + place >= DOTS && !known_of(look_ups, place);
}

int listing_fill(fuse_req_t request, const struct listing *listing, char *data, size_t size,
                 size_t *ret)
{
    struct look_ups look_ups = {
        .mounted = fuse_req_userdata(request),
        .listing = listing,
        .count = count_fitting(request, listing, size),
    };
    cleanup_free struct fuse_entry_param *entries =
        calloc(look_ups.count + 1, sizeof *look_ups.entries);
    size_t filled = 0;

    if (!entries)
        return -ENOMEM;
    look_ups.entries = entries;
    leave_out(&look_ups);
    count_wanted(&look_ups);
    team_run(NULL, threads_for(&look_ups), look_up_next, &look_ups);
    for (size_t i = 0; i < look_ups.count; i++)
        filled +=
            add(request, listing, listing->offset + i, &entries[i], data + filled, size - filled);
    *ret = filled;
    return 0;
}
