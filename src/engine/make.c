/* SPDX-License-Identifier: MIT */
/* Makes names whose content is missing or wrong in some slots, and mends the others. */
#include "engine/item.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

enum {
    PARTIAL_MAX = 100, /* names that are tried for what can be read of a file */
};

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

static void close_file(struct slot *slot)
{
    cleanup_close_fd(&slot->fd);
    slot->fd = -1;
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

/* Writes SOURCE to new files, which are to have the name of PATH. Returns as content_run does;
 * where it fails, nothing is left. */
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
        close_file(slot);
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
        /* What is there already of it, by size and time, an earlier run has taken. */
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

/*
 * Returns true if PATH is no name of the source, nor there in a target that it is to be made in: an
 * earlier run may have read more of the file.
 */
static bool is_free(const struct item *item, const char *path)
{
    struct source *source = item->copy->visit.source;
    const char *name = visit_last_name(path);
    struct share_header header;
    struct stat status;

    bool is_free = source->operations->stat(source, path, &status, &header, NULL, NULL) == -ENOENT;
    for (size_t i = 0; is_free && i < item->copy->count; i++) {
        const struct slot *slot = &item->slots[i];
        is_free =
            slot->need != NEED_CONTENT ||
            (fstatat(slot->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
    }
    return is_free;
}

/*
 * The original's path with ".partial", or ".partial.2", ...; the caller frees it. Where that name
 * would be too long, its end gives way to a hash of all of it, by which two names that are cut
 * alike are told apart.
 */
static char *partial_path(const char *path, unsigned number)
{
    const char *name = visit_last_name(path);
    char hash[sizeof "~0123456789abcdef"] = "";
    char suffix[sizeof ".partial." + 3 * sizeof number] = ".partial";
    size_t length = strlen(name);
    char *ret;

    if (number > 1)
        snprintf(suffix, sizeof suffix, ".partial.%u", number);
    if (length + strlen(suffix) > NAME_MAX) {
        uint64_t fnv = 0xcbf29ce484222325; /* FNV-1a */
        for (size_t i = 0; i < length; i++)
            fnv = (fnv ^ (uint8_t)name[i]) * 0x100000001b3;
        snprintf(hash, sizeof hash, "~%016" PRIx64, fnv);
        length = NAME_MAX - strlen(hash) - strlen(suffix);
        while (length > 1 && ((uint8_t)name[length] & 0xc0) == 0x80) /* within a character */
            length--;
    }
    length += (size_t)(name - path);
    return asprintf(&ret, "%.*s%s%s", (int)length, path, hash, suffix) < 0 ? NULL : ret;
}

/* Makes what can be read of it, under the first of these names that is free. */
static int make_partial(struct item *item)
{
    for (unsigned number = 1; number <= PARTIAL_MAX; number++) {
        cleanup_free char *path = partial_path(item->original.path, number);
        if (!path)
            return -ENOMEM;
        if (!is_free(item, path))
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
    if (r == -ENOENT && copy->visit.source->live)
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
 * Looks at contents where nothing else says that they differ. What cannot be read is lost, whatever
 * the target has.
 */
static void look_closer(struct item *item)
{
    const struct copy_work *copy = item->copy;
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
        close_file(slot);
    }
    if (r < 0 && !(r == -ENOENT && copy->visit.source->live))
        copy_tell(copy, COPY_LOST, item->original.path, NULL, r);
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
