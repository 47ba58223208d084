/* SPDX-License-Identifier: MIT */
#include "view/sealed_manifest.h"

#include "base/log.h"
#include "base/times.h"
#include "seal/from_stat.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { MS_NS = 1000 * 1000 };

/* A manifest under construction. */
struct making {
    struct source *tree;
    const struct seal_keys *keys;
    struct sealed_names *names;
    const char *path;  /* of the directory */
    char *root;        /* of its file system; NULL: not looked for yet */
    int64_t newest_ns; /* latest ctime of anything in the manifest */
    struct owners owners;
    struct manifest manifest;
};

static void making_clear(struct making *making)
{
    free(making->root);
    owners_clear(&making->owners);
    manifest_clear(&making->manifest);
}

/* Returns the parent of PATH, which is not the root; the caller frees it. */
static char *above(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strndup(path, slash ? (size_t)(slash - path) : 0);
}

/* Finds the root of the directory's file system, which has DEVICE. */
static int find_root(struct making *making, dev_t device)
{
    cleanup_free char *root = strdup(making->path);

    while (root && *root) {
        struct share_header header;
        struct stat status;
        char *next = above(root);
        int r =
            next ? making->tree->operations->stat(making->tree, next, &status, &header, NULL, NULL)
                 : -ENOMEM;
        if (r < 0 || status.st_dev != device) {
            free(next);
            if (r < 0)
                return r;
            break;
        }
        free(root);
        root = next;
    }
    making->root = steal_pointer(root);
    return making->root ? 0 : -ENOMEM;
}

/* Sets the id that all names of one file share. */
static int fill_link(struct making *making, const struct stat *status,
                     struct manifest_attributes *attributes)
{
    int r = making->root ? 0 : find_root(making, status->st_dev);

    attributes->has_link = true;
    return r < 0 ? r
                 : seal_link_id(making->keys, status->st_ino, (uint64_t)status->st_size,
                                attributes->mtime_ns, making->root, attributes->link);
}

/* Fills in all that is known of PATH, the directory itself or something in it. */
static int fill_attributes(struct making *making, const char *path, const struct stat *status,
                           struct manifest_attributes *attributes)
{
    int64_t ctime_ns = header_time(&status->st_ctim);
    struct source *tree = making->tree;
    CLEANUP(xattrs_clear) struct xattrs xattrs = NO_XATTRS;
    char *target = NULL;

    if (ctime_ns > making->newest_ns)
        making->newest_ns = ctime_ns;
    int r = tree->operations->read_xattrs(tree, path, &xattrs);
    if (r == -EACCES || r == -EPERM) {
        if (!sealed_names_are_held(making->names) ||
            (!S_ISREG(status->st_mode) && !S_ISDIR(status->st_mode)))
            log_once("%s: the shares are without its attributes, which cannot be read: %s",
                     log_path(path), strerrordesc_np(-r));
        r = 0;
    }
    if ((r == 0 || r == -ENOTSUP) && S_ISLNK(status->st_mode))
        r = tree->operations->read_link(tree, path, &target);
    if (r == 0 || r == -ENOTSUP)
        r = attributes_from_stat(&making->owners, status, target, &xattrs, attributes);
    if (r == 0 && S_ISREG(status->st_mode))
        r = seal_path_id(making->keys, path, attributes->id);
    if (r == 0 && S_ISREG(status->st_mode) && status->st_nlink > 1)
        r = fill_link(making, status, attributes);
    return r;
}

/* Adds NAME, unless it has gone meanwhile, or is left out. */
static int add(struct making *making, const char *name)
{
    struct manifest_entry *entry = &making->manifest.entries[making->manifest.count];
    struct share_header header;
    cleanup_free char *path = NULL;
    struct stat status;

    if (asprintf(&path, "%s%s%s", making->path, *making->path ? "/" : "", name) < 0)
        return -ENOMEM;
    int r = making->tree->operations->stat(making->tree, path, &status, &header, NULL, NULL);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    if (!sealed_names_may_tell(making->names, path, status.st_mode))
        return 0;             /* its type has changed since it was copied */
    making->manifest.count++; /* from here on, clearing the manifest clears the entry */
    *entry = (struct manifest_entry){.name = strdup(name)};
    if (!entry->name)
        return -ENOMEM;
    if (!S_ISDIR(status.st_mode))
        r = fill_attributes(making, path, &status, &entry->attributes);
    else
        r = seal_path_id(making->keys, path, entry->attributes.id);
    entry->attributes.mode = S_ISDIR(status.st_mode) ? S_IFDIR : status.st_mode;
    if (r != -ENOENT)
        return r;
    manifest_drop_last(&making->manifest);
    return 0;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct manifest_entry *)left)->name,
                  ((const struct manifest_entry *)right)->name);
}

/* The sum of all facts so far, to which the next is added. */
struct adding {
    struct source *tree;
    struct owners owners;
    struct manifest_facts facts;
};

static void adding_clear(struct adding *adding)
{
    owners_clear(&adding->owners);
}

static void add_fact(struct adding *adding, const void *bytes, size_t size)
{
    uint8_t both[2 * HASH_SIZE];

    memcpy(both, adding->facts.sum, HASH_SIZE);
    hash(bytes, size, 0, both + HASH_SIZE);
    hash(both, sizeof both, size, adding->facts.sum);
}

static void add_text(struct adding *adding, const char *text)
{
    add_fact(adding, text ? text : "", text ? strlen(text) + 1 : 0);
}

/* Adds the status of NAME in the directory, or (NULL) of the directory itself. */
static int add_status(struct adding *adding, const char *name, const struct stat *status)
{
    const bool type_alone = name && S_ISDIR(status->st_mode);
    const uint64_t numbers[] = {
        status->st_mode & (type_alone ? S_IFMT : ~(mode_t)0),
        status->st_dev,
        status->st_ino,
        status->st_nlink,
        status->st_uid,
        status->st_gid,
        status->st_rdev,
        (uint64_t)status->st_size,
        (uint64_t)status->st_mtim.tv_sec,
        (uint64_t)status->st_mtim.tv_nsec,
        (uint64_t)status->st_ctim.tv_sec,
        (uint64_t)status->st_ctim.tv_nsec,
    };
    struct manifest_attributes attributes;

    add_text(adding, name);
    add_fact(adding, numbers, type_alone ? sizeof *numbers : sizeof numbers);
    if (type_alone)
        return 0;
    if (times_compare(&status->st_ctim, &adding->facts.newest) > 0)
        adding->facts.newest = status->st_ctim;
    int r = attributes_from_stat(&adding->owners, status, NULL, NULL, &attributes);
    add_text(adding, attributes.user);
    add_text(adding, attributes.group);
    free(attributes.user);
    free(attributes.group);
    return r;
}

/* Adds the root of the directory's file system, on which ids of links depend. */
static int add_root(struct adding *adding, const char *path)
{
    struct making making = {.tree = adding->tree, .path = path};

    int r = find_root(&making, adding->facts.status.st_dev);
    if (r == 0)
        add_text(adding, making.root);
    free(making.root);
    return r;
}

int sealed_manifest_facts(struct source *tree, const char *path, struct manifest_facts *ret)
{
    CLEANUP(adding_clear) struct adding adding = {.tree = tree, .owners = NO_OWNERS};
    struct stat *status = &adding.facts.status;
    cleanup_names struct names names = NO_NAMES;
    struct share_header header;

    int r = tree->operations->stat(tree, path, status, &header, NULL, NULL);
    if (r == 0 && !S_ISDIR(status->st_mode))
        r = -ENOENT;
    if (r == 0)
        r = tree->operations->list(tree, path, &names);
    if (r == 0)
        r = add_status(&adding, NULL, status);
    if (r == 0)
        r = add_root(&adding, path);
    names_sort_unique(&names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        const char *name = names_get(&names, i);
        cleanup_free char *whole = NULL;
        struct stat entry;
        if (asprintf(&whole, "%s%s%s", path, *path ? "/" : "", name) < 0) {
            whole = NULL;
            return -ENOMEM;
        }
        r = tree->operations->stat(tree, whole, &entry, &header, NULL, NULL);
        r = r == 0 ? add_status(&adding, name, &entry) : r == -ENOENT ? 0 : r;
    }
    if (r == 0)
        *ret = adding.facts;
    return r;
}

int sealed_manifest_make(struct source *tree, const struct seal_keys *keys,
                         struct sealed_names *names, const char *path, struct made_manifest *ret)
{
    CLEANUP(making_clear)
    struct making making = {
        .tree = tree, .keys = keys, .names = names, .path = path, .newest_ns = INT64_MIN};
    struct manifest *manifest = &making.manifest;
    cleanup_names struct names plain = NO_NAMES;
    struct share_header header;
    uint32_t fraction = 0;

    *ret = (struct made_manifest){.content = NULL};
    int r = tree->operations->stat(tree, path, &ret->status, &header, NULL, NULL);
    if (r == 0 && !S_ISDIR(ret->status.st_mode))
        r = -ENOENT;
    if (r == 0)
        r = sealed_names_list_told(names, path, &plain);
    if (r < 0)
        return r;
    manifest->path = strdup(path);
    manifest->entries = calloc(plain.count + 1, sizeof *manifest->entries);
    if (!manifest->path || !manifest->entries)
        return -ENOMEM;
    r = fill_attributes(&making, path, &ret->status, &manifest->self);
    for (size_t i = 0; r == 0 && i < plain.count; i++)
        r = add(&making, names_get(&plain, i));
    if (r < 0)
        return r;
    qsort(manifest->entries, manifest->count, sizeof *manifest->entries, compare_names);
    r = manifest_write(manifest, &ret->content, &ret->size);
    if (r == 0)
        r = seal_time_fraction(keys, ret->content, ret->size, &fraction);
    int64_t rest = making.newest_ns % MS_NS;
    ret->time_ns = making.newest_ns - rest - (rest < 0 ? MS_NS : 0) + fraction;
    return r;
}
