/* SPDX-License-Identifier: MIT */
#include "engine/update.h"

#include "engine/content.h"
#include "engine/make.h"

#include <fcntl.h>

/* The files that there are already, in some of the targets. */
struct comparing {
    struct new_file *files;
    size_t *places; /* of these in all targets */
    size_t count;
};

static void end_comparing(struct comparing *comparing)
{
    for (size_t i = 0; i < comparing->count; i++)
        cleanup_close_fd(&comparing->files[i].fd);
    free(comparing->files);
    free(comparing->places);
}

/* Looks at contents where nothing else says that they differ. */
static int look_closer(struct entry *entry)
{
    const struct copy_work *copy = entry->copy;
    const struct content_settings settings = {
        .pool = copy->visit.pool,
        .progress = copy->visit.progress,
    };
    CLEANUP(end_comparing) struct comparing there = {0};

    there.files = calloc(copy->count, sizeof *there.files);
    there.places = calloc(copy->count, sizeof *there.places);
    if (!there.files || !there.places)
        return -ENOMEM;
    int r = entry_open_file(entry);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        if (entry->needs[i] != NEED_METADATA)
            continue;
        int fd = openat(entry->directories[i], entry->original.name,
                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        there.files[there.count] =
            (struct new_file){.target = &copy->targets[i], .fd = fd, .result = fd < 0 ? -errno : 0};
        there.places[there.count++] = i;
    }
    if (r == 0 && there.count > 0)
        r = content_compare(entry->file, there.files, there.count, &settings);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        if (there.files[i].result < 0)
            entry->needs[there.places[i]] = NEED_CONTENT;
    }
    return r;
}

/* What cannot be read is lost, whatever the target has. */
static void look_closer_or_tell(struct entry *entry)
{
    int r = look_closer(entry);

    if (r < 0 && !(r == -ENOENT && entry->copy->visit.source->live))
        copy_tell(entry->copy, COPY_LOST, entry->original.path, NULL, r);
}

/*
 * Gives a name its metadata. A file's is written out at once where that is not done for the target
 * as a whole, unless it closes the file.
 */
static void end_metadata(const struct entry *entry, size_t i)
{
    const struct copy_work *copy = entry->copy;
    const struct target *target = &copy->targets[i];
    cleanup_fd int fd = -1;

    bool changed = entry_end_metadata(entry, i, true) > 0;
    if (!changed || copy->settings->dry_run || !S_ISREG(entry->original.status.st_mode))
        return;
    int r = target_open_unsettled(target, entry->directories[i], entry->original.name, &fd);
    if (r == 0 && fd >= 0)
        r = target_settle_open(fd);
    if (r < 0 && r != -EACCES)
        copy_tell(copy, COPY_FAILED, entry->original.path, target, r);
}

void update_name(struct entry *entry)
{
    const struct copy_work *copy = entry->copy;
    bool regular = S_ISREG(entry->original.status.st_mode);

    if (copy->settings->look_closer && regular && entry_any_needs(entry, NEED_METADATA))
        look_closer_or_tell(entry);
    if (entry_any_needs(entry, NEED_CONTENT) || entry_any_needs(entry, NEED_METADATA)) {
        int r = entry_look_at_xattrs(entry);
        if (r < 0 && r != -ENOENT) /* else it is gone meanwhile */
            copy_tell(copy, COPY_LOST, entry->original.path, NULL, r);
        if (r < 0)
            return;
    }
    if (entry_any_needs(entry, NEED_CONTENT))
        make_content(entry);
    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] == NEED_METADATA)
            end_metadata(entry, i);
    }
}
