/* SPDX-License-Identifier: MIT */
/*
 * All that one store has of a name, in one question: its status, the target of a symlink, and of a
 * file the descriptor and the first bytes, which may be a share's header.
 */
#pragma once

#include "share/format.h"
#include "store/inquiry.h"

struct look {
    struct question question;
    struct tree_object object;
    uint8_t header[HEADER_SIZE_MAX];
    size_t header_size; /* bytes that were read */
};

extern const struct question_kind look_kind;

/* Answers a question that begins with a struct look, and frees that. */
int look_ask(const struct tree *tree, const char *path, struct question *question);
void look_forget(struct question *question);

/* Asks all stores for PATH. As inquiry_make. */
int look_make(struct stores *stores, const char *path, const struct inquiry_enough *enough,
              struct inquiry *ret);

/* What store number STORE answered, where inquiry_result is 0. */
struct look *look_answer(const struct inquiry *looks, size_t store);
