/* SPDX-License-Identifier: MIT */
#include "mount/nodes.h"

#include "base/lock.h"

#include <malloc.h>
#include <search.h>
#include <string.h>

enum {
    MANY = 1024,   /* so many nodes take memory that is worth giving back */
    CALLERS = 256, /* so many are remembered that were refused, and are about to come again */
};

struct node {
    struct node *parent; /* NULL for the root */
    uint64_t version;
    uint64_t look_ups;        /* what the kernel has to forget */
    uint64_t content;         /* of its open files, or those that were; 0: not known */
    uint64_t entered_version; /* of what is open, and: */
    struct node_opened opened;
    uint32_t entered;                 /* how many files are */
    uint32_t children;                /* nodes whose parent this is */
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
    void *tree; /* of all others, as tsearch(3) has it */
    size_t count, most;
    pid_t refused[CALLERS]; /* threads, each in a place of its own; 0: none */
};

/* A node's number is its address, but for the root's, which the kernel sets. */
static struct node *node_of(const struct nodes *nodes, uint64_t number)
{
    return number == NODE_ROOT ? nodes->root : (struct node *)(uintptr_t)number;
}

/* A spoilt node is equal to itself alone, so that no look-up finds it. */
static int compare_nodes(const void *left, const void *right)
{
    const struct node *a = left, *b = right;

    if (a->parent != b->parent)
        return (uintptr_t)a->parent < (uintptr_t)b->parent ? -1 : 1;
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    if (a->spoilt != b->spoilt)
        return a->spoilt ? 1 : -1;
    return a->spoilt ? ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b)
                     : strcmp(a->name, b->name);
}

int nodes_new(struct nodes **ret)
{
    cleanup_nodes struct nodes *nodes = calloc(1, sizeof *nodes);

    if (!nodes)
        return -ENOMEM;
    pthread_mutex_init(&nodes->lock, NULL);
    pthread_cond_init(&nodes->given, NULL);
    nodes->root = calloc(1, sizeof *nodes->root + 1);
    if (!nodes->root)
        return -ENOMEM;
    *ret = steal_pointer(nodes);
    return 0;
}

void nodes_free(struct nodes *nodes)
{
    tdestroy(nodes->tree, free);
    free(nodes->root);
    pthread_cond_destroy(&nodes->given);
    pthread_mutex_destroy(&nodes->lock);
    free(nodes);
}

int nodes_look_up(struct nodes *nodes, uint64_t parent, const char *name, uint64_t version,
                  uint64_t *ret)
{
    size_t size = strlen(name) + 1;
    struct node *node = calloc(1, sizeof *node + size);

    if (!node)
        return -ENOMEM;
    node->parent = node_of(nodes, parent);
    node->version = version;
    memcpy(node->name, name, size);
    HOLD(&nodes->lock);
    struct node **found = tsearch(node, &nodes->tree, compare_nodes);
    if (found && *found == node) {
        node->parent->children++;
        nodes->count++;
        if (nodes->most < nodes->count)
            nodes->most = nodes->count;
    } else {
        free(node);
    }
    if (!found)
        return -ENOMEM;
    (*found)->look_ups++;
    *ret = (uintptr_t)*found;
    return 0;
}

/* With the lock held. */
static void spoil(struct nodes *nodes, struct node *node)
{
    if (node->spoilt || node == nodes->root)
        return;
    tdelete(node, &nodes->tree, compare_nodes);
    node->spoilt = true;
    tsearch(node, &nodes->tree,
            compare_nodes); /* for nodes_free; it does not matter if that fails */
}

void nodes_forget(struct nodes *nodes, uint64_t number, uint64_t count)
{
    struct node *node = node_of(nodes, number);

    if (node == nodes->root)
        return;
    pthread_mutex_lock(&nodes->lock);
    node->look_ups -= count < node->look_ups ? count : node->look_ups;
    /* Upwards, what was there only for its sake goes, too. */
    while (node != nodes->root && node->look_ups == 0 && node->children == 0) {
        struct node *parent = node->parent;
        tdelete(node, &nodes->tree, compare_nodes);
        free(node);
        nodes->count--;
        parent->children--;
        node = parent;
    }
    bool shrank = nodes->most > MANY && nodes->count < nodes->most / 8;
    if (shrank)
        nodes->most = nodes->count;
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
    node->has_pages = false; /* a mapping brings pages even of a file that uses none */
    if (in_use && node->content != 0)
        return PAGES_OF_OTHER;
    node->content = in_use ? 0 : file->content;
    return PAGES_DROPPED;
}

/* With the lock held. Returns true for a caller's first open of another version than NODE is of. */
static bool is_refused(struct nodes *nodes, const struct node *node, const struct node_file *file)
{
    pid_t *refused = &nodes->refused[(size_t)file->caller % CALLERS];
    bool comes_again = *refused == file->caller;

    if (comes_again)
        *refused = 0;
    if (file->version == node->version || comes_again)
        return false;
    *refused = file->caller;
    return true;
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
    if (file->version != node->version)
        spoil(nodes, node);
    if (is_refused(nodes, node, file))
        return -ESTALE;
    node->entered++;
    node->entered_version = file->version;
    node->opened = file->opened;
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

bool nodes_tell(struct nodes *nodes, uint64_t number, uint64_t version, struct node_opened *ret)
{
    struct node *node = node_of(nodes, number);
    HOLD(&nodes->lock);

    if (node->entered > 0)
        *ret = node->opened;
    else if (version != node->version)
        spoil(nodes, node);
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
