/* SPDX-License-Identifier: MIT */
/* Describes the state of stores and files for people and scripts, by lines of "key=value". */
#pragma once

#include "restore/copies.h"

/* Extended attributes that exist only in the view, and are in no list of attributes. */
#define REPORT_STORES_NAME "user.zfec-fs.stores" /* of the root */
#define REPORT_HEALTH_NAME "user.zfec-fs.health" /* of anything else in it */

/*
 * Makes a line for each store that is there: share= (two hex digits, or ?, as its last file said),
 * usual_ms= (its median answer, or the longest wait under way; - if it is local), state= (local,
 * quick, slow or aside) and store= (its path, escaped). The caller frees it.
 */
int report_stores(struct stores *stores, char **ret);

/*
 * Makes a line about PATH, from its headers and first stripe, for which all stores are waited for:
 * good= (how many stores have a good copy), stores= (how many there are), may_lose= (how many more
 * may be lost; -1 if it is already lost) and in a conflict conflict= (its sides, escaped, to the
 * end of the line). The caller frees it.
 */
int report_health(const struct share_terms *terms, const char *path, char **ret);
