/* SPDX-License-Identifier: MIT */
#include "restore/survey.h"

#include "base/log.h"
#include "base/shortage.h"
#include "restore/copies.h"
#include "restore/look.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

struct ballot survey_ballot(const struct inquiry *looks, const struct share_terms *terms,
                            size_t place)
{
    const struct look *look = look_answer(looks, place);
    struct store_voice voice;
    struct copy_facts facts;

    store_voice(looks->list->stores[place], &voice);
    copy_facts_read(terms, looks, place, &facts);
    return (struct ballot){
        .cast = true,
        .voter = quorum_voter(&looks->list->quorum, &voice, place),
        .status = look->object.status,
        .target = look->object.target,
        .has_header = S_ISREG(look->object.status.st_mode) && facts.has_header && !facts.misplaced,
        .one_mode_only = store_voice_keeps_no_modes(&voice, &look->object.status),
    };
}

/* Fills the ballots. Returns a shortage, the error of a store that could not say, or -ENOENT. */
static int collect(struct survey *survey, const struct share_terms *terms)
{
    const struct inquiry *inquiry = &survey->inquiry;
    uint64_t patience = store_list_patience(inquiry->list);
    int worst = -ENOENT;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        if (r == 0 && is_shortage(look_answer(inquiry, i)->object.open_error))
            r = look_answer(inquiry, i)->object.open_error;
        if (is_shortage(r))
            return r;
        if (r == 0) {
            survey->ballots[i] = survey_ballot(inquiry, terms, i);
            survey->ballots[i].slow = store_pace(inquiry->list->stores[i]) > patience;
        } else if (r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
        }
    }
    return worst;
}

static void print_kind(FILE *text, const struct ballot *ballot)
{
    const struct stat *status = &ballot->status;

    switch (status->st_mode & S_IFMT) {
    case S_IFREG:
        fputs("a file", text);
        break;
    case S_IFDIR:
        fputs("a directory", text);
        break;
    case S_IFLNK:
        fprintf(text, "a symlink to %s", ballot->target);
        break;
    case S_IFIFO:
        fputs("a FIFO", text);
        break;
    case S_IFSOCK:
        fputs("a socket", text);
        break;
    default:
        fprintf(text, "a device (%u,%u)", major(status->st_rdev), minor(status->st_rdev));
    }
}

/* "a file in 00 01" */
static void print_side(FILE *text, const struct survey *survey, size_t side)
{
    print_kind(text, &survey->ballots[side]);
    fputs(" in", text);
    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        if (survey->ballots[i].cast &&
            ballot_same_kind(&survey->ballots[i], &survey->ballots[side]))
            fprintf(text, " %s", store_short_name(survey->inquiry.list->stores[i]));
    }
}

static bool is_first_of_kind(const struct survey *survey, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (survey->ballots[i].cast &&
            ballot_same_kind(&survey->ballots[i], &survey->ballots[place]))
            return false;
    }
    return survey->ballots[place].cast;
}

/* "only 03 04 have it" */
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

static void print_sides(FILE *text, const struct survey *survey)
{
    const char *between = "";

    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        if (!is_first_of_kind(survey, i))
            continue;
        fputs(between, text);
        print_side(text, survey, i);
        between = ", ";
    }
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

/* Takes the ballots of other kinds away, after a word in the log. */
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

/* Says which of the stores that are left have another mode or owner. */
static void log_others(const struct survey *survey, const char *path)
{
    const struct store_list *list = survey->inquiry.list;
    const struct ballot most = {.cast = true, .status = survey->status};

    for (size_t i = 0; i < list->count; i++) {
        if (survey->ballots[i].cast && !ballot_same_attributes(&survey->ballots[i], &most))
            log_once("%s: store %s has another mode or owner than most", log_path(path),
                     store_name(list->stores[i]));
    }
}

/* Returns true if store number PLACE may have a vote for the name that was not counted. */
static bool is_unsaid(const struct survey *survey, size_t place)
{
    int r = inquiry_result(&survey->inquiry, place);
    struct store_voice voice;

    return r < 0 ? r != -ENOENT && r != -ENOTDIR
                 : !store_voice(survey->inquiry.list->stores[place], &voice);
}

/*
 * Too few stores have the name, and ERROR kept one from saying whether it has it, or which share it
 * holds is not known yet (0): where that may make it one that is shown, that is the error. Else 0.
 */
static int refuse_unsaid(const struct survey *survey, const char *path, int error)
{
    size_t unsaid = 0;

    for (size_t i = 0; i < survey->inquiry.list->count; i++)
        unsaid += is_unsaid(survey, i);
    if (unsaid == 0 || survey->ruling.votes + unsaid < survey->ruling.needed)
        return 0;
    if (error == 0)
        error = -ETIMEDOUT;
    cleanup_free char *text = survey_describe(survey);
    log_once("%s: %s; not all stores could be asked: %s", log_path(path), text ? text : "foreign",
             strerrordesc_np(-error));
    return error == -ETIMEDOUT ? error : -EIO;
}

int refuse_unknown(const struct store_list *list)
{
    if (list->unheard > 0)
        log_once("the stores do not say how many shares are needed: %zu of %zu could not be looked "
                 "at: %s",
                 list->unheard, list->count, strerrordesc_np(-list->why_unheard));
    else
        log_once("the stores do not say how many shares are needed: %zu of %zu that have files "
                 "have intact headers; give required=",
                 list->quorum.with_vote, list->quorum.with_files);
    return -EIO;
}

int survey_make(struct stores *stores, const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct survey *ret)
{
    return survey_make_by(stores, terms, path, NULL, &look_kind, enough, ret);
}

int survey_make_by(struct stores *stores, const struct share_terms *terms, const char *path,
                   const char *argument, const struct question_kind *kind,
                   const struct inquiry_enough *enough, struct survey *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = inquiry_make(stores, path, argument, kind, enough, &survey.inquiry);
    if (r < 0)
        return r;
    const struct store_list *list = survey.inquiry.list;
    if (list->quorum.required == 0)
        return refuse_unknown(list);
    survey.ballots = calloc(list->count + 1, sizeof *survey.ballots);
    if (!survey.ballots)
        return -ENOMEM;
    r = collect(&survey, terms);
    if (is_shortage(r))
        return r;
    name_rule(&list->quorum, survey.ballots, list->count, &survey.ruling);
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

const char *survey_target(const struct survey *survey)
{
    return survey->ballots[survey->ruling.winner].target;
}
