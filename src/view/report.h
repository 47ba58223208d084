/* SPDX-License-Identifier: MIT */
/* How stores and files are, in words for people and scripts: "key=value" several times a line. */
#pragma once

#include "restore/copies.h"

/* Names of extended attributes that only the view has. No list of attributes has them. */
#define REPORT_STORES_NAME "user.zfec-fs.stores" /* of the root */
#define REPORT_HEALTH_NAME "user.zfec-fs.health" /* of what is in it */

/*
 * A line for each store that is there: share= (two hex digits, or ?, as its last file said),
 * usual_ms= (its median answer, or of the longest wait under way; - where it is local), state=
 * (local, quick, slow or aside) and store= (its path, escaped). The caller frees it.
 */
int report_stores(struct stores *stores, char **ret);

/*
 * A line about what PATH leads to, by its headers and first stripe, for which all stores are waited
 * for: good= (how many stores have a good copy), stores= (how many there are), may_lose= (how many
 * more may be lost; -1 where it is lost already) and in a conflict conflict= (its sides, to the end
 * of the line, escaped). The caller frees it.
 */
int report_health(const struct share_terms *terms, const char *path, char **ret);
