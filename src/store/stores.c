/* SPDX-License-Identifier: MIT */
#include "store/stores.h"

#include "base/log.h"
#include "base/shortage.h"
#include "store/census.h"
#include "store/sites.h"
#include "trust/leftover.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_AFTER_S = 1, /* how old the list of stores may become */
};

struct stores {
    char *directory;     /* absolute; NULL: none */
    struct names others; /* absolute paths */
    struct sites *sites;
    struct census *census;
    pthread_mutex_t lock;
    bool looking; /* someone renews the list, without the lock */
    struct timespec looked;
    struct store_list *list;
};

/* The store of LIST that is said to be at PATH, or NULL. */
static struct store *find_store(const struct store_list *list, const char *path)
{
    for (size_t i = 0; list && i < list->count; i++) {
        if (strcmp(store_name(list->stores[i]), path) == 0)
            return list->stores[i];
    }
    return NULL;
}

static int list_sorted(const struct stores *stores, struct names *names)
{
    if (!stores->directory)
        return 0;
    int r = sites_list(stores->sites, stores->directory, names);
    if (r == 0)
        names_sort_unique(names);
    return r;
}

static bool is_among(const struct names *paths, const char *path)
{
    for (size_t i = 0; i < paths->count; i++) {
        if (strcmp(names_get(paths, i), path) == 0)
            return true;
    }
    return false;
}

/* Adds the paths at which stores may be: first those beneath the directory, *RET_FOUND of them. */
static int list_paths(const struct stores *stores, struct names *paths, size_t *ret_found)
{
    cleanup_names struct names found = NO_NAMES;

    int r = list_sorted(stores, &found);
    for (size_t i = 0; r == 0 && i < found.count; i++) {
        cleanup_free char *path = NULL;
        if (leftover_is_no_store(names_get(&found, i)))
            continue;
        if (asprintf(&path, "%s/%s", stores->directory, names_get(&found, i)) < 0)
            return -ENOMEM;
        r = names_add(paths, path);
    }
    *ret_found = paths->count;
    for (size_t i = 0; r == 0 && i < stores->others.count; i++) {
        const char *path = names_get(&stores->others, i);
        r = is_among(paths, path) ? 0 : names_add(paths, path);
    }
    return r;
}

/* Reports a place that has no usable store, once. It is an error if the user named the place. */
static int complain(const struct site *site, bool named)
{
    if (named && site->result != -ETIMEDOUT)
        return log_errno(site->result, "store=%s", site->path);
    if (site->result != -ENOTDIR)
        log_error("store %s is left out%s: %s%s", site->path,
                  site->result == -ETIMEDOUT ? " until it answers" : "",
                  strerrordesc_np(-site->result),
                  site->result == -ENOENT ? "; is what it leads to mounted?" : "");
    return 0;
}

/* Adds a store that is there, unless LIST has the directory by another name: it can be lost once.
 */
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

/* Adds what came of asking; a store whose place does not answer stays. */
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
            if (!old && r == 0)
                r = complain(site, i >= found);
        }
    }
    return r;
}

/* Asks at all PATHS, the first FOUND of which were found beneath the directory. */
static int ask_at(const struct stores *stores, const struct store_list *old,
                  const struct names *paths, size_t found, struct store_list *list)
{
    cleanup_free struct site *sites = calloc(paths->count + 1, sizeof *sites);

    if (!sites)
        return -ENOMEM;
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = names_get(paths, i);
        sites[i] = (struct site){.path = path, .known = find_store(old, path)};
    }
    int r = sites_ask(stores->sites, sites, paths->count);
    return r < 0 ? log_errno(r, "the stores cannot be asked")
                 : add_answers(list, old, sites, paths->count, found);
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
    cleanup_names struct names paths = NO_NAMES;
    cleanup_store_list struct store_list *list = NULL;
    size_t found = 0;

    int r = list_paths(stores, &paths, &found);
    if (r < 0)
        return old ? r : log_errno(r, "%s", stores->directory);
    list = store_list_new(paths.count);
    if (!list)
        return -ENOMEM;
    r = ask_at(stores, old, &paths, found, list);
    if (r < 0)
        return r;
    if (old)
        log_gone(old, list);
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
    int r = sites_new(&stores->sites);
    if (r == 0)
        r = census_new(terms, &stores->census);
    if (r == 0 && directory)
        r = make_absolute(directory, &stores->directory);
    if (r == 0)
        r = note_others(stores, others);
    if (r == 0)
        r = look(stores, NULL, &stores->list);
    if (r < 0)
        return r;
    clock_gettime(CLOCK_MONOTONIC, &stores->looked);
    *ret = steal_pointer(stores);
    return 0;
}

void stores_close(struct stores *stores)
{
    if (stores->list)
        store_list_free(stores->list);
    if (stores->sites)
        sites_free(stores->sites);
    if (stores->census)
        census_free(stores->census);
    pthread_mutex_destroy(&stores->lock);
    names_clear(&stores->others);
    free(stores->directory);
    free(stores);
}

/* Returns true if it is the caller's turn to renew the list. The lock is held. */
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
    if (r == 0 && list) {
        struct store_list *old = stores->list;
        list->number = old->number + 1;
        stores->list = list;
        list = old;
    }
    pthread_mutex_unlock(&stores->lock);
    if (list)
        store_list_free(list);
}

int stores_add(struct stores *stores, const struct names *paths)
{
    int r = note_others(stores, paths);

    if (r == 0)
        renew(stores);
    return r;
}

int stores_real_paths(struct stores *stores, struct names *paths)
{
    int r = 0;

    pthread_mutex_lock(&stores->lock);
    for (size_t i = 0; r == 0 && i < stores->list->count; i++)
        r = names_add(paths, store_real_path(stores->list->stores[i]));
    pthread_mutex_unlock(&stores->lock);
    return r;
}

/* Hears the stores of LIST, a copy, and keeps what does not change. */
static int count_votes(struct stores *stores, struct store_list *list)
{
    int r = census_take(stores->census, list);

    if (r < 0 || !list->counted)
        return r;
    pthread_mutex_lock(&stores->lock);
    if (stores->list->number == list->number) {
        stores->list->quorum = list->quorum;
        stores->list->counted = true;
    }
    pthread_mutex_unlock(&stores->lock);
    return 0;
}

int stores_now(struct stores *stores, struct store_list **ret)
{
    cleanup_store_list struct store_list *list = NULL;

    pthread_mutex_lock(&stores->lock);
    bool due = is_due(stores);
    pthread_mutex_unlock(&stores->lock);
    if (due)
        renew(stores);
    pthread_mutex_lock(&stores->lock);
    list = store_list_copy(stores->list);
    pthread_mutex_unlock(&stores->lock);
    if (!list)
        return -ENOMEM;
    int r = list->counted ? 0 : count_votes(stores, list);
    if (r == 0)
        *ret = steal_pointer(list);
    return r;
}

size_t stores_count(struct stores *stores)
{
    pthread_mutex_lock(&stores->lock);
    size_t count = stores->list->count;
    pthread_mutex_unlock(&stores->lock);
    return count;
}
