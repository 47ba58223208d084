/* SPDX-License-Identifier: MIT */
/*
 * The floor that the views are compared with: a FUSE server that reads K*L bytes of a file for each
 * L bytes that it answers, as an encoded view with k = K has to, and does nothing else: no code, no
 * checks, no tree. It shows the files 0, 1, ... 9, all of the same bytes.
 *
 *     floor K pread|mmap cached|direct SOURCE MOUNTPOINT
 */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    REQUEST_SIZE_MAX = 1 << 20, /* these three as zfec-fs has them */
    BACKGROUND_MAX = 64,
    THREADS_MAX = 128,
    FIRST_FILE = FUSE_ROOT_ID + 1,
    FILES = 10,
};

static const double FOR_EVER_S = 3600;

static struct {
    size_t required;
    bool mapped, direct;
    int fd;
    const uint8_t *map;
    size_t size; /* of the source */
} floor_;

static void initialize(void *userdata, struct fuse_conn_info *connection)
{
    connection->max_read = REQUEST_SIZE_MAX;
    connection->max_background = BACKGROUND_MAX;
    connection->congestion_threshold = BACKGROUND_MAX;
    connection->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
}

static struct stat status_of(fuse_ino_t node)
{
    struct stat status = {.st_ino = node, .st_nlink = 1, .st_mode = S_IFDIR | 0755};

    if (node != FUSE_ROOT_ID) {
        status.st_mode = S_IFREG | 0444;
        status.st_size = (off_t)(floor_.size / floor_.required);
    }
    return status;
}

static void answer_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.attr_timeout = FOR_EVER_S, .entry_timeout = FOR_EVER_S};

    if (parent != FUSE_ROOT_ID || name[0] < '0' || name[0] >= '0' + FILES || name[1]) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    entry.ino = (fuse_ino_t)(FIRST_FILE + name[0] - '0');
    entry.attr = status_of(entry.ino);
    fuse_reply_entry(request, &entry);
}

static void answer_getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    struct stat status = status_of(node);

    fuse_reply_attr(request, &status, FOR_EVER_S);
}

static void answer_open(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    info->direct_io = floor_.direct;
    fuse_reply_open(request, info);
}

/* One for each thread, kept: first touches of fresh memory would be most of what is measured. */
static uint8_t *thread_buffer(void)
{
    static _Thread_local uint8_t *buffer;

    if (!buffer)
        buffer = malloc(floor_.required * REQUEST_SIZE_MAX);
    return buffer;
}

static int read_all(size_t size, off_t offset, uint8_t *data)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(floor_.fd, data + done, size - done, offset + (off_t)done);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

/* Has every cache line come from memory. */
static void touch(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        (void)((const volatile uint8_t *)data)[i];
}

static void answer_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                        struct fuse_file_info *info)
{
    size_t end = floor_.size / floor_.required, at = (size_t)offset;
    size_t length = at >= end ? 0 : size < end - at ? size : end - at;
    size_t from = at * floor_.required, all = length * floor_.required;

    if (floor_.mapped) {
        touch(floor_.map + from, all);
        fuse_reply_buf(request, (const char *)floor_.map + from, length);
        return;
    }
    uint8_t *data = thread_buffer();
    int r = data ? read_all(all, (off_t)from, data) : -ENOMEM;
    if (r < 0)
        fuse_reply_err(request, -r);
    else
        fuse_reply_buf(request, (const char *)data, length);
}

static const struct fuse_lowlevel_ops operations = {
    .init = initialize,
    .lookup = answer_lookup,
    .getattr = answer_getattr,
    .open = answer_open,
    .read = answer_read,
};

static int open_source(const char *path)
{
    struct stat status;

    floor_.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (floor_.fd < 0 || fstat(floor_.fd, &status) < 0)
        return -1;
    floor_.size = (size_t)status.st_size;
    if (!floor_.mapped)
        return 0;
    floor_.map = mmap(NULL, floor_.size, PROT_READ, MAP_SHARED | MAP_POPULATE, floor_.fd, 0);
    return floor_.map == MAP_FAILED ? -1 : 0;
}

static int loop(struct fuse_session *session)
{
#if FUSE_USE_VERSION >= 312
    struct fuse_loop_config *config = fuse_loop_cfg_create();

    fuse_loop_cfg_set_max_threads(config, THREADS_MAX);
    int r = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return r;
#else
    struct fuse_loop_config config = {.max_idle_threads = 10};

    return fuse_session_loop_mt(session, &config);
#endif
}

static int serve(const char *mountpoint)
{
    char *words[] = {"floor", "-o", "ro,subtype=floor,max_read=1048576", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    int r = -1;

    if (!session)
        return -1;
    if (fuse_set_signal_handlers(session) == 0 && fuse_session_mount(session, mountpoint) == 0) {
        r = loop(session);
        fuse_session_unmount(session);
    }
    fuse_session_destroy(session);
    return r < 0 ? -1 : 0; /* positive where a signal ended it */
}

int main(int count, char *words[])
{
    if (count != 6 || atoi(words[1]) < 1) {
        fputs("usage: floor K pread|mmap cached|direct SOURCE MOUNTPOINT\n", stderr);
        return EXIT_FAILURE;
    }
    floor_.required = (size_t)atoi(words[1]);
    floor_.mapped = strcmp(words[2], "mmap") == 0;
    floor_.direct = strcmp(words[3], "direct") == 0;
    if (open_source(words[4]) < 0) {
        perror(words[4]);
        return EXIT_FAILURE;
    }
    return serve(words[5]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
