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

/* The same, by what is known alone; NULL: it is not, or there is no memory. */
char *sealed_names_find_known(struct sealed_names *names, const char *path);

/*
 * Lists the source's directory PATH: its names, and in the same order their ids, both with what the
 * listing says of them. Two names with one id are an error, -EIO, which is logged.
 */
int sealed_names_list(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids);

/*
 * While the source is copied: like sealed_names_list, and what was listed of it before counts no
 * more. From then on the directory stays known, and notes what the copy finds.
 */
int sealed_names_hold(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids);

/* Notes what was found of PATH in the source, which a held directory has: its MODE; or with the
 * ERROR -ENOENT that it is gone. */
void sealed_names_note(struct sealed_names *names, const char *path, int error, mode_t mode);

/*
 * Lists those of the directory PATH that a manifest is to tell of: of a held one those that were
 * listed for the copy, else all.
 */
int sealed_names_list_told(struct sealed_names *names, const char *path, struct names *ret_names);

/* Returns true if a manifest may tell of PATH as something of MODE: a copy has found the same. */
bool sealed_names_may_tell(struct sealed_names *names, const char *path, mode_t mode);

/* Returns true once directories are held: a copy tells what it cannot read. */
bool sealed_names_are_held(struct sealed_names *names);

/* A held directory need be known no longer. */
void sealed_names_release(struct sealed_names *names, const char *path);

DEFINE_CLEANUP(struct sealed_names *, sealed_names_free)
#define cleanup_sealed_names CLEANUP(cleanup_by_sealed_names_free)
