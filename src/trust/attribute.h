/* SPDX-License-Identifier: MIT */
/* Rule 3 of docs/design.md for one extended attribute of a name. Pure decisions, no I/O. */
#pragma once

#include "base/xattrs.h"

/* What one store says of it. */
struct attribute_vote {
    int voter;                 /* below 0: the store has no say */
    const struct xattr *value; /* NULL: it is absent there */
};

/*
 * The value that most votes give NAME; NULL: it is absent. Of two values with as many votes, the
 * first; of a value and absence, the value, but for an access control list, which may give rights.
 * security.* and trusted.* take REQUIRED votes.
 */
const struct xattr *attribute_rule(const struct attribute_vote votes[], size_t count,
                                   const char *name, unsigned required);
