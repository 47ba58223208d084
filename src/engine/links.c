/* SPDX-License-Identifier: MIT */
#include "engine/links.h"

#include <limits.h>
#include <pthread.h>
#include <search.h>
#include <string.h>

struct name {
    struct name *next;
    struct name *first; /* closer to the name that its group is linked to; itself: it is that */
    bool waits;
    struct source_inodes inodes;
    char *path;
};

/* An object in one tree that has several names there. */
struct linked_object {
    struct source_inode inode;
    struct linked_object *next;
    struct name *last; /* of its names, in the order in which they are settled */
};

struct links {
    pthread_mutex_t lock;
    void *tree; /* of objects; see tsearch(3) */
    struct linked_object *objects;
    struct name *names;
    size_t count;
    struct name **sorted; /* all names by path, once they are settled */
};

int links_new(struct links **ret)
{
    struct links *links = calloc(1, sizeof *links);

    if (!links)
        return -ENOMEM;
    pthread_mutex_init(&links->lock, NULL);
    *ret = links;
    return 0;
}

static int compare_inodes(const void *left, const void *right)
{
    const struct source_inode *a = left, *b = right;

    if (a->tree != b->tree)
        return (uintptr_t)a->tree < (uintptr_t)b->tree ? -1 : 1;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

static void free_name(struct name *name)
{
    source_inodes_clear(&name->inodes);
    free(name->path);
    free(name);
}

void links_free(struct links *links)
{
    while (links->objects) {
        struct linked_object *object = links->objects;
        links->objects = object->next;
        tdelete(object, &links->tree, compare_inodes);
        free(object);
    }
    while (links->names) {
        struct name *name = links->names;
        links->names = name->next;
        free_name(name);
    }
    free(links->sorted);
    pthread_mutex_destroy(&links->lock);
    free(links);
}

static struct name *name_new(const struct source_inodes *inodes, const char *path)
{
    struct name *name = calloc(1, sizeof *name);

    if (!name)
        return NULL;
    name->first = name;
    name->path = strdup(path);
    name->inodes.items = calloc(inodes->count, sizeof *inodes->items);
    if (!name->path || !name->inodes.items) {
        free_name(name);
        return NULL;
    }
    name->inodes.count = inodes->count;
    memcpy(name->inodes.items, inodes->items, inodes->count * sizeof *inodes->items);
    return name;
}

static struct linked_object *find_object(const struct links *links,
                                         const struct source_inode *inode)
{
    struct linked_object **found = tfind(inode, &links->tree, compare_inodes);

    return found ? *found : NULL;
}

static int add_object(struct links *links, const struct source_inode *inode)
{
    struct linked_object *object = calloc(1, sizeof *object);

    if (!object)
        return -ENOMEM;
    object->inode = *inode;
    if (!tsearch(object, &links->tree, compare_inodes)) {
        free(object);
        return -ENOMEM;
    }
    object->next = links->objects;
    links->objects = object;
    return 0;
}

/* Notes the objects of NAME. The lock is held. */
static int add_objects(struct links *links, struct name *name)
{
    for (size_t i = 0; i < name->inodes.count; i++) {
        const struct source_inode *inode = &name->inodes.items[i];
        bool known = inode->names > 1 && find_object(links, inode);
        int r = known || inode->names <= 1 ? 0 : add_object(links, inode);
        if (r < 0)
            return r;
        name->waits |= known;
    }
    return 0;
}

int links_add(struct links *links, const struct source_inodes *inodes, const char *path)
{
    struct name *name = name_new(inodes, path);

    if (!name)
        return -ENOMEM;
    pthread_mutex_lock(&links->lock);
    int r = add_objects(links, name);
    if (r == 0) {
        name->next = links->names;
        links->names = name;
        links->count++;
        r = !name->waits;
    }
    pthread_mutex_unlock(&links->lock);
    if (r < 0)
        free_name(name);
    return r;
}

/* How many trees have both names, and as one object or as two. */
static void count_voices(const struct source_inodes *a, const struct source_inodes *b,
                         unsigned *ret_one, unsigned *ret_two)
{
    *ret_one = *ret_two = 0;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            if (a->items[i].tree != b->items[j].tree)
                continue;
            if (compare_inodes(&a->items[i], &b->items[j]) == 0)
                ++*ret_one;
            else
                ++*ret_two;
        }
    }
}

static struct name *first_of(struct name *name)
{
    while (name->first != name)
        name = name->first = name->first->first;
    return name;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp((*(struct name *const *)left)->path, (*(struct name *const *)right)->path);
}

/* What is copied already comes first, and then by path. */
static void join(struct name *a, struct name *b)
{
    struct name *one = first_of(a), *other = first_of(b);

    if (one->waits != other->waits ? one->waits : strcmp(one->path, other->path) > 0)
        one->first = other;
    else
        other->first = one;
}

/* Joins NAME with those that are next to it in some tree, where they belong together. */
static void settle_links(const struct links *links, struct name *name)
{
    for (size_t i = 0; i < name->inodes.count; i++) {
        struct linked_object *object = find_object(links, &name->inodes.items[i]);
        struct name *last = object ? object->last : NULL;
        unsigned one = 0, two = 0;
        if (object)
            object->last = name;
        if (last && first_of(last) != first_of(name))
            count_voices(&last->inodes, &name->inodes, &one, &two);
        if (one > two)
            join(last, name);
    }
}

int links_settle(struct links *links)
{
    size_t count = 0;

    links->sorted = calloc(links->count + 1, sizeof *links->sorted);
    if (!links->sorted)
        return -ENOMEM;
    for (struct name *name = links->names; name; name = name->next)
        links->sorted[count++] = name;
    qsort(links->sorted, count, sizeof *links->sorted, compare_paths);
    for (size_t i = 0; i < count; i++)
        settle_links(links, links->sorted[i]);
    return 0;
}

void links_visit_first(const struct links *links, void (*visit)(void *context, const char *path),
                       void *context)
{
    for (size_t i = 0; i < links->count; i++) {
        const struct name *name = links->sorted[i];
        if (name->waits && name->first == name)
            visit(context, name->path);
    }
}

void links_visit_further(const struct links *links,
                         void (*visit)(void *context, const char *first, const char *path,
                                       unsigned voices),
                         void *context)
{
    for (size_t i = 0; i < links->count; i++) {
        struct name *name = links->sorted[i], *first = first_of(name);
        unsigned one, two;
        if (first == name)
            continue;
        count_voices(&first->inodes, &name->inodes, &one, &two);
        visit(context, first->path, name->path, name->inodes.items[0].tree ? one : UINT_MAX);
    }
}
