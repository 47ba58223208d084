/* SPDX-License-Identifier: MIT */
/* Reads INI files: [section], and key = value beneath it; a line that begins with ; or # is none.
 */
#pragma once

/* Where something stands. */
struct ini_place {
    const char *path;      /* of the file */
    const char *section;   /* what is between the brackets */
    unsigned section_line; /* of that; lines count from 1 */
    unsigned line;
};

/* Returns 0, or a negative errno after one line in the log; that ends the reading. */
typedef int ini_take(void *context, const struct ini_place *place, const char *key,
                     const char *value);

/*
 * Calls TAKE for each key of the file PATH, in their order. Returns 0, what TAKE returned, or a
 * negative errno after one line in the log: -EINVAL for what is no INI file.
 */
int ini_read(const char *path, ini_take *take, void *context);

/* Logs "FILE:LINE: ..." and returns -EINVAL. */
int ini_refuse(const struct ini_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
