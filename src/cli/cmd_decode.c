/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/sources.h"

#include <string.h>

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
    cleanup_names struct names inputs = NO_NAMES;
    struct copying copying;

    int r = take_stores(options, 1);
    if (r < 0)
        return status_of_stores(r);
    if (copying_begin(&copying, options) < 0)
        return status;
    const struct share_terms terms = {.older = options->older,
                                      .hidden = tell_hidden,
                                      .context = &copying,
                                      .stop = &copying.meter.progress.stop};
    r = source_find_stores(options, terms, &source);
    if (r == 0)
        r = source_hear_stores(options, source);
    copying.stores = source;
    if (r < 0)
        status = status_of_stores(r);
    /* Directories where nothing is mounted look like stores of an empty tree. */
    copying.counting = true; /* names that are not confirmed are reported later, by the run */
    if (r == 0 && options->remove && !options->remove_most) {
        int found = source_has_files(source);
        if (found < 0)
            r = log_errno(found, "the stores");
        else if (found == 0)
            r = log_as(-ENOENT,
                       "--delete: the stores are empty, nothing is removed: are they mounted? "
                       "--delete-most removes all the same");
    }
    copying.counting = false;
    /* The folder of the stores, too: with a new directory in it, that would be one. */
    cleanup_free char *real = options->source ? realpath(options->source, NULL) : NULL;
    if (r == 0 && real)
        r = names_add(&inputs, real);
    if (r == 0)
        r = stores_real_paths(store_source_stores(source), &inputs);
    for (size_t i = 0; r == 0 && i < inputs.count; i++)
        r = whereabouts_claim(names_get(&inputs, i), WHEREABOUTS_READ);
    if (r == 0) {
        r = copying_add(&copying, options->words[options->word_count - 1], TARGET_WHOLE, &inputs);
        if (r == -EINVAL)
            status = EXIT_STATUS_USAGE;
    }
    if (r == 0 && copying_open(&copying) == 0)
        status = copying_run(&copying, source);
    copying_end(&copying);
    return status;
}
