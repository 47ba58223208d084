/* SPDX-License-Identifier: MIT */
/* Judges the nodes of a set by what is remembered of them, and shows that. */
#pragma once

#include "cli/output.h"
#include "sync/sets.h"

struct standing {
    time_t now;
    size_t current; /* nodes that are up to date, */
    size_t late;    /* nodes that have been behind for longer than their max_behind */
    size_t unread;  /* nodes that check could not read */
    int may_lose;   /* how many of the nodes, any, may be lost; -1: not enough are up to date */
    time_t as_of;   /* what has not changed since can be restored; 0: nothing */
    enum exit_status status; /* of the nodes, and of the last runs if these failed */
    bool is_known;           /* the state could be read */
};

/* Returns true if a run of sync or check is known to have asked a node. */
bool standing_is_known(const struct sync_set *set);

/* Judges SET by what is remembered of it. */
struct standing standing_of(const struct sync_set *set, time_t now);

/* Returns the status of a set with CURRENT nodes up to date. */
enum exit_status standing_status(const struct sync_set *set, size_t current);

/* Returns the worse of two: lost comes before failed, and failed before damaged. */
enum exit_status standing_worse(enum exit_status one, enum exit_status other);

/* Returns true if NODE is up to date: it has everything, in the set's present encoding. */
bool standing_is_current(const struct sync_set *set, const struct sync_node *node);

/* Returns true if NODE was last brought up to date, or first tried, too long before NOW; or after
 * NOW, so that the time is unknown. */
bool standing_is_late(const struct sync_node *node, time_t now);

/* Returns true if the last check could not read NODE, and no run has brought it up to date since.
 */
bool standing_is_unread(const struct sync_node *node);

/* Adds all problems of SET to RET. The same problem always has the same words; a set that gets
 * worse has more problems. Returns 0 or -ENOMEM. */
int standing_problems(const struct standing *standing, const struct sync_set *set,
                      struct names *ret);

/* How much of a node check has read and found good, and since when: the oldest time; 0: none. */
struct coverage {
    unsigned percent;
    time_t since;
};
struct coverage standing_coverage(const struct memory *memory);

/* Returns "3 are enough", or "3 are needed" if COUNT nodes are fewer. */
struct shown standing_enough(const struct sync_set *set, size_t count);

/* Adds "SET/NODE SHARE ", padded to the longest name. */
void standing_add_node(struct draft *line, const struct sync_set *set,
                       const struct sync_node *node);

/* Adds "up to date" or "BEHIND since TIME". */
void standing_add_state(struct draft *line, const struct memory *memory, bool is_current);

/* Adds "; 3 names that the source has no more (as of TIME)". */
void standing_add_surplus(struct draft *line, const struct memory *memory);

/* Returns a time in words: "36 hours"; in the largest unit of which there are two. */
struct shown show_age(time_t seconds);

/* Shows the standing as text. */
void standing_show(const struct standing *standing, const struct sync_set *set);

/* Returns the standing as JSON. */
json_t *standing_json(const struct standing *standing, const struct sync_set *set);
