/* SPDX-License-Identifier: MIT */
#include "engine/make.h"

#include "engine/clean.h"
#include "engine/content.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PARTIAL_MAX = 100, /* names that are tried for what can be read of a file */
};

/* A file is written out at once where that is not done for its target as a whole. */
static int apply_to_file(const struct entry *entry, size_t target, int fd,
                         struct metadata_lack *lack)
{
    const struct metadata metadata = entry_metadata(entry, target);
    struct stat status;

    int r = metadata_apply_open(fd, &metadata, &status, lack);
    if (r >= 0 && status.st_dev != entry->copy->targets[target].device && fsync(fd) < 0)
        r = -errno;
    return r;
}

/*
 * Gives the new object TEMPORARY its metadata and queues it for its name. It replaces the old one
 * even if some metadata cannot be set. FD is open for a file, and below 0 for anything else.
 */
static int finish(const struct entry *entry, size_t target, const char *temporary, const char *path,
                  int fd, uint64_t size)
{
    const struct copy_work *copy = entry->copy;
    struct metadata_lack lack;

    int r = fd < 0 ? entry_apply_metadata(entry, target, temporary, &lack)
                   : apply_to_file(entry, target, fd, &lack);
    if (r >= 0)
        r = batch_add(copy->batch, &copy->targets[target], temporary, path,
                      entry->original.status.st_mode, entry_seen(entry, target), size, false);
    if (r >= 0)
        copy_tell_lack(copy, path, &copy->targets[target], &lack);
    return r;
}

/* A temporary name that its maker gives up, or the reason why something was not made. */
static void give_up(const struct entry *entry, size_t target, const char *temporary, int error)
{
    const struct copy_work *copy = entry->copy;

    if (temporary)
        unlinkat(entry->directories[target], temporary, 0);
    copy_tell(copy, COPY_FAILED, entry->original.path, &copy->targets[target], error);
}

/* Makes symlinks, FIFOs, sockets and devices. */
static void make_special(const struct entry *entry, size_t target)
{
    const struct original *original = &entry->original;
    int directory = entry->directories[target];
    char temporary[TEMPORARY_NAME_SIZE];

    temporary_name(temporary);
    int r = S_ISLNK(original->status.st_mode)
                ? symlinkat(original->link_target, directory, temporary)
                : mknodat(directory, temporary, original->status.st_mode & ~07777u,
                          original->status.st_rdev);
    if (r < 0) {
        give_up(entry, target, NULL, -errno);
        return;
    }
    r = finish(entry, target, temporary, original->path, -1, 0);
    if (r < 0)
        give_up(entry, target, temporary, r);
}

/* Files: content for all targets at once. */

/* The temporary files of an entry, for the targets that need content. */
struct making {
    struct new_file *files;
    size_t *places; /* of these in all targets */
    char (*names)[TEMPORARY_NAME_SIZE];
    size_t count;
};

static void end_making(struct making *making)
{
    for (size_t i = 0; i < making->count; i++)
        cleanup_close_fd(&making->files[i].fd);
    free(making->files);
    free(making->places);
    free(making->names);
}

static int begin_making(const struct entry *entry, struct making *making)
{
    const struct copy_work *copy = entry->copy;

    making->files = calloc(copy->count, sizeof *making->files);
    making->places = calloc(copy->count, sizeof *making->places);
    making->names = calloc(copy->count, sizeof *making->names);
    if (!making->files || !making->places || !making->names)
        return -ENOMEM;
    for (size_t i = 0; i < copy->count; i++) {
        struct new_file *file = &making->files[making->count];
        if (entry->needs[i] != NEED_CONTENT)
            continue;
        *file = (struct new_file){.target = &copy->targets[i], .fd = -1};
        int r = temporary_file(entry->directories[i], making->names[making->count], &file->fd);
        if (r < 0)
            give_up(entry, i, NULL, r);
        else
            making->places[making->count++] = i;
    }
    return 0;
}

static void give_all_up(const struct entry *entry, const struct making *making)
{
    for (size_t i = 0; i < making->count; i++)
        unlinkat(entry->directories[making->places[i]], making->names[i], 0);
}

/* Each file that was written waits for its name, which is PATH's. */
static void finish_making(struct entry *entry, const struct making *making,
                          const struct source_file *source, const char *path)
{
    entry->original.status = source->status;
    for (size_t i = 0; i < making->count; i++) {
        struct new_file *file = &making->files[i];
        uint64_t size = target_file_size(file->target, &source->header);
        int r = file->result;
        if (r == 0)
            r = finish(entry, making->places[i], making->names[i], path, file->fd, size);
        if (r < 0)
            give_up(entry, making->places[i], making->names[i], r);
    }
}

/* Writes SOURCE to new files. Returns as content_write does; where it fails, nothing is left. */
static int make_files(struct entry *entry, struct source_file *source, bool holes, const char *path)
{
    const struct copy_work *copy = entry->copy;
    const struct content_settings settings = {
        .holes = holes,
        .reread = copy->settings->reread,
        .pool = copy->visit.pool,
        .progress = copy->visit.progress,
    };
    CLEANUP(end_making) struct making making = {0};

    int r = begin_making(entry, &making);
    if (r == 0 && making.count > 0)
        r = content_write(source, making.files, making.count, &settings);
    if (r < 0)
        give_all_up(entry, &making);
    else
        finish_making(entry, &making, source, path);
    return r;
}

/* What is there already of VERSION, by size and time, an earlier run has taken. */
static void leave_version(struct entry *entry, const struct source_file *version)
{
    const struct copy_work *copy = entry->copy;

    entry->original.status = version->status;
    entry->original.header = version->header;
    for (size_t i = 0; i < copy->count && !copy->settings->look_closer; i++) {
        if (entry->needs[i] == NEED_CONTENT)
            entry->needs[i] =
                target_compare(&copy->targets[i], entry->directories[i], &entry->original);
    }
}

/* An older version that is whole, if there is one: 0, or -ENOENT. */
static int make_older(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;
    int r = -EIO;

    if (!source->operations->open_version)
        return -ENOENT;
    for (unsigned rank = 1; r == -EIO; rank++) {
        cleanup_source_file struct source_file *file = NULL;
        r = source->operations->open_version(source, entry->original.path, rank, &file);
        if (r < 0)
            continue;
        leave_version(entry, file);
        r = make_files(entry, file, false, entry->original.path);
    }
    if (r == 0)
        copy_tell(entry->copy, COPY_OLDER, entry->original.path, NULL, 0);
    return r;
}

/*
 * Returns true if PATH is no name of the source, nor there in a target that it is to be made in: an
 * earlier run may have read more of the file.
 */
static bool is_free(const struct entry *entry, const char *path)
{
    struct source *source = entry->copy->visit.source;
    const char *name = visit_last_name(path);
    struct share_header header;
    struct stat status;

    bool is_free = source->operations->stat(source, path, &status, &header, NULL, NULL) == -ENOENT;
    for (size_t i = 0; is_free && i < entry->copy->count; i++)
        is_free = entry->needs[i] != NEED_CONTENT ||
                  (fstatat(entry->directories[i], name, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
                   errno == ENOENT);
    return is_free;
}

/* FNV-1a: two names that are cut alike are told apart by it. */
static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3;
    return hash;
}

/*
 * The original's path with SUFFIX; the caller frees it. Where that name would be too long, its end
 * gives way to a hash of all of it.
 */
static char *make_partial_path(const struct entry *entry, const char *suffix)
{
    const char *path = entry->original.path, *name = visit_last_name(path);
    char hash[sizeof "~0123456789abcdef"] = "";
    size_t length = strlen(name);
    char *ret;

    if (length + strlen(suffix) > NAME_MAX) {
        snprintf(hash, sizeof hash, "~%016" PRIx64, hash_name(name));
        length = NAME_MAX - strlen(hash) - strlen(suffix);
        while (length > 1 && ((uint8_t)name[length] & 0xc0) == 0x80) /* within a character */
            length--;
    }
    length += (size_t)(name - path);
    return asprintf(&ret, "%.*s%s%s", (int)length, path, hash, suffix) < 0 ? NULL : ret;
}

/* The first of NAME.partial, NAME.partial.2, ... that is free; the caller frees it. */
static int find_partial(const struct entry *entry, char **ret)
{
    for (unsigned number = 1; number <= PARTIAL_MAX; number++) {
        char suffix[sizeof ".partial." + 3 * sizeof number] = ".partial";
        if (number > 1)
            snprintf(suffix, sizeof suffix, ".partial.%u", number);
        cleanup_free char *path = make_partial_path(entry, suffix);
        if (!path)
            return -ENOMEM;
        if (is_free(entry, path)) {
            *ret = steal_pointer(path);
            return 0;
        }
    }
    return -EEXIST;
}

/* What can be read of it, beside its name. */
static int make_partial(struct entry *entry)
{
    cleanup_free char *path = NULL;

    int r = find_partial(entry, &path);
    if (r == 0)
        r = make_files(entry, entry->file, true, path);
    if (r >= 0)
        copy_tell(entry->copy, COPY_PARTIAL, path, NULL, 0);
    return r;
}

static void make_file(struct entry *entry)
{
    const struct copy_work *copy = entry->copy;
    const char *path = entry->original.path;

    int r = entry_open_file(entry);
    if (r == -ENOENT && copy->visit.source->live)
        return; /* it is gone meanwhile */
    if (r == 0)
        r = make_files(entry, entry->file, false, path);
    if (r == 0 || r == -ECANCELED)
        return;
    if (copy->settings->older && make_older(entry) == 0)
        return;
    copy_tell(copy, COPY_LOST, path, NULL, r);
    if (!copy->settings->salvage || !entry->file)
        return;
    r = make_partial(entry);
    if (r < 0 && r != -ECANCELED)
        copy_tell(copy, COPY_FAILED, path, NULL, r);
}

void make_in_dry_run(const struct entry *entry, size_t target)
{
    const struct copy_work *copy = entry->copy;
    const char *path = entry->original.path;
    int directory = entry->directories[target];

    int r = directory < 0 ? 0 : clean_way(copy, &copy->targets[target], directory, path);
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, &copy->targets[target], r);
    else
        copy_tell_made(copy, path, &copy->targets[target], entry_replaces_kind(entry, target));
}

void make_content(struct entry *entry)
{
    struct copy_work *copy = entry->copy;
    mode_t kind = entry->original.status.st_mode & S_IFMT;

    if (copy->settings->dry_run || kind != S_IFREG) {
        for (size_t i = 0; i < copy->count; i++) {
            if (entry->needs[i] != NEED_CONTENT)
                continue;
            if (copy->settings->dry_run)
                make_in_dry_run(entry, i);
            else
                make_special(entry, i);
        }
        return;
    }
    make_file(entry);
}
