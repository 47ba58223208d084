/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"
#include "cli/destination.h"

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

static int open_stores(const struct options *options, struct share_terms terms, struct source **ret)
{
    const struct stores_terms what = {
        .format = options->encoding.format,
        .required = options->required,
        .settled = terms.patient,
    };
    struct stores *stores;

    terms.format = what.format;
    terms.unconfirmed = options->unconfirmed;
    if (options->store_timeout >= 0)
        store_set_limit((uint64_t)(options->store_timeout * 1e6));
    int r = stores_open(options->source, &options->stores, &what, &stores);
    return r < 0 ? r : store_source_new(stores, &terms, ret);
}

int source_of_stores(const struct options *options, struct source **ret)
{
    int r = open_stores(options, (struct share_terms){.patient = false}, ret);

    if (r == 0 && stores_count(store_source_stores(*ret)) == 0)
        log_warning("%s: no stores in it: it should have a directory for each share",
                    options->source);
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

int source_hear_stores(const struct options *options, struct source *source)
{
    cleanup_store_list struct store_list *list = NULL;

    int r = refuse_nested(source);
    if (r < 0)
        return r;
    r = stores_now(store_source_stores(source), &list);
    if (r < 0)
        return log_errno(r, "the stores");
    const struct quorum *quorum = &list->quorum;
    size_t found = quorum->found;
    if (list->count == 0)
        return log_as(-ENOENT, "%s: no stores in it: are they mounted?", options->source);
    if (list->unheard > 0 && (quorum->required == 0 || found < quorum->required))
        return log_as(-EIO, "%zu of %zu stores could not be looked at: %s", list->unheard,
                      list->count, strerrordesc_np(-list->why_unheard));
    if (found > 0 && list->unheard == 0 && !quorum->no_files && quorum->with_vote == 0 &&
        !options->unconfirmed)
        return log_as(-ENODATA,
                      "no share with an intact header in any store: nothing can be restored (is "
                      "--format right?)");
    if (found > 0 && quorum->required == 0)
        return log_as(
            -EIO,
            "the stores do not say how many shares are needed: %zu of %zu that have files "
            "have intact headers; give --required (is --format right?)",
            quorum->with_vote, quorum->with_files);
    if (found > 0 && found >= quorum->required)
        return 0;
    return log_as(-ENODATA, "%zu store%s found, %u needed: nothing can be restored%s", found,
                  found == 1 ? "" : "s", found > 0 || quorum->given ? quorum->required : 1,
                  found == 0                   ? "; are they mounted?"
                  : found < quorum->with_files ? "; those with the same share count once"
                                               : "");
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
