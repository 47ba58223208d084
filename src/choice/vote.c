/* SPDX-License-Identifier: MIT */
#include "choice/vote.h"

#include <string.h>

bool ballot_same_kind(const struct ballot *a, const struct ballot *b)
{
    mode_t type = a->status.st_mode & S_IFMT;

    if (type != (b->status.st_mode & S_IFMT))
        return false;
    if (type == S_IFLNK)
        return strcmp(a->target, b->target) == 0;
    return (type != S_IFCHR && type != S_IFBLK) || a->status.st_rdev == b->status.st_rdev;
}

bool ballot_same_attributes(const struct ballot *a, const struct ballot *b)
{
    return a->status.st_mode == b->status.st_mode && a->status.st_uid == b->status.st_uid &&
           a->status.st_gid == b->status.st_gid;
}

static bool is_newer(const struct ballot *a, const struct ballot *b)
{
    const struct timespec *left = &a->status.st_mtim, *right = &b->status.st_mtim;

    return left->tv_sec != right->tv_sec ? left->tv_sec > right->tv_sec
                                         : left->tv_nsec > right->tv_nsec;
}

static size_t count_alike(const struct ballot ballots[], size_t count, const struct ballot *wanted,
                          ballot_alike *alike)
{
    size_t votes = 0;

    for (size_t i = 0; i < count; i++)
        votes += ballots[i].cast && alike(&ballots[i], wanted);
    return votes;
}

size_t vote(const struct ballot ballots[], size_t count, ballot_alike *alike)
{
    size_t winner = count, most = 0;

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast)
            continue;
        size_t votes = count_alike(ballots, count, &ballots[i], alike);
        if (votes > most || (votes == most && is_newer(&ballots[i], &ballots[winner]))) {
            winner = i;
            most = votes;
        }
    }
    return winner;
}
