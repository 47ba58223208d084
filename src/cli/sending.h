/* SPDX-License-Identifier: MIT */
/*
 * Repair of a set: what its nodes need is not written to them, but sent by the programs that keep
 * them in sync, from a rebuilt view of their stores. Functions return 0 or a negative errno after a
 * line in the log.
 */
#pragma once

#include "cli/copying.h"
#include "cli/node_keys.h"
#include "engine/repair.h"

struct sending;

/* Takes the lock of the set that COPYING's options name. End it in any case. */
int sending_begin(struct copying *copying, struct sending **ret);
void sending_end(struct sending *sending);

/* Leaves stores as they are that are none of the set, or not what it says of their nodes. */
void sending_check(struct sending *sending, struct roster *roster);

/* As struct repair_settings has hand_over. NEED_NOTHING: PATH is to stay one file with others. */
void sending_add(struct sending *sending, const char *path, const struct target *target,
                 enum need need, const struct seen *seen);

/*
 * Sends all that was added, and fills a new place; compares it again; and reports what was made. A
 * dry run only reports. *RET_FILLED: a whole share was made; *RET_KEYS: what nodes of a sealed set
 * lack of the key, and got. Returns 0, -ENOMEM, -ECANCELED, or
 * why it could not begin; what failed for a node counts in COPYING, and was logged.
 */
int sending_run(struct sending *sending, void *context,
                void (*report)(void *context, const struct copy_event *event), bool *ret_filled,
                struct keys_found *ret_keys);

DEFINE_CLEANUP(struct sending *, sending_end)
#define cleanup_sending CLEANUP(cleanup_by_sending_end)
