/* SPDX-License-Identifier: MIT */
#include "tool/links.h"

#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <string.h>

struct name {
    struct name *next;
    char path[];
};

struct file {
    dev_t device;
    ino_t number;
    struct name *first; /* the others are behind it */
    struct file *next;
};

struct links {
    pthread_mutex_t lock;
    void *tree;         /* of files, by device and number; see tsearch(3) */
    struct file *files; /* the same, one by one */
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

static int compare(const void *left, const void *right)
{
    const struct file *a = left, *b = right;

    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

void links_free(struct links *links)
{
    while (links->files) {
        struct file *file = links->files;
        links->files = file->next;
        tdelete(file, &links->tree, compare);
        while (file->first) {
            struct name *name = file->first;
            file->first = name->next;
            free(name);
        }
        free(file);
    }
    pthread_mutex_destroy(&links->lock);
    free(links);
}

/* The file of STATUS, which may have no name yet; NULL without memory. */
static struct file *find(struct links *links, const struct stat *status)
{
    struct file key = {.device = status->st_dev, .number = status->st_ino};
    struct file **found = tfind(&key, &links->tree, compare);

    if (found)
        return *found;
    struct file *file = malloc(sizeof *file);
    if (!file)
        return NULL;
    key.next = links->files;
    *file = key;
    if (!tsearch(file, &links->tree, compare)) {
        free(file);
        return NULL;
    }
    return links->files = file;
}

int links_add(struct links *links, const struct stat *status, const char *path)
{
    struct name *name = malloc(sizeof *name + strlen(path) + 1);

    if (!name)
        return -ENOMEM;
    strcpy(name->path, path);
    pthread_mutex_lock(&links->lock);
    struct file *file = find(links, status);
    bool first = file && !file->first;
    if (first) {
        name->next = NULL;
        file->first = name;
    } else if (file) {
        name->next = file->first->next;
        file->first->next = name;
    }
    pthread_mutex_unlock(&links->lock);
    if (!file)
        free(name);
    return file ? first : -ENOMEM;
}

void links_visit(const struct links *links,
                 void (*visit)(void *context, const char *first, const char *path), void *context)
{
    for (const struct file *file = links->files; file; file = file->next) {
        for (const struct name *name = file->first->next; name; name = name->next)
            visit(context, file->first->path, name->path);
    }
}
