/* SPDX-License-Identifier: MIT */
/*
 * The shares of one file in all stores, and the version of the file that they give: the newest
 * that k of them are of, or else the newest. A version is what the headers say: k, B, S, mtime.
 */
#pragma once

#include "share/header.h"
#include "tree/stores.h"

/* What has to be known of shares whose format does not say it. */
struct share_terms {
    enum share_format format;
    unsigned required; /* k, for classic */
};

struct share_set;

/*
 * Looks for PATH in all stores. -ENOENT where none has a regular file there. What of them is no
 * share is left out; a set may have none left.
 */
int share_set_open(const struct stores *stores, const struct share_terms *terms, const char *path,
                   struct share_set **ret);

void share_set_free(struct share_set *set);

/* The version's layout; NULL where not one share has an intact header. */
const struct share_layout *share_set_layout(const struct share_set *set);

/* The status of one of the version's shares, or of any copy where there is no version. */
const struct stat *share_set_status(const struct share_set *set);

/* 0 where the version has k different shares; otherwise says so in the log, and -EIO. */
int share_set_check(const struct share_set *set);

/*
 * Stripe t < T to DATA, which has room for k*u bytes; in checked format only what its digest
 * stands for. -EIO where the version's shares do not give it (the log says why), or -ENOMEM.
 * Any thread may call it.
 */
int share_set_read_stripe(const struct share_set *set, uint64_t stripe, uint8_t *data);

DEFINE_CLEANUP(struct share_set *, share_set_free)
#define cleanup_share_set CLEANUP(cleanup_by_share_set_free)
