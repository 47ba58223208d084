/* SPDX-License-Identifier: MIT */
/* The file of check's page. It is there as it was before, or whole. */
#pragma once

#include "base/cleanup.h"
#include "cli/page.h"

struct report {
    const char *path;
    const char *name; /* its last part */
    int directory;    /* in which that is; below 0: no report is wanted */
};

/*
 * Finds out whether a page can be written at PATH, which lives as long as the report; NULL: none is
 * wanted. Returns 0, or a negative errno, which has been logged.
 */
int report_open(const char *path, struct report *ret);

/* Writes the page, if one is wanted. Returns 0, or a negative errno, which has been logged. */
int report_write(const struct report *report, const struct findings *findings,
                 const struct page_facts *facts);

void report_close(struct report *report);

#define cleanup_report CLEANUP(report_close)
#define NO_REPORT      ((struct report){.directory = -1})
