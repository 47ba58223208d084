/* SPDX-License-Identifier: MIT */
#include "engine/directories.h"

#include <fcntl.h>
#include <string.h>

/* A directory, as it was before anything in it was changed. */
struct directory {
    struct directory *next; /* none of them is in this one */
    bool as_it_was;         /* it was neither made nor opened by this run, in any target */
    struct stat status;
    struct xattrs xattrs;
    struct seen *seen; /* in each target; or NULL */
    char path[];
};

/* Whose owner has closed it to himself is opened until all in it is done; then true. */
static bool open_for_owner(const struct entry *entry, size_t target)
{
    struct stat status;
    int directory = entry->directories[target];

    return geteuid() != 0 &&
           fstatat(directory, entry->original.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IRWXU) != S_IRWXU &&
           fchmodat(directory, entry->original.name, (status.st_mode & 07777) | S_IRWXU, 0) == 0;
}

/*
 * Gives a new directory its metadata at once: if this run is interrupted, the new store votes on
 * it already. What cannot be set is reported at the end.
 */
static void begin_metadata(const struct entry *entry, size_t target)
{
    struct metadata_lack lack;

    entry_apply_metadata(entry, target, entry->original.name, &lack);
    open_for_owner(entry, target);
}

static int make_directory(const struct entry *entry, size_t target)
{
    int directory = entry->directories[target];
    const char *name = entry->original.name;

    const struct seen *seen = entry_seen(entry, target);

    int r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == -EEXIST && (!seen || seen_is_there(directory, name, seen)) &&
        unlinkat(directory, name, 0) == 0)
        r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == 0)
        begin_metadata(entry, target);
    return r;
}

/*
 * What it has before it is made anywhere: new directories in stores would have their say in it. One
 * that is not known is not given to any.
 */
static int look_at_directory(struct entry *entry)
{
    int r = entry_look_at_xattrs(entry);

    if (r < 0 && r != -ENOENT)
        copy_tell(entry->copy, COPY_LOST, entry->original.path, NULL, r);
    return r;
}

/* Notes the directory of ENTRY, whose xattrs become the note's. */
static int note_directory(struct copy_work *copy, struct entry *entry, bool as_it_was)
{
    const struct original *original = &entry->original;
    struct directory *directory = malloc(sizeof *directory + strlen(original->path) + 1);

    if (!directory)
        return -ENOMEM;
    directory->as_it_was = as_it_was;
    directory->status = original->status;
    directory->xattrs = original->xattrs;
    entry->original.xattrs = NO_XATTRS;
    directory->seen = entry->seen;
    entry->seen = NULL;
    strcpy(directory->path, original->path);
    pthread_mutex_lock(&copy->lock);
    directory->next = copy->directories;
    copy->directories = directory;
    pthread_mutex_unlock(&copy->lock);
    return 0;
}

void directories_enter(struct entry *entry)
{
    struct copy_work *copy = entry->copy;
    const char *path = entry->original.path;
    bool as_it_was = true;

    bool known = look_at_directory(entry) == 0;
    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] == NEED_CONTENT) {
            as_it_was = false;
            bool replaces = entry_replaces_kind(entry, i);
            int r = copy->settings->dry_run ? 0 : make_directory(entry, i);
            if (r < 0)
                copy_tell(copy, COPY_FAILED, path, &copy->targets[i], r);
            else
                copy_tell_made(copy, path, &copy->targets[i], replaces);
        } else if (entry->needs[i] == NEED_METADATA && !copy->settings->dry_run) {
            as_it_was &= !open_for_owner(entry, i);
        }
    }
    int r = known ? note_directory(copy, entry, as_it_was) : 0;
    if (r < 0)
        atomic_store(&copy->result, r);
    visit_into(&copy->visit, path);
}

/*
 * Gives a directory its metadata, and writes it out where that is not done for the target as a
 * whole. It is opened before: the metadata may close it.
 */
static void end_in_target(const struct entry *entry, size_t i, bool told)
{
    const char *path = entry->original.path;
    const struct copy_work *copy = entry->copy;
    const struct target *target = &copy->targets[i];
    cleanup_fd int fd = -1;
    int r = 0;

    if (!copy->settings->dry_run)
        r = target_open_unsettled(target, entry->directories[i], entry->original.name, &fd);
    entry_end_metadata(entry, i, told);
    if (fd >= 0)
        r = target_settle_open(fd);
    if (r < 0 && r != -ENOENT) /* which the metadata's end has told */
        copy_tell(copy, COPY_FAILED, path, target, r);
}

/* What stayed where a directory was to be keeps its own metadata. */
static bool has_something_else(const struct entry *entry, size_t target)
{
    struct stat status;

    return fstatat(entry->directories[target], entry->original.name, &status,
                   AT_SYMLINK_NOFOLLOW) == 0 &&
           !S_ISDIR(status.st_mode);
}

static void end_directory(struct copy_work *copy, struct directory *directory)
{
    cleanup_entry struct entry entry = {.copy = copy};

    int r = entry_begin(copy, directory->path, &entry);
    entry.original.status = directory->status;
    entry.original.xattrs = directory->xattrs;
    directory->xattrs = NO_XATTRS;
    entry.seen = directory->seen;
    if (r < 0)
        atomic_store(&copy->result, r);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        if (entry.directories[i] >= 0 && !has_something_else(&entry, i))
            end_in_target(&entry, i, directory->as_it_was);
    }
}

void directories_end(struct copy_work *copy)
{
    while (copy->directories) {
        struct directory *directory = copy->directories;
        copy->directories = directory->next;
        end_directory(copy, directory);
        free(directory);
    }
}

/* Notes the root of each target, whose mode target_begin may have changed unless this is root. */
void directories_begin(struct copy_work *copy)
{
    cleanup_entry struct entry entry = {.copy = copy};

    int r = entry_begin(copy, "", &entry);
    if (r == 0)
        r = entry_look(&entry);
    if (r < 0)
        copy_tell(copy, COPY_LOST, ".", NULL, r);
    else if (copy->settings->choose) /* what is seen of it says whether its mode stays */
        entry_choose(&entry, false);
    if (r == 0)
        r = look_at_directory(&entry);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        if (copy->targets[i].fresh && entry.directories[i] >= 0 && !copy->settings->dry_run)
            begin_metadata(&entry, i);
    }
    if (r == 0)
        r = note_directory(copy, &entry, geteuid() == 0);
    if (r == -ENOMEM)
        atomic_store(&copy->result, r);
}
