/* SPDX-License-Identifier: MIT */
#include "view/unsealing.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/shortage.h"
#include "seal/key_share.h"
#include "view/opened_names.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { FAILED_MAX = 256 }; /* remembered directories whose manifest is lost */

struct unsealing {
    struct unsealer unsealer;
    struct source *stores;
    struct seal_keys *keys;
    struct opened_names *names;
    pthread_mutex_t lock; /* of: */
    struct names failed;
};

/* A directory in a share, and the walk to it from the root. */
struct way {
    char *path; /* in the source */
    const struct manifest *manifest;
};

static bool has_failed(struct unsealing *unsealing, const char *path)
{
    HOLD(&unsealing->lock);
    bool found = false;

    for (size_t i = 0; i < unsealing->failed.count && !found; i++)
        found = strcmp(names_get(&unsealing->failed, i), path) == 0;
    return found;
}

/* Reads the manifest of the directory at IDS in the shares, which is PATH in the source (for
 * the root, what its manifest says). Failures are remembered, so that none is tried and
 * logged twice. */
static int take_manifest(struct unsealing *unsealing, const char *ids, const char *path,
                         const struct manifest **ret)
{
    const struct opened_where where = {.ids = ids, .path = *ids ? path : NULL, .shown = path};

    if (has_failed(unsealing, ids))
        return -EIO;
    int r = opened_names_manifest(unsealing->names, &where, CLOCK_SECOND, ret);
    if (r == 0 || is_shortage(r) || r == -ETIMEDOUT)
        return r;
    HOLD(&unsealing->lock);
    if (unsealing->failed.count < FAILED_MAX)
        names_add(&unsealing->failed, ids);
    return -EIO;
}

static void leave_way(struct unsealing *unsealing, struct way *way)
{
    if (way->manifest)
        opened_names_leave(unsealing->names, way->manifest);
    free(way->path);
    *way = (struct way){.path = NULL};
}

static char *join_name(const char *parent, const char *name)
{
    char *path;

    return asprintf(&path, "%s%s%s", parent, *parent ? "/" : "", name) < 0 ? NULL : path;
}

/* Returns the entry of the id NAME (SIZE bytes long), or NULL. */
static const struct manifest_entry *find_entry(const struct manifest *manifest, const char *name,
                                               size_t size)
{
    char digits[PATH_ID_DIGITS + 1] = "";
    uint8_t id[PATH_ID_SIZE];

    if (size != PATH_ID_DIGITS)
        return NULL;
    memcpy(digits, name, size);
    return seal_id_from_name(digits, id) == 0 ? manifest_find_id(manifest, id) : NULL;
}

/*
 * Walks to the directory that is the first SIZE bytes of PATH, in a share. -ENOENT: an id on the
 * way is in no manifest, or is not a directory's; -EIO: a manifest is lost, that of the directory
 * itself if RET has a path; -ENOMEM, or another shortage. Leave the way in any case.
 */
static int go(struct unsealing *unsealing, const char *path, size_t size, struct way *ret)
{
    const char *at = path, *end = path + size;

    *ret = (struct way){.path = strdup("")};
    int r = ret->path ? take_manifest(unsealing, "", "", &ret->manifest) : -ENOMEM;
    if (r == 0) { /* the stores may hold only a part of the source */
        free(ret->path);
        ret->path = strdup(ret->manifest->path);
        r = ret->path ? 0 : -ENOMEM;
    }
    while (r == 0 && at < end) {
        const char *slash = memchr(at, '/', (size_t)(end - at)), *stop = slash ? slash : end;
        const struct manifest_entry *entry = find_entry(ret->manifest, at, (size_t)(stop - at));
        cleanup_free char *ids = strndup(path, (size_t)(stop - path));
        char *whole = entry && ids ? join_name(ret->path, entry->name) : NULL;
        r = !entry || !S_ISDIR(entry->attributes.mode) ? -ENOENT : whole ? 0 : -ENOMEM;
        leave_way(unsealing, ret);
        ret->path = whole;
        at = slash ? slash + 1 : end;
        if (r == 0)
            r = take_manifest(unsealing, ids, whole, &ret->manifest);
    }
    if (r < 0 && (r != -EIO || at < end))
        free(steal_pointer(ret->path));
    return r;
}

static size_t parent_size(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int look_by_manifest(struct unsealer *opaque, const char *path, struct sealed_name *ret)
{
    struct unsealing *unsealing = (struct unsealing *)opaque;
    const char *name = last_name(path);
    const struct manifest_entry *entry = NULL;
    uint8_t id[PATH_ID_SIZE];
    struct way way;

    *ret = (struct sealed_name){.path = NULL};
    if (*path == '\0')
        return 0;
    int r = go(unsealing, path, parent_size(path), &way);
    if (strcmp(name, MANIFEST_NAME) == 0) {
        ret->refused = r == -EIO && way.path;
        ret->kind = way.path ? S_IFREG : 0;
    } else if (seal_id_from_name(name, id) == 0) {
        entry = r == 0 ? manifest_find_id(way.manifest, id) : NULL;
        ret->kind = entry ? entry->attributes.mode & S_IFMT : 0;
        ret->orphan = r == -ENOENT || (r == 0 && !entry);
    }
    r = r == -ENOENT || r == -EIO || r == -ETIMEDOUT ? 0 : r;
    if (r == 0 && ret->kind) {
        ret->path = join_name(way.path, entry ? entry->name : MANIFEST_NAME);
        r = ret->path ? 0 : -ENOMEM;
    }
    leave_way(unsealing, &way);
    return r;
}

/* Returns true if, by its entry, PATH is not empty. */
static bool has_content(struct unsealing *unsealing, const char *path)
{
    const char *name = last_name(path);
    struct way way;
    const struct manifest_entry *entry = go(unsealing, path, parent_size(path), &way) == 0
                                             ? find_entry(way.manifest, name, strlen(name))
                                             : NULL;
    const bool found = entry && S_ISREG(entry->attributes.mode) && entry->attributes.size > 0;

    leave_way(unsealing, &way);
    return found;
}

static int make_prover(struct unsealer *opaque, const char *path,
                       const struct share_header *version, struct stripe_opener **ret)
{
    struct unsealing *unsealing = (struct unsealing *)opaque;
    const char *name = last_name(path);
    const bool manifest = strcmp(name, MANIFEST_NAME) == 0;
    const bool empty = version->layout.source_size == 0;
    struct share_header header = *version;
    uint8_t bytes[KEY_SHARE_SIZE], id[PATH_ID_SIZE];
    struct seal_place place;

    *ret = NULL;
    if (!manifest && seal_id_from_name(name, id) < 0)
        return 0;
    /* An empty file has nothing that the key verifies, and no manifest is empty. */
    if (empty && (manifest || has_content(unsealing, path)))
        return -EKEYREJECTED;
    if (manifest) {
        header.layout = header_plain_layout(&header);
        header_write(&header, bytes);
        place = seal_place_of_manifest(unsealing->keys, bytes);
    } else {
        place = seal_place_of_file(unsealing->keys, id);
    }
    struct seal_opener *opener = malloc(sizeof *opener);
    if (!opener)
        return -ENOMEM;
    *opener = seal_opener(&place, &version->layout);
    *ret = &opener->opener;
    return 0;
}

/* Says what is known without a key: each directory has a manifest. */
static int look_at_name(struct unsealer *opaque, const char *path, struct sealed_name *ret)
{
    *ret = (struct sealed_name){.kind = strcmp(last_name(path), MANIFEST_NAME) == 0 ? S_IFREG : 0};
    return 0;
}

static int prove_nothing(struct unsealer *opaque, const char *path,
                         const struct share_header *version, struct stripe_opener **ret)
{
    *ret = NULL;
    return 0;
}

struct unsealer *unsealer_without_key(void)
{
    static struct unsealer unsealer = {look_at_name, prove_nothing};

    return &unsealer;
}

int unsealing_find_manifest(struct source *stores, const char *path,
                            void (*tell)(void *context, const char *name, mode_t kind),
                            void *context)
{
    cleanup_names struct names names = NO_NAMES;

    int r = stores->operations->list(stores, path, &names);
    names_sort_unique(&names);
    if (r < 0 || names_have(&names, MANIFEST_NAME))
        return r == -ENOENT ? 0 : r;
    cleanup_free char *name = join_name(path, MANIFEST_NAME);
    if (!name)
        return -ENOMEM;
    tell(context, name, S_IFREG);
    return 0;
}

int unsealing_find_missing(struct unsealing *unsealing, const char *path,
                           void (*tell)(void *context, const char *name, mode_t kind),
                           void *context)
{
    cleanup_names struct names names = NO_NAMES;
    struct way way;

    int r = go(unsealing, path, strlen(path), &way);
    if (r == 0 || (r == -EIO && way.path)) {
        int listed = unsealing->stores->operations->list(unsealing->stores, path, &names);
        r = listed < 0 ? listed : r;
        names_sort_unique(&names);
    }
    if ((r == 0 || (r == -EIO && way.path)) && !names_have(&names, MANIFEST_NAME)) {
        cleanup_free char *name = join_name(way.path, MANIFEST_NAME);
        r = name ? r : -ENOMEM;
        if (name)
            tell(context, name, S_IFREG);
    }
    for (size_t i = 0; r == 0 && i < way.manifest->id_count; i++) {
        const struct manifest_id *id = &way.manifest->ids[i];
        const struct manifest_entry *entry = &way.manifest->entries[id->place];
        char digits[PATH_ID_DIGITS + 1];
        seal_id_name(id->id, digits);
        if (names_have(&names, digits))
            continue;
        cleanup_free char *name = join_name(way.path, entry->name);
        r = name ? 0 : -ENOMEM;
        if (name)
            tell(context, name, entry->attributes.mode & S_IFMT);
    }
    leave_way(unsealing, &way);
    return r == -ENOENT || r == -EIO ? 0 : r;
}

int unsealing_new(struct source *stores, struct seal_keys *keys, struct unsealing **ret)
{
    struct unsealing *unsealing = malloc(sizeof *unsealing);

    if (!unsealing) {
        seal_keys_free(keys);
        return -ENOMEM;
    }
    *unsealing = (struct unsealing){
        .unsealer = {look_by_manifest, make_prover},
        .stores = stores,
        .keys = keys,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    int r = opened_names_new(stores, keys, &unsealing->names);
    if (r < 0)
        unsealing_free(unsealing);
    else
        *ret = unsealing;
    return r;
}

void unsealing_free(struct unsealing *unsealing)
{
    if (unsealing->names)
        opened_names_free(unsealing->names);
    names_clear(&unsealing->failed);
    seal_keys_free(unsealing->keys);
    free(unsealing);
}

struct unsealer *unsealing_unsealer(struct unsealing *unsealing)
{
    return &unsealing->unsealer;
}
