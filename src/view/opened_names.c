/* SPDX-License-Identifier: MIT */
#include "view/opened_names.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "share/block.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

enum {
    BYTES_KEPT = 32 << 20, /* of manifests as stored; the last one is kept in any case */
    BYTES_LEAST = 1 << 10, /* that each counts for */
    BUCKETS = 4096,
    MANIFEST_MAX = 1 << 30, /* bytes; the header's size is not to be trusted */
};

/* A manifest that was missing, or did not open, is not looked for again within this time. */
static const uint64_t FRESH_ERROR = CLOCK_SECOND;

struct kept_manifest {
    TAILQ_ENTRY(kept_manifest) others;
    LIST_ENTRY(kept_manifest) alike; /* in the same bucket */
    char *ids;
    int error;                  /* why there is none; 0: there is one */
    struct share_header header; /* of the version that was read */
    struct manifest manifest;
    uint64_t looked_us; /* when it was last seen to be the newest */
    unsigned users;
    bool forgotten; /* no longer in the list: the last user frees it */
};

struct opened_names {
    struct source *stores;
    const struct seal_keys *keys;
    pthread_mutex_t lock;
    TAILQ_HEAD(kept_manifests, kept_manifest) kept; /* most recently used first */
    LIST_HEAD(kept_bucket, kept_manifest) buckets[BUCKETS];
    size_t bytes;
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
    free(kept->ids);
    free(kept);
}

DEFINE_CLEANUP(struct kept_manifest *, kept_free)

static size_t bytes_of(const struct kept_manifest *kept)
{
    return BYTES_LEAST + kept->header.layout.source_size;
}

/* With the lock held. */
static void forget_kept(struct opened_names *names, struct kept_manifest *kept)
{
    TAILQ_REMOVE(&names->kept, kept, others);
    LIST_REMOVE(kept, alike);
    names->bytes -= bytes_of(kept);
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

/* Restores the content of an open manifest, and verifies it by its tags. */
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

static struct kept_bucket *bucket_of(struct opened_names *names, const char *ids)
{
    uint8_t sum[HASH_SIZE];

    hash(ids, strlen(ids), 0, sum);
    return &names->buckets[load_le64(sum) % BUCKETS];
}

/* Returns the kept manifest of IDS, and counts a user more. NULL: there is none. */
static struct kept_manifest *find_kept(struct opened_names *names, const char *ids)
{
    HOLD(&names->lock);
    struct kept_manifest *kept = LIST_FIRST(bucket_of(names, ids));

    while (kept && strcmp(kept->ids, ids) != 0)
        kept = LIST_NEXT(kept, alike);
    if (!kept)
        return NULL;
    TAILQ_REMOVE(&names->kept, kept, others);
    TAILQ_INSERT_HEAD(&names->kept, kept, others);
    kept->users++;
    return kept;
}

/* Keeps a new manifest, which has one user, in place of any other of its path. */
static void keep(struct opened_names *names, struct kept_manifest *kept)
{
    struct kept_bucket *bucket = bucket_of(names, kept->ids);
    struct kept_manifest *other, *next;

    HOLD(&names->lock);
    for (other = LIST_FIRST(bucket); other; other = next) {
        next = LIST_NEXT(other, alike);
        if (strcmp(other->ids, kept->ids) == 0)
            forget_kept(names, other);
    }
    TAILQ_INSERT_HEAD(&names->kept, kept, others);
    LIST_INSERT_HEAD(bucket, kept, alike);
    names->bytes += bytes_of(kept);
    while (names->bytes > BYTES_KEPT && TAILQ_NEXT(kept, others))
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

/* Returns true if MANIFEST is of the directory that WHERE describes. */
static bool is_manifest_of(const struct opened_names *names, const struct opened_where *where,
                           const struct manifest *manifest)
{
    uint8_t id[PATH_ID_SIZE];

    if (where->path)
        return strcmp(manifest->path, where->path) == 0;
    return !where->id || (seal_path_id(names->keys, manifest->path, id) == 0 &&
                          seal_equal(id, where->id, sizeof id));
}

/* Reads the manifest from an open version. */
static int read_version(struct opened_names *names, const struct opened_where *where,
                        struct source_file *file, struct kept_manifest *ret)
{
    cleanup_free uint8_t *content = NULL;
    CLEANUP(manifest_clear) struct manifest manifest = NO_MANIFEST;

    if (file->header.layout.source_size > MANIFEST_MAX) {
        log_once("%s: a version of its manifest says that it has %" PRIu64
                 " bytes; it is left out, as more than 1 GiB is not read",
                 log_path(where->shown), file->header.layout.source_size);
        return -EIO;
    }
    int r = read_content(names, file, &content);
    if (r == 0)
        r = manifest_read(names->keys, content, file->header.layout.source_size, &manifest);
    if (r == 0 && !is_manifest_of(names, where, &manifest))
        r = -EBADMSG;
    if (r < 0)
        return r;
    ret->header = file->header;
    ret->manifest = manifest;
    manifest = NO_MANIFEST;
    return 0;
}

/* Reads into RET the newest version that can be restored and verified. Returns 1 if that is OLD;
 * -EBADMSG if there are versions, but none can be verified. */
static int read_newest(struct opened_names *names, const struct opened_where *where,
                       const struct kept_manifest *old, struct kept_manifest *ret)
{
    cleanup_free char *at = NULL;
    int first = 0, r = 0;

    if (asprintf(&at, "%s%s%s", where->ids, *where->ids ? "/" : "", MANIFEST_NAME) < 0) {
        at = NULL;
        r = -ENOMEM;
    }
    for (unsigned rank = 0; r == 0; rank++) {
        cleanup_source_file struct source_file *file = NULL;
        r = names->stores->operations->open(names->stores, at, rank, &file);
        if (r == 0 && old && old->error == 0 && is_same_version(&file->header, &old->header))
            return 1;
        if (r == 0)
            r = read_version(names, where, file, ret);
        if (r == 0)
            return 0;
        if (rank == 0)
            first = r;
        if (rank > 0 && r == -ENOENT) /* no more versions */
            r = first;
        else if (r == -EIO || r == -EBADMSG)
            r = 0;
    }
    return r;
}

/* Reads the manifest again. Returns 1 if OLD is still the newest; 0 if *RET is to be kept, which
 * may say that there is none. */
static int read_again(struct opened_names *names, const struct opened_where *where,
                      const struct kept_manifest *old, struct kept_manifest **ret)
{
    CLEANUP(cleanup_by_kept_free) struct kept_manifest *kept = calloc(1, sizeof *kept);

    if (!kept || !(kept->ids = strdup(where->ids)))
        return -ENOMEM;
    int r = read_newest(names, where, old, kept);
    if (r == -EBADMSG)
        r = log_as(-EIO, "%s: its manifest does not open with this key, or was forged",
                   log_path(where->shown));
    if (r != 0 && r != -EIO && r != -ENOENT)
        return r;
    kept->error = r;
    kept->users = 1;
    *ret = steal_pointer(kept);
    return 0;
}

int opened_names_manifest(struct opened_names *names, const struct opened_where *where,
                          uint64_t fresh_us, const struct manifest **ret)
{
    struct kept_manifest *kept = find_kept(names, where->ids), *newer = NULL;
    const uint64_t now = clock_now();
    bool fresh = false;
    int r = 0;

    if (kept) {
        HOLD(&names->lock);
        fresh = now - kept->looked_us < (kept->error == 0 ? fresh_us : FRESH_ERROR);
    }
    if (!fresh)
        r = read_again(names, where, kept, &newer);
    if (kept && (r < 0 || newer)) {
        leave_kept(names, kept);
        kept = NULL;
    }
    if (r < 0)
        return r;
    if (newer) {
        newer->looked_us = now;
        keep(names, newer);
        kept = newer;
    } else if (r == 1) {
        HOLD(&names->lock);
        kept->looked_us = now;
    }
    r = kept->error;
    if (r < 0)
        leave_kept(names, kept);
    else
        *ret = &kept->manifest;
    return r;
}

void opened_names_leave(struct opened_names *names, const struct manifest *manifest)
{
    leave_kept(names, (struct kept_manifest *)((char *)manifest -
                                               offsetof(struct kept_manifest, manifest)));
}
