/* SPDX-License-Identifier: MIT */
/*
 * Paths at which stores should be. The way to one may lead through a file system that hangs, so
 * each has a thread of its own. A thread that does not return in time is not sent again until it
 * has. Part of stores.c.
 */
#pragma once

#include "base/names.h"
#include "store/store.h"

/* What is asked for at a path, and what came of it, where RESULT is 0. */
struct site {
    const char *path;    /* absolute */
    bool lists;          /* the names in it are asked for; otherwise the store */
    struct store *known; /* which store was there until now, or NULL */
    struct store *store; /* held */
    struct names names;
    int result; /* 0; -ETIMEDOUT: no answer in time, or none to an earlier question */
};

/* Asks at COUNT sites at once. Returns 0 or a shortage of our own. */
int sites_ask(struct site items[], size_t count);

/* The names in the directory PATH, in no order. -ETIMEDOUT as above. */
int sites_list(const char *path, struct names *names);
