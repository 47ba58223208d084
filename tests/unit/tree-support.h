/* SPDX-License-Identifier: MIT */
/*
 * A tree, and what its functions answer to a path. All tests of it are run twice: as they stand,
 * and by a copy of the program in which the kernel does not know openat2, so that paths are walked
 * name by name.
 */
#pragma once

#include "support.h"

#include "tree/tree.h"

#define FOLDER_NAME "/tmp/zfec-fs-test-tree-XXXXXX"

/*
 * folder/outside              what must never be reached
 * folder/outside-dir/secret
 * folder/root/                the tree, with what set_up puts into it
 */
extern char folder[sizeof FOLDER_NAME];
extern int beside, root; /* folder, and the tree's root */
extern struct tree *tree;
extern bool by_steps; /* in that copy */

/* Fixtures of a group; the second is that of the copy, whose argument is "by-steps". */
int set_up(void **state);
int set_up_by_steps(void **state);
int tear_down(void **state);

/* Runs the copy. */
void test_by_steps(void **state);

void make_file(int directory, const char *name, const char *content);
int make_directory(int directory, const char *name); /* open */
void make_link(const char *target, const char *name);

/*
 * What the functions answer to PATH; tree_stat the same whether or not this thread is busy in the
 * directory, and whether or not it looks closer.
 */
int stat_result(const char *path);
int open_result(const char *path);
int list_result(const char *path);
int link_result(const char *path);
int get_xattr_result(const char *path);
int list_xattr_result(const char *path);

void assert_results(const char *path, int of_stat, int of_open, int of_list, int of_link);
void assert_refused(const char *path, int error);
void assert_content(const char *path, const char *expected);
void assert_type(const char *path, mode_t type);
void assert_link(const char *path, const char *expected);
void assert_listed(const char *path, size_t count, const char *const expected[]);
