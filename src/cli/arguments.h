/* SPDX-License-Identifier: MIT */
/* The command line of the mounts, taken apart and checked. */
#pragma once

#include "base/names.h"
#include "view/tree_source.h"

#include <stdbool.h>

struct arguments {
    struct encoding encoding;
    unsigned required;       /* as it was given; 0: not given */
    struct tree_rules rules; /* of the source */
    enum view_kind { VIEW_ENCODED, VIEW_RESTORED, VIEW_REBUILT } view;
    char *source;             /* SOURCE or STORES; NULL: none */
    struct names stores;      /* of store= */
    const char *of_source;    /* an option that is about a source, where one was given */
    char *mountpoint;         /* NULL: none */
    char *mount_options;      /* what goes on to the mount: "a,b=c"; NULL: none */
    double attribute_timeout; /* seconds; below 0: not given */
    double store_timeout;     /* seconds; below 0: not given */
    bool unconfirmed;         /* names that too few stores have are shown, too */
    bool permissions_checked; /* by the kernel */
    bool pages_avoided;       /* reads go past the kernel's page cache */
    bool io_uring;            /* requests may come that way */
    bool foreground, debug, single, help, version;
};

/* What holds where nothing is given. Returns 0 or -ENOMEM. */
int arguments_init(struct arguments *ret);

/*
 * Takes the words of a command line apart. Returns 0, or -EINVAL or -ENOMEM after one line in
 * the log that says what is wrong and what to do. RET is to be cleared in any case.
 */
int arguments_parse(int count, char *words[], struct arguments *ret);

/* Whether they make sense together; sets what follows from the others. Returns as above. */
int arguments_check(struct arguments *arguments);

void arguments_clear(struct arguments *arguments);

#define cleanup_arguments CLEANUP(arguments_clear)
