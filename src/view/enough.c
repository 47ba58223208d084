/* SPDX-License-Identifier: MIT */
#include "view/enough.h"

#include "choice/vote.h"

/* What the stores have said of a name. Those that say nothing of it are left out. */
struct heard {
    size_t count, absent;
    struct ballot *ballots;
    struct copy_facts *facts; /* of files */
    enum copy_role *roles;
};

static void forget(struct heard *heard)
{
    free(heard->ballots);
    free(heard->facts);
    free(heard->roles);
}

static int collect(const struct inquiry *looks, const struct share_terms *terms, struct heard *ret)
{
    size_t room = looks->list->count + 1;

    ret->ballots = calloc(room, sizeof *ret->ballots);
    ret->facts = calloc(room, sizeof *ret->facts);
    ret->roles = calloc(room, sizeof *ret->roles);
    if (!ret->ballots || !ret->facts || !ret->roles)
        return -ENOMEM;
    for (size_t i = 0; i < looks->list->count; i++) {
        int r = inquiry_result(looks, i);
        ret->absent += r == -ENOENT || r == -ENOTDIR;
        if (r < 0)
            continue;
        const struct look *look = look_answer(looks, i);
        ret->ballots[ret->count] = (struct ballot){
            .cast = true,
            .status = look->object.status,
            .target = look->object.target,
            .silent = store_is_silent(looks->list->stores[i]),
        };
        copy_facts_read(terms, look, &ret->facts[ret->count++]);
    }
    return 0;
}

/* Where stores have directories from different times, the newest at hand is as good as any. */
static bool is_status_settled(const struct heard *heard, mode_t mode, size_t pending)
{
    return vote_is_settled(heard->ballots, heard->count, pending, ballot_same_attributes) &&
           (S_ISDIR(mode) ||
            vote_is_settled(heard->ballots, heard->count, pending, ballot_same_history));
}

/* Of a file, the shares of its version say how it is. */
static bool is_file_settled(struct heard *heard, size_t pending)
{
    struct version version;

    if (!version_is_settled(heard->facts, heard->count, pending) ||
        version_choose(heard->facts, heard->count, 0, &version, heard->roles) < 0)
        return false;
    for (size_t i = 0; i < heard->count; i++)
        heard->ballots[i].cast = heard->roles[i] == COPY_MEMBER;
    return is_status_settled(heard, S_IFREG, pending);
}

bool enough_looks(const struct inquiry *looks, const void *context)
{
    const struct enough *enough = context;
    CLEANUP(forget) struct heard heard = {.count = 0};

    if (collect(looks, enough->terms, &heard) < 0)
        return false;
    if (heard.count == 0)
        return heard.absent > looks->pending && looks->pending < enough->least;
    if (!vote_is_settled(heard.ballots, heard.count, looks->pending, ballot_same_kind))
        return false;
    size_t winner = vote(heard.ballots, heard.count, ballot_same_kind);
    mode_t mode = heard.ballots[winner].status.st_mode;
    if (S_ISREG(mode))
        return is_file_settled(&heard, looks->pending);
    for (size_t i = 0; i < heard.count; i++)
        heard.ballots[i].cast = ballot_same_kind(&heard.ballots[i], &heard.ballots[winner]);
    return is_status_settled(&heard, mode, looks->pending);
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
    const struct enough *enough = context;

    return enough_most(lists, NULL) && lists->pending < enough->least;
}
