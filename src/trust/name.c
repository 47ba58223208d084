/* SPDX-License-Identifier: MIT */
#include "trust/name.h"

#include "base/times.h"

#include <string.h>

enum { SPECIAL_BITS = S_ISUID | S_ISGID | S_ISVTX };

bool ballot_same_kind(const struct ballot *a, const struct ballot *b)
{
    mode_t type = a->status.st_mode & S_IFMT;

    if (type != (b->status.st_mode & S_IFMT))
        return false;
    if (type == S_IFLNK)
        return strcmp(a->target, b->target) == 0;
    return (type != S_IFCHR && type != S_IFBLK) || a->status.st_rdev == b->status.st_rdev;
}

bool ballot_same_owner(const struct ballot *a, const struct ballot *b)
{
    return a->status.st_uid == b->status.st_uid && a->status.st_gid == b->status.st_gid;
}

bool ballot_same_attributes(const struct ballot *a, const struct ballot *b)
{
    return a->status.st_mode == b->status.st_mode && ballot_same_owner(a, b);
}

bool ballot_same_history(const struct ballot *a, const struct ballot *b)
{
    return times_agree(&a->status.st_mtim, &b->status.st_mtim) &&
           (S_ISDIR(a->status.st_mode) || a->status.st_nlink == b->status.st_nlink);
}

/* Returns true if both have the same special bits, of the same owner. */
static bool same_special_bits(const struct ballot *a, const struct ballot *b)
{
    return (a->status.st_mode & SPECIAL_BITS) == (b->status.st_mode & SPECIAL_BITS) &&
           ballot_same_owner(a, b);
}

/* Returns true if an earlier ballot like WANTED is of the same vote as number PLACE. */
static bool is_counted(const struct ballot ballots[], size_t place, const struct ballot *wanted,
                       ballot_alike *alike)
{
    for (size_t i = 0; i < place; i++) {
        if (ballots[i].cast && ballots[i].voter == ballots[place].voter &&
            alike(&ballots[i], wanted))
            return true;
    }
    return false;
}

unsigned count_votes_like(const struct ballot ballots[], size_t count, const struct ballot *wanted,
                          ballot_alike *alike)
{
    unsigned votes = 0;

    for (size_t i = 0; i < count; i++) {
        if (ballots[i].cast && ballots[i].voter >= 0 && alike(&ballots[i], wanted))
            votes += !is_counted(ballots, i, wanted, alike);
    }
    return votes;
}

static bool is_file(const struct ballot *ballot)
{
    return ballot->cast && S_ISREG(ballot->status.st_mode);
}

/* Different votes that have a file with an intact header here. */
static unsigned count_headers(const struct ballot ballots[], size_t count)
{
    unsigned headers = 0;

    for (size_t i = 0; i < count; i++) {
        bool counted = !is_file(&ballots[i]) || !ballots[i].has_header || ballots[i].voter < 0;
        for (size_t j = 0; j < i && !counted; j++)
            counted = is_file(&ballots[j]) && ballots[j].has_header &&
                      ballots[j].voter == ballots[i].voter;
        headers += !counted;
    }
    return headers;
}

/*
 * Files of stores without a vote count where a store with one vouches for the name: what they hold
 * is verified block by block.
 */
static unsigned count_kind(const struct ballot ballots[], size_t count, const struct ballot *kind)
{
    unsigned votes = count_votes_like(ballots, count, kind, ballot_same_kind);

    if (S_ISREG(kind->status.st_mode) && count_headers(ballots, count) > 0) {
        for (size_t i = 0; i < count; i++)
            votes += is_file(&ballots[i]) && ballots[i].voter < 0;
    }
    return votes;
}

unsigned name_need(const struct quorum *quorum, mode_t mode)
{
    if ((S_ISDIR(mode) || S_ISLNK(mode)) && quorum->required > 2)
        return 2;
    return quorum->required;
}

/* The kind with most votes, and whether it has what it needs; of two with as many, the first. */
struct leader {
    size_t place;
    unsigned votes;
    bool enough;
};

static bool is_ahead(const struct leader *a, const struct leader *b)
{
    return a->enough != b->enough ? a->enough : a->votes > b->votes;
}

static struct leader find_leader(const struct quorum *quorum, const struct ballot ballots[],
                                 size_t count, const struct ballot *but)
{
    struct leader best = {.place = count};

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || (but && ballot_same_kind(&ballots[i], but)) ||
            (best.place < count && ballot_same_kind(&ballots[i], &ballots[best.place])))
            continue;
        struct leader next = {i, count_kind(ballots, count, &ballots[i]), false};
        next.enough = next.votes >= name_need(quorum, ballots[i].status.st_mode);
        if (best.place == count || is_ahead(&next, &best))
            best = next;
    }
    return best;
}

/* The first file with an intact header, or else the first file; COUNT where there is none. */
static size_t find_file(const struct ballot ballots[], size_t count)
{
    size_t found = count;

    for (size_t i = 0; i < count; i++) {
        if (is_file(&ballots[i]) && (found == count || ballots[i].has_header))
            found = i;
        if (found < count && ballots[found].has_header)
            break;
    }
    return found;
}

void name_rule(const struct quorum *quorum, const struct ballot ballots[], size_t count,
               struct name_ruling *ret)
{
    const struct leader best = find_leader(quorum, ballots, count, NULL);
    struct name_ruling ruling = {NAME_ABSENT, best.place, count, best.votes, 0};

    if (best.place < count) {
        const struct leader second = find_leader(quorum, ballots, count, &ballots[best.place]);
        ruling.rival = second.place;
        if (best.enough)
            ruling.verdict =
                second.enough && second.votes == best.votes ? NAME_CONFLICT : NAME_SETTLED;
        else
            ruling.verdict = count_headers(ballots, count) > 1 ? NAME_LOST : NAME_FOREIGN;
        if (ruling.verdict == NAME_LOST) {
            ruling.winner = find_file(ballots, count);
            ruling.votes = count_kind(ballots, count, &ballots[ruling.winner]);
        }
        ruling.needed = name_need(quorum, ballots[ruling.winner].status.st_mode);
    }
    *ret = ruling;
}

/* Votes that a kind would have if a store with a vote vouched for all files. */
static unsigned count_at_most(const struct ballot ballots[], size_t count,
                              const struct ballot *kind)
{
    unsigned votes = count_votes_like(ballots, count, kind, ballot_same_kind);

    for (size_t i = 0; S_ISREG(kind->status.st_mode) && i < count; i++)
        votes += is_file(&ballots[i]) && ballots[i].voter < 0;
    return votes;
}

bool name_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending, const struct name_ruling *ruling)
{
    if (ruling->verdict != NAME_SETTLED || ruling->votes <= pending)
        return false;
    for (size_t i = 0; pending > 0 && i < count; i++) {
        if (!ballots[i].cast || ballot_same_kind(&ballots[i], &ballots[ruling->winner]))
            continue;
        size_t votes = count_at_most(ballots, count, &ballots[i]) + pending;
        if (votes >= ruling->votes && votes >= name_need(quorum, ballots[i].status.st_mode))
            return false;
    }
    return true;
}

/* Above 0 where A, with as many votes as B, is to be believed, below 0 the other way round. */
static int compare_history(const struct ballot *a, const struct ballot *b)
{
    int order = times_compare(&a->status.st_mtim, &b->status.st_mtim);

    if (order != 0 || S_ISDIR(a->status.st_mode))
        return order;
    /* What has more links has lost less. */
    return (a->status.st_nlink > b->status.st_nlink) - (a->status.st_nlink < b->status.st_nlink);
}

/* Returns true if A has the time of B, more exactly. */
static bool is_finer(const struct ballot *a, const struct ballot *b)
{
    return times_granularity(&a->status.st_mtim) < times_granularity(&b->status.st_mtim);
}

/*
 * The place of the one that most are like, where COARSE is not NULL of those that are like it and
 * finer; COUNT where there is none.
 */
static size_t find_most(const struct ballot ballots[], size_t count, ballot_alike *alike,
                        const struct ballot *coarse)
{
    size_t winner = count;
    unsigned most = 0;

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast ||
            (coarse && !(is_finer(&ballots[i], coarse) && alike(&ballots[i], coarse))))
            continue;
        if (winner < count && alike(&ballots[i], &ballots[winner]) &&
            compare_history(&ballots[i], &ballots[winner]) == 0)
            continue; /* it says the very same */
        unsigned votes = count_votes_like(ballots, count, &ballots[i], alike);
        if (winner == count || votes > most ||
            (votes == most && compare_history(&ballots[i], &ballots[winner]) > 0)) {
            winner = i;
            most = votes;
        }
    }
    return winner;
}

/*
 * Of those that are alike and most: the place of the one that says most. COUNT where none is cast.
 * Times that agree with a coarse one need not agree with each other, so each step has a vote.
 */
static size_t vote(const struct ballot ballots[], size_t count, ballot_alike *alike)
{
    size_t winner = count;

    for (size_t next = find_most(ballots, count, alike, NULL); next < count;
         next = find_most(ballots, count, alike, &ballots[winner]))
        winner = next;
    return winner;
}

bool vote_is_settled(const struct ballot ballots[], size_t count, size_t pending,
                     ballot_alike *alike)
{
    size_t winner = vote(ballots, count, alike);

    if (winner == count)
        return false;
    unsigned votes = count_votes_like(ballots, count, &ballots[winner], alike), most = 0;
    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || alike(&ballots[i], &ballots[winner]))
            continue;
        unsigned others = count_votes_like(ballots, count, &ballots[i], alike);
        most = others > most ? others : most;
    }
    return votes > most + pending;
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

/* Returns true if two votes or more are of stores that show more than one mode and owner. */
static bool some_keep_modes(const struct ballot ballots[], size_t count)
{
    int first = NO_VOTE;

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || ballots[i].voter < 0 || ballots[i].one_mode_only)
            continue;
        if (first != NO_VOTE && ballots[i].voter != first)
            return true;
        first = ballots[i].voter;
    }
    return false;
}

/* What has a say in mode and owner. */
static bool counts_for_mode(const struct ballot *ballot, bool keepers)
{
    return ballot->cast && (!keepers || !ballot->one_mode_only);
}

static bool same_kept_attributes(const struct ballot *a, const struct ballot *b)
{
    return !a->one_mode_only && ballot_same_attributes(a, b);
}

/* The mode and owner that most say. */
struct mode_vote {
    const struct ballot *winner;
    unsigned votes, second; /* of any other mode and owner */
    mode_t common;          /* bits that all permit that have as many votes */
    mode_t any;             /* bits that one of these has */
    bool owners;            /* these have different owners */
    bool keepers;           /* only stores that keep modes are counted */
};

static void count_modes(const struct ballot ballots[], size_t count, struct mode_vote *ret)
{
    struct mode_vote vote = {.keepers = some_keep_modes(ballots, count)};

    for (size_t i = 0; i < count; i++) {
        if (!counts_for_mode(&ballots[i], vote.keepers) ||
            (vote.winner && ballot_same_attributes(&ballots[i], vote.winner)))
            continue;
        unsigned votes =
            count_votes_like(ballots, count, &ballots[i],
                             vote.keepers ? same_kept_attributes : ballot_same_attributes);
        if (!vote.winner || votes > vote.votes) {
            vote.winner = &ballots[i];
            vote.second = vote.votes;
            vote.votes = votes;
            vote.common = vote.any = ballots[i].status.st_mode;
            vote.owners = false;
        } else {
            vote.second = votes > vote.second ? votes : vote.second;
            if (votes < vote.votes)
                continue;
            vote.common &= ballots[i].status.st_mode;
            vote.any |= ballots[i].status.st_mode;
            vote.owners |= !ballot_same_owner(&ballots[i], vote.winner);
        }
    }
    *ret = vote;
}

static void settle_mode(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                        struct stat *ret)
{
    struct mode_vote vote;

    count_modes(ballots, count, &vote);
    if (!vote.winner)
        return;
    const struct stat *status = &vote.winner->status;
    ret->st_uid = status->st_uid;
    ret->st_gid = status->st_gid;
    ret->st_mode = (status->st_mode & S_IFMT) | (vote.common & 0777);
    if (count_votes_like(ballots, count, vote.winner, same_special_bits) >= quorum->required)
        ret->st_mode |= vote.common & (vote.owners ? S_ISVTX : SPECIAL_BITS);
    if (vote.votes == vote.second) /* it takes rights away */
        ret->st_mode |= vote.any & S_ISVTX;
}

bool mode_is_tied(const struct ballot ballots[], size_t count)
{
    struct mode_vote vote;

    count_modes(ballots, count, &vote);
    return vote.winner && vote.votes == vote.second;
}

/* Returns true if one more store that keeps modes would take the vote of others. */
static bool may_lose_votes(const struct ballot ballots[], size_t count)
{
    bool keeps = false, others = false;

    for (size_t i = 0; i < count; i++) {
        keeps |= ballots[i].cast && ballots[i].voter >= 0 && !ballots[i].one_mode_only;
        others |= ballots[i].cast && ballots[i].one_mode_only;
    }
    return keeps && others;
}

bool mode_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending)
{
    struct mode_vote vote;

    count_modes(ballots, count, &vote);
    if (!vote.winner || vote.votes <= vote.second + pending ||
        (pending > 0 && !vote.keepers && may_lose_votes(ballots, count)))
        return false;
    if (!(vote.winner->status.st_mode & SPECIAL_BITS))
        return true;
    unsigned votes = count_votes_like(ballots, count, vote.winner, same_special_bits);
    return votes >= quorum->required || votes + pending < quorum->required;
}

void vote_status(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                 struct stat *ret)
{
    const struct ballot *history = &ballots[vote(ballots, count, ballot_same_history)];
    struct stat status = find_history(ballots, count)->status;

    status.st_mtim = history->status.st_mtim;
    settle_mode(quorum, ballots, count, &status);
    *ret = status;
}
