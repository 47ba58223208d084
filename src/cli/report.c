/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include "base/log.h"
#include "tree/temporary.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int open_directory_of(const char *path, const char *name)
{
    cleanup_free char *directory = strndup(path, (size_t)(name - path));

    if (!directory)
        return -ENOMEM;
    int fd = open(*directory ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A page takes the place of an old one, and of nothing else: not of /dev/null, for one. */
static int check_name(const struct report *report)
{
    struct stat status;

    if (!*report->name)
        return -EISDIR;
    if (fstatat(report->directory, report->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISREG(status.st_mode) ? 0 : S_ISDIR(status.st_mode) ? -EISDIR : -EEXIST;
}

/* Nothing is left of this while check runs, which may be for hours, and be killed. */
static int try_directory(const struct report *report)
{
    char temporary[TEMPORARY_NAME_SIZE];
    cleanup_fd int fd = -1;

    int r = temporary_file(report->directory, temporary, &fd);
    if (r == 0 && unlinkat(report->directory, temporary, 0) < 0)
        r = -errno;
    return r;
}

int report_open(const char *path, struct report *ret)
{
    *ret = NO_REPORT;
    if (!path)
        return 0;
    const char *slash = strrchr(path, '/');
    struct report report = {.path = path, .name = slash ? slash + 1 : path};
    report.directory = open_directory_of(path, report.name);
    int r = report.directory < 0 ? report.directory : check_name(&report);
    if (r == 0)
        r = try_directory(&report);
    if (r < 0) {
        report_close(&report);
        return log_errno(r, "--report %s: cannot be written", path);
    }
    *ret = report;
    return 0;
}

void report_close(struct report *report)
{
    cleanup_close_fd(&report->directory);
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Whoever may read what the user makes may read this. */
static int finish_file(int fd)
{
    mode_t hidden = umask(0);

    umask(hidden);
    return fchmod(fd, 0666 & ~hidden) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_page(const struct findings *findings, const struct page_facts *facts, char **ret,
                     size_t *ret_size)
{
    FILE *out = open_memstream(ret, ret_size);

    if (!out)
        return -ENOMEM;
    page_print(out, findings, facts);
    return fclose(out) == 0 ? findings->worst.error : -ENOMEM;
}

static int write_file(const struct report *report, const char *page, size_t size)
{
    char temporary[TEMPORARY_NAME_SIZE];
    cleanup_fd int fd = -1;

    int r = temporary_file(report->directory, temporary, &fd);
    if (r < 0)
        return r;
    r = write_all(fd, page, size);
    if (r == 0)
        r = finish_file(fd);
    if (r == 0)
        r = check_name(report); /* once more: hours may have passed */
    if (r == 0)
        return temporary_rename(report->directory, temporary, report->name);
    unlinkat(report->directory, temporary, 0);
    return r;
}

int report_write(const struct report *report, const struct findings *findings,
                 const struct page_facts *facts)
{
    cleanup_free char *page = NULL;
    size_t size;

    if (report->directory < 0)
        return 0;
    int r = make_page(findings, facts, &page, &size);
    if (r == 0)
        r = write_file(report, page, size);
    return r < 0 ? log_errno(r, "--report %s: cannot be written", report->path) : 0;
}
