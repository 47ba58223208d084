/* SPDX-License-Identifier: MIT */
/*
 * Paths at which stores should be. The way to one may lead through a file system that hangs, so
 * each has a thread of its own. A thread that does not return in time is not sent again until it
 * has. Part of stores.c.
 */
#pragma once

#include "base/names.h"
#include "store/store.h"

struct sites;

int sites_new(struct sites **ret);

/* Threads that hang keep what they need. */
void sites_free(struct sites *sites);

/* A site that is asked for, and what came of it. */
struct site {
    const char *path;    /* absolute */
    struct store *known; /* which store was there until now, or NULL */
    struct store *store; /* the answer, held, where RESULT is 0 */
    int result;          /* 0; -ETIMEDOUT: no answer in time, or none to an earlier question */
};

/* Asks for COUNT sites at once. Returns 0 or -ENOMEM. */
int sites_ask(struct sites *sites, struct site items[], size_t count);

/* Adds the names in the directory PATH to NAMES. -ETIMEDOUT as above. */
int sites_list(struct sites *sites, const char *path, struct names *names);
