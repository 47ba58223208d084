/* SPDX-License-Identifier: MIT */
#include "restore/store_names.h"

#include "base/log.h"
#include "base/shortage.h"
#include "restore/share_set.h"
#include "restore/spelled_link.h"
#include "trust/leftover.h"

#include <stdio.h>
#include <string.h>

struct list_question {
    struct question question;
    struct names names;
};

static int ask_list(const struct tree *tree, const char *path, struct question *question)
{
    struct names *names = &((struct list_question *)question)->names;

    int r = tree_list(tree, path, names);
    if (r == 0)
        r = spelled_link_add(names);
    if (r < 0)
        names_clear(names);
    else
        names_sort_unique(names);
    return r;
}

static void forget_list(struct question *question)
{
    names_clear(&((struct list_question *)question)->names);
}

static const struct question_kind list_kind = {
    .size = sizeof(struct list_question),
    .ask = ask_list,
    .forget = forget_list,
    .heavy = true,
};

/* The names that one store gave, sorted, and how many of them are merged. */
struct name_column {
    int voter;
    struct names names; /* the answer's */
    size_t next;
    bool has; /* the name that was merged last */
};

/* Returns the name that comes next; NULL where none is left. */
static const char *next_name(const struct name_column *column)
{
    return column->next < column->names.count ? names_get(&column->names, column->next) : NULL;
}

static const char *least_name(const struct name_column columns[], size_t count)
{
    const char *least = NULL;

    for (size_t i = 0; i < count; i++) {
        const char *name = next_name(&columns[i]);
        if (name && (!least || strcmp(name, least) < 0))
            least = name;
    }
    return least;
}

/* What the stores that have a name say of it. */
struct taken {
    struct listed known; /* its kind where all of them agree, and its number in the first of them */
    unsigned votes;      /* different ones among those that have it */
};

static struct taken take_name(struct name_column columns[], size_t count, const char *name)
{
    const struct listed *first = NULL;
    struct taken taken = {.votes = 0};

    for (size_t i = 0; i < count; i++) {
        struct name_column *column = &columns[i];
        const char *next = next_name(column);
        column->has = next && strcmp(next, name) == 0;
        if (!column->has)
            continue;
        const struct listed *known = &column->names.items[column->next++];
        bool counted = column->voter < 0;
        for (size_t j = 0; j < i && !counted; j++)
            counted = columns[j].has && columns[j].voter == column->voter;
        taken.votes += !counted;
        if (!first)
            taken.known = *(first = known);
        else if (known->kind != taken.known.kind)
            taken.known.kind = 0;
    }
    return taken;
}

/* A directory being listed. */
struct naming {
    const struct share_terms *terms;
    const char *path;
    unsigned required; /* K */
    bool leftover;     /* the directory, or one that it is in */
};

static void tell_hidden(const struct naming *naming, const char *path, const struct survey *survey)
{
    enum hidden why = leftover_is_path(path) ? HIDDEN_LEFTOVER : HIDDEN_FOREIGN;
    cleanup_free char *text = survey_describe(survey);

    if (!text || store_name_is_description(naming->terms, path, survey))
        return;
    if (naming->terms->hidden)
        naming->terms->hidden(naming->terms->context, path, why, text);
    else if (why == HIDDEN_FOREIGN)
        log_once("%s is not shown: %s; -o unconfirmed shows it", log_path(path), text);
    if (why == HIDDEN_FOREIGN)
        terms_lack(naming->terms);
}

bool store_name_is_description(const struct share_terms *terms, const char *path,
                               const struct survey *survey)
{
    bool found = leftover_is_description(path);

    for (size_t i = 0; found && i < survey->inquiry.list->count; i++)
        found = !survey->ballots[i].has_header || !formats[terms->format]->has_checks;
    return found;
}

/* Returns 1 where NAME is to be shown, 0 where it is not, and that has been told. */
static int look_closer(const struct naming *naming, const char *name)
{
    cleanup_survey struct survey survey = NO_SURVEY;
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s%s%s", naming->path, *naming->path ? "/" : "", name) < 0)
        return -ENOMEM;
    int r = survey_make(naming->terms, path, NULL, &survey);
    if (r < 0)
        return is_shortage(r) ? r : r != -ENOENT;
    r = store_name_is_shown(naming->terms, path, &survey);
    if (r == 0)
        tell_hidden(naming, path, &survey);
    return r;
}

/* Returns true if the listing alone says that the name is believed. Of symlinks and devices it does
 * not say that all are the same. */
static bool is_clear(const struct naming *naming, const char *name, const struct taken *taken)
{
    mode_t kind = taken->known.kind;
    bool plain = S_ISREG(kind) || S_ISDIR(kind) || S_ISFIFO(kind) || S_ISSOCK(kind);

    return naming->terms->everything ||
           (plain && taken->votes >= naming->required && naming->required > 0 &&
            !leftover_is_name(name) && !naming->leftover &&
            (*naming->path || !leftover_is_description(name)));
}

/* Adds each of the names that are shown to NAMES, once and sorted. */
static int merge_names(const struct naming *naming, struct name_column columns[], size_t count,
                       struct names *names)
{
    const char *name;
    int r = 0;

    while (r >= 0 && (name = least_name(columns, count))) {
        const struct taken taken = take_name(columns, count, name);
        r = is_clear(naming, name, &taken) ? 1 : look_closer(naming, name);
        if (r > 0)
            r = names_add_known(names, name, &taken.known);
    }
    return r < 0 ? r : 0;
}

/* The votes of the stores that have answered, or still may; and stores without one that lend. */
static unsigned count_votes(const struct inquiry *inquiry, const char *path)
{
    cleanup_free int *voters = calloc(inquiry->list->count + 1, sizeof *voters);
    unsigned votes = 0;

    for (size_t i = 0; voters && i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        bool lacks = r == -ENOENT || r == -ENOTDIR;
        bool counts = r == 0 || r == -EINPROGRESS || (lacks && *path); /* no root: it was removed */
        int voter = store_list_voter(inquiry->list, i);
        struct store_voice voice;
        for (unsigned j = 0; j < votes && counts && voter >= 0; j++)
            counts = voters[j] != voter;
        if (voter < 0)
            counts &= store_voice(inquiry->list->stores[i], &voice) && voice.has_files;
        if (counts)
            voters[votes++] = voter;
    }
    return votes;
}

int store_names(const struct share_terms *terms, const char *path,
                const struct inquiry_enough *enough, struct names *names)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    int worst = -ENOENT;
    size_t count = 0;

    int r = inquiry_make(terms->stores, path, NULL, &list_kind, enough, &inquiry);
    if (r < 0)
        return r;
    const struct naming naming = {terms, path, inquiry.list->quorum.required,
                                  leftover_is_path(path)};
    r = refuse_few(terms, inquiry.list);
    if (r < 0)
        return r;
    cleanup_free struct name_column *columns = calloc(inquiry.list->count + 1, sizeof *columns);
    if (!columns)
        return -ENOMEM;
    for (size_t i = 0; i < inquiry.list->count; i++) {
        r = inquiry_result(&inquiry, i);
        if (is_shortage(r))
            return r;
        if (r == 0)
            columns[count++] = (struct name_column){
                .voter = store_list_voter(inquiry.list, i),
                .names = ((struct list_question *)inquiry.questions[i])->names,
            };
        else if (r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS)
            worst = r;
    }
    /* Names that only the others have must not look as if they were not there. */
    if (!terms->patient && !terms->unconfirmed && count_votes(&inquiry, path) < naming.required)
        return worst == -ENOENT ? -EIO : worst;
    return count > 0 ? merge_names(&naming, columns, count, names) : worst;
}

/* Returns 1 where a version of the file at PATH is complete, or why that cannot be told. */
static int is_complete(const struct share_terms *terms, const char *path,
                       const struct survey *survey)
{
    cleanup_share_set struct share_set *shares = NULL;

    if (!S_ISREG(survey->status.st_mode))
        return 0;
    int r = share_set_new(&survey->inquiry, terms, path, 0, &shares);
    if (r < 0)
        return is_no_verdict(r) ? r : 0;
    return shares->version.complete ? 1 : shares->unread;
}

/* Returns 1 where a file directly in the directory PATH is complete. */
static int has_complete_file(const struct share_terms *terms, const char *path)
{
    struct share_terms all = *terms;
    cleanup_names struct names names = NO_NAMES;

    all.everything = true;
    int r = store_names(&all, path, NULL, &names);
    if (r < 0)
        return is_shortage(r) ? r : 0;
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_survey struct survey survey = NO_SURVEY;
        cleanup_free char *whole = NULL;
        if (asprintf(&whole, "%s/%s", path, names_get(&names, i)) < 0)
            return -ENOMEM;
        if (survey_make(terms, whole, NULL, &survey) == 0 && survey.ruling.verdict == NAME_SETTLED)
            r = is_complete(terms, whole, &survey);
    }
    return r;
}

static int leftover_is_shown(const struct share_terms *terms, const char *path,
                             const struct survey *survey)
{
    const struct quorum *quorum = &survey->inquiry.list->quorum;
    const char *slash = strrchr(path, '/');

    if (survey->ruling.verdict != NAME_SETTLED)
        return 0;
    if (!S_ISDIR(survey->status.st_mode))
        return S_ISREG(survey->status.st_mode) ? is_complete(terms, path, survey) : 1;
    if (survey->ruling.votes < quorum->required)
        return 0;
    return leftover_is_directory(slash ? slash + 1 : path) ? has_complete_file(terms, path) : 1;
}

int store_name_is_shown(const struct share_terms *terms, const char *path,
                        const struct survey *survey)
{
    const mode_t mode = survey->status.st_mode;

    if (leftover_is_path(path))
        return leftover_is_shown(terms, path, survey);
    return survey->ruling.verdict != NAME_FOREIGN ||
           (terms->unconfirmed && !S_ISCHR(mode) && !S_ISBLK(mode));
}
