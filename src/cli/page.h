/* SPDX-License-Identifier: MIT */
/*
 * Writes what check found as one self-contained page of HTML: no script, no image, no network.
 * Words and numbers say everything; colours only repeat it. The file is replaced as a whole, or not
 * at all.
 */
#pragma once

#include "cli/findings.h"

struct page;

/*
 * Checks that a page can be written at PATH, which must live as long as RET. Returns 0 or a
 * negative errno, logged.
 */
int page_open(const char *path, struct page **ret);

void page_close(struct page *page);

DEFINE_CLEANUP(struct page *, page_close)
#define cleanup_page CLEANUP(cleanup_by_page_close)

/* Keeps PATH for the page if something is wrong with it, and it is among the worst so far. Any
 * thread may call it. */
void page_consider(struct page *page, const struct findings *findings, const char *path,
                   const struct inspection *inspection);

/* Writes the page of a check that took SECONDS. Returns as page_open. */
int page_write(const struct page *page, const struct findings *findings, double seconds);
