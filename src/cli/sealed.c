/* SPDX-License-Identifier: MIT */
#include "cli/sealed.h"

#include "base/log.h"
#include "cli/node_keys.h"
#include "cli/set_id.h"
#include "cli/set_stores.h"
#include "seal/manifest.h"
#include "tree/tree.h"
#include "view/opened_source.h"
#include "view/sealed_source.h"
#include "view/store_source.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Takes the id of the set that the user wants; sets *RET to NULL if any will do. */
static int wanted_id(const struct options *options, uint8_t id[SET_ID_SIZE], const uint8_t **ret)
{
    int r = options->set_id ? set_id_read("id", options->set_id, id) : 0;

    *ret = options->set_id ? id : NULL;
    return r;
}

/* How the user gives the file of a key. */
static const char *key_option(const struct options *options)
{
    return options->command == COMMAND_MOUNT ? "key=FILE" : "--key FILE";
}

/* Reads the key from the given file. */
static int take_key(const struct options *options, struct master_key **ret)
{
    uint8_t bytes[SET_ID_SIZE], own[SET_ID_SIZE];
    const uint8_t *id = NULL;

    if (!options->key)
        return log_as(-EINVAL, "sealed shares need a key: give %s; zfec-fs key new FILE makes one",
                      key_option(options));
    int r = seal_start();
    r = r < 0 ? log_errno(r, "the key") : wanted_id(options, bytes, &id);
    if (r == 0)
        r = key_file_read(options->key, ret);
    if (r == 0 && id && master_key_id(*ret, own) == 0 && memcmp(own, id, sizeof own) != 0)
        return log_as(-EINVAL,
                      "%s: is the key of the set %s, and id=%s is another; give one of "
                      "both, or those of one set",
                      options->key, id_text(own).text, options->set_id);
    return r;
}

/* Returns true if the stores have all of the key of the set ID. */
static bool have_all(const struct node_keys *keys, const uint8_t id[SET_ID_SIZE])
{
    bool all = false;

    for (size_t i = 0; i < keys->count; i++)
        all |= memcmp(keys->files[i].share.set_id, id, SET_ID_SIZE) == 0 &&
               node_keys_have_set(keys, i);
    return all;
}

/* The set that is meant, and the stores' keys. */
static int find_meant(const struct options *options, uint8_t id[SET_ID_SIZE],
                      struct node_keys *keys)
{
    cleanup_secret struct master_key *key = NULL;
    const uint8_t *given;

    int r = wanted_id(options, id, &given);
    if (r == 0 && !given)
        r = take_key(options, &key);
    if (r == 0 && !given)
        r = master_key_id(key, id);
    return r == 0 ? node_keys_read(options, keys) : r;
}

int source_leave_others(const struct options *options, struct source *source)
{
    cleanup_node_keys struct node_keys keys = {0};
    cleanup_names struct names others = NO_NAMES;
    uint8_t id[SET_ID_SIZE];

    int r = find_meant(options, id, &keys);
    /* A key of another set may have been put into a store of this one: by that alone, it stays. */
    if (r < 0 || (!options->set_id && !have_all(&keys, id)))
        return r;
    for (size_t i = 0; r == 0 && i < keys.count; i++) {
        const struct found_key *file = &keys.files[i];
        if (!file->read || memcmp(file->share.set_id, id, SET_ID_SIZE) == 0 ||
            (!options->set_id && !node_keys_have_set(&keys, i)))
            continue;
        log_error("store %s is left out: it holds shares of another set, %s", keys.nodes[i].name,
                  id_text(file->share.set_id).text);
        r = names_add(&others, keys.nodes[i].path);
    }
    if (r == 0 && options->set_id && keys.count > 0 && others.count == keys.count)
        return log_as(-EINVAL, "id=%s: no store holds shares of that set", options->set_id);
    if (r < 0 || others.count == 0)
        return r;
    return stores_leave_out(store_source_stores(source), &others, set_stores_set(options) != NULL);
}

/* Returns false if no store has a file `key`: then the key was kept off the nodes, and FILE is what
 * is missing. */
static bool have_any(const struct node_keys *keys)
{
    bool any = false;

    for (size_t i = 0; i < keys->count; i++)
        any |= keys->nodes[i].error != -ENOENT;
    return any;
}

/* Finds the key that the stores have together. -ENODATA: they have too little of it. */
static int find_key(const struct options *options, struct master_key **ret)
{
    cleanup_node_keys struct node_keys keys = {0};
    uint8_t bytes[SET_ID_SIZE];
    const uint8_t *id = NULL;

    int r = seal_start();
    r = r < 0 ? log_errno(r, "the key") : wanted_id(options, bytes, &id);
    if (r == 0)
        r = node_keys_read(options, &keys);
    if (r < 0)
        return r;
    r = node_keys_search(options, &keys, id, ret);
    if (r == -ENOKEY || r == -ECANCELED || r == -EINVAL)
        return -EINVAL; /* logged where it happened */
    if (r == 0)
        return 0;
    cleanup_free char *why = node_keys_error(&keys, r);
    log_error("the shares are sealed, and the stores do not give their key: %s; %s names one",
              why ? why : strerrordesc_np(-r), key_option(options));
    return (r == -ENODATA || r == -EBADMSG) && have_any(&keys) ? -ENODATA : -EINVAL;
}

/* What is collected over encode's places. */
struct encode_key {
    const struct master_key *key;
    unsigned others; /* with the key of the same set, but another passphrase */
};

/*
 * Refuses a place of encode's that has a part of another key, since its shares would be
 * overwritten; or a part of this key, if no node is to have it. CONTEXT: an encode_key.
 */
static int refuse_key_there(const struct options *options, const char *path, void *context)
{
    struct encode_key *asked = context;
    const struct master_key *key = asked->key;
    struct key_share there;
    uint8_t id[SET_ID_SIZE];

    if (node_key_read(path, &there) < 0)
        return 0;
    int r = master_key_id(key, id);
    const bool same_set = r == 0 && memcmp(there.set_id, id, sizeof id) == 0;
    if (same_set && options->key_kept && !options->remove)
        return log_as(-EINVAL,
                      "%s/%s: any k nodes have the key by it, though key-on-nodes=no is given; "
                      "remove it, or give --delete",
                      path, KEY_SHARE_NAME);
    asked->others += same_set && (there.has_passphrase != key->has_passphrase ||
                                  memcmp(&there.stretch, &key->stretch, sizeof key->stretch) != 0);
    return r < 0 || same_set
               ? r
               : log_as(-EINVAL,
                        "%s: holds shares that are sealed with another key; give that key, "
                        "or another place",
                        path);
}

/*
 * Refuses a place with sealed shares but no part of a key, if no name in its root is one of the
 * source's: its shares may be of another key, and their names would be lost with the root's
 * manifest. If either root has no names, or all are to be removed, that cannot be told. CONTEXT:
 * the source's names.
 */
static int refuse_other_shares(const struct options *options, const char *path, void *context)
{
    const struct names *ours = context;
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

/* Calls the check for each of encode's places until one is refused. */
static int ask_places(const struct options *options,
                      int (*ask)(const struct options *options, const char *path, void *context),
                      void *context)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < options->place_count; i++)
        r = ask(options, options->places[i].path, context);
    for (unsigned share = 0; r == 0 && options->word_count == 2 && share < options->encoding.shares;
         share++) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s/%02x", options->words[1], (uint8_t)share) < 0)
            return -ENOMEM;
        r = ask(options, path, context);
    }
    return r;
}

static int refuse_keys_there(const struct options *options, const struct master_key *key)
{
    struct encode_key asked = {.key = key};

    int r = ask_places(options, refuse_key_there, &asked);
    /* This is expected if the passphrase was changed without these stores, but not with an old copy
     * of FILE. */
    if (r == 0 && asked.others > 0 && !options->key_kept)
        log_error("the key of %u store%s is replaced: %s has another passphrase than theirs (or "
                  "none); if it is an old copy, so is that",
                  asked.others, asked.others == 1 ? "" : "s", options->key);
    return r;
}

static int refuse_shares_there(const struct options *options, struct source *source)
{
    cleanup_names struct names ours = NO_NAMES;

    if (options->remove && options->remove_most)
        return 0;
    int r = source->operations->list(source, "", &ours);
    names_sort_unique(&ours);
    return r < 0 ? log_errno(r, "%s", options->source)
                 : ask_places(options, refuse_other_shares, &ours);
}

int sealed_source_of_tree(const struct options *options, struct source *tree, struct source **ret)
{
    cleanup_secret struct master_key *key = NULL;

    int r = take_key(options, &key);
    if (r == 0 && options->command == COMMAND_ENCODE)
        r = refuse_keys_there(options, key);
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

/* Refuses a key that is not the one that the stores have parts of. */
static int refuse_other_set(const struct options *options, const struct master_key *key)
{
    cleanup_node_keys struct node_keys keys = {0};
    uint8_t id[SET_ID_SIZE];
    size_t others = 0, read = 0;

    int r = node_keys_read(options, &keys);
    if (r == 0)
        r = master_key_id(key, id);
    if (r == 0 && options->set_id)
        return 0; /* the others were left out */
    for (size_t i = 0; r == 0 && i < keys.count; i++) {
        read += keys.files[i].read;
        others += keys.files[i].read && memcmp(keys.files[i].share.set_id, id, sizeof id) != 0;
    }
    if (r < 0 || 2 * others <= read || have_all(&keys, id))
        return r;
    return log_as(-EINVAL, "%s: is the key of another set than that of the stores", options->key);
}

/* Sets RET if most stores have a part of a key: these are sealed, even if too few have the root's
 * manifest. */
static int have_keys(const struct options *options, struct source *source, bool *ret)
{
    cleanup_node_keys struct node_keys keys = {0};
    struct share_header header;
    struct stat status;
    size_t read = 0;

    /* A mount may wait for stores that appear later. */
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

    bool sealed = store_source_is_sealed(source);

    *ret = NULL;
    if (sealed)
        store_source_set_unsealer(source, unsealer_without_key());
    if (!options->key && !options->passphrase_file)
        return 0;
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

static int64_t find_root_time(struct source *stores)
{
    struct share_header header = {0};
    struct stat status;

    if (!store_source_is_sealed(stores) ||
        stores->operations->stat(stores, MANIFEST_NAME, &status, &header, NULL, NULL) < 0)
        return 0;
    return header.layout.required > 0 ? header.mtime_ns : 0;
}

static struct time_text root_text(int64_t time_ns)
{
    const struct share_header header = {.mtime_ns = time_ns};
    struct timespec time = {0};

    header_mtime(&header, &time);
    return time_text(time.tv_sec);
}

struct time_text source_root_time(struct source *stores)
{
    return root_text(find_root_time(stores));
}

/*
 * Warns if the nodes' names are older than what sync sent. Whoever has K nodes can show an old
 * tree, and only what sync remembers can reveal it.
 */
static void tell_older(const struct options *options, struct source *stores)
{
    const struct sync_set *set = set_stores_set(options);
    const int64_t found = set && set->root_ns > 0 ? find_root_time(stores) : 0;

    if (found > 0 && found < set->root_ns)
        log_warning(
            "%s: the root is as of %s, and sync has sent it as of %s: these nodes are behind, or "
            "somebody has put an older state back",
            set->name, root_text(found).text, root_text(set->root_ns).text);
}

/* Refuses PATH of SET:PATH if there is no such directory. */
static int check_inside(const struct options *options, struct source *source)
{
    cleanup_names struct names names = NO_NAMES;

    int r = source->operations->list(source, "", &names);
    if (r == -ENOTDIR)
        return log_as(r, "%s: not a directory; give the one that it is in", options->address);
    return r < 0 ? log_errno(r, "%s", options->address) : 0;
}

int source_open_sealed(const struct options *options, struct source **source)
{
    const bool mount = options->command == COMMAND_MOUNT;
    cleanup_secret struct master_key *key = NULL;
    bool sealed = store_source_is_sealed(*source);
    const char *inside = set_stores_inside(options);
    const struct opened_terms terms = {
        .exact = !mount, .orphans = options->orphans, .beneath = inside};
    struct seal_keys *keys;

    if (!sealed && (!mount || !options->key)) {
        int r = have_keys(options, *source, &sealed);
        if (r < 0)
            return r;
    }
    const bool meant = options->key || options->set_id; /* not plain shares */
    if (!meant && !formats[options->encoding.format]->is_sealed && !sealed) {
        store_source_refuse_sealed(*source);
        return 0;
    }
    if (!sealed && !mount)
        return log_as(-EINVAL, "the stores do not hold sealed shares; leave %s out",
                      options->key      ? "the key"
                      : options->set_id ? "the id"
                                        : "the format");
    int r = options->key ? take_key(options, &key) : find_key(options, &key);
    if (r == 0 && options->key && sealed)
        r = refuse_other_set(options, key);
    if (r == 0)
        r = seal_keys_new(key->master, &keys);
    if (r == 0)
        tell_older(options, *source);
    if (r == 0)
        r = opened_source_new(steal_pointer(*source), keys, &terms, source);
    return r == 0 && *inside ? check_inside(options, *source) : r;
}
