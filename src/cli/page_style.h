/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

/* How check's page looks: on a screen by day and by night, on a small one, and on paper. */
void page_style_print(FILE *out);
