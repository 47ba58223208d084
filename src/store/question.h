/* SPDX-License-Identifier: MIT */
/* One question about one path, as a task for one store. */
#pragma once

#include "store/round.h"

struct question_kind;

/* One store's part; to be put first in a struct that has all the answer needs. */
struct question {
    struct task task;
    const struct question_kind *kind;
    char *path, *argument; /* what is asked about; the latter may be NULL */
    int result;            /* of the asking: 0 or a negative errno */
};

/* What is asked: how large its struct is, how it is answered, and how the answer is freed. */
struct question_kind {
    size_t size;
    int (*ask)(const struct tree *tree, const char *path, struct question *question);
    void (*forget)(struct question *question); /* NULL: there is nothing to free */
    bool heavy;                                /* as in struct task */
};

/* A task to be put to a round; NULL without memory. */
struct question *question_new(const struct question_kind *kind, const char *path,
                              const char *argument);
