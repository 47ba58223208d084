/* SPDX-License-Identifier: MIT */
/* A second look at names that were judged, before something is done about them. */
#pragma once

#include "engine/target.h"
#include "store/store.h"

/* A name in a store, and what it was before it was judged. */
struct judged {
    struct store *store;
    const char *path;
    struct seen seen;
    bool is_same; /* it still is, as far as size, mode and mtime tell */
};

/* Sets is_same of COUNT items. A store that does not answer has none. Returns 0 or a shortage. */
int again_look(struct judged items[], size_t count);
