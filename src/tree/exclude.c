/* SPDX-License-Identifier: MIT */
#include "tree/exclude.h"

#include "base/array.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What a part of a pattern stands for. */
struct pattern_step {
    enum step_kind {
        STEP_BYTE,        /* one byte */
        STEP_STAR,        /* bytes, any number of them, but not '/' */
        STEP_DIRECTORIES, /* any number of directories, each with its '/' behind it */
    } kind;
    /* A bit for each byte that it may be; that of '/' only where the pattern has a '/'. */
    uint8_t bytes[256 / 8];
};

/*
 * A rule's steps: the head, the last "**", and the tail, in which the number of slashes is known.
 * Without a "**" all of it is the tail, and matches from the root.
 */
struct rule {
    bool includes; /* "!" */
    bool is_for_directories;
    bool is_from_root;
    struct pattern_step *steps;
    size_t count, head_end, tail;
    size_t slashes; /* in the tail */
};

struct excludes {
    struct rule *rules;
    size_t count, room;
};

static bool has_byte(const struct pattern_step *step, unsigned char byte)
{
    return step->bytes[byte / 8] & 1 << byte % 8;
}

static void add_range(struct pattern_step *step, unsigned char first, unsigned char last)
{
    for (unsigned byte = first; byte <= last; byte++)
        step->bytes[byte / 8] |= (uint8_t)(1 << byte % 8);
}

/* Reading. What reads a part of a pattern returns where the next begins, or NULL: a mistake. */

static const char *read_byte(const char *at, unsigned char *ret)
{
    if (*at == '\\')
        at++;
    *ret = (unsigned char)*at;
    return *at ? at + 1 : NULL;
}

static bool add_class(struct pattern_step *step, const char *name, size_t length)
{
    static const struct {
        const char *name;
        const char *ranges; /* the first and the last byte of each */
    } classes[] = {
        {"alnum", "09AZaz"},   {"alpha", "AZaz"},
        {"blank", "\t\t  "},   {"cntrl", "\1\37\177\177"},
        {"digit", "09"},       {"graph", "!~"},
        {"lower", "az"},       {"print", " ~"},
        {"punct", "!/:@[`{~"}, {"space", "\t\n\r\r  "},
        {"upper", "AZ"},       {"xdigit", "09AFaf"},
    };

    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (strlen(classes[i].name) != length || memcmp(classes[i].name, name, length) != 0)
            continue;
        for (const char *range = classes[i].ranges; *range; range += 2)
            add_range(step, (unsigned char)range[0], (unsigned char)range[1]);
        return true;
    }
    return false;
}

/* From behind the '['. A ']' that comes first is a member. */
static const char *read_set(const char *at, struct pattern_step *step)
{
    bool negated = *at == '!' || *at == '^';
    unsigned char previous = 0; /* the byte before, with which a range may begin, or 0 */

    at += negated;
    do {
        bool is_class = at[0] == '[' && at[1] == ':';
        const char *end = is_class ? strchr(at + 2, ']') : NULL;
        if (is_class && !end)
            return NULL;
        if (is_class && end > at + 2 && end[-1] == ':') {
            if (!add_class(step, at + 2, (size_t)(end - 1 - (at + 2))))
                return NULL;
            previous = 0;
            at = end + 1;
            continue;
        }
        /* A byte, or "-" and the end of a range; a '[' without ":]" is like other bytes. */
        unsigned char first = *at == '-' && at[1] && at[1] != ']' ? previous : 0, last;
        at = read_byte(first ? at + 1 : at, &last);
        if (!at)
            return NULL;
        add_range(step, first ? first : last, last);
        previous = first ? 0 : last;
    } while (*at != ']');
    for (size_t i = 0; negated && i < sizeof step->bytes; i++)
        step->bytes[i] = (uint8_t)~step->bytes[i];
    step->bytes['/' / 8] &= (uint8_t) ~(1 << '/' % 8);
    return at + 1;
}

static struct pattern_step *add_step(struct rule *rule, enum step_kind kind)
{
    rule->steps[rule->count].kind = kind;
    return &rule->steps[rule->count++];
}

/* Two or more stars are more than one only where they stand between slashes. */
static const char *read_stars(const char *text, const char *at, struct rule *rule)
{
    size_t count = strspn(at, "*");
    const char *end = at + count;
    bool is_between = count > 1 && (at == text || at[-1] == '/');

    if (is_between && *end == '/') {
        add_step(rule, STEP_DIRECTORIES);
        return end + 1;
    }
    if (is_between && *end == '\0')
        add_step(rule, STEP_DIRECTORIES);
    add_step(rule, STEP_STAR);
    if (is_between && end[0] == '\\' && end[1] == '/') {
        /* git takes this for one directory or more */
        add_range(add_step(rule, STEP_BYTE), '/', '/');
        add_step(rule, STEP_DIRECTORIES);
        return end + 2;
    }
    return end;
}

static const char *read_step(const char *text, const char *at, struct rule *rule)
{
    unsigned char byte;

    if (*at == '*')
        return read_stars(text, at, rule);
    struct pattern_step *step = add_step(rule, STEP_BYTE);
    if (*at == '[')
        return read_set(at + 1, step);
    if (*at == '?') {
        add_range(step, 0, '/' - 1);
        add_range(step, '/' + 1, 255);
        return at + 1;
    }
    at = read_byte(at, &byte);
    add_range(step, byte, byte);
    return at;
}

/* Reads a pattern to RULE. Returns 1, or 0 for one with a mistake, which matches nothing, or
 * -ENOMEM. */
static int read_pattern(const char *text, struct rule *rule)
{
    bool is_name = !strchr(text, '/'); /* in any directory, not a path from the root */

    text += *text == '/';
    rule->steps = calloc(strlen(text) + 2, sizeof *rule->steps);
    if (!rule->steps)
        return -ENOMEM;
    if (is_name)
        add_step(rule, STEP_DIRECTORIES);
    for (const char *at = text; *at;) {
        at = read_step(text, at, rule);
        if (!at)
            return 0;
    }
    size_t tail = rule->count;
    for (; tail > 0 && rule->steps[tail - 1].kind != STEP_DIRECTORIES; tail--)
        rule->slashes += has_byte(&rule->steps[tail - 1], '/');
    rule->is_from_root = tail == 0;
    rule->tail = tail;
    rule->head_end = tail > 0 ? tail - 1 : 0;
    return 1;
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
    if (*line == '#')
        return 0;
    struct rule rule = {.includes = *line == '!'};
    line += rule.includes;
    size_t length = trimmed_length(line);
    rule.is_for_directories = length > 0 && line[length - 1] == '/';
    cleanup_free char *pattern = strndup(line, length - rule.is_for_directories);
    if (!pattern)
        return -ENOMEM;
    int r = array_grow(&excludes->rules, sizeof rule, excludes->count + 1, &excludes->room);
    if (r == 0)
        r = read_pattern(pattern, &rule);
    if (r > 0)
        excludes->rules[excludes->count++] = rule;
    else
        free(rule.steps);
    return r < 0 ? r : 0;
}

/* Takes the last rules away until there are COUNT. */
static void shorten(struct excludes *excludes, size_t count)
{
    while (excludes->count > count)
        free(excludes->rules[--excludes->count].steps);
}

int excludes_add_file(struct excludes *excludes, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf";
    cleanup_free char *line = NULL;
    size_t room = 0, count = excludes->count;
    ssize_t length;
    int r = 0;

    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    for (bool is_first = true; r == 0 && (length = getline(&line, &room, file)) >= 0;
         is_first = false) {
        char *end = line + length, *text = line;
        if (strlen(line) < (size_t)length) {
            r = -EINVAL;
            break;
        }
        if (end > line && end[-1] == '\n')
            *--end = '\0';
        if (end > line && end[-1] == '\r')
            *--end = '\0';
        if (is_first && strncmp(line, mark, strlen(mark)) == 0)
            text += strlen(mark);
        r = excludes_add(excludes, text);
    }
    if (r == 0 && (!feof(file) || ferror(file)))
        r = -errno;
    fclose(file);
    if (r < 0)
        shorten(excludes, count);
    return r;
}

int excludes_new(struct excludes **ret)
{
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void excludes_free(struct excludes *excludes)
{
    if (!excludes)
        return;
    shorten(excludes, 0);
    free(excludes->rules);
    free(excludes);
}

bool excludes_is_empty(const struct excludes *excludes)
{
    return excludes->count == 0;
}

/*
 * Matching. A star takes nothing at first, and a byte more each time that what comes behind it does
 * not match; the directories of a "**" grow likewise, one by one. Of either only the last one has
 * to be tried again: whatever an earlier star could take as well, the last one can, and so for
 * "**". To try all with all would take for ever.
 */

/* Which step is next, and where in the path; AT is NULL for no place. */
struct match_place {
    const char *at;
    size_t step;
};

struct pattern_match {
    const struct rule *rule;
    const char *end; /* of the path */
    struct match_place now, star, directories;
};

/* False: a mismatch. */
static bool take_step(struct pattern_match *match)
{
    struct match_place *now = &match->now;
    const struct pattern_step *step = &match->rule->steps[now->step++];

    switch (step->kind) {
    case STEP_STAR:
        match->star = *now;
        return true;
    case STEP_DIRECTORIES:
        match->star.at = NULL;
        match->directories = *now;
        return true;
    default:
        return now->at < match->end && has_byte(step, (unsigned char)*now->at++);
    }
}

/* False: there is nothing left to try. */
static bool go_back(struct pattern_match *match)
{
    struct match_place *star = &match->star, *directories = &match->directories;

    if (star->at && star->at < match->end && *star->at != '/') {
        star->at++;
        match->now = *star;
        return true;
    }
    if (!directories->at)
        return false;
    const char *slash = memchr(directories->at, '/', (size_t)(match->end - directories->at));
    if (!slash)
        return false;
    directories->at = slash + 1;
    match->now = *directories;
    return true;
}

/* The first place in PATH (to END) that the head can end at, or NULL. */
static const char *match_head(const struct rule *rule, const char *path, const char *end)
{
    struct pattern_match match = {.rule = rule, .end = end, .now = {path, 0}};

    while (match.now.step < rule->head_end) {
        if (!take_step(&match) && !go_back(&match))
            return NULL;
    }
    return match.now.at;
}

/* Returns true if the tail matches from where the head ended, or behind it, to END. */
static bool match_tail(const struct rule *rule, const char *from, const char *end)
{
    const char *start = end; /* it is known where the tail begins: so many names before END */

    if (from > end)
        return false;
    for (size_t slashes = 0;; slashes++) {
        const char *slash = memrchr(from, '/', (size_t)(start - from));
        if (slashes == rule->slashes) {
            start = slash ? slash + 1 : from;
            break;
        }
        if (!slash)
            return false;
        start = slash;
    }
    if (rule->is_from_root && start != from)
        return false;
    for (struct pattern_match match = {.rule = rule, .end = end, .now = {start, rule->tail}};;) {
        bool is_through = match.now.step == rule->count;
        if (is_through && match.now.at == end)
            return true;
        if ((is_through || !take_step(&match)) && !go_back(&match))
            return false;
    }
}

/* Returns true if one of the COUNT ends of PATH is excluded. ENDS is changed. */
static bool is_any_excluded(const struct excludes *excludes, const char *path, bool is_directory,
                            const char *ends[], size_t count)
{
    /* The last rule that matches decides; ENDS are those on which none has decided yet. */
    for (size_t at = excludes->count; at > 0 && count > 0; at--) {
        const struct rule *rule = &excludes->rules[at - 1];
        const char *from = match_head(rule, path, ends[count - 1]);
        size_t left = 0;
        for (size_t i = 0; from && i < count; i++) {
            bool is_kind = !rule->is_for_directories || *ends[i] == '/' || is_directory;
            if (!is_kind || !match_tail(rule, from, ends[i]))
                ends[left++] = ends[i];
            else if (!rule->includes)
                return true;
        }
        count = from ? left : count;
    }
    return false;
}

bool excludes_match_entry(const struct excludes *excludes, const char *path, bool is_directory)
{
    const char *ends[] = {path + strlen(path)};

    return is_any_excluded(excludes, path, is_directory, ends, *path ? 1 : 0);
}

/* Directories are asked about together, since a head is the same for all; many in several turns. */
bool excludes_match(const struct excludes *excludes, const char *path, bool is_directory)
{
    const char *ends[512], *end = path;

    while (*end) {
        size_t count = 0;
        while (*end && count < COUNT_OF(ends)) {
            end = strchrnul(end + 1, '/');
            ends[count++] = end;
        }
        if (is_any_excluded(excludes, path, is_directory, ends, count))
            return true;
    }
    return false;
}
