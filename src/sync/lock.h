/* SPDX-License-Identifier: MIT */
/*
 * The directory for what is remembered between runs, and in it a lock for each set: two runs of
 * one set do not run at once. The lock's file says where its run has its private mount.
 */
#pragma once

#include "base/cleanup.h"

/*
 * $XDG_STATE_HOME/zfec-fs; without that /var/lib/zfec-fs for root, ~/.local/state/zfec-fs for
 * others. It is made where it is not there. The caller frees it. Returns 0 or a negative errno
 * after one line in the log.
 */
int state_folder(char **ret);

/* -EBUSY where another run has it; the lock is given back when the descriptor is closed. */
int lock_take(const char *folder, const char *set, int *ret_fd);

/* What the lock's file says, "" where that is nothing; the caller frees it. */
int lock_read_note(int fd, char **ret);

/* Returns 0 or a negative errno. */
int lock_write_note(int fd, const char *note);
