/* SPDX-License-Identifier: MIT */
#include "sync/keys.h"

#include "base/array.h"
#include "base/number.h"
#include "sync/target.h"

#include <string.h>

enum {
    DAY_S = 24 * 60 * 60,
    REMOVALS_MAX = 1000000000,
};

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
    static const unsigned long seconds[] = {1, 60, 60UL * 60, DAY_S};
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
        return REFUSE("format = %s: write " FORMAT_NAMES, value);
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

/* The node of SET that is at TARGET, within it or around it: each would spoil the other. */
static const struct node *node_at(const struct set *set, const char *target, enum mover mover)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct node *node = &set->nodes[i];
        if (node->target && node->mover == mover && targets_overlap(node->target, target))
            return node;
    }
    return NULL;
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
    for (size_t i = 0; i < reading->sets->count; i++) {
        const struct node *other = node_at(&reading->sets->sets[i], value, mover);
        if (other)
            return REFUSE("%s = %s: [%s/%s] is there already; write another place", reading->key,
                          value, reading->sets->sets[i].name, other->name);
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

/* zfec-fs-sets(5) has a list as well; the tests compare. */
static const struct key keys[] = {
#define TERM(member) offsetof(struct terms, member)
    {"source", take_source, 0, 0, 0, IN_SET, false},
    {"required", take_required, 0, 1, 255, IN_SET, false},
    {"shares", take_shares, 0, 1, 256, IN_SET, false},
    {"format", take_format, 0, 0, 0, IN_SET, false},
    {"block_size", take_block_size, 0, 0, 0, IN_SET, false},
    {"exclude", take_exclude, 0, 0, 0, IN_SET, true},
    {"exclude_from", take_exclude_from, 0, 0, 0, IN_SET, true},
    {"xdev", take_xdev, 0, 0, 0, IN_SET, false},
    {"torn", take_torn, 0, 0, 0, IN_SET, false},
    {"share", take_share, 0, 0, 0, IN_NODE, false},
    {"rsync", take_rsync, 0, 0, 0, IN_NODE, false},
    {"rclone", take_rclone, 0, 0, 0, IN_NODE, false},
    {"delete", take_truth, TERM(remove), 0, 0, IN_BOTH, false},
    {"max_delete", take_number, TERM(removals), 1, REMOVALS_MAX, IN_BOTH, false},
    {"attributes", take_truth, TERM(attributes), 0, 0, IN_BOTH, false},
    {"symlinks", take_truth, TERM(symlinks), 0, 0, IN_BOTH, false},
    {"metadata", take_truth, TERM(metadata), 0, 0, IN_BOTH, false},
    {"checksum", take_truth, TERM(look_at_checksums), 0, 0, IN_BOTH, false},
    {"modify_window", take_number, TERM(time_window), 0, 3600, IN_BOTH, false},
    {"deadline", take_time, TERM(deadline), 0, 30UL * DAY_S, IN_BOTH, false},
    {"timeout", take_time, TERM(timeout), 0, DAY_S, IN_BOTH, false},
    {"retries", take_number, TERM(retries), 0, 100, IN_BOTH, false},
    {"bwlimit", take_rate, TERM(rate), 0, 0, IN_BOTH, false},
    {"ssh_key", take_path, TERM(ssh_key), 0, 0, IN_BOTH, false},
    {"ssh_config", take_path, TERM(ssh_config), 0, 0, IN_BOTH, false},
    {"password_file", take_path, TERM(password_file), 0, 0, IN_BOTH, false},
    {"rclone_config", take_path, TERM(rclone_config), 0, 0, IN_BOTH, false},
#undef TERM
};

const struct key *key_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}
