/* SPDX-License-Identifier: MIT */
#include "sync/sample.h"

#include "base/log.h"

#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
    FEW = 16,
    SMALL = 1 << 16,
};

static void write_path(FILE *list, const char *path, char end)
{
    fputs(path, list);
    fputc(end, list);
}

/* A file that can be listed. */
static bool is_listed(const FTSENT *entry, const char *path, char end)
{
    return entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) &&
           !(end && strchr(path, end));
}

/* Goes through all beneath FOLDER, and has CHOOSE write some of it to LIST. */
static int walk_through(const char *folder, const char *list,
                        int (*choose)(void *context, FTS *walk, size_t skipped, FILE *list),
                        void *context)
{
    char *roots[] = {(char *)folder, NULL};
    FILE *file = fopen(list, "we");

    if (!file)
        return log_errno(-errno, "%s", list);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int r = walk ? choose(context, walk, strlen(folder) + 1, file) : -errno;
    if (walk)
        fts_close(walk);
    if (fclose(file) != 0 && r == 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s: cannot be looked through", folder) : 0;
}

struct part {
    double part;
    time_t before;
    char end;
    uint64_t taken;
};

static int choose_part(void *context, FTS *walk, size_t skipped, FILE *list)
{
    cleanup_free char *spare = NULL; /* one of all that were seen: taken where no other is */
    struct part *part = context;
    uint64_t seen = 0;
    unsigned short dice[3];
    FTSENT *entry;

    if (getrandom(dice, sizeof dice, 0) < 0)
        return -errno;
    while ((entry = fts_read(walk))) {
        const char *path = entry->fts_path + skipped;
        const struct stat *status = entry->fts_statp;
        if (!is_listed(entry, path, part->end) || status->st_mtime >= part->before ||
            status->st_ctime >= part->before)
            continue;
        seen++;
        if (erand48(dice) < part->part) {
            write_path(list, path, part->end);
            part->taken++;
        } else if (part->taken == 0 && erand48(dice) * (double)seen < 1) {
            free(spare);
            spare = strdup(path);
            if (!spare)
                return -ENOMEM;
        }
    }
    if (part->taken == 0 && spare) {
        write_path(list, spare, part->end);
        part->taken = 1;
    }
    return 0;
}

int sample_write(const char *folder, double part, time_t before, const char *list, char end,
                 uint64_t *ret_count)
{
    struct part chosen = {.part = part, .before = before, .end = end};

    int r = walk_through(folder, list, choose_part, &chosen);
    *ret_count = chosen.taken;
    return r;
}

/* The newest files that were seen. */
struct newest {
    struct {
        char *path;
        struct timespec time;
    } files[FEW];
};

static bool is_before(struct timespec one, struct timespec other)
{
    return one.tv_sec != other.tv_sec ? one.tv_sec < other.tv_sec : one.tv_nsec < other.tv_nsec;
}

/* Puts it in the place of the oldest, where it is newer. */
static int keep_newest(struct newest *newest, const char *path, struct timespec time)
{
    size_t oldest = 0;

    for (size_t i = 1; i < FEW; i++) {
        if (newest->files[oldest].path &&
            (!newest->files[i].path ||
             is_before(newest->files[i].time, newest->files[oldest].time)))
            oldest = i;
    }
    if (newest->files[oldest].path && !is_before(newest->files[oldest].time, time))
        return 0;
    free(newest->files[oldest].path);
    newest->files[oldest].path = strdup(path);
    newest->files[oldest].time = time;
    return newest->files[oldest].path ? 0 : -ENOMEM;
}

static int choose_few(void *context, FTS *walk, size_t skipped, FILE *list)
{
    const char end = *(const char *)context;
    cleanup_free char *smallest = NULL; /* taken where no other is */
    struct newest newest = {0};
    off_t size = 0;
    uint64_t taken = 0;
    FTSENT *entry;
    int r = 0;

    while (r == 0 && (entry = fts_read(walk))) {
        const char *path = entry->fts_path + skipped;
        const struct stat *status = entry->fts_statp;
        if (!is_listed(entry, path, end))
            continue;
        if (status->st_size <= SMALL) {
            r = keep_newest(&newest, path, status->st_mtim);
            if (taken++ < FEW)
                write_path(list, path, end);
        } else if (taken == 0 && (!smallest || status->st_size < size)) {
            free(smallest);
            smallest = strdup(path);
            size = status->st_size;
            r = smallest ? 0 : -ENOMEM;
        }
    }
    if (taken == 0 && smallest)
        write_path(list, smallest, end);
    for (size_t i = 0; i < FEW; i++) {
        if (newest.files[i].path)
            write_path(list, newest.files[i].path, end);
        free(newest.files[i].path);
    }
    return r;
}

int sample_write_few(const char *folder, const char *list, char end)
{
    return walk_through(folder, list, choose_few, &end);
}

int sample_write_paths(const struct names *paths, const char *list, char end)
{
    FILE *file = fopen(list, "we");

    for (size_t i = 0; file && i < paths->count; i++)
        write_path(file, names_get(paths, i), end);
    int r = !file || ferror(file) ? -EIO : 0;
    if (file && fclose(file) != 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s", list) : 0;
}
