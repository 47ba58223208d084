/* SPDX-License-Identifier: MIT */
/* What check and repair found: counts it, reports it name by name, and sums it up, as text and
 * JSON. */
#pragma once

#include "cli/options.h"
#include "cli/output.h"
#include "engine/check.h"
#include "view/unsealing.h"

enum { SPARES = 256 };

/* What was found in one store. */
struct store_findings {
    const char *name; /* for messages: shortened if it stays clear */
    int share;        /* ROSTER_UNKNOWN: it has none */
    char digits[3];   /* the share for messages, or "--" */
    uint64_t copies[COPY_STATES];
    uint64_t other_metadata, damaged_blocks;
    uint64_t cannot_be;     /* names of a kind that its storage cannot keep; not in COPIES */
    uint64_t no_attributes; /* names whose attributes its storage cannot keep */
    uint64_t kept_modes;    /* copies whose mode and owner repair leaves alone */
    struct {
        atomic_ullong names, files, bytes, touched;
    } mended; /* by repair */
};

struct findings {
    const struct options *options;
    const struct roster *roster;
    pthread_mutex_t lock;            /* guards all that follows */
    struct store_findings *stores;   /* one for each of the roster */
    size_t *order;                   /* their places sorted by share, in which they are shown */
    uint64_t files, others;          /* names: files, and all else */
    uint64_t bytes;                  /* of files */
    uint64_t intact, degraded, lost; /* names */
    uint64_t foreign, leftovers;     /* names that are not believed; leftovers are no loss */
    uint64_t conflicts;              /* among the lost */
    uint64_t failed;                 /* names that could not be inspected */
    uint64_t unverified;             /* files with sealed stripes that only a key can verify */
    uint64_t orphans;                /* ids that are in no manifest; known only with a key */
    bool has_key;
    bool key_lost;            /* the stores do not have the key of their sealed shares */
    uint64_t told[2], untold; /* lines: of lost names [1], of others [0]; names without */
    /* Names except directories, and files among them, by how many stores they can lose (at 0:
     * lost). */
    uint64_t spares[SPARES + 1], file_spares[SPARES + 1];
    uint64_t counted; /* all in spares */
};

/* Returns 0 or -ENOMEM. End it in any case. */
int findings_begin(struct findings *findings, const struct options *options,
                   const struct roster *roster);
void findings_end(struct findings *findings);

/* For struct check_settings: counts a name, and reports it if something is wrong with it, or all
 * are wanted. Logs a name that could not be inspected. */
void findings_report(void *findings, const char *path, const struct inspection *inspection);
void findings_failed(void *findings, const char *path, int error);

/* Counts and reports as lost the names in the manifest of the directory PATH that no store has, or
 * the manifest itself. UNSEALING: NULL without a key. Returns how many there are. */
uint64_t findings_find_missing(struct findings *findings, struct source *stores,
                               struct unsealing *unsealing, const char *path);

/* Reports how many names got no line because there were too many. */
void findings_tell_rest(const struct findings *findings);

/* Reports stores, totals and the sentence, and adds all of that to a JSON object. */
void findings_summarize(const struct findings *findings, double seconds, json_t *summary);

/* Returns check's exit status, from its findings alone. */
enum exit_status findings_status(const struct findings *findings);

/* The parts of findings_status. */

/* Returns how many more stores every file can lose; below 0: some files are lost. */
int findings_least_spare(const struct findings *findings);

/* Returns the summary sentence; the caller frees it. NULL: no memory. */
char *findings_sentence(const struct findings *findings);

/* Returns how many of the store's copies are not right. */
uint64_t store_findings_bad(const struct store_findings *store);

/* Returns true if something is wrong with a store, or it is empty. */
bool store_findings_are_bad(const struct store_findings *store);

/* The names of a state: in JSON; of many copies, "of another kind"; of one copy. */
extern const struct copy_words {
    const char *name, *of_many, *wrong;
} copy_words[COPY_STATES];

/* If something is wrong with copy number I, adds what it is, "block 0 damaged", to TEXT, and
 * returns the shown name of its store; else NULL. */
const char *findings_wrong(const struct findings *findings, const struct inspection *inspection,
                           size_t i, struct draft *text);

/* Adds BEFORE and "stripes 3, 7-9 of 12", the lost stripes of a name. Returns true if they are
 * known; otherwise adds nothing. */
bool findings_add_lost(const struct inspection *inspection, const char *before, struct draft *text);

/* The names of what storage may not keep, in the order of enum limit. */
extern const char *const findings_limits[LIMITS];

/* Adds BEFORE and "owners, symlinks (3 names)", which the storage of store number PLACE does not
 * keep. Returns true if there is anything. */
bool findings_add_limits(const struct findings *findings, size_t place, const char *before,
                         struct draft *text);

/* Returns a likely reason for the loss of a name; NULL: unknown. */
const char *findings_hint(const struct inspection *inspection);
