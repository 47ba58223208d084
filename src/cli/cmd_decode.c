/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/sources.h"

#include <string.h>

static int add_target(struct copying *copying, const struct options *options, struct source *source)
{
    const char *folder = options->source;
    cleanup_names struct names inputs = NO_NAMES;
    cleanup_free char *real = folder ? realpath(folder, NULL) : NULL;

    /* Directories where nothing is mounted look like stores of an empty tree. */
    copying->counting = true; /* names that are not confirmed are reported later, by the run */
    int r = options->remove && !options->remove_most ? source_has_files(source) : 1;
    copying->counting = false;
    if (r < 0)
        return log_errno(r, "the stores");
    if (r == 0)
        return log_as(-ENOENT,
                      "--delete: the stores are empty, nothing is removed: are they mounted? "
                      "--delete-most removes all the same");
    /* The folder of the stores, too: with a new directory in it, that would be one. */
    r = real ? names_add(&inputs, real) : 0;
    if (r == 0)
        r = stores_real_paths(store_source_stores(source), &inputs);
    if (r < 0)
        return r;
    return copying_add(copying, options->words[options->word_count - 1], TARGET_WHOLE, &inputs);
}

/* Reports a name that is not restored because too few stores have it. */
static void tell_hidden(void *context, const char *path, enum hidden why, const char *text)
{
    struct copying *copying = context;

    if (copying->counting)
        return;
    if (why == HIDDEN_FOREIGN)
        atomic_fetch_add(&copying->hidden, 1);
    log_warning("%s is not restored: %s%s", log_path(path), text,
                why == HIDDEN_FOREIGN ? "; --unconfirmed takes it" : " (left over by a tool)");
}

enum exit_status decode_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    enum exit_status status = EXIT_STATUS_FAILED;
    struct copying copying;

    if (take_stores(options, 1) < 0)
        return EXIT_STATUS_USAGE;
    if (copying_begin(&copying, options) < 0)
        return status;
    const struct share_terms terms = {.older = options->older,
                                      .hidden = tell_hidden,
                                      .context = &copying,
                                      .stop = &copying.meter.progress.stop};
    int r = source_of_stores_now(options, terms, &source);
    copying.stores = source;
    if (r < 0)
        status = status_of_stores(r);
    else if ((r = add_target(&copying, options, source)) == -EINVAL)
        status = EXIT_STATUS_USAGE;
    if (r == 0 && copying_open(&copying) == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
