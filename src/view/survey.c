/* SPDX-License-Identifier: MIT */
#include "view/survey.h"

#include "base/log.h"
#include "view/look.h"

#include <string.h>

/* Fills the ballots. Returns the error of a store that could not say, or -ENOENT. */
static int collect(struct survey *survey)
{
    const struct inquiry *inquiry = &survey->inquiry;
    uint64_t patience = store_list_patience(inquiry->list);
    int worst = -ENOENT;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        struct store *store = inquiry->list->stores[i];
        int r = inquiry_result(inquiry, i);
        if (r == 0) {
            const struct tree_object *object = &look_answer(inquiry, i)->object;
            survey->ballots[i] = (struct ballot){
                .cast = true,
                .status = object->status,
                .target = object->target,
                .silent = store_is_silent(store),
                .slow = store_pace(store) > patience,
            };
        } else if (r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
        }
    }
    return worst;
}

static const char *kind_name(const struct ballot *ballot)
{
    switch (ballot->status.st_mode & S_IFMT) {
    case S_IFREG:
        return "a file";
    case S_IFDIR:
        return "a directory";
    case S_IFLNK:
        return "a symlink";
    default:
        return "a special file";
    }
}

/* Takes the ballots of other kinds away, after a word in the log. */
static void drop_others(struct survey *survey, const char *path)
{
    const struct ballot *winner = &survey->ballots[survey->winner];

    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        struct ballot *ballot = &survey->ballots[i];
        if (!ballot->cast || ballot_same_kind(ballot, winner))
            continue;
        if (S_ISLNK(winner->status.st_mode) && S_ISLNK(ballot->status.st_mode))
            log_once("%s: store %s has another symlink, to %s; to most it leads to %s", path,
                     store_name(survey->inquiry.list->stores[i]), ballot->target, winner->target);
        else
            log_once("%s: store %s has %s here, most have %s", path,
                     store_name(survey->inquiry.list->stores[i]), kind_name(ballot),
                     kind_name(winner));
        ballot->cast = false;
    }
}

/* Settles the status among those that are left. */
static void settle_status(struct survey *survey, const char *path)
{
    const struct store_list *list = survey->inquiry.list;
    struct ballot most = {.cast = true};

    vote_status(survey->ballots, list->count, &survey->status);
    most.status = survey->status;
    for (size_t i = 0; i < list->count; i++) {
        if (survey->ballots[i].cast && !ballot_same_attributes(&survey->ballots[i], &most))
            log_once("%s: store %s has another mode or owner than most", path,
                     store_name(list->stores[i]));
    }
}

int survey_make(struct stores *stores, const char *path, const struct inquiry_enough *enough,
                struct survey *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = look_make(stores, path, enough, &survey.inquiry);
    if (r < 0)
        return r;
    size_t count = survey.inquiry.list->count;
    survey.ballots = calloc(count + 1, sizeof *survey.ballots);
    if (!survey.ballots)
        return -ENOMEM;
    r = collect(&survey);
    survey.winner = vote(survey.ballots, count, ballot_same_kind);
    if (survey.winner == count)
        return r;
    drop_others(&survey, path);
    settle_status(&survey, path);
    *ret = survey;
    survey = NO_SURVEY;
    return 0;
}

void survey_clear(struct survey *survey)
{
    free(survey->ballots);
    inquiry_clear(&survey->inquiry);
    *survey = NO_SURVEY;
}

const char *survey_target(const struct survey *survey)
{
    return survey->ballots[survey->winner].target;
}
