/* SPDX-License-Identifier: MIT */
/* Makes names whose content is missing or wrong in some slots, and mends the others. */
#include "base/times.h"
#include "engine/item.h"
#include "engine/partial.h"

#include <fcntl.h>

/*
 * Gives the new object its metadata and queues it for its name, which is PATH's. It replaces the
 * old one even if some metadata cannot be set. A file is written out at once where that is not done
 * for its target as a whole.
 */
static int finish(const struct item *item, struct slot *slot, const char *path, uint64_t size)
{
    const struct metadata metadata = item_metadata(item, slot);
    struct metadata_lack lack;
    struct stat status;
    int r;

    if (slot->fd < 0) {
        r = item_apply_metadata(item, slot, slot->temporary, &lack);
    } else {
        r = metadata_apply_open(slot->fd, &metadata, &status, &lack);
        if (r >= 0 && status.st_dev != slot->target->device && fsync(slot->fd) < 0)
            r = -errno;
    }
    if (r >= 0)
        r = batch_add(item, slot, path, size, false);
    if (r >= 0)
        copy_tell_lack(item->copy, path, slot->target, &lack);
    return r;
}

static void close_file(int *fd)
{
    cleanup_close_fd(fd);
    *fd = -1;
}

/* Makes a symlink, FIFO, socket or device. */
static void make_special(const struct item *item, struct slot *slot)
{
    const struct original *original = &item->original;
    mode_t mode = original->status.st_mode;

    temporary_name(slot->temporary);
    int r = S_ISLNK(mode) ? symlinkat(original->link_target, slot->directory, slot->temporary)
                          : mknodat(slot->directory, slot->temporary, mode & ~07777u,
                                    original->status.st_rdev);
    r = r < 0 ? -errno : finish(item, slot, original->path, 0);
    if (r == 0)
        return;
    unlinkat(slot->directory, slot->temporary, 0);
    copy_tell(item->copy, COPY_FAILED, original->path, slot->target, r);
}

/* Writes SOURCE to new files, over what an earlier run has of it, which are to have the name of
 * PATH. Returns as content_run does; where it fails, nothing is left. */
static int make_files(struct item *item, struct source_file *source, bool holes, const char *path)
{
    const struct copy_work *copy = item->copy;
    bool any = false;

    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->need != NEED_CONTENT)
            continue;
        slot->result = 0;
        slot->written = 0;
        slot->has_holes = false;
        int r = temporary_file(slot->directory, slot->temporary, &slot->fd);
        if (r < 0)
            copy_tell(copy, COPY_FAILED, item->original.path, slot->target, r);
        else if (slot->earlier >= 0)
            slot->result = content_take_over(copy->settings, slot);
        any |= r == 0;
    }
    int result = any ? content_run(item, source, false, holes) : 0;
    if (result >= 0)
        item->original.status = source->status;
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        int r = result < 0 ? result : slot->result;
        if (slot->fd < 0)
            continue;
        if (r >= 0)
            r = finish(item, slot, path, target_file_size(slot->target, &source->header));
        if (r < 0)
            unlinkat(slot->directory, slot->temporary, 0);
        if (r < 0 && result >= 0)
            copy_tell(copy, COPY_FAILED, item->original.path, slot->target, r);
        close_file(&slot->fd);
    }
    return result;
}

/* Makes an older version that is whole, if there is one. Returns 0, or -ENOENT. */
static int make_older(struct item *item)
{
    const struct copy_work *copy = item->copy;
    struct source *source = copy->visit.source;
    int r = -EIO;

    for (unsigned rank = 1; r == -EIO; rank++) {
        cleanup_source_file struct source_file *file = NULL;
        r = source->operations->open(source, item->original.path, rank, &file);
        if (r < 0)
            continue;
        item->original.status = file->status;
        item->original.header = file->header;
        /* A target that has it already, by size and time, has it from an earlier run. */
        for (struct slot *slot = item->slots; slot < item->end; slot++) {
            if (slot->need == NEED_CONTENT && !copy->settings->look_closer)
                slot->need = slot_compare(slot, &item->original);
        }
        r = make_files(item, file, false, item->original.path);
    }
    if (r == 0)
        copy_tell(copy, COPY_OLDER, item->original.path, NULL, 0);
    return r;
}

/* Returns true if a file of this status may be what an earlier run made of SOURCE. */
static bool may_be_earlier(const struct stat *status, const struct source_file *source)
{
    return S_ISREG(status->st_mode) &&
           (uint64_t)status->st_size == source->header.layout.source_size &&
           times_agree(&status->st_mtim, &source->status.st_mtim);
}

/* Opens what an earlier run has salvaged of this version, where that has NAME in a slot. Returns
 * false where something else has the name. */
static bool open_earlier(struct slot *slot, const char *name, const struct source_file *source)
{
    struct stat status;

    close_file(&slot->earlier);
    if (fstatat(slot->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT;
    if (!may_be_earlier(&status, source))
        return false;
    slot->earlier = openat(slot->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return slot->earlier >= 0 && fstat(slot->earlier, &status) == 0 &&
           may_be_earlier(&status, source);
}

/*
 * Returns true if salvaged data may get the name of PATH: the source has no such name, and in the
 * targets nothing else has it than what an earlier run salvaged.
 */
static bool may_become(const struct item *item, const char *path)
{
    struct source *source = item->copy->visit.source;
    struct share_header header;
    struct stat status;

    bool may = source->operations->stat(source, path, &status, &header, NULL, NULL) == -ENOENT;
    for (struct slot *slot = item->slots; may && slot < item->end; slot++)
        may = slot->need != NEED_CONTENT || open_earlier(slot, visit_last_name(path), item->file);
    return may;
}

/* Salvages what can be read, now or by an earlier run, under the first name that is free. */
static int make_partial(struct item *item)
{
    for (unsigned number = 1; number <= PARTIAL_MAX; number++) {
        cleanup_free char *path = partial_path(item->original.path, number);
        if (!path)
            return -ENOMEM;
        if (!may_become(item, path))
            continue;
        int r = make_files(item, item->file, true, path);
        if (r >= 0)
            copy_tell(item->copy, COPY_PARTIAL, path, NULL, 0);
        return r;
    }
    return -EEXIST;
}

static void make_file(struct item *item)
{
    const struct copy_work *copy = item->copy;
    const char *path = item->original.path;

    int r = item_open_file(item);
    if (r == -ENOENT && copy->visit.source->live && !item_is_last(item))
        return; /* it is gone meanwhile */
    if (r == 0)
        r = make_files(item, item->file, false, path);
    if (r == 0 || r == -ECANCELED)
        return;
    if (copy->settings->older && make_older(item) == 0)
        return;
    copy_tell(copy, COPY_LOST, path, NULL, r);
    if (!copy->settings->salvage || !item->file)
        return;
    r = make_partial(item);
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, NULL, r);
}

void make_in_dry_run(const struct item *item, const struct slot *slot)
{
    const struct copy_work *copy = item->copy;
    const char *path = item->original.path;

    int r = slot->directory < 0 ? 0 : clean_way(copy, slot->target, slot->directory, path);
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, slot->target, r);
    else
        copy_tell_made(copy, path, slot->target, item_replaces_kind(item, slot));
}

/*
 * Compares contents where nothing else says that they differ. What cannot be read is lost, whatever
 * the target has.
 */
static void look_closer(struct item *item)
{
    struct copy_work *copy = item->copy;
    bool any = false;

    int r = item_open_file(item);
    for (struct slot *slot = item->slots; r == 0 && slot < item->end; slot++) {
        if (slot->need != NEED_METADATA)
            continue;
        slot->fd = openat(slot->directory, item->original.name,
                          O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        slot->result = slot->fd < 0 ? -errno : 0;
        any = true;
    }
    if (any)
        r = content_run(item, item->file, true, false);
    for (struct slot *slot = item->slots; any && slot < item->end; slot++) {
        if (r == 0 && slot->need == NEED_METADATA && slot->result < 0)
            slot->need = NEED_CONTENT;
        close_file(&slot->fd);
    }
    if (r < 0 && !(r == -ENOENT && copy->visit.source->live)) {
        partials_keep(copy, item->original.path);
        copy_tell(copy, COPY_LOST, item->original.path, NULL, r);
    }
}

/*
 * Gives a name its metadata. A file's is written out at once where that is not done for the target
 * as a whole, unless it closes the file.
 */
static void mend_metadata(const struct item *item, const struct slot *slot)
{
    const struct copy_work *copy = item->copy;
    cleanup_fd int fd = -1;

    bool changed = item_end_metadata(item, slot, true);
    if (!changed || copy->settings->dry_run || !S_ISREG(item->original.status.st_mode))
        return;
    int r = target_open_unsettled(slot->target, slot->directory, item->original.name, &fd);
    if (r == 0 && fd >= 0)
        r = target_settle_open(fd);
    if (r < 0 && r != -EACCES)
        copy_tell(copy, COPY_FAILED, item->original.path, slot->target, r);
}

void update_name(struct item *item)
{
    const struct copy_settings *settings = item->copy->settings;
    bool regular = S_ISREG(item->original.status.st_mode);

    if (settings->look_closer && regular && item_any_needs(item, NEED_METADATA))
        look_closer(item);
    bool content = item_any_needs(item, NEED_CONTENT);
    if ((content || item_any_needs(item, NEED_METADATA)) && item_look_at_xattrs(item) < 0)
        return; /* it is gone meanwhile, or that was told */
    if (content && regular && !settings->dry_run)
        make_file(item);
    for (struct slot *slot = item->slots; slot < item->end; slot++) {
        if (slot->need == NEED_METADATA)
            mend_metadata(item, slot);
        else if (slot->need == NEED_CONTENT && settings->dry_run)
            make_in_dry_run(item, slot);
        else if (slot->need == NEED_CONTENT && !regular)
            make_special(item, slot);
    }
}
