/* SPDX-License-Identifier: MIT */
#include "mount/nodes.h"

#include "base/lock.h"

#include <malloc.h>
#include <string.h>

enum { BUCKETS_MIN = 1024 }; /* a power of two, as all their numbers are */

struct node {
    struct node *parent; /* NULL for the root */
    struct node *next;   /* in the bucket */
    uint64_t version;
    uint64_t look_ups; /* what the kernel has to forget */
    uint64_t content;  /* of its open files, or those that were; 0: not known */
    uint64_t entered_version, entered_size; /* of what is open */
    uint32_t entered;                       /* how many files are */
    uint32_t children;                      /* nodes whose parent this is */
    uint32_t hash;
    uint32_t open_files, other_files; /* with pages, and with PAGES_OF_OTHER */
    bool has_pages;                   /* those that the kernel has are of that content */
    bool given;                       /* it was given all of them */
    bool giving;                      /* it is being given them */
    bool spoilt;                      /* it was told, or has pages, of another version */
    char name[];
};

struct nodes {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct node *root;
    struct node **buckets;
    size_t bucket_count, count;
};

/* A node's number is its address, but for the root's, which the kernel sets. */
static struct node *node_of(const struct nodes *nodes, uint64_t number)
{
    return number == NODE_ROOT ? nodes->root : (struct node *)(uintptr_t)number;
}

/* FNV-1a (Fowler, Noll, Vo) of the name, begun with the parent's address. */
static uint32_t hash_of(const struct node *parent, const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)parent;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash >> 32 ^ hash);
}

static struct node **bucket_of(const struct nodes *nodes, uint32_t hash)
{
    return &nodes->buckets[hash & (nodes->bucket_count - 1)];
}

int nodes_new(struct nodes **ret)
{
    cleanup_nodes struct nodes *nodes = calloc(1, sizeof *nodes);

    if (!nodes)
        return -ENOMEM;
    pthread_mutex_init(&nodes->lock, NULL);
    pthread_cond_init(&nodes->given, NULL);
    nodes->bucket_count = BUCKETS_MIN;
    nodes->buckets = calloc(nodes->bucket_count, sizeof *nodes->buckets);
    nodes->root = calloc(1, sizeof *nodes->root + 1);
    if (!nodes->buckets || !nodes->root)
        return -ENOMEM;
    *ret = steal_pointer(nodes);
    return 0;
}

void nodes_free(struct nodes *nodes)
{
    for (size_t b = 0; nodes->buckets && b < nodes->bucket_count; b++) {
        while (nodes->buckets[b]) {
            struct node *node = nodes->buckets[b];
            nodes->buckets[b] = node->next;
            free(node);
        }
    }
    free(nodes->buckets);
    free(nodes->root);
    pthread_cond_destroy(&nodes->given);
    pthread_mutex_destroy(&nodes->lock);
    free(nodes);
}

/* Gives the table COUNT buckets. Without memory it stays as it is, and works on, slower. */
static void resize(struct nodes *nodes, size_t count)
{
    struct node **old = nodes->buckets;
    size_t old_count = nodes->bucket_count;

    struct node **buckets = calloc(count, sizeof(struct node *));
    if (!buckets)
        return;
    nodes->buckets = buckets;
    nodes->bucket_count = count;
    for (size_t b = 0; b < old_count; b++) {
        for (struct node *node = old[b], *next; node; node = next) {
            struct node **bucket = bucket_of(nodes, node->hash);
            next = node->next;
            node->next = *bucket;
            *bucket = node;
        }
    }
    free(old);
}

int nodes_look_up(struct nodes *nodes, uint64_t parent_number, const char *name, uint64_t version,
                  uint64_t *ret)
{
    struct node *parent = node_of(nodes, parent_number);
    uint32_t hash = hash_of(parent, name);
    HOLD(&nodes->lock);
    struct node *node = *bucket_of(nodes, hash);

    while (node && (node->hash != hash || node->parent != parent || node->version != version ||
                    node->spoilt || strcmp(node->name, name) != 0))
        node = node->next;
    if (!node) {
        size_t size = strlen(name) + 1;
        node = malloc(sizeof *node + size);
        if (!node)
            return -ENOMEM;
        if (nodes->count >= nodes->bucket_count)
            resize(nodes, nodes->bucket_count * 2);
        struct node **bucket = bucket_of(nodes, hash);
        *node = (struct node){.parent = parent, .next = *bucket, .version = version, .hash = hash};
        memcpy(node->name, name, size);
        *bucket = node;
        nodes->count++;
        parent->children++;
    }
    node->look_ups++;
    *ret = (uintptr_t)node;
    return 0;
}

/* Frees NODE, and upwards what was there only for its sake. */
static void drop_unused(struct nodes *nodes, struct node *node)
{
    while (node != nodes->root && node->look_ups == 0 && node->children == 0) {
        struct node *parent = node->parent, **at = bucket_of(nodes, node->hash);
        while (*at != node)
            at = &(*at)->next;
        *at = node->next;
        free(node);
        nodes->count--;
        if (nodes->bucket_count > BUCKETS_MIN && nodes->count < nodes->bucket_count / 8)
            resize(nodes, nodes->bucket_count / 2);
        parent->children--;
        node = parent;
    }
}

void nodes_forget(struct nodes *nodes, uint64_t number, uint64_t count)
{
    struct node *node = node_of(nodes, number);

    if (node == nodes->root)
        return;
    pthread_mutex_lock(&nodes->lock);
    size_t buckets = nodes->bucket_count;
    node->look_ups -= count < node->look_ups ? count : node->look_ups;
    drop_unused(nodes, node);
    bool shrank = nodes->bucket_count < buckets;
    pthread_mutex_unlock(&nodes->lock);
    if (shrank) /* many are gone: gives their memory back, which free() keeps */
        malloc_trim(0);
}

/* No lock: it never changes while a node lives, and the kernel holds NODE. */
uint64_t nodes_version(const struct nodes *nodes, uint64_t number)
{
    return node_of(nodes, number)->version;
}

/* No lock: names and parents never change while a node lives, and the kernel holds NODE. */
int nodes_path(struct nodes *nodes, uint64_t number, const char *name, char **ret)
{
    const struct node *node = node_of(nodes, number);
    size_t length = name ? strlen(name) : 0;

    /* Each name is followed by a slash, but for the last one. */
    for (const struct node *at = node; at != nodes->root; at = at->parent)
        length += strlen(at->name) + 1;
    char *path = malloc(length + 1);
    if (!path)
        return -ENOMEM;
    char *start = path + length;
    *start = '\0';
    if (name) {
        start -= strlen(name);
        memcpy(start, name, strlen(name));
    }
    for (; node != nodes->root; node = node->parent) {
        *--start = name ? '/' : '\0';
        name = node->name;
        start -= strlen(name);
        memcpy(start, name, strlen(name));
    }
    *ret = path;
    return 0;
}

/* With the lock held. */
static enum node_pages open_pages(struct node *node, const struct node_file *file)
{
    if (file->pages_avoided || file->version != node->version)
        return PAGES_AVOIDED;
    if (node->spoilt)
        return PAGES_OF_OTHER;
    if (file->content != 0 && node->content == file->content)
        return node->has_pages ? PAGES_KEPT : PAGES_DROPPED;
    bool in_use = node->open_files > 0;
    node->has_pages = false; /* by a mapping, also what does without pages brings its own */
    if (in_use && node->content != 0)
        return PAGES_OF_OTHER;
    node->content = in_use ? 0 : file->content;
    return PAGES_DROPPED;
}

int nodes_enter(struct nodes *nodes, uint64_t number, const struct node_file *file,
                enum node_pages *ret)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    while (node->giving)
        pthread_cond_wait(&nodes->given, &nodes->lock);
    if (node->entered > 0 && node->entered_version != file->version)
        return -ESTALE;
    node->spoilt |= file->version != node->version;
    node->entered++;
    node->entered_version = file->version;
    node->entered_size = file->size;
    *ret = open_pages(node, file);
    node->other_files += *ret == PAGES_OF_OTHER;
    node->open_files += *ret >= PAGES_DROPPED;
    return 0;
}

void nodes_leave(struct nodes *nodes, uint64_t number, enum node_pages pages)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    node->entered--;
    node->other_files -= pages == PAGES_OF_OTHER;
    node->open_files -= pages >= PAGES_DROPPED;
}

bool nodes_tell(struct nodes *nodes, uint64_t number, uint64_t version, uint64_t *ret)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    if (node->entered > 0)
        *ret = node->entered_size;
    else
        node->spoilt |= version != node->version;
    return node->entered > 0;
}

void nodes_note_pages(struct nodes *nodes, uint64_t number, uint64_t content)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    node->has_pages |= content != 0 && node->content == content && node->other_files == 0;
}

bool nodes_wants_pages(struct nodes *nodes, uint64_t number, bool forgotten, bool begin)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    bool wants = node->entered == 1 && node->open_files == 1 && (forgotten || !node->given);
    node->giving |= wants && begin;
    return wants;
}

void nodes_end_giving(struct nodes *nodes, uint64_t number, bool given, uint64_t content)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    node->giving = false;
    node->given |= given;
    node->has_pages |= given && content != 0 && node->content == content;
    pthread_cond_broadcast(&nodes->given);
}

bool nodes_is_open(struct nodes *nodes, uint64_t number)
{
    HOLD(&nodes->lock);
    return node_of(nodes, number)->entered > 0;
}
