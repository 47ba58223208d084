/* SPDX-License-Identifier: MIT */
#include "mount/mount.h"

#include "base/array.h"
#include "base/io.h"
#include "base/log.h"
#include "mount/mounted.h"
#include "tree/tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

DEFINE_CLEANUP(struct fuse_session *, fuse_session_destroy)

static void log_library(enum fuse_log_level level, const char *format, va_list arguments)
{
    cleanup_free char *line = NULL;

    if (level == FUSE_LOG_DEBUG) { /* comes in parts of lines, and only in the foreground */
        vfprintf(stderr, format, arguments);
    } else if (vasprintf(&line, format, arguments) >= 0) {
        line[strcspn(line, "\n")] = '\0';
        log_message(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s", line);
    }
}

/* Adds "-o" and all options as libfuse takes them. */
static int add_options(const struct mount_settings *settings, struct fuse_args *args)
{
    cleanup_free char *options = NULL, *source = NULL, *own = NULL;
    const char *transport = NULL;

#ifdef FUSE_CAP_OVER_IO_URING /* libfuse 3.18; it does without where the kernel has none */
    transport = settings->io_uring ? "io_uring" : NULL;
#endif
    if (asprintf(&own, "ro,subtype=zfec-fs,max_read=%d", (int)REQUEST_SIZE_MAX) < 0 ||
        asprintf(&source, "fsname=%s", settings->source) < 0)
        return -ENOMEM;
    /* What the user gave comes last: his fsname= holds, not ours. */
    if (fuse_opt_add_opt(&options, own) != 0 || fuse_opt_add_opt_escaped(&options, source) != 0 ||
        (transport && fuse_opt_add_opt(&options, transport) != 0) ||
        (settings->options && fuse_opt_add_opt(&options, settings->options) != 0) ||
        fuse_opt_add_arg(args, "zfec-fs") != 0 || fuse_opt_add_arg(args, "-o") != 0 ||
        fuse_opt_add_arg(args, options) != 0 ||
        (settings->debug && fuse_opt_add_arg(args, "-d") != 0))
        return -ENOMEM;
    return 0;
}

/*
 * Answers the kernel's first request, by which the two agree on what the connection can do. Done
 * here, and not in the loop, because only then the mount's read-ahead is ours to set.
 */
static int shake_hands(struct fuse_session *session)
{
    struct fuse_buf request = {0};

    int r = fuse_session_receive_buf(session, &request);
    if (r > 0)
        fuse_session_process_buf(session, &request);
    free(request.mem);
    if (r == 0 || fuse_session_exited(session))
        return -EPROTO;
    return r < 0 ? r : 0;
}

/*
 * Has the kernel read ahead in large requests, where that is permitted (to root): by default they
 * are of 128 KiB at most. Elsewhere reads stay right, and get slower.
 */
static void widen_readahead(dev_t device)
{
    char path[64];

    snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(device), minor(device));
    cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1024", 4) < 0)
        return;
}

static int mount_session(struct fuse_session *session, const char *mountpoint)
{
    struct stat covered;
    struct statx status;

    if (stat(mountpoint, &covered) < 0)
        return log_errno(-errno, "%s: cannot use it as a mountpoint", mountpoint);
    if (fuse_session_mount(session, mountpoint) != 0)
        return log_as(
            -EIO, "%s: cannot mount (is fusermount3 installed, /dev/fuse there and open to you?)",
            mountpoint);
    /* The device, without asking the file system for anything. */
    if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0)
        return log_errno(-errno, "%s: lost at once", mountpoint);
    dev_t device = makedev(status.stx_dev_major, status.stx_dev_minor);
    tree_avoid(device, &covered);
    int r = shake_hands(session);
    if (r < 0)
        return log_errno(r, "%s: the kernel does not answer", mountpoint);
    widen_readahead(device);
    return 0;
}

static int loop(struct fuse_session *session, bool single)
{
    if (single)
        return fuse_session_loop(session);
#if FUSE_USE_VERSION >= 312
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!config)
        return -ENOMEM;
    fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
    int r = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return r;
#else
    struct fuse_loop_config config = {.max_idle_threads = 10};
    return fuse_session_loop_mt(session, &config);
#endif
}

static atomic_bool *stopping;
static void (*end_session)(int number); /* libfuse's */

static void stop(int number)
{
    atomic_store(stopping, true);
    end_session(number);
}

/* Puts one handler in place of another, of the signals that end a session. */
static void change_handlers(void (*from)(int number), void (*to)(int number))
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction action;

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (sigaction(numbers[i], NULL, &action) < 0 || action.sa_handler != from)
            continue;
        action.sa_handler = to;
        sigaction(numbers[i], &action, NULL);
    }
}

/* libfuse waits for requests under way: those that take long are to end early. */
static void watch_signals(atomic_bool *flag)
{
    struct sigaction action;

    stopping = flag;
    if (!flag || sigaction(SIGTERM, NULL, &action) < 0 || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
        return;
    end_session = action.sa_handler;
    change_handlers(end_session, stop);
}

/* From the session that can be mounted to its end. */
static int serve(struct fuse_session *session, const struct mount_settings *settings)
{
    if (fuse_set_signal_handlers(session) != 0) /* libfuse has said why */
        return -EIO;
    watch_signals(settings->stop);
    int r = mount_session(session, settings->mountpoint);
    if (r == 0)
        r = settings->ready();
    if (r == 0) {
        r = loop(session, settings->single);
        if (r < 0)
            log_errno(r, "the connection to the kernel broke");
    }
    change_handlers(stop, end_session);
    fuse_remove_signal_handlers(session);
    fuse_session_unmount(session);
    return r < 0 ? r : 0; /* positive where a signal ended it */
}

int mount_serve(struct view *view, const struct mount_settings *settings)
{
    CLEANUP(cleanup_by_fuse_session_destroy) struct fuse_session *session = NULL;
    CLEANUP(fuse_opt_free_args) struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    cleanup_nodes struct nodes *nodes = NULL;

    fuse_set_log_func(log_library);
    descriptors_allow_all();
    int r = nodes_new(&nodes);
    if (r < 0)
        return log_errno(r, "cannot start");
    struct mounted mounted = {
        .settings = settings, .view = view, .nodes = nodes, .lock = PTHREAD_MUTEX_INITIALIZER};
    r = add_options(settings, &args);
    if (r < 0)
        return r;
    session = fuse_session_new(&args, &mount_operations, sizeof mount_operations, &mounted);
    if (!session)
        return -EINVAL; /* libfuse has said why */
    mounted.session = session;
    r = serve(session, settings);
    while (!LIST_EMPTY(&mounted.handles))
        handle_free(&mounted, LIST_FIRST(&mounted.handles));
    return r;
}

const char *mount_library_version(void)
{
    return fuse_pkgversion();
}
