/* SPDX-License-Identifier: MIT */
#include "tree/pictures.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* U+2400 and what follows are pictures of the bytes from 0; all have the first two bytes in common.
 */
#define PICTURE "\xe2\x90"
#define QUOTE   "\xe2\x80\x9b" /* ‛ */

enum {
    FIRST = 0x80, /* the third byte of U+2400 */
    DELETE = 0x7f,
    PICTURE_OF_DELETE = 0x21, /* U+2421 */
    LENGTH = 3,
};

/* Returns the byte that has its picture at TEXT; 0 where there is none, and for that of 0, which no
 * name has. */
static unsigned char byte_of(const char *text)
{
    if (strncmp(text, PICTURE, strlen(PICTURE)) != 0)
        return 0;
    const int number = (unsigned char)text[strlen(PICTURE)] - FIRST;
    if (number == PICTURE_OF_DELETE)
        return DELETE;
    return number > 0 && number < ' ' ? (unsigned char)number : 0;
}

static bool is_quote(const char *text)
{
    return strncmp(text, QUOTE, LENGTH) == 0;
}

/* A quote before a quote is one that is quoted, or two: rclone sends no single ones. */
void pictures_undo(char *text)
{
    char *to = text;

    while (*text) {
        const unsigned char byte = byte_of(text);
        const bool quotes = is_quote(text);
        size_t length = quotes && is_quote(text + LENGTH) ? 2 * LENGTH : 1;
        if (byte > 0) {
            *to++ = (char)byte;
            text += LENGTH;
            continue;
        }
        if (quotes && byte_of(text + LENGTH) > 0) {
            text += LENGTH;
            length = LENGTH;
        }
        memmove(to, text, length);
        to += length;
        text += length;
    }
    *to = '\0';
}

int pictures_spell(const char *text, char **ret)
{
    const char *at = text;

    *ret = NULL;
    while (*at && !((unsigned char)*at < ' ' || *at == DELETE || byte_of(at) > 0))
        at++;
    if (!*at)
        return 0;
    char *to = *ret = malloc(strlen(text) * 2 * LENGTH + 1);
    if (!to)
        return -ENOMEM;
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < ' ' || byte == DELETE) {
            to = stpcpy(to, PICTURE);
            *to++ = (char)(FIRST + (byte == DELETE ? PICTURE_OF_DELETE : byte));
            continue;
        }
        if (byte_of(text) > 0)
            to = stpcpy(to, QUOTE);
        *to++ = *text;
    }
    *to = '\0';
    return 0;
}
