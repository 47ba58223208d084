/* SPDX-License-Identifier: MIT */
/* What was found, as a person reads it. */
#pragma once

#include "cli/findings.h"
#include "cli/meter.h"

#include <stdio.h>

/* Of a number of copies in such a state: "of another version". */
const char *findings_state_words(enum copy_state state);

/* What is wrong with one copy, of which copy_is_wrong: "block 0 damaged". */
void findings_print_copy(FILE *text, const struct copy_report *report);

/* Whether it is known what is lost of a name; and what: "stripes 3, 7-9 of 12". */
bool findings_has_lost(const struct inspection *inspection);
void findings_print_lost(FILE *text, const struct inspection *inspection);

/* What may be behind the loss of a name; NULL: who knows. */
const char *findings_hint(const struct inspection *inspection);

/*
 * Counts a name, as struct check_settings has it, and tells of it as text or JSON, where something
 * is wrong with it or all are wanted.
 */
void findings_report(void *findings, const char *path, const struct inspection *inspection);

/* Stores, totals and the sentence. */
void findings_summarize(const struct findings *findings, const struct meter *meter);
