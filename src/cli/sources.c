/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"
#include "cli/destination.h"
#include "cli/holding.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

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

static int open_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    struct stores *stores;

    terms.format = options->encoding.format;
    terms.unconfirmed = options->unconfirmed;
    int r = find_stores(options, options->source, &options->stores, terms.patient, &stores);
    return r < 0 ? r : store_source_new(stores, &terms, ret);
}

/* Adds the places of the stores in DIRECTORY, or of OTHERS. */
static int add_places(const struct options *options, const char *directory,
                      const struct names *others, struct names *places)
{
    cleanup_stores struct stores *stores = NULL;

    log_mute(true);
    int r = find_stores(options, directory, others, true, &stores);
    log_mute(false);
    return r == 0 ? stores_real_paths(stores, places) : r == -ENOMEM ? r : 0;
}

int source_add_places(const struct options *options, const char *directory, struct names *places)
{
    int r = 0;

    if (directory)
        return add_places(options, directory, &NO_NAMES, places);
    for (size_t i = 0; r == 0 && i < options->stores.count; i++) {
        cleanup_names struct names one = NO_NAMES; /* others may not be there */
        r = names_add(&one, names_get(&options->stores, i));
        if (r == 0)
            r = add_places(options, NULL, &one, places);
    }
    return r;
}

/* What all stores would say in another format makes more sense than in the one that was given. */
static int refuse_other_format(const struct options *options, const struct store_list *list)
{
    cleanup_free struct store_voice *voices = calloc(list->count + 1, sizeof *voices);
    enum share_format given = options->encoding.format;
    size_t count = 0;

    for (size_t i = 0; voices && i < list->count; i++)
        count += store_voice(list->stores[i], &voices[count]);
    enum share_format found = voices ? quorum_format(voices, count, given) : given;
    if (found == given)
        return voices ? 0 : -ENOMEM;
    log_error("the stores hold shares of format %s, not %s; give format %s", formats[found]->name,
              formats[given]->name, formats[found]->name);
    return -EINVAL;
}

/* Nothing of a store in another format would be restored, or told from damage. */
static int refuse_format(const struct options *options, const struct store_list *list)
{
    for (size_t i = 0; i < list->count && !options->unconfirmed; i++) {
        struct store_voice voice;
        if (!store_voice(list->stores[i], &voice) || voice.others <= voice.alike)
            continue;
        log_error("store %s holds shares of format %s, not %s; leave format %s out, or that store",
                  store_name(list->stores[i]), formats[SHARE_CHECKED]->name,
                  formats[options->encoding.format]->name, formats[options->encoding.format]->name);
        return -EINVAL;
    }
    return options->unconfirmed ? 0 : refuse_other_format(options, list);
}

static int refuse_headerless(const struct options *options, const struct store_list *list)
{
    const struct quorum *quorum = &list->quorum;

    if (list->unheard > 0 || quorum->no_files || quorum->with_vote > 0 || options->unconfirmed)
        return 0;
    log_error("no share with an intact header in any store: nothing can be restored (is --format "
              "right?)");
    return -ENODATA;
}

/*
 * Refuses a store where the directory of the stores should be: its files are shares, and those in
 * its directories are of one share.
 */
static int refuse_lone_store(const struct options *options, const struct store_list *list)
{
    uint8_t share;

    if (!options->source || list->quorum.votes > 1 || !holding_has_share(options->source, &share))
        return 0;
    return log_as(
        -EINVAL,
        "%s: looks like a store itself, of share %02x; give its parent, or the stores one "
        "by one with %sstore",
        options->source, share, options->command == COMMAND_MOUNT ? "-o " : "--");
}

/*
 * Judges what a mount begins with. It waits for stores that are not there, or hold nothing yet;
 * with files in all of them, and no header, none is to be waited for.
 */
static int judge_beginning(const struct options *options, const struct store_list *list)
{
    int r = refuse_lone_store(options, list);

    if (r == 0)
        r = refuse_format(options, list);
    if (r < 0 || list->left_out > 0 || list->quorum.with_files < list->count)
        return r;
    return refuse_headerless(options, list);
}

int source_of_stores(const struct options *options, struct source **ret)
{
    cleanup_source struct source *source = NULL;
    cleanup_store_list struct store_list *list = NULL;

    int r = open_stores(options, (struct share_terms){.patient = false}, &source);
    if (r == 0 && stores_now(store_source_stores(source), &list) == 0)
        r = judge_beginning(options, list);
    if (r == 0 && stores_count(store_source_stores(source)) == 0)
        log_warning("%s: no stores in it; it should have a directory for each share",
                    options->source);
    if (r == 0)
        *ret = steal_pointer(source);
    return r;
}

int source_find_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    terms.patient = true;
    return open_stores(options, terms, ret);
}

/* What is written to the outer one of two such stores would be taken for the inner one's. */
static int refuse_nested(struct source *source)
{
    cleanup_names struct names paths = NO_NAMES;

    int r = stores_real_paths(store_source_stores(source), &paths);
    for (size_t i = 0; r == 0 && i < paths.count; i++) {
        for (size_t j = 0; r == 0 && j < paths.count; j++) {
            const char *inner = names_get(&paths, i), *outer = names_get(&paths, j);
            if (i == j || strcmp(inner, outer) == 0 || !destination_lies_in(inner, outer))
                continue;
            log_error("store %s lies in another one, %s; give each store its own place", inner,
                      outer);
            r = -EINVAL;
        }
    }
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

/* Adds the directories in DIRECTORY. Returns 1 where something else is there. */
static int add_directories(struct source *source, const char *directory, struct names *directories)
{
    cleanup_names struct names names = NO_NAMES;

    int r = source->operations->list(source, directory, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_free char *path = NULL;
        mode_t kind = names.items[i].kind & S_IFMT;
        struct share_header header = {0};
        struct stat status;
        if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", names_get(&names, i)) < 0)
            return -ENOMEM;
        /* A listing need not tell, and what cannot be looked at is left for the copying to tell. */
        if (kind == 0 && source->operations->stat(source, path, &status, &header, NULL, NULL) == 0)
            kind = status.st_mode;
        r = S_ISDIR(kind) ? names_add(directories, path) : 1;
    }
    return r < 0 && r != -ENOMEM && *directory ? 0 : r;
}

int source_has_files(struct source *source)
{
    cleanup_names struct names directories = NO_NAMES;

    int r = names_add(&directories, "");
    for (size_t i = 0; r == 0 && i < directories.count; i++) {
        cleanup_free char *path = strdup(names_get(&directories, i));
        r = path ? add_directories(source, path, &directories) : -ENOMEM;
    }
    return r;
}

bool source_shows(const char *from, const char *place, const struct tree_rules *rules,
                  bool is_directory)
{
    size_t length = strcmp(from, "/") == 0 ? 0 : strlen(from);
    dev_t source, own;

    if (!destination_lies_in(place, from))
        return false;
    if (!place[length])
        return true;
    if (excludes_match(rules->excludes, place + length + 1, is_directory))
        return false;
    return !rules->one_file_system || destination_device(from, &source) < 0 ||
           destination_device(place, &own) < 0 || source == own;
}
