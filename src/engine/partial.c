/* SPDX-License-Identifier: MIT */
#include "engine/partial.h"

#include "base/number.h"
#include "engine/visit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX ".partial"

char *partial_path(const char *path, unsigned number)
{
    const char *name = visit_last_name(path);
    char hash[sizeof "~0123456789abcdef"] = "";
    char suffix[sizeof SUFFIX "." + 3 * sizeof number] = SUFFIX;
    size_t length = strlen(name);
    char *ret;

    if (number > 1)
        snprintf(suffix, sizeof suffix, SUFFIX ".%u", number);
    if (length + strlen(suffix) > NAME_MAX) {
        uint64_t fnv = 0xcbf29ce484222325; /* FNV-1a */
        for (size_t i = 0; i < length; i++)
            fnv = (fnv ^ (uint8_t)name[i]) * 0x100000001b3;
        snprintf(hash, sizeof hash, "~%016" PRIx64, fnv);
        length = NAME_MAX - strlen(hash) - strlen(suffix);
        while (length > 1 && ((uint8_t)name[length] & 0xc0) == 0x80) /* within a character */
            length--;
    }
    length += (size_t)(name - path);
    return asprintf(&ret, "%.*s%s%s", (int)length, path, hash, suffix) < 0 ? NULL : ret;
}

/* Takes ".partial" or ".partial.2" from the end of NAME. Returns the length of what is left; 0:
 * there is no such end. */
static size_t take_suffix(const char *name, unsigned long *ret_number)
{
    const char *at = NULL, *end;

    for (const char *next = name; (next = strstr(next, SUFFIX)); next++)
        at = next;
    *ret_number = 1;
    if (!at)
        return 0;
    end = at + strlen(SUFFIX);
    if (*end == '.' && number_read(end + 1, 2, PARTIAL_MAX, ret_number, &end) < 0)
        return 0;
    return *end ? 0 : (size_t)(at - name);
}

/* Returns the name among NAMES that was too long for NAME to begin with; NULL: there is none. */
static const char *find_cut(const char *name, unsigned number, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *whole = names_get(names, i);
        if (strlen(whole) + strlen(SUFFIX ".100") <= NAME_MAX)
            continue;
        cleanup_free char *cut = partial_path(whole, number);
        if (cut && strcmp(cut, name) == 0)
            return whole;
    }
    return NULL;
}

int partial_find_whole(const struct copy_settings *settings, const struct target *target,
                       const char *directory, const char *name, const struct names *names,
                       char **ret)
{
    const char *cut = NULL;
    unsigned long number;

    *ret = NULL;
    size_t length = target->share == TARGET_WHOLE ? take_suffix(name, &number) : 0;
    if (length == 0)
        return 0;
    cleanup_free char *whole = strndup(name, length);
    if (whole && !names_have(names, whole))
        cut = find_cut(name, (unsigned)number, names);
    cleanup_free char *path = whole ? visit_join(directory, cut ? cut : whole) : NULL;
    if (!path)
        return -ENOMEM;
    if (cut || names_have(names, whole) ||
        (settings->keeps && settings->keeps(settings->context, path)))
        *ret = steal_pointer(path);
    return 0;
}
