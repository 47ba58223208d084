/* SPDX-License-Identifier: MIT */
/* How the nodes of a set are by what is remembered of them, and how that is told. */
#pragma once

#include "cli/output.h"
#include "sync/sets.h"

struct standing {
    time_t now;
    size_t current;          /* nodes that are up to date, */
    size_t late;             /* and those that were not for longer than their max_behind */
    size_t unread;           /* those that check could not read */
    int may_lose;            /* so many of all nodes, any; -1: not enough are up to date */
    time_t as_of;            /* what has not changed since then can be restored; 0: nothing */
    enum exit_status status; /* of the nodes, and of the last runs where these failed */
    bool is_known;           /* the state could be read */
};

/* Returns true if a run of sync or check is known to have asked a node. */
bool standing_is_known(const struct sync_set *set);

/* Reads SET by its memory. */
struct standing standing_of(const struct sync_set *set, time_t now);

/* Returns the status of a set of which so many nodes are up to date. */
enum exit_status standing_status(const struct sync_set *set, size_t current);

/* Returns the worse of two: lost comes before failed, and failed before damaged. */
enum exit_status standing_worse(enum exit_status one, enum exit_status other);

/* Returns true if NODE is up to date: it holds all, in the encoding that the set has now. */
bool standing_is_current(const struct sync_set *set, const struct sync_node *node);

/* Returns true if NODE was brought up to date last, or tried first, too long before NOW, or after
 * it: when that was is not known. */
bool standing_is_late(const struct sync_node *node, time_t now);

/* Returns true if the last check could not read NODE, and no run has brought it up to date since.
 */
bool standing_is_unread(const struct sync_node *node);

/* Adds all that is not well with SET to RET, each in the same words at any time; what becomes worse
 * adds some. Returns 0 or -ENOMEM. */
int standing_problems(const struct standing *standing, const struct sync_set *set,
                      struct names *ret);

/* How much of a node check has read, and found good, and since when: the oldest of that; 0: none.
 */
struct coverage {
    unsigned percent;
    time_t since;
};
struct coverage standing_coverage(const struct memory *memory);

/* Returns "3 are enough", or where COUNT nodes are fewer, "3 are needed". */
struct shown standing_enough(const struct sync_set *set, size_t count);

/* Adds "SET/NODE SHARE ", as wide as the longest name wants it. */
void standing_add_node(struct draft *line, const struct sync_set *set,
                       const struct sync_node *node);

/* Adds "up to date" or "BEHIND since TIME". */
void standing_add_state(struct draft *line, const struct memory *memory, bool is_current);

/* Adds "; 3 names that the source has no more (as of TIME)". */
void standing_add_surplus(struct draft *line, const struct memory *memory);

/* Returns a time as people tell it: "36 hours"; the largest unit of which there are two. */
struct shown show_age(time_t seconds);

/* Shows it as text. */
void standing_show(const struct standing *standing, const struct sync_set *set);

/* Returns all of it. */
json_t *standing_json(const struct standing *standing, const struct sync_set *set);
