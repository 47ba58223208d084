/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/background.h"
#include "cli/sealed.h"
#include "cli/set_stores.h"
#include "cli/sources.h"
#include "mount/mount.h"
#include "restore/survey.h"
#include "tree/mounts.h"
#include "view/report.h"
#include "view/view.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The source whose stores SIGUSR1 reports; NULL: not open. */
static struct {
    pthread_mutex_t lock;
    struct source *source;
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void watch_stores(struct source *source)
{
    HOLD(&watched.lock);
    watched.source = source;
}

/* Logs that too few stores are there to show anything, and returns true, if that is so. */
static bool tell_few(void)
{
    cleanup_store_list struct store_list *list = NULL;

    HOLD(&watched.lock);
    return watched.source && stores_now(store_source_stores(watched.source), &list) == 0 &&
           refuse_few(store_source_terms(watched.source), list) < 0;
}

static bool are_few; /* when the mount began; repeated in syslog */

static int leave_user(void)
{
    int r = background_leave_user();

    if (r == 0 && are_few)
        tell_few();
    return r;
}

/* Logs once, even if many threads find something lost. */
static void tell_unfetched(void *opaque)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&told))
        set_stores_tell_unfetched(opaque, "mount this again");
}

/* Logs the state of the stores whenever SIGUSR1 asks for it. */
static void *log_stores(void *opaque)
{
    const sigset_t *asked = opaque;
    int number;

    while (sigwait(asked, &number) == 0) {
        HOLD(&watched.lock);
        cleanup_free char *text = NULL;
        char *rest = NULL;
        if (!watched.source || report_stores(store_source_stores(watched.source), &text) < 0)
            continue;
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            log_warning("%s", line);
    }
    return NULL;
}

/* Refuses to cover what is in PATH: perhaps the mountpoint was meant to be the source. If PATH
 * cannot be listed, the mount itself reports more. */
static int refuse_cover(const char *path, bool is_alone)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_free char *real = realpath(path, NULL);

    if (real && mounts_are_ours(real) > 0)
        return log_as(-EINVAL,
                      "%s: zfec-fs has mounted something there already; unmount it by fusermount3 "
                      "-u, or use -o nonempty",
                      path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || names_add_listing(&names, fd) < 0 || names.count == 0)
        return 0;
    return log_as(-EINVAL,
                  "%s: cannot be the mountpoint: not empty; %sgive an empty directory%s, or use -o "
                  "nonempty to cover what is in it",
                  path, is_alone ? "if it is the source, " : "", is_alone ? " behind it" : "");
}

/* Checks that words and options fit together, and sets what follows from them. */
static int check_options(struct options *options)
{
    bool from_stores = options->view != VIEW_ENCODED;
    char **words = options->words;
    struct stat status;

    if (options->word_count > 2)
        return log_as(-EINVAL, "%s: too many arguments; give [SOURCE] MOUNTPOINT", words[2]);
    if (options->word_count == 2 && options->source)
        return log_as(-EINVAL, "%s: the source is given twice, by source=%s too; leave one out",
                      words[0], options->source);
    if (options->word_count == 2 && !(options->source = strdup(words[0])))
        return -ENOMEM;
    if (from_stores && !options->source && options->stores.count == 0)
        return log_as(-EINVAL,
                      "%s: no stores given; name their directory, STORES, or use store=DIR",
                      options->view == VIEW_RESTORED ? "restore" : "rebuild");
    if (!from_stores && *options->of_stores)
        return log_as(-EINVAL,
                      "%s: there are no stores here; leave it out, or give restore or rebuild",
                      options->of_stores);
    if (from_stores && *options->of_source)
        return log_as(-EINVAL, "%s: that is for making shares of a source; leave it out",
                      options->of_source);
    if (!from_stores && options_check_encoding(options) < 0)
        return -EINVAL;
    if (!from_stores && !options->source && !(options->source = strdup("/")))
        return -ENOMEM;
    /* The kernel has to check access, because the daemon, which may be root's, reads for
     * everyone. */
    if (options->others_allowed && !options->permissions_checked &&
        options_pass_on(options, "default_permissions") < 0)
        return -ENOMEM;
    options->permissions_checked |= options->others_allowed;
    if (options->word_count == 0)
        return log_as(-EINVAL, "MOUNTPOINT: missing; see zfec-fs --help");
    const char *mountpoint = words[options->word_count - 1];
    if (stat(mountpoint, &status) < 0)
        return log_errno(-errno, "%s: cannot be the mountpoint; create an empty directory there",
                         mountpoint);
    if (!S_ISDIR(status.st_mode))
        return log_as(-EINVAL, "%s: cannot be the mountpoint: not a directory", mountpoint);
    return options->covers ? 0 : refuse_cover(mountpoint, options->word_count == 1 && !from_stores);
}

/* Opens the stores in the process that stays, since threads may be at stores that hang. */
enum exit_status mount_command(struct options *options)
{
    static sigset_t asked;
    static atomic_bool stop;
    cleanup_view struct view *view = NULL;
    bool from_stores = options->view != VIEW_ENCODED;
    const struct share_terms terms = {.lacks = tell_unfetched, .context = options, .stop = &stop};
    struct source *source;

    if (check_options(options) < 0)
        return EXIT_STATUS_USAGE;
    bool stays = options->foreground || options->debug;
    bool from_set = from_stores && options->source && set_stores_is_address(options->source);
    if ((!stays || from_set) && background_enter(stays ? BACKGROUND_MOUNT : BACKGROUND_DAEMON) < 0)
        return EXIT_STATUS_FAILED;
    /* Only the thread that waits for the signal takes it. */
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    thread_start(log_stores, &asked);
    int r = from_stores ? set_stores_open(options) : 0;
    if (r == 0)
        r = from_stores ? source_of_stores(options, terms, &source)
                        : source_of_tree(options, &source);
    if (r == 0 && from_stores)
        watch_stores(source);
    if (r == 0 && options->view == VIEW_RESTORED)
        r = source_open_sealed(options, &source);
    if (r == 0 && from_stores && options->view != VIEW_RESTORED)
        r = store_source_show_key(source, options->encoding.shares);
    are_few = r == 0 && tell_few();
    if (r == 0)
        r = options->view == VIEW_RESTORED
                ? view_new(source, 0, options->permissions_checked, &view)
                : view_new(source, options->encoding.shares, true, &view);
    if (r < 0)
        return from_stores    ? status_of_stores(r)
               : r == -EINVAL ? EXIT_STATUS_USAGE
                              : EXIT_STATUS_FAILED;
    const struct mount_settings settings = {
        .mountpoint = options->words[options->word_count - 1],
        .source = options->source    ? options->source
                  : options->address ? options->address
                                     : "zfec-fs",
        .options = options->mount_options,
        .permissions_checked = options->permissions_checked,
        .pages_avoided = options->pages_avoided,
        .io_uring = options->io_uring,
        .attribute_timeout = options->attribute_timeout,
        .debug = options->debug,
        .single = options->single,
        .ready = leave_user,
        .stop = &stop,
    };
    r = mount_serve(view, &settings);
    watch_stores(NULL);
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
