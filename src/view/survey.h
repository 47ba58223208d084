/* SPDX-License-Identifier: MIT */
/* What a name is, by rule 3 of docs/design.md. */
#pragma once

#include "trust/name.h"
#include "view/inquiry.h"
#include "view/terms.h"

struct survey {
    struct inquiry inquiry; /* of looks (look.h) */
    struct ballot
        *ballots; /* one for each store; those of other kinds than the winner's are cast off */
    struct name_ruling ruling;
    struct stat status; /* by the voice of most of those that are of its kind */
};

/*
 * Asks all stores for PATH, and waits for ENOUGH of them, as inquiry_make. Returns 0 where a store
 * has it, whatever the ruling; -ENOENT where none has, or, where a store could not say, its error,
 * also where too few have it for what is to be shown;
 * -ENOMEM, or another shortage of our own. What the others say is logged where it differs.
 */
int survey_make(struct stores *stores, const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct survey *ret);

/* The same with a question of another KIND, whose struct begins with a struct look; of ARGUMENT. */
int survey_make_by(struct stores *stores, const struct share_terms *terms, const char *path,
                   const char *argument, const struct question_kind *kind,
                   const struct inquiry_enough *enough, struct survey *ret);

void survey_clear(struct survey *survey);

/* Says in the log that K is not known, so that nothing can be believed; returns -EIO. */
int refuse_unknown(const struct store_list *list);

/* The target of a symlink in the winner's tree; NULL for other things. Lives as long as the survey.
 */
const char *survey_target(const struct survey *survey);

/* Says which stores have what, of a conflict or a foreign name; the caller frees it. */
char *survey_describe(const struct survey *survey);

/* The vote, and all else that is known, of what store number PLACE answered. */
struct ballot survey_ballot(const struct inquiry *looks, const struct share_terms *terms,
                            size_t place);

#define cleanup_survey CLEANUP(survey_clear)
#define NO_SURVEY      ((struct survey){.inquiry = NO_INQUIRY})
