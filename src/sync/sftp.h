/* SPDX-License-Identifier: MIT */
/* A host behind ssh, as rclone reaches it. */
#pragma once

#include "sync/sets.h"

/*
 * Returns what the place of NODE, _USER_@_HOST_:_PATH_ to rsync, is to rclone: a remote of its own
 * making, with what ssh's configuration says of the host. NULL where that cannot be told. The
 * caller frees it.
 */
char *sftp_remote(const struct sync_node *node);
