/* SPDX-License-Identifier: MIT */
#include "cli/works.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/sources.h"

#include <string.h>

/* STORES may be left out where --store names all. */
static int check(struct work *work)
{
    size_t least = work->arguments.stores.count > 0 ? 1 : 2;

    if (work->word_count < least || work->word_count > 2) {
        log_error("decode: give STORES and DEST; see zfec-fs decode --help");
        return -EINVAL;
    }
    if (work->word_count == 1)
        return 0;
    work->arguments.source = strdup(work->words[0]);
    return work->arguments.source ? 0 : -ENOMEM;
}

/* Directories where nothing is mounted look like stores of an empty tree. */
static int check_removal(const struct work *work, struct source *source)
{
    cleanup_names struct names names = NO_NAMES;

    int r = work->remove ? source->operations->list(source, "", &names) : 0;
    if (r < 0)
        return log_errno(r, "the stores");
    if (work->remove && names.count == 0) {
        log_error("--delete: the stores are empty, nothing is removed: are they mounted?");
        return -ENOENT;
    }
    return 0;
}

enum exit_status decode_command(struct work *work)
{
    cleanup_source struct source *source = NULL;
    struct copying copying;

    if (check(work) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, work) < 0)
        return EXIT_STATUS_FAILED;
    enum exit_status status = EXIT_STATUS_FAILED;
    if (source_of_stores_now(&work->arguments, &source) == 0 && check_removal(work, source) == 0 &&
        copying_add(&copying, work->words[work->word_count - 1], TARGET_WHOLE) == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
