/* SPDX-License-Identifier: MIT */
#include "restore/attributes.h"

#include "base/names.h"
#include "base/shortage.h"
#include "base/xattrs.h"
#include "restore/enough.h"
#include "restore/share_set.h"
#include "trust/attribute.h"

#include <string.h>

/* What one store has of a name, its attributes among it. */
struct full_look {
    struct look look;
    struct xattrs xattrs;
    int result; /* of reading these */
};

static int ask_stores(const struct tree *tree, const char *path, struct question *question)
{
    struct full_look *full = (struct full_look *)question;

    int r = look_ask(tree, path, question);
    if (r == 0)
        full->result =
            full->look.object.fd >= 0
                ? xattrs_read_open(full->look.object.fd, question->argument, &full->xattrs)
                : tree_read_xattrs(tree, path, question->argument, &full->xattrs);
    if (r == 0 && full->result == -ENOENT && full->look.object.target) {
        full->xattrs.impossible = true; /* the symlink is kept in a file: see spelled_link.h */
        full->result = 0;
    }
    return r;
}

static void forget(struct question *question)
{
    xattrs_clear(&((struct full_look *)question)->xattrs);
    look_forget(question);
}

static const struct question_kind full_look_kind = {
    .size = sizeof(struct full_look),
    .ask = ask_stores,
    .forget = forget,
};

static const struct full_look *answer_of(const struct inquiry *inquiry, size_t store)
{
    return (const struct full_look *)inquiry->questions[store];
}

static const struct xattrs *xattrs_of(const struct inquiry *inquiry, size_t store)
{
    if (inquiry_result(inquiry, store) < 0 || answer_of(inquiry, store)->result < 0)
        return NULL;
    return &answer_of(inquiry, store)->xattrs;
}

/*
 * Returns true if the stores that are pending could not change the vote: all others say the same,
 * and have more votes than there are stores pending.
 */
static bool is_settled(const struct inquiry *inquiry, const void *terms)
{
    const struct quorum *quorum = &inquiry->list->quorum;
    const struct xattrs *said = NULL;
    bool has_voted[256] = {false};
    unsigned votes = 0;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        const struct xattrs *own = xattrs_of(inquiry, i);
        int voter = store_list_voter(inquiry->list, i);
        if (!own || own->impossible)
            continue;
        if (said && !xattrs_are_equal(said, own))
            return false;
        said = own;
        if (voter < 0 || voter >= 256 || has_voted[voter])
            continue;
        has_voted[voter] = true;
        votes++;
    }
    return votes >= quorum->required && quorum->required > inquiry->pending &&
           votes > inquiry->pending && enough_looks(inquiry, terms);
}

/* Takes the vote away from all stores that do not hold the version which the file shows. */
static int cast_off_others(struct survey *survey, const struct share_terms *terms, const char *path)
{
    cleanup_share_set struct share_set *set = NULL;

    int r = share_set_new(&survey->inquiry, terms, path, 0, &set);
    if (r < 0 || !share_set_header(set))
        return is_shortage(r) ? r : 0;
    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        bool member = false;
        for (size_t j = 0; j < set->count; j++)
            member |= set->copies[j].store == survey->inquiry.list->stores[i] &&
                      set->copies[j].role == COPY_MEMBER;
        survey->ballots[i].cast &= member;
    }
    return 0;
}

/* What a store has of one name after the other. */
struct attribute_column {
    const struct xattrs *xattrs;
    const char *at; /* behind the next one */
    bool left;      /* there is a next one */
    struct xattr next;
};

static void step(struct attribute_column *column)
{
    column->left = xattrs_next(column->xattrs, &column->at, &column->next);
}

/* Returns the least of the names that come next; NULL where none is left. */
static const char *least_name(const struct attribute_column columns[], size_t count)
{
    const char *least = NULL;

    for (size_t i = 0; i < count; i++) {
        if (columns[i].left && (!least || strcmp(columns[i].next.name, least) < 0))
            least = columns[i].next.name;
    }
    return least;
}

/* Gives each name that a store has the value that it has by the vote, if it has one. */
static int settle_all(const struct survey *survey, struct xattrs *ret)
{
    const struct store_list *list = survey->inquiry.list;
    size_t count = list->count;
    const char *name;

    if (survey->ruling.verdict == NAME_FOREIGN)
        return 0;
    cleanup_free struct attribute_column *columns = calloc(count + 1, sizeof *columns);
    cleanup_free struct attribute_vote *votes = calloc(count + 1, sizeof *votes);
    if (!columns || !votes)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct xattrs *own = xattrs_of(&survey->inquiry, i);
        votes[i].voter = -1;
        if (!survey->ballots[i].cast || !own)
            continue;
        votes[i].voter = survey->ballots[i].voter;
        columns[i] = (struct attribute_column){.xattrs = own, .at = own->bytes};
        step(&columns[i]);
    }
    while ((name = least_name(columns, count))) {
        for (size_t i = 0; i < count; i++) {
            const struct attribute_column *own = &columns[i];
            bool has = own->left && strcmp(own->next.name, name) == 0;
            votes[i].value = has ? &own->next : NULL;
        }
        const struct xattr *value = attribute_rule(votes, count, name, list->quorum.required);
        int r = value ? xattrs_add(ret, name, value->value, value->size) : 0;
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            if (votes[i].value)
                step(&columns[i]);
        }
    }
    return 0;
}

/* Asks all stores, or ENOUGH of them, for all attributes or for NAME, and settles these. */
static int survey_all(const struct share_terms *terms, const char *path, const char *name,
                      const struct inquiry_enough *enough, struct survey *ret_survey,
                      struct xattrs *ret)
{
    int r = survey_make_by(terms, path, name, &full_look_kind, enough, ret_survey);
    const struct inquiry *inquiry = &ret_survey->inquiry;

    *ret = NO_XATTRS;
    if (r < 0)
        return r;
    if (ret_survey->ruling.verdict == NAME_CONFLICT)
        return -EIO;
    if (ret_survey->ruling.verdict == NAME_FOREIGN && !terms->unconfirmed && !terms->everything)
        return -ENOENT;
    if (S_ISREG(ret_survey->status.st_mode))
        r = cast_off_others(ret_survey, terms, path);
    for (size_t i = 0; r == 0 && i < inquiry->list->count; i++) {
        const struct xattrs *own = xattrs_of(inquiry, i);
        if (inquiry_result(inquiry, i) == 0 && is_shortage(answer_of(inquiry, i)->result))
            r = answer_of(inquiry, i)->result;
        ret_survey->ballots[i].cast &= own && !own->impossible;
    }
    return r < 0 ? r : settle_all(ret_survey, ret);
}

int attributes_read(const struct share_terms *terms, const char *path, const char *name,
                    bool all_stores, struct xattrs *ret)
{
    const struct inquiry_enough enough = {is_settled, terms};
    cleanup_survey struct survey survey = NO_SURVEY;

    return survey_all(terms, path, name, all_stores ? NULL : &enough, &survey, ret);
}

int attributes_compare(const struct share_terms *terms, const char *path,
                       const struct store_list *list, enum attributes_state ret[])
{
    cleanup_survey struct survey survey = NO_SURVEY;
    CLEANUP(xattrs_clear) struct xattrs all = NO_XATTRS;

    int r = survey_all(terms, path, NULL, NULL, &survey, &all);
    if (r < 0)
        return r == -EIO || r == -ENOENT ? 0 : r;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < survey.inquiry.list->count; j++) {
            if (list->stores[i] != survey.inquiry.list->stores[j] ||
                inquiry_result(&survey.inquiry, j) < 0)
                continue;
            const struct xattrs *own = xattrs_of(&survey.inquiry, j);
            ret[i] = !own                          ? ATTRIBUTES_UNREAD
                     : own->impossible             ? ATTRIBUTES_IMPOSSIBLE
                     : xattrs_are_equal(own, &all) ? ATTRIBUTES_RIGHT
                                                   : ATTRIBUTES_DIFFER;
        }
    }
    return 0;
}
