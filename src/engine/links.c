/* SPDX-License-Identifier: MIT */
#include "engine/links.h"

#include "engine/item.h"
#include "trust/name.h"
#include "trust/version.h"

#include <fcntl.h>
#include <limits.h>
#include <search.h>

struct linked_name {
    struct linked_name *next;
    struct linked_name *first; /* nearer to the name its group is linked to, or that name itself */
    bool waits;
    struct source_inodes inodes;
    char path[];
};

/* An object in one tree that has several names there. */
struct linked_object {
    struct source_inode inode;
    struct linked_name *last; /* of its names, in the order in which they are settled */
};

struct links {
    pthread_mutex_t lock;
    void *objects; /* see tsearch(3) */
    struct linked_name *names;
    size_t count;
    struct linked_name **sorted; /* all names by path, once they are settled */
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

static void free_name(struct linked_name *name)
{
    source_inodes_clear(&name->inodes);
    free(name);
}

void links_free(struct links *links)
{
    while (links->names) {
        struct linked_name *name = links->names;
        links->names = name->next;
        free_name(name);
    }
    tdestroy(links->objects, free);
    free(links->sorted);
    free(links);
}

static int compare_inodes(const void *left, const void *right)
{
    const struct source_inode *a = left, *b = right;

    if (a->tree != b->tree)
        return (uintptr_t)a->tree < (uintptr_t)b->tree ? -1 : 1;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static struct linked_object *find_object(const struct links *links,
                                         const struct source_inode *inode)
{
    struct linked_object **found = tfind(inode, &links->objects, compare_inodes);

    return found ? *found : NULL;
}

/* Notes the objects of NAME. The lock is held. */
static int add_objects(struct links *links, struct linked_name *name)
{
    for (size_t i = 0; i < name->inodes.count; i++) {
        const struct source_inode *inode = &name->inodes.items[i];
        if (inode->names <= 1)
            continue;
        if (find_object(links, inode)) {
            name->waits = true;
            continue;
        }
        struct linked_object *object = calloc(1, sizeof *object);
        if (!object)
            return -ENOMEM;
        object->inode = *inode;
        if (!tsearch(object, &links->objects, compare_inodes)) {
            free(object);
            return -ENOMEM;
        }
    }
    return 0;
}

int links_add(struct links *links, const struct source_inodes *inodes, const char *path)
{
    struct linked_name *name = calloc(1, sizeof *name + strlen(path) + 1);
    struct source_inode *items = calloc(inodes->count + 1, sizeof *items);

    if (!name || !items) {
        free(name);
        free(items);
        return -ENOMEM;
    }
    memcpy(items, inodes->items, inodes->count * sizeof *items);
    name->inodes = *inodes;
    name->inodes.items = items;
    name->first = name;
    strcpy(name->path, path);
    HOLD(&links->lock);
    int r = add_objects(links, name);
    if (r < 0) {
        free_name(name);
        return r;
    }
    name->next = links->names;
    links->names = name;
    links->count++;
    return !name->waits;
}

/* Counts how many trees have both names, as one object or as two. */
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

static struct linked_name *first_of(struct linked_name *name)
{
    while (name->first != name)
        name = name->first = name->first->first;
    return name;
}

static int compare_by_path(const void *left, const void *right)
{
    return strcmp((*(struct linked_name *const *)left)->path,
                  (*(struct linked_name *const *)right)->path);
}

/* Joins NAME with its neighbours in each tree, where they belong together. Names that are copied
 * come first, then the order of paths. */
static void settle_links(const struct links *links, struct linked_name *name)
{
    for (size_t i = 0; i < name->inodes.count; i++) {
        struct linked_object *object = find_object(links, &name->inodes.items[i]);
        struct linked_name *last = object ? object->last : NULL;
        unsigned one = 0, two = 0;
        if (object)
            object->last = name;
        if (last && first_of(last) != first_of(name))
            count_voices(&last->inodes, &name->inodes, &one, &two);
        if (one <= two)
            continue;
        struct linked_name *left = first_of(last), *right = first_of(name);
        if (left->waits != right->waits ? left->waits : strcmp(left->path, right->path) > 0)
            left->first = right;
        else
            right->first = left;
    }
}

int links_settle(struct links *links)
{
    size_t count = 0;

    links->sorted = calloc(links->count + 1, sizeof *links->sorted);
    if (!links->sorted)
        return -ENOMEM;
    for (struct linked_name *name = links->names; name; name = name->next)
        links->sorted[count++] = name;
    qsort(links->sorted, count, sizeof *links->sorted, compare_by_path);
    for (size_t i = 0; i < count; i++)
        settle_links(links, links->sorted[i]);
    return 0;
}

void links_visit(const struct links *links, bool further,
                 void (*visit)(void *context, const char *first, const char *path, unsigned voices),
                 void *context)
{
    for (size_t i = 0; i < links->count; i++) {
        struct linked_name *name = links->sorted[i], *first = first_of(name);
        unsigned one, two;
        if (further && first != name) {
            count_voices(&first->inodes, &name->inodes, &one, &two);
            visit(context, first->path, name->path, name->inodes.items[0].tree ? one : UINT_MAX);
        } else if (!further && first == name && name->waits) {
            visit(context, NULL, name->path, 0);
        }
    }
}

/* Two names of what may be one file. */
struct pair {
    struct item first, further;
    unsigned voices; /* trees of the source that say so */
    bool asked;
    int is_one; /* where it was asked: 1, 0, or why that cannot be said */
};

static void end_pair(struct pair *pair)
{
    item_end(&pair->first);
    item_end(&pair->further);
}

/*
 * To link two files into one is to lose one of them. What k stores say is believed, as everywhere;
 * what fewer say only where contents are the same.
 */
static int ask_whether_one(struct pair *pair)
{
    const struct original *a = &pair->first.original, *b = &pair->further.original;
    const struct ballot left = {.status = a->status, .target = a->link_target};
    const struct ballot right = {.status = b->status, .target = b->link_target};
    unsigned required = a->header.layout.required;

    if (!ballot_same_kind(&left, &right))
        return 0;
    if (!S_ISREG(a->status.st_mode))
        return 1;
    if (required == 0 || !version_is_same(&a->header, &b->header))
        return 0;
    if (pair->voices >= required && pair->voices >= pair->first.inodes.needed)
        return 1;
    int r = item_open_file(&pair->first);
    if (r == 0)
        r = item_open_file(&pair->further);
    return r < 0 ? r
                 : content_is_same(pair->first.file, pair->further.file,
                                   pair->first.copy->visit.progress);
}

static int is_one_file(struct pair *pair)
{
    if (!pair->asked)
        pair->is_one = ask_whether_one(pair);
    pair->asked = true;
    return pair->is_one;
}

/* Returns true if a file system says that it can have no such link: then a file of its own has to
 * do. */
static bool is_impossible(int error)
{
    return error == -EPERM || error == -EMLINK || error == -EXDEV || error == -EOPNOTSUPP ||
           error == -ENOSYS;
}

static bool is_same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Returns true if NAME is there; a dry run makes no directories. */
static bool exists(const struct slot *slot, const char *name)
{
    struct stat status;

    return slot->directory >= 0 &&
           fstatat(slot->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Returns 1 where both names are linked now, 0 where they cannot be, or why they are not. */
static int link_in_slot(struct pair *pair, const struct slot *first, struct slot *slot)
{
    const char *first_name = pair->first.original.name, *name = pair->further.original.name;
    const struct copy_work *copy = pair->first.copy;
    struct stat a, b, made;

    if (first->need != NEED_METADATA && first->need != NEED_NOTHING)
        return 0; /* it is not there as it should be, which has been reported */
    if (copy->settings->dry_run && !(exists(first, first_name) && exists(slot, name))) {
        int r = is_one_file(pair);
        if (r > 0)
            copy_tell_link(copy, pair->further.original.path, slot->target,
                           pair->first.original.path);
        return r;
    }
    if (fstatat(first->directory, first_name, &a, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno; /* there is nothing to link to */
    bool there = fstatat(slot->directory, name, &b, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && errno != ENOENT)
        return -errno;
    bool linked = there && is_same_inode(&a, &b);
    if (linked && slot->need != NEED_CONTENT)
        return 1;
    int r = is_one_file(pair);
    if (linked || r <= 0) /* as they should be, unless they are not one file */
        return r;
    if (copy->settings->dry_run) {
        make_in_dry_run(&pair->further, slot);
        return 1;
    }
    temporary_name(slot->temporary);
    if (linkat(first->directory, first_name, slot->directory, slot->temporary, 0) < 0)
        return is_impossible(-errno) ? 0 : -errno;
    /* sshfs gives each name a number of its own, so that a link never shows. What is whole stays.
     */
    if (slot->need != NEED_CONTENT &&
        fstatat(slot->directory, slot->temporary, &made, AT_SYMLINK_NOFOLLOW) == 0 &&
        !is_same_inode(&a, &made)) {
        unlinkat(slot->directory, slot->temporary, 0);
        return 0;
    }
    r = batch_add(&pair->further, slot, pair->further.original.path, 0, true);
    if (r < 0)
        unlinkat(slot->directory, slot->temporary, 0);
    return r == 0 ? 1 : r;
}

/* Looks at a name that waited until now. Returns 0, or where there is nothing to do below 0. */
static int begin(struct copy_work *copy, const char *path, struct item *item)
{
    item->copy = copy;
    if (atomic_load(&copy->visit.progress->stop))
        return -ECANCELED;
    int r = item_begin(copy, path, NULL, item);
    return r == 0 ? item_look(item) : r;
}

/* Does what a name needs that waited. What is not linked stays, or becomes, a file of its own. */
static void run_waiting(void *context, const char *path_of_first, const char *path, unsigned voices)
{
    struct copy_work *copy = context;
    CLEANUP(end_pair) struct pair pair = {{.copy = copy}, {.copy = copy}, .voices = voices};
    struct item *first = &pair.first, *further = &pair.further;

    if (begin(copy, path, further) < 0)
        return;
    item_choose(further, false);
    int r = path_of_first ? begin(copy, path_of_first, first) : -ENOENT;
    if (r == 0)
        item_choose(first, true);
    /* If it does not seem to be there as it should, it is looked at again: a look may have failed.
     */
    if (r == 0 && (item_any_needs(first, NEED_CONTENT) || item_any_needs(first, NEED_REFUSED)))
        item_choose(first, true);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        struct slot *slot = &further->slots[i];
        bool has_places = slot->directory >= 0 && first->slots[i].directory >= 0;
        if (slot->need == NEED_REMOVAL || slot->need == NEED_REFUSED ||
            !(has_places || copy->settings->dry_run))
            continue;
        int linked = link_in_slot(&pair, &first->slots[i], slot);
        if (linked > 0)
            slot->need = NEED_NOTHING;
        else if (linked < 0)
            copy_tell(copy, COPY_FAILED, path, slot->target, linked);
    }
    if (r < 0 && r != -ENOENT)
        return;
    clean_unwanted(further);
    update_name(further);
}

void links_make(struct copy_work *copy)
{
    int r = links_settle(copy->links);

    if (r < 0) {
        atomic_store(&copy->visit.result, r);
        return;
    }
    links_visit(copy->links, false, run_waiting, copy);
    batch_commit(copy);
    links_visit(copy->links, true, run_waiting, copy);
    batch_commit(copy);
}
