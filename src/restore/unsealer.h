/* SPDX-License-Identifier: MIT */
/* What the key of sealed shares says about them, for check and repair: restore/ itself knows no
 * key. */
#pragma once

#include "share/format.h"
#include "share/stripe.h"

#include <stdlib.h>
#include <sys/types.h>

/* What a name in a share stands for. */
struct sealed_name {
    char *path;   /* in the source; of a manifest, that of its directory and its own name. NULL: not
                     known */
    mode_t kind;  /* S_IFREG, S_IFDIR, by the manifest above it; 0: not known */
    bool orphan;  /* an id that this manifest does not have */
    bool refused; /* a manifest that cannot be restored, or is not what the key has made here */
};

static inline void sealed_name_clear(struct sealed_name *name)
{
    free(name->path);
    *name = (struct sealed_name){.path = NULL};
}

/* Any thread may ask. */
struct unsealer {
    /* Finds what PATH, in a share, stands for. Returns 0 or -ENOMEM; clear RET in any case. */
    int (*look)(struct unsealer *unsealer, const char *path, struct sealed_name *ret);

    /*
     * Makes what proves the stripes of VERSION of the file at PATH, in a share; free() it. NULL:
     * the name is none of a sealed share. -EKEYREJECTED: it cannot be such a version. -ENOMEM.
     */
    int (*prover)(struct unsealer *unsealer, const char *path, const struct share_header *version,
                  struct stripe_opener **ret);
};
