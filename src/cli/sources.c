/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/sealed.h"
#include "cli/set_stores.h"
#include "sync/sets.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { OF_STORES = COMMAND_CHECK | COMMAND_REPAIR | COMMAND_DECODE };

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
    return options->source ? set_stores_open(options) : -ENOMEM;
}

int source_of_tree(struct options *options, struct source **ret)
{
    const bool sealed = formats[options->encoding.format]->is_sealed;

    if (options->key && !sealed)
        return log_as(-EINVAL, "key=%s: is for format=sealed; give that, or leave the key out",
                      options->key);
    int r = tree_source_new(options->source, &options->encoding, &options->rules, ret);

    options->rules.excludes = NULL; /* they are the source's */
    if (r < 0)
        return log_errno(r, "%s: cannot be the source", options->source);
    return sealed ? sealed_source_of_tree(options, steal_pointer(*ret), ret) : 0;
}

static int find_stores(const struct options *options, const char *directory,
                       const struct names *others, struct stores **ret)
{
    const struct stores_terms what = {
        .format = format_read_as(options->encoding.format),
        .required = options->required,
        .settled = options->command != COMMAND_MOUNT,
        .left_out = options->stores_left_out,
    };

    if (options->store_timeout >= 0)
        store_set_limit((uint64_t)(options->store_timeout * 1e6));
    return stores_open(directory, others, &what, ret);
}

int source_find_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    struct stores *stores;

    terms.format = format_read_as(options->encoding.format);
    terms.patient = options->command != COMMAND_MOUNT;
    terms.unconfirmed = options->unconfirmed;
    int r = find_stores(options, options->source, &options->stores, &stores);
    if (r == 0)
        r = store_source_new(stores, &terms, ret);
    return r < 0 || !(options->set_id || options->key) ? r : source_leave_others(options, *ret);
}

/* Nothing of a store in another format would be restored, or told from damage. */
static int refuse_format(const struct options *options, const struct store_list *list)
{
    const enum share_format given = format_read_as(options->encoding.format);
    const char *name = formats[given]->name;
    size_t count = 0;

    if (options->unconfirmed)
        return 0;
    cleanup_free struct store_voice *voices = calloc(list->count + 1, sizeof *voices);
    if (!voices)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const struct store_voice *voice = &voices[count];
        if (!store_voice(list->stores[i], &voices[count]))
            continue;
        count++;
        if (voice->others > voice->alike)
            return log_as(
                -EINVAL,
                "store %s holds shares of format %s, not %s; leave format %s out, or that "
                "store",
                store_name(list->stores[i]), formats[SHARE_CHECKED]->name, name, name);
    }
    /* What all stores would say in another format may make more sense than in the given one. */
    enum share_format found = quorum_format(voices, count, given);
    if (found == given)
        return 0;
    return log_as(-EINVAL, "the stores hold shares of format %s, not %s; give format %s",
                  formats[found]->name, name, formats[found]->name);
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
 * Returns true if the directory of the stores is a store itself, of the share *RET: several
 * directories in it are of one share, or files in it are shares, and those of directories are no
 * others.
 */
static bool is_store(const struct options *options, const struct store_list *list, uint8_t *ret)
{
    /* Where one share is enough, copies of one may be all there are. */
    const bool several =
        list->quorum.with_vote > 1 && list->quorum.required > 1 && options->stores.count == 0;
    int share = NO_VOTE;

    if (!options->source || list->quorum.votes > 1)
        return false;
    for (size_t i = 0; several && share < 0 && i < list->count; i++)
        share = store_list_voter(list, i);
    *ret = (uint8_t)share;
    return share >= 0 || place_has_share(options->source, ret);
}

/* Refuses stores in another format, and a store where the directory of the stores should be. */
static int refuse_wrong(const struct options *options, const struct store_list *list)
{
    uint8_t share;

    int r = refuse_format(options, list);
    if (r < 0 || !is_store(options, list, &share))
        return r;
    return log_as(
        -EINVAL,
        "%s: looks like a store itself, of share %02x; give its parent, or the stores one "
        "by one with %sstore",
        options->source, share, options->command == COMMAND_MOUNT ? "-o " : "--");
}

int source_of_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    cleanup_source struct source *source = NULL;
    cleanup_store_list struct store_list *list = NULL;

    int r = source_find_stores(options, terms, &source);
    if (r == 0 && stores_now(store_source_stores(source), &list) == 0) {
        r = refuse_wrong(options, list);
        /* A mount waits for stores that are not there, or hold nothing yet; with files in all of
         * them, and no header, none is to be waited for. */
        if (r == 0 && list->left_out == 0 && list->quorum.with_files == list->count)
            r = refuse_headerless(options, list);
    }
    if (r < 0)
        return r;
    if (stores_count(store_source_stores(source)) == 0)
        log_warning("%s: no stores in it; it should have a directory for each share",
                    options->source);
    *ret = steal_pointer(source);
    return 0;
}

/* What is written to the outer one of two such stores would be taken for the inner one's. */
static int refuse_nested(struct source *source)
{
    cleanup_names struct names paths = NO_NAMES;

    int r = stores_real_paths(store_source_stores(source), &paths);
    struct whereabouts *places = calloc(paths.count + 1, sizeof *places);
    if (!places)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < paths.count; i++)
        r = whereabouts_find(names_get(&paths, i), &places[i]);
    for (size_t at = 0; r == 0 && at < paths.count * paths.count; at++) {
        const struct whereabouts *one = &places[at / paths.count];
        const struct whereabouts *other = &places[at % paths.count];
        const char *path = one == other ? NULL : whereabouts_within(one, other);
        if (path && *path)
            r = log_as(-EINVAL, "store %s lies in another one, %s; give each store its own place",
                       one->path, other->path);
    }
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
    r = refuse_wrong(options, list);
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
        /* Repair tells it when it knows which stores are new. */
        for (size_t i = 0; options->command != COMMAND_REPAIR && i < list->count; i++) {
            if (store_list_is_empty(list, i))
                tell_empty_store(list->stores[i]);
        }
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

/* Adds where PATH leads. What cannot be found is left for the command to tell. */
static int add_place(struct names *places, const char *path)
{
    cleanup_whereabouts struct whereabouts place = {0};

    int r = place_find(path, &place);
    return r == 0 ? names_add(places, place.path) : r == -ENOMEM ? r : 0;
}

/* Adds the real paths of the stores in DIRECTORY, or of the store OTHER; none that is not there. */
static int add_stores(const struct options *options, const char *directory, const char *other,
                      struct names *places)
{
    cleanup_stores struct stores *stores = NULL;
    cleanup_names struct names others = NO_NAMES;

    log_mute(true);
    int r = other ? names_add(&others, other) : 0;
    if (r == 0)
        r = find_stores(options, directory, &others, &stores);
    log_mute(false);
    return r == 0 ? stores_real_paths(stores, places) : r == -ENOMEM ? r : 0;
}

/* The k that most stores say in DEST, and where --to leads; 0: there are none. */
static int find_required(const struct options *options, unsigned *ret)
{
    cleanup_store_list struct store_list *list = NULL;
    cleanup_stores struct stores *stores = NULL;
    cleanup_names struct names others = NO_NAMES;
    const char *directory = options->word_count == 2 ? options->words[1] : NULL;
    int r = 0;

    *ret = 0;
    for (size_t i = 0; r == 0 && i < options->place_count; i++) {
        if (access(options->places[i].path, F_OK) == 0)
            r = names_add(&others, options->places[i].path);
    }
    if (directory && access(directory, F_OK) < 0)
        directory = NULL;
    if (r == 0)
        r = find_stores(options, directory, &others, &stores);
    if (r == 0)
        r = stores_now(stores, &list);
    /* Headers of the other formats are too weak for a few of them to tell. */
    if (r == 0)
        *ret = formats[options->encoding.format]->has_checks ? list->quorum.commonest
                                                             : list->quorum.required;
    return r;
}

int sources_check_written(const struct options *options)
{
    const char *directory = options->word_count == 2 ? options->words[1] : NULL;
    const unsigned required = options->encoding.required;
    unsigned found = 0;
    uint8_t share;

    if (directory && place_has_share(directory, &share))
        return log_as(-EINVAL, "%s: looks like a store itself, of share %02x; give its parent",
                      directory, share);
    if (options->required > 0)
        return 0;
    log_mute(true);
    int r = find_required(options, &found);
    log_mute(false);
    if (r < 0 || found == 0 || found == required)
        return r == -ENOMEM ? r : 0; /* what is wrong there shows when it is opened to write */
    return log_as(-EINVAL,
                  "%s holds shares of k = %u; give -k %u to go on with them, or -k %u to encode "
                  "anew",
                  directory ? directory : "what --to names", found, found, required);
}

/*
 * Adds the directories and files that nothing may be written into, but what the command is for: of
 * stores, all that it may have, also if its words make no sense; of encode, all shares in DEST.
 */
static int add_places(const struct options *options, struct names *places)
{
    const enum command command = options->command;
    const bool of_stores = command & (OF_STORES | COMMAND_KEY);
    const size_t count = options->word_count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < options->place_count; i++)
        r = add_place(places, options->places[i].path);
    for (size_t i = 0; r == 0 && of_stores && i < options->stores.count; i++)
        r = add_stores(options, NULL, names_get(&options->stores, i), places);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *word = options->words[i];
        const bool has_shares = command == COMMAND_ENCODE && i == 1;
        if (of_stores || has_shares)
            r = add_stores(options, word, NULL, places);
        if (r == 0 && (command & (COMMAND_INFO | COMMAND_RECOVER | COMMAND_KEY) ||
                       (command == COMMAND_DECODE && i + 1 == count)))
            r = add_place(places, word);
        for (unsigned share = 0; r == 0 && has_shares && share < options->encoding.shares;
             share++) {
            cleanup_free char *path = NULL;
            if (asprintf(&path, "%s/%02x", word, (uint8_t)share) < 0)
                return -ENOMEM;
            r = add_place(places, path);
        }
    }
    return r;
}

/* A file that is to be written, as it was given, and where it really is. */
struct beside {
    const char *option, *path;
    const struct whereabouts *place;
};

static int refuse_source(const struct beside *file, const char *source,
                         const struct tree_rules *rules)
{
    cleanup_whereabouts struct whereabouts from = {0};

    int r = place_find_soon(source, &from);
    if (r < 0 || !place_is_shown(&from, file->place, rules, false))
        return r;
    return log_as(-EINVAL, "%s %s: lies in the source %s; choose another place, or exclude it",
                  file->option, file->path, source);
}

/* All sets, wanted or not: to look at a few more costs nothing, and a file is seldom in one. */
static int refuse_sets(const struct beside *file, const struct options *options)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = options_sets_path(options);

    log_mute(true);
    int r = path ? sets_read(path, NULL, &sets) : -ENOMEM;
    log_mute(false);
    if (r < 0)
        return 0; /* the command says why, and reads none of them */
    for (size_t i = 0; r == 0 && i < sets.count; i++) {
        const struct sync_set *set = &sets.sets[i];
        if (set->source && options->command == COMMAND_SYNC)
            r = refuse_source(file, set->source, &set->rules);
        for (size_t j = 0; r == 0 && j < set->count; j++) {
            const struct sync_node *node = &set->nodes[j];
            cleanup_whereabouts struct whereabouts place = {0};
            r = place_find_node(node, &place);
            if (r == 0 && whereabouts_within(file->place, &place))
                r = log_as(-EINVAL, "%s %s: lies in the node %s; choose another place",
                           file->option, file->path, node->target);
        }
    }
    return r;
}

/* Returns true where a command reads or writes nodes of the file of sets. */
static bool reads_sets(const struct options *options)
{
    return options->command & (COMMAND_SYNC | COMMAND_STATUS) ||
           (options->command & OF_STORES && options->word_count > 0 &&
            set_stores_is_address(options->words[0]));
}

static int check_beside(const struct options *options, const char *option, const char *path)
{
    cleanup_whereabouts struct whereabouts own = {0};
    const struct beside file = {option, path, &own};
    cleanup_names struct names places = NO_NAMES;
    struct stat status;

    /* A terminal or /dev/null holds nothing. */
    if (!path || (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) ||
        place_find(path, &own) < 0)
        return 0;
    int r = add_places(options, &places);
    for (size_t i = 0; r == 0 && i < places.count; i++) {
        cleanup_whereabouts struct whereabouts place = {0};
        r = whereabouts_find(names_get(&places, i), &place);
        if (r == 0 && whereabouts_within(&own, &place))
            r = log_as(-EINVAL,
                       "%s %s: lies in %s, which the command reads or writes; choose another place",
                       option, path, place.path);
    }
    if (r == 0 && options->command == COMMAND_ENCODE && options->word_count > 0)
        r = refuse_source(&file, options->words[0], &options->rules);
    if (r == 0 && reads_sets(options))
        r = refuse_sets(&file, options);
    return r;
}

int sources_check_beside(const struct options *options)
{
    const bool writes_sets = options->command == COMMAND_RECOVER;
    int r = check_beside(options, "--log-file", options->log_file);

    if (r == 0)
        r = check_beside(options, "--report", options->report);
    if (r == 0)
        r = check_beside(options, "--metrics", options->metrics);
    return r == 0 && writes_sets ? check_beside(options, "--config", options->config) : r;
}
