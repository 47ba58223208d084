/* SPDX-License-Identifier: MIT */
/* Finds out what a name is, by rule 3 of docs/design.md. */
#pragma once

#include "restore/terms.h"
#include "store/inquiry.h"
#include "trust/name.h"

struct survey {
    struct inquiry inquiry; /* of looks (look.h) */
    /* One for each store. CAST is cleared for kinds that do not count, where one does. */
    struct ballot *ballots;
    struct name_ruling ruling;
    struct stat status; /* as most of the stores have it that have its kind */
};

/*
 * Asks all stores for PATH, and waits for ENOUGH of them, as inquiry_make. Logs differences between
 * stores. Returns 0 where a store has it, whatever the ruling; -ENOENT where none has it, or too
 * few for it to be shown; the error of a store that failed, where its answer might change that; or
 * a shortage.
 */
int survey_make(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct survey *ret);

/* As survey_make, with a question of another KIND about ARGUMENT; its struct begins with a struct
 * look. */
int survey_make_by(const struct share_terms *terms, const char *path, const char *argument,
                   const struct question_kind *kind, const struct inquiry_enough *enough,
                   struct survey *ret);

/*
 * Returns 1 if a store has something at PATH; 0 if all of them lack it; or why some store could not
 * say: -ENODATA where one is empty, and perhaps not mounted; -EHOSTDOWN where one is left out.
 */
int survey_presence(struct stores *stores, const char *path);

void survey_clear(struct survey *survey);

/*
 * Returns -EIO, and logs why, where no name can be judged: K is not known, or fewer votes are here.
 * Names that other stores have would look as if they were not there.
 */
int refuse_few(const struct share_terms *terms, const struct store_list *list);

/* Returns which stores have what, of a conflict or a foreign name; the caller frees it. NULL
 * without memory. */
char *survey_describe(const struct survey *survey);

#define cleanup_survey CLEANUP(survey_clear)
#define NO_SURVEY      ((struct survey){.inquiry = NO_INQUIRY})
