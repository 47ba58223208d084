/* SPDX-License-Identifier: MIT */
#include "cli/key_actions.h"

#include "base/log.h"
#include "cli/node_keys.h"
#include "cli/output.h"
#include "cli/passphrase_from.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * Derives P with KEY's own salt if PASSPHRASE is the one that KEY has: then nothing changes, and
 * stores that are changed one after another agree. Any other passphrase gets a fresh salt.
 */
static int stretch_again(struct master_key *key, const struct passphrase *passphrase)
{
    cleanup_secret uint8_t *made = seal_alloc(KEY_SIZE);
    bool same = false;

    if (!made)
        return -ENOMEM;
    if (key->has_passphrase && stretch_is_strong(&key->stretch)) {
        int r = stretch_passphrase(&key->stretch, passphrase, made);
        if (r < 0)
            return r;
        same = seal_equal(made, key->passphrase_key, KEY_SIZE);
    }
    if (same)
        return 0;
    key->has_passphrase = true;
    int r = stretch_new(&key->stretch);
    return r < 0 ? r : stretch_passphrase(&key->stretch, passphrase, key->passphrase_key);
}

/* Changes or removes the passphrase of KEY. */
static int change_passphrase(const struct options *options, struct master_key *key)
{
    cleanup_passphrase struct passphrase passphrase = {NULL, 0};
    int r = 0;

    if (options->passphrase_removed) {
        key->has_passphrase = false;
        key->stretch = (struct stretch){.lanes = 0};
        explicit_bzero(key->passphrase_key, KEY_SIZE);
        return 0;
    }
    r = options->passphrase_file ? passphrase_from_file(options->passphrase_file, &passphrase)
                                 : passphrase_from_terminal("New passphrase: ", true, &passphrase);
    if (r < 0)
        return r;
    r = stretch_again(key, &passphrase);
    return r < 0 ? log_errno(r, "the passphrase") : 0;
}

/*
 * Finds K, the same for all stores. One store's word is not enough: one that says 1 would get the
 * whole secret. Files that were made with the key can be trusted.
 */
static int required_of_nodes(const struct options *options, const struct node_keys *keys,
                             const struct master_key *key, const char *path, unsigned *ret)
{
    unsigned other = 0;

    *ret = options->required;
    if (*ret > 0)
        return 0;
    int r = key_search_required(keys->files, keys->count, key, ret, &other);
    if (r == -EDOM)
        return log_as(-EINVAL,
                      "the stores' keys are for k = %u and for k = %u: say with --required how "
                      "many are to be enough",
                      *ret, other);
    if (r == -ENODATA)
        return log_as(-EINVAL,
                      "these stores' keys do not prove how many stores are enough; nothing was "
                      "changed. Say the number K: zfec-fs key passphrase --required K %s STORES",
                      path);
    return r < 0 ? log_errno(r, "the stores' keys") : 0;
}

/* Returns what is wrong with store number I, NULL: nothing. */
static const char *refuse_node(const struct node_keys *keys, size_t i,
                               const uint8_t id[SET_ID_SIZE])
{
    const int error = keys->nodes[i].error;

    if (error == -ENOENT)
        return "missing, so that it is not known which share it has; zfec-fs repair makes it again";
    if (error < 0)
        return "damaged, or no key; zfec-fs repair makes it again";
    return memcmp(keys->files[i].share.set_id, id, SET_ID_SIZE) != 0 ? "of another set" : NULL;
}

/*
 * Refuses stores before anything is changed: where none has a part of KEY, and where a node of a
 * set can only be read, as it is mounted for the run. SET: its address; NULL: they are of none.
 */
static int refuse_stores(const struct node_keys *keys, const struct master_key *key,
                         const char *path, const char *set)
{
    uint8_t id[SET_ID_SIZE];
    bool any = false;

    int r = master_key_id(key, id);
    for (size_t i = 0; r == 0 && i < keys->count; i++) {
        const struct node_key *node = &keys->nodes[i];
        any |= node->error == 0 && memcmp(keys->files[i].share.set_id, id, SET_ID_SIZE) == 0;
        if (set && access(node->path, W_OK) < 0 && errno == EROFS)
            return log_as(-EINVAL,
                          "store %s can only be read from here, and nothing was changed: zfec-fs "
                          "key passphrase %s, without %s, and then zfec-fs repair --key %s %s give "
                          "the new passphrase to all nodes",
                          node->name, path, set, path, set);
    }
    if (r < 0 || any || keys->count == 0)
        return r;
    return log_as(-EINVAL, "no store has a part of the key %s; nothing was changed", path);
}

/* The result for the stores. */
struct changed {
    unsigned shares; /* distinct ones that have the new passphrase */
    unsigned failed; /* stores */
};

/* Gives store number I its file of KEY, and reports it. Returns 1 if the store was refused, 0, or a
 * negative errno. */
static int write_node(const struct node_keys *keys, size_t i, const struct master_key *key,
                      unsigned required)
{
    uint8_t id[SET_ID_SIZE], bytes[KEY_SHARE_SIZE];
    const struct node_key *node = &keys->nodes[i];

    if (node->error < 0 && node->error != -ENOENT && node->error != -EBADMSG) {
        key_tell_failure(node->name, "read", node->error);
        return 1;
    }
    int r = master_key_id(key, id);
    if (r < 0)
        return r;
    const char *why = refuse_node(keys, i, id);
    if (why) {
        key_tell_store(node->name, why, false);
        return 1;
    }
    r = key_share_make(key, required, keys->files[i].share.index, bytes);
    if (r < 0)
        return r;
    r = node_key_write(keys, i, bytes);
    if (r < 0)
        key_tell_failure(node->name, "written", r);
    else
        key_tell_store(node->name, "written anew", true);
    return r < 0;
}

/* Writes KEY's files to the stores. Returns 0 or a negative errno, logged. */
static int write_nodes(const struct node_keys *keys, const struct master_key *key,
                       unsigned required, struct changed *ret)
{
    bool has[KEY_SHARES_MAX] = {false};

    for (size_t i = 0; i < keys->count; i++) {
        const uint8_t index = keys->files[i].share.index;
        const int r = write_node(keys, i, key, required);
        if (r < 0)
            return log_errno(r, "the stores' keys");
        ret->failed += r > 0;
        ret->shares += r == 0 && !has[index];
        has[index] |= r == 0;
    }
    return 0;
}

/* Reports what is left to do. Returns the exit status. */
static enum exit_status tell_rest(const struct changed *changed, unsigned required,
                                  const char *path, const char *set)
{
    const char *sync = set ? ", or zfec-fs sync, which brings it to all nodes" : "";

    if (changed->shares < required)
        return log_as(
            EXIT_STATUS_FAILED,
            "%u of the %u stores that are needed took the new passphrase: run it again "
            "with the others, too, and the same passphrase%s; until they have it, %s alone "
            "opens the shares by it",
            changed->shares, required, sync, path);
    if (changed->failed > 0)
        return log_as(EXIT_STATUS_FAILED,
                      "%u store%s not changed: run it again when all can be written, with the same "
                      "passphrase%s",
                      changed->failed, changed->failed == 1 ? " was" : "s were", sync);
    return EXIT_STATUS_OK;
}

/*
 * FILE is written first: if this is interrupted, FILE has the passphrase that the stores should
 * get, and encode and the next run continue with it.
 */
enum exit_status key_passphrase(struct options *options)
{
    cleanup_node_keys struct node_keys keys = {0};
    cleanup_secret struct master_key *key = NULL;
    struct changed changed = {0};
    unsigned required = 0;
    char *path;

    if (options->passphrase_removed && options->passphrase_file)
        return log_as(EXIT_STATUS_USAGE, "key passphrase: give --remove or --passphrase-file");
    int r = key_take_words(options, false, &path);
    const bool has_stores = options->source || options->stores.count > 0;
    if (r == 0)
        r = node_keys_refuse_store(path);
    if (r == 0)
        r = key_file_read(path, &key) < 0 ? -EIO : 0;
    if (r == 0 && has_stores)
        r = node_keys_read(options, &keys);
    if (r == 0 && has_stores)
        r = required_of_nodes(options, &keys, key, path, &required);
    if (r == 0 && has_stores)
        r = refuse_stores(&keys, key, path, options->address);
    if (r == 0 && required == 1 && options->passphrase_removed)
        r = log_as(-EINVAL, "with k = 1 each store would have the key: it needs a passphrase");
    if (r == 0)
        r = change_passphrase(options, key);
    if (r < 0)
        return key_status(r);
    r = key_file_write(path, key, true);
    if (r == 0)
        r = key_tell(path, key, "the key");
    if (r == 0 && has_stores)
        r = write_nodes(&keys, key, required, &changed);
    if (r < 0)
        return EXIT_STATUS_FAILED;
    if (!has_stores)
        output_text(COLOUR_WARNING, "The keys on nodes are as they were: name the stores, too");
    return has_stores ? tell_rest(&changed, required, path, options->address) : EXIT_STATUS_OK;
}
