/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/destination.h"
#include "cli/sources.h"

#include <stdio.h>
#include <string.h>

static int check(struct options *options)
{
    const struct encoding *encoding = &options->encoding;
    size_t wanted = options->place_count > 0 ? 1 : 2;

    if (options->word_count != wanted && !(options->place_count > 0 && options->word_count == 2)) {
        log_error("encode: give SOURCE and DEST, or SOURCE and --to NN=DIR; "
                  "see zfec-fs encode --help");
        return -EINVAL;
    }
    if (options->some_shares && options->word_count == 1) {
        log_error("--shares: chooses among those in DEST; give DEST, or leave it out");
        return -EINVAL;
    }
    if (encoding->required > encoding->shares) {
        log_error("encode: -k %u: more than -n %u; give at least as many shares",
                  encoding->required, encoding->shares);
        return -EINVAL;
    }
    for (unsigned i = encoding->shares; i < 256; i++) {
        if (options->shares[i]) {
            log_error("--shares: there is no share %02x of %u; give a larger -n", i,
                      encoding->shares);
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < options->place_count; i++) {
        if (options->places[i].index >= encoding->shares) {
            log_error("--to %02x=%s: there is no such share of %u; give a larger -n",
                      options->places[i].index, options->places[i].path, encoding->shares);
            return -EINVAL;
        }
    }
    options->source = strdup(options->words[0]);
    return options->source ? 0 : -ENOMEM;
}

static const char *other_place(const struct options *options, unsigned index)
{
    for (size_t i = 0; i < options->place_count; i++) {
        if (options->places[i].index == index)
            return options->places[i].path;
    }
    return NULL;
}

/* Whether share INDEX is to be made in DEST. */
static bool goes_to_dest(const struct options *options, unsigned index)
{
    return options->word_count == 2 && (!options->some_shares || options->shares[index]);
}

/* A target in the source, unless it is left out, would be encoded as well, without end. */
static int check_outside(const struct options *options, const char *from, const char *path)
{
    cleanup_free char *place = NULL;

    int r = destination_resolve(path, &place);
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    if (options->remove && destination_lies_in(from, place))
        return 0; /* copying_add refuses it, for a graver reason */
    if (!source_shows(from, place, &options->rules, true))
        return 0;
    log_error("%s: lies in the source; choose another place, or exclude it", path);
    return -EINVAL;
}

static int add_target(struct copying *copying, const char *from, const char *path, unsigned index)
{
    cleanup_names struct names inputs = NO_NAMES;

    int r = names_add(&inputs, from);
    if (r == 0)
        r = check_outside(copying->options, from, path);
    return r < 0 ? r : copying_add(copying, path, (int)index, &inputs);
}

/* Adds each share's target; nothing is made yet. */
static int add_targets(struct copying *copying, const struct options *options)
{
    cleanup_free char *from = realpath(options->source, NULL);
    int r = from ? 0 : log_errno(-errno, "%s: cannot be the source", options->source);

    for (unsigned index = 0; from && r == 0 && index < options->encoding.shares; index++) {
        const char *place = other_place(options, index);
        cleanup_free char *path = NULL;
        if (!place && goes_to_dest(options, index)) {
            if (asprintf(&path, "%s/%02x", options->words[1], (uint8_t)index) < 0)
                return -ENOMEM;
            place = path;
        }
        r = place ? add_target(copying, from, place, index) : 0;
    }
    return r;
}

/* A source that is not mounted looks like one from which all was deleted. */
static int check_removal(const struct options *options, struct source *source)
{
    int r = options->remove ? source_has_files(source) : 1;

    if (r < 0)
        return log_errno(r, "%s: cannot be read", options->source);
    if (r > 0)
        return 0;
    log_error("%s: is empty: is it mounted? with --delete all would be deleted", options->source);
    return -ENOENT;
}

static int open_all(struct copying *copying, struct options *options, struct source **ret)
{
    int r = source_of_tree(options, ret);

    if (r == 0)
        r = check_removal(options, *ret);
    if (r == 0 && options->word_count == 2)
        r = copying_make_directory(copying, options->words[1]);
    return r < 0 ? r : copying_open(copying);
}

enum exit_status encode_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    struct copying copying;

    if (check(options) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, options) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = EXIT_STATUS_FAILED;
    int r = add_targets(&copying, options);
    if (r == -EINVAL)
        status = EXIT_STATUS_USAGE;
    if (r == 0)
        r = open_all(&copying, options, &source);
    if (r == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
