/* SPDX-License-Identifier: MIT */
#include "view/store_names.h"

#include "tree/temporary.h"

#include <stdbool.h>
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
};

static int add_names(struct names *names, const struct names *more)
{
    for (size_t i = 0; i < more->count; i++) {
        int r = names_add_known(names, names_get(more, i), &more->items[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* How many of the names in NAMES, which are sorted, are the one at FIRST. */
static size_t count_equal(const struct names *names, size_t first)
{
    size_t end = first + 1;

    while (end < names->count && strcmp(names_get(names, end), names_get(names, first)) == 0)
        end++;
    return end - first;
}

/*
 * What is known of an object by COUNT stores: its kind where all of them agree, and its number in
 * the first of them.
 */
static struct listed agree(const struct listed items[], size_t count)
{
    struct listed known = items[0];

    for (size_t i = 1; i < count; i++) {
        if (items[i].kind != known.kind)
            known.kind = 0;
    }
    return known;
}

/*
 * Adds each of the names that stores gave to NAMES, once. What an interrupted run left in a store
 * is not the source's; where several stores have it, it is.
 */
static int merge_names(struct names *given, struct names *names)
{
    int r = 0;

    names_sort(given);
    for (size_t i = 0, equal; r == 0 && i < given->count; i += equal) {
        equal = count_equal(given, i);
        struct listed known = agree(&given->items[i], equal);
        if (equal > 1 || !temporary_is_name(names_get(given, i)))
            r = names_add_known(names, names_get(given, i), &known);
    }
    return r;
}

/* Adds what the stores answered to NAMES. Returns as store_names does. */
static int gather_names(const struct inquiry *inquiry, struct names *names)
{
    int worst = -ENOENT;
    bool found = false;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        if (r == 0) {
            found = true;
            r = add_names(names, &((struct list_question *)inquiry->questions[i])->names);
        } else if (r != -ENOENT && r != -EINPROGRESS) {
            worst = r;
        }
        if (r == -ENOMEM)
            return r;
    }
    return found ? 0 : worst;
}

int store_names(struct stores *stores, const char *path, const struct inquiry_enough *enough,
                struct names *names)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    cleanup_names struct names given = NO_NAMES;

    int r = inquiry_make(stores, path, NULL, &list_kind, enough, &inquiry);
    if (r == 0)
        r = gather_names(&inquiry, &given);
    return r < 0 ? r : merge_names(&given, names);
}
