/* SPDX-License-Identifier: MIT */
/*
 * Names of one directory that are alike but for case. In a target whose storage ignores case, such
 * as exFAT, what is made last takes the place of the others. Inodes do not tell: FUSE servers may
 * have one for each name. A listing does: of names that all lead to something it has but one.
 */
#include "engine/item.h"

#include <strings.h>

struct alike {
    struct alike *next;
    struct names names; /* those that are alike stand together */
    char path[];        /* of their directory */
};

static void free_alike(struct alike *alike)
{
    names_clear(&alike->names);
    free(alike);
}

DEFINE_CLEANUP(struct alike *, free_alike)

static int compare_names(const void *left, const void *right)
{
    return strcasecmp(*(const char *const *)left, *(const char *const *)right);
}

/* Adds those of NAMES that are alike. Returns 0 or -ENOMEM. */
static int find_alike(const struct names *names, struct names *ret)
{
    cleanup_free const char **sorted = calloc(names->count + 1, sizeof *sorted);
    int r = sorted ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < names->count; i++)
        sorted[i] = names_get(names, i);
    if (r == 0)
        qsort(sorted, names->count, sizeof *sorted, compare_names);
    for (size_t i = 0; r == 0 && i < names->count; i++) {
        if ((i > 0 && strcasecmp(sorted[i - 1], sorted[i]) == 0) ||
            (i + 1 < names->count && strcasecmp(sorted[i], sorted[i + 1]) == 0))
            r = names_add(ret, sorted[i]);
    }
    return r;
}

void alike_note(struct copy_work *copy, const char *path, const struct names *names)
{
    CLEANUP(cleanup_by_free_alike)
    struct alike *alike = calloc(1, sizeof *alike + strlen(path) + 1);

    if (!alike || find_alike(names, &alike->names) < 0) {
        atomic_store(&copy->visit.result, -ENOMEM);
        return;
    }
    if (alike->names.count == 0)
        return;
    strcpy(alike->path, path);
    struct alike *noted = steal_pointer(alike);
    HOLD(&copy->lock);
    noted->next = copy->alike;
    copy->alike = noted;
}

static bool is_there(const struct target *target, const char *path)
{
    struct stat status;

    return tree_stat(target->tree, path, &status) == 0;
}

static void look_in_target(const struct copy_work *copy, const struct alike *alike,
                           struct target *target)
{
    cleanup_names struct names there = NO_NAMES;

    if (tree_list(target->tree, alike->path, &there) < 0)
        return;
    names_sort_unique(&there);
    for (size_t i = 1; i < alike->names.count; i++) {
        const char *one = names_get(&alike->names, i - 1), *other = names_get(&alike->names, i);
        if (strcasecmp(one, other) != 0 || (names_have(&there, one) && names_have(&there, other)))
            continue;
        cleanup_free char *path = visit_join(alike->path, one);
        cleanup_free char *twin = visit_join(alike->path, other);
        if (path && twin && is_there(target, path) && is_there(target, twin))
            copy_tell_twin(copy, path, other, target);
    }
}

void alike_end(struct copy_work *copy)
{
    while (copy->alike) {
        CLEANUP(cleanup_by_free_alike) struct alike *alike = copy->alike;
        copy->alike = alike->next;
        for (size_t i = 0; i < copy->count && !copy->settings->dry_run; i++)
            look_in_target(copy, alike, &copy->targets[i]);
    }
}
