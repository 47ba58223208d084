/* SPDX-License-Identifier: MIT */
#include "tree/stores.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* Opens what lies at PATH as one more store. */
static int add(struct stores *stores, const char *path)
{
    int r = tree_open(path, &stores->trees[stores->count]);

    if (r == 0)
        stores->count++;
    return r;
}

static int add_beneath(struct stores *stores, const char *directory, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%s", directory, names_get(names, i)) < 0)
            return -ENOMEM;
        int r = add(stores, path);
        if (r < 0 && r != -ENOTDIR)
            log_warning("store %s is left out: %s", path, strerrordesc_np(-r));
    }
    return 0;
}

static int list_sorted(const char *directory, struct names *names)
{
    cleanup_tree struct tree *tree = NULL;

    if (!directory)
        return 0;
    int r = tree_open(directory, &tree);
    if (r == 0)
        r = tree_list(tree, "", names);
    if (r < 0)
        return log_errno(r, "%s", directory);
    names_sort_unique(names);
    return 0;
}

int stores_open(const char *directory, const struct names *others, struct stores **ret)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_stores struct stores *stores = NULL;

    int r = list_sorted(directory, &names);
    if (r < 0)
        return r;
    stores = calloc(1, sizeof *stores + (names.count + others->count) * sizeof(struct tree *));
    if (!stores)
        return -ENOMEM;
    r = add_beneath(stores, directory, &names);
    if (r < 0)
        return r;
    for (size_t i = 0; i < others->count; i++) {
        r = add(stores, names_get(others, i));
        if (r < 0)
            return log_errno(r, "store=%s", names_get(others, i));
    }
    *ret = steal_pointer(stores);
    return 0;
}

void stores_close(struct stores *stores)
{
    for (size_t i = 0; i < stores->count; i++)
        tree_close(stores->trees[i]);
    free(stores);
}
