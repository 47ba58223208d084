/* SPDX-License-Identifier: MIT */
/*
 * Finds what a path of the restored view stands for in sealed shares, and what manifests say of it.
 * The manifest of a directory has its names; anything that is in no manifest is shown by its id, if
 * at all.
 */
#pragma once

#include "view/opened_names.h"

struct opened_terms {
    bool exact;   /* stat gives the version that open gives, at the cost of looking at the shares */
    bool orphans; /* also show ids that are in no manifest, and all ids of a directory whose
                     manifest is lost; otherwise such a directory is an error */
    const char *beneath; /* show only this directory of the tree; "": all of it */
};

struct opened_places {
    struct source *stores;
    const struct seal_keys *keys;
    struct opened_names *names;
    struct opened_terms terms;
};

/* Fields that may be NULL say so. */
struct opened_place {
    struct opened_names *names; /* where the manifests come from */
    char *ids;                  /* its path in the shares; if it has none, that of its directory */
    char *path;                 /* its path in the source; NULL: not known */
    uint8_t id[PATH_ID_SIZE];   /* of a file, or of a directory that is not the root */
    const struct manifest *above;       /* the manifest that has its entry; NULL: none has */
    const struct manifest_entry *entry; /* NULL: it is the root, or shown by its id */
    const struct manifest *own; /* of a directory; NULL: it is not one, or its manifest is lost */
    struct stat stored;         /* in the stores, if it is shown by its id */
    struct share_header header; /* of its shares, if it is a file */
};

/*
 * Finds what PATH stands for; clear RET in any case. Returns 0 or a negative errno: -ENOENT if
 * there is no such thing, -EIO if names are lost, which is logged.
 */
int opened_place_find(const struct opened_places *places, const char *path,
                      struct opened_place *ret);
void opened_place_clear(struct opened_place *place);

mode_t opened_place_type(const struct opened_place *place);

/*
 * Adds the ids in a directory of the shares that are not in its manifest, or all if it has none.
 * Returns 0 or a negative errno.
 */
int opened_place_orphans(const struct opened_places *places, const struct opened_place *place,
                         struct names *names);

#define cleanup_opened_place CLEANUP(opened_place_clear)
