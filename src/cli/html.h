/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

/*
 * Writes TEXT, in which nothing is a tag or the end of a quoted attribute. It may hold any byte:
 * what cannot be shown is written as \xNN, as in the log.
 */
void html_text(FILE *out, const char *text);

/* A name as an element of its own: no letters of it turn the direction of what is around it. */
void html_name(FILE *out, const char *name);
