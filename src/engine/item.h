/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the copy engine: a run, one name of the source with all that is known of
 * it, and the functions of each file.
 */
#pragma once

#include "engine/copy_settings.h"
#include "engine/visit.h"

/* A run. */
struct copy_work {
    struct visit visit;
    struct target *targets;
    size_t count;
    const struct copy_settings *settings;
    struct links *links;
    pthread_mutex_t lock;          /* of the rest: */
    struct directory *directories; /* see directories.c, as for: */
    struct partial *partials;
    struct alike *alike; /* see alike.c */
    struct batch {
        struct pending *first, **end;
        size_t count;
        uint64_t size;
    } batch; /* files that wait for their names: see batch.c */
};

/* One name, and where it is in each target. */
struct item {
    struct copy_work *copy;
    struct original original;
    struct slot *slots, *end; /* one for each target */
    struct seen *seen;        /* theirs; or NULL */
    int *directories;         /* theirs, where the item has opened them; else NULL */
    struct source_file *file; /* opened, where it came to hand */
    struct source_inodes inodes;
};

/* item.c */

/*
 * Returns the name of PATH of the source in messages, which the caller frees; NULL without memory.
 */
char *copy_describe(const struct copy_work *copy, const char *path);

/* Reports an event; TARGET NULL stands for all. One that takes no writes at all is reported once.
 */
void copy_tell(const struct copy_work *copy, enum copy_kind kind, const char *path,
               struct target *target, int error);

/*
 * Reports that PATH was made, and before that, what was removed for it, if that was of another
 * kind.
 */
void copy_tell_made(const struct copy_work *copy, const char *path, struct target *target,
                    bool replaces_kind);

/* Reports, once, that nothing can be written to TARGET. */
void copy_close_target(const struct copy_work *copy, struct target *target, int error);

/* Reports that a dry run would make PATH and the FIRST name one file in TARGET. */
void copy_tell_link(const struct copy_work *copy, const char *path, const struct target *target,
                    const char *first);

/* Reports that PATH and the name TWIN of that directory are one in TARGET. */
void copy_tell_twin(const struct copy_work *copy, const char *path, const char *twin,
                    const struct target *target);

/* Reports the metadata that could not be set on PATH, if any. */
void copy_tell_lack(const struct copy_work *copy, const char *path, struct target *target,
                    const struct metadata_lack *lack);

/*
 * Opens the directory PATH in all targets of the run that VISIT is of: an int for each, below 0
 * where it is not there, or cannot be opened, which is reported. NULL without memory, which is
 * noted.
 */
void *copy_open_directories(struct visit *visit, const char *path);
void copy_close_directories(struct visit *visit, void *directories);

/*
 * Begins an item for PATH in DIRECTORIES, which live as long; NULL: it opens them itself. Returns 0
 * or -ENOMEM, which is noted. End it in any case.
 */
int item_begin(struct copy_work *copy, const char *path, const int directories[], struct item *ret);
void item_end(struct item *item);

#define cleanup_item CLEANUP(item_end)

/*
 * Looks at all of the original but the attributes; takes the open file, where the look has it. Its
 * link count is the highest of all trees: a target's file may have as many links. Returns 0, or a
 * negative errno, which is reported unless the name is gone.
 */
int item_look(struct item *item);

/* Returns true for the name that describes its directory, which is not copied without it. */
bool item_is_last(const struct item *item);

/* Like item_look, but reports nothing. */
int item_ask(struct item *item);

/* The same for the attributes. */
int item_look_at_xattrs(struct item *item);

/* Opens its file, unless it is open. */
int item_open_file(struct item *item);

/* Chooses what each slot needs. AGAIN: all that was needed for it has been done. */
void item_choose(struct item *item, bool again);

bool item_any_needs(const struct item *item, enum need need);

/* Returns true if something of another kind has the name in a slot. */
bool item_replaces_kind(const struct item *item, const struct slot *slot);

/*
 * Returns the original's metadata for a slot, valid as long as the item's. Most stores may keep
 * coarser times than a share's header or the target: then the time is the finest of those that
 * agree.
 */
struct metadata item_metadata(const struct item *item, const struct slot *slot);

/* Gives NAME in the slot's directory the original's metadata: see metadata_apply. */
int item_apply_metadata(const struct item *item, const struct slot *slot, const char *name,
                        struct metadata_lack *ret_lack);

/*
 * Gives the name itself the original's metadata, and reports that, if TOLD. Returns true if that
 * changes something.
 */
bool item_end_metadata(const struct item *item, const struct slot *slot, bool told);

/* content.c */

/*
 * Writes the content of SOURCE to the slots whose file is open, or COMPARES it with what is there:
 * -EBADMSG where that is something else. Results are in the slots, those of reading again as well.
 * HOLES: stripes that cannot be read are left out. Returns 0 where the source could be read, or
 * with HOLES how many stripes could not; otherwise its error, or -ECANCELED where the run is to
 * stop.
 */
int content_run(const struct item *item, struct source_file *source, bool compares, bool holes);

/* Gives the slot's new file all that its earlier one has, and leaves holes where that has some.
 * Returns 0 or a negative errno. */
int content_take_over(const struct copy_settings *settings, struct slot *slot);

/*
 * Returns 1 if two open files of one layout have the same content, 0 if not, the source's error, or
 * -ECANCELED.
 */
int content_is_same(struct source_file *a, struct source_file *b, const struct progress *progress);

/* make.c */

/* Brings one name up to date in each slot, as that needs. Not for directories. */
void update_name(struct item *item);

/* Reports what would be made in a slot, and what would be removed for it. */
void make_in_dry_run(const struct item *item, const struct slot *slot);

/* batch.c */

/*
 * Queues the slot's temporary file, of SIZE bytes, for the name of PATH in the same directory. It
 * gets none where PATH is not what was seen any more. LINKED: it may be one with PATH already,
 * though the file system does not show that (sshfs). Returns 0, or -ENOMEM; then the caller has to
 * remove the temporary file.
 */
int batch_add(const struct item *item, const struct slot *slot, const char *path, uint64_t size,
              bool linked);

/* Gives all waiting files their names, and reports them. */
void batch_commit(struct copy_work *copy);

/* directories.c */

/*
 * Removes the directory PATH in DIRECTORY, in whose place something of another kind is to be.
 * Removes its contents only if --delete is set and none of them is kept; or if they are just the
 * name that the source has last in each directory, so that the directory was empty. A dry run only
 * reports. Returns 0, also if nothing is in the way, or why the directory stays.
 */
int clean_way(const struct copy_work *copy, struct target *target, int directory, const char *path);

/* Removes the item's name from each slot that needs that. */
void clean_unwanted(const struct item *item);

/*
 * Removes from a target's directory PATH what an interrupted run left, and with --delete all that
 * is not among the source's NAMES, which are sorted. What was salvaged of a file stays until the
 * file is made.
 */
void clean_directory(struct copy_work *copy, struct target *target, const char *path,
                     const struct names *names);

/* What was salvaged of the file PATH stays: what the target has under that name is in doubt. */
void partials_keep(struct copy_work *copy, const char *path);

/* Removes, when all else is made, what was salvaged of files that are complete now. */
void partials_end(struct copy_work *copy);

/* Notes the root, which is there in all targets. */
void directories_begin(struct copy_work *copy);

/* Makes the directory where it is missing, and visits it. */
void directories_enter(struct item *item);

/* Gives all directories their metadata, and makes names durable where target_settle does not. */
void directories_end(struct copy_work *copy);

/* alike.c */

/* Notes those of NAMES, in the source's directory PATH, that are alike but for case. */
void alike_note(struct copy_work *copy, const char *path, const struct names *names);

/* Reports those that became one in a target. */
void alike_end(struct copy_work *copy);

/* links.c */

/* Links further names of a file to the first, once that is what it should be. Reports failures. */
void links_make(struct copy_work *copy);
