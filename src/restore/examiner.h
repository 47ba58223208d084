/* SPDX-License-Identifier: MIT */
/* All blocks of one file's shares, stripe by stripe: which of them are what they should be. */
#pragma once

#include "restore/share_set.h"

struct examiner;

/* SET must live longer. APART: what other stripes were given does not matter. Returns 0 or -ENOMEM.
 */
int examiner_new(struct share_set *set, bool apart, struct examiner **ret);

void examiner_free(struct examiner *examiner);

/*
 * Reads all blocks of a stripe, and compares them with those that it encodes to; what is bad is
 * noted as the copies' damage. *RET_SPARE is how many more stores may be lost before the stripe is
 * (spare.h). Returns 0, or the error of share_set_read_stripe where the stripe cannot be restored.
 * Examiners of one set may run at once.
 */
int examiner_run(struct examiner *examiner, uint64_t stripe, int *ret_spare);

DEFINE_CLEANUP(struct examiner *, examiner_free)
#define cleanup_examiner CLEANUP(cleanup_by_examiner_free)
