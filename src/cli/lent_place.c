/* SPDX-License-Identifier: MIT */
#include "cli/lent_place.h"

#include "base/log.h"
#include "base/thread.h"
#include "cli/private_folder.h"
#include "sync/sftp.h"
#include "tree/whereabouts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    DRAIN_MS = 1000,
    START_S = 30, /* to mount a node, unless its timeout is shorter */
    END_S = 5,    /* to unmount */
};

unsigned lent_place_limit(const struct sync_node *node)
{
    return node && node->terms.timeout < START_S ? node->terms.timeout : START_S;
}

static bool has_sshfs(void)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "sshfs", "--version");
    int status = child_run(&words, END_S, NULL);
    return !WIFEXITED(status) || WEXITSTATUS(status) != CHILD_NOT_FOUND;
}

static void add_rclone(const struct sync_node *node, struct words *words)
{
    const struct terms *terms = &node->terms;

    WORDS_ADD(words, "rclone", "mount", "--read-only", "--ask-password=false", "--log-level=ERROR",
              "--log-format=");
    words_add(words, "--timeout=%us", terms->timeout);
    words_add(words, "--contimeout=%us", lent_place_limit(node));
    if (terms->symlinks) /* otherwise symlinks at a local remote do not show */
        WORDS_ADD(words, "--links");
    if (terms->rclone_config)
        words_add(words, "--config=%s", terms->rclone_config);
}

static void add_sshfs(const struct sync_node *node, struct words *words)
{
    const struct terms *terms = &node->terms;

    WORDS_ADD(words, "sshfs", "-f", "-o", "ro,reconnect,no_contain_symlinks,BatchMode=yes");
    words_add(words, "-oConnectTimeout=%u,ServerAliveInterval=%u", lent_place_limit(node),
              terms->timeout / 3 + 1);
    if (terms->ssh_key)
        words_add(words, "-oIdentityFile=%s", terms->ssh_key);
    if (terms->ssh_config)
        words_add(words, "-F%s", terms->ssh_config);
}

/* Adds the command that mounts a node in the foreground, without asking for a password. */
static void add_mounting(const struct sync_node *node, struct words *words)
{
    const bool by_rsync = node->mover == &rsync_mover;
    cleanup_free char *sftp = by_rsync && !has_sshfs() ? sftp_remote(node) : NULL;

    if (by_rsync && !sftp)
        add_sshfs(node, words);
    else
        add_rclone(node, words);
    WORDS_ADD(words, "--", sftp ? sftp : node->target);
}

void lent_place_fail(struct lent_place *place, const char *reason)
{
    place->state = PLACE_FAILED;
    if (!*place->reason)
        snprintf(place->reason, sizeof place->reason, "%s", reason);
}

int lent_place_make(struct lent_place *place, const struct locked_folder *folder, const char *name)
{
    struct stat status;

    if (asprintf(&place->mountpoint, "%s/%s", folder->path, name) < 0)
        return -ENOMEM;
    if (mkdir(place->mountpoint, 0700) < 0 || fstat(folder->lock, &status) < 0)
        return log_errno(-errno, "%s: cannot be made", place->mountpoint);
    place->other_device = status.st_dev;
    place->root = place->mountpoint;
    place->state = PLACE_MOUNTS;
    return 0;
}

int lent_place_start(struct lent_place *place, struct words *words)
{
    words_add(words, "%s", place->mountpoint);
    int r = words->failed ? -ENOMEM : child_start(words, &place->mounting);
    names_clear(&words->names);
    return r;
}

int lent_place_mount(struct lent_place *place)
{
    struct words words = {.names = NO_NAMES};

    add_mounting(place->node, &words);
    return lent_place_start(place, &words);
}

/* Asks whether the store and each of its parents below the root is a directory: whoever puts a
 * symlink there must not choose what is read. */
void lent_place_ask(struct lent_place *place)
{
    struct words words = {.names = NO_NAMES};

    WORDS_ADD(&words, "stat", "--format=%d %F", "--");
    words_add(&words, "%s/.", place->root);
    place->awaited = 1;
    for (const char *end = place->beneath; *end; place->awaited++) {
        end = strchrnul(end + 1, '/');
        words_add(&words, "%s/%.*s", place->root, (int)(end - place->beneath), place->beneath);
    }
    place->state = PLACE_ANSWERS;
    int r = words.failed ? -ENOMEM : child_start(&words, &place->asking);
    names_clear(&words.names);
    if (r < 0)
        lent_place_fail(place, strerrordesc_np(-r));
}

/* Takes the mounting program's output, if any, as the reason for a failure. */
static void take_mounting(void *opaque, int stream, char *line)
{
    struct lent_place *place = opaque;

    if (!*place->reason)
        snprintf(place->reason, sizeof place->reason, "%s", line);
}

/* "2049 directory", or "stat: cannot statx '/mnt/usb': No such file or directory". */
static void take_answer(void *opaque, int stream, char *line)
{
    struct lent_place *place = opaque;
    const char *kind = strchr(line, ' '), *colon = strrchr(line, ':');

    if (place->state != PLACE_ANSWERS)
        return; /* the first wrong line counts */
    if (stream == 1)
        lent_place_fail(place, colon && colon[1] ? colon + 2 : line);
    else if (kind && strcmp(kind, " symbolic link") == 0)
        lent_place_fail(place, "a symlink is there, or on the way, and is not followed");
    else if (!kind || strcmp(kind, " directory") != 0)
        lent_place_fail(place, "not a directory; give the one that it is in");
    else if (strtoull(line, NULL, 10) == place->other_device)
        place->awaited = 0; /* it has been unmounted already */
    else if (place->awaited > 0 && --place->awaited == 0)
        place->state = PLACE_READY;
}

/* Asks only the kernel, never the file system. */
static bool is_mounted(const struct lent_place *place)
{
    cleanup_fd int fd = open(place->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct directory_id here;

    return fd >= 0 && directory_identify(fd, &here) == 0 && here.device != place->other_device;
}

static bool has_ended(const struct child *child)
{
    struct pollfd ended = {.fd = child->handle, .events = POLLIN};

    return child->pid > 0 && poll(&ended, 1, 0) > 0;
}

bool lent_place_look(struct lent_place *place)
{
    bool failed = has_ended(&place->mounting), answered = has_ended(&place->asking);

    if (place->state < PLACE_MOUNTS)
        return false;
    if (place->mounting.pid > 0)
        child_read(&place->mounting, take_mounting, place);
    if (place->state == PLACE_MOUNTS && is_mounted(place))
        lent_place_ask(place);
    else if (place->state == PLACE_ANSWERS)
        child_read(&place->asking, take_answer, place);
    if (place->state > PLACE_ANSWERS)
        return false;
    if (failed)
        lent_place_fail(place, !place->node ? "it cannot be mounted"
                               : place->node->mover == &rclone_mover
                                   ? "rclone cannot be run; install it"
                                   : "sshfs cannot be run; install it");
    else if (answered)
        lent_place_fail(place, "cannot be looked at");
    return place->state <= PLACE_ANSWERS;
}

static void *drain(void *opaque)
{
    struct lent_place *place = opaque;

    for (;;) {
        child_read(&place->mounting, take_mounting, place);
        poll(NULL, 0, DRAIN_MS);
    }
    return NULL;
}

int lent_place_drain(struct lent_place *place)
{
    return thread_start(drain, place);
}

void lent_place_end(const struct lent_place *place)
{
    struct pollfd ended = {.fd = place->mounting.handle, .events = POLLIN};
    bool hangs = ended.fd >= 0 && poll(&ended, 1, END_S * 1000) == 0;

    /* Needed even if the program has ended: it does not unmount what is still in use. */
    if (hangs || rmdir(place->mountpoint) < 0)
        private_folder_unmount(place->mountpoint);
    if (hangs) {
        child_kill(&place->mounting);
        poll(&ended, 1, 1000);
    }
    rmdir(place->mountpoint);
}
