/* SPDX-License-Identifier: MIT */
#include "trust/attribute.h"

#include <string.h>

static bool same_value(const struct xattr *a, const struct xattr *b)
{
    return a && b ? a->size == b->size && memcmp(a->value, b->value, a->size) == 0 : a == b;
}

/* Different votes for a value (NULL: for absence). */
static unsigned count_values(const struct attribute_vote votes[], size_t count,
                             const struct xattr *value)
{
    unsigned found = 0;

    for (size_t i = 0; i < count; i++) {
        bool counts = votes[i].voter >= 0 && same_value(votes[i].value, value);
        for (size_t j = 0; j < i && counts; j++)
            counts = votes[j].voter != votes[i].voter || !same_value(votes[j].value, value);
        found += counts;
    }
    return found;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

const struct xattr *attribute_rule(const struct attribute_vote votes[], size_t count,
                                   const char *name, unsigned required)
{
    unsigned most = 0, absent = count_values(votes, count, NULL);
    bool special = begins_with(name, "security.") || begins_with(name, "trusted.");
    const struct xattr *best = NULL;

    for (size_t i = 0; i < count; i++) {
        unsigned found = votes[i].value ? count_values(votes, count, votes[i].value) : 0;
        if (found > most) {
            best = votes[i].value;
            most = found;
        }
    }
    bool taken = begins_with(name, "system.") ? most > absent : most >= absent;
    return taken && (!special || most >= required) ? best : NULL;
}
