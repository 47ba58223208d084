/* SPDX-License-Identifier: MIT */
/* What --help and --version print. */
#pragma once

/* Return 0, or a negative errno where standard output takes it not. */
int help_print(void);
int version_print(const char *library_version);
