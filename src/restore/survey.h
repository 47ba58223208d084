/* SPDX-License-Identifier: MIT */
/* What a name is, by rule 3 of docs/design.md. */
#pragma once

#include "restore/terms.h"
#include "store/inquiry.h"
#include "trust/name.h"

struct survey {
    struct inquiry inquiry; /* of looks (look.h) */
    /* One for each store. CAST is cleared for kinds that do not count, where one does. */
    struct ballot *ballots;
    struct name_ruling ruling;
    struct stat status; /* by the voice of most of those that are of its kind */
};

/*
 * Asks all stores for PATH, and waits for ENOUGH of them, as inquiry_make. Returns 0 where a store
 * has it, whatever the ruling. Returns -ENOENT where none has, or too few have it to be shown; but
 * the error of a store that failed to answer, where it might change that. Or returns a shortage.
 * Differences between stores are logged.
 */
int survey_make(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct survey *ret);

/* As survey_make, with a question of another KIND about ARGUMENT; its struct begins with a struct
 * look. */
int survey_make_by(const struct share_terms *terms, const char *path, const char *argument,
                   const struct question_kind *kind, const struct inquiry_enough *enough,
                   struct survey *ret);

/*
 * Returns 1 if a store has something at PATH, and 0 if all of them lack it; or why not all could
 * say: -ENODATA where one holds nothing, and is perhaps not mounted; -EHOSTDOWN where one is left
 * out.
 */
int survey_presence(struct stores *stores, const char *path);

void survey_clear(struct survey *survey);

/*
 * Returns -EIO, and says in the log why, where nothing can be said of any name: K is not known, or
 * fewer votes are here. What others have would look as if it were not there.
 */
int refuse_few(const struct share_terms *terms, const struct store_list *list);

/* Says which stores have what, of a conflict or a foreign name; the caller frees it. NULL without
 * memory. */
char *survey_describe(const struct survey *survey);

#define cleanup_survey CLEANUP(survey_clear)
#define NO_SURVEY      ((struct survey){.inquiry = NO_INQUIRY})
