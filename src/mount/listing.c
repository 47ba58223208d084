/* SPDX-License-Identifier: MIT */
#include "mount/listing.h"

#include "base/pool.h"
#include "base/thread.h"
#include "tree/tree.h"

enum {
    DOTS = 2,
    NAMES_WORTH_A_THREAD = 32,
};

/* An inode number for names without attributes: entries of number 0 are skipped by readdir(3). */
static const ino_t INODE_UNKNOWN = 0xffffffff;

/* The names that there is room for, and their look-ups under way. */
struct look_ups {
    struct mounted *mounted;
    const struct directory_part *directory;
    size_t count, wanted; /* all of them, and those that the listing itself does not answer */
    size_t left_out;      /* that has no attributes though they are asked for; COUNT: none */
    struct fuse_entry_param *entries;
    atomic_size_t next; /* that no one looks up yet */
};

/* Number AT of the listing: the dots come first. */
static const char *name_at(const struct directory_part *directory, size_t at)
{
    return at < DOTS ? at == 0 ? "." : ".." : names_get(directory->names, at - DOTS);
}

/* Adds number AT of the listing to DATA. Returns the bytes that it takes, also if SIZE is less. */
static size_t add_name(fuse_req_t request, const struct directory_part *directory, size_t at,
                       const struct fuse_entry_param *entry, char *data, size_t size)
{
    const char *name = name_at(directory, at);

    return directory->plus
               ? fuse_add_direntry_plus(request, data, size, name, entry, (off_t)(at + 1))
               : fuse_add_direntry(request, data, size, name, &entry->attr, (off_t)(at + 1));
}

/* What the directory says of the name at PLACE; NULL where that is nothing, or not all. */
static const struct listed *known_of(const struct look_ups *look_ups, size_t place)
{
    const struct directory_part *directory = look_ups->directory;
    const struct listed *name = &directory->names->items[directory->offset + place - DOTS];
    bool enough = place == look_ups->left_out ||
                  (directory->detail == DETAIL_NAMES && !(directory->plus && S_ISDIR(name->kind)));

    return name->kind != 0 && enough ? name : NULL;
}

/*
 * Where a name has no attributes to show (it is gone, or cannot be read) the name alone is shown,
 * and whoever looks it up hears why.
 */
static void look_up(const struct look_ups *look_ups, size_t place)
{
    const struct directory_part *directory = look_ups->directory;
    struct fuse_entry_param *entry = &look_ups->entries[place];
    size_t at = directory->offset + place;
    const struct listed *known = at < DOTS ? NULL : known_of(look_ups, place);

    if (at < DOTS || known) {
        entry->attr.st_mode = known ? known->kind : S_IFDIR;
        entry->attr.st_ino = known ? known->inode : NODE_ROOT;
        return;
    }
    const char *name = name_at(directory, at);
    int r = directory->plus ? mounted_look_up(look_ups->mounted, directory->node, name, entry)
                            : mounted_stat(look_ups->mounted, directory->node, name, &entry->attr);
    if (r < 0)
        *entry = (struct fuse_entry_param){.attr.st_ino = INODE_UNKNOWN};
}

static void look_up_next(void *opaque)
{
    struct look_ups *look_ups = opaque;
    size_t place;

    tree_stay_nearby();
    while ((place = atomic_fetch_add(&look_ups->next, 1)) < look_ups->count)
        look_up(look_ups, place);
    tree_leave_nearby();
}

/*
 * How many threads the names are worth: what is far away is waited for; what is made from stores
 * at hand takes processors, and some of it longer than to start a thread.
 */
static size_t threads_for(const struct look_ups *look_ups)
{
    size_t worth = 1 + look_ups->wanted / NAMES_WORTH_A_THREAD;

    if (mounted_is_slow(look_ups->mounted))
        return look_ups->wanted;
    if (look_ups->mounted->view->live || worth == 1)
        return 1;
    size_t processors = thread_processors();
    return worth < processors ? worth : processors;
}

int listing_fill(fuse_req_t request, const struct directory_part *directory, char *data,
                 size_t size, size_t *ret)
{
    static const struct fuse_entry_param nothing;
    struct look_ups look_ups = {.mounted = fuse_req_userdata(request), .directory = directory};
    const struct names *names = directory->names;
    size_t count = 0, needed = 0, filled = 0;

    for (; directory->offset + count < names->count + DOTS; count++) {
        needed += add_name(request, directory, directory->offset + count, &nothing, NULL, 0);
        if (needed > size)
            break;
    }
    cleanup_free struct fuse_entry_param *entries = calloc(count + 1, sizeof *entries);
    if (!entries)
        return -ENOMEM;
    look_ups.entries = entries;
    look_ups.count = look_ups.left_out = count;
    if (directory->detail == DETAIL_ALL_BUT_ONE && directory->offset == 0) {
        size_t place = DOTS;
        while (place < count && !S_ISREG(names->items[place - DOTS].kind))
            place++;
        if (place < count) {
            look_ups.left_out = place;
            interest_note_left_out(&look_ups.mounted->interest);
        }
    }
    for (size_t place = 0; place < count; place++)
        look_ups.wanted += directory->offset + place >= DOTS && !known_of(&look_ups, place);
    team_run(NULL, threads_for(&look_ups), look_up_next, &look_ups);
    for (size_t i = 0; i < count; i++)
        filled += add_name(request, directory, directory->offset + i, &entries[i], data + filled,
                           size - filled);
    *ret = filled;
    return 0;
}
