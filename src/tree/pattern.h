/* SPDX-License-Identifier: MIT */
/* A pattern as gitignore(5) has them, read once and matched often. Part of exclude.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pattern_step;
struct set;

/*
 * A pattern's steps: the head, the last "**", and the tail, in which the number of slashes is
 * known. Without a "**" all of it is the tail, and matches from the root.
 */
struct pattern {
    bool is_from_root;
    struct pattern_step *steps;
    struct set *sets;
    size_t step_count, set_count;
    size_t head_end, tail;
    size_t slashes; /* in the tail */
};

/*
 * Reads TEXT; IS_NAME: it stands for names in any directory, and has no '/'. Returns 1, or 0 for a
 * pattern with a mistake in it, which matches nothing, or -ENOMEM. Clear RET in any case.
 */
int pattern_read(const char *text, bool is_name, struct pattern *ret);

void pattern_clear(struct pattern *pattern);

/* The first place in PATH (to END) that the head can end at, or NULL. */
const char *pattern_match_head(const struct pattern *pattern, const char *path, const char *end);

/* Returns true if the tail matches from where the head ended, or behind it, to END. */
bool pattern_match_tail(const struct pattern *pattern, const char *from, const char *end);
