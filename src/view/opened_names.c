/* SPDX-License-Identifier: MIT */
#include "view/opened_names.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum {
    KEPT_MAX = 256,          /* manifests */
    BYTES_KEPT = 64 << 20,   /* of them, as they are stored; the last one is kept in any case */
    MANIFEST_MAX = 1 << 30,  /* bytes; what a header says is its stores' word */
    FRESH_US = CLOCK_SECOND, /* so long what was read is not looked at again */
};

struct kept_manifest {
    TAILQ_ENTRY(kept_manifest) others;
    char *path;
    struct share_header header; /* of the version that it was read from */
    struct manifest manifest;
    uint64_t looked_us; /* when it was last seen to be the newest */
    unsigned users;
    bool forgotten; /* not in the list any more: the last user frees it */
};

struct opened_names {
    struct source *stores;
    const struct seal_keys *keys;
    pthread_mutex_t lock;
    TAILQ_HEAD(kept_manifests, kept_manifest) kept; /* the last one used first */
    size_t count, bytes;
};

int opened_names_new(struct source *stores, const struct seal_keys *keys, struct opened_names **ret)
{
    struct opened_names *names = calloc(1, sizeof *names);

    if (!names)
        return -ENOMEM;
    names->stores = stores;
    names->keys = keys;
    pthread_mutex_init(&names->lock, NULL);
    TAILQ_INIT(&names->kept);
    *ret = names;
    return 0;
}

static void kept_free(struct kept_manifest *kept)
{
    manifest_clear(&kept->manifest);
    free(kept->path);
    free(kept);
}

DEFINE_CLEANUP(struct kept_manifest *, kept_free)

/* With the lock held. */
static void forget_kept(struct opened_names *names, struct kept_manifest *kept)
{
    TAILQ_REMOVE(&names->kept, kept, others);
    names->count--;
    names->bytes -= kept->header.layout.source_size;
    kept->forgotten = true;
    if (kept->users == 0)
        kept_free(kept);
}

void opened_names_free(struct opened_names *names)
{
    while (!TAILQ_EMPTY(&names->kept))
        forget_kept(names, TAILQ_FIRST(&names->kept));
    pthread_mutex_destroy(&names->lock);
    free(names);
}

int opened_names_id_path(const struct opened_names *names, const char *path, char **ret)
{
    size_t parts = *path != '\0';
    uint8_t id[PATH_ID_SIZE];
    int r = 0;

    for (const char *at = path; *at; at++)
        parts += *at == '/';
    cleanup_free char *ids = malloc(parts * (PATH_ID_DIGITS + 1) + 1);
    char *next = ids;
    if (!ids)
        return -ENOMEM;
    *ids = '\0';
    for (const char *end = path; r == 0 && *end; end += *end == '/') {
        end = strchrnul(end, '/');
        cleanup_free char *part = strndup(path, (size_t)(end - path));
        r = part ? seal_path_id(names->keys, part, id) : -ENOMEM;
        if (next > ids)
            *next++ = '/';
        seal_id_name(id, next);
        next += PATH_ID_DIGITS;
    }
    if (r == 0)
        *ret = steal_pointer(ids);
    return r;
}

/* Restores the content of an open manifest, and proves it by its tags. */
static int read_content(struct opened_names *names, struct source_file *file, uint8_t **ret)
{
    const struct share_layout *layout = &file->header.layout;
    const uint64_t stripes = layout_stripes(layout);
    const size_t full = layout_full_stripe_size(layout);
    cleanup_buffer struct buffer stripe = NO_BUFFER;
    uint8_t bytes[KEY_SHARE_SIZE], digest[HASH_SIZE];
    cleanup_free uint8_t *content = NULL;

    if (stripes == 0 || file->present < stripes)
        return -EBADMSG;
    struct share_header header = file->header;
    header.layout = header_plain_layout(&header);
    header_write(&header, bytes);
    const struct seal_place place = seal_place_of_manifest(names->keys, bytes);
    const struct seal_opener opener = seal_opener(&place, layout);
    file->opener = &opener.opener;
    content = malloc(layout->source_size);
    int r =
        content ? buffer_take(layout_payload_size(layout, 0) * layout->required, &stripe) : -ENOMEM;
    for (uint64_t i = 0; r == 0 && i < stripes; i++) {
        const size_t size = layout_stripe_size(layout, i);
        r = file->operations->read_stripe(file, i, stripe.data, digest);
        if (r == 0)
            memcpy(content + i * full, stripe.data, size);
    }
    file->opener = NULL;
    if (r == 0)
        *ret = steal_pointer(content);
    return r;
}

/* The one that is kept of PATH, and now has one user more. NULL: there is none. */
static struct kept_manifest *find_kept(struct opened_names *names, const char *path)
{
    HOLD(&names->lock);
    struct kept_manifest *kept = TAILQ_FIRST(&names->kept);

    while (kept && strcmp(kept->path, path) != 0)
        kept = TAILQ_NEXT(kept, others);
    if (!kept)
        return NULL;
    TAILQ_REMOVE(&names->kept, kept, others);
    TAILQ_INSERT_HEAD(&names->kept, kept, others);
    kept->users++;
    return kept;
}

/* Keeps a new one, which has one user, in the place of another of its path. */
static void keep(struct opened_names *names, struct kept_manifest *kept)
{
    struct kept_manifest *other, *next;

    HOLD(&names->lock);
    for (other = TAILQ_FIRST(&names->kept); other; other = next) {
        next = TAILQ_NEXT(other, others);
        if (strcmp(other->path, kept->path) == 0)
            forget_kept(names, other);
    }
    TAILQ_INSERT_HEAD(&names->kept, kept, others);
    names->count++;
    names->bytes += kept->header.layout.source_size;
    while (names->count > 1 && (names->count > KEPT_MAX || names->bytes > BYTES_KEPT))
        forget_kept(names, TAILQ_LAST(&names->kept, kept_manifests));
}

static void leave_kept(struct opened_names *names, struct kept_manifest *kept)
{
    HOLD(&names->lock);
    if (--kept->users == 0 && kept->forgotten)
        kept_free(kept);
}

static bool is_same_version(const struct share_header *a, const struct share_header *b)
{
    return a->mtime_ns == b->mtime_ns && a->layout.source_size == b->layout.source_size &&
           a->layout.required == b->layout.required && a->layout.block_size == b->layout.block_size;
}

/* Reads the manifest of PATH from an open version of it. */
static int read_version(struct opened_names *names, const char *path, struct source_file *file,
                        struct kept_manifest **ret)
{
    CLEANUP(cleanup_by_kept_free) struct kept_manifest *kept = calloc(1, sizeof *kept);
    cleanup_free uint8_t *content = NULL;

    if (file->header.layout.source_size > MANIFEST_MAX) {
        log_once("%s: a version of its manifest says that it has %" PRIu64
                 " bytes; it is left out, as more than 1 GiB is not read",
                 log_path(path), file->header.layout.source_size);
        return -EIO;
    }
    if (!kept || !(kept->path = strdup(path)))
        return -ENOMEM;
    kept->header = file->header;
    kept->users = 1;
    int r = read_content(names, file, &content);
    if (r == 0)
        r = manifest_read(names->keys, content, file->header.layout.source_size, &kept->manifest);
    if (r == 0 && strcmp(kept->manifest.path, path) != 0)
        r = -EBADMSG;
    if (r == 0)
        *ret = steal_pointer(kept);
    return r;
}

/* Reads the newest version that can be restored and proven, unless that is OLD. */
static int read_newest(struct opened_names *names, const char *path,
                       const struct kept_manifest *old, struct kept_manifest **ret)
{
    cleanup_free char *ids = NULL, *at = NULL;
    int first = 0;

    int r = opened_names_id_path(names, path, &ids);
    if (r == 0 && asprintf(&at, "%s%s%s", ids, *ids ? "/" : "", MANIFEST_NAME) < 0) {
        at = NULL;
        r = -ENOMEM;
    }
    for (unsigned rank = 0; r == 0; rank++) {
        cleanup_source_file struct source_file *file = NULL;
        r = names->stores->operations->open(names->stores, at, rank, &file);
        if (r == 0 && old && is_same_version(&file->header, &old->header))
            return 0;
        if (r == 0)
            r = read_version(names, path, file, ret);
        if (r == 0)
            return 0;
        if (rank == 0)
            first = r;
        if (rank > 0 && r == -ENOENT) /* there are no more versions */
            r = first;
        else if (r == -EIO || r == -EBADMSG)
            r = 0;
    }
    if (r == -EBADMSG)
        r = log_as(-EIO, "%s: its manifest does not open with this key, or was forged",
                   log_path(path));
    return r;
}

int opened_names_manifest(struct opened_names *names, const char *path, const struct manifest **ret)
{
    struct kept_manifest *kept = find_kept(names, path), *newer = NULL;
    const uint64_t now = clock_now();

    if (kept && now - kept->looked_us < FRESH_US) {
        *ret = &kept->manifest;
        return 0;
    }
    int r = read_newest(names, path, kept, &newer);
    if (r < 0 || newer) {
        if (kept)
            leave_kept(names, kept);
        kept = newer;
    }
    if (r < 0)
        return r;
    {
        HOLD(&names->lock);
        kept->looked_us = now;
    }
    if (newer)
        keep(names, newer);
    *ret = &kept->manifest;
    return 0;
}

void opened_names_leave(struct opened_names *names, const struct manifest *manifest)
{
    leave_kept(names, (struct kept_manifest *)((char *)manifest -
                                               offsetof(struct kept_manifest, manifest)));
}
