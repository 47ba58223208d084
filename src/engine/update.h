/* SPDX-License-Identifier: MIT */
/* Brings one name up to date in each target, as its needs say. Not for directories. */
#pragma once

#include "engine/entry.h"

void update_name(struct entry *entry);
