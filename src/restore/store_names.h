/* SPDX-License-Identifier: MIT */
/* Which names stores have, and which of these are shown (rule 3 of docs/design.md). */
#pragma once

#include "restore/survey.h"

/*
 * Adds the names that stores have in PATH to NAMES, each once, in order, with the kind that the
 * stores agree on. Leaves out and reports names that too few stores have (see terms.h). ENOUGH as
 * for inquiry_make. Returns 0 where a store has PATH; -ENOENT where none has it, or the error of a
 * store that could not say; or a shortage of our own.
 */
int store_names(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct names *names);

/*
 * Returns 1 where PATH, of which SURVEY was made, is shown; 0 where it is not, as it is a leftover,
 * if its path is one's, or else foreign; or a negative errno. Conflicts and lost files are shown,
 * as errors. Judging a leftover takes the files that SURVEY has opened.
 */
int store_name_is_shown(const struct share_terms *terms, const char *path,
                        const struct survey *survey);

/* Returns true if PATH is sync's description of a set, and no share of a file. */
bool store_name_is_description(const struct share_terms *terms, const char *path,
                               const struct survey *survey);
