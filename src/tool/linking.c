/* SPDX-License-Identifier: MIT */
#include "tool/linking.h"

#include "tool/update.h"

#include <fcntl.h>

/* Whether two names in directories of a target stand for one object. */
static bool is_same_object(int directory, const char *name, int other, const char *other_name)
{
    struct stat a, b;

    return fstatat(directory, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(other, other_name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static int link_now(const struct entry *entry, size_t target, int from, const char *first)
{
    char temporary[TEMPORARY_NAME_SIZE];
    int directory = entry->directories[target];

    temporary_name(temporary);
    int r = linkat(from, first, directory, temporary, 0) < 0 ? -errno : 0;
    if (r < 0)
        return r;
    r = batch_add(entry->copy->batch, &entry->copy->targets[target], temporary,
                  entry->original.path, 0);
    if (r < 0)
        unlinkat(directory, temporary, 0);
    return r;
}

/* Links to FIRST where this is right. Where that is impossible, it becomes a file of its own. */
static void link_in_target(const struct entry *entry, size_t target, const struct entry *first)
{
    const char *name = first->original.name;
    int from = first->directories[target], directory = entry->directories[target];

    if (from < 0 || directory < 0 ||
        (first->needs[target] != NEED_METADATA && first->needs[target] != NEED_NOTHING))
        return;
    if (is_same_object(from, name, directory, entry->original.name))
        entry->needs[target] = NEED_NOTHING;
    else if (entry->copy->settings->dry_run || link_now(entry, target, from, name) == 0) {
        if (entry->copy->settings->dry_run)
            copy_tell(entry->copy, COPY_MADE, entry->original.path, &entry->copy->targets[target],
                      0);
        entry->needs[target] = NEED_NOTHING;
    }
}

static void link_name(void *context, const char *first_path, const char *path)
{
    cleanup_entry struct entry first = {.copy = context}, entry = {.copy = context};
    struct copy *copy = context;

    if (atomic_load(&copy->visit.progress->stop))
        return;
    int r = entry_begin(copy, path, &entry);
    if (r == 0)
        r = entry_look(&entry);
    if (r == 0 && entry_begin(copy, first_path, &first) == 0 && entry_look(&first) == 0)
        entry_choose(&first, true);
    if (r < 0) {
        if (r != -ENOENT)
            copy_tell(copy, COPY_LOST, path, NULL, r);
        return;
    }
    entry_choose(&entry, false);
    for (size_t i = 0; first.needs && i < copy->count; i++)
        link_in_target(&entry, i, &first);
    update_name(&entry);
}

void linking_run(struct copy *copy)
{
    links_visit(copy->links, link_name, copy);
}
