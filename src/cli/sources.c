/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/output.h"
#include "cli/places.h"
#include "sync/address.h"
#include "sync/sets.h"
#include "tree/whereabouts.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int take_stores(struct options *options, size_t others)
{
    size_t least = others + (options->stores.count > 0 ? 0 : 1);

    if (options->word_count < least || options->word_count > others + 1)
        return log_as(-EINVAL,
                      "%s: give STORES, the directory of the stores%s; see zfec-fs %s --help",
                      options->name, others > 0 ? ", and DEST" : "", options->name);
    if (options->word_count == others)
        return 0;
    options->source = strdup(options->words[0]);
    return options->source ? 0 : -ENOMEM;
}

int source_of_tree(struct options *options, struct source **ret)
{
    int r = tree_source_new(options->source, &options->encoding, &options->rules, ret);

    options->rules.excludes = NULL; /* they are the source's */
    return r < 0 ? log_errno(r, "%s: cannot be the source", options->source) : 0;
}

static int find_stores(const struct options *options, const char *directory,
                       const struct names *others, bool settled, struct stores **ret)
{
    const struct stores_terms what = {
        .format = options->encoding.format,
        .required = options->required,
        .settled = settled,
    };

    if (options->store_timeout >= 0)
        store_set_limit((uint64_t)(options->store_timeout * 1e6));
    return stores_open(directory, others, &what, ret);
}

int source_find_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    struct stores *stores;

    terms.format = options->encoding.format;
    terms.patient = options->command != COMMAND_MOUNT;
    terms.unconfirmed = options->unconfirmed;
    int r = find_stores(options, options->source, &options->stores, terms.patient, &stores);
    return r < 0 ? r : store_source_new(stores, &terms, ret);
}

/* Nothing of a store in another format would be restored, or told from damage. */
static int refuse_format(const struct options *options, const struct store_list *list)
{
    for (size_t i = 0; i < list->count && !options->unconfirmed; i++) {
        struct store_voice voice;
        if (!store_voice(list->stores[i], &voice) || voice.others <= voice.alike)
            continue;
        const char *name = formats[options->encoding.format]->name;
        return log_as(
            -EINVAL,
            "store %s holds shares of format %s, not %s; leave format %s out, or that store",
            store_name(list->stores[i]), formats[SHARE_CHECKED]->name, name, name);
    }
    if (options->unconfirmed)
        return 0;
    /* What all stores would say in another format may make more sense than in the given one. */
    cleanup_free struct store_voice *voices = calloc(list->count + 1, sizeof *voices);
    enum share_format given = options->encoding.format;
    size_t count = 0;
    for (size_t i = 0; voices && i < list->count; i++)
        count += store_voice(list->stores[i], &voices[count]);
    enum share_format found = voices ? quorum_format(voices, count, given) : given;
    if (found == given)
        return voices ? 0 : -ENOMEM;
    return log_as(-EINVAL, "the stores hold shares of format %s, not %s; give format %s",
                  formats[found]->name, formats[given]->name, formats[found]->name);
}

static int refuse_headerless(const struct options *options, const struct store_list *list)
{
    const struct quorum *quorum = &list->quorum;

    if (list->unheard > 0 || quorum->no_files || quorum->with_vote > 0 || options->unconfirmed)
        return 0;
    return log_as(-ENODATA, "no share with an intact header in any store: nothing can be restored "
                            "(is --format right?)");
}

/*
 * Refuses a store where the directory of the stores should be: its files are shares, and those in
 * its directories are of one share.
 */
static int refuse_lone_store(const struct options *options, const struct store_list *list)
{
    uint8_t share;

    if (!options->source || list->quorum.votes > 1 || !place_has_share(options->source, &share))
        return 0;
    return log_as(
        -EINVAL,
        "%s: looks like a store itself, of share %02x; give its parent, or the stores one "
        "by one with %sstore",
        options->source, share, options->command == COMMAND_MOUNT ? "-o " : "--");
}

int source_of_stores(const struct options *options, const atomic_bool *stop, struct source **ret)
{
    cleanup_source struct source *source = NULL;
    cleanup_store_list struct store_list *list = NULL;

    int r =
        source_find_stores(options, (struct share_terms){.patient = false, .stop = stop}, &source);
    if (r == 0 && stores_now(store_source_stores(source), &list) == 0) {
        r = refuse_lone_store(options, list);
        if (r == 0)
            r = refuse_format(options, list);
        /* A mount waits for stores that are not there, or hold nothing yet; with files in all of
         * them, and no header, none is to be waited for. */
        if (r == 0 && list->left_out == 0 && list->quorum.with_files == list->count)
            r = refuse_headerless(options, list);
    }
    if (r == 0 && stores_count(store_source_stores(source)) == 0)
        log_warning("%s: no stores in it; it should have a directory for each share",
                    options->source);
    if (r == 0)
        *ret = steal_pointer(source);
    return r;
}

/* What is written to the outer one of two such stores would be taken for the inner one's. */
static int refuse_nested_in(const struct whereabouts *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const char *path = i == j ? NULL : whereabouts_within(&places[i], &places[j]);
            if (path && *path)
                return log_as(-EINVAL,
                              "store %s lies in another one, %s; give each store its own place",
                              places[i].path, places[j].path);
        }
    }
    return 0;
}

static int refuse_nested(struct source *source)
{
    cleanup_names struct names paths = NO_NAMES;

    int r = stores_real_paths(store_source_stores(source), &paths);
    struct whereabouts *places = calloc(paths.count + 1, sizeof *places);
    if (!places)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < paths.count; i++)
        r = whereabouts_find(names_get(&paths, i), &places[i]);
    if (r == 0)
        r = refuse_nested_in(places, paths.count);
    for (size_t i = 0; i < paths.count; i++)
        whereabouts_clear(&places[i]);
    free(places);
    return r;
}

/* Stores with the same share count once, which may be a mistake. */
static void tell_same_shares(const struct store_list *list)
{
    struct store_voice one, other;

    for (size_t i = 0; i < list->count; i++) {
        bool told = !store_voice(list->stores[i], &one) || one.share == NO_VOTE;
        for (size_t j = 0; j < i && !told; j++) {
            told = store_voice(list->stores[j], &other) && other.share == one.share &&
                   other.required == one.required;
            if (told)
                output_text(
                    COLOUR_WARNING, "Stores %s and %s hold the same share, %02x: they count once",
                    store_name(list->stores[j]), store_name(list->stores[i]), (uint8_t)one.share);
        }
    }
}

int source_hear_stores(const struct options *options, struct source *source)
{
    cleanup_store_list struct store_list *list = NULL;

    int r = refuse_nested(source);
    if (r < 0)
        return r;
    r = stores_now(store_source_stores(source), &list);
    if (r < 0)
        return log_errno(r, "the stores");
    r = refuse_lone_store(options, list);
    if (r == 0)
        r = refuse_format(options, list);
    if (r < 0)
        return r;
    const struct quorum *quorum = &list->quorum;
    size_t found = quorum->found;
    if (list->count == 0)
        return log_as(-ENOENT, "%s: no stores in it: are they mounted?", options->source);
    if (list->unheard > 0 && (quorum->required == 0 || found < quorum->required))
        return log_as(-EIO, "%zu of %zu stores could not be looked at: %s", list->unheard,
                      list->count, strerrordesc_np(-list->why_unheard));
    r = found > 0 ? refuse_headerless(options, list) : 0;
    if (r < 0)
        return r;
    if (found > 0 && quorum->required == 0)
        return log_as(-EIO,
                      "the stores do not say how many shares are needed: %zu of %zu that have "
                      "files have intact headers; give --required (is --format right?)",
                      quorum->with_vote, quorum->with_files);
    if (found > 0 && found >= quorum->required) {
        tell_same_shares(list);
        return 0;
    }
    return log_as(
        -ENODATA, "%zu store%s found, %u needed: nothing can be restored%s", found, plural(found),
        found > 0 || quorum->given ? quorum->required : 1,
        found == 0                    ? "; are they mounted?"
        : found == quorum->with_files ? ""
        : found == 1
            ? "; all hold the same share and count once: if they are parts of a store, give its "
              "parent"
            : "; those with the same share count once");
}

int source_of_stores_now(const struct options *options, struct share_terms terms,
                         struct source **ret)
{
    cleanup_source struct source *source = NULL;
    cleanup_store_list struct store_list *list = NULL;

    int r = source_find_stores(options, terms, &source);
    if (r == 0)
        r = source_hear_stores(options, source);
    if (r < 0)
        return r;
    if (stores_now(store_source_stores(source), &list) == 0) {
        for (size_t i = 0; i < list->count; i++) {
            if (store_list_is_empty(list, i))
                tell_empty_store(list->stores[i]);
        }
    }
    *ret = steal_pointer(source);
    return 0;
}

void tell_empty_store(const struct store *store)
{
    log_error("store %s holds nothing: is it mounted?", store_name(store));
}

enum exit_status status_of_stores(int error)
{
    return error == -ENODATA  ? EXIT_STATUS_LOST
           : error == -EINVAL ? EXIT_STATUS_USAGE
                              : EXIT_STATUS_FAILED;
}

int source_has_files(struct source *source)
{
    cleanup_names struct names directories = NO_NAMES;

    int r = names_add(&directories, "");
    for (size_t at = 0; r == 0 && at < directories.count; at++) {
        cleanup_free char *directory = strdup(names_get(&directories, at));
        cleanup_names struct names names = NO_NAMES;
        if (!directory)
            return -ENOMEM;
        r = source->operations->list(source, directory, &names);
        /* What cannot be looked at is left for the copying to tell, but for the root. */
        if (r < 0 && r != -ENOMEM && *directory)
            r = 0;
        for (size_t i = 0; r == 0 && i < names.count; i++) {
            cleanup_free char *path = NULL;
            mode_t kind = names.items[i].kind & S_IFMT;
            struct share_header header = {0};
            struct stat status;
            if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", names_get(&names, i)) <
                0)
                return -ENOMEM;
            if (kind == 0 && /* a listing need not tell */
                source->operations->stat(source, path, &status, &header, NULL, NULL) == 0)
                kind = status.st_mode;
            r = S_ISDIR(kind) ? names_add(&directories, path) : 1;
        }
    }
    return r;
}

/* Adds where PATH leads. What cannot be resolved is left for the command to tell. */
static int add_place(struct names *places, const char *path)
{
    cleanup_free char *real = NULL;

    int r = place_resolve(path, &real);
    return r == 0 ? names_add(places, real) : r == -ENOMEM ? r : 0;
}

/* Adds the real paths of the stores in DIRECTORY, or of OTHERS; not of what is not there. */
static int add_stores(const struct options *options, const char *directory,
                      const struct names *others, struct names *places)
{
    cleanup_stores struct stores *stores = NULL;

    log_mute(true);
    int r = find_stores(options, directory, others, true, &stores);
    log_mute(false);
    return r == 0 ? stores_real_paths(stores, places) : r == -ENOMEM ? r : 0;
}

/*
 * Adds the directories and files that nothing may be written into, but what the command is for: of
 * stores, all that it may have, also if its words make no sense.
 */
static int add_places(const struct options *options, struct names *places)
{
    const unsigned of_stores = COMMAND_CHECK | COMMAND_REPAIR | COMMAND_DECODE;
    const enum command command = options->command;
    const size_t count = options->word_count;
    char **words = options->words;
    int r = 0;

    for (size_t i = 0; r == 0 && i < options->place_count; i++)
        r = add_place(places, options->places[i].path);
    for (size_t i = 0; r == 0 && command & of_stores && i < options->stores.count; i++) {
        cleanup_names struct names one = NO_NAMES; /* others may not be there */
        r = names_add(&one, names_get(&options->stores, i));
        if (r == 0)
            r = add_stores(options, NULL, &one, places);
    }
    for (size_t i = 0; r == 0 && command & of_stores && i < count; i++)
        r = add_stores(options, words[i], &NO_NAMES, places);
    if (r == 0 && command == COMMAND_DECODE && count > 0)
        r = add_place(places, words[count - 1]);
    for (size_t i = 0; r == 0 && command == COMMAND_INFO && i < count; i++)
        r = add_place(places, words[i]);
    if (r < 0 || command != COMMAND_ENCODE || count < 2)
        return r;
    /* The shares in DEST, those that are to be made and others. */
    r = add_stores(options, words[1], &NO_NAMES, places);
    for (unsigned index = 0; r == 0 && index < options->encoding.shares; index++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%02x", words[1], (uint8_t)index) < 0)
            return -ENOMEM;
        r = add_place(places, path);
    }
    return r;
}

/* A file that is to be written, as it was given, and where it really is. */
struct beside {
    const char *option, *path, *real;
};

static int refuse_source(const struct beside *file, const char *source,
                         const struct tree_rules *rules)
{
    cleanup_free char *from = NULL;

    place_resolve_soon(source, &from);
    if (!from || !place_is_shown(from, file->real, rules, false))
        return 0;
    return log_as(-EINVAL, "%s %s: lies in the source %s; choose another place, or exclude it",
                  file->option, file->path, source);
}

/* All sets, wanted or not: to look at a few more costs nothing, and a file is seldom in one. */
static int refuse_sets(const struct beside *file, const struct options *options)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = options_sets_path(options);

    log_mute(true);
    int r = path ? sets_read(path, &sets) : -ENOMEM;
    log_mute(false);
    if (r < 0)
        return 0; /* the command says why, and reads none of them */
    for (size_t i = 0; r == 0 && i < sets.count; i++) {
        const struct sync_set *set = &sets.sets[i];
        r = refuse_source(file, set->source, &set->rules);
        for (size_t j = 0; r == 0 && j < set->count; j++) {
            const struct sync_node *node = &set->nodes[j];
            cleanup_free char *place = NULL;
            if (node->mover != &rsync_mover || address_kind(node->target) != ADDRESS_LOCAL)
                continue;
            place_resolve_soon(node->target, &place);
            if (place && place_lies_in(file->real, place))
                r = log_as(-EINVAL, "%s %s: lies in the node %s; choose another place",
                           file->option, file->path, node->target);
        }
    }
    return r;
}

int sources_check_beside(const struct options *options)
{
    struct beside files[] = {{"--log-file", options->log_file, NULL},
                             {"--report", options->report, NULL}};
    int r = 0;

    for (size_t at = 0; r == 0 && at < COUNT_OF(files); at++) {
        struct beside *file = &files[at];
        cleanup_names struct names places = NO_NAMES;
        cleanup_free char *real = NULL;
        struct stat status;
        /* A terminal or /dev/null holds nothing. */
        if (!file->path || (stat(file->path, &status) == 0 && !S_ISREG(status.st_mode)) ||
            place_resolve(file->path, &real) < 0)
            continue;
        file->real = real;
        r = add_places(options, &places);
        for (size_t i = 0; r == 0 && i < places.count; i++) {
            if (place_lies_in(real, names_get(&places, i)))
                r = log_as(-EINVAL,
                           "%s %s: lies in %s, which the command reads or writes; choose another "
                           "place",
                           file->option, file->path, names_get(&places, i));
        }
        if (r == 0 && options->command == COMMAND_ENCODE && options->word_count > 0)
            r = refuse_source(file, options->words[0], &options->rules);
        if (r == 0 && options->command == COMMAND_SYNC)
            r = refuse_sets(file, options);
    }
    return r;
}
