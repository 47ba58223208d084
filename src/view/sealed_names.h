/* SPDX-License-Identifier: MIT */
/*
 * Which names of a source stand behind the ids of a sealed share. An id follows from a path and
 * cannot be turned back; so what a directory has is listed, and kept. What is kept is never wrong,
 * only incomplete: an id that is not found has its directory listed again. Any thread may ask.
 */
#pragma once

#include "seal/keys.h"
#include "view/source.h"

struct sealed_names;

/* TREE and KEYS stay the caller's. Returns 0 or -ENOMEM. */
int sealed_names_new(struct source *tree, const struct seal_keys *keys, struct sealed_names **ret);
void sealed_names_free(struct sealed_names *names);

/*
 * The path in the source of the share's PATH, a path of ids; the caller frees it. -ENOENT where it
 * has none.
 */
int sealed_names_find(struct sealed_names *names, const char *path, char **ret);

/*
 * Lists the source's directory PATH: its names, and in the same order their ids, both with what the
 * listing says of them. Two names with one id are an error, -EIO, which is logged.
 */
int sealed_names_list(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids);

DEFINE_CLEANUP(struct sealed_names *, sealed_names_free)
#define cleanup_sealed_names CLEANUP(cleanup_by_sealed_names_free)
