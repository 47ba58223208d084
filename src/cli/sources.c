/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"

int source_of_stores(const struct arguments *arguments, struct source **ret)
{
    struct stores *stores;
    struct share_terms terms = {
        .format = arguments->encoding.format,
        .required = arguments->encoding.required,
    };

    int r = stores_open(arguments->source, &arguments->stores, &stores);
    return r < 0 ? r : store_source_new(stores, &terms, ret);
}

int source_of_stores_now(const struct arguments *arguments, struct source **ret)
{
    cleanup_source struct source *source = NULL;
    cleanup_store_list struct store_list *list = NULL;

    int r = source_of_stores(arguments, &source);
    if (r == 0)
        r = stores_now(store_source_stores(source), &list);
    if (r < 0)
        return r;
    if (list->count == 0) {
        log_error("%s: has no stores: are they mounted?", arguments->source);
        return -ENOENT;
    }
    *ret = steal_pointer(source);
    return 0;
}

int source_of_tree(struct arguments *arguments, struct source **ret)
{
    int r = tree_source_new(arguments->source, &arguments->encoding, &arguments->rules, ret);

    arguments->rules.excludes = NULL; /* they are the source's */
    return r < 0 ? log_errno(r, "%s: cannot be the source", arguments->source) : 0;
}
