/* SPDX-License-Identifier: MIT */
#include "sync/node_key.h"

#include "seal/key_share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum node_key node_key_in(const char *folder, const uint8_t set_id[SET_ID_SIZE])
{
    uint8_t bytes[KEY_SHARE_SIZE + 1];
    cleanup_free char *path = NULL;
    struct key_share share;

    if (asprintf(&path, "%s/" KEY_SHARE_NAME, folder) < 0)
        return NODE_KEY_BROKEN;
    cleanup_fd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NODE_KEY_NONE : NODE_KEY_BROKEN;
    const ssize_t size = read(fd, bytes, sizeof bytes);
    if (size < 0 || key_share_read(bytes, (size_t)size, &share) < 0)
        return NODE_KEY_BROKEN;
    return set_id && memcmp(share.set_id, set_id, SET_ID_SIZE) == 0 ? NODE_KEY_OURS
                                                                    : NODE_KEY_OTHERS;
}
