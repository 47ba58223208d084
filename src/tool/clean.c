/* SPDX-License-Identifier: MIT */
#include "tool/clean.h"

#include "tree/remove.h"

#include <string.h>

void clean_unwanted(const struct entry *entry)
{
    const struct copy *copy = entry->copy;
    bool leftover = temporary_is_name(entry->original.name);

    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] != NEED_REMOVAL || entry->directories[i] < 0)
            continue;
        int r =
            copy->settings->dry_run ? 0 : remove_all(entry->directories[i], entry->original.name);
        if (r < 0 || !leftover)
            copy_tell(copy, r < 0 ? COPY_FAILED : COPY_REMOVED, entry->original.path,
                      &copy->targets[i], r);
    }
}

static bool has_name(const struct names *names, const char *name)
{
    size_t low = 0, high = names->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, names_get(names, middle));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Takes out of a target's directory what the source has not, or what an earlier run left. */
void clean_directory(const struct copy *copy, const struct target *target, const char *path,
                     const struct names *names)
{
    cleanup_names struct names there = NO_NAMES;
    cleanup_fd int directory = -1;

    int r = tree_open_directory(target->tree, path, &directory);
    if (r == 0)
        r = tree_list(target->tree, path, &there);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR)
        copy_tell(copy, COPY_FAILED, *path ? path : ".", target, r);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        bool leftover = temporary_is_name(name);
        if (has_name(names, name) || !(leftover || copy->settings->remove))
            continue;
        cleanup_free char *whole = visit_join(path, name);
        if (whole && copy->settings->keeps && copy->settings->keeps(copy->settings->context, whole))
            continue;
        int removed = copy->settings->dry_run ? 0 : remove_all(directory, name);
        if (removed < 0 || !leftover)
            copy_tell(copy, removed < 0 ? COPY_FAILED : COPY_REMOVED, whole ? whole : name, target,
                      removed);
    }
}
