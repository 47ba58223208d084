/* SPDX-License-Identifier: MIT */
#include "cli/beside.h"

#include "base/log.h"
#include "cli/destination.h"
#include "cli/named_sets.h"
#include "cli/sources.h"
#include "sync/address.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A file that is to be written, as it was given, and where it really is. */
struct beside {
    const char *option, *path, *real;
};

/* Adds where PATH leads. What cannot be resolved is left for the command to tell. */
static int add_place(struct names *places, const char *path)
{
    cleanup_free char *real = NULL;

    int r = destination_resolve(path, &real);
    return r == 0 ? names_add(places, real) : r == -ENOMEM ? r : 0;
}

static int add_places_of_shares(const struct options *options, struct names *places)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < options->place_count; i++)
        r = add_place(places, options->places[i].path);
    return r;
}

/* The shares in DEST, those that are to be made and others. */
static int add_shares_in(const struct options *options, const char *dest, struct names *places)
{
    int r = source_add_places(options, dest, places);

    for (unsigned index = 0; r == 0 && index < options->encoding.shares; index++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%02x", dest, (uint8_t)index) < 0)
            return -ENOMEM;
        r = add_place(places, path);
    }
    return r;
}

/* All stores that a command may have, also if its words make no sense. */
static int add_stores(const struct options *options, struct names *places)
{
    int r = source_add_places(options, NULL, places);

    for (size_t i = 0; r == 0 && i < options->word_count; i++)
        r = source_add_places(options, options->words[i], places);
    return r;
}

/* The directories and files that nothing may be written into, but what the command is for. */
static int list_places(const struct options *options, struct names *places)
{
    char **words = options->words;
    size_t count = options->word_count;
    int r = add_places_of_shares(options, places);

    if (r == 0 && options->command & (COMMAND_CHECK | COMMAND_REPAIR | COMMAND_DECODE))
        r = add_stores(options, places);
    if (r == 0 && options->command == COMMAND_DECODE && count > 0)
        r = add_place(places, words[count - 1]);
    if (r == 0 && options->command == COMMAND_ENCODE && count > 1)
        r = add_shares_in(options, words[1], places);
    for (size_t i = 0; r == 0 && options->command == COMMAND_INFO && i < count; i++)
        r = add_place(places, words[i]);
    return r;
}

static int refuse_places(const struct beside *file, const struct names *places)
{
    for (size_t i = 0; i < places->count; i++) {
        const char *place = names_get(places, i);
        if (!destination_lies_in(file->real, place))
            continue;
        log_error("%s %s: lies in %s, which the command reads or writes; choose another place",
                  file->option, file->path, place);
        return -EINVAL;
    }
    return 0;
}

static int refuse_source(const struct beside *file, const char *source,
                         const struct tree_rules *rules)
{
    cleanup_free char *from = NULL;

    destination_resolve_soon(source, &from);
    if (!from || !source_shows(from, file->real, rules, false))
        return 0;
    log_error("%s %s: lies in the source %s; choose another place, or exclude it", file->option,
              file->path, source);
    return -EINVAL;
}

static int refuse_node(const struct beside *file, const struct sync_node *node)
{
    cleanup_free char *place = NULL;

    if (node->mover != &rsync_mover || address_kind(node->target) != ADDRESS_LOCAL)
        return 0;
    destination_resolve_soon(node->target, &place);
    if (!place || !destination_lies_in(file->real, place))
        return 0;
    log_error("%s %s: lies in the node %s; choose another place", file->option, file->path,
              node->target);
    return -EINVAL;
}

/* All sets, wanted or not: to look at a few more costs nothing, and a file is seldom in one. */
static int refuse_sets(const struct beside *file, const struct options *options)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = NULL;

    log_mute(true);
    int r = sets_named(options, &path, &sets);
    log_mute(false);
    if (r < 0)
        return 0; /* the command says why, and reads none of them */
    for (size_t i = 0; r == 0 && i < sets.count; i++) {
        const struct sync_set *set = &sets.sets[i];
        r = refuse_source(file, set->source, &set->rules);
        for (size_t j = 0; r == 0 && j < set->count; j++)
            r = refuse_node(file, &set->nodes[j]);
    }
    return r;
}

static int check(const struct options *options, const char *option, const char *path)
{
    cleanup_names struct names places = NO_NAMES;
    cleanup_free char *real = NULL;
    struct stat status;

    /* A terminal or /dev/null holds nothing. */
    if (!path || (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) ||
        destination_resolve(path, &real) < 0)
        return 0;
    const struct beside file = {option, path, real};
    int r = list_places(options, &places);
    if (r == 0)
        r = refuse_places(&file, &places);
    if (r == 0 && options->command == COMMAND_ENCODE && options->word_count > 0)
        r = refuse_source(&file, options->words[0], &options->rules);
    return r == 0 && options->command == COMMAND_SYNC ? refuse_sets(&file, options) : r;
}

int beside_check(const struct options *options)
{
    int r = check(options, "--log-file", options->log_file);

    return r == 0 ? check(options, "--report", options->report) : r;
}
