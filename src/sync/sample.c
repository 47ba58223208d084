/* SPDX-License-Identifier: MIT */
#include "sync/sample.h"

#include "base/log.h"
#include "base/times.h"
#include "seal/key_share.h"
#include "seal/manifest.h"

#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
    FEW = 16,
    SMALL = 1 << 16,
};

/* What is chosen of the files of a share. */
struct sample {
    FILE *list;
    unsigned kinds; /* enum sample_kinds */
    char end;
    uint64_t taken;
    char *spare; /* taken where no other is */

    /* Of a part: */
    double part;
    time_t before;
    uint64_t seen;
    unsigned short dice[3];

    /* Of a few: */
    bool sealed;
    double files, bytes; /* of all; each of several hard links counts as a part of one file */
    off_t spare_size;
    struct {
        char *path;
        struct timespec time;
    } newest[FEW];
};

/* rsync, whose lines end with a zero, takes # and ; at the beginning of one for a comment; it
 * removes slashes there. */
static void write_path(FILE *list, const char *path, char end)
{
    if (!end)
        fputc('/', list);
    fputs(path, list);
    fputc(end, list);
}

static int keep_text(char **kept, const char *text)
{
    free(*kept);
    *kept = strdup(text);
    return *kept ? 0 : -ENOMEM;
}

/* Writes to LIST what CHOOSE takes of all files beneath FOLDER that can be listed. */
static int write_chosen(struct sample *sample, const char *folder, const char *list,
                        int (*choose)(struct sample *sample, const char *path,
                                      const struct stat *status))
{
    char *roots[] = {(char *)folder, NULL};
    FTSENT *entry;

    sample->list = fopen(list, "we");
    if (!sample->list)
        return log_errno(-errno, "%s", list);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int r = walk ? 0 : -errno;
    while (r == 0 && (entry = fts_read(walk))) {
        const char *path = entry->fts_path + strlen(folder) + 1;
        const bool is_file = entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode);
        if (((is_file && sample->kinds & SAMPLE_FILES) ||
             (entry->fts_info == FTS_SL && sample->kinds & SAMPLE_SYMLINKS)) &&
            !(sample->end && strchr(path, sample->end)))
            r = choose(sample, path, entry->fts_statp);
    }
    if (walk)
        fts_close(walk);
    if (sample->taken == 0 && sample->spare) {
        write_path(sample->list, sample->spare, sample->end);
        sample->taken = 1;
    }
    free(sample->spare);
    for (size_t i = 0; i < FEW; i++) {
        if (sample->newest[i].path)
            write_path(sample->list, sample->newest[i].path, sample->end);
        free(sample->newest[i].path);
    }
    if (fclose(sample->list) != 0 && r == 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s: cannot be looked through", folder) : 0;
}

/*
 * Takes each with the same chance, also as the spare one. ctime tells of changes, as mtime can be
 * set by anybody.
 */
static int choose_part(struct sample *sample, const char *path, const struct stat *status)
{
    /* A time in the future comes from a wrong clock, not from a later change. */
    if (status->st_ctime >= sample->before && status->st_ctime <= time(NULL))
        return 0;
    sample->seen++;
    if (erand48(sample->dice) < sample->part) {
        write_path(sample->list, path, sample->end);
        sample->taken++;
    } else if (sample->taken == 0 && erand48(sample->dice) * (double)sample->seen < 1) {
        return keep_text(&sample->spare, path);
    }
    return 0;
}

int sample_write(const char *folder, unsigned kinds, double part, time_t before, const char *list,
                 char end, uint64_t *ret_count)
{
    struct sample sample = {.kinds = kinds, .part = part, .before = before, .end = end};

    if (getrandom(sample.dice, sizeof sample.dice, 0) < 0)
        return log_errno(-errno, "%s: cannot be looked through", folder);
    int r = write_chosen(&sample, folder, list, choose_part);
    *ret_count = sample.taken;
    return r;
}

static int choose_few(struct sample *sample, const char *path, const struct stat *status)
{
    size_t oldest = 0; /* of the newest, or a free place among them */

    if (sample->sealed &&
        (strcmp(path, KEY_SHARE_NAME) == 0 || strcmp(basename(path), MANIFEST_NAME) == 0))
        return 0;
    sample->files += 1.0 / (double)status->st_nlink;
    sample->bytes += (double)status->st_size / (double)status->st_nlink;
    if (status->st_size > SMALL) {
        if (sample->taken > 0 || (sample->spare && status->st_size >= sample->spare_size))
            return 0;
        sample->spare_size = status->st_size;
        return keep_text(&sample->spare, path);
    }
    if (sample->taken++ < FEW)
        write_path(sample->list, path, sample->end);
    for (size_t i = 1; i < FEW && sample->newest[oldest].path; i++) {
        if (!sample->newest[i].path ||
            times_compare(&sample->newest[i].time, &sample->newest[oldest].time) < 0)
            oldest = i;
    }
    if (sample->newest[oldest].path &&
        times_compare(&sample->newest[oldest].time, &status->st_ctim) >= 0)
        return 0;
    sample->newest[oldest].time = status->st_ctim;
    return keep_text(&sample->newest[oldest].path, path);
}

int sample_write_few(const char *folder, bool sealed, const char *list, char end,
                     uint64_t *ret_files, uint64_t *ret_bytes)
{
    struct sample sample = {.kinds = SAMPLE_FILES, .sealed = sealed, .end = end};
    int r = write_chosen(&sample, folder, list, choose_few);

    *ret_files = (uint64_t)(sample.files + 0.5);
    *ret_bytes = (uint64_t)(sample.bytes + 0.5);
    return r;
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

int sample_write_known(const char *from, const char *folder, time_t before, const char *list,
                       char end)
{
    cleanup_names struct names known = NO_NAMES;
    cleanup_free char *path = NULL;
    FILE *file = fopen(from, "re");
    size_t room = 0;
    int r = file ? 0 : -errno;

    while (r == 0 && getdelim(&path, &room, '\0', file) > 0) {
        cleanup_free char *whole = NULL;
        struct stat status;
        if (asprintf(&whole, "%s%s", folder, path) < 0)
            r = -ENOMEM;
        else if (!strchr(path, end) && lstat(whole, &status) == 0 && status.st_ctime < before)
            r = names_add(&known, path + 1);
    }
    if (file)
        fclose(file);
    if (r < 0)
        return log_errno(r, "%s", from);
    r = sample_write_paths(&known, list, end);
    return r < 0 ? r : known.count > 0;
}
