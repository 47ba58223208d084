/* SPDX-License-Identifier: MIT */
/*
 * The text of a key for paper, and back. Digits are in groups of four, at most eight groups in a
 * line. A last group is the line's check: the first two bytes of hash(the line without check and
 * without spaces between digits; the line's number). So a typing error is found in its line.
 */
#pragma once

#include "seal/key_file.h"

enum { KEY_PAPER_SIZE = 1024 }; /* with its NUL; generous */

/*
 * Writes KEY for paper. KEY and RET are secret: allocate both with seal_alloc. Returns the length.
 */
size_t key_paper_write(const struct master_key *key, char ret[KEY_PAPER_SIZE]);

/*
 * Reads PAPER as people type it. Spaces, empty lines, capitals and anything before the first line
 * are ignored; o is read as 0, i and l as 1. Changes PAPER, which ends with a NUL. Returns 0, or
 * the number of the printed line that is wrong or missing; the first is 1.
 */
unsigned key_paper_read(char *paper, struct master_key *ret);
