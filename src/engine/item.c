/* SPDX-License-Identifier: MIT */
#include "engine/item.h"

#include "base/log.h"
#include "base/shortage.h"
#include "base/times.h"
#include "tree/whereabouts.h"

#include <fcntl.h>

char *copy_describe(const struct copy_work *copy, const char *path)
{
    struct source *source = copy->visit.source;
    char *words = source->operations->describe ? source->operations->describe(source, path) : NULL;

    return words ? words : strdup(log_path(path));
}

static void report(const struct copy_work *copy, const struct copy_event *event)
{
    cleanup_free char *path = copy_describe(copy, event->path);
    cleanup_free char *twin = event->twin ? copy_describe(copy, event->twin) : NULL;
    struct copy_event described = *event;

    described.path = path ? path : log_path(event->path);
    described.twin = twin ? twin : event->twin;
    copy->settings->report(copy->settings->context, &described);
}

void copy_close_target(const struct copy_work *copy, struct target *target, int error)
{
    const struct copy_event event = {COPY_FAILED, "", target, .error = error, .whole = true};

    if (atomic_exchange(&target->closed, CLOSED_WHOLLY) != CLOSED_WHOLLY)
        report(copy, &event);
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

static void report_failure(const struct copy_work *copy, struct target *target,
                           const struct copy_event *event)
{
    enum closed unknown = CLOSED_UNKNOWN;

    if (!target || copy->settings->dry_run || !is_denial(event->error)) {
        report(copy, event);
        return;
    }
    if (atomic_load(&target->closed) == CLOSED_UNKNOWN) {
        int r = try_to_write(target);
        if (is_denial(r))
            copy_close_target(copy, target, r);
        else
            atomic_compare_exchange_strong(&target->closed, &unknown, CLOSED_NOT);
    }
    if (atomic_load(&target->closed) != CLOSED_WHOLLY)
        report(copy, event);
}

void copy_tell(const struct copy_work *copy, enum copy_kind kind, const char *path,
               struct target *target, int error)
{
    if (error == -ECANCELED) /* the run is to stop: no failure of this name */
        return;
    if (kind == COPY_LOST && is_no_verdict(error))
        kind = COPY_FAILED;
    const struct copy_event event = {kind, path, target, .error = error};

    if (kind == COPY_FAILED)
        report_failure(copy, target, &event);
    else
        report(copy, &event);
}

void copy_tell_made(const struct copy_work *copy, const char *path, struct target *target,
                    bool replaces_kind)
{
    if (replaces_kind)
        copy_tell(copy, COPY_REMOVED, path, target, 0);
    copy_tell(copy, COPY_MADE, path, target, 0);
}

void copy_tell_link(const struct copy_work *copy, const char *path, const struct target *target,
                    const char *first)
{
    const struct copy_event event = {COPY_MADE, path, target, .twin = first};

    report(copy, &event);
}

void copy_tell_twin(const struct copy_work *copy, const char *path, const char *twin,
                    const struct target *target)
{
    const struct copy_event event = {COPY_FAILED, path, target, .error = -EEXIST, .twin = twin};

    report(copy, &event);
}

void copy_tell_lack(const struct copy_work *copy, const char *path, struct target *target,
                    const struct metadata_lack *lack)
{
    const struct copy_event event = {COPY_FAILED, path, target, .error = lack->error,
                                     .lack = lack->parts};

    if (lack->parts)
        report_failure(copy, target, &event);
}

/* Opens the directory PATH of TARGET, unless it is a store that is read: a tree may have names like
 * the stores' own, and would be written over their shares. */
static int open_directory(const struct target *target, const char *path, int *ret)
{
    struct stat status;

    int r = tree_open_directory(target->tree, path, ret);
    if (r < 0 || target->share != TARGET_WHOLE || !*path || fstat(*ret, &status) < 0 ||
        !whereabouts_is_claimed(&status, WHEREABOUTS_READ))
        return r;
    close(steal_fd(ret));
    return log_as(-EBUSY, "%s: holds what is read; nothing is written there", log_path(path));
}

void *copy_open_directories(struct visit *visit, const char *path)
{
    const struct copy_work *copy = (struct copy_work *)visit;
    int *directories = calloc(copy->count + 1, sizeof *directories);

    if (!directories)
        atomic_store(&visit->result, -ENOMEM);
    for (size_t i = 0; directories && i < copy->count; i++) {
        directories[i] = -1;
        int r = open_directory(&copy->targets[i], path, &directories[i]);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
            copy_tell(copy, COPY_FAILED, path, &copy->targets[i], r);
    }
    return directories;
}

void copy_close_directories(struct visit *visit, void *opaque)
{
    int *directories = opaque;

    for (size_t i = 0; directories && i < ((struct copy_work *)visit)->count; i++)
        cleanup_close_fd(&directories[i]);
    free(directories);
}

int item_begin(struct copy_work *copy, const char *path, const int directories[], struct item *ret)
{
    *ret = (struct item){.copy = copy};
    ret->original.path = path;
    ret->original.name = visit_last_name(path);
    ret->slots = calloc(copy->count + 1, sizeof *ret->slots);
    if (!directories) {
        const char *slash = strrchr(path, '/');
        cleanup_free char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);
        directories = ret->directories =
            parent ? copy_open_directories(&copy->visit, parent) : NULL;
    }
    if (!ret->slots || !directories) {
        atomic_store(&copy->visit.result, -ENOMEM);
        return -ENOMEM;
    }
    ret->end = ret->slots + copy->count;
    for (size_t i = 0; i < copy->count; i++)
        ret->slots[i] = (struct slot){&copy->targets[i], directories[i], .fd = -1, .earlier = -1};
    return 0;
}

void item_end(struct item *item)
{
    if (item->file)
        source_close(item->file);
    source_inodes_clear(&item->inodes);
    for (struct slot *slot = item->slots; slot < item->end; slot++)
        cleanup_close_fd(&slot->earlier);
    free(item->seen);
    free(item->original.link_target);
    xattrs_clear(&item->original.xattrs);
    free(item->slots);
    copy_close_directories(&item->copy->visit, item->directories);
}

int item_ask(struct item *item)
{
    struct source *source = item->copy->visit.source;
    struct original *original = &item->original;

    int r = source->operations->stat(source, original->path, &original->status, &original->header,
                                     &item->file, &item->inodes);
    for (size_t i = 0; r == 0 && i < item->inodes.count; i++) {
        if (original->status.st_nlink < item->inodes.items[i].names)
            original->status.st_nlink = item->inodes.items[i].names;
    }
    if (r == 0 && S_ISLNK(original->status.st_mode))
        r = source->operations->read_link(source, original->path, &original->link_target);
    return r;
}

bool item_is_last(const struct item *item)
{
    const char *last = item->copy->visit.source->last;

    return last && strcmp(item->original.name, last) == 0;
}

int item_look(struct item *item)
{
    const char *path = item->original.path;

    int r = item_ask(item);
    if (r < 0 && (r != -ENOENT || *path == '\0' || item_is_last(item)))
        copy_tell(item->copy, COPY_LOST, path, NULL, r);
    return r;
}

int item_look_at_xattrs(struct item *item)
{
    struct source *source = item->copy->visit.source;
    struct original *original = &item->original;

    int r = source->operations->read_xattrs(source, original->path, &original->xattrs);
    if (r < 0 && r != -ENOENT)
        copy_tell(item->copy, COPY_LOST, original->path, NULL, r);
    return r;
}

int item_open_file(struct item *item)
{
    struct source *source = item->copy->visit.source;

    return item->file ? 0 : source->operations->open(source, item->original.path, 0, &item->file);
}

/* What cannot be looked at stays as it is. */
static void refuse_unseen(const struct item *item, struct slot *slot)
{
    if (slot->directory < 0 || !seen_failed(slot->seen))
        return;
    slot->need = NEED_REFUSED;
    copy_tell(item->copy, COPY_FAILED, item->original.path, slot->target, slot->seen->error);
}

void item_choose(struct item *item, bool again)
{
    struct copy_work *copy = item->copy;
    const struct copy_settings *settings = copy->settings;
    struct source_file *file = NULL;

    if (settings->choose && !item->seen &&
        !(item->seen = calloc(copy->count + 1, sizeof *item->seen)))
        atomic_store(&copy->visit.result, -ENOMEM);
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (item->seen) {
            slot->seen = &item->seen[slot - item->slots];
            seen_take(slot->directory, item->original.name, slot->seen);
        } else if (settings->choose) {
            slot->need = NEED_REFUSED;
        } else if (slot->directory < 0) {
            slot->need = settings->dry_run ? NEED_CONTENT : NEED_REFUSED;
        } else {
            slot->need = slot_compare(slot, &item->original);
        }
    }
    if (!item->seen)
        return;
    settings->choose(settings->context, &item->original, item->slots, again, copy->visit.pool,
                     &file);
    if (file && item->file)
        source_close(item->file);
    if (file) /* that this look has opened: the item's now */
        item->file = file;
    for (struct slot *slot = item->slots; slot < item->end; slot++)
        refuse_unseen(item, slot);
}

bool item_any_needs(const struct item *item, enum need need)
{
    for (const struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->need == need)
            return true;
    }
    return false;
}

bool item_replaces_kind(const struct item *item, const struct slot *slot)
{
    struct stat there;

    if (slot->seen)
        return slot->seen->other_kind;
    return fstatat(slot->directory, item->original.name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           (there.st_mode & S_IFMT) != (item->original.status.st_mode & S_IFMT);
}

struct metadata item_metadata(const struct item *item, const struct slot *slot)
{
    const struct original *original = &item->original;
    const struct seen *seen = slot->seen;
    struct metadata ret = {original->status, original->xattrs, item->copy->settings->owned};
    struct timespec *time = &ret.status.st_mtim;

    if (slot->target->share != TARGET_WHOLE && S_ISREG(ret.status.st_mode))
        header_file_time(&original->header, (uint8_t)slot->target->share, time);
    if (seen && seen->keeps_mode) {
        ret.status.st_mode = seen->status.st_mode;
        ret.status.st_uid = seen->status.st_uid;
        ret.status.st_gid = seen->status.st_gid;
    }
    if (slot->target->time_unit > 0 && S_ISREG(ret.status.st_mode))
        *time = times_round_down(time, slot->target->time_unit);
    if (slot->target->share != TARGET_WHOLE && S_ISREG(ret.status.st_mode) && seen &&
        seen->error == 0 && times_agree(time, &seen->status.st_mtim) &&
        times_granularity(&seen->status.st_mtim) < times_granularity(time))
        *time = seen->status.st_mtim;
    return ret;
}

int item_apply_metadata(const struct item *item, const struct slot *slot, const char *name,
                        struct metadata_lack *ret_lack)
{
    const struct metadata metadata = item_metadata(item, slot);

    return metadata_apply(slot->directory, name, &metadata, item->copy->settings->dry_run,
                          ret_lack);
}

bool item_end_metadata(const struct item *item, const struct slot *slot, bool told)
{
    const char *path = item->original.path;
    const struct copy_work *copy = item->copy;
    struct metadata_lack lack;

    int r = item_apply_metadata(item, slot, item->original.name, &lack);
    if (r == -ENOENT && copy->settings->dry_run)
        return false; /* it would have been made */
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, slot->target, r);
    else if (r > 0 && told)
        copy_tell(copy, COPY_TOUCHED, path, slot->target, 0);
    copy_tell_lack(copy, path, slot->target, &lack);
    return r > 0;
}
