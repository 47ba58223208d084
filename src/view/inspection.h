/* SPDX-License-Identifier: MIT */
/*
 * What each store has of one name: whether it is what it should be, and how many more stores may be
 * lost before the name is.
 */
#pragma once

#include "view/survey.h"
#include "view/sweep.h"

enum copy_state {
    COPY_GOOD,
    COPY_ABSENT,     /* the store has not this name */
    COPY_STALE,      /* a share of another version */
    COPY_DAMAGED,    /* its header, some blocks, or its size are wrong */
    COPY_MISPLACED,  /* a good share, but not the one that the store holds */
    COPY_OTHER_KIND, /* not a file where most have one, another symlink, ... */
    COPY_UNREADABLE, /* the store failed, or did not answer */
    COPY_STATES,
};

struct copy_report {
    enum copy_state state;
    int error;           /* why it is unreadable; else 0 */
    int index;           /* of the share; -1: not known, or it is none */
    bool other_metadata; /* mode, owner, time or attributes are not those of most */
    bool bad_header, bad_size;
    struct damage damage; /* stripes whose blocks are bad */
};

struct inspection {
    struct survey survey; /* whose list of stores is: */
    size_t count;
    struct copy_report *copies;
    struct stat status;          /* of the name, by most stores */
    struct share_header version; /* of a file; required is 0 where it is not known */
    struct damage lost;          /* stripes of a file that cannot be restored */
    int spare;                   /* stores that may be lost; below 0: it is lost now */
    uint64_t bytes;              /* of blocks that were read */
    struct share_set *shares;    /* of a file, with all that was learned of them; else NULL */
};

/*
 * Looks at PATH in all stores. EXPECTED gives the share that a store holds, -1 where that is not
 * known; NULL: nothing is known. Returns 0; -ENOENT; -ENOMEM; -ECANCELED; or where no store could
 * say, one's error. Clear RET in any case.
 */
int inspection_make(struct stores *stores, const struct share_terms *terms, const char *path,
                    const struct sweep_depth *depth,
                    int (*expected)(const void *context, const struct store *store),
                    const void *context, struct inspection *ret);

void inspection_clear(struct inspection *inspection);

/* Whether something is wrong with one store's copy. */
bool copy_is_wrong(const struct copy_report *report);

/* Whether nothing is wrong in any store. */
bool inspection_is_intact(const struct inspection *inspection);

/* Whether more stores lack the name than have it. */
bool inspection_is_rare(const struct inspection *inspection);

#define cleanup_inspection CLEANUP(inspection_clear)
#define NO_INSPECTION      ((struct inspection){.survey = NO_SURVEY})
