/* SPDX-License-Identifier: MIT */
#include "view/status.h"

/* A bijection of 64 bits that spreads them: the finalizer of splitmix64 (Steele et al., 2014). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t status_inode(dev_t device, ino_t number, unsigned tree)
{
    return mix(number + mix(mix(device) + tree));
}

void status_set_size(struct stat *status, uint64_t size)
{
    status->st_size = (off_t)size;
    status->st_blocks = (blkcnt_t)(size / 512 + (size % 512 > 0));
}
