/* SPDX-License-Identifier: MIT */
/*
 * Finds out what each store has of one name: whether that is what it should be, and how many more
 * stores may be lost before the name is lost. Check and repair use the functions that reading uses
 * as well (rule 9 of docs/design.md).
 */
#pragma once

#include "base/pool.h"
#include "restore/share_set.h"
#include "restore/survey.h"
#include "restore/unsealer.h"

/* How much of a file's blocks is looked at, and by whom. */
struct sweep_depth {
    double part;             /* of the blocks: 0 none, only headers; 1 all */
    uint64_t seed;           /* of the choice among them */
    const atomic_bool *stop; /* ends it early, with -ECANCELED */
    struct pool *pool;       /* whose idle threads help; NULL: none */
    atomic_uint_fast64_t
        *ahead;  /* while it goes on: bytes of the file that were looked at, or NULL */
    bool glance; /* the first stripe alone */
};

enum copy_state {
    COPY_GOOD,
    COPY_ABSENT,     /* the store has not this name */
    COPY_STALE,      /* a share of another version */
    COPY_DAMAGED,    /* its header, some blocks, or its size are wrong */
    COPY_MISPLACED,  /* a good share, but not the one that the store holds */
    COPY_OTHER_KIND, /* not a file where most have one, another symlink, ... */
    COPY_UNREADABLE, /* the store failed, or did not answer */
    COPY_FOREIGN,    /* what too few stores have to be believed */
    COPY_LEFTOVER,   /* a tool's leftover, of no complete version */
    COPY_STATES,
};

struct copy_report {
    enum copy_state state;
    int error;               /* why it is unreadable; else 0 */
    int index;               /* of the share; -1: not known, or it is none */
    unsigned other_metadata; /* enum metadata_part: what is not that of most stores */
    unsigned not_kept;       /* of the same, what its storage cannot keep; that is no damage */
    bool cannot_be;          /* it is missing, as its storage keeps nothing of that kind */
    bool attributes_unread;  /* the store could not say which it has */
    bool no_attributes;      /* its storage keeps none */
    bool keeps_mode;         /* mode and owner, though others are shown: rule 7 */
    bool bad_header, bad_size;
    bool as_shown;      /* an unreadable one, with the size and time of what is shown */
    bool other_content; /* of the same version */
    bool other_format;  /* a share of another one, with checks */
    bool intact;        /* a share with nothing wrong in itself, of whatever version */
    bool other_time;    /* of a version with another time, but its content is what is shown */
    unsigned claim; /* number of shares of its complete version, which is in at least as many stores
                       as what is shown; 0: it has no such claim */
    struct damage damage; /* stripes whose blocks are bad */
};

/* What a name is worth. */
enum name_health {
    HEALTH_INTACT,
    HEALTH_DEGRADED, /* it can be restored */
    HEALTH_FOREIGN,  /* too few stores have it */
    HEALTH_LEFTOVER, /* the same, and it is no loss */
    HEALTH_LOST,
    HEALTH_CONFLICT, /* two things have equal claims to the name, or two contents to a stripe */
};

struct inspection {
    const struct share_terms *terms; /* the caller's, as are: */
    const char *path;
    const struct sweep_depth *depth;
    struct survey survey; /* whose list of stores is: */
    size_t count;
    struct copy_report *copies;
    struct stat status;          /* of the name, by most stores */
    struct share_header version; /* of a file; required is 0 where it is not known */
    bool settled;                /* a file's version has enough shares, whatever their blocks are */
    struct damage lost;          /* stripes of a file that cannot be restored */
    struct damage
        unverified; /* sealed stripes of which just k blocks are left, which nothing proves */
    struct sealed_name sealed; /* what PATH stands for, where there is a key */
    int spare;                 /* stores that may be lost; below 0: it is lost now */
    bool conflict;             /* between kinds, versions, or contents of a stripe */
    bool hidden, leftover;     /* not shown; not shown because it is a leftover */
    unsigned found, needed;    /* different shares of a lost file without a usable version */
    bool untimed;              /* these have different times, in a format without checks */
    unsigned would_need;       /* the required= with which a lost file could be restored; 0: none */
    char *conflict_text;       /* which stores have what; NULL: no conflict */
    unsigned whole;            /* different shares of full length of what is shown */
    unsigned rival;            /* of another complete version; 0: none */
    uint64_t bytes;            /* of blocks that were read */
    struct share_set *shares;  /* of a file, with all that is known of them; else NULL */
};

/*
 * Looks at PATH in all stores, and judges it by the rules of readers. EXPECTED returns the share
 * that a store should hold, or -1; it may be NULL. Returns 0; -ENOENT; -ECANCELED; a shortage; a
 * store's error where no store could answer; or -ETIMEDOUT where a store that did not answer may
 * have what is missing. Clear RET in any case.
 */
int inspection_make(const struct share_terms *terms, const char *path,
                    const struct sweep_depth *depth,
                    int (*expected)(const void *context, const struct store *store),
                    const void *context, struct inspection *ret);

void inspection_clear(struct inspection *inspection);

/* Returns the name for messages: its path in the source, where that is known. */
const char *inspection_path(const struct inspection *inspection);

/* Returns true if something is wrong with one store's copy. */
bool copy_is_wrong(const struct copy_report *report);

enum name_health inspection_health(const struct inspection *inspection);

/* Returns in how many stores an older version is complete, if that is worth a message: these
 * stores are more, or the newest version is lost. Otherwise returns 0. */
unsigned inspection_rival(const struct inspection *inspection);

/*
 * Part of inspection_make (sweep.c): reads the blocks of all stripes of the file, which is not
 * empty, or of a random part of them as DEPTH says, several at a time. Stripes behind the longest
 * copy are lost (rule 8 of docs/design.md). Records bad blocks as damage of the shares' copies,
 * adds to LOST and BYTES, and lowers SPARE to that of the worst stripe. Returns 0, -ECANCELED,
 * -ETIMEDOUT or a shortage.
 */
int sweep_run(struct inspection *inspection);

#define cleanup_inspection CLEANUP(inspection_clear)
#define NO_INSPECTION      ((struct inspection){.survey = NO_SURVEY})
