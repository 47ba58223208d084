/* SPDX-License-Identifier: MIT */
/* How far the kernel reads ahead on the mount. */
#pragma once

#include <sys/types.h>

/*
 * Has the kernel read ahead in large requests on the file system DEVICE, where that is permitted
 * (to root): by default its requests are of 128 KiB at most, whatever the file system could do.
 */
void readahead_widen(dev_t device);
