/* SPDX-License-Identifier: MIT */
/*
 * Where a path of the restored view leads in sealed shares, and what manifests say of it. Each name
 * stands in the manifest of its directory; what is in none is shown by its id, if at all.
 */
#pragma once

#include "view/opened_names.h"

struct opened_terms {
    bool exact;   /* what stat says is the version that open gives: shares are looked at for that */
    bool orphans; /* ids that no manifest has are shown, too, and all where that is lost; else a
                     directory whose manifest is lost is an error */
    const char *beneath; /* what is shown is this directory of the tree; "": all of it */
};

struct opened_places {
    struct source *stores;
    const struct seal_keys *keys;
    struct opened_names *names;
    struct opened_terms terms;
};

/* The fields that are not said to be NULL somewhere are never. */
struct opened_place {
    struct opened_names *names; /* whose the manifests are */
    char *ids;                /* its path in the shares; of what has none, that of its directory */
    char *path;               /* in the source; NULL: not known */
    uint8_t id[PATH_ID_SIZE]; /* of a file, or of a directory that is not the root */
    const struct manifest *above;       /* that it stands in; NULL: in none */
    const struct manifest_entry *entry; /* NULL: it is the root, or is shown by its id */
    const struct manifest *own; /* of a directory; NULL: it is none, or the manifest is lost */
    struct stat stored;         /* of what is shown by its id, as the stores have it */
    struct share_header header; /* of its shares, if it is a file */
};

/*
 * Finds where PATH leads; clear RET in any case. Returns 0 or a negative errno: -ENOENT where there
 * is no such thing, -EIO where names are lost, which is logged.
 */
int opened_place_find(const struct opened_places *places, const char *path,
                      struct opened_place *ret);
void opened_place_clear(struct opened_place *place);

mode_t opened_place_type(const struct opened_place *place);

/*
 * Adds the ids in a directory of the shares that its manifest, if it has one, does not have.
 * Returns 0 or a negative errno.
 */
int opened_place_orphans(const struct opened_places *places, const struct opened_place *place,
                         struct names *names);

#define cleanup_opened_place CLEANUP(opened_place_clear)
