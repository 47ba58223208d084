/* SPDX-License-Identifier: MIT */
#include "engine/count.h"

#include "engine/partial.h"
#include "engine/visit.h"
#include "tree/temporary.h"

static void count_name(struct visit *visit, const char *path, void *part)
{
    struct share_header header;
    struct stat status;

    if (visit->source->operations->stat(visit->source, path, &status, &header, NULL, NULL) < 0)
        return;
    if (S_ISDIR(status.st_mode))
        visit_into(visit, path);
    if (!S_ISREG(status.st_mode))
        return;
    atomic_fetch_add(&visit->progress->all_files, 1);
    atomic_fetch_add(&visit->progress->all_bytes, (uint64_t)status.st_size);
}

void count_run(struct source *source, unsigned jobs, struct progress *progress)
{
    static const struct visit_operations operations = {.name = count_name};
    struct visit visit = {.operations = &operations, .source = source, .progress = progress};

    visit_run(&visit, jobs);
}

struct counting {
    struct visit visit;
    const struct target *targets;
    const struct copy_settings *settings;
    struct lacking *lacking; /* one for each target */
    size_t count;
};

static bool is_directory(const struct target *target, const char *path, mode_t kind)
{
    struct stat status;

    if (kind == 0 && tree_stat(target->tree, path, &status) == 0)
        kind = status.st_mode;
    return S_ISDIR(kind);
}

/*
 * Counts what the directory PATH of a target holds beside the NAMES that the source has there, with
 * all beneath. Adds directories that both have to BOTH. NAMES NULL: the source has no such
 * directory, and all in it would be removed, if GOES.
 */
static void count_in_target(struct counting *counting, size_t target, const char *path,
                            const struct names *names, bool goes, struct names *both)
{
    const struct copy_settings *settings = counting->settings;
    const struct target *in = &counting->targets[target];
    cleanup_names struct names there = NO_NAMES;

    int r = tree_list(in->tree, path, &there);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        cleanup_free char *whole = visit_join(path, name);
        bool lacks = !names || !names_have(names, name), removed = lacks && goes;
        if (names && temporary_is_name(name))
            continue;
        if (!whole) {
            r = -ENOMEM;
            break;
        }
        if (names && removed && settings->keeps)
            removed = !settings->keeps(settings->context, whole);
        if (names && removed) {
            cleanup_free char *file = NULL; /* that it was salvaged of */
            r = partial_find_whole(settings, in, path, name, names, &file);
            removed = r == 0 && !file;
        }
        atomic_fetch_add(&counting->lacking[target].names, 1);
        atomic_fetch_add(&counting->lacking[target].lacking, removed);
        if (!is_directory(in, whole, there.items[i].kind))
            continue;
        if (lacks)
            count_in_target(counting, target, whole, NULL, removed, NULL);
        else
            r = names_add(both, whole);
    }
    if (r == -ENOMEM)
        atomic_store(&counting->visit.result, r);
}

static void count_directory(struct visit *visit, const char *path, const struct names *names)
{
    struct counting *counting = (struct counting *)visit;
    cleanup_names struct names both = NO_NAMES;

    for (size_t i = 0; i < counting->count; i++)
        count_in_target(counting, i, path, names, true, &both);
    names_sort_unique(&both);
    for (size_t i = 0; i < both.count; i++)
        visit_into(visit, names_get(&both, i));
}

/* The source has something else there, or nothing any more. */
static void count_failed(struct visit *visit, const char *path, int error)
{
    struct counting *counting = (struct counting *)visit;

    for (size_t i = 0; i < counting->count && (error == -ENOTDIR || error == -ENOENT); i++)
        count_in_target(counting, i, path, NULL, true, NULL);
}

int lacking_count(struct source *source, const struct target targets[], size_t count,
                  const struct copy_settings *settings, struct progress *progress,
                  struct lacking ret[])
{
    static const struct visit_operations operations = {
        .directory = count_directory,
        .failed = count_failed,
    };
    struct counting counting = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .targets = targets,
        .settings = settings,
        .lacking = ret,
        .count = count,
    };

    return visit_run(&counting.visit, settings->jobs);
}
