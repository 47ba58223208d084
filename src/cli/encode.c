/* SPDX-License-Identifier: MIT */
#include "cli/works.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/sources.h"

#include <stdio.h>
#include <string.h>

static int check(struct work *work)
{
    const struct encoding *encoding = &work->arguments.encoding;
    size_t wanted = work->place_count > 0 ? 1 : 2;

    if (work->word_count != wanted && !(work->place_count > 0 && work->word_count == 2)) {
        log_error("encode: give SOURCE and DEST, or SOURCE and --to NN=DIR; "
                  "see zfec-fs encode --help");
        return -EINVAL;
    }
    if (work->some_shares && work->word_count == 1) {
        log_error("--shares: chooses among those in DEST; give DEST, or leave it out");
        return -EINVAL;
    }
    if (encoding->required > encoding->shares) {
        log_error("encode: -k %u: more than -n %u; give at least as many shares",
                  encoding->required, encoding->shares);
        return -EINVAL;
    }
    for (unsigned i = encoding->shares; i < 256; i++) {
        if (work->shares[i]) {
            log_error("--shares: there is no share %02x of %u; give a larger -n", i,
                      encoding->shares);
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < work->place_count; i++) {
        if (work->places[i].index >= encoding->shares) {
            log_error("--to %02x=%s: there is no such share of %u; give a larger -n",
                      work->places[i].index, work->places[i].path, encoding->shares);
            return -EINVAL;
        }
    }
    work->arguments.source = strdup(work->words[0]);
    return work->arguments.source ? 0 : -ENOMEM;
}

static const char *other_place(const struct work *work, unsigned index)
{
    for (size_t i = 0; i < work->place_count; i++) {
        if (work->places[i].index == index)
            return work->places[i].path;
    }
    return NULL;
}

/* Whether share INDEX is to be made in DEST. */
static bool is_wanted(const struct work *work, unsigned index)
{
    return work->word_count == 2 && (!work->some_shares || work->shares[index]);
}

/* A target in the source, unless it is excluded, would be encoded as well, without end. */
static int check_outside(const struct work *work, struct source *source, const char *path)
{
    cleanup_free char *from = realpath(work->arguments.source, NULL), *to = realpath(path, NULL);
    size_t length = from ? strlen(from) : 0;
    struct share_header header;
    struct stat status;

    if (!from || !to)
        return to || errno == ENOENT ? 0 : log_errno(-errno, "%s", path);
    if (length == 1) /* "/" */
        length = 0;
    if (strncmp(from, to, length) != 0 || (to[length] != '/' && to[length] != '\0'))
        return 0;
    const char *within = to[length] ? to + length + 1 : "";
    if (*within &&
        source->operations->stat(source, within, &status, &header, NULL, NULL) == -ENOENT)
        return 0;
    log_error("%s: lies in the source; choose another place, or exclude it", path);
    return -EINVAL;
}

static int add_target(struct copying *copying, const struct work *work, struct source *source,
                      const char *path, unsigned index)
{
    cleanup_names struct names inputs = NO_NAMES;
    cleanup_free char *from = realpath(work->arguments.source, NULL);

    int r = from ? names_add(&inputs, from) : log_errno(-errno, "%s", work->arguments.source);
    if (r == 0)
        r = copying_add(copying, path, (int)index, &inputs);
    return r < 0 ? r : check_outside(work, source, path);
}

static int add_targets(struct copying *copying, const struct work *work, struct source *source)
{
    const char *destination = work->word_count == 2 ? work->words[1] : NULL;

    if (destination && !work->dry_run && mkdir(destination, 0777) < 0 && errno != EEXIST)
        return log_errno(-errno, "%s: cannot be made", destination);
    for (unsigned index = 0; index < work->arguments.encoding.shares; index++) {
        const char *place = other_place(work, index);
        cleanup_free char *path = NULL;
        if (!place && is_wanted(work, index)) {
            if (asprintf(&path, "%s/%02x", destination, (uint8_t)index) < 0)
                return -ENOMEM;
            place = path;
        }
        int r = place ? add_target(copying, work, source, place, index) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

enum exit_status encode_command(struct work *work)
{
    cleanup_source struct source *source = NULL;
    struct copying copying;

    if (check(work) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, work) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = EXIT_STATUS_FAILED;
    if (source_of_tree(&work->arguments, &source) == 0 && add_targets(&copying, work, source) == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
