/* SPDX-License-Identifier: MIT */
#include "sync/node_key.h"

#include "seal/key_share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Reads the file `key` in FOLDER. Returns 0, -ENOENT or -EBADMSG. */
static int read_key(const char *folder, struct key_share *ret)
{
    uint8_t bytes[KEY_SHARE_SIZE + 1];
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/" KEY_SHARE_NAME, folder) < 0)
        return -EBADMSG;
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : -EBADMSG;
    const ssize_t size = read(fd, bytes, sizeof bytes);
    return size < 0 || key_share_read(bytes, (size_t)size, ret) < 0 ? -EBADMSG : 0;
}

enum node_key node_key_in(const char *folder, const uint8_t set_id[SET_ID_SIZE])
{
    struct key_share share;

    int r = read_key(folder, &share);
    if (r < 0)
        return r == -ENOENT ? NODE_KEY_NONE : NODE_KEY_BROKEN;
    return set_id && memcmp(share.set_id, set_id, SET_ID_SIZE) == 0 ? NODE_KEY_OURS
                                                                    : NODE_KEY_OTHERS;
}

enum node_key_passphrase node_key_passphrase(const char *theirs, const char *ours)
{
    struct key_share there, here;

    if (read_key(theirs, &there) < 0 || read_key(ours, &here) < 0 || !there.has_passphrase)
        return NODE_KEY_SAME_PASSPHRASE;
    if (!here.has_passphrase)
        return NODE_KEY_WOULD_OPEN;
    return memcmp(&there.stretch, &here.stretch, sizeof here.stretch) != 0
               ? NODE_KEY_OTHER_PASSPHRASE
               : NODE_KEY_SAME_PASSPHRASE;
}
