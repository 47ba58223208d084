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

bool ballot_same_history(const struct ballot *a, const struct ballot *b)
{
    return a->status.st_mtim.tv_sec == b->status.st_mtim.tv_sec &&
           a->status.st_mtim.tv_nsec == b->status.st_mtim.tv_nsec &&
           (S_ISDIR(a->status.st_mode) || a->status.st_nlink == b->status.st_nlink);
}

/* By mtime; where that is the same, what has more links has lost less. */
static bool is_newer(const struct ballot *a, const struct ballot *b)
{
    const struct timespec *left = &a->status.st_mtim, *right = &b->status.st_mtim;

    if (left->tv_sec != right->tv_sec)
        return left->tv_sec > right->tv_sec;
    if (left->tv_nsec != right->tv_nsec)
        return left->tv_nsec > right->tv_nsec;
    return !S_ISDIR(a->status.st_mode) && a->status.st_nlink > b->status.st_nlink;
}

static size_t count_alike(const struct ballot ballots[], size_t count, const struct ballot *wanted,
                          ballot_alike *alike)
{
    size_t votes = 0;

    for (size_t i = 0; i < count; i++) {
        if (ballots[i].cast && alike(&ballots[i], wanted))
            votes += ballots[i].silent ? 1 : count; /* all that are silent are less than one */
    }
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

bool vote_is_settled(const struct ballot ballots[], size_t count, size_t pending,
                     ballot_alike *alike)
{
    size_t winner = vote(ballots, count, alike), votes = 0, cast = 0;

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || ballots[i].silent)
            continue;
        cast++;
        votes += alike(&ballots[i], &ballots[winner]);
    }
    return votes > cast + pending - votes;
}

/* One that says what most say of time and links. */
static const struct ballot *find_history(const struct ballot ballots[], size_t count)
{
    const struct ballot *first = &ballots[vote(ballots, count, ballot_same_history)];

    for (size_t i = 0; i < count; i++) {
        if (ballots[i].cast && !ballots[i].slow && ballot_same_history(&ballots[i], first))
            return &ballots[i];
    }
    return first;
}

void vote_status(const struct ballot ballots[], size_t count, struct stat *ret)
{
    const struct stat *attributes = &ballots[vote(ballots, count, ballot_same_attributes)].status;
    struct stat status = find_history(ballots, count)->status;

    status.st_mode = attributes->st_mode;
    status.st_uid = attributes->st_uid;
    status.st_gid = attributes->st_gid;
    *ret = status;
}
