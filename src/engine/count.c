/* SPDX-License-Identifier: MIT */
#include "engine/count.h"

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

/* Counts all beneath PATH, which the source has not; REMOVED: it would go. */
static void count_all(struct counting *counting, size_t target, const char *path, bool removed)
{
    const struct target *in = &counting->targets[target];
    cleanup_names struct names names = NO_NAMES;

    int r = tree_list(in->tree, path, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_free char *whole = visit_join(path, names_get(&names, i));
        atomic_fetch_add(&counting->lacking[target].names, 1);
        atomic_fetch_add(&counting->lacking[target].lacking, removed);
        if (!whole)
            atomic_store(&counting->visit.result, -ENOMEM);
        else if (is_directory(in, whole, names.items[i].kind))
            count_all(counting, target, whole, removed);
    }
}

/* Counts what is in the directory PATH of a target, beside the NAMES that the source has there. */
static void count_in_target(struct counting *counting, size_t target, const char *path,
                            const struct names *names, struct names *directories)
{
    const struct copy_settings *settings = counting->settings;
    const struct target *in = &counting->targets[target];
    cleanup_names struct names there = NO_NAMES;

    int r = tree_list(in->tree, path, &there);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        cleanup_free char *whole = visit_join(path, name);
        if (temporary_is_name(name))
            continue;
        if (!whole) {
            r = -ENOMEM;
            break;
        }
        bool lacks = !names_have(names, name);
        bool removed = lacks && !(settings->keeps && settings->keeps(settings->context, whole));
        bool directory = is_directory(in, whole, there.items[i].kind);
        atomic_fetch_add(&counting->lacking[target].names, 1);
        atomic_fetch_add(&counting->lacking[target].lacking, removed);
        if (directory && lacks)
            count_all(counting, target, whole, removed);
        else if (directory)
            r = names_add(directories, whole);
    }
    if (r == -ENOMEM)
        atomic_store(&counting->visit.result, r);
}

static void count_directory(struct visit *visit, const char *path, const struct names *names)
{
    struct counting *counting = (struct counting *)visit;
    cleanup_names struct names directories = NO_NAMES;

    for (size_t i = 0; i < counting->count; i++)
        count_in_target(counting, i, path, names, &directories);
    names_sort_unique(&directories);
    for (size_t i = 0; i < directories.count; i++)
        visit_into(visit, names_get(&directories, i));
}

/* The source has something else there, or nothing any more. */
static void count_failed(struct visit *visit, const char *path, int error)
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
