/* SPDX-License-Identifier: MIT */
#include "choice/contest.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

enum {
    /* More than these cost too much; scattered damage in many copies can make so many. */
    PATTERNS_MAX = 4096,
};

/* What a copy says of a stripe. */
struct word {
    uint8_t group; /* blocks with one digest; 0: it has no block that counts */
    uint8_t index; /* of its share */
};

/* Who agreed with whom in a stripe. */
struct pattern {
    unsigned groups;    /* 1..groups */
    unsigned given;     /* the one that the stripe came from; 0: one that is gone */
    struct word *words; /* of each copy */
};

void contest_clear(struct contest *contest)
{
    for (size_t i = 0; i < contest->count; i++)
        free(contest->patterns[i].words);
    free(contest->patterns);
    contest->patterns = NULL;
    contest->count = contest->room = 0;
}

static bool has_digest(const struct gather_copy *copy, const uint8_t digest[HASH_SIZE])
{
    return copy->block == BLOCK_GOOD && memcmp(copy->digest, digest, HASH_SIZE) == 0;
}

/* Numbers, as the next group, the copies that have this digest. */
static void add_group(struct pattern *pattern, const struct gather *gather,
                      const uint8_t digest[HASH_SIZE], const size_t copies[])
{
    pattern->groups++;
    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (has_digest(copy, digest))
            pattern->words[copies[i]] = (struct word){
                .group = (uint8_t)pattern->groups,
                .index = (uint8_t)copy->index,
            };
    }
}

/*
 * Adds the groups of several shares, or those of one. PLACES are those of the copies, in whose
 * order it goes. Where there are very many groups, some of one share are left out.
 */
static void add_groups(struct pattern *pattern, const struct gather *gather, const size_t copies[],
                       const size_t places[], bool several)
{
    for (size_t i = 0; i < gather->count && pattern->groups < UINT8_MAX; i++) {
        const struct gather_copy *copy = &gather->copies[places[i]];
        if (copy->block != BLOCK_GOOD || pattern->words[i].group != 0)
            continue;
        unsigned shares = gather_count(gather, copy->digest);
        if (shares > 0 && (shares > 1) == several)
            add_group(pattern, gather, copy->digest, copies);
    }
}

/* Groups get their numbers in the order of the copies': the same words are the same pattern. */
static int make_pattern(const struct contest *contest, const struct gather *gather,
                        const size_t copies[], struct pattern *ret)
{
    cleanup_free size_t *places = calloc(contest->copies + 1, sizeof *places);

    *ret = (struct pattern){.words = calloc(contest->copies + 1, sizeof(struct word))};
    if (!places || !ret->words) {
        free(ret->words);
        return -ENOMEM;
    }
    for (size_t i = 0; i < gather->count; i++)
        places[copies[i]] = i;
    add_groups(ret, gather, copies, places, true);
    add_groups(ret, gather, copies, places, false);
    return 0;
}

static bool is_known(const struct contest *contest, const struct pattern *pattern)
{
    size_t size = contest->copies * sizeof *pattern->words;

    for (size_t i = 0; i < contest->count; i++) {
        const struct pattern *known = &contest->patterns[i];
        if (known->given == pattern->given && memcmp(known->words, pattern->words, size) == 0)
            return true;
    }
    return false;
}

/* Takes the pattern over. */
static int keep(struct contest *contest, struct pattern *pattern)
{
    if (contest->count >= PATTERNS_MAX) {
        contest->blind = true;
        free(pattern->words);
        return 0;
    }
    if (contest->count == contest->room) {
        size_t room = contest->room * 2 + 16;
        struct pattern *patterns = reallocarray(contest->patterns, room, sizeof *patterns);
        if (!patterns) {
            free(pattern->words);
            return -ENOMEM;
        }
        contest->patterns = patterns;
        contest->room = room;
    }
    contest->patterns[contest->count++] = *pattern;
    return 0;
}

int contest_note(struct contest *contest, const struct gather *gather, const size_t copies[],
                 const uint8_t given[HASH_SIZE])
{
    struct pattern pattern;

    int r = make_pattern(contest, gather, copies, &pattern);
    if (r < 0)
        return r;
    for (size_t i = 0; i < gather->count; i++) {
        if (has_digest(&gather->copies[i], given))
            pattern.given = pattern.words[copies[i]].group;
    }
    if (is_known(contest, &pattern)) {
        free(pattern.words);
        return 0;
    }
    return keep(contest, &pattern);
}

/* How many different shares of these copies were for what was given. */
static unsigned count_given(const struct contest *contest, const struct pattern *pattern,
                            const bool members[])
{
    bool seen[256] = {false};
    unsigned count = 0;

    for (size_t i = 0; i < contest->copies; i++) {
        const struct word *word = &pattern->words[i];
        if (!members[i] || word->group == 0 || word->group != pattern->given || seen[word->index])
            continue;
        seen[word->index] = true;
        count++;
    }
    return count;
}

/*
 * Whether nothing shows that MEMBERS are of the content that was given here: fewer than two of them
 * were for it. One share alone may be a block from another place.
 */
static bool has_nothing_in_common(const struct contest *contest, const struct pattern *pattern,
                                  const bool members[])
{
    unsigned common = count_given(contest, pattern, members);

    return common < 2 && common < contest->required;
}

/* A stripe that is to be had, and the groups of its blocks. */
struct choice {
    const struct contest *contest;
    struct pattern pattern;
    struct group {
        unsigned shares, trusted;
        size_t place; /* of one of its blocks */
    } groups[UINT8_MAX + 1];
    bool *members; /* copies: of the group that is looked at */
};

static void clear_choice(struct choice *choice)
{
    free(choice->pattern.words);
    free(choice->members);
}

static int start_choice(struct choice *choice, const struct gather *gather, const size_t copies[])
{
    choice->members = calloc(choice->contest->copies + 1, sizeof(bool));
    if (!choice->members)
        return -ENOMEM;
    int r = make_pattern(choice->contest, gather, copies, &choice->pattern);
    for (size_t i = 0; r == 0 && i < gather->count; i++) {
        unsigned group = choice->pattern.words[copies[i]].group;
        const uint8_t *digest = gather->copies[i].digest;
        if (group != 0 && choice->groups[group].shares == 0)
            choice->groups[group] = (struct group){
                .shares = gather_count(gather, digest),
                .trusted = gather_count_trusted(gather, digest),
                .place = i,
            };
    }
    return r;
}

/* Whether two shares agree on something else than GROUP. */
static bool is_opposed(const struct choice *choice, unsigned group)
{
    for (unsigned other = 1; other <= choice->pattern.groups; other++) {
        if (other != group && choice->groups[other].shares >= 2)
            return true;
    }
    return false;
}

static bool may_take(struct choice *choice, unsigned group)
{
    const struct contest *contest = choice->contest;

    if (!is_opposed(choice, group))
        return true;
    for (size_t i = 0; i < contest->copies; i++)
        choice->members[i] = choice->pattern.words[i].group == group;
    for (size_t i = 0; i < contest->count; i++) {
        if (has_nothing_in_common(contest, &contest->patterns[i], choice->members))
            return false;
    }
    return !contest->blind;
}

/* Below 0 where A is the better group, 0 where they are equal. */
static int compare(const struct group *a, const struct group *b)
{
    if (a->trusted != b->trusted)
        return a->trusted > b->trusted ? -1 : 1;
    return (a->shares < b->shares) - (a->shares > b->shares);
}

int contest_choose(const struct contest *contest, const struct gather *gather,
                   const size_t copies[], size_t *ret_place)
{
    CLEANUP(clear_choice) struct choice choice = {.contest = contest};
    const struct group *best = NULL;
    bool complete = false, tied = false;

    int r = start_choice(&choice, gather, copies);
    if (r < 0)
        return r;
    for (unsigned i = 1; i <= choice.pattern.groups; i++) {
        const struct group *group = &choice.groups[i];
        if (group->shares < contest->required)
            continue;
        complete = true;
        if (!may_take(&choice, i))
            continue;
        int order = best ? compare(group, best) : -1;
        tied = order == 0 || (tied && order > 0);
        best = order < 0 ? group : best;
    }
    if (!best || tied)
        return complete ? -EBADMSG : -ENODATA;
    *ret_place = best->place;
    return 0;
}
