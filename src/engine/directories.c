/* SPDX-License-Identifier: MIT */
/*
 * Removes what should not be in a target, and makes directories. These are made before their
 * contents, which change their times; so their metadata is noted first, and set last.
 */
#include "engine/item.h"
#include "engine/partial.h"
#include "seal/key_share.h"
#include "seal/manifest.h"
#include "tree/remove.h"
#include "trust/leftover.h"

#include <fcntl.h>

/* A removal in a target. */
struct cleaning {
    const struct copy_work *copy;
    struct target *target;
    bool kept;       /* something in a directory is not to be removed */
    const char *way; /* the directory that is in the way; else NULL */
};

/*
 * Returns true for a file that describes a directory which is in the way: the source has no such
 * name.
 */
static bool tells_of_way(const struct cleaning *cleaning, const char *path)
{
    const char *last = cleaning->copy->visit.source->last;

    if (!last || !cleaning->way)
        return false;
    cleanup_free char *whole = visit_join(cleaning->way, last);
    return whole && strcmp(whole, path) == 0;
}

/* Leftovers of our interrupted runs are removed without a message. */
static void tell_removed(void *opaque, const char *path)
{
    const struct cleaning *cleaning = opaque;

    if (!temporary_is_name(visit_last_name(path)) && !tells_of_way(cleaning, path))
        copy_tell(cleaning->copy, COPY_REMOVED, path, cleaning->target, 0);
}

static void look_whether_kept(void *opaque, const char *path)
{
    struct cleaning *cleaning = opaque;
    const struct copy_settings *settings = cleaning->copy->settings;

    if (tells_of_way(cleaning, path))
        return;
    cleaning->kept |= !settings->remove;
    if (!cleaning->kept && settings->keeps)
        cleaning->kept = settings->keeps(settings->context, path);
}

int clean_way(const struct copy_work *copy, struct target *target, int directory, const char *path)
{
    const char *name = visit_last_name(path);
    bool dry_run = copy->settings->dry_run;
    struct cleaning cleaning = {copy, target, false, path};
    const struct removal_terms look = {true, look_whether_kept, &cleaning, false};
    const struct removal_terms remove = {dry_run, tell_removed, &cleaning, false};

    int r = remove_contents(directory, name, path, &look);
    if (r == -EACCES && !copy->settings->owned)
        r = 0; /* removing opens it to its owner */
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r == 0 && cleaning.kept)
        r = -ENOTEMPTY;
    if (r == 0)
        r = remove_contents(directory, name, path, &remove);
    if (r == 0 && !dry_run && unlinkat(directory, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

static void clean(const struct copy_work *copy, struct target *target, int directory,
                  const char *path)
{
    struct cleaning cleaning = {copy, target, false, NULL};
    const struct removal_terms terms = {copy->settings->dry_run, tell_removed, &cleaning, false};

    int r = remove_all(directory, visit_last_name(path), path, &terms);
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, target, r);
}

void clean_unwanted(const struct item *item)
{
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->need == NEED_REMOVAL && slot->directory >= 0)
            clean(item->copy, slot->target, slot->directory, item->original.path);
    }
}

/* What was salvaged of a file that the source has, or may have. */
struct partial {
    struct partial *next;
    struct target *target;
    char *whole; /* the file's path */
    bool kept;
    char path[];
};

static void free_partial(struct partial *partial)
{
    free(partial->whole);
    free(partial);
}

DEFINE_CLEANUP(struct partial *, free_partial)

/* Notes NAME of the directory PATH, WHOLE, if it was salvaged. Returns 1 if it was, 0 if not, or
 * -ENOMEM. */
static int note_partial(struct copy_work *copy, struct target *target, const char *path,
                        const char *name, const struct names *names)
{
    cleanup_free char *whole = NULL, *own = visit_join(path, name);

    int r = partial_find_whole(copy->settings, target, path, name, names, &whole);
    if (r < 0 || !whole)
        return r;
    struct partial *partial = own ? calloc(1, sizeof *partial + strlen(own) + 1) : NULL;
    if (!partial)
        return -ENOMEM;
    partial->target = target;
    partial->whole = steal_pointer(whole);
    strcpy(partial->path, own);
    HOLD(&copy->lock);
    partial->next = copy->partials;
    copy->partials = partial;
    return 1;
}

void partials_keep(struct copy_work *copy, const char *path)
{
    HOLD(&copy->lock);
    for (struct partial *partial = copy->partials; partial; partial = partial->next)
        partial->kept |= strcmp(partial->whole, path) == 0;
}

/* Returns true if PATH is a node's share of the key of sealed shares, which no view has. */
static bool is_key(int directory, const char *path)
{
    uint8_t bytes[KEY_SHARE_SIZE + 1];
    struct key_share share;

    if (strcmp(path, KEY_SHARE_NAME) != 0)
        return false;
    cleanup_fd int fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    return size > 0 && key_share_read(bytes, (size_t)size, &share) == 0;
}

/*
 * Returns true if PATH describes the set beside sealed shares; NAMES are what its directory shows.
 */
static bool is_sealed_description(const struct names *names, const char *path)
{
    return strcmp(path, SEALED_DESCRIPTION_NAME) == 0 && names_have(names, MANIFEST_NAME);
}

static void end_partial(struct copy_work *copy, const struct partial *partial)
{
    cleanup_item struct item item = {.copy = copy};

    if (partial->kept || item_begin(copy, partial->whole, NULL, &item) < 0 || item_ask(&item) < 0)
        return;
    const struct slot *slot = &item.slots[partial->target - copy->targets];
    if (slot->directory >= 0 && slot_compare(slot, &item.original) == NEED_METADATA)
        clean(copy, partial->target, slot->directory, partial->path);
}

void partials_end(struct copy_work *copy)
{
    while (copy->partials) {
        CLEANUP(cleanup_by_free_partial) struct partial *partial = copy->partials;
        copy->partials = partial->next;
        end_partial(copy, partial);
    }
}

void clean_directory(struct copy_work *copy, struct target *target, const char *path,
                     const struct names *names)
{
    const struct copy_settings *settings = copy->settings;
    cleanup_names struct names there = NO_NAMES;
    cleanup_fd int directory = -1;

    int r = tree_open_directory(target->tree, path, &directory);
    if (r == 0)
        r = tree_list(target->tree, path, &there);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR)
        copy_tell(copy, COPY_FAILED, path, target, r);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        if (names_have(names, name) || !(temporary_is_name(name) || settings->remove))
            continue;
        cleanup_free char *whole = visit_join(path, name);
        if (whole && target->share != TARGET_WHOLE &&
            (leftover_is_description(whole) || is_sealed_description(names, whole) ||
             (!copy->visit.source->last && is_key(directory, whole))))
            continue; /* sync's, or what the node has of the key, which a sealed source tells of */
        bool kept = whole && settings->keeps && settings->keeps(settings->context, whole);
        int waits = !whole ? -ENOMEM : kept ? 1 : note_partial(copy, target, path, name, names);
        if (waits < 0)
            copy_tell(copy, COPY_FAILED, path, target, waits);
        else if (waits == 0)
            clean(copy, target, directory, whole);
    }
}

/* A directory, as it was before anything in it was changed. */
struct directory {
    struct directory *next; /* none of them is in this one */
    bool as_it_was;         /* it was neither made nor opened by this run, in any target */
    struct stat status;
    struct xattrs xattrs;
    struct seen *seen; /* in each target, where not all are to get its metadata; else NULL */
    char path[];
};

/* Gives the owner access to a directory until its contents are in place. Returns true if it did. */
static bool open_for_owner(const struct item *item, const struct slot *slot)
{
    const char *name = item->original.name;
    struct stat status;

    return geteuid() != 0 && fstatat(slot->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IRWXU) != S_IRWXU &&
           fchmodat(slot->directory, name, (status.st_mode & 07777) | S_IRWXU, 0) == 0;
}

/*
 * Gives a new directory its metadata at once: if this run is interrupted, the new store already has
 * a vote. What cannot be set is reported at the end.
 */
static void begin_metadata(const struct item *item, const struct slot *slot)
{
    struct metadata_lack lack;

    item_apply_metadata(item, slot, item->original.name, &lack);
    open_for_owner(item, slot);
}

static int make_directory(const struct item *item, const struct slot *slot)
{
    int directory = slot->directory;
    const char *name = item->original.name;

    int r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == -EEXIST && (!slot->seen || seen_is_there(directory, name, slot->seen)) &&
        unlinkat(directory, name, 0) == 0)
        r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == 0)
        begin_metadata(item, slot);
    return r;
}

/* Notes the directory of ITEM, whose xattrs and seen become the note's. */
static void note_directory(struct item *item, bool as_it_was)
{
    const struct original *original = &item->original;
    struct directory *directory = malloc(sizeof *directory + strlen(original->path) + 1);
    struct copy_work *copy = item->copy;
    bool keeps = false;

    if (!directory) {
        atomic_store(&copy->visit.result, -ENOMEM);
        return;
    }
    directory->as_it_was = as_it_was;
    directory->status = original->status;
    directory->xattrs = original->xattrs;
    item->original.xattrs = NO_XATTRS;
    for (const struct slot *slot = item->slots; slot < item->end; slot++)
        keeps |= slot->seen && (slot->seen->keeps_mode || seen_failed(slot->seen));
    directory->seen = keeps ? steal_pointer(item->seen) : NULL;
    strcpy(directory->path, original->path);
    HOLD(&copy->lock);
    directory->next = copy->directories;
    copy->directories = directory;
}

void directories_enter(struct item *item)
{
    const struct copy_work *copy = item->copy;
    const char *path = item->original.path;
    bool as_it_was = true;

    /* Reads the metadata before the directory is made anywhere: new directories in stores would
     * vote on it. What is not known is set in no target. */
    bool known = item_look_at_xattrs(item) == 0;
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->need == NEED_CONTENT) {
            as_it_was = false;
            bool replaces = item_replaces_kind(item, slot);
            int r = copy->settings->dry_run ? 0 : make_directory(item, slot);
            if (r < 0)
                copy_tell(copy, COPY_FAILED, path, slot->target, r);
            else
                copy_tell_made(copy, path, slot->target, replaces);
        } else if (slot->need == NEED_METADATA && !copy->settings->dry_run) {
            as_it_was &= !open_for_owner(item, slot);
        }
    }
    if (known)
        note_directory(item, as_it_was);
    visit_into(&item->copy->visit, path);
}

/* Notes the root of each target, whose mode target_begin may have changed unless this is root. */
void directories_begin(struct copy_work *copy)
{
    cleanup_item struct item item = {.copy = copy};

    int r = item_begin(copy, "", NULL, &item);
    if (r == 0)
        r = item_look(&item);
    if (r == 0 && copy->settings->choose) /* its mode may have to stay */
        item_choose(&item, false);
    if (r == 0)
        r = item_look_at_xattrs(&item);
    if (r == -ENOMEM)
        atomic_store(&copy->visit.result, r);
    for (const struct slot *slot = item.slots; r == 0 && slot < item.end; slot++) {
        if (slot->target->fresh && slot->directory >= 0 && !copy->settings->dry_run)
            begin_metadata(&item, slot);
    }
    if (r == 0)
        note_directory(&item, geteuid() == 0);
}

/*
 * Gives a directory its metadata, and writes it out where that is not done for the target as a
 * whole. Opens it first, since the metadata may take access away. What stayed in a directory's
 * place keeps its own metadata, and so does what could not be looked at.
 */
static void end_in_slot(const struct item *item, const struct slot *slot, bool told)
{
    const char *name = item->original.name;
    const struct copy_work *copy = item->copy;
    struct stat status;
    cleanup_fd int fd = -1;
    int r = 0;

    if (slot->directory < 0 || (slot->seen && seen_failed(slot->seen)) ||
        (fstatat(slot->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         !S_ISDIR(status.st_mode)))
        return;
    if (!copy->settings->dry_run)
        r = target_open_unsettled(slot->target, slot->directory, name, &fd);
    item_end_metadata(item, slot, told);
    if (fd >= 0)
        r = target_settle_open(fd);
    if (r < 0 && r != -ENOENT) /* which the metadata's end has told */
        copy_tell(copy, COPY_FAILED, item->original.path, slot->target, r);
}

void directories_end(struct copy_work *copy)
{
    while (copy->directories) {
        cleanup_free struct directory *directory = copy->directories;
        cleanup_item struct item item = {.copy = copy};
        copy->directories = directory->next;
        int r = item_begin(copy, directory->path, NULL, &item);
        item.original.status = directory->status;
        item.original.xattrs = directory->xattrs;
        item.seen = directory->seen;
        for (struct slot *slot = item.slots; r == 0 && slot < item.end; slot++) {
            slot->seen = item.seen ? &item.seen[slot - item.slots] : NULL;
            end_in_slot(&item, slot, directory->as_it_was);
        }
    }
}
