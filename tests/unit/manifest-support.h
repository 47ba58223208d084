/* SPDX-License-Identifier: MIT */
/* What the tests of manifests share: tests/vectors/sealed.json, and manifests to be written. */
#pragma once

#include "support.h"

#include "base/cleanup.h"
#include "seal/manifest.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIT = 1024,
    CONTENT_END = 500, /* of the vector's, without padding */
};

/* Of the vectors; the content is that of their manifest. */
extern struct seal_keys *keys;
extern uint8_t *content;
extern size_t content_size;

/* A group's. */
int manifest_set_up(void **state);
int manifest_tear_down(void **state);

const json_t *sealed_vector(void);
int64_t vector_number(const char *key);

/* The caller frees them. */
uint8_t *bytes_of_hex(const char *hex, size_t *ret_size);

/* An empty directory, to which so many entries may be added. */
struct manifest new_manifest(const char *path, size_t places);

/* Adds one behind all others, which has its id. */
struct manifest_attributes *new_entry(struct manifest *manifest, const char *name, mode_t mode);

void assert_written(const struct manifest *manifest, const uint8_t *expected, size_t size);

/* Reads it from memory of just this size: 0 or -EBADMSG. Whatever is accepted is written to the
 * same bytes. */
int read_exact(const uint8_t *bytes, size_t size);
