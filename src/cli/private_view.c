/* SPDX-License-Identifier: MIT */
#include "cli/private_view.h"

#include "base/array.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/background.h"
#include "cli/places.h"
#include "cli/private_folder.h"
#include "cli/set_key.h"
#include "mount/mount.h"
#include "sync/address.h"
#include "sync/child.h"
#include "sync/mover.h"
#include "tree/remove.h"
#include "tree/whereabouts.h"
#include "view/view.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    END_LIMIT_S = 20,
    KILLED_S = 1, /* a process that survives SIGKILL for so long hangs in the kernel */
};

#define PREFIX "zfec-fs-sync-"

/* In the server: tells the run, which waits for a byte, that it is ready. */
static int report = -1;

/* Closes the streams once the run has ended or abandoned this process, so that no reader waits for
 * them. */
static void *watch_run(void *unused)
{
    char byte;

    TEMP_FAILURE_RETRY(read(report, &byte, 1));
    background_leave_streams();
    return unused;
}

static int tell_ready(void)
{
    int r = thread_start(watch_run, NULL);

    if (r < 0)
        return log_errno(r, "cannot start a thread");
    return write(report, "", 1) == 1 ? 0 : -EPIPE;
}

/* PATH is the node's path in the source, or NULL; AROUND: the source's path in the node. */
static int refuse_node(const struct sync_set *set, const struct sync_node *node, const char *path,
                       const char *around)
{
    if (path && !(*path && excludes_match(set->rules.excludes, path, true)))
        return log_as(-EINVAL, "%s/%s: %s lies in the source; choose another place, or exclude it",
                      set->name, node->name, node->target);
    if (around)
        return log_as(-EINVAL, "%s/%s: the source lies in %s; choose another place", set->name,
                      node->name, node->target);
    return 0;
}

/*
 * Refuses node number AT in the source, which would be encoded as well, without end; around it,
 * which would replace it; and at the place of another node. Compares names, and PLACES, where they
 * really are, of which the last is the source's. A place that cannot be found out soon goes only by
 * its name.
 */
static int check_node(const struct sync_set *set, size_t at, struct whereabouts places[])
{
    const struct sync_node *node = &set->nodes[at];
    struct whereabouts *place = &places[at], *source = &places[set->count];

    int r = refuse_node(set, node, whereabouts_beneath(node->target, set->source),
                        whereabouts_beneath(set->source, node->target));
    if (r == 0)
        r = place_find_soon(node->target, place);
    if (r == 0)
        r = refuse_node(set, node, whereabouts_within(place, source),
                        whereabouts_within(source, place));
    for (size_t i = 0; r == 0 && i < at; i++) {
        if (whereabouts_within(place, &places[i]) || whereabouts_within(&places[i], place))
            r = log_as(-EINVAL,
                       "%s/%s: %s is the place of %s/%s, or lies in or around it; give "
                       "each share its own",
                       set->name, node->name, node->target, set->name, set->nodes[i].name);
    }
    return r;
}

static int check_nodes(const struct sync_set *set, const char *real)
{
    struct whereabouts *places = calloc(set->count + 1, sizeof *places);

    int r = places ? 0 : -ENOMEM;
    if (r == 0 && real)
        r = whereabouts_find(real, &places[set->count]);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        if (node->mover == &rsync_mover && address_kind(node->target) == ADDRESS_LOCAL)
            r = check_node(set, i, places);
    }
    for (size_t i = 0; places && i <= set->count; i++)
        whereabouts_clear(&places[i]);
    free(places);
    return r;
}

static int serve(struct sync_set *set, const struct private_view *paths)
{
    cleanup_free char *real = realpath(set->source, NULL), *folder = realpath(paths->folder, NULL);
    const char *path = real && folder ? whereabouts_beneath(folder, real) : NULL;
    cleanup_free char *rule = NULL;
    cleanup_source struct source *source = NULL;
    cleanup_view struct view *view = NULL;
    const struct mount_settings settings = {
        .mountpoint = paths->mount,
        .source = set->source,
        .attribute_timeout = -1,
        .ready = tell_ready,
    };

    int r = check_nodes(set, real);
    if (r < 0)
        return r;
    if (!folder)
        r = -ENOENT;
    else if (path && asprintf(&rule, "/%s/", path) < 0)
        r = -ENOMEM;
    else if (path) /* the folder of the run is in no share */
        r = excludes_add(set->rules.excludes, rule);
    if (r == 0)
        r = tree_source_new(set->source, &set->encoding, &set->rules, &source);
    if (r < 0)
        return log_errno(r, "%s: cannot be the source", set->source);
    if (sets_is_sealed(set))
        r = set_key_seal(set, steal_pointer(source), &source);
    if (r < 0)
        return r;
    r = view_new(steal_pointer(source), set->encoding.shares, true, &view);
    return r < 0 ? r : mount_serve(view, &settings);
}

static void remove_folder(const struct private_view *view)
{
    const struct removal_terms terms = {.removed = NULL};

    rmdir(view->mount); /* keeps its content if it is still mounted */
    remove_all(AT_FDCWD, view->folder, view->folder, &terms);
}

static int start_server(struct sync_set *set, struct private_view *view)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    int ends[2];
    char byte;
    pid_t run = getpid();
    sigset_t none;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return log_errno(-errno, "cannot start another process");
    view->tie = ends[0];
    view->server = fork();
    if (view->server == 0) {
        close(ends[0]);
        close(view->lock);
        report = ends[1];
        setpgid(0, 0); /* so that Ctrl-C ends the run first, then the view */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        for (size_t i = 0; i < COUNT_OF(signals); i++)
            signal(signals[i], SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (getppid() != run)
            raise(SIGTERM);
        int r = serve(set, view);
        remove_folder(view);
        _exit(r < 0 ? 1 : 0);
    }
    close(ends[1]);
    if (view->server < 0)
        return log_errno(-errno, "cannot start another process");
    /* Otherwise the server has logged why. */
    return TEMP_FAILURE_RETRY(read(ends[0], &byte, 1)) == 1 ? 0 : -EIO;
}

/* Stores in the lock's file what the next run has to clean up; "": nothing. */
static int write_note(int lock, const char *note)
{
    size_t length = strlen(note);

    if (ftruncate(lock, 0) < 0)
        return -errno;
    ssize_t written = pwrite(lock, note, length, 0);
    return written < 0 ? -errno : (size_t)written < length ? -ENOSPC : 0;
}

int private_view_open(struct sync_set *set, int lock, struct private_view *ret)
{
    cleanup_free char *mount = NULL;
    char folder[PATH_MAX];

    *ret = (struct private_view){.lock = lock, .tie = -1};
    /* Removes what a killed run left. */
    ssize_t size = pread(lock, folder, sizeof folder - 1, 0);
    if (size < 0)
        return log_errno(-errno, "the lock file");
    folder[size] = '\0';
    if (strstr(folder, "/" PREFIX)) {
        if (asprintf(&mount, "%s/view", folder) < 0)
            return -ENOMEM;
        private_folder_unmount(mount);
        remove_folder(&(struct private_view){.folder = folder, .mount = mount});
    }
    int r = private_folder_make(false, PREFIX, &ret->folder);
    if (r == 0 && (r = write_note(lock, ret->folder)) < 0)
        log_errno(r, "the lock file");
    if (r == 0 && asprintf(&ret->mount, "%s/view", ret->folder) < 0)
        r = -ENOMEM;
    if (r == 0 && mkdir(ret->mount, 0700) < 0)
        r = log_errno(-errno, "%s: cannot be made", ret->mount);
    if (r == 0)
        r = start_server(set, ret);
    if (r < 0)
        private_view_close(ret);
    return r;
}

void private_view_close(struct private_view *view)
{
    if (view->server > 0) {
        cleanup_fd int handle = pidfd_open(view->server, 0);
        struct pollfd ended = {.fd = handle, .events = POLLIN};
        kill(view->server, SIGTERM);
        if (handle >= 0 && poll(&ended, 1, END_LIMIT_S * 1000) == 0) {
            log_error("the source hangs; the process that reads it is left behind until the source "
                      "answers");
            close(steal_fd(&view->tie));
            private_folder_unmount(view->mount);
            kill(view->server, SIGKILL);
            poll(&ended, 1, KILLED_S * 1000);
        }
        waitpid(view->server, NULL, handle >= 0 ? WNOHANG : 0);
    }
    cleanup_close_fd(&view->tie);
    if (view->mount)
        remove_folder(view);
    write_note(view->lock, "");
    free(view->folder);
    free(view->mount);
    *view = (struct private_view){0};
}
