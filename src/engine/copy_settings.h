/* SPDX-License-Identifier: MIT */
/* What a run of the copy engine is to do, and what it reports: see copy.h. */
#pragma once

#include "base/pool.h"
#include "engine/target.h"

struct copy_event {
    enum copy_kind {
        COPY_MADE,    /* new, or anew */
        COPY_TOUCHED, /* its metadata was mended */
        COPY_REMOVED,
        COPY_OLDER,   /* made, of an older version than the newest */
        COPY_PARTIAL, /* made as far as it can be read, under another name */
        COPY_LOST,    /* the source cannot be read */
        COPY_FAILED,  /* the target, or (TARGET is NULL) the source's directory failed */
        COPY_KINDS,
    } kind;
    const char *path;
    const struct target *target; /* NULL: all */
    int error;
    unsigned lack; /* enum metadata_part: what of its metadata failed, and nothing else; 0 else */
    bool whole;    /* nothing can be written to the target: this stands for all its names */
    const char *twin; /* of a failure: another name that is one with it in the target; of a dry run:
                         the name that it would be linked to; else NULL */
};

struct copy_settings {
    unsigned jobs;
    bool look_closer; /* compare contents also where size and time are the same */
    bool remove;      /* what the source has not */
    bool dry_run;     /* report what would be done, and do nothing */
    bool older;       /* take an older version of what cannot be read */
    bool salvage;     /* write what can be read of what cannot */
    bool dense;       /* write zeros out, instead of leaving holes */
    bool reread;      /* read again what was written */
    bool owned;       /* as struct metadata has it */

    /* Any thread may call these, and at once. */
    void *context;
    void (*report)(void *context, const struct copy_event *event);
    /* Returns true if PATH is to stay although the source shows no such name. May be NULL. */
    bool (*keeps)(void *context, const char *path);

    /*
     * Sets what each slot needs, and the caller's part of what was seen there; NULL: as
     * slot_compare says. AGAIN: all that was needed before has been done. Idle threads of POOL
     * (NULL: none) help. *RET_FILE: the file to copy; NULL where it is the source's.
     */
    void (*choose)(void *context, const struct original *original, struct slot slots[], bool again,
                   struct pool *pool, struct source_file **ret_file);
};
