/* SPDX-License-Identifier: MIT */
/* Where a share goes: what the words of a target mean to rsync and to rclone. */
#pragma once

#include <stdbool.h>

/* Returns what is wrong with TARGET and what to write instead; NULL if nothing is wrong. */
const char *address_mistake(const char *target, bool is_of_rsync);

/* Returns true if the two are the same, or one lies within the other. */
bool addresses_overlap(const char *one, const char *other);

/*
 * Stores in *RET the place in which rsync makes TARGET, to be followed by a slash: all before its
 * last name, or a daemon's module, which cannot be made. The caller frees it. Returns 0 or -ENOMEM.
 */
int address_above(const char *target, char **ret);

/* Returns what rsync's TARGET is: a directory of this machine, a daemon, or a host behind ssh. */
enum address_kind { ADDRESS_LOCAL, ADDRESS_DAEMON, ADDRESS_SSH };
enum address_kind address_kind(const char *target);
