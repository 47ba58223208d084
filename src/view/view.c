/* SPDX-License-Identifier: MIT */
#include "view/view.h"

#include "view/status.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a path of a view stands for. */
struct tree_path {
    unsigned tree;    /* in the encoded view: a share's index, or ROOT; in the restored one: 0 */
    const char *path; /* in the source */
};

enum { ROOT = 256 };

int view_new(struct source *source, unsigned shares, bool for_others, struct view **ret)
{
    struct view *view = malloc(sizeof *view);

    if (!view) {
        source_free(source);
        return -ENOMEM;
    }
    *view = (struct view){source, shares, for_others};
    *ret = view;
    return 0;
}

void view_free(struct view *view)
{
    source_free(view->source);
    free(view);
}

/* -ENOENT: there is no such share. */
static int locate(const struct view *view, const char *path, struct tree_path *ret)
{
    static const char digits[] = "0123456789abcdef";

    *ret = (struct tree_path){view->shares > 0 && *path == '\0' ? ROOT : 0, path};
    if (view->shares == 0 || *path == '\0')
        return 0;
    const char *high = strchr(digits, path[0]);
    const char *low = path[1] ? strchr(digits, path[1]) : NULL;
    if (!high || !low || (path[2] != '\0' && path[2] != '/'))
        return -ENOENT;
    ret->tree = (unsigned)((high - digits) * 16 + (low - digits));
    ret->path = path[2] ? path + 3 : path + 2;
    return ret->tree < view->shares ? 0 : -ENOENT;
}

/* Returns true if PATH is the root, and the source must be hidden from others. */
static bool is_hidden(const struct view *view, const char *path)
{
    return *path == '\0' && view->for_others && atomic_load(&view->source->is_private);
}

int view_stat(struct view *view, const char *path, struct stat *ret)
{
    struct share_header header = {0};
    struct stat status;
    struct tree_path at;

    int r = locate(view, path, &at);
    if (r == 0)
        r = view->source->operations->stat(view->source, at.path, &status, &header, NULL, NULL);
    if (r < 0)
        return r;
    if (is_hidden(view, path)) { /* those who cannot reach the source must not enter */
        status.st_mode = S_IFDIR | S_IRWXU;
        status.st_uid = geteuid();
        status.st_gid = getegid();
    }
    if (view->shares > 0 && S_ISREG(status.st_mode)) {
        struct share_layout layout = header_plain_layout(&header);
        status_set_size(&status, layout.required ? layout_share_size(&layout) : 0);
        header_file_time(&header, (uint8_t)at.tree, &status.st_mtim);
    }
    if (at.tree == ROOT)
        status.st_nlink = 2 + view->shares;
    status.st_ino = status_inode(status.st_dev, status.st_ino, at.tree);
    *ret = status;
    return 0;
}

int view_read_link(struct view *view, const char *path, char **ret)
{
    struct tree_path at;

    int r = locate(view, path, &at);
    return r < 0 ? r : view->source->operations->read_link(view->source, at.path, ret);
}

int view_list(struct view *view, const char *path, struct names *names)
{
    char share[sizeof "ff"];
    size_t first = names->count;
    struct tree_path at;

    int r = locate(view, path, &at);
    if (r == 0 && at.tree == ROOT) {
        for (unsigned index = 0; r == 0 && index < view->shares; index++) {
            snprintf(share, sizeof share, "%02x", (uint8_t)index);
            r = names_add(names, share);
        }
        return r;
    }
    if (r == 0)
        r = view->source->operations->list(view->source, at.path, names);
    for (size_t i = first; r == 0 && i < names->count; i++)
        names->items[i].inode =
            status_inode(names->items[i].device, names->items[i].inode, at.tree);
    return r;
}

/* Opens a directory to others in addition to its mode. */
static const char access_list[] = "system.posix_acl_access";

/*
 * A hidden root has no access control list. The root of the encoded view has no other attribute:
 * its mode is the source's, and so is its list.
 */
int view_get_xattr(struct view *view, const char *path, const char *name, void *value, size_t size,
                   size_t *ret)
{
    bool is_access_list = strcmp(name, access_list) == 0;
    struct tree_path at;

    int r = locate(view, path, &at);
    if (r < 0)
        return r;
    if (is_access_list ? is_hidden(view, path) : at.tree == ROOT)
        return -ENODATA;
    return view->source->operations->get_xattr(view->source, at.path, name, value, size, ret);
}

/* Lists the access control list, if there is one, and nothing else. */
static int list_xattr_of_shares(struct view *view, char *names, size_t size, size_t *ret)
{
    int r = view_get_xattr(view, "", access_list, NULL, 0, ret);

    if (r < 0) {
        *ret = 0;
        return r == -ENODATA || r == -ENOTSUP ? 0 : r;
    }
    *ret = sizeof access_list;
    if (size > 0 && size < sizeof access_list)
        return -ERANGE;
    memcpy(names, access_list, size > 0 ? sizeof access_list : 0);
    return 0;
}

int view_list_xattr(struct view *view, const char *path, char *names, size_t size, size_t *ret)
{
    struct tree_path at;

    int r = locate(view, path, &at);
    if (r == 0 && at.tree == ROOT)
        return list_xattr_of_shares(view, names, size, ret);
    if (r == 0)
        r = view->source->operations->list_xattr(view->source, at.path, names, size, ret);
    if (r < 0 || size == 0 || !is_hidden(view, path))
        return r;
    for (char *name = names, *end = names + *ret; name < end; name += strlen(name) + 1) {
        if (strcmp(name, access_list) == 0) {
            memmove(name, name + sizeof access_list, (size_t)(end - name) - sizeof access_list);
            *ret -= sizeof access_list;
            break;
        }
    }
    return 0;
}

int view_statfs(struct view *view, struct statvfs *ret)
{
    return view->source->operations->statfs(view->source, ret);
}

int view_open(struct view *view, const char *path, struct view_file **ret)
{
    cleanup_source_file struct source_file *source = NULL;
    struct tree_path at;

    int r = locate(view, path, &at);
    if (r == 0)
        r = view->source->operations->open(view->source, at.path, 0, &source);
    if (r == 0)
        r = view_file_new(source, view->shares > 0 ? (int)at.tree : -1, ret);
    if (r == 0)
        source = NULL; /* the file has taken it over */
    return r;
}
