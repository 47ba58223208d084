/* SPDX-License-Identifier: MIT */
/* What --help and --version print. */
#pragma once

void help_print(void);
void version_print(const char *library_version);
