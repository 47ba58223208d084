/* SPDX-License-Identifier: MIT */
/* What was found, as JSON; zfec-fs(1) has the fields. */
#pragma once

#include "cli/findings.h"

#include <jansson.h>

/* A line about one name. */
void findings_tell_json(const char *path, const struct inspection *inspection);

/* Stores, totals and the sentence, into an object. */
void findings_add_json(const struct findings *findings, json_t *summary);
