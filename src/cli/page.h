/* SPDX-License-Identifier: MIT */
/*
 * Writes what check found as one self-contained page of HTML: no script, no image, no network.
 * Words and numbers say everything; colours only repeat it. The file is replaced as a whole, or not
 * at all.
 */
#pragma once

#include "cli/findings.h"

enum { WORST_MAX = 100 }; /* names that it shows, however many there are */

struct page {
    const char *path;
    const char *name; /* its last part */
    int directory;    /* in which that is; below 0: no page is wanted */
    struct worst_name {
        char *path, *row; /* of its table */
        int rank;
    } worst[WORST_MAX]; /* the worst first, and then by path */
    size_t count;
    uint64_t all; /* names that were considered */
    int error;    /* -ENOMEM: one that belongs here is not here; or 0 */
};

/*
 * Finds out whether a page can be written at PATH, which lives as long as RET; NULL: none is
 * wanted. Returns 0 or a negative errno, logged. Close RET in any case.
 */
int page_open(const char *path, struct page *ret);

/* Keeps PATH if something is wrong with it, and it is one of the worst so far. */
void page_consider(struct page *page, const struct findings *findings, const char *path,
                   const struct inspection *inspection);

/* Writes the page, if one is wanted, of a check that took so long. Returns as above. */
int page_write(const struct page *page, const struct findings *findings, double seconds);

void page_close(struct page *page);

#define cleanup_page CLEANUP(page_close)
#define NO_PAGE      ((struct page){.directory = -1})
