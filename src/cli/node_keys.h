/* SPDX-License-Identifier: MIT */
/* The files `key` in the roots of stores: reading them, and putting others in their place. */
#pragma once

#include "cli/options.h"
#include "engine/roster.h"
#include "seal/key_search.h"

struct node_key {
    char *path; /* of the store */
    char *name; /* what messages call it */
    int error;  /* why there is nothing to go by: -ENOENT, it has none; -EBADMSG; ... */
    int share;  /* that most of the store's files are of; below 0: it is not known */
};

struct node_keys {
    size_t count;
    struct node_key *nodes;
    struct found_key *files; /* of each */
};

/* Reads those of the stores that OPTIONS name. Returns 0, or a negative errno that was logged.
 * Clear RET in any case. */
int node_keys_read(const struct options *options, struct node_keys *ret);
void node_keys_clear(struct node_keys *keys);

/* Reads that of the directory STORE. -ENOENT, -EBADMSG, ... */
int node_key_read(const char *store, struct key_share *ret);

/* Looks for the key in them, and asks for a passphrase where it has one; SET_ID, its set, and NULL
 * for any. As key_search; an error of asking was logged. */
int node_keys_search(const struct options *options, const struct node_keys *keys,
                     const uint8_t *set_id, struct master_key **ret);

/* What to say of an error of node_keys_search; of two sets, it names both and their stores. The
 * caller frees it; NULL: no memory. */
char *node_keys_error(const struct node_keys *keys, int error);

/* What node_keys_settle found. */
struct keys_found {
    unsigned wrong;  /* stores whose file `key` is missing or wrong */
    unsigned mended; /* of these, those that have the right one now */
    bool lost;       /* it is not known what is right: the stores do not have the key any more */
    bool contested;  /* it is not known, because they have all of two */
};

/*
 * Compares the files `key` of the stores in ROSTER with what k of them agree on, and tells which
 * are missing or wrong; WRITE: puts the right ones there. Nothing is found where no store has one:
 * then nodes are to get nothing of the key. Returns 0 or a negative errno, which was logged.
 */
int node_keys_settle(const struct roster *roster, bool write, struct keys_found *ret);

/* Marks stores whose file `key` is of another set than the one that the stores have all of, and all
 * where they have all of two: nothing is to be written there, which is told. As node_keys_settle.
 */
int node_keys_leave_others(struct roster *roster);

/* Returns true if the file of store number I was read, and of its set there are as many as that
 * needs. */
bool node_keys_have_set(const struct node_keys *keys, size_t i);

/* Refuses PATH, for a key's file, where a directory above it has a part of a key, or a manifest.
 * Returns 0 or a negative errno, which was logged: -EINVAL. */
int node_keys_refuse_store(const char *path);

/* Refuses PATH if it is in one of the stores. Returns 0, or -EINVAL, which was logged. */
int node_keys_check_outside(const struct node_keys *keys, const char *path);

/* Writes BYTES in the place of store number I's: at once, durably, and with the time that it has.
 * Returns 0 or a negative errno. */
int node_key_write(const struct node_keys *keys, size_t i, const uint8_t bytes[KEY_SHARE_SIZE]);

#define cleanup_node_keys CLEANUP(node_keys_clear)
