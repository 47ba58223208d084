/* SPDX-License-Identifier: MIT */
/* Parsing of numbers in arguments and settings. */
#pragma once

/*
 * A whole number in plain digits, from LEAST to MOST; *END is what is behind it. Returns 0 or
 * -EINVAL.
 */
int number_read(const char *text, unsigned long least, unsigned long most, unsigned long *ret,
                const char **end);

/* Two hex digits, as directories of shares are called; *END is what is behind them. The same. */
int number_read_share(const char *text, unsigned *ret, const char **end);

/* A part of a whole, above 0 and at most 1: "5%" or "0.05". The same. */
int number_read_part(const char *text, double *ret);
