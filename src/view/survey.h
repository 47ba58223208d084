/* SPDX-License-Identifier: MIT */
/* What a name is, by the voice of most stores. */
#pragma once

#include "choice/vote.h"
#include "view/inquiry.h"

struct survey {
    struct inquiry inquiry; /* of looks (look.h) */
    struct ballot *ballots; /* one for each store */
    size_t winner;          /* the place of the store whose word counts */
    struct stat status;     /* by the voice of most of those that are of its kind */
};

/*
 * Asks all stores for PATH, and waits for ENOUGH of them, as inquiry_make. Returns 0; -ENOENT where
 * no store has it, or, where a store could not say, its error; or -ENOMEM. What the others say is
 * logged where it differs.
 */
int survey_make(struct stores *stores, const char *path, const struct inquiry_enough *enough,
                struct survey *ret);

void survey_clear(struct survey *survey);

/* The target of a symlink in the winner's tree; NULL for other things. Lives as long as the survey.
 */
const char *survey_target(const struct survey *survey);

#define cleanup_survey CLEANUP(survey_clear)
#define NO_SURVEY      ((struct survey){.inquiry = NO_INQUIRY})
