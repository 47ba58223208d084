/* SPDX-License-Identifier: MIT */
#include "restore/enough.h"

#include "restore/look.h"

/* What the stores have said of a name. Those that say nothing of it are left out. */
struct heard_stores {
    const struct quorum *quorum;
    size_t count, absent;
    struct ballot *ballots;
    struct copy_facts *facts; /* of files */
};

static void forget(struct heard_stores *heard)
{
    free(heard->ballots);
    free(heard->facts);
}

static int collect(const struct inquiry *looks, const struct share_terms *terms,
                   struct heard_stores *ret)
{
    size_t room = looks->list->count + 1;

    ret->quorum = &looks->list->quorum;
    ret->ballots = calloc(room, sizeof *ret->ballots);
    ret->facts = calloc(room, sizeof *ret->facts);
    if (!ret->ballots || !ret->facts)
        return -ENOMEM;
    for (size_t i = 0; i < looks->list->count; i++) {
        int r = inquiry_result(looks, i);
        ret->absent += r == -ENOENT || r == -ENOTDIR;
        if (r < 0)
            continue;
        ret->ballots[ret->count] = look_ballot(looks, terms, i, &ret->facts[ret->count]);
        ret->count++;
    }
    return 0;
}

/* If stores have directories from different times, the newest at hand is as good as any. */
static bool is_status_settled(const struct heard_stores *heard, mode_t mode, size_t pending)
{
    return mode_is_settled(heard->quorum, heard->ballots, heard->count, pending) &&
           (S_ISDIR(mode) ||
            vote_is_settled(heard->ballots, heard->count, pending, ballot_same_history));
}

/* Of a file, the shares of its version say how it is. */
static bool is_file_settled(struct heard_stores *heard, size_t pending)
{
    struct version version;

    if (!version_is_settled(heard->quorum, heard->facts, heard->count, pending) ||
        version_choose(heard->quorum, heard->facts, heard->count, 0, &version) < 0)
        return false;
    for (size_t i = 0; i < heard->count; i++)
        heard->ballots[i].cast = version_role(&heard->facts[i], &version.header) == COPY_MEMBER;
    return is_status_settled(heard, S_IFREG, pending);
}

bool enough_looks(const struct inquiry *looks, const void *context)
{
    CLEANUP(forget) struct heard_stores heard = {.count = 0};
    struct name_ruling ruling;

    if (collect(looks, context, &heard) < 0)
        return false;
    if (heard.count == 0)
        return heard.absent > looks->pending && looks->pending < name_need(heard.quorum, S_IFDIR);
    name_rule(heard.quorum, heard.ballots, heard.count, &ruling);
    if (!name_is_settled(heard.quorum, heard.ballots, heard.count, looks->pending, &ruling))
        return false;
    const struct ballot winner = heard.ballots[ruling.winner];
    if (S_ISREG(winner.status.st_mode))
        return is_file_settled(&heard, looks->pending);
    for (size_t i = 0; i < heard.count; i++)
        heard.ballots[i].cast = ballot_same_kind(&heard.ballots[i], &winner);
    return is_status_settled(&heard, winner.status.st_mode, looks->pending);
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
