/* SPDX-License-Identifier: MIT */
/* Files that have holes where zeros belong. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * As io_write, but zeros become holes: all of them that a page of the file has of these bytes, or
 * none. *LEFT is set to true where nothing was written, and is left as it is otherwise; the file
 * may then be shorter than what belongs in it, until the caller has given it its size. OVER: other
 * bytes may be there already; else these places are empty.
 */
int holes_write(int fd, uint64_t offset, const uint8_t *data, size_t size, bool over, bool *left);
