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

/* The mode and owner of the first object of a sample, and whether another one has others. */
struct one_mode {
    bool any, differ;
    mode_t mode; /* rights and special bits */
    uid_t uid;
    gid_t gid;
};

/* What a sample of one store shows. */
struct store_voice {
    int share;          /* the index that most of its intact headers say; NO_VOTE: it has none */
    unsigned required;  /* the k that most of them say */
    bool uses[256];     /* each k that one of them says */
    unsigned looked_at; /* files whose first bytes could be read */
    unsigned alike;     /* of these, the ones with an intact header of that share */
    unsigned others;    /* and the ones with a header of another format, one with checks */
    unsigned kinds[2];  /* headers in checked format: of plain shares, of sealed ones */
    bool has_files;     /* regular files, leftovers aside */
    bool has_names;     /* anything, leftovers aside */
    struct one_mode files, directories;
    uint64_t time_unit; /* the finest that a time of its files shows, in ns; 0: it has none */
    struct format_voice {
        int share;         /* as above, if the files were of that format */
        unsigned required; /* as above */
        unsigned agreeing; /* files that say both, at most */
    } as[SHARE_FORMATS];
};

/* Returns true where SHARE was not SEEN before, and marks it so. */
static inline bool is_first_of(bool seen[256], int share)
{
    bool first = !seen[share];

    seen[share] = true;
    return first;
}

void one_mode_note(struct one_mode *one, const struct stat *status);

/* Returns true if a store seems to show one mode and owner for all files, one for all directories,
 * and so for what STATUS is of. */
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
 * The format in which more stores than in FORMAT, and enough, hold different shares of one k, with
 * most of their files. FORMAT itself where there is none, also if too few of its shares are there:
 * bytes of one format may look like headers of another.
 */
enum share_format quorum_format(const struct store_voice voices[], size_t count,
                                enum share_format format);

/* The vote of store number PLACE, the same number for the same vote; below 0: it has none. */
int quorum_voter(const struct quorum *quorum, const struct store_voice *voice, size_t place);

/* How many different shares a version needs whose headers say OWN. */
unsigned quorum_need(const struct quorum *quorum, unsigned own);
