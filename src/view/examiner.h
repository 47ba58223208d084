/* SPDX-License-Identifier: MIT */
/* All blocks of one file's shares, stripe by stripe: which of them are what they should be. */
#pragma once

#include "view/share_set.h"

struct examiner;

/* SET must live longer. Returns 0 or -ENOMEM. */
int examiner_new(struct share_set *set, struct examiner **ret);

void examiner_free(struct examiner *examiner);

/*
 * Reads all blocks of a stripe, and compares them with what the stripe makes them. GOOD (one for
 * each copy) becomes the index of the share that an intact block is of, -1 where there is none;
 * what is bad is noted as the copies' damage. Returns 0, or the error of share_set_read_stripe
 * where the stripe cannot be restored.
 */
int examiner_run(struct examiner *examiner, uint64_t stripe, int good[]);

DEFINE_CLEANUP(struct examiner *, examiner_free)
#define cleanup_examiner CLEANUP(cleanup_by_examiner_free)
