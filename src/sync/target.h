/* SPDX-License-Identifier: MIT */
/* Where a share goes: what the words of a target mean to rsync and to rclone. */
#pragma once

#include "sync/sets.h"

/* What is wrong with TARGET and what to write instead; NULL where nothing is. */
const char *target_mistake(const char *target, enum mover mover);

/* Whether one is the other, or lies within it. */
bool targets_overlap(const char *one, const char *other);

/* Whether rsync's TARGET is a directory of this machine, an rsync daemon, or reached by ssh. */
enum target_kind { TARGET_LOCAL, TARGET_DAEMON, TARGET_SSH };
enum target_kind target_kind(const char *target);
