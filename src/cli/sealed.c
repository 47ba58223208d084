/* SPDX-License-Identifier: MIT */
#include "cli/sealed.h"

#include "base/log.h"
#include "cli/node_keys.h"
#include "seal/manifest.h"
#include "tree/tree.h"
#include "view/opened_source.h"
#include "view/sealed_source.h"
#include "view/store_source.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The key of the file that was given. */
static int take_key(const struct options *options, struct master_key **ret)
{
    if (!options->key)
        return log_as(-EINVAL, "format sealed: give key=FILE; zfec-fs key new FILE makes one");
    int r = seal_start();
    return r < 0 ? log_errno(r, "the key") : key_file_read(options->key, ret);
}

/* The key that the stores have together. */
static int find_key(const struct options *options, struct master_key **ret)
{
    cleanup_node_keys struct node_keys keys = {0};

    int r = seal_start();
    if (r < 0)
        return log_errno(r, "the key");
    r = node_keys_read(options, &keys);
    if (r < 0)
        return r;
    r = node_keys_search(options, &keys, NULL, ret);
    if (r == -ENOKEY || r == -ECANCELED || r == -EINVAL)
        return -EINVAL; /* it was said where it was asked for */
    return r < 0 ? log_as(-EINVAL,
                          "the shares are sealed, and the stores do not give their key: %s; "
                          "key=FILE names one",
                          key_search_error(r))
                 : 0;
}

/* Refuses a place of encode's that has a part of another key: its shares would be overwritten; or
 * of this one, which was to be on no node. */
static int refuse_key_there(const struct options *options, const char *path,
                            const struct master_key *key)
{
    struct key_share there;
    uint8_t id[SET_ID_SIZE];

    if (node_key_read(path, &there) < 0)
        return 0;
    int r = master_key_id(key, id);
    if (r == 0 && memcmp(there.set_id, id, sizeof id) == 0 && options->key_kept && !options->remove)
        return log_as(-EINVAL,
                      "%s/%s: any k nodes have the key by it, though key-on-nodes=no is given; "
                      "remove it, or give --delete",
                      path, KEY_SHARE_NAME);
    return r < 0 || memcmp(there.set_id, id, sizeof id) == 0
               ? r
               : log_as(-EINVAL,
                        "%s: holds shares that are sealed with another key; give that key, "
                        "or another place",
                        path);
}

/*
 * Refuses a place without a part of a key that holds sealed shares, of whose root no name is one of
 * the source's: these may be of another key, whose names the root's manifest has. Where either root
 * has no names, or all of them are to be removed, nothing is known.
 */
static int refuse_other_shares(const struct options *options, const char *path,
                               const struct names *ours)
{
    cleanup_names struct names there = NO_NAMES;
    cleanup_tree struct tree *tree = NULL;
    size_t ids = 0, known = 0, own_ids = 0;
    uint8_t id[PATH_ID_SIZE];
    struct key_share part;

    if (node_key_read(path, &part) == 0 || tree_open(path, &tree) < 0 ||
        tree_list(tree, "", &there) < 0)
        return 0;
    names_sort_unique(&there);
    for (size_t i = 0; i < ours->count; i++)
        own_ids += seal_id_from_name(names_get(ours, i), id) == 0;
    for (size_t i = 0; i < there.count; i++) {
        bool is_id = seal_id_from_name(names_get(&there, i), id) == 0;
        ids += is_id;
        known += is_id && names_have(ours, names_get(&there, i));
    }
    if (own_ids == 0 || ids == 0 || known > 0 || !names_have(&there, MANIFEST_NAME))
        return 0;
    return log_as(-EINVAL,
                  "%s: holds sealed shares of which none is of %s with this key: made with another "
                  "key? give that, or another place; with --delete --delete-most they are replaced",
                  path, options->source);
}

/* Asks of each place of encode's. With OURS, the names in the shares' root, about its shares. */
static int refuse_places(const struct options *options, const struct master_key *key,
                         const struct names *ours)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < options->place_count; i++)
        r = ours ? refuse_other_shares(options, options->places[i].path, ours)
                 : refuse_key_there(options, options->places[i].path, key);
    for (unsigned share = 0; r == 0 && options->word_count == 2 && share < options->encoding.shares;
         share++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%02x", options->words[1], (uint8_t)share) < 0)
            return -ENOMEM;
        r = ours ? refuse_other_shares(options, path, ours) : refuse_key_there(options, path, key);
    }
    return r;
}

static int refuse_shares_there(const struct options *options, struct source *source)
{
    cleanup_names struct names ours = NO_NAMES;

    if (options->remove && options->remove_most)
        return 0;
    int r = source->operations->list(source, "", &ours);
    names_sort_unique(&ours);
    return r < 0 ? log_errno(r, "%s", options->source) : refuse_places(options, NULL, &ours);
}

int sealed_source_of_tree(const struct options *options, struct source *tree, struct source **ret)
{
    cleanup_secret struct master_key *key = NULL;

    int r = take_key(options, &key);
    if (r == 0 && options->command == COMMAND_ENCODE)
        r = refuse_places(options, key, NULL);
    if (r < 0) {
        source_free(tree);
        return r;
    }
    r = sealed_source_new(tree, &options->encoding, steal_pointer(key), !options->key_kept, ret);
    if (r == -EPERM)
        return log_as(-EINVAL,
                      "required=1: each node alone would have the key; give it a passphrase "
                      "by zfec-fs key passphrase, or key-on-nodes=no");
    if (r == -EINVAL)
        return log_as(r, "sealed shares are 255 at most; give fewer");
    if (r < 0)
        return log_errno(r, "%s", options->key);
    return options->command == COMMAND_ENCODE ? refuse_shares_there(options, *ret) : 0;
}

/* The key is another one than that of which the stores have parts. */
static int refuse_other_set(const struct options *options, const struct master_key *key)
{
    cleanup_node_keys struct node_keys keys = {0};
    uint8_t id[SET_ID_SIZE];
    size_t others = 0, read = 0;

    int r = node_keys_read(options, &keys);
    if (r == 0)
        r = master_key_id(key, id);
    for (size_t i = 0; r == 0 && i < keys.count; i++) {
        read += keys.files[i].read;
        others += keys.files[i].read && memcmp(keys.files[i].share.set_id, id, sizeof id) != 0;
    }
    if (r < 0 || 2 * others <= read)
        return r;
    return log_as(-EINVAL, "%s: is the key of another set than that of the stores", options->key);
}

/* Most stores have a share of a key: they are sealed also where too few have the root's manifest.
 */
static int have_keys(const struct options *options, struct source *source, bool *ret)
{
    cleanup_node_keys struct node_keys keys = {0};
    struct share_header header;
    struct stat status;
    size_t read = 0;

    /* A mount may wait for stores that come later. */
    *ret = false;
    if (source->operations->stat(source, KEY_SHARE_NAME, &status, &header, NULL, NULL) < 0 ||
        !S_ISREG(status.st_mode))
        return 0;
    int r = node_keys_read(options, &keys);
    for (size_t i = 0; r == 0 && i < keys.count; i++)
        read += keys.files[i].read;
    *ret = 2 * read > keys.count;
    return r;
}

int source_take_key(const struct options *options, struct source *source, struct unsealing **ret)
{
    const char *option = options->key ? "key" : "passphrase-file";
    cleanup_secret struct master_key *key = NULL;
    struct seal_keys *keys;

    *ret = NULL;
    if (!options->key && !options->passphrase_file)
        return 0;
    bool sealed = store_source_is_sealed(source);
    int r = sealed ? 0 : have_keys(options, source, &sealed);
    if (r < 0)
        return r;
    if (!sealed)
        return log_as(-EINVAL, "--%s: the stores do not hold sealed shares; leave it out", option);
    r = options->key ? take_key(options, &key) : find_key(options, &key);
    if (r == 0 && options->key)
        r = refuse_other_set(options, key);
    if (r == 0)
        r = seal_keys_new(key->master, &keys);
    if (r == 0)
        r = unsealing_new(source, keys, ret);
    if (r == 0)
        store_source_set_unsealer(source, unsealing_unsealer(*ret));
    return r;
}

int source_open_sealed(const struct options *options, struct source **source)
{
    const bool mount = options->command == COMMAND_MOUNT;
    cleanup_secret struct master_key *key = NULL;
    bool sealed = store_source_is_sealed(*source);
    struct seal_keys *keys;

    if (!sealed && (!mount || !options->key)) {
        int r = have_keys(options, *source, &sealed);
        if (r < 0)
            return r;
    }
    if (!options->key && !formats[options->encoding.format]->is_sealed && !sealed) {
        store_source_refuse_sealed(*source);
        return 0;
    }
    if (!sealed && !mount)
        return log_as(-EINVAL, "the stores do not hold sealed shares; leave %s out",
                      options->key ? "the key" : "the format");
    int r = options->key ? take_key(options, &key) : find_key(options, &key);
    if (r == 0 && options->key && sealed)
        r = refuse_other_set(options, key);
    if (r == 0)
        r = seal_keys_new(key->master, &keys);
    return r < 0 ? r : opened_source_new(steal_pointer(*source), keys, source);
}
