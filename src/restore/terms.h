/* SPDX-License-Identifier: MIT */
/* Which stores are asked, and how; and what to do with names that too few of them have. */
#pragma once

#include "share/format.h"

#include <stdatomic.h>
#include <stdbool.h>

struct stores;
struct unsealer;

/* Why a name that a store has is not shown. */
enum hidden {
    HIDDEN_FOREIGN,  /* too few stores have it */
    HIDDEN_LEFTOVER, /* a usual leftover of a tool, and of no complete version */
};

struct share_terms {
    struct stores *stores;
    enum share_format format;
    bool patient;     /* all stores are waited for, also where some are enough */
    bool unconfirmed; /* foreign names are shown, too, without special bits */
    bool older;       /* the reader itself falls back to older versions of lost files */
    bool everything;  /* and leftovers: for commands that judge each name */
    /* Called for each name that is not shown; NULL: it is logged. TEXT says which store has it. */
    void (*hidden)(void *context, const char *path, enum hidden why, const char *text);
    /* Called by a view where something is lost, or not shown for lack of stores; may be NULL. */
    void (*lacks)(void *context);
    void *context;
    struct unsealer *unsealer; /* proves sealed shares, and names them; NULL: there is no key */
    const atomic_bool *stop;   /* ends what takes long early, with -ECANCELED; NULL: nothing does */
};

static inline void terms_lack(const struct share_terms *terms)
{
    if (terms->lacks)
        terms->lacks(terms->context);
}
