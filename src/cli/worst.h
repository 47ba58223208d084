/* SPDX-License-Identifier: MIT */
/* The names that are worst off: no more of them than a person reads, however many there are. */
#pragma once

#include "cli/findings.h"

enum { WORST_MAX = 100 };

struct worst_name {
    char *path;
    bool foreign;        /* it is not confirmed, which comes behind all else */
    int spare;           /* as struct inspection has it */
    char *lost;          /* which stripes are; NULL: that is not known */
    const char *hint;    /* what may be behind it; NULL: who knows */
    struct names stores; /* those with which something is wrong, */
    struct names wrongs; /* and what, one for each */
};

struct worst {
    struct worst_name names[WORST_MAX]; /* the worst first, and then by path */
    size_t count;
    uint64_t all; /* names that were considered */
    int error;    /* -ENOMEM: one that belongs here is not here; or 0 */
};

/* Keeps PATH if something is wrong with it, and it is one of the worst so far. */
void worst_consider(struct worst *worst, const struct findings *findings, const char *path,
                    const struct inspection *inspection);

void worst_clear(struct worst *worst);
