/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"

static int open_stores(const struct arguments *arguments, struct source **ret, bool *ret_any)
{
    cleanup_store_list struct store_list *list = NULL;
    struct stores *stores;
    struct share_terms terms = {
        .format = arguments->encoding.format,
        .required = arguments->encoding.required,
    };

    int r = stores_open(arguments->source, &arguments->stores, &stores);
    if (r < 0)
        return r;
    r = stores_now(stores, &list);
    if (r < 0) {
        stores_close(stores);
        return r;
    }
    *ret_any = list->count > 0;
    return store_source_new(stores, &terms, ret);
}

int source_of_stores(const struct arguments *arguments, struct source **ret)
{
    bool any;

    int r = open_stores(arguments, ret, &any);
    if (r == 0 && !any)
        log_warning("%s: no stores in it: it should have a directory for each share",
                    arguments->source);
    return r;
}

int source_of_stores_now(const struct arguments *arguments, struct source **ret)
{
    cleanup_source struct source *source = NULL;
    bool any;

    int r = open_stores(arguments, &source, &any);
    if (r < 0)
        return r;
    if (!any) {
        log_error("%s: no stores in it: are they mounted?", arguments->source);
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
