/* SPDX-License-Identifier: MIT */
/*
 * What the files of the copy engine share (copy.c, directories.c, make.c, ...): a run of it, and
 * one name of the source with all that is known of it.
 */
#pragma once

#include "engine/batch.h"
#include "engine/copy_settings.h"
#include "engine/links.h"
#include "engine/visit.h"

struct directory;

/* A run. */
struct copy_work {
    struct visit visit;
    struct target *targets;
    size_t count;
    const struct copy_settings *settings;
    struct batch *batch;
    struct links *links;
    pthread_mutex_t lock;
    struct directory *directories; /* see directories.h; guarded by the lock */
    atomic_int result;
};

/*
 * Reports an event; TARGET NULL stands for all targets. A target that takes no writes at all is
 * reported once, and not for each of its names.
 */
void copy_tell(const struct copy_work *copy, enum copy_kind kind, const char *path,
               const struct target *target, int error);

/* Tells that PATH was made, and before that that something of another kind gave way, if it did. */
void copy_tell_made(const struct copy_work *copy, const char *path, const struct target *target,
                    bool replaces_kind);

/* Reports, once, that nothing can be written to TARGET; later failures in it are not reported. */
void copy_close_target(const struct copy_work *copy, const struct target *target, int error);

/* Reports the metadata that could not be set on PATH, if any. */
void copy_tell_lack(const struct copy_work *copy, const char *path, const struct target *target,
                    const struct metadata_lack *lack);

/*
 * Opens PATH in all targets; a directory that is not there is below 0, and where it cannot be
 * opened, that is told. NULL without memory.
 */
int *copy_open_directories(const struct copy_work *copy, const char *path);
void copy_close_directories(const struct copy_work *copy, int *directories);

/* One name, and where it is in each target. */
struct entry {
    struct copy_work *copy;
    const int *directories; /* below 0: not there */
    struct original original;
    struct source_file *file; /* opened, where it came to hand */
    struct source_inodes inodes;
    enum need *needs;
    struct seen *seen; /* in each target, before it was chosen what that needs; or NULL */
};

/*
 * All of the original, whose path is set, but the attributes; and the file, where it comes to hand.
 * It has as many links as the tree says that has most: what a target has may be linked as often.
 */
int entry_look(struct entry *entry);
int entry_look_at_xattrs(struct entry *entry);

/* Opens its file, unless it is open. */
int entry_open_file(struct entry *entry);

/* What each target needs. AGAIN: all that was needed for it has been done. */
void entry_choose(struct entry *entry, bool again);

/* What may give way in a target: only what the choice was made by. NULL: whatever is there. */
const struct seen *entry_seen(const struct entry *entry, size_t target);

/* Returns true if something of another kind has the name in a target, and is to give way. */
bool entry_replaces_kind(const struct entry *entry, size_t target);

/* Returns true if nothing can be done in any target. */
bool entry_is_refused(const struct entry *entry);

bool entry_any_needs(const struct entry *entry, enum need need);

/*
 * The original's metadata for a target; it lives as long as the entry's. Most stores may keep less
 * of a time than a share's header or what the target has: then it is the finest that agrees.
 */
struct metadata entry_metadata(const struct entry *entry, size_t target);

/* Gives what has NAME the original's metadata, or says whether that would change it: see
 * metadata.h. */
int entry_apply_metadata(const struct entry *entry, size_t target, const char *name,
                         struct metadata_lack *ret_lack);

/* The same for the name itself, and tells of it; what this run made or opened is not TOLD. Returns
 * 1 if something was changed, or would be. */
int entry_end_metadata(const struct entry *entry, size_t target, bool told);

/* Frees what was looked at; directories and needs are the caller's. */
void entry_clear(struct entry *entry);

/* An entry with directories and needs of its own; look at it next. */
int entry_begin(struct copy_work *copy, const char *path, struct entry *ret);
void entry_end(struct entry *entry);

#define cleanup_entry CLEANUP(entry_end)
