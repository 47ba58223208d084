/* SPDX-License-Identifier: MIT */
/*
 * Tells if the programs that list directories look at the files in them. Attributes in a listing
 * save a request for each file that is looked at, and are work for nothing if none is. The kernel
 * does not tell; so now and then a listing leaves one file out: who wants attributes looks it up.
 * Any thread may use it.
 *
 * Measured on 3000 restored files of 60 directories: with attributes in each listing `find` takes
 * 3.7 times as long, and without any `find -size` takes 1.4 times as long.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct interest {
    atomic_uint ignored;   /* files left out, one after the other, and none was looked at since */
    atomic_uint confirmed; /* listings to come that are known to be wanted whole */
    atomic_uint_least64_t last; /* when a directory was listed */
};

enum detail {
    DETAIL_ALL,         /* with attributes */
    DETAIL_ALL_BUT_ONE, /* but for one file's: then interest_note_left_out() */
    DETAIL_NAMES,       /* without, but for directories: who goes into them looks at them */
};

/* What the listing of a directory that is being opened is to bring. */
enum detail interest_in_listing(struct interest *interest);

void interest_note_left_out(struct interest *interest);

/* A file was looked up, whichever. */
void interest_note_look_up(struct interest *interest);
