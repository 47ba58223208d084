/* SPDX-License-Identifier: MIT */
/* Reads and replaces the files `key` in the roots of stores. */
#pragma once

#include "cli/options.h"
#include "engine/roster.h"
#include "seal/key_search.h"

struct node_key {
    char *path; /* of the store */
    char *name; /* in messages */
    int error;  /* why its file cannot be used: -ENOENT, it has none; -EBADMSG; ... */
    int share;  /* of most of the store's files; below 0: not known */
};

struct node_keys {
    size_t count;
    struct node_key *nodes;
    struct found_key *files; /* one for each node */
};

/* Reads the files of the stores that OPTIONS name. Returns 0, or a negative errno that was logged.
 * Clear RET in any case. */
int node_keys_read(const struct options *options, struct node_keys *ret);
void node_keys_clear(struct node_keys *keys);

/* Reads the file of the directory STORE. -ENOENT, -EBADMSG, ... */
int node_key_read(const char *store, struct key_share *ret);

/* Looks for the key of set SET_ID (NULL: any set) in these files, and asks for its passphrase if it
 * has one. Returns as key_search; an error in asking was logged. */
int node_keys_search(const struct options *options, const struct node_keys *keys,
                     const uint8_t *set_id, struct master_key **ret);

/* Returns the message for an error of node_keys_search; if there are two sets, it names both and
 * their stores. The caller frees it; NULL: no memory. */
char *node_keys_error(const struct node_keys *keys, int error);

/* What node_keys_settle found. */
struct keys_found {
    unsigned wrong;  /* stores whose file `key` is missing or wrong */
    unsigned mended; /* of these, stores that have the right one now */
    bool lost;       /* the stores no longer have the key, so the right files are not known */
    bool contested;  /* the stores have all of two keys, so the right files are not known */
};

/*
 * Compares the files `key` of the stores in ROSTER with what k of them agree on, and reports
 * missing and wrong ones. WRITE: replaces them with the right ones. If no store has one, nothing is
 * found: then nodes are to get no part of the key. Returns 0 or a negative errno, which was logged.
 */
int node_keys_settle(const struct roster *roster, bool write, struct keys_found *ret);

/* Marks stores whose file `key` is of another set than the one whose key the stores have, and all
 * stores if they have the keys of two sets: nothing is written to them. Logs this. Returns as
 * node_keys_settle. */
int node_keys_leave_others(struct roster *roster);

/* Returns true if store number I has a part of a key, and enough stores have parts of the same key.
 */
bool node_keys_have_set(const struct node_keys *keys, size_t i);

/* Refuses PATH for a key's file if a directory above it has a part of a key, or a manifest. Returns
 * 0 or a negative errno, which was logged: -EINVAL. */
int node_keys_refuse_store(const char *path);

/* Refuses PATH if it is in one of the stores. Returns 0, or -EINVAL, which was logged. */
int node_keys_check_outside(const struct node_keys *keys, const char *path);

/* Replaces the file `key` of store number I by BYTES: atomically, durably, and with the time that
 * follows from BYTES. Returns 0 or a negative errno. */
int node_key_write(const struct node_keys *keys, size_t i, const uint8_t bytes[KEY_SHARE_SIZE]);

#define cleanup_node_keys CLEANUP(node_keys_clear)
