/* SPDX-License-Identifier: MIT */
#include "cli/sources.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

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

/* Where PATH is, or would be; the caller frees it. */
static char *real_place(const char *path)
{
    char *real = realpath(path, NULL), *parent = NULL, *ret = NULL;
    const char *name = strrchr(path, '/');

    if (real || errno != ENOENT || !name || !name[1])
        return real;
    parent = strndup(path, (size_t)(name - path) + 1);
    real = parent ? realpath(parent, NULL) : NULL;
    if (real && asprintf(&ret, "%s%s", real, name) < 0)
        ret = NULL;
    free(parent);
    free(real);
    return ret;
}

/* Whether the source shows WITHIN, which is at PATH, or would show it if it were there. */
static bool is_shown(struct source *source, const char *within, const char *path)
{
    struct share_header header;
    struct stat status;
    bool made = mkdir(path, 0700) == 0;
    bool shown =
        !*within || source->operations->stat(source, within, &status, &header, NULL) != -ENOENT;

    if (made)
        rmdir(path);
    return shown;
}

int source_check_outside(struct source *source, const char *root, const char *path)
{
    cleanup_free char *from = realpath(root, NULL), *to = real_place(path);
    size_t length = from ? strlen(from) : 0;

    if (!from || !to)
        return to || errno == ENOENT ? 0 : log_errno(-errno, "%s", path);
    if (length == 1) /* "/" */
        length = 0;
    if (strncmp(from, to, length) != 0 || (to[length] != '/' && to[length] != '\0'))
        return 0;
    if (!is_shown(source, to[length] ? to + length + 1 : "", to))
        return 0;
    log_error("%s: lies in the source; choose another place, or exclude it", path);
    return -EINVAL;
}
