/* SPDX-License-Identifier: MIT */
/* What check and repair found: counted, told name by name, and summed up, as text and as JSON. */
#pragma once

#include "cli/options.h"
#include "cli/output.h"
#include "engine/check.h"
#include "view/unsealing.h"

enum { SPARES = 256 };

/* What was found in one store. */
struct store_findings {
    const char *name; /* as it is shown: short where that is clear enough */
    int share;        /* ROSTER_UNKNOWN: none */
    char digits[3];   /* the share as it is shown, or "--" */
    uint64_t copies[COPY_STATES];
    uint64_t other_metadata, damaged_blocks;
    uint64_t cannot_be;     /* names of a kind that its storage does not keep; not in COPIES */
    uint64_t no_attributes; /* names whose attributes it does not keep */
    uint64_t kept_modes;    /* of copies whose mode and owner repair leaves as they are */
    struct {
        atomic_ullong names, files, bytes, touched;
    } mended; /* by repair */
};

struct findings {
    const struct options *options;
    const struct roster *roster;
    pthread_mutex_t lock;            /* of all that follows */
    struct store_findings *stores;   /* one for each of the roster */
    size_t *order;                   /* their places by share: so they are shown */
    uint64_t files, others;          /* names: files, and all else */
    uint64_t bytes;                  /* of the files */
    uint64_t intact, degraded, lost; /* names */
    uint64_t foreign, leftovers;     /* names that are not believed; the latter are no loss */
    uint64_t conflicts;              /* among the lost */
    uint64_t failed;                 /* that could not be looked at */
    uint64_t unverified;             /* files with sealed stripes that only a key can prove */
    uint64_t orphans;                /* ids that no manifest has; known with a key alone */
    bool has_key;
    bool key_lost;            /* the stores do not have the key of their sealed shares */
    uint64_t told[2], untold; /* lines of names: of lost ones [1], and of others [0] */
    /* Names but directories by how many stores they can lose (at 0: lost), and files among them. */
    uint64_t spares[SPARES + 1], file_spares[SPARES + 1];
    uint64_t counted; /* all in spares */
};

/* Returns 0 or -ENOMEM. End it in any case. */
int findings_begin(struct findings *findings, const struct options *options,
                   const struct roster *roster);
void findings_end(struct findings *findings);

/* As struct check_settings has them: counts a name, and tells of it where something is wrong with
 * it or all are wanted; counts and logs one that could not be looked at. */
void findings_report(void *findings, const char *path, const struct inspection *inspection);
void findings_failed(void *findings, const char *path, int error);

/* Counts and tells, as lost, what the manifest of the directory PATH has and no store, and that
 * itself. UNSEALING: NULL without a key. Returns how many there are. */
uint64_t findings_find_missing(struct findings *findings, struct source *stores,
                               struct unsealing *unsealing, const char *path);

/* Says of how many names there was no line, as there were too many. */
void findings_tell_rest(const struct findings *findings);

/* Tells stores, totals and the sentence; all of that is added to a JSON object, too. */
void findings_summarize(const struct findings *findings, double seconds, json_t *summary);

/* What check ends with, from what was found alone. */
enum exit_status findings_status(const struct findings *findings);

/* The parts of that. */

/* Returns how many more stores every file can lose; below 0: some are lost. */
int findings_least_spare(const struct findings *findings);

/* Returns the sentence that a person wants; the caller frees it. NULL without memory. */
char *findings_sentence(const struct findings *findings);

/* Returns how many of its copies are not as they should be. */
uint64_t store_findings_bad(const struct store_findings *store);

/* Returns true if something is wrong with a store, or it has nothing. */
bool store_findings_are_bad(const struct store_findings *store);

/* What a state is called: in JSON; of many copies, "of another kind"; of one copy. */
extern const struct copy_words {
    const char *name, *of_many, *wrong;
} copy_words[COPY_STATES];

/* Returns the shown name of the store of copy number I if something is wrong with that copy, and
 * adds what it is, "block 0 damaged", to TEXT; else NULL. */
const char *findings_wrong(const struct findings *findings, const struct inspection *inspection,
                           size_t i, struct draft *text);

/* Adds BEFORE and "stripes 3, 7-9 of 12", those of a name that are lost. Returns true if they are
 * known; else adds nothing. */
bool findings_add_lost(const struct inspection *inspection, const char *before, struct draft *text);

/* What the storage of a store may not keep, in the order of enum limit. */
extern const char *const findings_limits[LIMITS];

/* Adds BEFORE and "owners, symlinks (3 names)", what the storage of store number PLACE does not
 * keep. Returns true if that is something. */
bool findings_add_limits(const struct findings *findings, size_t place, const char *before,
                         struct draft *text);

/* Returns a likely reason for the loss of a name; NULL: unknown. */
const char *findings_hint(const struct inspection *inspection);
