/* SPDX-License-Identifier: MIT */
/*
 * The inode table: which names the kernel knows by which numbers. What has another version gets
 * another number, so that the kernel never takes its pages of the one for the other. A node lives
 * as long as the kernel knows it, or one below it. Any thread may use the table.
 */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct nodes;

enum { NODE_ROOT = 1 };

int nodes_new(struct nodes **ret);

void nodes_free(struct nodes *nodes);

/*
 * Counts one more look-up of NAME in PARENT, which is of VERSION now; the number stays valid until
 * it is forgotten.
 */
int nodes_look_up(struct nodes *nodes, uint64_t parent, const char *name, uint64_t version,
                  uint64_t *ret);

/* Takes COUNT look-ups back. */
void nodes_forget(struct nodes *nodes, uint64_t node, uint64_t count);

/* Returns the version that NODE was looked up with; 0 for the root. */
uint64_t nodes_version(const struct nodes *nodes, uint64_t node);

/*
 * Makes the path of NODE, or of NAME in it where NAME is not NULL, as views take it. The caller
 * frees it. Returns 0 or -ENOMEM.
 */
int nodes_path(struct nodes *nodes, uint64_t node, const char *name, char **ret);

/* What becomes of the kernel's pages of a node for a file that is opened. */
enum node_pages {
    NOT_ENTERED,
    PAGES_AVOIDED,  /* they are of another version, or it is to have none */
    PAGES_OF_OTHER, /* that is open: it has to do without pages */
    PAGES_DROPPED,
    PAGES_KEPT, /* they are of its content */
};

/* What the kernel is told of files that are open. */
struct node_opened {
    uint64_t size;
    ino_t inode;
    struct timespec mtime;
};

struct node_file {
    uint64_t version;
    struct node_opened opened;
    uint64_t content; /* see view.h */
    pid_t caller;     /* the thread that opens it; 0: not known */
    bool pages_avoided;
};

/*
 * A file is being opened by NODE. All that are open by one node are of one version, as the kernel
 * knows but one size of them: -ESTALE where others are of another version. If that is not
 * the version that NODE was looked up with, NODE is retired: no lookup returns it. The first such
 * open by a caller is -ESTALE, too: the kernel looks the name up again, and opens what that finds.
 * The second one in a row is of a file that is edited all the time, or of no name (/proc/self/fd):
 * it uses no pages. Waits while pages are given.
 */
int nodes_enter(struct nodes *nodes, uint64_t node, const struct node_file *file,
                enum node_pages *ret);

/* A file is closed that nodes_enter let in with PAGES. */
void nodes_leave(struct nodes *nodes, uint64_t node, enum node_pages pages);

/*
 * The kernel is being told that the file of NODE is of VERSION. Returns true if files are open by
 * NODE: then it is to be told *RET, what they were opened as.
 */
bool nodes_tell(struct nodes *nodes, uint64_t node, uint64_t version, struct node_opened *ret);

/*
 * The kernel has heard what becomes of the pages, by an open file of that content. Before that they
 * may be older ones.
 */
void nodes_note_pages(struct nodes *nodes, uint64_t node, uint64_t content);

/*
 * Returns true if NODE has one open file alone, so that none of its pages is being read, and the
 * kernel was not given all of them before. FORGOTTEN: it drops those that it has. BEGIN: then no
 * other file is let in until they are given.
 */
bool nodes_wants_pages(struct nodes *nodes, uint64_t node, bool forgotten, bool begin);

/* GIVEN: the kernel has all pages of NODE, of an open file of that content. */
void nodes_end_giving(struct nodes *nodes, uint64_t node, bool given, uint64_t content);

/* Returns true if a file of NODE is open. */
bool nodes_is_open(struct nodes *nodes, uint64_t node);

DEFINE_CLEANUP(struct nodes *, nodes_free)
#define cleanup_nodes CLEANUP(cleanup_by_nodes_free)
