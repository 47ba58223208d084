/* SPDX-License-Identifier: MIT */
#include "sync/sample.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

struct sampling {
    FILE *list;
    char end;
    double part;
    time_t before;
    unsigned short dice[3];
    uint64_t seen, taken;
    char *spare; /* one of all that were seen: taken where no other is */
};

static void take(struct sampling *sampling, const char *path)
{
    fputs(path, sampling->list);
    fputc(sampling->end, sampling->list);
    sampling->taken++;
}

static int consider(struct sampling *sampling, const char *path, const struct stat *status)
{
    if (!S_ISREG(status->st_mode) || (sampling->end && strchr(path, sampling->end)) ||
        status->st_mtime >= sampling->before || status->st_ctime >= sampling->before)
        return 0;
    sampling->seen++;
    if (erand48(sampling->dice) < sampling->part) {
        take(sampling, path);
    } else if (sampling->taken == 0 && erand48(sampling->dice) * (double)sampling->seen < 1) {
        free(sampling->spare);
        sampling->spare = strdup(path);
        return sampling->spare ? 0 : -ENOMEM;
    }
    return 0;
}

static int visit(struct sampling *sampling, const char *folder)
{
    char *roots[] = {(char *)folder, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    size_t skipped = strlen(folder) + 1;
    int r = walk ? 0 : -errno;

    for (FTSENT *entry; r == 0 && (entry = fts_read(walk));) {
        if (entry->fts_info == FTS_F)
            r = consider(sampling, entry->fts_path + skipped, entry->fts_statp);
    }
    if (walk)
        fts_close(walk);
    if (r == 0 && sampling->taken == 0 && sampling->spare)
        take(sampling, sampling->spare);
    return r;
}

int sample_write(const char *folder, double part, time_t before, const char *list, char end,
                 uint64_t *ret_count)
{
    struct sampling sampling = {.end = end, .part = part, .before = before};

    if (getrandom(sampling.dice, sizeof sampling.dice, 0) < 0)
        return log_errno(-errno, "random numbers");
    sampling.list = fopen(list, "we");
    if (!sampling.list)
        return log_errno(-errno, "%s", list);
    int r = visit(&sampling, folder);
    if (fclose(sampling.list) != 0 && r == 0)
        r = -errno;
    free(sampling.spare);
    if (r < 0)
        return log_errno(r, "%s: cannot be looked through", folder);
    *ret_count = sampling.taken;
    return 0;
}
