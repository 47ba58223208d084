/* SPDX-License-Identifier: MIT */
#include "sync/config.h"

#include "base/log.h"
#include "sync/keys.h"

#include <stdio.h>
#include <string.h>

static bool is_name(const char *name)
{
    return *name &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "._-") == strlen(name) &&
           *name != '.' && *name != '-';
}

static int begin_node(struct reading *reading, const char *set_name, const char *name)
{
    reading->set = sets_find(reading->sets, set_name);
    if (!reading->set)
        return REFUSE("[%s/%s]: write the section [%s] before its nodes", set_name, name, set_name);
    for (size_t i = 0; i < reading->set->count; i++) {
        if (strcmp(reading->set->nodes[i].name, name) == 0)
            return REFUSE("[%s/%s] is there already; write another name", set_name, name);
    }
    int r = set_add_node(reading->set, name, &reading->node);
    if (r == 0)
        reading->node->line = reading->place->line;
    return r;
}

static int begin_set(struct reading *reading, const char *name)
{
    reading->node = NULL;
    if (sets_find(reading->sets, name))
        return REFUSE("[%s] is there already; write another name", name);
    int r = sets_add(reading->sets, name, &reading->set);
    if (r == 0)
        reading->set->line = reading->place->line;
    return r;
}

/* What is wrong with a section is told of its own line. */
static int begin_section(struct reading *reading, const struct ini_place *place)
{
    const struct ini_place head = {place->path, place->section, 0, place->section_line};
    cleanup_free char *set_name = strdup(place->section);
    char *slash = set_name ? strchr(set_name, '/') : NULL;

    if (!set_name)
        return -ENOMEM;
    reading->place = &head;
    reading->section_line = place->section_line;
    reading->given[0] = '\0';
    if (slash)
        *slash++ = '\0';
    if (!is_name(set_name) || (slash && !is_name(slash)))
        return REFUSE("[%s]: write [SET] or [SET/NODE], names of letters, digits, . _ and -",
                      place->section);
    return slash ? begin_node(reading, set_name, slash) : begin_set(reading, set_name);
}

/* Whether KEY stands in the section for the first time. */
static bool is_first(struct reading *reading, const char *key)
{
    char word[64];
    size_t length = strlen(reading->given);

    snprintf(word, sizeof word, " %s ", key);
    if (strstr(reading->given, word))
        return false;
    snprintf(reading->given + length, sizeof reading->given - length, "%s", word);
    return true;
}

static int take_key(void *context, const struct ini_place *place, const char *name,
                    const char *value)
{
    struct reading *reading = context;
    const struct key *key = key_find(name);

    int r = place->section_line == reading->section_line ? 0 : begin_section(reading, place);
    if (r < 0)
        return r;
    reading->place = place;
    if (!key)
        return REFUSE("%s: unknown key; zfec-fs-sets(5) has them all", name);
    if (!(key->where & (reading->node ? IN_NODE : IN_SET)))
        return REFUSE("%s: write it in the section of a %s", name, reading->node ? "set" : "node");
    if (!key->many && !is_first(reading, name))
        return REFUSE("%s: it is there twice; leave one out", name);
    if (!*value)
        return REFUSE("%s: write a value behind the =", name);
    reading->key = name;
    return key->take(reading, key, value);
}

/* Whether a whole set makes sense. */

static int check_node(const char *path, const struct set *set, const struct node *node)
{
    const struct ini_place at = {path, NULL, 0, node->line};

    if (node->share < 0)
        return ini_refuse(&at, "[%s/%s]: which share? write share = 00, or another one", set->name,
                          node->name);
    if (node->mover == MOVER_NONE)
        return ini_refuse(&at, "[%s/%s]: where? write rsync = HOST:PATH or rclone = REMOTE:PATH",
                          set->name, node->name);
    return 0;
}

static unsigned shares_needed(const struct set *set)
{
    unsigned most = set->encoding.required;

    for (size_t i = 0; i < set->count; i++) {
        if ((unsigned)set->nodes[i].share >= most)
            most = (unsigned)set->nodes[i].share + 1;
    }
    return most;
}

static int check_set(const char *path, struct set *set)
{
    const struct ini_place at = {path, NULL, 0, set->line};
    const struct ini_place required_at = {path, NULL, 0, set->required_line};
    struct encoding *encoding = &set->encoding;

    if (!set->source)
        return ini_refuse(&at, "[%s]: of what? write source = DIR", set->name);
    if (encoding->required == 0)
        return ini_refuse(&at, "[%s]: write required = K, how many nodes are enough", set->name);
    for (size_t i = 0; i < set->count; i++) {
        int r = check_node(path, set, &set->nodes[i]);
        if (r < 0)
            return r;
    }
    if (encoding->required > set->count)
        return ini_refuse(&required_at, "required = %u: [%s] has %zu nodes; write more, or less",
                          encoding->required, set->name, set->count);
    if (encoding->shares == 0)
        encoding->shares = shares_needed(set);
    if (encoding->required > encoding->shares)
        return ini_refuse(&required_at, "required = %u: more than shares = %u", encoding->required,
                          encoding->shares);
    return 0;
}

int config_read(const char *path, struct sets *ret)
{
    struct reading reading = {.sets = ret};

    *ret = (struct sets){0};
    int r = ini_read(path, take_key, &reading);
    for (size_t i = 0; r == 0 && i < ret->count; i++)
        r = check_set(path, &ret->sets[i]);
    if (r == 0 && ret->count == 0) {
        log_error("%s: has no sets; zfec-fs-sets(5) says how to write them", path);
        r = -EINVAL;
    }
    return r;
}
