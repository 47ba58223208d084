/* SPDX-License-Identifier: MIT */
#include "sync/description.h"

#include "base/array.h"
#include "base/log.h"
#include "seal/key_share.h"
#include "sync/state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD                                                                                       \
    "# One share of this set is here, that of its first node. To find the others:\n"               \
    "# zfec-fs recover PLACE\n\n"

const char *description_name(const struct sync_set *set)
{
    return sets_is_sealed(set) ? SEALED_DESCRIPTION_NAME : DESCRIPTION_NAME;
}

const char *description_of(const struct sync_set *set)
{
    return set->seal.known ? set->seal.name : set->name;
}

void description_print(const struct sync_set *set, const struct sync_node *first, FILE *file)
{
    const struct encoding *encoding = &set->encoding;
    const char *name = description_of(set);

    fprintf(file, "[%s]\nrequired = %u\nformat = %s\n", name, encoding->required,
            formats[encoding->format]->name);
    if (encoding->format == SHARE_FEC)
        fprintf(file, "shares = %u\n", encoding->shares);
    if (encoding->block_size != BLOCK_SIZE_DEFAULT)
        fprintf(file, "block_size = %u\n", (unsigned)encoding->block_size);
    for (size_t i = 0; i <= set->count; i++) {
        const struct sync_node *node = i == 0 ? first : &set->nodes[i - 1];
        if (!node || (i > 0 && node == first))
            continue;
        if (set->seal.known)
            fprintf(file, "\n[%s/%02x]\n", name, (uint8_t)node->share);
        else
            fprintf(file, "\n[%s/%s]\n", name, node->name);
        fprintf(file, "share = %02x\n%s = %s\n", (uint8_t)node->share,
                node->mover == &rsync_mover ? "rsync" : "rclone", node->target);
    }
}

/* Any time that stays the same: one of 34 years. */
static time_t time_of_bytes(const char *bytes, size_t size)
{
    uint32_t sum = 2166136261; /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * 16777619;
    return 500000000 + (time_t)(sum >> 2);
}

static int open_in(const char *folder, const char *name, int flags)
{
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

int description_clear(const char *folder)
{
    static const char *const names[] = {DESCRIPTION_NAME, SEALED_DESCRIPTION_NAME, KEY_SHARE_NAME};

    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
            return -ENOMEM;
        if (unlink(path) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

int description_write(const struct sync_set *set, const struct sync_node *node, const char *folder)
{
    cleanup_free char *text = NULL;
    cleanup_sets struct sets sets = {0};
    size_t size;
    FILE *file = open_memstream(&text, &size);

    if (!file)
        return -ENOMEM;
    fputs(HEAD, file);
    description_print(set, node, file);
    if (fclose(file) != 0)
        return -ENOMEM;
    const struct timespec time = {.tv_sec = time_of_bytes(text, size)};
    int r = description_clear(folder);
    const char *name = description_name(set);
    cleanup_fd int fd = r < 0 ? r : open_in(folder, name, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    ssize_t written = write(fd, text, size);
    if (written < 0 || fchmod(fd, 0644) < 0 || futimens(fd, (struct timespec[]){time, time}) < 0)
        return -errno;
    if ((size_t)written < size)
        return -ENOSPC;
    log_mute(true);
    r = description_read(folder, name, folder, &sets);
    log_mute(false);
    return r;
}

/* Returns true if a share is in its place: that of a file which the source had by this name. */
static bool is_share(const char *folder, const char *name)
{
    cleanup_fd int fd = open_in(folder, name, O_RDONLY);
    uint8_t start[HEADER_SIZE_MAX];
    struct share_header header;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return false;
    ssize_t size = read(fd, start, sizeof start);
    return size > 0 &&
           header_read(SHARE_CHECKED, start, (size_t)size, (uint64_t)status.st_size, &header) == 0;
}

/* Where both are there, that of sealed shares. A plain share of a file of that name is none. */
static int read_any(const char *folder, const char *of, struct sets *ret)
{
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/" SEALED_DESCRIPTION_NAME, folder) < 0)
        return -ENOMEM;
    const char *name = access(path, F_OK) < 0 || is_share(folder, SEALED_DESCRIPTION_NAME)
                           ? DESCRIPTION_NAME
                           : SEALED_DESCRIPTION_NAME;
    return description_read(folder, name, of, ret);
}

int description_read(const char *folder, const char *name, const char *of, struct sets *ret)
{
    cleanup_free char *path = NULL;

    *ret = (struct sets){0};
    if (!name)
        return read_any(folder, of, ret);
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    if (access(path, F_OK) < 0)
        return -errno;
    int r = sets_read(path, of, ret);
    if (r == 0 && (ret->count != 1 || ret->sets[0].count == 0))
        r = log_as(-EINVAL, "%s: does not describe one set", of);
    return r;
}

bool description_fits(const struct sync_set *set, const struct sync_node *node, const char *folder,
                      char reason[REASON_SIZE])
{
    cleanup_sets struct sets sets = {0};
    char encoding[ENCODING_SIZE], other[ENCODING_SIZE];
    const char *file = description_name(set), *name = description_of(set);

    log_mute(true);
    int r = description_read(folder, file, folder, &sets);
    log_mute(false);
    if (r == -ENOENT || (r < 0 && !sets_is_sealed(set) && is_share(folder, file)))
        return true;
    const struct sync_set *theirs = r == 0 ? &sets.sets[0] : NULL;
    if (theirs) {
        state_encoding(&set->encoding, encoding);
        state_encoding(&theirs->encoding, other);
    }
    if (!theirs)
        snprintf(reason, REASON_SIZE, "its %s cannot be read", file);
    else if (strcmp(theirs->name, name) != 0 || theirs->nodes[0].share != node->share)
        snprintf(reason, REASON_SIZE, "it says that it holds share %02x of the set %s",
                 (uint8_t)theirs->nodes[0].share, theirs->name);
    else if (strcmp(encoding, other) != 0 && strcmp(node->memory.encoding, encoding) == 0)
        snprintf(reason, REASON_SIZE, "it says that its share is made with \"%s\", not with \"%s\"",
                 other, encoding);
    else
        return true;
    return false;
}

bool description_is_same(const char *name, const char *folder, const char *other)
{
    cleanup_fd int one = open_in(folder, name, O_RDONLY);
    cleanup_fd int two = open_in(other, name, O_RDONLY);
    char bytes[2][4096];
    ssize_t size[2];

    do {
        size[0] = one < 0 ? -1 : read(one, bytes[0], sizeof bytes[0]);
        size[1] = two < 0 ? -1 : read(two, bytes[1], sizeof bytes[1]);
    } while (size[0] > 0 && size[0] == size[1] && memcmp(bytes[0], bytes[1], (size_t)size[0]) == 0);
    return size[0] == 0 && size[1] == 0;
}
