/* SPDX-License-Identifier: MIT */
#include "engine/lacking.h"

#include "engine/visit.h"
#include "tree/temporary.h"

#include <string.h>

struct lack {
    atomic_uint_fast64_t names, lacking;
};

struct counting {
    struct visit visit;
    const struct target *targets;
    const struct copy_settings *settings;
    struct lack *tallies; /* one for each target */
    size_t count;
};

static bool is_directory(const struct target *target, const char *path, mode_t kind)
{
    struct stat status;

    if (kind == 0 && tree_stat(target->tree, path, &status) == 0)
        kind = status.st_mode;
    return S_ISDIR(kind);
}

static void count_one(struct counting *counting, size_t target, const char *path, bool removed,
                      mode_t kind);

/* Counts all beneath PATH, which the source has not; REMOVED: it would go. */
static void count_all(struct counting *counting, size_t target, const char *path, bool removed)
{
    const struct tree *tree = counting->targets[target].tree;
    cleanup_names struct names names = NO_NAMES;

    int r = tree_list(tree, path, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_free char *whole = visit_join(path, names_get(&names, i));
        if (whole)
            count_one(counting, target, whole, removed, names.items[i].kind);
        else
            atomic_store(&counting->visit.result, -ENOMEM);
    }
}

static void count_one(struct counting *counting, size_t target, const char *path, bool removed,
                      mode_t kind)
{
    atomic_fetch_add(&counting->tallies[target].names, 1);
    atomic_fetch_add(&counting->tallies[target].lacking, removed);
    if (is_directory(&counting->targets[target], path, kind))
        count_all(counting, target, path, removed);
}

static bool is_kept(const struct counting *counting, const char *path)
{
    const struct copy_settings *settings = counting->settings;

    return settings->keeps && settings->keeps(settings->context, path);
}

/* Counts what is in the directory PATH of a target, beside the NAMES that the source has there. */
static void count_directory(struct counting *counting, size_t target, const char *path,
                            const struct names *names, struct names *directories)
{
    cleanup_names struct names there = NO_NAMES;
    int r = tree_list(counting->targets[target].tree, path, &there);

    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        cleanup_free char *whole = visit_join(path, name);
        if (temporary_is_name(name))
            continue;
        mode_t kind = there.items[i].kind;
        if (!whole) {
            r = -ENOMEM;
        } else if (!names_have(names, name)) {
            count_one(counting, target, whole, !is_kept(counting, whole), kind);
        } else {
            atomic_fetch_add(&counting->tallies[target].names, 1);
            if (is_directory(&counting->targets[target], whole, kind))
                r = names_add(directories, whole);
        }
    }
    if (r == -ENOMEM)
        atomic_store(&counting->visit.result, r);
}

static void run_directory(struct visit *visit, const char *path, const struct names *names)
{
    struct counting *counting = (struct counting *)visit;
    cleanup_names struct names directories = NO_NAMES;

    for (size_t i = 0; i < counting->count; i++)
        count_directory(counting, i, path, names, &directories);
    names_sort_unique(&directories);
    for (size_t i = 0; i < directories.count; i++)
        visit_into(visit, names_get(&directories, i));
}

static void ignore_part(struct visit *visit, const char *path, const struct names *names,
                        size_t first, size_t end)
{
}

/* The source has something else there, or nothing any more. */
static void run_failed(struct visit *visit, const char *path, int error)
{
    struct counting *counting = (struct counting *)visit;

    for (size_t i = 0; i < counting->count && (error == -ENOTDIR || error == -ENOENT); i++)
        count_all(counting, i, path, true);
}

int lacking_count(struct source *source, const struct target targets[], size_t count,
                  const struct copy_settings *settings, struct progress *progress,
                  struct lacking ret[])
{
    static const struct visit_operations operations = {
        .directory = run_directory,
        .part = ignore_part,
        .failed = run_failed,
    };
    cleanup_free struct lack *tallies = calloc(count + 1, sizeof *tallies);
    struct counting counting = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .targets = targets,
        .settings = settings,
        .tallies = tallies,
        .count = count,
    };

    if (!tallies)
        return -ENOMEM;
    int r = visit_run(&counting.visit, settings->jobs);
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct lacking){tallies[i].names, tallies[i].lacking};
    return r;
}
