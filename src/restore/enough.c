/* SPDX-License-Identifier: MIT */
#include "restore/enough.h"

#include "base/cleanup.h"
#include "restore/look.h"

bool enough_looks(const struct inquiry *looks, const void *context)
{
    const struct quorum *quorum = &looks->list->quorum;
    size_t room = looks->list->count + 1, pending = looks->pending, count = 0, absent = 0;
    cleanup_free struct ballot *ballots = calloc(room, sizeof *ballots);
    cleanup_free struct copy_facts *facts = calloc(room, sizeof *facts);
    struct name_ruling ruling;
    struct version version;

    if (!ballots || !facts)
        return false;
    for (size_t i = 0; i < looks->list->count; i++) {
        int r = inquiry_result(looks, i);
        absent += r == -ENOENT || r == -ENOTDIR;
        if (r < 0)
            continue;
        ballots[count] = look_ballot(looks, context, i, &facts[count]);
        count++;
    }
    if (count == 0)
        return absent > pending && pending < name_need(quorum, S_IFDIR);
    name_rule(quorum, ballots, count, &ruling);
    if (!name_is_settled(quorum, ballots, count, pending, &ruling))
        return false;
    const struct ballot winner = ballots[ruling.winner];
    const mode_t mode = winner.status.st_mode;
    if (S_ISREG(mode) && (!version_is_settled(quorum, facts, count, pending) ||
                          version_choose(quorum, facts, count, 0, &version) < 0))
        return false;
    for (size_t i = 0; i < count; i++) /* of a file, only the shares of its version count */
        ballots[i].cast = S_ISREG(mode) ? version_role(&facts[i], &version.header) == COPY_MEMBER
                                        : ballot_same_kind(&ballots[i], &winner);
    /* If stores have directories from different times, the newest at hand is as good as any. */
    return mode_is_settled(quorum, ballots, count, pending) &&
           (S_ISDIR(mode) || vote_is_settled(ballots, count, pending, ballot_same_history));
}

bool enough_most(const struct inquiry *inquiry, const void *context)
{
    size_t answers = 0;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        answers += r == 0 || r == -ENOENT;
    }
    return answers > inquiry->pending;
}

bool enough_lists(const struct inquiry *lists, const void *context)
{
    return enough_most(lists, NULL) && lists->pending < lists->list->quorum.required;
}
