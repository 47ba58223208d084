/* SPDX-License-Identifier: MIT */
#include "store/stores.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/shortage.h"
#include "store/census.h"
#include "store/sites.h"
#include "trust/leftover.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LOOK_AFTER_S = 1, /* how old the list of stores may become */
};

struct stores {
    char *directory;       /* absolute; NULL: none */
    struct names others;   /* absolute paths */
    struct names unwanted; /* of the stores that are left out */
    size_t left_out;       /* others that were not even named */
    struct census *census;
    pthread_mutex_t lock;
    bool looking;    /* someone renews the list, without the lock */
    uint64_t looked; /* when, in seconds */
    struct store_list *list;
};

static struct store_list *list_new(size_t room)
{
    return calloc(1, sizeof(struct store_list) + room * sizeof(struct store *));
}

static struct store_list *list_copy(const struct store_list *list)
{
    struct store_list *copy = list_new(list->count);

    if (!copy)
        return NULL;
    *copy = *list;
    for (size_t i = 0; i < copy->count; i++)
        copy->stores[i] = store_hold(list->stores[i]);
    return copy;
}

static bool has_path(const struct names *paths, const char *path)
{
    size_t i = 0;

    while (i < paths->count && strcmp(names_get(paths, i), path) != 0)
        i++;
    return i < paths->count;
}

/* Adds the paths at which stores may be: first those beneath the directory, *RET_FOUND of them. */
static int list_paths(const struct stores *stores, struct names *paths, size_t *ret_found)
{
    cleanup_names struct names found = NO_NAMES;

    int r = stores->directory ? sites_list(stores->directory, &found) : 0;
    names_sort_unique(&found);
    for (size_t i = 0; r == 0 && i < found.count; i++) {
        cleanup_free char *path = NULL;
        if (leftover_is_no_store(names_get(&found, i)))
            continue;
        if (asprintf(&path, "%s/%s", stores->directory, names_get(&found, i)) < 0)
            return -ENOMEM;
        r = has_path(&stores->unwanted, path) ? 0 : names_add(paths, path);
    }
    *ret_found = paths->count;
    for (size_t i = 0; r == 0 && i < stores->others.count; i++) {
        const char *path = names_get(&stores->others, i);
        const bool known = has_path(paths, path) || has_path(&stores->unwanted, path);
        r = known ? 0 : names_add(paths, path);
    }
    return r;
}

/* Adds a store that is there, unless LIST has it by another name: it can be lost once. */
static void add_store(struct store_list *list, const struct store_list *old,
                      const struct site *site)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!tree_is_same(store_tree(list->stores[i]), store_tree(site->store)))
            continue;
        if (!old)
            log_warning("store %s is left out: it is %s by another name", site->path,
                        store_name(list->stores[i]));
        store_release(site->store);
        return;
    }
    list->stores[list->count++] = site->store;
    if (old && site->store != site->known)
        log_warning("store %s is there now", site->path);
}

/*
 * Adds what came of asking; a store whose place does not answer stays. The first time, a place that
 * has no usable store is reported; it is an error if it is behind the first FOUND: the user named
 * it.
 */
static int add_answers(struct store_list *list, const struct store_list *old, struct site sites[],
                       size_t count, size_t found)
{
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        struct site *site = &sites[i];
        if (is_shortage(site->result))
            r = log_errno(site->result, "store %s", site->path);
        else if (site->result == 0)
            add_store(list, old, site);
        else if (site->result == -ETIMEDOUT && site->known)
            list->stores[list->count++] = store_hold(site->known);
        else {
            list->left_out += site->result != -ENOTDIR;
            if (old || r < 0)
                continue;
            if (i >= found && site->result != -ETIMEDOUT)
                r = log_errno(site->result, "store=%s", site->path);
            else if (site->result != -ENOTDIR)
                log_error("store %s is left out%s: %s%s", site->path,
                          site->result == -ETIMEDOUT ? " until it answers" : "",
                          strerrordesc_np(-site->result),
                          site->result == -ENOENT ? "; is what it leads to mounted?" : "");
        }
    }
    return r;
}

/* The store of LIST that is said to be at PATH, or NULL. */
static struct store *find_store(const struct store_list *list, const char *path)
{
    for (size_t i = 0; list && i < list->count; i++) {
        if (strcmp(tree_name(store_tree(list->stores[i])), path) == 0)
            return list->stores[i];
    }
    return NULL;
}

/* Lists the stores that are there. OLD is the list until now; NULL for the first one. */
static int look(const struct stores *stores, const struct store_list *old, struct store_list **ret)
{
    cleanup_names struct names paths = NO_NAMES;
    cleanup_store_list struct store_list *list = NULL;
    size_t found = 0;

    int r = list_paths(stores, &paths, &found);
    if (r < 0)
        return old ? r : log_errno(r, "%s", stores->directory);
    cleanup_free struct site *sites = calloc(paths.count + 1, sizeof *sites);
    list = list_new(paths.count);
    if (!sites || !list)
        return -ENOMEM;
    list->left_out = stores->left_out;
    for (size_t i = 0; i < paths.count; i++) {
        sites[i].path = names_get(&paths, i);
        sites[i].known = find_store(old, sites[i].path);
    }
    r = sites_ask(sites, paths.count);
    r = r < 0 ? log_errno(r, "the stores cannot be asked")
              : add_answers(list, old, sites, paths.count, found);
    if (r < 0)
        return r;
    for (size_t i = 0; old && i < old->count; i++) {
        size_t j = 0;
        while (j < list->count && list->stores[j] != old->stores[i])
            j++;
        if (j == list->count)
            log_warning("store %s is gone", store_name(old->stores[i]));
    }
    *ret = steal_pointer(list);
    return 0;
}

/*
 * The daemon's working directory is not the user's: relative paths must not stay so. Symlinks do:
 * to follow them is to ask.
 */
static int make_absolute(const char *path, char **ret)
{
    cleanup_free char *here = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
    size_t length = strlen(path);

    if (!here)
        return log_errno(-errno, "%s", path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    const char *between = path[0] == '/' ? "" : "/";
    return asprintf(ret, "%s%s%.*s", here, between, (int)length, path) < 0 ? -ENOMEM : 0;
}

static int note_others(struct stores *stores, const struct names *others)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < others->count; i++) {
        cleanup_free char *path = NULL;
        r = make_absolute(names_get(others, i), &path);
        if (r == 0)
            r = names_add(&stores->others, path);
    }
    names_sort_unique(&stores->others);
    return r;
}

int stores_open(const char *directory, const struct names *others, const struct stores_terms *terms,
                struct stores **ret)
{
    cleanup_stores struct stores *stores = calloc(1, sizeof *stores);

    if (!stores)
        return -ENOMEM;
    pthread_mutex_init(&stores->lock, NULL);
    stores->left_out = terms->left_out;
    int r = census_new(terms, &stores->census);
    if (r == 0 && directory)
        r = make_absolute(directory, &stores->directory);
    if (r == 0)
        r = note_others(stores, others);
    if (r == 0)
        r = look(stores, NULL, &stores->list);
    if (r < 0)
        return r;
    stores->looked = clock_now() / CLOCK_SECOND;
    *ret = steal_pointer(stores);
    return 0;
}

void stores_close(struct stores *stores)
{
    if (stores->list)
        store_list_free(stores->list);
    if (stores->census)
        census_free(stores->census);
    pthread_mutex_destroy(&stores->lock);
    names_clear(&stores->others);
    names_clear(&stores->unwanted);
    free(stores->directory);
    free(stores);
}

/* Renews the list; what fails leaves it as it was. */
static void renew(struct stores *stores)
{
    cleanup_store_list struct store_list *list = NULL;

    int r = look(stores, stores->list, &list);
    HOLD(&stores->lock);
    stores->looking = false;
    if (r < 0 || !list)
        return;
    struct store_list *old = stores->list;
    list->number = old->number + 1;
    stores->list = list;
    list = old;
}

int stores_add(struct stores *stores, const struct names *paths)
{
    int r = note_others(stores, paths);

    if (r == 0)
        renew(stores);
    return r;
}

int stores_leave_out(struct stores *stores, const struct names *paths, bool missed)
{
    struct store_list *list = stores->list;
    size_t kept = 0;
    int r = 0;

    HOLD(&stores->lock);
    for (size_t i = 0; i < list->count; i++) {
        struct store *store = list->stores[i];
        if (r == 0 && has_path(paths, store_real_path(store)))
            r = names_add(&stores->unwanted, tree_name(store_tree(store)));
        else {
            list->stores[kept++] = store;
            continue;
        }
        store_release(store);
        stores->left_out += missed;
        list->left_out += missed;
    }
    list->count = kept;
    return r;
}

int stores_real_paths(struct stores *stores, struct names *paths)
{
    int r = 0;

    HOLD(&stores->lock);
    for (size_t i = 0; r == 0 && i < stores->list->count; i++)
        r = names_add(paths, store_real_path(stores->list->stores[i]));
    return r;
}

int stores_now(struct stores *stores, struct store_list **ret)
{
    cleanup_store_list struct store_list *list = NULL;
    bool due;

    {
        HOLD(&stores->lock);
        uint64_t now = clock_now() / CLOCK_SECOND;
        due = !stores->looking && now - stores->looked > LOOK_AFTER_S;
        if (due) {
            stores->looking = true;
            stores->looked = now;
        }
    }
    if (due)
        renew(stores);
    {
        HOLD(&stores->lock);
        list = list_copy(stores->list);
    }
    if (!list)
        return -ENOMEM;
    if (!list->counted) {
        int r = census_take(stores->census, list);
        if (r < 0)
            return r;
        HOLD(&stores->lock);
        if (list->counted && stores->list->number == list->number) {
            stores->list->quorum = list->quorum;
            stores->list->gone = list->gone;
            stores->list->counted = true;
        }
    }
    *ret = steal_pointer(list);
    return 0;
}

size_t stores_count(struct stores *stores)
{
    HOLD(&stores->lock);
    return stores->list->count;
}
