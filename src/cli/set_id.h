/* SPDX-License-Identifier: MIT */
/* The id of a sealed set, which follows from its key, as text. */
#pragma once

#include "seal/keys.h"

/* An id in hex. */
struct id_text {
    char text[2 * SET_ID_SIZE + 1];
};

struct id_text id_text(const uint8_t id[SET_ID_SIZE]);

/* Reads an id from TEXT, which was given as WHAT. Returns 0, or -EINVAL after one line in the
 * log. */
int set_id_read(const char *what, const char *text, uint8_t ret[SET_ID_SIZE]);
