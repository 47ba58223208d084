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
    FEW_AMONG = 10000,
    SMALL = 1 << 16,
};

static void write_path(FILE *list, const char *path, char end)
{
    fputs(path, list);
    fputc(end, list);
}

/* Writes what was chosen while WALK goes beneath a folder whose name has SKIPPED bytes. */
static int choose_files(FTS *walk, size_t skipped, double part, time_t before, FILE *list, char end,
                        uint64_t *ret_count)
{
    cleanup_free char *spare = NULL; /* one of all that were seen: taken where no other is */
    off_t spare_size = 0;
    uint64_t names = 0, seen = 0, taken = 0;
    unsigned short dice[3];
    FTSENT *entry;

    if (getrandom(dice, sizeof dice, 0) < 0)
        return -errno;
    while ((entry = fts_read(walk))) {
        const char *path = entry->fts_path + skipped;
        const struct stat *status = entry->fts_statp;
        names += entry->fts_level > 0 && entry->fts_info != FTS_DP;
        if (part == 0 && (taken == FEW || seen == FEW_AMONG))
            continue;
        if (entry->fts_info != FTS_F || !S_ISREG(status->st_mode) || (end && strchr(path, end)))
            continue;
        if (part > 0 && (status->st_mtime >= before || status->st_ctime >= before))
            continue;
        seen++;
        if (part > 0 ? erand48(dice) < part : status->st_size <= SMALL) {
            write_path(list, path, end);
            taken++;
        } else if (taken == 0 && (part > 0 ? erand48(dice) * (double)seen < 1
                                           : !spare || status->st_size < spare_size)) {
            free(spare);
            spare = strdup(path);
            spare_size = status->st_size;
            if (!spare)
                return -ENOMEM;
        }
    }
    if (taken == 0 && spare)
        write_path(list, spare, end);
    if (part == 0)
        *ret_count = names;
    else
        *ret_count = taken == 0 && spare ? 1 : taken;
    return 0;
}

int sample_write(const char *folder, double part, time_t before, const char *list, char end,
                 uint64_t *ret_count)
{
    char *roots[] = {(char *)folder, NULL};
    FILE *file = fopen(list, "we");

    if (!file)
        return log_errno(-errno, "%s", list);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int r =
        walk ? choose_files(walk, strlen(folder) + 1, part, before, file, end, ret_count) : -errno;
    if (walk)
        fts_close(walk);
    if (fclose(file) != 0 && r == 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s: cannot be looked through", folder) : 0;
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
