/* SPDX-License-Identifier: MIT */
/*
 * Rules 1 and 2 of docs/design.md: how many shares' word is enough (K), and which stores have a
 * vote. A vote is a share, not a directory: a store that is there twice has one. Pure decisions, no
 * I/O.
 */
#pragma once

#include "share/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum {
    NO_VOTE = -1,
    /* Voters of a tree without regular files have no share; they are numbered from here on. */
    VOTER_NAMELESS = 256,
};

/* The mode and owner of the first object sampled in a store, and whether any other object differs.
 */
struct one_mode {
    bool any, differ;
    mode_t mode; /* rights and special bits */
    uid_t uid;
    gid_t gid;
};

/* What the files of a sample would say in some format. */
struct format_voice {
    int share;         /* the index that most say; NO_VOTE: none is a share there */
    unsigned required; /* the k that most say */
    unsigned agreeing; /* files that say both, at most */
};

/* What a sample of one store shows. */
struct store_voice {
    int share;          /* the index that most of its intact headers say; NO_VOTE: it has none */
    unsigned looked_at; /* files whose first bytes could be read */
    unsigned alike;     /* of these, the ones with an intact header of that share */
    unsigned others;    /* and the ones with a header of another format, one with checks */
    unsigned required;  /* the k that most of them say */
    bool uses[256];     /* each k that one of them says */
    bool has_files;     /* regular files, leftovers aside */
    bool has_names;     /* anything, leftovers aside */
    struct one_mode files, directories;
    uint64_t time_unit; /* the finest that a time of its files shows, in ns; 0: it has none */
    struct format_voice as[SHARE_FORMATS];
};

void one_mode_note(struct one_mode *one, const struct stat *status);

/*
 * Returns true if a store looks as if it showed one mode and owner for everything: all files of its
 * sample have one, all directories as well, and so has what STATUS is of.
 */
bool store_voice_keeps_no_modes(const struct store_voice *voice, const struct stat *status);

struct quorum {
    unsigned required;  /* K; 0: not known, required= has to be given */
    bool given;         /* by the user */
    unsigned commonest; /* the k with most votes; at a tie, the larger; 0: none has a vote */
    bool no_files;      /* no store has a regular file: each that has names is a vote of its own */
    unsigned votes;     /* different shares that are here */
    size_t found;       /* stores that may restore something; the same share and k count once */
    size_t with_names;  /* stores that hold anything */
    size_t with_files;  /* and files */
    size_t with_vote;   /* and intact headers */
    unsigned largest_k; /* that stores of two different shares use; 0: none */
};

/*
 * Settles K from what COUNT stores showed. GIVEN: the user's required=; 0: not given. K is the
 * commonest k then, if more than half of the stores with files have a vote.
 */
void quorum_settle(const struct store_voice voices[], size_t count, unsigned given,
                   struct quorum *ret);

/*
 * The format that the stores seem to have: in which more of them than in FORMAT, and enough, hold
 * different shares of one k, with most of their files. FORMAT itself where there is none, also if
 * too few of its shares are there: bytes of one format may look like headers of another.
 */
enum share_format quorum_format(const struct store_voice voices[], size_t count,
                                enum share_format format);

/* The vote of store number PLACE: below 0 where it has none, else equal for one and the same vote.
 */
int quorum_voter(const struct quorum *quorum, const struct store_voice *voice, size_t place);

/* Returns how many different shares a version needs whose headers say OWN: that or K, the larger.
 */
unsigned quorum_need(const struct quorum *quorum, unsigned own);
