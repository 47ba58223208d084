/* SPDX-License-Identifier: MIT */
/* Which names stores have, and which of these are shown (rule 3 of docs/design.md). */
#pragma once

#include "restore/survey.h"

/*
 * Adds the names that stores have in PATH to NAMES, each once, in order, with what they agree on as
 * to the kind of an object; what too few stores have is left out and told (see terms.h). ENOUGH as
 * for inquiry_make. Returns 0 where a store has PATH; -ENOENT where none has, or, where a store
 * could not say, its error; a shortage of our own.
 */
int store_names(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct names *names);

/*
 * Returns 1 where PATH, of which SURVEY was made, is shown; 0 where it is not: a leftover, if its
 * path is one's, and else foreign; or a negative errno. A conflict is shown, and so is a file that
 * is lost: both as errors. To judge a leftover takes the files that SURVEY has opened.
 */
int store_name_is_shown(const struct share_terms *terms, const char *path,
                        const struct survey *survey);

/* Returns true if PATH is what sync has left to describe a set, and no share of a file. */
bool store_name_is_description(const struct share_terms *terms, const char *path,
                               const struct survey *survey);
