/* SPDX-License-Identifier: MIT */
/*
 * Maps the ids of a sealed share to names of the source. An id is derived from a path and cannot be
 * reversed, so directories are listed and remembered. What is remembered is never wrong, only
 * incomplete: an unknown id has its directory listed again. Any thread may ask.
 */
#pragma once

#include "seal/keys.h"
#include "view/source.h"

struct sealed_names;

/* TREE and KEYS stay the caller's. Returns 0 or -ENOMEM. */
int sealed_names_new(struct source *tree, const struct seal_keys *keys, struct sealed_names **ret);
void sealed_names_free(struct sealed_names *names);

/*
 * Returns the path in the source for PATH, a path of ids in the share; the caller frees it. -ENOENT
 * if there is none.
 */
int sealed_names_find(struct sealed_names *names, const char *path, char **ret);

/* Like sealed_names_find, but lists nothing; NULL: not known, or no memory. */
char *sealed_names_find_known(struct sealed_names *names, const char *path);

/*
 * Lists the source's directory PATH: its names, and in the same order their ids, both with kinds
 * and inode numbers as listed. If two names have one id, that is logged, and the error is -EIO.
 */
int sealed_names_list(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids);

/*
 * Like sealed_names_list, while the source is copied: forgets what was listed of PATH before. The
 * directory is then held, that is, it stays known, and notes what the copy finds.
 */
int sealed_names_hold(struct sealed_names *names, const char *path, struct names *ret_names,
                      struct names *ret_ids);

/* Notes what the copy found of PATH, which is in a held directory: its MODE, or by ERROR -ENOENT
 * that it is gone. */
void sealed_names_note(struct sealed_names *names, const char *path, int error, mode_t mode);

/*
 * Lists the names of the directory PATH for its manifest: if it is held, those that were listed for
 * the copy, otherwise all.
 */
int sealed_names_list_told(struct sealed_names *names, const char *path, struct names *ret_names);

/* Returns true if a manifest may have PATH with MODE: a copy, if any, has found the same. */
bool sealed_names_may_tell(struct sealed_names *names, const char *path, mode_t mode);

/* Returns true once directories are held: the copy then reports what it cannot read. */
bool sealed_names_are_held(struct sealed_names *names);

/* Releases a held directory, which may then be forgotten. */
void sealed_names_release(struct sealed_names *names, const char *path);

DEFINE_CLEANUP(struct sealed_names *, sealed_names_free)
#define cleanup_sealed_names CLEANUP(cleanup_by_sealed_names_free)
