/* SPDX-License-Identifier: MIT */
/*
 * Rule 3 of docs/design.md: what a name is where stores disagree, and what status it shows. Pure
 * decisions, no I/O.
 */
#pragma once

#include "trust/quorum.h"

#include <sys/stat.h>

/* What one store has at a name. */
struct ballot {
    bool cast; /* false: it has nothing, or could not say; the rest means nothing */
    int voter; /* as quorum_voter; NO_VOTE: it lends blocks at most */
    struct stat status;
    const char *target; /* of a symlink */
    bool has_header;    /* a regular file that begins with an intact header */
    bool one_mode_only; /* store_voice_keeps_no_modes */
    bool made_mode;     /* and what shows it makes modes up, as rclone's mounts do */
    bool untimed;       /* its storage gives directories times of its own, and this is one */
    bool slow;          /* it may not always be there in time: see vote_status */
};

/* Returns true if two stores say the same of something. */
typedef bool ballot_alike(const struct ballot *a, const struct ballot *b);

ballot_alike ballot_same_kind; /* type, a symlink's target, a device's number */
ballot_alike ballot_same_owner;
ballot_alike ballot_same_attributes; /* mode and owner */
ballot_alike ballot_same_history;    /* mtime, as far as both storages can tell; links of files */

enum name_verdict {
    NAME_ABSENT,
    NAME_SETTLED,
    NAME_CONFLICT, /* two kinds, each with what it needs and with equally many votes */
    NAME_LOST,     /* a file, of which too few stores have a share */
    NAME_FOREIGN,  /* too few stores have it for it to be believed */
};

struct name_ruling {
    enum name_verdict verdict;
    size_t winner; /* the place of a ballot of the kind that counts, or of the foreign one */
    size_t rival;  /* of the other side of a conflict, or of a tie */
    bool tied;     /* the rival has as many votes as the winner */
    unsigned votes, needed; /* of the winner's kind */
};

/* Votes that a kind needs: K, but two at most for directories and symlinks. */
unsigned name_need(const struct quorum *quorum, mode_t mode);

/* Rules on COUNT ballots. */
void name_rule(const struct quorum *quorum, const struct ballot ballots[], size_t count,
               struct name_ruling *ret);

/* Returns true if PENDING more stores could not change a NAME_SETTLED ruling. */
bool name_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending, const struct name_ruling *ruling);

/* Different votes among the ballots that are cast and like WANTED. */
unsigned count_votes_like(const struct ballot ballots[], size_t count, const struct ballot *wanted,
                          ballot_alike *alike);

/*
 * The status that most of the ballots that are cast (one or more) show. Time: that of most, as
 * exact as any of these has it. All but mode and owner is from the first that has the time and the
 * links of most, if there is one from one that is not slow: inode numbers should not change with
 * which stores answer in time.
 */
void vote_status(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                 struct stat *ret);

/* Returns true if two modes or owners have most votes. */
bool mode_is_tied(const struct ballot ballots[], size_t count);

/*
 * Returns true if PENDING more ballots could not change the mode and owner that vote_status shows;
 * where no store at hand keeps modes, those that come are taken to be of the same sort.
 */
bool mode_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending);

/* Returns true if PENDING more ballots could not change what most say. */
bool vote_is_settled(const struct ballot ballots[], size_t count, size_t pending,
                     ballot_alike *alike);
