/* SPDX-License-Identifier: MIT */
#include "tree/stores.h"

#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LOOK_AFTER_S = 1, /* how old the list of stores may become */
};

struct stores {
    char *directory;     /* absolute; NULL: none */
    struct names others; /* absolute paths */
    pthread_mutex_t lock;
    bool looking; /* someone renews the list, without the lock */
    struct timespec looked;
    struct store_list *list;
};

static struct store_list *list_new(size_t room)
{
    return calloc(1, sizeof(struct store_list) + room * sizeof(struct store *));
}

void store_list_free(struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        store_release(list->stores[i]);
    free(list);
}

/* The store that was made from the directory at PATH, if it is one of OLD. */
static struct store *find_old(const struct store_list *old, const char *path)
{
    for (size_t i = 0; old && i < old->count; i++) {
        if (strcmp(store_name(old->stores[i]), path) == 0 && store_is_at(old->stores[i], path))
            return store_hold(old->stores[i]);
    }
    return NULL;
}

/* Adds what lies at PATH, which is the store of OLD where nothing has changed there. */
static int add(struct store_list *list, const struct store_list *old, const char *path)
{
    struct store *store = find_old(old, path);

    if (!store) {
        int r = store_new(path, &store);
        if (r < 0)
            return r;
        if (old)
            log_warning("store %s is there now", path);
    }
    list->stores[list->count++] = store;
    return 0;
}

static int add_beneath(struct store_list *list, const struct store_list *old, const char *directory,
                       const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%s", directory, names_get(names, i)) < 0)
            return -ENOMEM;
        int r = add(list, old, path);
        if (r < 0 && r != -ENOTDIR && !old)
            log_warning("store %s is left out: %s", path, strerrordesc_np(-r));
    }
    return 0;
}

static int add_others(struct store_list *list, const struct store_list *old,
                      const struct names *others)
{
    for (size_t i = 0; i < others->count; i++) {
        int r = add(list, old, names_get(others, i));
        if (r < 0 && !old)
            return log_errno(r, "store=%s", names_get(others, i));
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
    if (r == 0)
        names_sort_unique(names);
    return r;
}

/* Says which stores of OLD are not in LIST any more. */
static void log_gone(const struct store_list *old, const struct store_list *list)
{
    for (size_t i = 0; i < old->count; i++) {
        bool found = false;
        for (size_t j = 0; j < list->count && !found; j++)
            found = old->stores[i] == list->stores[j];
        if (!found)
            log_warning("store %s is gone", store_name(old->stores[i]));
    }
}

/* Lists the stores that are there. OLD is the list until now; NULL for the first one. */
static int look(const struct stores *stores, const struct store_list *old, struct store_list **ret)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_store_list struct store_list *list = NULL;

    int r = list_sorted(stores->directory, &names);
    if (r < 0)
        return old ? r : log_errno(r, "%s", stores->directory);
    list = list_new(names.count + stores->others.count);
    if (!list)
        return -ENOMEM;
    r = add_beneath(list, old, stores->directory, &names);
    if (r == 0)
        r = add_others(list, old, &stores->others);
    if (r < 0)
        return r;
    if (old)
        log_gone(old, list);
    *ret = steal_pointer(list);
    return 0;
}

/* The daemon's working directory is not the user's: relative paths must not stay so. */
static int make_absolute(const char *path, char **ret)
{
    *ret = realpath(path, NULL);
    return *ret ? 0 : log_errno(-errno, "%s", path);
}

static int note_places(struct stores *stores, const char *directory, const struct names *others)
{
    int r = directory ? make_absolute(directory, &stores->directory) : 0;

    for (size_t i = 0; r == 0 && i < others->count; i++) {
        cleanup_free char *path = NULL;
        r = make_absolute(names_get(others, i), &path);
        if (r == 0)
            r = names_add(&stores->others, path);
    }
    return r;
}

int stores_open(const char *directory, const struct names *others, struct stores **ret)
{
    cleanup_stores struct stores *stores = calloc(1, sizeof *stores);

    if (!stores)
        return -ENOMEM;
    pthread_mutex_init(&stores->lock, NULL);
    int r = note_places(stores, directory, others);
    if (r == 0)
        r = look(stores, NULL, &stores->list);
    if (r < 0)
        return r;
    if (stores->list->count == 0)
        log_warning("%s: no stores in it: it should have a directory for each share",
                    stores->directory);
    clock_gettime(CLOCK_MONOTONIC, &stores->looked);
    *ret = steal_pointer(stores);
    return 0;
}

void stores_close(struct stores *stores)
{
    if (stores->list)
        store_list_free(stores->list);
    pthread_mutex_destroy(&stores->lock);
    names_clear(&stores->others);
    free(stores->directory);
    free(stores);
}

static int copy_list(const struct store_list *list, struct store_list **ret)
{
    struct store_list *copy = list_new(list->count);

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++)
        copy->stores[copy->count++] = store_hold(list->stores[i]);
    *ret = copy;
    return 0;
}

/* Whether it is the caller's turn to renew the list. The lock is held. */
static bool is_due(struct stores *stores)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (stores->looking || now.tv_sec - stores->looked.tv_sec <= LOOK_AFTER_S)
        return false;
    stores->looking = true;
    stores->looked = now;
    return true;
}

/* Renews the list; what fails leaves it as it was. */
static void renew(struct stores *stores)
{
    struct store_list *list = NULL;

    int r = look(stores, stores->list, &list);
    pthread_mutex_lock(&stores->lock);
    stores->looking = false;
    if (r == 0) {
        struct store_list *old = stores->list;
        stores->list = list;
        list = old;
    }
    pthread_mutex_unlock(&stores->lock);
    if (list)
        store_list_free(list);
}

int stores_now(struct stores *stores, struct store_list **ret)
{
    pthread_mutex_lock(&stores->lock);
    bool due = is_due(stores);
    pthread_mutex_unlock(&stores->lock);
    if (due)
        renew(stores);
    pthread_mutex_lock(&stores->lock);
    int r = copy_list(stores->list, ret);
    pthread_mutex_unlock(&stores->lock);
    return r;
}
