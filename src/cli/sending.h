/* SPDX-License-Identifier: MIT */
/*
 * Repair of a set: what its nodes need is not written to them, but sent from a rebuilt view of
 * their stores by the programs that keep them in sync. Functions return 0 or a negative errno after
 * a line in the log.
 */
#pragma once

#include "cli/copying.h"
#include "cli/node_keys.h"
#include "engine/repair.h"

struct sending;

/* Takes the lock of the set in COPYING's options. End it in any case. */
int sending_begin(struct copying *copying, struct sending **ret);
void sending_end(struct sending *sending);

/* Leaves alone stores that are not of the set, or do not match what it says of their nodes. */
void sending_check(struct sending *sending, struct roster *roster);

/* Implements hand_over of struct repair_settings. NEED_NOTHING: PATH must stay linked to others. */
void sending_add(struct sending *sending, const char *path, const struct target *target,
                 enum need need, const struct seen *seen);

/*
 * Sends all that was added, fills a new place, compares it again, and reports what was made. A dry
 * run only reports. *RET_FILLED: a whole share was made; *RET_KEYS: which parts of the key the
 * nodes of a sealed set lacked, and got. Returns 0, -ENOMEM, -ECANCELED, or why it could not begin.
 * Failures at single nodes are logged and counted in COPYING.
 */
int sending_run(struct sending *sending, void *context,
                void (*report)(void *context, const struct copy_event *event), bool *ret_filled,
                struct keys_found *ret_keys);

DEFINE_CLEANUP(struct sending *, sending_end)
#define cleanup_sending CLEANUP(cleanup_by_sending_end)
