/* SPDX-License-Identifier: MIT */
/*
 * Which version of a file its shares give, and what each copy of a share is good for then. A
 * version is what the headers say: k, B, S, mtime. Pure decisions, no I/O.
 */
#pragma once

#include "share/header.h"

#include <stdbool.h>

/* What is known of one copy of a share before any of its blocks is read. */
struct copy_facts {
    bool has_header; /* an intact one; otherwise HEADER means nothing */
    struct share_header header;
    uint64_t size; /* bytes of the copy */
};

enum copy_role {
    COPY_MEMBER,   /* a share of the version */
    COPY_NAMELESS, /* its header is lost, and nothing speaks against its being a member */
    COPY_HELPER,   /* of another version, or unknown: its blocks count where digests are equal */
    COPY_USELESS,
};

struct version {
    struct share_header header; /* of a member; its index means nothing */
    unsigned members;           /* different indices among the members */
    unsigned nameless;          /* copies of that role */
    bool tied;                  /* one of another size is just as good: which is right? */
};

/* Whether two headers name the same version. */
bool version_is_same(const struct share_header *a, const struct share_header *b);

/*
 * Chooses among the versions of COUNT copies the newest that k or more shares are of, or else the
 * newest; among those that the time does not tell apart, the one with most shares. A version of a
 * smaller k than most copies say comes behind one that has as many shares as they say. Without
 * checks (classic, fec) that is the one with most shares. RANK: the choice after so many of the
 * best are left out. -ENODATA where no copy has a header, or no version is left.
 */
int version_choose(const struct copy_facts copies[], size_t count, unsigned rank,
                   struct version *ret, enum copy_role roles[]);

/*
 * Whether PENDING more copies, whatever they are, would not change which version is chosen and what
 * the copies at hand are good for.
 */
bool version_is_settled(const struct copy_facts copies[], size_t count, size_t pending);
