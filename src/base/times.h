/* SPDX-License-Identifier: MIT */
/*
 * Comparing times that went through file systems of different resolution: FAT keeps two seconds,
 * SFTP one, others milliseconds, microseconds, 100 ns (NTFS) or nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/*
 * Returns the resolution that TIME may have been rounded to, in nanoseconds: the coarsest of 2 s,
 * 1 s, 1 ms, 1 us, 100 ns and 1 ns that divides it. 1 s for what a mount by rclone may show of a
 * time before 1970.
 */
uint64_t times_granularity(const struct timespec *time);

/*
 * The same where the storage that TIME is from is known to keep times to UNIT: a time that happens
 * to be whole is exact there. 0: not known. What a mount by rclone shows stays inexact.
 */
uint64_t times_granularity_in(const struct timespec *time, uint64_t unit);

/* GRANULARITY: one of these. */
struct timespec times_round_down(const struct timespec *time, uint64_t granularity);

/* Returns the time that is so many nanoseconds after 1970. */
struct timespec times_of_ns(int64_t nanoseconds);

/*
 * Returns true if both times are equal once they are rounded down to the coarser of their
 * granularities. This is not transitive: a coarse time agrees with many that disagree.
 */
bool times_agree(const struct timespec *a, const struct timespec *b);

/*
 * Returns true if both are equal once they are rounded down to GRANULARITY: of whole seconds, by
 * the 32 bits that SFTP keeps, without a sign. A time in 1969 comes back as one in 2106.
 */
bool times_agree_at(const struct timespec *a, const struct timespec *b, uint64_t granularity);

/* Returns true if SFTP does not keep TIME: of two that agree, it is the right one. */
bool times_exceed_sftp(const struct timespec *time);

/* Returns a number below, at or above 0 where A is before, at or after B. */
int times_compare(const struct timespec *a, const struct timespec *b);
