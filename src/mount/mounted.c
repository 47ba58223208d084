/* SPDX-License-Identifier: MIT */
#include "mount/mounted.h"

#include "base/lock.h"
#include "view/status.h"

/*
 * Seconds that the kernel may keep what it was told of a view that is not live, and of directories'
 * names: what is in them, and of what kind they are, is asked for each time. Where answers take
 * long, a listing's attributes should still be there when the program that wanted the names comes
 * to ask for them.
 */
static const double KEPT_S = 1, KEPT_DISTANT_S = 20;

struct handle *handle_new(struct mounted *mounted)
{
    struct handle *handle = calloc(1, sizeof *handle);

    if (handle) {
        HOLD(&mounted->lock);
        LIST_INSERT_HEAD(&mounted->handles, handle, others);
    }
    return handle;
}

void handle_free(struct mounted *mounted, struct handle *handle)
{
    {
        HOLD(&mounted->lock);
        LIST_REMOVE(handle, others);
    }
    if (handle->file)
        view_close(handle->file);
    names_clear(&handle->names);
    free(handle);
}

bool mounted_is_slow(const struct mounted *mounted)
{
    return mounted->view->distant && atomic_load(mounted->view->distant);
}

static double kept_s(const struct mounted *mounted)
{
    return mounted_is_slow(mounted) ? KEPT_DISTANT_S : KEPT_S;
}

double mounted_kept_s(const struct mounted *mounted)
{
    if (mounted->attribute_timeout >= 0)
        return mounted->attribute_timeout;
    return mounted->view->live ? 0 : kept_s(mounted);
}

/* A store that comes may close the root to others. */
double mounted_root_kept_s(const struct mounted *mounted)
{
    double kept = mounted_kept_s(mounted);

    return mounted->permissions_checked && kept > KEPT_S ? KEPT_S : kept;
}

int mounted_stat(struct mounted *mounted, uint64_t node, const char *name, struct stat *ret)
{
    cleanup_free char *path = NULL;

    int r = nodes_path(mounted->nodes, node, name, &path);
    return r < 0 ? r : mounted->view->operations->stat(mounted->view, path, ret);
}

int mounted_look_up(struct mounted *mounted, uint64_t parent, const char *name,
                    struct fuse_entry_param *ret)
{
    static const double tick_s = 1e-6;
    struct fuse_entry_param entry = {0};
    uint64_t node;

    int r = mounted_stat(mounted, parent, name, &entry.attr);
    if (r == 0)
        r = nodes_look_up(mounted->nodes, parent, name, status_version(&entry.attr), &node);
    if (r < 0)
        return r;
    mode_t mode = entry.attr.st_mode;
    double kept = mounted_kept_s(mounted);
    entry.ino = node;
    entry.entry_timeout = S_ISDIR(mode) ? kept_s(mounted) : kept;
    /*
     * Where attributes are not kept, stat(2) would ask for those of each file twice: the look-up
     * brings them, and then they are asked for. So they are kept for what is the shortest time to
     * the kernel, one tick. Who asks by name has the name looked up again, also within that time;
     * who asks by a descriptor must not see them, so that those of an open file are not kept.
     */
    bool by_name = S_ISLNK(mode) || (S_ISREG(mode) && !nodes_is_open(mounted->nodes, node));
    entry.attr_timeout = kept == 0 && by_name ? tick_s : kept;
    *ret = entry;
    return 0;
}
