/* SPDX-License-Identifier: MIT */
/* What a name stood for when it was looked at: to notice that someone has changed it since. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

struct seen {
    int error; /* 0, or why nothing was seen: -ENOENT, ... */
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec mtime;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool keeps_mode; /* the caller's: mode and owner are to stay as they are */
    bool other_kind; /* the caller's: than what is to be there */
};

void seen_take(int directory, const char *name, struct seen *ret);

/* Returns true if NAME in DIRECTORY is what was seen, as far as inode, size and mtime tell. */
bool seen_is_there(int directory, const char *name, const struct seen *seen);
