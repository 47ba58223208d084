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

unsigned count_votes_like(const struct ballot ballots[], size_t count, const struct ballot *wanted,
                          ballot_alike *alike)
{
    unsigned votes = 0;

    for (size_t i = 0; i < count; i++) {
        bool counts = ballots[i].cast && ballots[i].voter >= 0 && alike(&ballots[i], wanted);
        for (size_t j = 0; j < i && counts; j++)
            counts = !ballots[j].cast || ballots[j].voter != ballots[i].voter ||
                     !alike(&ballots[j], wanted);
        votes += counts;
    }
    return votes;
}

static bool is_file(const struct ballot *ballot)
{
    return ballot->cast && S_ISREG(ballot->status.st_mode);
}

/* As ballot_alike, of one ballot alone. */
static bool has_header(const struct ballot *ballot, const struct ballot *any)
{
    return is_file(ballot) && ballot->has_header;
}

static bool is_timed(const struct ballot *ballot, const struct ballot *any)
{
    return !ballot->untimed;
}

static bool keeps_modes(const struct ballot *ballot, const struct ballot *any)
{
    return !ballot->one_mode_only;
}

/*
 * The votes of a kind. Files of stores without a vote count where a store with one has VOUCHED for
 * the name: what they hold is verified block by block.
 */
static unsigned count_kind(const struct ballot ballots[], size_t count, const struct ballot *kind,
                           bool vouched)
{
    unsigned votes = count_votes_like(ballots, count, kind, ballot_same_kind);

    for (size_t i = 0; vouched && S_ISREG(kind->status.st_mode) && i < count; i++)
        votes += is_file(&ballots[i]) && ballots[i].voter < 0;
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

static struct leader find_leader(const struct quorum *quorum, const struct ballot ballots[],
                                 size_t count, const struct ballot *but)
{
    bool vouched = count_votes_like(ballots, count, NULL, has_header) > 0;
    struct leader best = {.place = count};

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || (but && ballot_same_kind(&ballots[i], but)) ||
            (best.place < count && ballot_same_kind(&ballots[i], &ballots[best.place])))
            continue;
        struct leader next = {i, count_kind(ballots, count, &ballots[i], vouched), false};
        next.enough = next.votes >= name_need(quorum, ballots[i].status.st_mode);
        if (best.place == count ||
            (next.enough != best.enough ? next.enough : next.votes > best.votes))
            best = next;
    }
    return best;
}

void name_rule(const struct quorum *quorum, const struct ballot ballots[], size_t count,
               struct name_ruling *ret)
{
    const struct leader best = find_leader(quorum, ballots, count, NULL);
    struct name_ruling ruling = {NAME_ABSENT, best.place, count, false, best.votes, 0};

    if (best.place < count) {
        const struct leader second = find_leader(quorum, ballots, count, &ballots[best.place]);
        ruling.rival = second.place;
        ruling.tied = second.place < count && second.votes == best.votes;
        ruling.verdict = !best.enough                   ? NAME_FOREIGN
                         : second.enough && ruling.tied ? NAME_CONFLICT
                                                        : NAME_SETTLED;
        if (!best.enough && count_votes_like(ballots, count, NULL, has_header) > 1) {
            ruling.verdict = NAME_LOST;
            ruling.winner = 0;
            while (!has_header(&ballots[ruling.winner], NULL))
                ruling.winner++;
            ruling.votes = count_kind(ballots, count, &ballots[ruling.winner], true);
        }
        ruling.needed = name_need(quorum, ballots[ruling.winner].status.st_mode);
    }
    *ret = ruling;
}

bool name_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending, const struct name_ruling *ruling)
{
    if (ruling->verdict != NAME_SETTLED || ruling->votes <= pending)
        return false;
    for (size_t i = 0; pending > 0 && i < count; i++) {
        if (!ballots[i].cast || ballot_same_kind(&ballots[i], &ballots[ruling->winner]))
            continue;
        /* One of those that come may vouch for all files. */
        size_t votes = count_kind(ballots, count, &ballots[i], true) + pending;
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
    const struct timespec *own = &a->status.st_mtim, *other = &b->status.st_mtim;
    const uint64_t unit = times_granularity(own), others = times_granularity(other);

    return unit < others || (unit == others && times_exceed_sftp(own) && !times_exceed_sftp(other));
}

/*
 * The place of the one that most are like, where COARSE is not NULL of those that are like it and
 * finer; COUNT where there is none.
 */
static size_t find_most(const struct ballot ballots[], size_t count, ballot_alike *alike,
                        const struct ballot *coarse)
{
    bool timed = count_votes_like(ballots, count, NULL, is_timed) > 0;
    size_t winner = count;
    unsigned most = 0;

    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || (timed && ballots[i].untimed) ||
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
    unsigned votes = count_votes_like(ballots, count, &ballots[winner], alike);
    bool settled = votes > pending;
    for (size_t i = 0; i < count && settled; i++) {
        if (ballots[i].cast && !alike(&ballots[i], &ballots[winner]))
            settled = votes > count_votes_like(ballots, count, &ballots[i], alike) + pending;
    }
    return settled;
}

static bool same_kept_attributes(const struct ballot *a, const struct ballot *b)
{
    return !a->one_mode_only && ballot_same_attributes(a, b);
}

static bool same_known_attributes(const struct ballot *a, const struct ballot *b)
{
    return !a->made_mode && ballot_same_attributes(a, b);
}

static bool knows_modes(const struct ballot *ballot, const struct ballot *any)
{
    return !ballot->made_mode;
}

/* The mode and owner that most say. */
struct mode_vote {
    const struct ballot *winner;
    unsigned votes, second; /* of any other mode and owner */
    mode_t common;          /* bits that all permit that have as many votes */
    mode_t any;             /* bits that one of these has */
    bool owners;            /* these have different owners */
    unsigned keepers;       /* votes of stores that keep modes; of two, only these count */
    bool others;            /* stores that do not keep modes have a say, too */
    bool made_up;           /* and no others, of which one would be enough */
};

static struct mode_vote count_modes(const struct ballot ballots[], size_t count)
{
    struct mode_vote vote = {.keepers = count_votes_like(ballots, count, NULL, keeps_modes)};
    bool kept = vote.keepers > 1, known = count_votes_like(ballots, count, NULL, knows_modes) > 0;
    ballot_alike *same = kept    ? same_kept_attributes
                         : known ? same_known_attributes
                                 : ballot_same_attributes;

    vote.made_up = !known;
    for (size_t i = 0; i < count; i++) {
        if (!ballots[i].cast || (kept && ballots[i].one_mode_only) ||
            (known && ballots[i].made_mode))
            continue;
        vote.others |= ballots[i].one_mode_only;
        if (vote.winner && ballot_same_attributes(&ballots[i], vote.winner))
            continue;
        unsigned votes = count_votes_like(ballots, count, &ballots[i], same);
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
    return vote;
}

bool mode_is_tied(const struct ballot ballots[], size_t count)
{
    const struct mode_vote vote = count_modes(ballots, count);

    return vote.winner && vote.votes == vote.second;
}

bool mode_is_settled(const struct quorum *quorum, const struct ballot ballots[], size_t count,
                     size_t pending)
{
    const struct mode_vote vote = count_modes(ballots, count);

    if (!vote.winner || vote.votes <= vote.second + pending ||
        /* One more that keeps modes would take the vote of others. */
        (pending > 0 && ((vote.keepers == 1 && vote.others) || vote.made_up)))
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
    const struct ballot *shown = history;
    const struct mode_vote modes = count_modes(ballots, count);
    const struct ballot *winner = modes.winner;

    for (size_t i = count; i-- > 0;) {
        if (ballots[i].cast && !ballots[i].slow && ballot_same_history(&ballots[i], history))
            shown = &ballots[i];
    }
    *ret = shown->status;
    ret->st_mtim = history->status.st_mtim;
    if (!winner)
        return;
    ret->st_uid = winner->status.st_uid;
    ret->st_gid = winner->status.st_gid;
    ret->st_mode = (winner->status.st_mode & S_IFMT) | (modes.common & 0777);
    if (count_votes_like(ballots, count, winner, same_special_bits) >= quorum->required)
        ret->st_mode |= modes.common & (modes.owners ? S_ISVTX : SPECIAL_BITS);
    if (modes.votes == modes.second) /* it takes rights away */
        ret->st_mode |= modes.any & S_ISVTX;
}
