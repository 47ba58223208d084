/* SPDX-License-Identifier: MIT */
#include "engine/entry.h"

#include "base/log.h"
#include "base/shortage.h"
#include "base/times.h"

#include <string.h>

static void report(const struct copy_work *copy, const struct copy_event *event)
{
    copy->settings->report(copy->settings->context, event);
}

/* Tries to make a file in the target's root. Returns 0 or why it cannot be made. */
static int try_to_write(const struct target *target)
{
    char name[TEMPORARY_NAME_SIZE];
    struct stat before;
    int fd;

    int r = fstat(target->root, &before) < 0 ? -errno : 0;
    if (r == 0)
        r = temporary_file(target->root, name, &fd);
    if (r < 0)
        return r;
    close(fd);
    unlinkat(target->root, name, 0);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    futimens(target->root, times);
    return 0;
}

static bool is_denial(int error)
{
    return error == -EROFS || error == -EACCES || error == -EPERM;
}

/* The part of a target that its copy may change. */
static atomic_int *closed_of(const struct copy_work *copy, const struct target *target)
{
    return &copy->targets[target - copy->targets].closed;
}

void copy_close_target(const struct copy_work *copy, const struct target *target, int error)
{
    const struct copy_event event = {COPY_FAILED, ".", target, .error = error, .whole = true};

    if (atomic_exchange(closed_of(copy, target), CLOSED_WHOLLY) != CLOSED_WHOLLY)
        report(copy, &event);
}

/* Returns true if nothing can be written to TARGET, which has been told then. */
static bool is_closed(const struct copy_work *copy, const struct target *target)
{
    atomic_int *closed = closed_of(copy, target);
    int unknown = CLOSED_UNKNOWN;

    if (atomic_load(closed) == CLOSED_UNKNOWN) {
        int r = try_to_write(target);
        if (is_denial(r))
            copy_close_target(copy, target, r);
        else
            atomic_compare_exchange_strong(closed, &unknown, CLOSED_NOT);
    }
    return atomic_load(closed) == CLOSED_WHOLLY;
}

static void report_failure(const struct copy_work *copy, const struct copy_event *event)
{
    if (!event->target || copy->settings->dry_run || !is_denial(event->error) ||
        !is_closed(copy, event->target))
        report(copy, event);
}

void copy_tell(const struct copy_work *copy, enum copy_kind kind, const char *path,
               const struct target *target, int error)
{
    if (error == -ECANCELED) /* the run is to stop, which is no failure of this name */
        return;
    if (kind == COPY_LOST && is_no_verdict(error))
        kind = COPY_FAILED;
    const struct copy_event event = {kind, log_path(path), target, .error = error};

    if (kind == COPY_FAILED)
        report_failure(copy, &event);
    else
        report(copy, &event);
}

void copy_tell_made(const struct copy_work *copy, const char *path, const struct target *target,
                    const struct seen *seen)
{
    if (seen && seen->other_kind)
        copy_tell(copy, COPY_REMOVED, path, target, 0);
    copy_tell(copy, COPY_MADE, path, target, 0);
}

void copy_tell_lack(const struct copy_work *copy, const char *path, const struct target *target,
                    const struct metadata_lack *lack)
{
    const struct copy_event event = {COPY_FAILED, log_path(path), target, .error = lack->error,
                                     .lack = lack->parts};

    if (lack->parts)
        report_failure(copy, &event);
}

void entry_clear(struct entry *entry)
{
    if (entry->file)
        source_close(entry->file);
    source_inodes_clear(&entry->inodes);
    free(entry->seen);
    free(entry->original.link_target);
    xattrs_clear(&entry->original.xattrs);
}

int entry_look(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;
    struct original *original = &entry->original;

    original->name = visit_last_name(original->path);
    int r = source->operations->stat(source, original->path, &original->status, &original->header,
                                     &entry->file, &entry->inodes);
    for (size_t i = 0; r == 0 && i < entry->inodes.count; i++) {
        if (original->status.st_nlink < entry->inodes.items[i].names)
            original->status.st_nlink = entry->inodes.items[i].names;
    }
    if (r == 0 && S_ISLNK(original->status.st_mode))
        r = source->operations->read_link(source, original->path, &original->link_target);
    return r;
}

int entry_look_at_xattrs(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;

    return source->operations->read_xattrs(source, entry->original.path, &entry->original.xattrs);
}

int entry_open_file(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;

    return entry->file ? 0 : source->operations->open(source, entry->original.path, &entry->file);
}

static int note_seen(struct entry *entry)
{
    if (!entry->seen)
        entry->seen = calloc(entry->copy->count, sizeof *entry->seen);
    for (size_t i = 0; entry->seen && i < entry->copy->count; i++)
        seen_take(entry->directories[i], entry->original.name, &entry->seen[i]);
    return entry->seen ? 0 : -ENOMEM;
}

static void refuse_all(struct entry *entry, int error)
{
    for (size_t i = 0; i < entry->copy->count; i++)
        entry->needs[i] = NEED_REFUSED;
    atomic_store(&entry->copy->result, error);
}

const struct seen *entry_seen(const struct entry *entry, size_t target)
{
    return entry->seen ? &entry->seen[target] : NULL;
}

/* Needs as the caller of all this has them; a file that it has looked at is the entry's then. */
static void choose_by_caller(struct entry *entry, bool again)
{
    const struct copy_settings *settings = entry->copy->settings;
    struct source_file *file = NULL;

    settings->choose(settings->context, &entry->original, entry->directories, entry->seen, again,
                     entry->copy->visit.pool, entry->needs, &file);
    if (file && entry->file)
        source_close(entry->file);
    if (file)
        entry->file = file;
}

void entry_choose(struct entry *entry, bool again)
{
    const struct copy_work *copy = entry->copy;
    const struct copy_settings *settings = copy->settings;

    if (settings->choose) {
        int r = note_seen(entry);
        if (r == 0)
            choose_by_caller(entry, again);
        else
            refuse_all(entry, r);
        return;
    }
    for (size_t i = 0; i < copy->count; i++)
        entry->needs[i] =
            entry->directories[i] < 0
                ? (settings->dry_run ? NEED_CONTENT : NEED_REFUSED)
                : target_compare(&copy->targets[i], entry->directories[i], &entry->original);
}

bool entry_is_refused(const struct entry *entry)
{
    bool refused = entry->copy->count > 0;

    for (size_t i = 0; i < entry->copy->count; i++)
        refused = refused && entry->needs[i] == NEED_REFUSED;
    return refused;
}

bool entry_any_needs(const struct entry *entry, enum need need)
{
    for (size_t i = 0; i < entry->copy->count; i++) {
        if (entry->needs[i] == need)
            return true;
    }
    return false;
}

static void refine(struct timespec *time, const struct timespec *other)
{
    if (times_agree(time, other) && times_granularity(other) < times_granularity(time))
        *time = *other;
}

struct metadata entry_metadata(const struct entry *entry, size_t target)
{
    const struct original *original = &entry->original;
    struct metadata ret = {original->status, original->xattrs, entry->copy->settings->owned};

    if (entry->seen && entry->seen[target].keeps_mode) {
        ret.status.st_mode = entry->seen[target].mode;
        ret.status.st_uid = entry->seen[target].uid;
        ret.status.st_gid = entry->seen[target].gid;
    }
    if (entry->copy->targets[target].share == TARGET_WHOLE || !S_ISREG(ret.status.st_mode))
        return ret;
    if (entry->seen && entry->seen[target].error == 0)
        refine(&ret.status.st_mtim, &entry->seen[target].mtime);
    return ret;
}

int entry_apply_metadata(const struct entry *entry, size_t target, const char *name,
                         struct metadata_lack *ret_lack)
{
    const struct metadata metadata = entry_metadata(entry, target);
    int directory = entry->directories[target];

    *ret_lack = (struct metadata_lack){0, 0};
    return entry->copy->settings->dry_run ? metadata_differs(directory, name, &metadata)
                                          : metadata_apply(directory, name, &metadata, ret_lack);
}

/* What was made, or opened, by this run itself is not TOLD to have been mended. */
int entry_end_metadata(const struct entry *entry, size_t target, bool told)
{
    const char *path = entry->original.path;
    const struct copy_work *copy = entry->copy;
    struct metadata_lack lack;

    int r = entry_apply_metadata(entry, target, entry->original.name, &lack);
    if (r == -ENOENT && copy->settings->dry_run)
        return 0; /* it would have been made */
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, &copy->targets[target], r);
    else if (r > 0 && told)
        copy_tell(copy, COPY_TOUCHED, path, &copy->targets[target], 0);
    copy_tell_lack(copy, path, &copy->targets[target], &lack);
    return r > 0;
}

int *copy_open_directories(const struct copy_work *copy, const char *path)
{
    int *directories = calloc(copy->count, sizeof *directories);

    for (size_t i = 0; directories && i < copy->count; i++) {
        directories[i] = -1;
        int r = tree_open_directory(copy->targets[i].tree, path, &directories[i]);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
            copy_tell(copy, COPY_FAILED, path, &copy->targets[i], r);
    }
    return directories;
}

void copy_close_directories(const struct copy_work *copy, int *directories)
{
    for (size_t i = 0; directories && i < copy->count; i++)
        cleanup_close_fd(&directories[i]);
    free(directories);
}

/* The directory that holds PATH, in all targets. */
static int *open_parents(const struct copy_work *copy, const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);

    return parent ? copy_open_directories(copy, parent) : NULL;
}

int entry_begin(struct copy_work *copy, const char *path, struct entry *ret)
{
    *ret = (struct entry){.copy = copy};
    ret->original.path = path;
    ret->original.name = visit_last_name(path);
    ret->directories = open_parents(copy, path);
    ret->needs = calloc(copy->count, sizeof *ret->needs);
    return ret->directories && ret->needs ? 0 : -ENOMEM;
}

void entry_end(struct entry *entry)
{
    entry_clear(entry);
    copy_close_directories(entry->copy, (int *)entry->directories);
    free(entry->needs);
}
