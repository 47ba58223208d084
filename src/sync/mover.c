/* SPDX-License-Identifier: MIT */
#include "sync/mover.h"

#include <stdio.h>

const struct mover_operations *mover_operations(enum mover mover)
{
    return mover == MOVER_RCLONE ? &rclone_operations : &rsync_operations;
}

void report_reason(struct report *report, const char *text)
{
    if (!*report->reason)
        snprintf(report->reason, sizeof report->reason, "%s", text);
}
