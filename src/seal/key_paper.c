/* SPDX-License-Identifier: MIT */
#include "seal/key_paper.h"

#include "share/block.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { GROUP = 4, LINE_DIGITS = 32, CHECK_DIGITS = 4, LINE_SIZE = 96 };

#define FIRST_LINE "zfec-fs key 1"
#define NUMBERS    "argon2id" /* the only line that is not hex */

/* Computes the check of line NUMBER, "LABEL DIGITS". */
static void make_check(const char *line, unsigned number, char ret[CHECK_DIGITS + 1])
{
    uint8_t hashed[HASH_SIZE];

    hash(line, strlen(line), number, hashed);
    snprintf(ret, CHECK_DIGITS + 1, "%02x%02x", hashed[0], hashed[1]);
}

/* Adds a line of COUNT characters of DIGITS. */
static char *put_line(char *at, const char *label, const char *digits, size_t count,
                      unsigned number)
{
    const bool grouped = strcmp(label, NUMBERS) != 0;
    char line[LINE_SIZE], check[CHECK_DIGITS + 1];

    char *end = stpcpy(stpcpy(line, label), " ");
    memcpy(end, digits, count);
    end[count] = '\0';
    make_check(line, number, check);
    explicit_bzero(line, sizeof line);
    at += sprintf(at, "%-10s ", label);
    for (size_t i = 0; i < count; i++) {
        if (grouped && i > 0 && i % GROUP == 0)
            *at++ = ' ';
        *at++ = digits[i];
    }
    return stpcpy(stpcpy(stpcpy(at, "  "), check), "\n");
}

size_t key_paper_write(const struct master_key *key, char ret[KEY_PAPER_SIZE])
{
    cleanup_secret char *text = seal_alloc(KEY_TEXT_SIZE);
    char *end = stpcpy(ret, FIRST_LINE "\n"), label[LINE_SIZE];
    unsigned number = 1;

    if (!text)
        return 0;
    text[key_text_write(key, text)] = '\0';
    for (const char *at = strchr(text, '\n') + 1; *at; at++) {
        const size_t length = strcspn(at, " ");
        snprintf(label, sizeof label, "%.*s", (int)length, at);
        at += length + 1;
        for (size_t left = strcspn(at, "\n"); left > 0;) {
            const size_t count = left < LINE_DIGITS ? left : LINE_DIGITS;
            end = put_line(end, label, at, count, ++number);
            at += count;
            left -= count;
        }
    }
    return (size_t)(end - ret);
}

/* Removes the spaces between groups of digits, which extend to the end of the text. */
static void join(char *digits)
{
    char *end = digits;

    for (const char *at = digits; *at; at++) {
        const char digit = *at;
        if (digit != ' ')
            *end++ = (char)(digit == 'o' ? '0' : digit == 'i' || digit == 'l' ? '1' : digit);
    }
    *end = '\0';
}

/*
 * Changes LINE, which is tidy, to "LABEL DIGITS" without its check. Returns true if that matched.
 */
static bool check_line(char *line, unsigned number)
{
    char check[CHECK_DIGITS + 1];
    char *digits = strchr(line, ' '), *last = strrchr(line, ' ');

    if (!digits || digits == last)
        return false;
    *last++ = '\0';
    join(last);
    if (strncmp(line, NUMBERS " ", sizeof NUMBERS) != 0)
        join(digits + 1);
    make_check(line, number, check);
    return strcmp(check, last) == 0;
}

/* Lower-cases LINE, makes each run of blanks between words one space, and trims both ends. */
static void tidy(char *line)
{
    char *end = line;

    for (const char *at = line; *at; at++) {
        if (!isspace((unsigned char)*at))
            *end++ = (char)tolower((unsigned char)*at);
        else if (end > line && end[-1] != ' ')
            *end++ = ' ';
    }
    end -= end > line && end[-1] == ' ';
    *end = '\0';
}

/* Adds LINE to TEXT, or only its digits if the line before has the same label. */
static bool add_line(char *text, const char *line)
{
    const size_t label = strcspn(line, " ") + 1, length = strlen(text);
    const char *before = memrchr(text, '\n', length);
    const bool goes_on = before && strncmp(before + 1, line, label) == 0;

    if (length + strlen(line) + 2 > KEY_TEXT_SIZE)
        return false;
    strcat(text, goes_on ? "" : "\n");
    strcat(text, goes_on ? line + label : line);
    return true;
}

unsigned key_paper_read(char *paper, struct master_key *ret)
{
    cleanup_secret char *text = seal_alloc(KEY_TEXT_SIZE);
    unsigned number = 0;
    bool ended = false;

    for (char *line; text && !ended && (line = strsep(&paper, "\n"));) {
        tidy(line);
        if (!*line)
            continue;
        if (number == 0) {
            number = strcmp(line, FIRST_LINE) == 0;
            strcpy(text, number > 0 ? FIRST_LINE : "");
            continue;
        }
        number++;
        if (!check_line(line, number) || !add_line(text, line))
            return number;
        ended = strncmp(line, "check ", 6) == 0;
    }
    if (!text || !ended)
        return number + 1;
    strcat(text, "\n");
    return key_text_read(text, strlen(text), ret) > 0 ? number : 0;
}
