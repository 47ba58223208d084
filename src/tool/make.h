/* SPDX-License-Identifier: MIT */
/* Names whose content is missing or wrong in some targets are made there: all but directories. */
#pragma once

#include "tool/entry.h"

void make_content(struct entry *entry);
