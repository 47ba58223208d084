/* SPDX-License-Identifier: MIT */
#include "tree/exclude.h"

#include "base/array.h"
#include "tree/pattern.h"

#include <stdio.h>
#include <string.h>

struct rule {
    bool includes; /* "!" */
    bool is_for_directories;
    struct pattern pattern;
};

struct excludes {
    struct rule *rules;
    size_t count, room;
};

static void clear_rule(struct rule *rule)
{
    pattern_clear(&rule->pattern);
}

/* LINE: without spaces at its end; it is changed. */
static int read_rule(char *line, struct rule *rule)
{
    rule->includes = *line == '!';
    line += rule->includes;
    size_t length = strlen(line);
    rule->is_for_directories = length > 0 && line[length - 1] == '/';
    if (rule->is_for_directories)
        line[length - 1] = '\0';
    bool is_name = !strchr(line, '/'); /* in any directory, not a path from the root */
    return pattern_read(*line == '/' ? line + 1 : line, is_name, &rule->pattern);
}

static int keep_rule(struct excludes *excludes, struct rule *rule)
{
    if (excludes->count == excludes->room) {
        size_t wider = excludes->room ? 2 * excludes->room : 16;
        struct rule *grown = reallocarray(excludes->rules, wider, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        excludes->rules = grown;
        excludes->room = wider;
    }
    excludes->rules[excludes->count++] = *rule;
    *rule = (struct rule){0};
    return 0;
}

/* Without the spaces at its end, of which one behind a '\' is none. */
static size_t trimmed_length(const char *line)
{
    size_t kept = 0;

    for (size_t i = 0; line[i]; i++) {
        bool is_space = line[i] == ' ';
        if (line[i] == '\\' && line[i + 1])
            i++;
        if (!is_space)
            kept = i + 1;
    }
    return kept;
}

int excludes_add(struct excludes *excludes, const char *line)
{
    CLEANUP(clear_rule) struct rule rule = {0};

    if (*line == '#')
        return 0;
    cleanup_free char *trimmed = strndup(line, trimmed_length(line));
    if (!trimmed)
        return -ENOMEM;
    int r = read_rule(trimmed, &rule);
    return r > 0 ? keep_rule(excludes, &rule) : r;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* LINE has LENGTH bytes, and a NUL behind them. */
static int add_line(struct excludes *excludes, char *line, size_t length, bool is_first)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t skipped = is_first && strncmp(line, mark, strlen(mark)) == 0 ? strlen(mark) : 0;

    if (strlen(line) < length)
        return -EINVAL;
    if (length > 0 && line[length - 1] == '\n')
        line[--length] = '\0';
    if (length > 0 && line[length - 1] == '\r')
        line[--length] = '\0';
    return excludes_add(excludes, line + skipped);
}

static int add_lines(struct excludes *excludes, FILE *file)
{
    cleanup_free char *line = NULL;
    size_t room = 0;
    ssize_t length;

    for (bool is_first = true; (length = getline(&line, &room, file)) >= 0; is_first = false) {
        int r = add_line(excludes, line, (size_t)length, is_first);
        if (r < 0)
            return r;
    }
    return feof(file) && !ferror(file) ? 0 : -errno;
}

/* Takes the last rules away until there are COUNT. */
static void shorten(struct excludes *excludes, size_t count)
{
    while (excludes->count > count)
        clear_rule(&excludes->rules[--excludes->count]);
}

int excludes_add_file(struct excludes *excludes, const char *path)
{
    CLEANUP(close_file) FILE *file = fopen(path, "re");
    size_t count = excludes->count;

    if (!file)
        return -errno;
    int r = add_lines(excludes, file);
    if (r < 0)
        shorten(excludes, count);
    return r;
}

int excludes_new(struct excludes **ret)
{
    struct excludes *excludes = calloc(1, sizeof *excludes);

    if (!excludes)
        return -ENOMEM;
    *ret = excludes;
    return 0;
}

void excludes_free(struct excludes *excludes)
{
    if (!excludes)
        return;
    shorten(excludes, 0);
    free(excludes->rules);
    free(excludes);
}

/*
 * A path, and where those of its directories end, and itself, on which no rule has decided yet.
 * They are asked about together, since a head is the same for all; for a path of very many
 * directories in several turns.
 */
struct exclude_question {
    const char *path;
    bool is_directory;
    size_t count;
    const char *ends[512];
};

/* Returns true if it excludes one of them. Those that it includes are decided on. */
static bool apply(const struct rule *rule, struct exclude_question *question)
{
    const char *from =
        pattern_match_head(&rule->pattern, question->path, question->ends[question->count - 1]);
    size_t left = 0;

    if (!from)
        return false;
    for (size_t i = 0; i < question->count; i++) {
        const char *end = question->ends[i];
        bool is_directory = *end == '/' || question->is_directory;
        if ((rule->is_for_directories && !is_directory) ||
            !pattern_match_tail(&rule->pattern, from, end))
            question->ends[left++] = end;
        else if (!rule->includes)
            return true;
    }
    question->count = left;
    return false;
}

/* The last rule that matches decides. */
static bool is_any_excluded(const struct excludes *excludes, struct exclude_question *question)
{
    for (size_t i = excludes->count; i > 0 && question->count > 0; i--) {
        if (apply(&excludes->rules[i - 1], question))
            return true;
    }
    return false;
}

bool excludes_match_entry(const struct excludes *excludes, const char *path, bool is_directory)
{
    struct exclude_question question;

    question.path = path;
    question.is_directory = is_directory;
    question.count = *path ? 1 : 0;
    question.ends[0] = path + strlen(path);
    return is_any_excluded(excludes, &question);
}

bool excludes_match(const struct excludes *excludes, const char *path, bool is_directory)
{
    struct exclude_question question;
    const char *end = path;

    question.path = path;
    question.is_directory = is_directory;
    while (*end) {
        for (question.count = 0; *end && question.count < COUNT_OF(question.ends);) {
            end = strchrnul(end + 1, '/');
            question.ends[question.count++] = end;
        }
        if (is_any_excluded(excludes, &question))
            return true;
    }
    return false;
}

bool excludes_is_empty(const struct excludes *excludes)
{
    return excludes->count == 0;
}
