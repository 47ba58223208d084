/* SPDX-License-Identifier: MIT */
#include "restore/survey.h"

#include "base/log.h"
#include "base/shortage.h"
#include "restore/look.h"
#include "store/voice.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Fills the ballots. Returns a shortage, the error of a store that could not say, or -ENOENT. */
static int collect(struct survey *survey, const struct share_terms *terms)
{
    const struct inquiry *inquiry = &survey->inquiry;
    uint64_t patience = store_list_patience(inquiry->list);
    struct copy_facts facts;
    int worst = -ENOENT;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        if (r == 0 && is_shortage(look_answer(inquiry, i)->object.open_error))
            r = look_answer(inquiry, i)->object.open_error;
        if (is_shortage(r))
            return r;
        if (r == 0) {
            survey->ballots[i] = look_ballot(inquiry, terms, i, &facts);
            survey->ballots[i].slow = store_pace(inquiry->list->stores[i]) > patience;
        } else if (r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
        }
    }
    return worst;
}

/* "a file in 00 01, a symlink to x in 02" */
static void print_sides(FILE *text, const struct survey *survey)
{
    const struct store_list *list = survey->inquiry.list;
    const char *between = "";

    for (size_t i = 0; i < list->count; i++) {
        const struct ballot *own = &survey->ballots[i];
        mode_t mode = own->status.st_mode;
        bool is_first = own->cast;
        for (size_t j = 0; j < i && is_first; j++)
            is_first = !survey->ballots[j].cast || !ballot_same_kind(&survey->ballots[j], own);
        if (!is_first)
            continue;
        fprintf(text, "%s%s", between,
                S_ISREG(mode)    ? "a file"
                : S_ISDIR(mode)  ? "a directory"
                : S_ISLNK(mode)  ? "a symlink to "
                : S_ISFIFO(mode) ? "a FIFO"
                : S_ISSOCK(mode) ? "a socket"
                                 : "a device ");
        if (S_ISLNK(mode))
            fputs(own->target, text);
        else if (S_ISCHR(mode) || S_ISBLK(mode))
            fprintf(text, "(%u,%u)", major(own->status.st_rdev), minor(own->status.st_rdev));
        fputs(" in", text);
        for (size_t j = i; j < list->count; j++) {
            if (survey->ballots[j].cast && ballot_same_kind(&survey->ballots[j], own))
                fprintf(text, " %s", store_short_name(list->stores[j]));
        }
        between = ", ";
    }
}

/* "only 03 04 have it, 3 needed" */
static void print_few(FILE *text, const struct survey *survey)
{
    size_t having = 0;

    fputs("only", text);
    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        if (inquiry_result(&survey->inquiry, i) < 0)
            continue;
        fprintf(text, " %s", store_short_name(survey->inquiry.list->stores[i]));
        having++;
    }
    fprintf(text, " %s it, %u needed", having == 1 ? "has" : "have", survey->ruling.needed);
}

char *survey_describe(const struct survey *survey)
{
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return NULL;
    if (survey->ruling.verdict == NAME_FOREIGN)
        print_few(text, survey);
    else
        print_sides(text, survey);
    if (fclose(text) != 0) {
        free(line);
        return NULL;
    }
    return line;
}

/* Takes the ballots of other kinds away, and logs them. */
static void drop_others(struct survey *survey, const char *path)
{
    const struct ballot *winner = &survey->ballots[survey->ruling.winner];
    cleanup_free char *sides = NULL;
    bool others = false;

    for (size_t i = 0; i < survey->inquiry.list->count; i++)
        others |= survey->ballots[i].cast && !ballot_same_kind(&survey->ballots[i], winner);
    if (others)
        sides = survey_describe(survey);
    if (sides)
        log_once("%s: the stores have %s", log_path(path), sides);
    for (size_t i = 0; i < survey->inquiry.list->count; i++)
        survey->ballots[i].cast &= ballot_same_kind(&survey->ballots[i], winner);
}

/* Logs which of the stores that are left have another mode or owner, by their first such name. */
static void log_others(const struct survey *survey, const char *path)
{
    const struct store_list *list = survey->inquiry.list;
    const struct ballot most = {.cast = true, .status = survey->status};

    for (size_t i = 0; i < list->count; i++) {
        /*
         * Storage that keeps no modes has no vote here, and no store has one where manifests say
         * it.
         */
        if (survey->ballots[i].cast && !survey->ballots[i].one_mode_only &&
            !voice_is_sealed(list->stores[i]) &&
            !ballot_same_attributes(&survey->ballots[i], &most) && store_tell_once(list->stores[i]))
            log_warning(
                "%s: store %s has another mode or owner than most, and maybe of other names "
                "as well: zfec-fs check tells",
                log_path(path), store_name(list->stores[i]));
    }
}

/*
 * Too few stores have the name. Returns the error if the answer of a store that is missing might
 * show it: one that failed with ERROR, whose share is not known yet (0), or that is gone. Otherwise
 * returns 0.
 */
static int refuse_unsaid(const struct survey *survey, const char *path, int error)
{
    const struct store_list *list = survey->inquiry.list;
    struct store_voice voice;
    size_t unsaid = 0;

    for (size_t i = 0; i < list->count; i++) {
        int r = inquiry_result(&survey->inquiry, i);
        unsaid += r < 0 ? r != -ENOENT && r != -ENOTDIR : !store_voice(list->stores[i], &voice);
    }
    if (error == 0 || unsaid == 0)
        error = unsaid > 0 ? -ETIMEDOUT : -EHOSTDOWN; /* one that is gone */
    unsaid += list->gone;
    if (unsaid == 0 || survey->ruling.votes + unsaid < survey->ruling.needed)
        return 0;
    cleanup_free char *text = survey_describe(survey);
    log_once("%s: %s; not all stores could be asked: %s", log_path(path), text ? text : "foreign",
             error == -EHOSTDOWN ? "one is gone" : strerrordesc_np(-error));
    return error == -ETIMEDOUT ? error : -EIO;
}

int refuse_few(const struct share_terms *terms, const struct store_list *list)
{
    const struct quorum *quorum = &list->quorum;
    const size_t here = quorum->found; /* stores without a vote may have what is missing */

    if (quorum->required > 0 && (terms->unconfirmed || here >= quorum->required))
        return 0;
    if (list->unheard > 0)
        log_once("%s: %zu of %zu could not be looked at: %s",
                 quorum->required > 0 ? "too few stores say what they have"
                                      : "the stores do not say how many shares are needed",
                 list->unheard, list->count, strerrordesc_np(-list->why_unheard));
    else if (quorum->required > 0)
        log_once("%zu store%s found, %u needed: no names can be shown until more are there%s", here,
                 here == 1 ? "" : "s", quorum->required, here == 0 ? "; are they mounted?" : "");
    else
        log_once("the stores do not say how many shares are needed: %zu of %zu that have files "
                 "have intact headers; give required=",
                 quorum->with_vote, quorum->with_files);
    return -EIO;
}

int survey_make(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct survey *ret)
{
    return survey_make_by(terms, path, NULL, &look_kind, enough, ret);
}

int survey_make_by(const struct share_terms *terms, const char *path, const char *argument,
                   const struct question_kind *kind, const struct inquiry_enough *enough,
                   struct survey *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = inquiry_make(terms->stores, path, argument, kind, enough, &survey.inquiry);
    if (r < 0)
        return r;
    const struct store_list *list = survey.inquiry.list;
    r = refuse_few(terms, list);
    if (r < 0)
        return r;
    survey.ballots = calloc(list->count + 1, sizeof *survey.ballots);
    if (!survey.ballots)
        return -ENOMEM;
    r = collect(&survey, terms);
    if (is_shortage(r))
        return r;
    name_rule(&list->quorum, survey.ballots, list->count, &survey.ruling);
    /* Unconfirmed names are shown; but two that contradict each other are a conflict. */
    if (terms->unconfirmed && survey.ruling.verdict == NAME_FOREIGN && survey.ruling.tied)
        survey.ruling.verdict = NAME_CONFLICT;
    bool shown = survey.ruling.verdict == NAME_SETTLED || survey.ruling.verdict == NAME_LOST ||
                 (survey.ruling.verdict == NAME_FOREIGN && terms->unconfirmed);
    if (survey.ruling.verdict == NAME_ABSENT)
        return r;
    if (survey.ruling.verdict == NAME_FOREIGN && !terms->unconfirmed) {
        r = refuse_unsaid(&survey, path, r);
        if (r < 0)
            return r;
    }
    if (shown)
        drop_others(&survey, path);
    vote_status(&list->quorum, survey.ballots, list->count, &survey.status);
    if (shown)
        log_others(&survey, path);
    *ret = survey;
    survey = NO_SURVEY;
    return 0;
}

int survey_presence(struct stores *stores, const char *path)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = inquiry_make(stores, path, NULL, &look_kind, NULL, &inquiry);
    if (r == 0 && (inquiry.list->left_out > 0 || inquiry.list->unheard > 0))
        r = -EHOSTDOWN;
    for (size_t i = 0; r <= 0 && i < (inquiry.list ? inquiry.list->count : 0); i++) {
        int result = inquiry_result(&inquiry, i);
        if (result == 0)
            r = 1;
        else if (r == 0 && result != -ENOENT && result != -ENOTDIR)
            r = result;
        else if (r == 0 && store_list_is_empty(inquiry.list, i))
            r = -ENODATA;
    }
    return r;
}

void survey_clear(struct survey *survey)
{
    free(survey->ballots);
    inquiry_clear(&survey->inquiry);
    *survey = NO_SURVEY;
}
