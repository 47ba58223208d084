/* SPDX-License-Identifier: MIT */
/* What the unit tests share: cmocka, random numbers from a printed seed, memory, threads, mounts.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/*
 * A group's set-up: takes the seed of ZFEC_FS_TEST_SEED, or else of the clock, and prints it. It
 * also has a program that hangs killed after a while.
 */
int support_set_up(void **state);

uint64_t random_next(void);
uint64_t random_below(uint64_t limit);
uint64_t random_between(uint64_t first, uint64_t last);
void random_fill(uint8_t *data, size_t size);

/* COUNT different share indices below LIMIT (COUNT..256), in random order. */
void random_indices(unsigned count, unsigned limit, uint8_t ret[]);

/* Memory of exactly SIZE bytes, so that AddressSanitizer sees the first byte beyond. */
uint8_t *exact_bytes(size_t size);
uint8_t *exact_copy(const void *data, size_t size);

/* The next subset of COUNT of the numbers below LIMIT, in SUBSET (ascending); false: no more. */
void first_subset(unsigned count, uint8_t subset[]);
bool next_subset(unsigned count, unsigned limit, uint8_t subset[]);

/* Runs FUNCTION in COUNT threads that start together, each with its number; returns when all are
 * through. */
void in_threads(unsigned count, void (*function)(void *shared, unsigned number), void *shared);

/*
 * Runs this program with ARGUMENT once PREPARE, in the process that it will be, has returned 0; it
 * has to succeed. Where PREPARE is refused what it asks for the test is skipped.
 */
void assert_passes_with(int prepare(void), const char *argument);

/* A preparation: a name space of mounts of its own, whoever we are. Returns 0 or below. */
int allow_mounts(void);

/* Whether a sanitizer stands in for malloc. */
bool is_sanitized(void);

/* Bytes that malloc has given out and not got back. */
size_t bytes_in_use(void);
