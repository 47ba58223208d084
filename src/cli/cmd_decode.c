/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/copying.h"
#include "cli/places.h"
#include "cli/sealed.h"
#include "cli/set_stores.h"
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

/* "home/usb, home/nas and home/cloud": the stores that were read. */
static void add_stores(struct draft *text, const struct store_list *list)
{
    size_t left = 0;

    for (size_t i = 0; i < list->count; i++)
        left += store_was_read(list->stores[i]);
    const char *before = left > 0 ? "; read from " : "";
    for (size_t i = 0; i < list->count; i++) {
        if (!store_was_read(list->stores[i]))
            continue;
        draft_add(text, "%s%s", before, store_name(list->stores[i]));
        before = --left > 1 ? ", " : " and ";
    }
}

/* Adds ", unreadable: 3", or nothing if COUNT is 0. */
static void add_count(struct draft *text, uint64_t count, const char *what)
{
    if (count > 0)
        draft_add(text, ", %s: %s", what, show_count(count).text);
}

/* Says how old the root of sealed shares is: K nodes can withhold newer versions. */
static void tell_root(struct source *stores)
{
    const struct time_text time = source_root_time(stores);

    if (!*time.text)
        return;
    output_text(COLOUR_NONE, "The root is as of %s.", time.text);
    output_json("root", json_pack("{s:s}", "as_of", time.text));
}

/* Says whether everything was restored, and from which stores. */
static void tell_restored(struct copying *copying, enum exit_status status)
{
    const struct progress *progress = &copying->meter.progress;
    cleanup_store_list struct store_list *list = NULL;
    uint64_t files = atomic_load(&progress->files);
    struct draft reasons = {0}, text = {0};

    if (!copying->begun || copying->options->dry_run || atomic_load(&progress->stop) ||
        stores_now(store_source_stores(copying->stores), &list) < 0)
        return;
    add_count(&reasons, copying->counts[COPY_LOST], "too few good shares");
    add_count(&reasons, copying->hidden, "in too few stores");
    add_count(&reasons, copying->counts[COPY_OLDER], "an older version");
    add_count(&reasons, copying->counts[COPY_PARTIAL], "with holes");
    add_count(&reasons, copying->counts[COPY_FAILED], "not written as it should be");
    cleanup_free char *lacks = draft_take(&reasons);
    if (!lacks || (!*lacks && status == EXIT_STATUS_FAILED))
        return; /* this was reported before */
    if (*lacks)
        set_stores_tell_unfetched(copying->options, "this once more");
    if (*lacks)
        draft_add(&text, "Not all is restored: %s; see above", lacks + strlen(", "));
    else
        draft_add(&text, "All is restored: %s file%s, %s", show_count(files).text, plural(files),
                  show_bytes(atomic_load(&progress->bytes)).text);
    add_stores(&text, list);
    output_draft(*lacks ? COLOUR_BAD : COLOUR_NONE, &text);
    tell_root(copying->stores);
}

/*
 * Refuses a DEST in or around a node of the set, even one that is not read: a tree with names like
 * the nodes' directories would overwrite the shares.
 */
static int refuse_nodes(const struct options *options)
{
    const struct sync_set *set = set_stores_set(options);
    const char *path = options->words[options->word_count - 1];
    cleanup_whereabouts struct whereabouts place = {0};

    if (!set || place_find(path, &place) < 0) /* copying_add() reports this */
        return 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        cleanup_whereabouts struct whereabouts other = {0};
        int r = place_find_node(node, &other);
        if (r < 0)
            return r;
        if (whereabouts_within(&place, &other))
            return log_as(-EINVAL, "%s: lies in the node %s/%s, %s; choose another place", path,
                          set->name, node->name, node->target);
        if (whereabouts_within(&other, &place))
            return log_as(-EINVAL, "%s: the node %s/%s lies in it, %s; choose another place", path,
                          set->name, node->name, node->target);
    }
    return 0;
}

enum exit_status decode_command(struct options *options)
{
    cleanup_source struct source *source = NULL;
    enum exit_status status = EXIT_STATUS_FAILED;
    cleanup_names struct names inputs = NO_NAMES;
    struct copying copying;

    int r = take_stores(options, 1);
    if (r == 0)
        r = refuse_nodes(options);
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
    if (r == 0)
        r = source_open_sealed(options, &source);
    if (r < 0)
        status = status_of_stores(r);
    /* Unmounted directories look like stores of an empty tree. */
    copying.counting = true; /* unconfirmed names are reported later, by the run */
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
    /* Nor the folder of the stores: a new directory in it would count as a store. */
    cleanup_free char *real = options->source ? realpath(options->source, NULL) : NULL;
    if (r == 0 && real)
        r = names_add(&inputs, real);
    if (r == 0)
        r = stores_real_paths(store_source_stores(copying.stores), &inputs);
    for (size_t i = 0; r == 0 && i < inputs.count; i++)
        r = whereabouts_claim(names_get(&inputs, i), WHEREABOUTS_READ);
    if (r == 0) {
        r = copying_add(&copying, options->words[options->word_count - 1], TARGET_WHOLE, &inputs);
        if (r == -EINVAL)
            status = EXIT_STATUS_USAGE;
    }
    if (r == 0 && copying_open(&copying) == 0)
        status = copying_run(&copying, source);
    tell_restored(&copying, status);
    copying_end(&copying);
    return status;
}
