/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/sources.h"

#include <stdio.h>
#include <string.h>

static int check_options(struct options *options)
{
    const struct encoding *encoding = &options->encoding;
    size_t wanted = options->place_count > 0 ? 1 : 2;

    if (options->word_count != wanted && !(options->place_count > 0 && options->word_count == 2))
        return log_as(-EINVAL, "encode: give SOURCE and DEST, or SOURCE and --to NN=DIR; "
                               "see zfec-fs encode --help");
    if (options->some_shares && options->word_count == 1)
        return log_as(-EINVAL, "--shares: chooses among those in DEST; give DEST, or leave it out");
    if (options_check_encoding(options) < 0)
        return -EINVAL;
    for (unsigned i = encoding->shares; i < 256; i++) {
        if (options->shares[i])
            return log_as(-EINVAL, "--shares: there is no share %02x of %u; give a larger -n", i,
                          encoding->shares);
    }
    for (size_t i = 0; i < options->place_count; i++) {
        if (options->places[i].index >= encoding->shares)
            return log_as(-EINVAL, "--to %02x=%s: there is no such share of %u; give a larger -n",
                          options->places[i].index, options->places[i].path, encoding->shares);
    }
    options->source = strdup(options->words[0]);
    return options->source ? 0 : -ENOMEM;
}

/* Adds each share's target, but makes nothing yet. */
static int add_targets(struct copying *copying, const struct options *options)
{
    cleanup_free char *from = realpath(options->source, NULL);
    cleanup_names struct names inputs = NO_NAMES;

    if (!from)
        return log_errno(-errno, "%s: cannot be the source", options->source);
    int r = names_add(&inputs, from);
    for (unsigned index = 0; r == 0 && index < options->encoding.shares; index++) {
        cleanup_free char *path = NULL;
        const char *place = NULL;
        for (size_t i = 0; i < options->place_count; i++) {
            if (options->places[i].index == index)
                place = options->places[i].path;
        }
        if (!place && options->word_count == 2 &&
            (!options->some_shares || options->shares[index])) {
            if (asprintf(&path, "%s/%02x", options->words[1], (uint8_t)index) < 0)
                return -ENOMEM;
            place = path;
        }
        if (place)
            r = copying_add(copying, place, (int)index, &inputs);
    }
    return r;
}

enum exit_status encode_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    enum exit_status status = EXIT_STATUS_FAILED;
    struct copying copying;

    if (check_options(options) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, options) < 0)
        return status;
    int r = sources_check_written(options);
    if (r == 0)
        r = add_targets(&copying, options);
    if (r == -EINVAL)
        status = EXIT_STATUS_USAGE;
    if (r == 0 && (r = source_of_tree(options, &source)) == -EINVAL)
        status = EXIT_STATUS_USAGE;
    /* An unmounted source looks as if everything had been deleted. */
    if (r == 0 && options->remove && !options->remove_most) {
        int found = source_has_files(source);
        if (found < 0)
            r = log_errno(found, "%s: cannot be read", options->source);
        else if (found == 0)
            r = log_as(-ENOENT,
                       "%s: is empty: is it mounted? with --delete all would be deleted; "
                       "--delete-most does that",
                       options->source);
    }
    if (r == 0 && options->word_count == 2)
        r = copying_make_directory(&copying, options->words[1]);
    if (r == 0 && (r = copying_open(&copying)) == -EINVAL)
        status = EXIT_STATUS_USAGE;
    if (r == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
