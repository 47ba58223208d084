/* SPDX-License-Identifier: MIT */
#include "mount/nodes.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

enum {
    BUCKETS_MIN = 1024, /* a power of two, as all their numbers are */
};

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
    uint32_t open_files, other_files; /* the latter: those with PAGES_OF_OTHER */
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

static struct node *find(const struct nodes *nodes, const struct node *parent, const char *name,
                         uint64_t version, uint32_t hash)
{
    struct node *node = *bucket_of(nodes, hash);

    while (node && (node->hash != hash || node->parent != parent || node->version != version ||
                    node->spoilt || strcmp(node->name, name) != 0))
        node = node->next;
    return node;
}

static struct node *insert(struct nodes *nodes, struct node *parent, const char *name,
                           uint64_t version, uint32_t hash)
{
    size_t size = strlen(name) + 1;
    struct node *node = malloc(sizeof *node + size);

    if (!node)
        return NULL;
    if (nodes->count >= nodes->bucket_count)
        resize(nodes, nodes->bucket_count * 2);
    struct node **bucket = bucket_of(nodes, hash);
    *node = (struct node){.parent = parent, .next = *bucket, .version = version, .hash = hash};
    memcpy(node->name, name, size);
    *bucket = node;
    nodes->count++;
    parent->children++;
    return node;
}

int nodes_look_up(struct nodes *nodes, uint64_t parent_number, const char *name, uint64_t version,
                  uint64_t *ret)
{
    struct node *parent = node_of(nodes, parent_number);
    uint32_t hash = hash_of(parent, name);

    pthread_mutex_lock(&nodes->lock);
    struct node *node = find(nodes, parent, name, version, hash);
    if (!node)
        node = insert(nodes, parent, name, version, hash);
    if (node) {
        node->look_ups++;
        *ret = (uintptr_t)node;
    }
    pthread_mutex_unlock(&nodes->lock);
    return node ? 0 : -ENOMEM;
}

static void unlink_node(struct nodes *nodes, struct node *node)
{
    struct node **at = bucket_of(nodes, node->hash);

    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    nodes->count--;
    if (nodes->bucket_count > BUCKETS_MIN && nodes->count < nodes->bucket_count / 8)
        resize(nodes, nodes->bucket_count / 2);
}

/* Frees NODE, and upwards what was there only for its sake. */
static void drop_unused(struct nodes *nodes, struct node *node)
{
    while (node != nodes->root && node->look_ups == 0 && node->children == 0) {
        struct node *parent = node->parent;
        unlink_node(nodes, node);
        free(node);
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

/* Writes NODE's path to end at END (no NUL), backwards; returns where it starts. */
static char *write_path(const struct nodes *nodes, const struct node *node, char *end)
{
    for (; node != nodes->root; node = node->parent) {
        size_t length = strlen(node->name);
        end -= length;
        memcpy(end, node->name, length);
        if (node->parent != nodes->root)
            *--end = '/';
    }
    return end;
}

static size_t path_length(const struct nodes *nodes, const struct node *node)
{
    size_t length = 0;

    for (; node != nodes->root; node = node->parent)
        length += strlen(node->name) + (node->parent != nodes->root);
    return length;
}

/* No lock: names and parents never change while a node lives, and the kernel holds NODE. */
int nodes_path(struct nodes *nodes, uint64_t number, const char *name, char **ret)
{
    const struct node *node = node_of(nodes, number);
    size_t length = path_length(nodes, node), more = name ? strlen(name) : 0;

    char *path = malloc(length + 1 + more + 1);
    if (!path)
        return -ENOMEM;
    write_path(nodes, node, path + length);
    if (name) {
        if (length > 0)
            path[length++] = '/';
        memcpy(path + length, name, more);
        length += more;
    }
    path[length] = '\0';
    *ret = path;
    return 0;
}

int nodes_enter(struct nodes *nodes, uint64_t number, uint64_t version, uint64_t size)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    while (node->giving)
        pthread_cond_wait(&nodes->given, &nodes->lock);
    bool fits = node->entered == 0 || node->entered_version == version;
    if (fits) {
        node->spoilt |= version != node->version;
        node->entered++;
        node->entered_version = version;
        node->entered_size = size;
    }
    pthread_mutex_unlock(&nodes->lock);
    return fits ? 0 : -ESTALE;
}

void nodes_leave(struct nodes *nodes, uint64_t number)
{
    pthread_mutex_lock(&nodes->lock);
    node_of(nodes, number)->entered--;
    pthread_mutex_unlock(&nodes->lock);
}

bool nodes_tell(struct nodes *nodes, uint64_t number, uint64_t version, uint64_t *ret)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    bool open = node->entered > 0;
    if (open)
        *ret = node->entered_size;
    else
        node->spoilt |= version != node->version;
    pthread_mutex_unlock(&nodes->lock);
    return open;
}

/* With the lock held. */
static enum node_pages open_pages(struct node *node, uint64_t content)
{
    if (node->spoilt)
        return PAGES_OF_OTHER;
    if (content != 0 && node->content == content)
        return node->has_pages ? PAGES_KEPT : PAGES_DROPPED;
    if (node->open_files > 0 && node->content != 0) {
        node->has_pages = false; /* by a mapping, also what does without pages brings its own */
        return PAGES_OF_OTHER;
    }
    node->content = node->open_files > 0 ? 0 : content;
    node->has_pages = false;
    return PAGES_DROPPED;
}

enum node_pages nodes_open(struct nodes *nodes, uint64_t number, uint64_t content)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    enum node_pages pages = open_pages(node, content);
    if (pages == PAGES_OF_OTHER)
        node->other_files++;
    else
        node->open_files++;
    pthread_mutex_unlock(&nodes->lock);
    return pages;
}

void nodes_note_pages(struct nodes *nodes, uint64_t number, uint64_t content)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    if (content != 0 && node->content == content && node->other_files == 0)
        node->has_pages = true;
    pthread_mutex_unlock(&nodes->lock);
}

/* With the lock held. */
static bool wants_pages(const struct node *node, bool forgotten)
{
    return node->entered == 1 && node->open_files == 1 && (forgotten || !node->given);
}

bool nodes_wants_pages(struct nodes *nodes, uint64_t number, bool forgotten)
{
    pthread_mutex_lock(&nodes->lock);
    bool wants = wants_pages(node_of(nodes, number), forgotten);
    pthread_mutex_unlock(&nodes->lock);
    return wants;
}

bool nodes_begin_giving(struct nodes *nodes, uint64_t number, bool forgotten)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    node->giving = wants_pages(node, forgotten);
    bool giving = node->giving;
    pthread_mutex_unlock(&nodes->lock);
    return giving;
}

void nodes_end_giving(struct nodes *nodes, uint64_t number, bool given, uint64_t content)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    node->giving = false;
    node->given |= given;
    node->has_pages |= given && content != 0 && node->content == content;
    pthread_cond_broadcast(&nodes->given);
    pthread_mutex_unlock(&nodes->lock);
}

void nodes_close(struct nodes *nodes, uint64_t number, bool other)
{
    struct node *node = node_of(nodes, number);

    pthread_mutex_lock(&nodes->lock);
    if (other)
        node->other_files--;
    else
        node->open_files--;
    pthread_mutex_unlock(&nodes->lock);
}

bool nodes_is_open(struct nodes *nodes, uint64_t number)
{
    pthread_mutex_lock(&nodes->lock);
    bool open = node_of(nodes, number)->entered > 0;
    pthread_mutex_unlock(&nodes->lock);
    return open;
}
