/* SPDX-License-Identifier: MIT */
/* What check and repair found: counted, and told name by name (findings_text.h, findings_json.h).
 */
#pragma once

#include "cli/exit_status.h"
#include "cli/options.h"
#include "engine/check.h"

enum { SPARES = 256 };

/* What was found in one store. */
struct store_findings {
    const char *name; /* as it is shown: short where that is clear enough */
    int share;        /* ROSTER_UNKNOWN: none */
    char digits[3];   /* the share as it is shown, or "--" */
    uint64_t copies[COPY_STATES];
    uint64_t other_metadata, damaged_blocks;
};

struct worst;

struct findings {
    const struct options *options;
    const struct roster *roster;
    pthread_mutex_t lock;            /* of all that follows */
    struct store_findings *stores;   /* one for each of the roster */
    uint64_t files, others;          /* names: files, and all else */
    uint64_t bytes;                  /* of the files */
    uint64_t intact, degraded, lost; /* names */
    uint64_t foreign, leftovers;     /* names that are not believed; the latter are no loss */
    uint64_t conflicts;              /* among the lost */
    uint64_t failed;                 /* that could not be looked at */
    /* Names but directories by how many stores they can lose (at 0: lost), and files among them. */
    uint64_t spares[SPARES + 1], file_spares[SPARES + 1];
    struct worst *worst; /* the names that are worst off; NULL: not wanted */
};

int findings_begin(struct findings *findings, const struct options *options,
                   const struct roster *roster);
void findings_end(struct findings *findings);

/* Counts a name. */
void findings_count(struct findings *findings, const struct inspection *inspection);

/* Counts and logs one that could not be looked at, as struct check_settings has it. */
void findings_failed(void *findings, const char *path, int error);

/* As it is shown, the store of an inspection's copy number PLACE. */
const char *findings_store_name(const struct findings *findings,
                                const struct inspection *inspection, size_t place);

/* Whether something is wrong with a store, or it has nothing. */
bool store_findings_are_bad(const struct store_findings *store);

/* How many more stores every file can lose; below 0: some are lost. */
int findings_least_spare(const struct findings *findings);

/* The sentence that a person wants; the caller frees it. NULL without memory. */
char *findings_sentence(const struct findings *findings);

/* What check ends with, from what was found alone. */
enum exit_status findings_status(const struct findings *findings);
