/* SPDX-License-Identifier: MIT */
/* One question about one path, put to every store. */
#pragma once

#include "store/question.h"
#include "store/stores.h"

struct inquiry {
    struct store_list *list;
    struct round *round;
    struct question **questions; /* one for each store of the list */
    size_t pending;              /* stores that may still answer */
};

/* Returns true if no answer of the pending stores, which are all late, could change the outcome. */
struct inquiry_enough {
    bool (*is_enough)(const struct inquiry *inquiry, const void *context);
    const void *context;
};

/* Asks all stores that are there now, and waits for ENOUGH of them; NULL: for all. Returns 0 or a
 * negative errno. */
int inquiry_make(struct stores *stores, const char *path, const char *argument,
                 const struct question_kind *kind, const struct inquiry_enough *enough,
                 struct inquiry *ret);

/* Waits for the stores that are pending. */
void inquiry_complete(struct inquiry *inquiry);

/* What asking store number STORE of the list came to: 0, and then its answer may be read;
 * -ETIMEDOUT where it missed the time; -EINPROGRESS where it may still answer. */
int inquiry_result(const struct inquiry *inquiry, size_t store);

void inquiry_clear(struct inquiry *inquiry);

#define cleanup_inquiry CLEANUP(inquiry_clear)
#define NO_INQUIRY      ((struct inquiry){.list = NULL})
