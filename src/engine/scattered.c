/* SPDX-License-Identifier: MIT */
#include "engine/scattered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The shares of one version under one name. */
struct piece {
    char *path;
    const char *other; /* another name's path, with whose shares there are enough; or NULL */
    bool alone;        /* there are enough without others, by their own k though not by K */
    struct share_header version;
    bool shares[256];
};

/*
 * Without checks, the time is that of the share's file, which some storage rounds down to two
 * seconds: times within the same two are taken for equal.
 */
static struct share_header header_to_compare(const struct share_header *header)
{
    enum { COARSEST = 2000000000 };
    struct share_header rounded = *header;

    if (!formats[header->layout.format]->has_checks)
        rounded.mtime_ns = header->mtime_ns / COARSEST - (header->mtime_ns % COARSEST < 0);
    return rounded;
}

static int add_piece(struct scattered *scattered, const char *path, const struct copy_facts facts[],
                     size_t count, size_t first, bool alone)
{
    if (scattered->count == scattered->room) {
        size_t room = scattered->room * 2 + 16;
        struct piece *pieces = reallocarray(scattered->pieces, room, sizeof *pieces);
        if (!pieces)
            return -ENOMEM;
        scattered->pieces = pieces;
        scattered->room = room;
    }
    struct piece *piece = &scattered->pieces[scattered->count];
    *piece = (struct piece){
        .path = strdup(path), .alone = alone, .version = header_to_compare(&facts[first].header)};
    if (!piece->path)
        return -ENOMEM;
    for (size_t i = first; i < count; i++) {
        if (facts[i].has_header && !facts[i].misplaced &&
            version_is_same(&facts[i].header, &facts[first].header))
            piece->shares[facts[i].header.index] = true;
    }
    scattered->count++;
    return 0;
}

int scattered_add(struct scattered *scattered, const char *path, const struct quorum *quorum,
                  const struct copy_facts facts[], size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct share_header *header = &facts[i].header;
        const struct version version = version_count(quorum, facts, count, header);
        const unsigned enough = header->layout.required + version.untimed;
        bool repeated = false;
        for (size_t j = 0; j < i; j++)
            repeated |= facts[j].has_header && !facts[j].misplaced &&
                        version_is_same(&facts[j].header, header);
        if (facts[i].has_header && !facts[i].misplaced && !repeated && !version.complete)
            r = add_piece(scattered, path, facts, count, i, version.whole >= enough);
    }
    return r;
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_versions(const struct share_header *a, const struct share_header *b)
{
    int order = compare_numbers((int64_t)a->layout.source_size, (int64_t)b->layout.source_size);

    if (order == 0)
        order = compare_numbers(a->mtime_ns, b->mtime_ns);
    if (order == 0)
        order = compare_numbers(a->layout.required, b->layout.required);
    if (order == 0)
        order = compare_numbers(a->layout.block_size, b->layout.block_size);
    return order == 0 ? compare_numbers(a->total, b->total) : order;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct piece *)a)->path, ((const struct piece *)b)->path);
}

static int compare_pieces(const void *a, const void *b)
{
    int order =
        compare_versions(&((const struct piece *)a)->version, &((const struct piece *)b)->version);

    return order == 0 ? compare_paths(a, b) : order;
}

/* Notes another name with each of COUNT pieces of one version, sorted by path, if there are enough
 * shares. */
static void settle_version(struct piece pieces[], size_t count)
{
    unsigned shares = 0;

    for (unsigned share = 0; share < 256; share++) {
        bool there = false;
        for (size_t i = 0; i < count && !there; i++)
            there = pieces[i].shares[share];
        shares += there;
    }
    /* Of an empty file there is nothing to restore. */
    if (shares < pieces[0].version.layout.required || pieces[0].version.layout.source_size == 0)
        return;
    const char *first = pieces[0].path, *last = pieces[count - 1].path;
    for (size_t i = 0; i < count && strcmp(first, last) != 0; i++)
        pieces[i].other = strcmp(pieces[i].path, first) == 0 ? last : first;
}

void scattered_settle(struct scattered *scattered)
{
    struct piece *pieces = scattered->pieces;
    size_t end;

    if (scattered->count == 0)
        return;
    qsort(pieces, scattered->count, sizeof *pieces, compare_pieces);
    for (size_t i = 0; i < scattered->count; i = end) {
        for (end = i + 1; end < scattered->count &&
                          compare_versions(&pieces[i].version, &pieces[end].version) == 0;)
            end++;
        settle_version(&pieces[i], end - i);
    }
    qsort(pieces, scattered->count, sizeof *pieces, compare_paths);
}

/* The place of the first piece whose path is not before PATH. */
static size_t find_first(const struct scattered *scattered, const char *path)
{
    size_t low = 0, high = scattered->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(scattered->pieces[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The next piece from number AT on that is PATH's, or of something beneath it; NULL behind the
 * last. */
static const struct piece *next_piece(const struct scattered *scattered, const char *path,
                                      size_t *at)
{
    const size_t length = strlen(path);

    while (*at < scattered->count) {
        const struct piece *piece = &scattered->pieces[(*at)++];
        if (strncmp(piece->path, path, length) != 0)
            break;
        if (piece->path[length] == '\0' || piece->path[length] == '/')
            return piece;
    }
    return NULL;
}

const char *scattered_other(const struct scattered *scattered, const char *path)
{
    size_t at = find_first(scattered, path);
    const struct piece *piece;

    while ((piece = next_piece(scattered, path, &at))) {
        if (piece->other)
            return piece->other;
    }
    return NULL;
}

bool scattered_is_alone(const struct scattered *scattered, const char *path)
{
    size_t at = find_first(scattered, path);
    const struct piece *piece;

    while ((piece = next_piece(scattered, path, &at))) {
        if (piece->alone)
            return true;
    }
    return false;
}

void scattered_clear(struct scattered *scattered)
{
    for (size_t i = 0; i < scattered->count; i++)
        free(scattered->pieces[i].path);
    free(scattered->pieces);
    *scattered = (struct scattered){0};
}
