/* SPDX-License-Identifier: MIT */
#include "engine/clean.h"

#include "tree/remove.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A removal in a target. */
struct cleaning {
    const struct copy_work *copy;
    const struct target *target;
    bool kept; /* something in a directory is not to be removed */
};

/* What an interrupted run of ours left goes without a word. */
static void tell_removed(void *opaque, const char *path)
{
    const struct cleaning *cleaning = opaque;

    if (!temporary_is_name(visit_last_name(path)))
        copy_tell(cleaning->copy, COPY_REMOVED, path, cleaning->target, 0);
}

static void look_whether_kept(void *opaque, const char *path)
{
    struct cleaning *cleaning = opaque;
    const struct copy_settings *settings = cleaning->copy->settings;

    cleaning->kept |= !settings->remove;
    if (!cleaning->kept && settings->keeps)
        cleaning->kept = settings->keeps(settings->context, path);
}

int clean_way(const struct copy_work *copy, const struct target *target, int directory,
              const char *path)
{
    const char *name = visit_last_name(path);
    bool dry_run = copy->settings->dry_run;
    struct cleaning cleaning = {copy, target, false};
    const struct removal_terms look = {true, look_whether_kept, &cleaning};
    const struct removal_terms remove = {dry_run, tell_removed, &cleaning};

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

static void clean(const struct copy_work *copy, const struct target *target, int directory,
                  const char *path)
{
    struct cleaning cleaning = {copy, target, false};
    const struct removal_terms terms = {copy->settings->dry_run, tell_removed, &cleaning};

    int r = remove_all(directory, visit_last_name(path), path, &terms);
    if (r < 0)
        copy_tell(copy, COPY_FAILED, path, target, r);
}

void clean_unwanted(const struct entry *entry)
{
    const struct copy_work *copy = entry->copy;

    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] == NEED_REMOVAL && entry->directories[i] >= 0)
            clean(copy, &copy->targets[i], entry->directories[i], entry->original.path);
    }
}

/* Takes out of a target's directory what the source has not, or what an earlier run left. */
void clean_directory(const struct copy_work *copy, const struct target *target, const char *path,
                     const struct names *names)
{
    cleanup_names struct names there = NO_NAMES;
    cleanup_fd int directory = -1;

    int r = tree_open_directory(target->tree, path, &directory);
    if (r == 0)
        r = tree_list(target->tree, path, &there);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR)
        copy_tell(copy, COPY_FAILED, path, target, r);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        if (names_have(names, name) || !(temporary_is_name(name) || copy->settings->remove))
            continue;
        cleanup_free char *whole = visit_join(path, name);
        if (!whole)
            copy_tell(copy, COPY_FAILED, path, target, -ENOMEM);
        else if (!copy->settings->keeps || !copy->settings->keeps(copy->settings->context, whole))
            clean(copy, target, directory, whole);
    }
}
