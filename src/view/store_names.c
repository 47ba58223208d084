/* SPDX-License-Identifier: MIT */
#include "view/store_names.h"

#include "tree/temporary.h"

#include <string.h>

struct list_question {
    struct question question;
    struct names names;
};

static int ask_list(const struct tree *tree, const char *path, struct question *question)
{
    struct names *names = &((struct list_question *)question)->names;

    int r = tree_list(tree, path, names);
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
struct column {
    struct names names; /* the answer's */
    size_t next;
};

static const char *next_name(const struct column *column)
{
    return column->next < column->names.count ? names_get(&column->names, column->next) : NULL;
}

/* The least of the names that come next; NULL where none is left. */
static const char *least_name(const struct column columns[], size_t count)
{
    const char *least = NULL;

    for (size_t i = 0; i < count; i++) {
        const char *name = next_name(&columns[i]);
        if (name && (!least || strcmp(name, least) < 0))
            least = name;
    }
    return least;
}

/*
 * Takes NAME from all stores that have it, and returns how many these are. *RET is what is known of
 * the object: its kind where all of them agree, and its number in the first of them.
 */
static size_t take_name(struct column columns[], size_t count, const char *name, struct listed *ret)
{
    size_t having = 0;

    for (size_t i = 0; i < count; i++) {
        const char *next = next_name(&columns[i]);
        if (!next || strcmp(next, name) != 0)
            continue;
        const struct listed *known = &columns[i].names.items[columns[i].next++];
        if (having++ == 0)
            *ret = *known;
        else if (known->kind != ret->kind)
            ret->kind = 0;
    }
    return having;
}

/*
 * Adds each of the names that stores gave to NAMES, once and sorted. What an interrupted run left
 * in a store is not the source's; where several stores have it, it is.
 */
static int merge_names(struct column columns[], size_t count, struct names *names)
{
    const char *name;
    struct listed known;
    int r = 0;

    while (r == 0 && (name = least_name(columns, count))) {
        if (take_name(columns, count, name, &known) > 1 || !temporary_is_name(name))
            r = names_add_known(names, name, &known);
    }
    return r;
}

/* What the stores answered. Returns how many did, or as store_names does. */
static int find_columns(const struct inquiry *inquiry, struct column columns[])
{
    int worst = -ENOENT, found = 0;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        if (r == -ENOMEM)
            return r;
        if (r == 0)
            columns[found++].names = ((struct list_question *)inquiry->questions[i])->names;
        else if (r != -ENOENT && r != -EINPROGRESS)
            worst = r;
    }
    return found > 0 ? found : worst;
}

int store_names(struct stores *stores, const char *path, const struct inquiry_enough *enough,
                struct names *names)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = inquiry_make(stores, path, NULL, &list_kind, enough, &inquiry);
    if (r < 0)
        return r;
    cleanup_free struct column *columns = calloc(inquiry.list->count + 1, sizeof *columns);
    if (!columns)
        return -ENOMEM;
    r = find_columns(&inquiry, columns);
    return r < 0 ? r : merge_names(columns, (size_t)r, names);
}
