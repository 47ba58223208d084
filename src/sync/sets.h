/* SPDX-License-Identifier: MIT */
/* What the file of sets says: trees, and the nodes that hold a share of each. */
#pragma once

#include "base/names.h"
#include "seal/keys.h"
#include "view/tree_source.h"

#include <limits.h>
#include <time.h>

/* What brings nodes up to date; see sync/mover.h. */
struct mover;
extern const struct mover rsync_mover, rclone_mover;

/* How a node is brought up to date. A set's terms are the defaults of its nodes. */
struct terms {
    bool remove;            /* what the source has no more */
    bool attributes;        /* by rsync: extended ones and access control lists, too */
    bool symlinks;          /* by rclone: as small files */
    bool metadata;          /* by rclone: mode, owner and attributes, too */
    bool look_at_checksums; /* not at sizes and times */
    unsigned removals;      /* at most so many in a run */
    unsigned deadline;      /* seconds, all attempts together */
    unsigned timeout;       /* seconds without an answer */
    unsigned max_behind;    /* seconds that a node may be behind; 0: any time */
    unsigned retries;
    unsigned time_window; /* seconds by which times may differ; 0: not at all */
    const char *rate;     /* "500K" bytes a second; NULL: no limit */
    const char *ssh_key, *ssh_config, *password_file, *rclone_config; /* paths; NULL: none */
};

/* Of a set in the format sealed. */
struct seal_terms {
    const char *key;             /* the path of its file; NULL: the usual one (cli/set_key.h) */
    const char *passphrase_file; /* a path; NULL: none */
    const char *id;              /* of the set that is meant, in hex; NULL: any */
    bool on_nodes;               /* each gets a share of the key */
    bool known;                  /* so is what follows from the key: */
    uint8_t set_id[SET_ID_SIZE];
    char name[32]; /* what nodes are told to call the set */
};

enum { REASON_SIZE = 512, ENCODING_SIZE = 64 };

/* What is remembered of a node between runs; a time of 0: never. */
struct memory {
    time_t tried;            /* when the last run began; 0: nothing is remembered */
    time_t begun;            /* when a run began that has not ended, or was killed; 0: none */
    time_t as_of;            /* when the last run began that brought it up to date */
    time_t differs_since;    /* when the run began that first found other bytes than were sent */
    time_t unfinished_since; /* when the first run began whose leftovers may still be there */
    time_t filling_since;    /* when the first run began that fills a new place; 0: none has to */
    time_t first_tried;      /* when the first run began; 0 where one brought it up to date */
    time_t checked;          /* when the last run began that compared some of its files, */
    uint64_t compared;       /* and how many */
    uint64_t files, bytes;   /* that it was sent by AS_OF, in all */
    time_t counted;          /* when the last run began that counted: */
    uint64_t surplus;        /* names that it has, and the source has no more */
    time_t looked;           /* when the last check looked at it, */
    uint64_t bad;            /* and the copies that are not as they should be */
    time_t unread;           /* when the last check began, if it could not read it; 0: it could */
    time_t read[64];         /* by check: each slice of all names, where that was good; or: */
#define SLICE_ILL ((time_t)-1)
    bool up_to_date;
    char encoding[ENCODING_SIZE]; /* of all that was sent, as state_encoding has it; "": several */
    char error[REASON_SIZE];      /* why it is not */
    char mount[PATH_MAX];         /* where its file system was mounted; "": unknown */
    struct names different; /* the files that differ; none where they are not all known by name */
};

/* What is remembered of a set that sync and check share. */
struct watch {
    int sync, check; /* what the last runs ended with */
    struct names
        told; /* the problems that on_problem has reported, as standing_problems has them */
};

struct sync_node {
    const char *name, *set;
    unsigned line;             /* where it begins in the file */
    int share;                 /* its index; -1: not given */
    const struct mover *mover; /* NULL: not given */
    const char *target;
    struct terms terms;
    struct memory memory;
};

struct sync_set {
    const char *name;
    unsigned line, required_line; /* in the file */
    const char *source;           /* NULL: not given */
    bool described;               /* each node is to tell of the others */
    struct encoding encoding;     /* required is 0 where it was not given; shares as well */
    struct seal_terms seal;
    struct tree_rules rules;
    struct terms terms;
    unsigned check_within;  /* seconds in which check --due reads all */
    const char *on_problem; /* a command, its words with spaces between them; NULL: none */
    struct sync_node *nodes;
    size_t count;
    struct watch watch;
    int64_t root_ns; /* of a sealed set: when its root last changed that K nodes have; 0: unknown */
    bool under_way;  /* when the state was read: a run of sync or repair */
};

struct sets {
    struct sync_set *sets;
    size_t count;
    char *text; /* the file, in pieces that are pointed to from here */
};

/*
 * Reads the file of sets at PATH; zfec-fs-sets(5) describes it. OF is not NULL for a description
 * (see description.h): whose it is, for the log. Returns 0, or a negative errno after one line in
 * the log, which says where the file is wrong and what to write. Clear RET in any case.
 */
int sets_read(const char *path, const char *of, struct sets *ret);

/* Returns true if the shares of SET are sealed. */
bool sets_is_sealed(const struct sync_set *set);

/* Returns the set of this name, or NULL. */
struct sync_set *sets_find(const struct sets *sets, const char *name);

/* Empties what is remembered of SET and its nodes. */
void sets_forget(struct sync_set *set);

void sets_clear(struct sets *sets);

#define cleanup_sets CLEANUP(sets_clear)
