/* SPDX-License-Identifier: MIT */
#include "store/pace.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* An answer is late after PATIENCE_TIMES the usual time plus PATIENCE_MORE: a loaded machine
     * may take that long to process an answer that has arrived. */
    PATIENCE_TIMES = 3,
    PATIENCE_MORE = CLOCK_SECOND / 10,
};

static int compare_paces(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static uint64_t median(uint64_t times[], size_t count)
{
    if (count == 0)
        return 0;
    qsort(times, count, sizeof *times, compare_paces);
    return times[(count - 1) / 2];
}

void pace_add(struct pace *pace, uint64_t time)
{
    pace->answers[pace->count++ % PACE_ANSWERS] = time;
}

uint64_t pace_usual(const struct pace *pace)
{
    uint64_t times[PACE_ANSWERS];

    memcpy(times, pace->answers, sizeof times);
    return median(times, pace->count < PACE_ANSWERS ? pace->count : PACE_ANSWERS);
}

uint64_t pace_patience(uint64_t times[], size_t count)
{
    return PATIENCE_TIMES * median(times, count) + PATIENCE_MORE;
}
