/* SPDX-License-Identifier: MIT */
#include "view/made_manifests.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "share/block.h"
#include "tree/tree.h"
#include "view/status.h"

#include <string.h>
#include <sys/queue.h>

enum {
    BYTES_KEPT = 64 << 20, /* of contents, not counting the newest */
    BUCKETS = 1024,
};

struct made_entry {
    TAILQ_ENTRY(made_entry) others;
    LIST_ENTRY(made_entry) alike; /* in the same bucket */
    char *path;
    uint8_t facts[HASH_SIZE]; /* that MADE was made of */
    struct made_manifest made;
};

struct made_manifests {
    struct source *tree;
    const struct seal_keys *keys;
    struct sealed_names *names;
    pthread_mutex_t lock;
    TAILQ_HEAD(made_entries, made_entry) entries; /* most recently used first */
    LIST_HEAD(made_bucket, made_entry) buckets[BUCKETS];
    size_t bytes;
};

int made_manifests_new(struct source *tree, const struct seal_keys *keys,
                       struct sealed_names *names, struct made_manifests **ret)
{
    struct made_manifests *made = calloc(1, sizeof *made);

    if (!made)
        return -ENOMEM;
    made->tree = tree;
    made->keys = keys;
    made->names = names;
    pthread_mutex_init(&made->lock, NULL);
    TAILQ_INIT(&made->entries);
    *ret = made;
    return 0;
}

static void made_entry_free(struct made_entry *entry)
{
    free(entry->path);
    free(entry->made.content);
    free(entry);
}

DEFINE_CLEANUP(struct made_entry *, made_entry_free)

static void forget_entry(struct made_manifests *made, struct made_entry *entry)
{
    TAILQ_REMOVE(&made->entries, entry, others);
    LIST_REMOVE(entry, alike);
    made->bytes -= entry->made.size;
    made_entry_free(entry);
}

void made_manifests_free(struct made_manifests *made)
{
    while (!TAILQ_EMPTY(&made->entries))
        forget_entry(made, TAILQ_FIRST(&made->entries));
    pthread_mutex_destroy(&made->lock);
    free(made);
}

static size_t made_bucket(const char *path)
{
    uint8_t sum[HASH_SIZE];

    hash(path, strlen(path), 0, sum);
    return load_le64(sum) % BUCKETS;
}

/* With the lock held. */
static struct made_entry *find_entry(const struct made_manifests *made, const char *path)
{
    struct made_entry *entry = LIST_FIRST(&made->buckets[made_bucket(path)]);

    while (entry && strcmp(entry->path, path) != 0)
        entry = LIST_NEXT(entry, alike);
    return entry;
}

static int copy_made(const struct made_manifest *made, bool wanted, struct made_manifest *ret)
{
    *ret = *made;
    ret->content = wanted ? malloc(made->size) : NULL;
    if (!ret->content)
        return wanted ? -ENOMEM : 0;
    memcpy(ret->content, made->content, made->size);
    return 0;
}

/* Returns 1 and what is kept of PATH if it was made of FACTS; otherwise 0. */
static int take_kept(struct made_manifests *made, const char *path, const uint8_t facts[HASH_SIZE],
                     bool wanted, struct made_manifest *ret)
{
    HOLD(&made->lock);
    struct made_entry *entry = find_entry(made, path);

    if (!entry || memcmp(entry->facts, facts, HASH_SIZE) != 0)
        return 0;
    TAILQ_REMOVE(&made->entries, entry, others);
    TAILQ_INSERT_HEAD(&made->entries, entry, others);
    int r = copy_made(&entry->made, wanted, ret);
    return r < 0 ? r : 1;
}

/* Keeps MADE in place of what was kept of PATH, if there is memory. */
static void keep_made(struct made_manifests *made, const char *path, const uint8_t facts[HASH_SIZE],
                      const struct made_manifest *what)
{
    CLEANUP(cleanup_by_made_entry_free) struct made_entry *entry = calloc(1, sizeof *entry);
    struct made_entry *old, *last;

    if (!entry || !(entry->path = strdup(path)) || copy_made(what, true, &entry->made) < 0)
        return;
    memcpy(entry->facts, facts, HASH_SIZE);
    HOLD(&made->lock);
    old = find_entry(made, path);
    if (old)
        forget_entry(made, old);
    made->bytes += entry->made.size;
    LIST_INSERT_HEAD(&made->buckets[made_bucket(path)], entry, alike);
    TAILQ_INSERT_HEAD(&made->entries, entry, others);
    entry = NULL;
    while (made->bytes > BYTES_KEPT &&
           (last = TAILQ_LAST(&made->entries, made_entries)) != TAILQ_FIRST(&made->entries))
        forget_entry(made, last);
}

static int get(struct made_manifests *made, const char *path, bool wanted,
               struct made_manifest *ret)
{
    struct manifest_facts facts;

    *ret = (struct made_manifest){.content = NULL};
    int r = sealed_manifest_facts(made->tree, path, &facts);
    if (r < 0)
        return r;
    r = take_kept(made, path, facts.sum, wanted, ret);
    if (r == 0) {
        /* A change while it is made gives a later time of change than those in FACTS, unless these
         * are too recent to tell. */
        const struct stat newest = {.st_ctim = facts.newest};
        const bool settled = status_is_settled(&newest);
        r = sealed_manifest_make(made->tree, made->keys, made->names, path, ret);
        if (r == 0 && settled)
            keep_made(made, path, facts.sum, ret);
    }
    if (r < 0)
        return r;
    ret->status = facts.status;
    return 0;
}

int made_manifests_get(struct made_manifests *made, const char *path, bool wanted,
                       struct made_manifest *ret)
{
    tree_stay_nearby();
    int r = get(made, path, wanted, ret);
    tree_leave_nearby();
    return r;
}
