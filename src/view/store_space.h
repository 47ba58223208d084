/* SPDX-License-Identifier: MIT */
/* How much room all stores together have for files. */
#pragma once

#include "store/stores.h"

#include <sys/statvfs.h>

/* Of files that need REQUIRED shares each; by the smallest store of those that answer soon. */
int store_space(struct stores *stores, unsigned required, struct statvfs *ret);
