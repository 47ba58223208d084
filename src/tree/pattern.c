/* SPDX-License-Identifier: MIT */
#include "tree/pattern.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <stdint.h>
#include <string.h>

/* What is between '[' and ']'. It never has '/': only a '/' in the pattern matches that. */
struct set {
    bool has[256];
};

enum step_kind {
    STEP_BYTE,        /* this byte */
    STEP_ANY,         /* a byte, but not '/' */
    STEP_SET,         /* a byte of the set */
    STEP_STAR,        /* bytes, any number of them, but not '/' */
    STEP_DIRECTORIES, /* any number of directories, each with its '/' behind it */
};

struct pattern_step {
    enum step_kind kind;
    unsigned char byte;
    size_t set; /* which of the pattern's */
};

/* Reading. What reads a part of it returns where the next begins, or NULL: a mistake. */

static const char *read_byte(const char *at, unsigned char *ret)
{
    if (*at == '\\')
        at++;
    *ret = (unsigned char)*at;
    return *at ? at + 1 : NULL;
}

static void add_range(struct set *set, unsigned char first, unsigned char last)
{
    for (unsigned byte = first; byte <= last; byte++)
        set->has[byte] = true;
}

static bool add_class(struct set *set, const char *name, size_t length)
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
            add_range(set, (unsigned char)range[0], (unsigned char)range[1]);
        return true;
    }
    return false;
}

/*
 * A byte, a class, or "-" and the end of a range. *PREVIOUS is the byte before, with which a range
 * may begin, or 0.
 */
static const char *read_member(const char *at, struct set *set, unsigned char *previous)
{
    if (at[0] == '[' && at[1] == ':') {
        const char *name = at + 2, *end = strchr(name, ']');
        if (!end)
            return NULL;
        if (end > name && end[-1] == ':') {
            *previous = 0;
            return add_class(set, name, (size_t)(end - 1 - name)) ? end + 1 : NULL;
        }
        /* no ":]" before the next ']': a '[' like other bytes */
    }
    unsigned char first = *at == '-' && at[1] && at[1] != ']' ? *previous : 0, last;
    at = read_byte(first ? at + 1 : at, &last);
    if (at)
        add_range(set, first ? first : last, last);
    *previous = first ? 0 : last;
    return at;
}

/* From behind the '['. A ']' that comes first is a member. */
static const char *read_set(const char *at, struct set *set)
{
    bool negated = *at == '!' || *at == '^';
    unsigned char previous = 0;

    at += negated;
    do {
        at = read_member(at, set, &previous);
        if (!at)
            return NULL;
    } while (*at != ']');
    for (unsigned byte = 0; byte < 256; byte++)
        set->has[byte] = set->has[byte] != negated;
    set->has['/'] = false;
    return at + 1;
}

static struct pattern_step *add_step(struct pattern *pattern, enum step_kind kind)
{
    struct pattern_step *step = &pattern->steps[pattern->step_count++];

    step->kind = kind;
    return step;
}

/* Two or more stars are more than one only where they stand between slashes. */
static const char *read_stars(const char *text, const char *at, struct pattern *pattern)
{
    size_t count = strspn(at, "*");
    const char *end = at + count;
    bool is_between = count > 1 && (at == text || at[-1] == '/');

    if (is_between && *end == '/') {
        add_step(pattern, STEP_DIRECTORIES);
        return end + 1;
    }
    if (is_between && *end == '\0')
        add_step(pattern, STEP_DIRECTORIES);
    add_step(pattern, STEP_STAR);
    if (is_between && end[0] == '\\' && end[1] == '/') {
        /* git takes this for one directory or more */
        add_step(pattern, STEP_BYTE)->byte = '/';
        add_step(pattern, STEP_DIRECTORIES);
        return end + 2;
    }
    return end;
}

static const char *read_step(const char *text, const char *at, struct pattern *pattern)
{
    switch (*at) {
    case '*':
        return read_stars(text, at, pattern);
    case '?':
        add_step(pattern, STEP_ANY);
        return at + 1;
    case '[':
        add_step(pattern, STEP_SET)->set = pattern->set_count;
        return read_set(at + 1, &pattern->sets[pattern->set_count++]);
    default:
        return read_byte(at, &add_step(pattern, STEP_BYTE)->byte);
    }
}

static void divide(struct pattern *pattern)
{
    size_t i = pattern->step_count;

    for (; i > 0 && pattern->steps[i - 1].kind != STEP_DIRECTORIES; i--)
        pattern->slashes +=
            pattern->steps[i - 1].kind == STEP_BYTE && pattern->steps[i - 1].byte == '/';
    pattern->is_from_root = i == 0;
    pattern->tail = i;
    pattern->head_end = i > 0 ? i - 1 : 0;
}

void pattern_clear(struct pattern *pattern)
{
    free(pattern->steps);
    free(pattern->sets);
    *pattern = (struct pattern){0};
}

/* Returns 1, or 0 for a pattern that matches nothing, or -ENOMEM. */
int pattern_read(const char *text, bool is_name, struct pattern *pattern)
{
    size_t sets = 0;

    for (const char *at = text; (at = strchr(at, '[')); at++)
        sets++;
    pattern->steps = calloc(strlen(text) + 2, sizeof *pattern->steps);
    pattern->sets = calloc(sets + 1, sizeof *pattern->sets);
    if (!pattern->steps || !pattern->sets)
        return -ENOMEM;
    if (is_name)
        add_step(pattern, STEP_DIRECTORIES);
    for (const char *at = text; *at;) {
        at = read_step(text, at, pattern);
        if (!at)
            return 0;
    }
    divide(pattern);
    return 1;
}

/*
 * Matching. A star takes nothing at first, and a byte more each time that what comes behind it does
 * not match; the directories of a "**" grow likewise, one by one. Of either only the last one has
 * to be tried again: whatever an earlier star could take as well, the last one can, and so for
 * "**". To try all with all would take for ever.
 */

/* Which step is next, and where in the path; AT is NULL for no place. */
struct pattern_place {
    const char *at;
    size_t step;
};

struct pattern_attempt {
    const struct pattern *pattern;
    const char *end; /* of the path */
    struct pattern_place now, star, directories;
};

static bool accepts(const struct pattern *pattern, const struct pattern_step *step, char byte)
{
    switch (step->kind) {
    case STEP_BYTE:
        return (unsigned char)byte == step->byte;
    case STEP_SET:
        return pattern->sets[step->set].has[(unsigned char)byte];
    default:
        return byte != '/';
    }
}

/* False: a mismatch. */
static bool take_step(struct pattern_attempt *attempt)
{
    struct pattern_place *now = &attempt->now;
    const struct pattern_step *step = &attempt->pattern->steps[now->step++];

    switch (step->kind) {
    case STEP_STAR:
        attempt->star = *now;
        return true;
    case STEP_DIRECTORIES:
        attempt->star.at = NULL;
        attempt->directories = *now;
        return true;
    default:
        return now->at < attempt->end && accepts(attempt->pattern, step, *now->at++);
    }
}

/* False: there is nothing left to try. */
static bool go_back(struct pattern_attempt *attempt)
{
    struct pattern_place *star = &attempt->star, *directories = &attempt->directories;

    if (star->at && star->at < attempt->end && *star->at != '/') {
        star->at++;
        attempt->now = *star;
        return true;
    }
    if (!directories->at)
        return false;
    const char *slash = memchr(directories->at, '/', (size_t)(attempt->end - directories->at));
    if (!slash)
        return false;
    directories->at = slash + 1;
    attempt->now = *directories;
    return true;
}

const char *pattern_match_head(const struct pattern *pattern, const char *path, const char *end)
{
    struct pattern_attempt attempt = {.pattern = pattern, .end = end, .now = {path, 0}};

    while (attempt.now.step < pattern->head_end) {
        if (!take_step(&attempt) && !go_back(&attempt))
            return NULL;
    }
    return attempt.now.at;
}

/* Where the last SLASHES + 1 names of FROM..END begin, or NULL. */
static const char *last_names(const char *from, const char *end, size_t slashes)
{
    for (;;) {
        const char *slash = memrchr(from, '/', (size_t)(end - from));
        if (!slash)
            return slashes == 0 ? from : NULL;
        if (slashes == 0)
            return slash + 1;
        slashes--;
        end = slash;
    }
}

/* FROM: where the head ended. It is known where the tail has to begin: so many names before END. */
bool pattern_match_tail(const struct pattern *pattern, const char *from, const char *end)
{
    const char *start = from <= end ? last_names(from, end, pattern->slashes) : NULL;
    struct pattern_attempt attempt = {
        .pattern = pattern, .end = end, .now = {start, pattern->tail}};

    if (!start || (pattern->is_from_root && start != from))
        return false;
    for (;;) {
        bool is_through = attempt.now.step == pattern->step_count;
        if (is_through && attempt.now.at == end)
            return true;
        if ((is_through || !take_step(&attempt)) && !go_back(&attempt))
            return false;
    }
}
