/* SPDX-License-Identifier: MIT */
/*
 * What a name is where stores disagree: what most of them say, and the newest of these where as
 * many say something else. Pure decisions, no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* What one store says of a name. */
struct ballot {
    bool cast; /* false: the store says nothing, and the rest means nothing */
    struct stat status;
    const char *target; /* of a symlink */
    bool silent;        /* it counts only where no other is cast */
    bool slow;          /* it may not always be there in time: see vote_status */
};

/* Whether two stores say the same. */
typedef bool ballot_alike(const struct ballot *a, const struct ballot *b);

/* The same kind of thing: type, a symlink's target, a device's number. */
bool ballot_same_kind(const struct ballot *a, const struct ballot *b);

/* The same mode and owner. */
bool ballot_same_attributes(const struct ballot *a, const struct ballot *b);

/* The same mtime, and but for directories the same number of links. */
bool ballot_same_history(const struct ballot *a, const struct ballot *b);

/*
 * The place of the winner among COUNT ballots: of those that are alike and most. Where as many say
 * something else, the newest (by mtime, then that of more links, then the first). COUNT where none
 * is cast.
 */
size_t vote(const struct ballot ballots[], size_t count, ballot_alike *alike);

/*
 * Whether PENDING more ballots could not change what the winner says: those that are like it are
 * more than half of all.
 */
bool vote_is_settled(const struct ballot ballots[], size_t count, size_t pending,
                     ballot_alike *alike);

/*
 * The status that most of the ballots that are cast (one or more) give: mode and owner by their
 * voice, all else from the first that has the time and the links of most, and of these from one
 * that is not slow, if there is one: inode numbers should not change with who answers in time.
 */
void vote_status(const struct ballot ballots[], size_t count, struct stat *ret);
