/* SPDX-License-Identifier: MIT */
/* Brings one name, of which is chosen what each target needs, up to date: all but directories. */
#pragma once

#include "engine/entry.h"

void update_name(struct entry *entry);
