/* SPDX-License-Identifier: MIT */
#include "view/share_set.h"

#include "base/buffer.h"
#include "base/log.h"
#include "share/block.h"
#include "stripe/decode.h"

#include <stdbool.h>
#include <string.h>

/* A copy of a share in a store. */
struct share {
    const struct tree *store;
    int fd;
    struct stat status;
    struct share_header header;
};

struct share_set {
    char *path;
    struct stat any;  /* the status of the first copy that was found */
    size_t copies;    /* regular files found */
    size_t count;     /* of them, the shares of the chosen version, sorted by index */
    unsigned indices; /* different ones among them */
    struct share shares[];
};

/* The blocks of one stripe that were found good so far. */
struct gathered {
    struct buffer buffer;
    size_t block_size;
    size_t count;
    uint8_t indices[256];
};

static bool same_version(const struct share_header *a, const struct share_header *b)
{
    return a->layout.required == b->layout.required &&
           a->layout.block_size == b->layout.block_size &&
           a->layout.source_size == b->layout.source_size && a->mtime_ns == b->mtime_ns &&
           a->total == b->total;
}

static int read_header(const struct share_terms *terms, struct share *share)
{
    uint8_t bytes[HEADER_SIZE_MAX];

    ssize_t size = pread(share->fd, bytes, sizeof bytes, 0);
    if (size < 0)
        return -errno;
    return header_read(terms->format, terms->required, bytes, (size_t)size,
                       (uint64_t)share->status.st_size, &share->header);
}

/* Adds the copy in one store, if it has one and it is a share. */
static void add_copy(struct share_set *set, const struct share_terms *terms,
                     const struct tree *store)
{
    struct share *share = &set->shares[set->count];

    share->store = store;
    int r = tree_open_file(store, set->path, &share->status, &share->fd);
    if (r == -ENOENT || r == -EISDIR || r == -EINVAL || r == -ENOTDIR)
        return;
    if (r < 0) {
        log_errno(r, "%s: store %s", set->path, tree_name(store));
        return;
    }
    if (set->copies++ == 0)
        set->any = share->status;
    r = read_header(terms, share);
    if (r < 0)
        close(share->fd);
    else
        set->count++;
}

static unsigned count_indices(const struct share_set *set, const struct share_header *version)
{
    bool seen[256] = {false};
    unsigned count = 0;

    for (size_t s = 0; s < set->count; s++) {
        const struct share_header *header = &set->shares[s].header;
        if (same_version(header, version) && !seen[header->index]) {
            seen[header->index] = true;
            count++;
        }
    }
    return count;
}

/* Whether version A, of which there are COUNT_A shares, is to be preferred to B. */
static bool is_better(const struct share_header *a, unsigned count_a, const struct share_header *b,
                      unsigned count_b)
{
    bool complete_a = count_a >= a->layout.required, complete_b = count_b >= b->layout.required;

    if (complete_a != complete_b)
        return complete_a;
    if (a->mtime_ns != b->mtime_ns)
        return a->mtime_ns > b->mtime_ns;
    return count_a > count_b;
}

static int compare_index(const void *left, const void *right)
{
    const struct share *a = left, *b = right;

    return a->header.index - b->header.index;
}

/* Keeps the shares of the best version only. */
static void choose_version(struct share_set *set)
{
    struct share_header chosen = {0};
    size_t kept = 0;

    for (size_t s = 0; s < set->count; s++) {
        const struct share_header *version = &set->shares[s].header;
        unsigned indices = count_indices(set, version);
        if (s == 0 || is_better(version, indices, &chosen, set->indices)) {
            chosen = *version;
            set->indices = indices;
        }
    }
    for (size_t s = 0; s < set->count; s++) {
        if (same_version(&set->shares[s].header, &chosen))
            set->shares[kept++] = set->shares[s];
        else
            close(set->shares[s].fd);
    }
    set->count = kept;
    qsort(set->shares, set->count, sizeof *set->shares, compare_index);
}

int share_set_open(const struct stores *stores, const struct share_terms *terms, const char *path,
                   struct share_set **ret)
{
    cleanup_share_set struct share_set *set =
        calloc(1, sizeof *set + stores->count * sizeof *set->shares);

    if (!set)
        return -ENOMEM;
    set->path = strdup(path);
    if (!set->path)
        return -ENOMEM;
    for (size_t i = 0; i < stores->count; i++)
        add_copy(set, terms, stores->trees[i]);
    if (set->copies == 0)
        return -ENOENT;
    choose_version(set);
    *ret = steal_pointer(set);
    return 0;
}

void share_set_free(struct share_set *set)
{
    for (size_t s = 0; s < set->count; s++)
        close(set->shares[s].fd);
    free(set->path);
    free(set);
}

const struct share_layout *share_set_layout(const struct share_set *set)
{
    return set->count > 0 ? &set->shares[0].header.layout : NULL;
}

const struct stat *share_set_status(const struct share_set *set)
{
    return set->count > 0 ? &set->shares[0].status : &set->any;
}

int share_set_check(const struct share_set *set)
{
    if (set->count == 0) {
        log_error("%s: none of %zu copies is a share with an intact header (is format= right?)",
                  set->path, set->copies);
        return -EIO;
    }
    unsigned required = set->shares[0].header.layout.required;
    if (set->indices < required) {
        log_error("%s: %u different shares of %zu copies found, %u needed", set->path, set->indices,
                  set->copies, required);
        return -EIO;
    }
    return 0;
}

static bool is_gathered(const struct gathered *gathered, uint8_t index)
{
    return memchr(gathered->indices, index, gathered->count) != NULL;
}

static uint8_t *gathered_block(const struct gathered *gathered, size_t i)
{
    return gathered->buffer.data + i * gathered->block_size;
}

/* Reads a block to the place behind those gathered. */
static int read_block(const struct share *share, uint64_t stripe, struct gathered *gathered)
{
    const struct share_layout *layout = &share->header.layout;
    uint8_t *block = gathered_block(gathered, gathered->count);
    uint64_t start = layout_block_offset(layout, stripe);
    size_t size = layout_block_size(layout, stripe), done = 0;

    while (done < size) {
        ssize_t n = pread(share->fd, block + done, size - done, (off_t)(start + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ENODATA;
        done += (size_t)n;
    }
    if (layout->format == SHARE_CHECKED &&
        !block_is_intact(block, layout_payload_size(layout, stripe), stripe, share->header.index))
        return -EBADMSG;
    return 0;
}

static const char *describe(int error)
{
    switch (error) {
    case -EBADMSG:
        return "does not verify";
    case -ENODATA:
        return "is cut off";
    default:
        return strerrordesc_np(-error);
    }
}

/*
 * Gathers the good blocks whose digest is that of the block gathered last. In formats without
 * digests all go together. Returns how many there are, at most k.
 */
static unsigned select_alike(const struct share_layout *layout, const struct gathered *gathered,
                             uint8_t indices[], const uint8_t *blocks[])
{
    const uint8_t *last = gathered_block(gathered, gathered->count - 1);
    unsigned count = 0;

    for (size_t i = gathered->count; i-- > 0 && count < layout->required;) {
        const uint8_t *block = gathered_block(gathered, i);
        if (layout->format == SHARE_CHECKED && memcmp(block, last, BLOCK_DIGEST_SIZE) != 0)
            continue;
        indices[count] = gathered->indices[i];
        blocks[count++] = block;
    }
    return count;
}

/* Reads block after block until some k of them fit together. */
static int gather_and_decode(const struct share_set *set, uint64_t stripe,
                             struct gathered *gathered, uint8_t *data)
{
    const struct share_layout *layout = share_set_layout(set);
    const uint8_t *blocks[255];
    uint8_t indices[255];

    for (size_t s = 0; s < set->count; s++) {
        const struct share *share = &set->shares[s];
        if (is_gathered(gathered, share->header.index))
            continue;
        int r = read_block(share, stripe, gathered);
        if (r < 0) {
            log_error("%s: store %s: block %llu %s", set->path, tree_name(share->store),
                      (unsigned long long)stripe, describe(r));
            continue;
        }
        gathered->indices[gathered->count++] = share->header.index;
        if (select_alike(layout, gathered, indices, blocks) == layout->required)
            return stripe_decode(layout, stripe, indices, blocks, data);
    }
    return -ENODATA;
}

int share_set_read_stripe(const struct share_set *set, uint64_t stripe, uint8_t *data)
{
    const struct share_layout *layout = share_set_layout(set);
    struct gathered gathered = {.block_size = layout_block_size(layout, stripe)};

    int r = buffer_take(set->indices * gathered.block_size, &gathered.buffer);
    if (r < 0)
        return r;
    r = gather_and_decode(set, stripe, &gathered, data);
    buffer_give(&gathered.buffer);
    if (r == 0 || r == -ENOMEM)
        return r;
    uint64_t start = stripe * layout_full_stripe_size(layout);
    log_error("%s: bytes %llu to %llu cannot be restored: %zu good blocks, %u of one kind needed",
              set->path, (unsigned long long)start,
              (unsigned long long)(start + layout_stripe_size(layout, stripe) - 1), gathered.count,
              layout->required);
    return -EIO;
}
