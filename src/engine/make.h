/* SPDX-License-Identifier: MIT */
/* Makes names whose content is missing or wrong in some targets. Not for directories. */
#pragma once

#include "engine/entry.h"

void make_content(struct entry *entry);

/* Tells what would be made in a target, and what would be removed for it. */
void make_in_dry_run(const struct entry *entry, size_t target);
