/* SPDX-License-Identifier: MIT */
#include "mount/lookup.h"

#include "view/status.h"

/*
 * Seconds that the kernel may keep what it was told of a view that is not live, and of directories'
 * names: what is in them, and of what kind they are, is asked for each time.
 */
static const double KEPT_S = 1;

/*
 * The same of a view whose answers take long: a listing's attributes should still be there when the
 * program that wanted the names comes to ask for them.
 */
static const double KEPT_DISTANT_S = 20;

bool lookup_is_slow(const struct mounted *mounted)
{
    const atomic_bool *distant = mounted->view->distant;

    return distant && atomic_load(distant);
}

static double kept_s(const struct mounted *mounted)
{
    return lookup_is_slow(mounted) ? KEPT_DISTANT_S : KEPT_S;
}

double lookup_kept_s(const struct mounted *mounted)
{
    if (mounted->attribute_timeout >= 0)
        return mounted->attribute_timeout;
    return mounted->view->live ? 0 : kept_s(mounted);
}

double lookup_root_kept_s(const struct mounted *mounted)
{
    double kept = lookup_kept_s(mounted);

    return mounted->permissions_checked && kept > KEPT_S ? KEPT_S : kept;
}

int lookup_stat(struct mounted *mounted, uint64_t node, const char *name, struct stat *ret)
{
    cleanup_free char *path = NULL;

    int r = nodes_path(mounted->nodes, node, name, &path);
    return r < 0 ? r : mounted->view->operations->stat(mounted->view, path, ret);
}

/*
 * Where attributes are not kept, stat(2) would ask for those of each file twice: the look-up brings
 * them, and then they are asked for. So they are kept for what is the shortest time to the kernel,
 * one tick. Who asks by name has the name looked up again, also within that time; who asks by a
 * descriptor must not see them, so that those of an open file are not kept.
 */
static double kept_of_entry_s(const struct mounted *mounted, uint64_t node, mode_t mode)
{
    static const double tick_s = 1e-6;
    double kept = lookup_kept_s(mounted);
    bool asked_by_name = S_ISLNK(mode) || (S_ISREG(mode) && !nodes_is_open(mounted->nodes, node));

    return kept == 0 && asked_by_name ? tick_s : kept;
}

int lookup_entry(struct mounted *mounted, uint64_t parent, const char *name,
                 struct fuse_entry_param *ret)
{
    struct fuse_entry_param entry = {0};
    uint64_t node;

    int r = lookup_stat(mounted, parent, name, &entry.attr);
    if (r == 0)
        r = nodes_look_up(mounted->nodes, parent, name, status_version(&entry.attr), &node);
    if (r < 0)
        return r;
    entry.ino = node;
    entry.attr_timeout = kept_of_entry_s(mounted, node, entry.attr.st_mode);
    entry.entry_timeout = S_ISDIR(entry.attr.st_mode) ? kept_s(mounted) : lookup_kept_s(mounted);
    *ret = entry;
    return 0;
}
