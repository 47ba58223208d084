/* SPDX-License-Identifier: MIT */
#include "sync/config.h"

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"
#include "sync/ini.h"
#include "sync/target.h"

#include <stdio.h>
#include <string.h>

/* What is being read. NODE is NULL in the section of a set. */
struct reading {
    struct sets *sets;
    struct set *set;
    struct node *node;
    const struct ini_place *place;
    const char *key;
    unsigned section_line;
    char given[512]; /* the keys of the section, each with a space behind it */
};

struct key {
    const char *name;
    int (*take)(struct reading *reading, const struct key *key, const char *value);
    enum where { IN_SET = 1, IN_NODE = 2, IN_BOTH = 3 } where;
    size_t field; /* of struct terms, where it is in both */
    unsigned long least, most;
    bool many; /* may stand there more than once */
};

#define REFUSE(...) ini_refuse(reading->place, __VA_ARGS__)

static void *field_of(const struct reading *reading, const struct key *key)
{
    struct terms *terms = reading->node ? &reading->node->terms : &reading->set->terms;

    return (char *)terms + key->field;
}

static int set_text(char **text, const char *value)
{
    free(*text);
    *text = strdup(value);
    return *text ? 0 : -ENOMEM;
}

static int read_truth(struct reading *reading, const char *value, bool *ret)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        return REFUSE("%s = %s: write yes or no", reading->key, value);
    *ret = strcmp(value, "yes") == 0;
    return 0;
}

static int take_truth(struct reading *reading, const struct key *key, const char *value)
{
    return read_truth(reading, value, field_of(reading, key));
}

static int take_number(struct reading *reading, const struct key *key, const char *value)
{
    unsigned long *number = field_of(reading, key);
    const char *end;

    if (number_read(value, key->least, key->most, number, &end) < 0 || *end)
        return REFUSE("%s = %s: write a whole number from %lu to %lu", key->name, value, key->least,
                      key->most);
    return 0;
}

/* 90, 90s, 15m, 6h, 2d */
static int take_time(struct reading *reading, const struct key *key, const char *value)
{
    static const char units[] = "smhd";
    static const unsigned long seconds[] = {1, 60, 60 * 60, 24 * 60 * 60};
    unsigned long number, *ret = field_of(reading, key);
    const char *end, *unit = units;

    int r = number_read(value, 1, key->most, &number, &end);
    if (r == 0 && *end) {
        unit = strchr(units, *end);
        r = unit && !end[1] ? 0 : -EINVAL;
    }
    if (r < 0 || number > key->most / seconds[unit - units])
        return REFUSE("%s = %s: write a time like 90s, 15m, 6h or 2d, at most %lu days", key->name,
                      value, key->most / seconds[3]);
    *ret = number * seconds[unit - units];
    return 0;
}

/* As rsync and rclone both understand it: so many KiB a second, or with the letter of a unit. */
static int take_rate(struct reading *reading, const struct key *key, const char *value)
{
    unsigned long number;
    const char *end;

    if (number_read(value, 1, 1000000000, &number, &end) < 0 || !*end || !strchr("KMG", *end) ||
        end[1])
        return REFUSE("%s = %s: write bytes a second like 500K or 2M", key->name, value);
    return set_text(field_of(reading, key), value);
}

static int check_path(struct reading *reading, const char *value)
{
    if (*value != '/')
        return REFUSE("%s = %s: write an absolute path", reading->key, value);
    return 0;
}

static int take_path(struct reading *reading, const struct key *key, const char *value)
{
    int r = check_path(reading, value);

    return r < 0 ? r : set_text(field_of(reading, key), value);
}

/* Of a set. */

static int take_source(struct reading *reading, const struct key *key, const char *value)
{
    int r = check_path(reading, value);

    return r < 0 ? r : set_text(&reading->set->source, value);
}

static int take_count(struct reading *reading, const struct key *key, const char *value,
                      unsigned *ret)
{
    unsigned long number;
    const char *end;

    if (number_read(value, key->least, key->most, &number, &end) < 0 || *end)
        return REFUSE("%s = %s: write a whole number from %lu to %lu", key->name, value, key->least,
                      key->most);
    *ret = (unsigned)number;
    return 0;
}

static int take_required(struct reading *reading, const struct key *key, const char *value)
{
    reading->set->required_line = reading->place->line;
    return take_count(reading, key, value, &reading->set->encoding.required);
}

static int take_shares(struct reading *reading, const struct key *key, const char *value)
{
    return take_count(reading, key, value, &reading->set->encoding.shares);
}

static int take_format(struct reading *reading, const struct key *key, const char *value)
{
    if (share_format_from_name(value, &reading->set->encoding.format) < 0)
        return REFUSE("format = %s: write checked, classic or fec", value);
    return 0;
}

static int take_block_size(struct reading *reading, const struct key *key, const char *value)
{
    if (block_size_from_text(value, &reading->set->encoding.block_size) < 0)
        return REFUSE("block_size = %s: write a power of two from 4K to 1M", value);
    return 0;
}

static int take_exclude(struct reading *reading, const struct key *key, const char *value)
{
    return excludes_add(reading->set->rules.excludes, value);
}

static int take_exclude_from(struct reading *reading, const struct key *key, const char *value)
{
    int r = check_path(reading, value);

    if (r < 0)
        return r;
    r = excludes_add_file(reading->set->rules.excludes, value);
    if (r == -EINVAL)
        return REFUSE("exclude_from = %s: this is no text file; write the path of one", value);
    if (r < 0)
        return REFUSE("exclude_from = %s: %s; write the path of a file with a pattern a line",
                      value, strerrordesc_np(-r));
    return 0;
}

static int take_xdev(struct reading *reading, const struct key *key, const char *value)
{
    return read_truth(reading, value, &reading->set->rules.one_file_system);
}

static int take_torn(struct reading *reading, const struct key *key, const char *value)
{
    if (strcmp(value, "allow") != 0 && strcmp(value, "error") != 0)
        return REFUSE("torn = %s: write allow or error", value);
    reading->set->rules.torn_allowed = strcmp(value, "allow") == 0;
    return 0;
}

/* Of a node. */

static int take_share(struct reading *reading, const struct key *key, const char *value)
{
    const struct set *set = reading->set;
    const char *end;
    unsigned index;

    if (number_read_share(value, &index, &end) < 0 || *end)
        return REFUSE("share = %s: write two hex digits, 00 to ff", value);
    if (set->encoding.shares > 0 && index >= set->encoding.shares)
        return REFUSE("share = %s: [%s] has shares = %u; write 00 to %02x", value, set->name,
                      set->encoding.shares, set->encoding.shares - 1);
    for (size_t i = 0; i < set->count; i++) {
        if (set->nodes[i].share == (int)index)
            return REFUSE("share = %s: [%s/%s] has it already; write another one", value, set->name,
                          set->nodes[i].name);
    }
    reading->node->share = (int)index;
    return 0;
}

static int take_target(struct reading *reading, const char *value, enum mover mover)
{
    struct node *node = reading->node;
    const char *wrong = target_mistake(value, mover);

    if (node->mover != MOVER_NONE)
        return REFUSE("%s: this node has a target already; write either rsync or rclone",
                      reading->key);
    if (wrong)
        return REFUSE("%s = %s: %s", reading->key, value, wrong);
    for (size_t i = 0; i < reading->set->count; i++) {
        const struct node *other = &reading->set->nodes[i];
        if (other->target && other->mover == mover && strcmp(other->target, value) == 0)
            return REFUSE("%s = %s: [%s/%s] is there already; write another place", reading->key,
                          value, reading->set->name, other->name);
    }
    node->mover = mover;
    return set_text(&node->target, value);
}

static int take_rsync(struct reading *reading, const struct key *key, const char *value)
{
    return take_target(reading, value, MOVER_RSYNC);
}

static int take_rclone(struct reading *reading, const struct key *key, const char *value)
{
    return take_target(reading, value, MOVER_RCLONE);
}

enum {
    DAY_S = 24 * 60 * 60,
    REMOVALS_MAX = 1000000000,
};

/* zfec-fs-sets(5) has a list as well; the tests compare. */
static const struct key keys[] = {
#define TERM(member) offsetof(struct terms, member)
    {"source", take_source, IN_SET, 0, 0, 0, false},
    {"required", take_required, IN_SET, 0, 1, 255, false},
    {"shares", take_shares, IN_SET, 0, 1, 256, false},
    {"format", take_format, IN_SET, 0, 0, 0, false},
    {"block_size", take_block_size, IN_SET, 0, 0, 0, false},
    {"exclude", take_exclude, IN_SET, 0, 0, 0, true},
    {"exclude_from", take_exclude_from, IN_SET, 0, 0, 0, true},
    {"xdev", take_xdev, IN_SET, 0, 0, 0, false},
    {"torn", take_torn, IN_SET, 0, 0, 0, false},
    {"share", take_share, IN_NODE, 0, 0, 0, false},
    {"rsync", take_rsync, IN_NODE, 0, 0, 0, false},
    {"rclone", take_rclone, IN_NODE, 0, 0, 0, false},
    {"delete", take_truth, IN_BOTH, TERM(remove), 0, 0, false},
    {"max_delete", take_number, IN_BOTH, TERM(removals), 1, REMOVALS_MAX, false},
    {"attributes", take_truth, IN_BOTH, TERM(attributes), 0, 0, false},
    {"metadata", take_truth, IN_BOTH, TERM(metadata), 0, 0, false},
    {"checksum", take_truth, IN_BOTH, TERM(look_at_checksums), 0, 0, false},
    {"modify_window", take_number, IN_BOTH, TERM(time_window), 0, 3600, false},
    {"deadline", take_time, IN_BOTH, TERM(deadline), 0, 30UL * DAY_S, false},
    {"timeout", take_time, IN_BOTH, TERM(timeout), 0, DAY_S, false},
    {"retries", take_number, IN_BOTH, TERM(retries), 0, 100, false},
    {"bwlimit", take_rate, IN_BOTH, TERM(rate), 0, 0, false},
    {"ssh_key", take_path, IN_BOTH, TERM(ssh_key), 0, 0, false},
    {"ssh_config", take_path, IN_BOTH, TERM(ssh_config), 0, 0, false},
    {"password_file", take_path, IN_BOTH, TERM(password_file), 0, 0, false},
    {"rclone_config", take_path, IN_BOTH, TERM(rclone_config), 0, 0, false},
#undef TERM
};

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
    const struct key *key = NULL;

    int r = place->section_line == reading->section_line ? 0 : begin_section(reading, place);
    if (r < 0)
        return r;
    reading->place = place;
    for (size_t i = 0; i < COUNT_OF(keys) && !key; i++)
        key = strcmp(keys[i].name, name) == 0 ? &keys[i] : NULL;
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
