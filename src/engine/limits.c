/* SPDX-License-Identifier: MIT */
#include "engine/limits.h"

#include "base/times.h"
#include "tree/metadata.h"

enum {
    ENOUGH = 8, /* names that are all wrong in one way by no accident */
    PERMISSIONS = 07777,
};

static bool same_owner(const struct stat *a, const struct stat *b)
{
    return a->st_uid == b->st_uid && a->st_gid == b->st_gid;
}

static bool same_mode(mode_t a, mode_t b)
{
    return ((a ^ b) & PERMISSIONS) == 0;
}

static void note_owner(struct same_in_all *all, const struct stat *own, const struct stat *shown)
{
    if (all->names++ == 0) {
        all->uid = own->st_uid;
        all->gid = own->st_gid;
    }
    all->differ |= all->uid != own->st_uid || all->gid != own->st_gid;
    all->others += !same_owner(own, shown);
}

static void note_mode(struct same_in_all *all, const struct stat *own, const struct stat *shown)
{
    if (all->names++ == 0)
        all->mode = own->st_mode;
    all->differ |= !same_mode(all->mode, own->st_mode);
    all->others += !same_mode(own->st_mode, shown->st_mode);
}

static void note_time(struct limits_pair *times, const struct stat *own,
                      const struct timespec *right)
{
    bool agrees = times_agree(&own->st_mtim, right);

    times->right += agrees;
    times->wrong += !agrees;
}

void limits_note(struct limits_seen *seen, const struct stat *own, const struct stat *shown,
                 const struct timespec *right_time)
{
    const bool is_link = S_ISLNK(shown->st_mode), is_file = S_ISREG(shown->st_mode);
    const bool is_directory = S_ISDIR(shown->st_mode);

    if (is_link || (!is_file && !is_directory)) {
        struct limits_pair *pair = is_link ? &seen->symlinks : &seen->special;
        pair->right += own != NULL;
        pair->wrong += own == NULL;
    }
    seen->missing_directories += is_directory && !own;
    if (!own)
        return;
    note_owner(&seen->owners, own, shown);
    if (is_file || is_directory)
        note_mode(is_file ? &seen->files : &seen->directories, own, shown);
    if (is_file && right_time) {
        note_time(&seen->times[0], own, right_time);
        seen->fractions.right += own->st_mtim.tv_nsec != 0;
        seen->fractions.wrong += own->st_mtim.tv_nsec == 0 && right_time->tv_nsec != 0;
    } else if (is_directory || is_link) {
        note_time(&seen->times[is_directory ? 1 : 2], own, &shown->st_mtim);
    }
}

static bool is_never_right(const struct limits_pair *pair, uint64_t enough)
{
    return pair->right == 0 && pair->wrong >= enough;
}

unsigned limits_of(const struct limits_seen *seen, bool is_remote, bool is_of_rclone)
{
    const struct same_in_all *files = &seen->files, *directories = &seen->directories;
    const bool known = seen->owners.names >= ENOUGH;
    unsigned limits = 0;

    if (known && !seen->owners.differ && seen->owners.others > 0)
        limits |= LIMIT_OWNERS;
    if (known && !files->differ && !directories->differ && files->others + directories->others > 0)
        limits |= LIMIT_MODES;
    for (size_t i = 0; i < 3; i++) {
        /*
         * Other storage sets the times of directories itself, even where there are but a few.
         * rclone sends no times of directories, of which the root may be the only one and is not
         * seen here; of files it keeps all times or none.
         */
        const uint64_t enough = is_of_rclone                      ? i != 1
                                : (limits & LIMIT_MODES && i > 0) ? 1
                                                                  : ENOUGH;
        if (is_never_right(&seen->times[i], enough))
            limits |= (unsigned)LIMIT_TIMES << i;
    }
    limits |= is_never_right(&seen->fractions, ENOUGH) ? LIMIT_FRACTIONS : 0;
    /* What was removed looks the same, but only storage known for such limits counts here. */
    if (known && (is_remote || limits & (LIMIT_OWNERS | LIMIT_MODES))) {
        limits |= is_never_right(&seen->symlinks, 1) ? LIMIT_SYMLINKS : 0;
        limits |= is_never_right(&seen->special, 1) ? LIMIT_SPECIAL : 0;
    }
    /* As in S3, where directories exist by the names of the files in them. */
    if (is_remote && limits & LIMIT_MODES && seen->missing_directories > 0)
        limits |= LIMIT_DIRECTORIES;
    return limits;
}

void limits_excuse(unsigned limits, struct inspection *inspection, size_t place)
{
    struct copy_report *report = &inspection->copies[place];
    const mode_t kind = inspection->status.st_mode & S_IFMT;
    const unsigned of_time = kind == S_IFDIR   ? LIMIT_DIRECTORY_TIMES
                             : kind == S_IFLNK ? LIMIT_SYMLINK_TIMES
                                               : LIMIT_TIMES;
    const unsigned of_kind = kind == S_IFLNK   ? LIMIT_SYMLINKS
                             : kind == S_IFDIR ? LIMIT_DIRECTORIES
                             : kind == S_IFREG ? 0
                                               : LIMIT_SPECIAL;
    const unsigned parts = (limits & LIMIT_OWNERS ? METADATA_OWNER : 0) |
                           (limits & LIMIT_MODES ? METADATA_MODE : 0) |
                           (limits & of_time ? METADATA_TIME : 0);

    if (limits & LIMIT_ATTRIBUTES && report->attributes_unread) {
        report->other_metadata &= ~(unsigned)METADATA_ATTRIBUTES;
        report->no_attributes = true;
    }
    report->not_kept = report->other_metadata & parts;
    report->other_metadata &= ~parts;
    report->cannot_be = report->state == COPY_ABSENT && limits & of_kind;
}
