/* SPDX-License-Identifier: MIT */
#include "view/status.h"

#include "base/bytes.h"

#include <time.h>
#include <unistd.h>

enum {
    SETTLED_S = 2, /* the coarsest granularity of files' times */
};

uint64_t status_inode(dev_t device, ino_t number, unsigned tree)
{
    return mix_bits(number + mix_bits(mix_bits(device) + tree));
}

void status_set_size(struct stat *status, uint64_t size)
{
    status->st_size = (off_t)size;
    status->st_blocks = (blkcnt_t)(size / 512 + (size % 512 > 0));
}

/* Root and the user of this process are never kept out. */
bool status_keeps_out(const struct stat *own, const struct stat *shown)
{
    mode_t others = own->st_mode & S_IRWXO;
    mode_t group = own->st_gid == shown->st_gid ? own->st_mode >> 3 : others;
    mode_t owner = own->st_uid == shown->st_uid ? own->st_mode >> 6 : others;

    if (shown->st_uid == 0 || shown->st_uid == geteuid())
        owner = S_IRWXO;
    return ((shown->st_mode & ~others) | (shown->st_mode >> 3 & ~group) |
            (shown->st_mode >> 6 & ~owner)) &
           (S_IROTH | S_IXOTH);
}

static uint64_t mix_time(uint64_t version, const struct timespec *time)
{
    return mix_bits(mix_bits(version + (uint64_t)time->tv_sec) + (uint64_t)time->tv_nsec);
}

enum { KIND_SHIFT = 60 }; /* the kind is the version's upper four bits */

uint64_t status_version(const struct stat *status)
{
    uint64_t kind = (uint64_t)(status->st_mode & S_IFMT) >> 12 << KIND_SHIFT;

    if (!S_ISREG(status->st_mode))
        return kind;
    uint64_t version = mix_bits(mix_bits(status->st_ino) + (uint64_t)status->st_size);
    version = mix_time(mix_time(version, &status->st_mtim), &status->st_ctim);
    return kind | version >> (64 - KIND_SHIFT);
}

bool status_is_settled(const struct stat *status)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec - status->st_ctim.tv_sec > SETTLED_S;
}

bool status_same_kind(uint64_t version, uint64_t other)
{
    return version >> KIND_SHIFT == other >> KIND_SHIFT;
}
