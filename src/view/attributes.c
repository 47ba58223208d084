/* SPDX-License-Identifier: MIT */
#include "view/attributes.h"

#include "base/names.h"
#include "base/xattrs.h"
#include "view/inquiry.h"

#include <string.h>

/* What one store has: a value, or names with a NUL behind each. */
struct attribute_question {
    struct question question;
    mode_t kind; /* of what has it */
    char *bytes;
    size_t size;
};

static int ask(const struct tree *tree, const char *path, struct question *question)
{
    struct attribute_question *attribute = (struct attribute_question *)question;

    return tree_read_xattr(tree, path, question->argument, &attribute->bytes, &attribute->size,
                           &attribute->kind);
}

/* Puts names into order: file systems list them in different ones. */
static int sort_names(struct attribute_question *list)
{
    cleanup_names struct names names = NO_NAMES;
    size_t at = 0;

    while (at < list->size) {
        int r = names_add(&names, list->bytes + at);
        if (r < 0)
            return r;
        at += strlen(list->bytes + at) + 1;
    }
    names_sort_unique(&names);
    char *end = list->bytes;
    for (size_t i = 0; i < names.count; i++)
        end = stpcpy(end, names_get(&names, i)) + 1;
    list->size = (size_t)(end - list->bytes);
    return 0;
}

static int ask_list(const struct tree *tree, const char *path, struct question *question)
{
    int r = ask(tree, path, question);

    return r < 0 ? r : sort_names((struct attribute_question *)question);
}

static void forget(struct question *question)
{
    free(((struct attribute_question *)question)->bytes);
}

static const struct question_kind value_kind = {
    .size = sizeof(struct attribute_question),
    .ask = ask,
    .forget = forget,
};

static const struct question_kind list_kind = {
    .size = sizeof(struct attribute_question),
    .ask = ask_list,
    .forget = forget,
};

/* Whether a store has said what there is, or that there is nothing. */
static bool is_answer(int result)
{
    return result == 0 || result == -ENODATA || result == -ENOTSUP;
}

static const struct attribute_question *answer_of(const struct inquiry *inquiry, size_t store)
{
    return (const struct attribute_question *)inquiry->questions[store];
}

/* Whether two stores have answered, and the same. */
static bool is_alike(const struct inquiry *inquiry, size_t a, size_t b)
{
    int r = inquiry_result(inquiry, a), other = inquiry_result(inquiry, b);

    if (!is_answer(r) || !is_answer(other) || (r == 0) != (other == 0))
        return false;
    const struct attribute_question *ours = answer_of(inquiry, a), *theirs = answer_of(inquiry, b);
    return ours->kind == theirs->kind &&
           (r < 0 ||
            (ours->size == theirs->size && memcmp(ours->bytes, theirs->bytes, ours->size) == 0));
}

/* What a store's answer weighs: all that are silent are less than one that is not. */
static size_t weight(const struct inquiry *inquiry, size_t store)
{
    return store_is_silent(inquiry->list->stores[store]) ? 1 : inquiry->list->count;
}

/* The store whose answer counts; an error where none has answered. */
static int choose(const struct inquiry *inquiry, size_t *ret)
{
    size_t most = 0;
    int worst = -ENOENT;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        size_t alike = 0;
        for (size_t j = 0; j < inquiry->list->count; j++)
            alike += is_alike(inquiry, i, j) ? weight(inquiry, j) : 0;
        if (alike > most) {
            most = alike;
            *ret = i;
        } else if (alike == 0 && r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
        }
    }
    return most > 0 ? 0 : worst;
}

/* Whether more than half of all stores say the same. */
static bool is_settled(const struct inquiry *inquiry, const void *context)
{
    size_t count = inquiry->list->count, winner = 0, alike = 0;

    if (choose(inquiry, &winner) < 0)
        return false;
    for (size_t i = 0; i < count; i++)
        alike += is_alike(inquiry, winner, i) && !store_is_silent(inquiry->list->stores[i]);
    return alike > count - alike;
}

static const struct inquiry_enough most_agree = {is_settled, NULL};

/* The answer of most stores to where the caller wants it. */
static int reply(const struct inquiry *inquiry, char *bytes, size_t size, size_t *ret)
{
    size_t winner = 0;

    int r = choose(inquiry, &winner);
    if (r == 0)
        r = inquiry_result(inquiry, winner);
    if (r < 0)
        return r;
    const struct attribute_question *answer = answer_of(inquiry, winner);
    if (size > 0 && answer->size > size)
        return -ERANGE;
    if (size > 0)
        memcpy(bytes, answer->bytes, answer->size);
    *ret = answer->size;
    return 0;
}

int attributes_get(struct stores *stores, const char *path, const char *name, void *value,
                   size_t size, size_t *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = inquiry_make(stores, path, name, &value_kind, &most_agree, &inquiry);
    return r < 0 ? r : reply(&inquiry, value, size, ret);
}

int attributes_list(struct stores *stores, const char *path, char *names, size_t size, size_t *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = inquiry_make(stores, path, NULL, &list_kind, &most_agree, &inquiry);
    return r < 0 ? r : reply(&inquiry, names, size, ret);
}

/* All that one store has. */
struct all_question {
    struct question question;
    struct xattrs xattrs;
};

static int ask_all(const struct tree *tree, const char *path, struct question *question)
{
    struct xattrs *xattrs = &((struct all_question *)question)->xattrs;

    int r = tree_read_xattrs(tree, path, xattrs);
    if (r < 0)
        xattrs_clear(xattrs);
    return r;
}

static void forget_all(struct question *question)
{
    xattrs_clear(&((struct all_question *)question)->xattrs);
}

static const struct question_kind all_kind = {
    .size = sizeof(struct all_question),
    .ask = ask_all,
    .forget = forget_all,
};

static const struct xattrs *all_of(const struct inquiry *inquiry, size_t store)
{
    return inquiry_result(inquiry, store) == 0
               ? &((struct all_question *)inquiry->questions[store])->xattrs
               : NULL;
}

/* Those that most stores have; NULL where none answered. */
static const struct xattrs *most_common(const struct inquiry *inquiry)
{
    const struct xattrs *best = NULL;
    size_t most = 0;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        size_t alike = 0;
        for (size_t j = 0; all_of(inquiry, i) && j < inquiry->list->count; j++) {
            if (all_of(inquiry, j) && xattrs_are_equal(all_of(inquiry, i), all_of(inquiry, j)))
                alike += weight(inquiry, j);
        }
        if (alike > most) {
            most = alike;
            best = all_of(inquiry, i);
        }
    }
    return best;
}

/* Why none answered. */
static int worst_error(const struct inquiry *inquiry)
{
    int worst = -ENOENT;

    for (size_t i = 0; i < inquiry->list->count; i++) {
        int r = inquiry_result(inquiry, i);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR)
            worst = r;
    }
    return worst;
}

int attributes_read(struct stores *stores, const char *path, struct xattrs *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    *ret = NO_XATTRS;
    int r = inquiry_make(stores, path, NULL, &all_kind, NULL, &inquiry);
    if (r < 0)
        return r;
    const struct xattrs *common = most_common(&inquiry);
    return common ? xattrs_copy(common, ret) : worst_error(&inquiry);
}

int attributes_compare(struct stores *stores, const char *path, const struct store_list *list,
                       bool differs[])
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = inquiry_make(stores, path, NULL, &all_kind, NULL, &inquiry);
    if (r < 0)
        return r;
    const struct xattrs *common = most_common(&inquiry);
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < inquiry.list->count; j++) {
            int result = inquiry_result(&inquiry, j);
            if (list->stores[i] != inquiry.list->stores[j])
                continue;
            differs[i] = result == 0 ? !xattrs_are_equal(all_of(&inquiry, j), common)
                                     : result != -ENOENT && result != -ENOTDIR;
        }
    }
    return 0;
}
