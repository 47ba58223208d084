/* SPDX-License-Identifier: MIT */
#include "view/sealed_names.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "base/log.h"
#include "share/block.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum {
    BYTES_KEPT = 64 << 20, /* of all directories, not counting the newest */
    BUCKETS = 4096,
};

struct known_name {
    uint8_t id[PATH_ID_SIZE];
    uint32_t name; /* its offset in the directory's bytes */
    mode_t found;  /* its type, as the copy of a held directory found it; 0: it was not there */
    bool failed;   /* the copy could not tell, and reported that; any type will do */
};

/* A directory's names, in the order of their ids. */
struct known_directory {
    TAILQ_ENTRY(known_directory) others;
    LIST_ENTRY(known_directory) alike; /* in the same bucket */
    char *path;                        /* in the source */
    char *bytes;
    struct known_name *items;
    size_t count, size; /* size: approximate bytes of memory */
    bool held;          /* its manifest has only what was listed for the copy */
    bool done;          /* released, and may be forgotten */
};

struct sealed_names {
    struct source *tree;
    const struct seal_keys *keys;
    pthread_mutex_t lock;
    TAILQ_HEAD(known_directories, known_directory) directories; /* most recently used first */
    LIST_HEAD(known_bucket, known_directory) buckets[BUCKETS];
    size_t size;
    bool held; /* a directory is held, or was */
};

int sealed_names_new(struct source *tree, const struct seal_keys *keys, struct sealed_names **ret)
{
    struct sealed_names *names = calloc(1, sizeof *names);

    if (!names)
        return -ENOMEM;
    names->tree = tree;
    names->keys = keys;
    TAILQ_INIT(&names->directories);
    pthread_mutex_init(&names->lock, NULL);
    *ret = names;
    return 0;
}

static void directory_free(struct known_directory *directory)
{
    free(directory->path);
    free(directory->bytes);
    free(directory->items);
    free(directory);
}

DEFINE_CLEANUP(struct known_directory *, directory_free)

static void forget_directory(struct sealed_names *names, struct known_directory *directory)
{
    TAILQ_REMOVE(&names->directories, directory, others);
    LIST_REMOVE(directory, alike);
    names->size -= directory->size;
    directory_free(directory);
}

void sealed_names_free(struct sealed_names *names)
{
    while (!TAILQ_EMPTY(&names->directories))
        forget_directory(names, TAILQ_FIRST(&names->directories));
    pthread_mutex_destroy(&names->lock);
    free(names);
}

static int compare_ids(const void *left, const void *right)
{
    return memcmp(left, right, PATH_ID_SIZE); /* each begins with its id */
}

/* Returns the path of NAME in the directory PATH; the caller frees it. */
static char *join(const char *path, const char *name)
{
    char *whole;

    return asprintf(&whole, "%s%s%s", path, *path ? "/" : "", name) < 0 ? NULL : whole;
}

/* A name's id, and its place among the names. */
struct ranked {
    uint8_t id[PATH_ID_SIZE];
    uint32_t place;
};

/* Computes the ids of the names in the directory PATH, sorted. The caller frees them. */
static int rank(const struct sealed_names *names, const char *path, const struct names *listed,
                struct ranked **ret)
{
    cleanup_free struct ranked *items = calloc(listed->count + 1, sizeof *items);

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < listed->count; i++) {
        cleanup_free char *whole = join(path, names_get(listed, i));
        int r = whole ? seal_path_id(names->keys, whole, items[i].id) : -ENOMEM;
        if (r < 0)
            return r;
        items[i].place = (uint32_t)i;
    }
    qsort(items, listed->count, sizeof *items, compare_ids);
    for (size_t i = 1; i < listed->count; i++) {
        if (compare_ids(&items[i - 1], &items[i]) == 0)
            return log_as(-EIO, "%s: %s and %s have one id by chance; rename one of them",
                          log_path(path), names_get(listed, items[i - 1].place),
                          names_get(listed, items[i].place));
    }
    *ret = steal_pointer(items);
    return 0;
}

static size_t bucket_of(const char *path)
{
    uint8_t sum[HASH_SIZE];

    hash(path, strlen(path), 0, sum);
    return load_le64(sum) % BUCKETS;
}

/* With the lock held. */
static struct known_directory *find_directory(const struct sealed_names *names, const char *path)
{
    struct known_directory *directory = LIST_FIRST(&names->buckets[bucket_of(path)]);

    while (directory && strcmp(directory->path, path) != 0)
        directory = LIST_NEXT(directory, alike);
    return directory;
}

/* Forgets the least recently used directories if there are too many, except those a copy needs. */
static void forget_some(struct sealed_names *names)
{
    struct known_directory *directory = TAILQ_LAST(&names->directories, known_directories);

    while (names->size > BYTES_KEPT && directory != TAILQ_FIRST(&names->directories)) {
        struct known_directory *next = TAILQ_PREV(directory, known_directories, others);
        if (!directory->held || directory->done)
            forget_directory(names, directory);
        directory = next;
    }
}

/* Remembers what was listed of the directory PATH, with ids, in place of what was known. */
static int keep(struct sealed_names *names, const char *path, const struct names *listed,
                const struct ranked ids[], bool held)
{
    CLEANUP(cleanup_by_directory_free)
    struct known_directory *directory = calloc(1, sizeof *directory);

    if (!directory)
        return -ENOMEM;
    directory->path = strdup(path);
    directory->bytes = malloc(listed->size + 1);
    directory->items = calloc(listed->count + 1, sizeof *directory->items);
    if (!directory->path || !directory->bytes || !directory->items)
        return -ENOMEM;
    if (listed->size > 0)
        memcpy(directory->bytes, listed->bytes, listed->size);
    for (size_t i = 0; i < listed->count; i++) {
        struct known_name *item = &directory->items[i];
        memcpy(item->id, ids[i].id, sizeof item->id);
        item->name = (uint32_t)listed->items[ids[i].place].start;
    }
    directory->count = listed->count;
    directory->size = listed->size + (listed->count + 1) * sizeof *directory->items + strlen(path);

    directory->held = held;
    HOLD(&names->lock);
    struct known_directory *old = find_directory(names, path);
    names->held |= held;
    if (old && old->held && !held)
        return 0;
    if (old)
        forget_directory(names, old);
    TAILQ_INSERT_HEAD(&names->directories, directory, others);
    LIST_INSERT_HEAD(&names->buckets[bucket_of(path)], directory, alike);
    names->size += directory->size;
    directory = NULL;
    forget_some(names);
    return 0;
}

/* Returns the path of that id in the directory PATH, if it is known. NULL: it is not. */
static char *find_known(struct sealed_names *names, const char *path,
                        const uint8_t id[PATH_ID_SIZE])
{
    HOLD(&names->lock);
    struct known_directory *directory = find_directory(names, path);

    if (!directory)
        return NULL;
    TAILQ_REMOVE(&names->directories, directory, others);
    TAILQ_INSERT_HEAD(&names->directories, directory, others);
    const struct known_name *found =
        bsearch(id, directory->items, directory->count, sizeof *directory->items, compare_ids);
    return found ? join(path, directory->bytes + found->name) : NULL;
}

static int list(struct sealed_names *names, const char *path, bool held, struct names *ret_names,
                struct names *ret_ids)
{
    cleanup_names struct names listed = NO_NAMES;
    cleanup_free struct ranked *ids = NULL;
    char text[PATH_ID_DIGITS + 1];

    int r = names->tree->operations->list(names->tree, path, &listed);
    if (r == 0)
        r = rank(names, path, &listed, &ids);
    if (r == 0)
        r = keep(names, path, &listed, ids, held);
    for (size_t i = 0; r == 0 && i < listed.count; i++) {
        const size_t place = ids[i].place;
        seal_id_name(ids[i].id, text);
        r = names_add_known(ret_names, names_get(&listed, place), &listed.items[place]);
        if (r == 0)
            r = names_add_known(ret_ids, text, &listed.items[place]);
    }
    return r;
}

int sealed_names_list(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids)
{
    return list(names, path, false, ret_names, ret_ids);
}

int sealed_names_hold(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids)
{
    return list(names, path, true, ret_names, ret_ids);
}

/* Returns what a held directory knows of PATH; call with the lock held. NULL: it is not held. */
static struct known_name *find_held(struct sealed_names *names, const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
    struct known_directory *directory = above ? find_directory(names, above) : NULL;
    uint8_t id[PATH_ID_SIZE];

    if (!directory || !directory->held || !*path || seal_path_id(names->keys, path, id) < 0)
        return NULL;
    return bsearch(id, directory->items, directory->count, sizeof *directory->items, compare_ids);
}

void sealed_names_note(struct sealed_names *names, const char *path, int error, mode_t mode)
{
    HOLD(&names->lock);
    struct known_name *item = find_held(names, path);

    if (!item)
        return;
    item->found = error == 0 ? mode & S_IFMT : 0;
    item->failed = error != 0 && error != -ENOENT;
}

bool sealed_names_may_tell(struct sealed_names *names, const char *path, mode_t mode)
{
    HOLD(&names->lock);
    const struct known_name *item = find_held(names, path);

    return !item || (!S_ISREG(mode) && !S_ISDIR(mode)) || item->failed ||
           item->found == (mode & S_IFMT);
}

int sealed_names_list_told(struct sealed_names *names, const char *path, struct names *ret_names)
{
    cleanup_names struct names ids = NO_NAMES;
    {
        HOLD(&names->lock);
        const struct known_directory *directory = find_directory(names, path);
        if (directory && directory->held) {
            int r = 0;
            for (size_t i = 0; r == 0 && i < directory->count; i++)
                r = names_add(ret_names, directory->bytes + directory->items[i].name);
            return r;
        }
    }
    return sealed_names_list(names, path, ret_names, &ids);
}

bool sealed_names_are_held(struct sealed_names *names)
{
    HOLD(&names->lock);
    return names->held;
}

void sealed_names_release(struct sealed_names *names, const char *path)
{
    HOLD(&names->lock);
    struct known_directory *directory = find_directory(names, path);

    if (directory)
        directory->done = true;
    forget_some(names);
}

/* Lists the directory PATH anew. */
static int learn(struct sealed_names *names, const char *path)
{
    cleanup_names struct names plain = NO_NAMES, ids = NO_NAMES;

    return sealed_names_list(names, path, &plain, &ids);
}

/* Like sealed_names_find; lists directories only if it LEARNS. */
static int find(struct sealed_names *names, const char *path, bool learns, char **ret)
{
    cleanup_free char *ids = strdup(path), *found = strdup("");
    char *rest = NULL;
    int r = ids && found ? 0 : -ENOMEM;

    for (char *name = r == 0 ? strtok_r(ids, "/", &rest) : NULL; r == 0 && name;
         name = strtok_r(NULL, "/", &rest)) {
        uint8_t id[PATH_ID_SIZE];
        if (seal_id_from_name(name, id) < 0)
            return -ENOENT;
        char *next = find_known(names, found, id);
        if (!next && learns) {
            r = learn(names, found);
            next = r == 0 ? find_known(names, found, id) : NULL;
        }
        if (r == 0 && !next)
            return -ENOENT;
        free(found);
        found = next;
    }
    if (r == 0)
        *ret = steal_pointer(found);
    return r == -ENOTDIR ? -ENOENT : r;
}

int sealed_names_find(struct sealed_names *names, const char *path, char **ret)
{
    return find(names, path, true, ret);
}

char *sealed_names_find_known(struct sealed_names *names, const char *path)
{
    char *found;

    return find(names, path, false, &found) == 0 ? found : NULL;
}
