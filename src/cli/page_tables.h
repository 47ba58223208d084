/* SPDX-License-Identifier: MIT */
/* The sections of check's page that have a look of their own, by the classes of page_style.c. */
#pragma once

#include "cli/findings.h"

#include <stdio.h>

/* How many files can lose how many more stores; where there are no files, nothing. */
void page_files_print(FILE *out, const struct findings *findings);

/* A row for each store. */
void page_stores_print(FILE *out, const struct findings *findings);

/* The names that are worst off; where nothing is wrong, nothing. */
void page_worst_print(FILE *out, const struct worst *worst);
