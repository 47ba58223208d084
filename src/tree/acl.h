/* SPDX-License-Identifier: MIT */
/* Access control lists, as extended attributes hold them; see acl(5). */
#pragma once

#include "base/xattrs.h"

#include <sys/stat.h>

/*
 * Returns the part of MODE, the mode of an object with these attributes, that gives nobody more
 * rights without the access control list than with it.
 */
mode_t acl_mode_without(const struct xattrs *xattrs, mode_t mode);

/* Returns true if both have the same access control list, or none. */
bool acl_same_access(const struct xattrs *a, const struct xattrs *b);
