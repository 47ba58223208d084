/* SPDX-License-Identifier: MIT */
/*
 * What check found as one page of HTML that needs nothing else: no script, no image, no network.
 * All that a person wants to know stands in words and numbers; colours only repeat it.
 */
#pragma once

#include "cli/findings.h"

#include <stdio.h>
#include <time.h>

struct page_facts {
    time_t time;    /* when check ended */
    double seconds; /* how long it took */
};

void page_print(FILE *out, const struct findings *findings, const struct page_facts *facts);
