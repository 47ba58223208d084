/* SPDX-License-Identifier: MIT */
/*
 * The text of a key for paper, and back: its digits in groups of four, at most eight of these in a
 * line, and behind them a group that is the check of that line: the first two bytes of hash(the
 * line as it is without spaces between digits, without check; the line's number). So a slip of the
 * hand is found in its line.
 */
#pragma once

#include "seal/key_file.h"

enum { KEY_PAPER_SIZE = 1024 }; /* with its NUL: there is room to spare */

/* Both secrets are of seal_alloc. Returns the length. */
size_t key_paper_write(const struct master_key *key, char ret[KEY_PAPER_SIZE]);

/*
 * Reads it as people type it: spaces, empty lines, capitals, and what stands before the first line
 * do not count; o is 0, i and l are 1. Changes PAPER, whose end is a NUL. Returns 0, or the number
 * of the line, as it was printed, that is wrong or missing. The first line is 1.
 */
unsigned key_paper_read(char *paper, struct master_key *ret);
