/* SPDX-License-Identifier: MIT */
/*
 * Asks one store for all that it has of a name, in one question: its status, the target of a
 * symlink, and of a file the descriptor and the first bytes, which may be a share's header and some
 * of its blocks.
 */
#pragma once

#include "restore/terms.h"
#include "store/inquiry.h"
#include "trust/name.h"
#include "trust/version.h"

/* Bytes at a file's start that are read with its header: all there is of most small files. */
enum { LOOK_START = 1024 };

struct look {
    struct question question;
    struct tree_object object;
    size_t start_size; /* bytes that were read of: */
    uint8_t start[LOOK_START];
};

extern const struct question_kind look_kind;

/* Answer a question that begins with a struct look, and free that. */
int look_ask(const struct tree *tree, const char *path, struct question *question);
void look_forget(struct question *question);

/* Returns the answer of store number STORE, where inquiry_result is 0. */
struct look *look_answer(const struct inquiry *looks, size_t store);

/* Turns the same answer into a vote for the name, and into what is known of a share. */
struct ballot look_ballot(const struct inquiry *looks, const struct share_terms *terms,
                          size_t store, struct copy_facts *ret);
