/* SPDX-License-Identifier: MIT */
/*
 * Rule 4 of docs/design.md: which version of a file its shares give, and what each copy of a share
 * is good for then. A version is what the headers say: k, B, S, mtime. Pure decisions, no I/O.
 */
#pragma once

#include "share/format.h"
#include "trust/quorum.h"

/* What is known of one copy of a share before any of its blocks is read. */
struct copy_facts {
    bool has_header;   /* an intact one; otherwise HEADER means nothing */
    bool misplaced;    /* without checks: its index is not that of most of its store's headers */
    bool other_format; /* instead of a header, one of another format, with checks */
    struct share_header header;
    uint64_t size;      /* bytes of the copy */
    uint64_t time_unit; /* as its store's voice has it */
    bool untimed; /* without checks: times do not tell versions apart here, though they differ */
    bool unconfirmed; /* and k of such are taken as they are */
};

enum copy_role {
    COPY_MEMBER,   /* a share of the version */
    COPY_NAMELESS, /* its header is lost: its blocks tell what it is of */
    COPY_OTHER,    /* of another version: it lends blocks whose digest is the version's */
    COPY_USELESS,
};

struct version {
    struct share_header header; /* of a member; its index means nothing */
    unsigned members;           /* different indices among the members, of whatever length */
    unsigned whole;             /* different indices among the members of full length */
    unsigned needed;            /* different shares */
    bool untimed;               /* its copies are: it takes that all of them agree (rule 6) */
    bool complete;              /* it has these, of full length */
    bool possible;              /* copies of other times, or without a header, might complete it */
    bool tied;                  /* another of this time is complete, with as many shares */
    unsigned rival; /* most shares of full length of another complete version; 0: none */
    bool rival_is_newer;
};

/* Returns true if two headers name the same version. */
bool version_is_same(const struct share_header *a, const struct share_header *b);

/* Returns true if two headers differ in nothing but index and time. */
bool version_is_like(const struct share_header *a, const struct share_header *b);

/*
 * Headers without checks have the time of the copy's file. From number FIRST on, replaces it by the
 * finest that agrees with it, so that a version has one time, however exactly storage keeps it.
 */
void version_settle_times(struct copy_facts copies[], size_t count, size_t first);

/* Clears the times, which storage may not have kept, where no version of one time is complete.
 * Returns false, and changes nothing, if they do not differ. */
bool version_forget_times(struct copy_facts copies[], size_t count);

/* What the copies have of the version that HEADER names; its ranks among others are not set. */
struct version version_count(const struct quorum *quorum, const struct copy_facts copies[],
                             size_t count, const struct share_header *header);

/*
 * The version number RANK, in the order in which they are tried: complete ones first, of these the
 * newest, and of one time the one with most shares. -ENODATA behind the last.
 */
int version_choose(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                   unsigned rank, struct version *ret);

/* What a copy is good for in VERSION. */
enum copy_role version_role(const struct copy_facts *copy, const struct share_header *version);

/* The smallest K with which the version that most stores have would be complete; 0 where it is, or
 * where K is not what is missing. */
unsigned version_would_need(const struct quorum *quorum, const struct copy_facts copies[],
                            size_t count);

/* Returns true if PENDING more copies would not change which version is chosen, and what the copies
 * at hand are good for. */
bool version_is_settled(const struct quorum *quorum, const struct copy_facts copies[], size_t count,
                        size_t pending);
