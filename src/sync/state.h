/* SPDX-License-Identifier: MIT */
/*
 * What is remembered of sets between runs: a file SET.json, which is replaced as a whole (its form
 * is in zfec-fs-sets(5)), and SET.lock, so that no two runs of a set run at once. What check and
 * sync, which may run at once, both write is in watch/SET.json, with a lock of its own.
 */
#pragma once

#include "sync/sets.h"

#include <jansson.h>
#include <sys/stat.h>

/*
 * Stores the directory in *RET: $XDG_STATE_HOME/zfec-fs; without that /var/lib/zfec-fs for root,
 * ~/.local/state/zfec-fs for others. The caller frees it. Returns 0 or a negative errno after one
 * line in the log.
 */
int state_folder(char **ret);

/* Makes that directory if it is missing, with what is missing above it. Returns as above. */
int state_make_folder(char *folder);

/* Takes the lock of SET until the descriptor is closed. Returns 0 or a negative errno after one
 * line in the log; -EBUSY where another run has it. */
int state_lock(const char *folder, const char *set, int *ret_fd);

/*
 * Identifies the run of SET that holds its lock, if there is one. Two looks also tell whether a run
 * was between them, which has written the state. All is 0 where nothing can be known.
 */
struct state_look {
    bool is_locked;
    ino_t inode; /* of the state, and when that was written */
    struct timespec written;
};
struct state_look state_look(const char *folder, const char *set);
bool state_was_written(const struct state_look *before, const struct state_look *after);

/* Stores the directory of what is watched in *RET, and makes it. Takes SET's lock there, which
 * no run holds for long, until the descriptor is closed. Returns as state_lock. */
int watch_lock(const char *folder, const char *set, char **ret, int *ret_fd);

/*
 * Fills the memory of SET and its nodes anew: with nothing where the file is missing or corrupt, or
 * of another share or place. Returns 0, or a negative errno: -ENOENT where the file is missing,
 * else after one line in the log.
 */
int state_read(const char *folder, struct sync_set *set);

/* Returns 0, or a negative errno after one line in the log. */
int state_write(const char *folder, const struct sync_set *set);

/* As state_write, for what is watched; FOLDER is that of watch_lock(). */
int watch_write(const char *folder, const struct sync_set *set);

/* Stores in RET all settings that decide the bytes of shares. */
void state_encoding(const struct encoding *encoding, char ret[ENCODING_SIZE]);

/* Returns a time as the file has it, 2026-01-31T23:59:59Z; "" or NULL for 0. */
struct time_text {
    char text[32];
};
struct time_text time_text(time_t time);
json_t *time_json(time_t time);

/* Returns NULL where KNOWN_SINCE is 0. */
json_t *count_json(uint64_t count, time_t known_since);
