/* SPDX-License-Identifier: MIT */
#include "sync/sample.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
    FEW = 16,
    FEW_AMONG = 10000,
    SMALL = 1 << 16,
};

struct sampling {
    FILE *list;
    char end;
    double part;
    time_t before;
    unsigned short dice[3];
    int (*consider)(struct sampling *sampling, const char *path, const struct stat *status);
    uint64_t seen, taken;
    char *spare; /* one of all that were seen: taken where no other is */
    off_t size;  /* of that */
};

static void take(struct sampling *sampling, const char *path)
{
    fputs(path, sampling->list);
    fputc(sampling->end, sampling->list);
    sampling->taken++;
}

static int keep_spare(struct sampling *sampling, const char *path)
{
    free(sampling->spare);
    sampling->spare = strdup(path);
    return sampling->spare ? 0 : -ENOMEM;
}

static int consider_part(struct sampling *sampling, const char *path, const struct stat *status)
{
    if (status->st_mtime >= sampling->before || status->st_ctime >= sampling->before)
        return 0;
    sampling->seen++;
    if (erand48(sampling->dice) < sampling->part)
        take(sampling, path);
    else if (sampling->taken == 0 && erand48(sampling->dice) * (double)sampling->seen < 1)
        return keep_spare(sampling, path);
    return 0;
}

static int consider_few(struct sampling *sampling, const char *path, const struct stat *status)
{
    sampling->seen++;
    if (status->st_size <= SMALL) {
        take(sampling, path);
    } else if (!sampling->spare || status->st_size < sampling->size) {
        sampling->size = status->st_size;
        return keep_spare(sampling, path);
    }
    return 0;
}

static bool is_enough(const struct sampling *sampling)
{
    return sampling->consider == consider_few &&
           (sampling->taken == FEW || sampling->seen == FEW_AMONG);
}

static int visit(struct sampling *sampling, const char *folder)
{
    char *roots[] = {(char *)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    size_t skipped = strlen(folder) + 1;
    int r = walk ? 0 : -errno;

    for (FTSENT *entry; r == 0 && !is_enough(sampling) && (entry = fts_read(walk));) {
        const char *path = entry->fts_path + skipped;
        bool usable = entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) &&
                      !(sampling->end && strchr(path, sampling->end));
        if (usable)
            r = sampling->consider(sampling, path, entry->fts_statp);
    }
    if (walk)
        fts_close(walk);
    if (r == 0 && sampling->taken == 0 && sampling->spare)
        take(sampling, sampling->spare);
    return r;
}

static int write_list(struct sampling *sampling, const char *folder, const char *list,
                      uint64_t *ret_count)
{
    sampling->list = fopen(list, "we");
    if (!sampling->list)
        return log_errno(-errno, "%s", list);
    int r = visit(sampling, folder);
    if (fclose(sampling->list) != 0 && r == 0)
        r = -errno;
    free(sampling->spare);
    if (r < 0)
        return log_errno(r, "%s: cannot be looked through", folder);
    *ret_count = sampling->taken;
    return 0;
}

int sample_write(const char *folder, double part, time_t before, const char *list, char end,
                 uint64_t *ret_count)
{
    struct sampling sampling = {
        .end = end, .part = part, .before = before, .consider = consider_part};

    if (getrandom(sampling.dice, sizeof sampling.dice, 0) < 0)
        return log_errno(-errno, "random numbers");
    return write_list(&sampling, folder, list, ret_count);
}

int sample_few(const char *folder, const char *list, char end, uint64_t *ret_count)
{
    struct sampling sampling = {.end = end, .consider = consider_few};

    return write_list(&sampling, folder, list, ret_count);
}

int sample_write_paths(const struct names *paths, const char *list, char end)
{
    FILE *file = fopen(list, "we");

    for (size_t i = 0; file && i < paths->count; i++) {
        fputs(names_get(paths, i), file);
        fputc(end, file);
    }
    int r = !file || ferror(file) ? -EIO : 0;
    if (file && fclose(file) != 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s", list) : 0;
}
