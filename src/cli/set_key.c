/* SPDX-License-Identifier: MIT */
#include "cli/set_key.h"

#include "base/log.h"
#include "cli/asking.h"
#include "cli/output.h"
#include "cli/passphrase_from.h"
#include "cli/places.h"
#include "cli/set_id.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/node_key.h"
#include "sync/state.h"
#include "view/sealed_source.h"

#include <stdio.h>
#include <string.h>

/* Returns the path of the key's file, which the caller frees. NULL: there is none, which was
 * logged. */
static char *path_of(const struct sync_set *set)
{
    cleanup_free char *folder = NULL;
    char *path = NULL;

    if (set->seal.key)
        path = strdup(set->seal.key);
    else if (state_folder(&folder) < 0)
        return NULL;
    else if (asprintf(&path, "%s/%s.key", folder, set->name) < 0)
        path = NULL;
    if (!path)
        log_errno(-ENOMEM, "%s: its key", set->name);
    return path;
}

int set_key_learn(struct sync_set *set, const uint8_t id[SET_ID_SIZE])
{
    struct seal_terms *seal = &set->seal;
    uint8_t wanted[SET_ID_SIZE];

    memcpy(seal->set_id, id, SET_ID_SIZE);
    int r = seal->id ? set_id_read("id =", seal->id, wanted) : 0;
    if (r < 0)
        return r;
    if (seal->id && memcmp(wanted, seal->set_id, SET_ID_SIZE) != 0)
        return log_as(-EINVAL,
                      "%s: id = %s is of another set than its key, which is of %s: correct one "
                      "of them",
                      set->name, seal->id, id_text(seal->set_id).text);
    snprintf(seal->name, sizeof seal->name, "sealed-%.8s", id_text(seal->set_id).text);
    seal->known = true;
    return 0;
}

/* Stores in SET what follows from KEY, as set_key_learn does from its id. */
static int learn_key(struct sync_set *set, const struct master_key *key)
{
    uint8_t id[SET_ID_SIZE];

    int r = master_key_id(key, id);
    return r < 0 ? log_errno(r, "%s: its key", set->name) : set_key_learn(set, id);
}

/* Adds the command that restores a key to PATH. */
static void add_recovery(const struct options *options, const struct sync_set *set,
                         const char *path, struct draft *ret)
{
    const char *config = options->config;

    draft_add(ret, "zfec-fs key recover %s%s%s%s: %s", config ? "--config " : "",
              config ? config : "", config ? " " : "", set->name, path);
}

/* Refuses to make a key because shares of an earlier one exist, or may exist: WHY. */
static int refuse_fresh(const struct options *options, const struct sync_set *set, const char *path,
                        const char *why)
{
    struct draft words = {0};

    add_recovery(options, set, path, &words);
    cleanup_free char *text = draft_take(&words);
    return log_as(-ENOKEY, "%s: its key, %s, is not there, but %s, so none is made: %s%s",
                  set->name, path, why,
                  set->seal.on_nodes ? "to have the same one from any k nodes: "
                                     : "put your copy of it there",
                  set->seal.on_nodes && text ? text : "");
}

/* Finds out, for nodes whose directory does not exist, whether sync can make it. */
static int reach_places(struct asking *asking, const struct sync_node *nodes,
                        struct telling *tellings, size_t count)
{
    cleanup_free struct transfer *transfers = calloc(count, sizeof *transfers);
    int r = transfers ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct transfer *asked = &tellings[i].transfer;
        const bool is_missing = asked->result == 0 && asked->no_place;
        transfers[i] = (struct transfer){.node = &nodes[i],
                                         .task = TASK_REACH,
                                         .share = asking->folder.path,
                                         .step = is_missing ? TRANSFER_WAITING : TRANSFER_NONE};
        r = address_above(nodes[i].target, &transfers[i].above);
    }
    asking->run.transfers = transfers;
    asking->run.count = count;
    if (r == 0)
        run_transfers(&asking->run);
    for (size_t i = 0; transfers && i < count; i++) {
        struct transfer *asked = &tellings[i].transfer;
        if (transfers[i].step == TRANSFER_DONE && transfers[i].result < 0) {
            asked->result = transfers[i].result;
            memcpy(asked->reason, transfers[i].reason, sizeof asked->reason);
        }
        free(transfers[i].above);
    }
    return r == 0 && asking->run.stop ? -ECANCELED : r;
}

/* Refuses a fresh key if the nodes' answers rule it out. */
static int judge_nodes(const struct options *options, const struct sync_set *set, const char *path,
                       const struct telling *tellings)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct transfer *asked = &tellings[i].transfer;
        cleanup_free char *zset = NULL, *why = NULL;
        if (asked->result < 0)
            continue;
        if (asprintf(&zset, "%s/" SEALED_DESCRIPTION_NAME, asked->theirs) < 0)
            return log_errno(-ENOMEM, "%s: its key", set->name);
        if (node_key_in(asked->theirs, NULL) == NODE_KEY_NONE && access(zset, F_OK) < 0)
            continue;
        if (asprintf(&why, "node %s holds shares that are sealed with one", set->nodes[i].name) < 0)
            return log_errno(-ENOMEM, "%s: its key", set->name);
        return refuse_fresh(options, set, path, why);
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct transfer *asked = &tellings[i].transfer;
        if (asked->result < 0)
            return log_as(-EIO,
                          "%s/%s: %s: the first run makes the key of a sealed set, and has to know "
                          "that no node holds shares of another one: make all nodes reachable, or, "
                          "if none ever held any: zfec-fs key new %s",
                          set->name, set->nodes[i].name, asked->reason, path);
    }
    return 0;
}

/* Asks all nodes, whose terms stay as they are, whether they hold anything of a sealed set. */
static int ask_nodes(const struct options *options, const struct sync_set *set, const char *path)
{
    cleanup_free struct sync_node *nodes = calloc(set->count + 1, sizeof *nodes);
    struct asking asking = {.signals = -1};
    struct telling *tellings = NULL;

    if (!nodes)
        return log_errno(-ENOMEM, "%s: its key", set->name);
    memcpy(nodes, set->nodes, set->count * sizeof *nodes);
    int r = asking_begin(options->jobs, &asking);
    asking.seal = &set->seal;
    if (r == 0)
        r = asking_nodes(&asking, nodes, set->count, &tellings);
    if (r == 0)
        r = reach_places(&asking, nodes, tellings, set->count);
    if (r == -ENOMEM)
        log_errno(r, "%s: its key", set->name);
    if (r == 0)
        r = judge_nodes(options, set, path, tellings);
    asking_free(tellings, set->count);
    asking_end(&asking);
    return r;
}

/* Refuses a key's file in a node, which would have all of the key. */
static int refuse_in_node(const struct sync_set *set, const char *path)
{
    cleanup_whereabouts struct whereabouts own = {0};

    int r = place_find(path, &own);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        cleanup_whereabouts struct whereabouts place = {0};
        r = place_find_node(&set->nodes[i], &place);
        if (r == 0 && place.path && whereabouts_within(&own, &place))
            return log_as(-EINVAL, "%s: the key, %s, lies in the node %s; choose another place",
                          set->name, path, set->nodes[i].name);
    }
    return r < 0 ? log_errno(r, "%s", path) : 0;
}

static int add_passphrase(const char *file, struct master_key *key)
{
    cleanup_passphrase struct passphrase passphrase = {NULL, 0};

    int r = passphrase_from_file(file, &passphrase);
    if (r < 0)
        return r;
    r = stretch_new(&key->stretch);
    if (r == 0)
        r = stretch_passphrase(&key->stretch, &passphrase, key->passphrase_key);
    key->has_passphrase = true;
    return r < 0 ? log_errno(r, "the passphrase") : 0;
}

/* Says where the new key is, and where its parts go. */
static void tell_new_key(const struct sync_set *set, const char *path)
{
    struct draft line = {0};

    draft_add(&line, "%s: made the key of the set, %s, which nobody but you can read. ", set->name,
              path);
    if (!set->seal.on_nodes)
        draft_add(&line,
                  "The nodes have nothing of it, so keep a copy elsewhere: zfec-fs key show "
                  "%s prints it.",
                  path);
    else
        draft_add(&line, "Any %u of its nodes together have it, too, %s.", set->encoding.required,
                  set->seal.passphrase_file ? "for whoever knows the passphrase"
                                            : "so that there is nothing to remember");
    output_draft(COLOUR_WARNING, &line);
    json_t *object =
        json_pack("{s:s, s:s}", "set", set->name, "id", id_text(set->seal.set_id).text);
    output_json_path(object, "path", path);
    output_json("key", object);
}

/* Makes the key of SET, which has none at PATH; a dry run only says so. */
static int make_key(const struct options *options, struct sync_set *set, const char *path)
{
    cleanup_secret struct master_key *key = NULL;

    if (set->seal.id)
        return refuse_fresh(options, set, path, "id = names the set that is meant");
    for (size_t i = 0; i < set->count; i++) {
        const struct memory *memory = &set->nodes[i].memory;
        if (memory->tried > 0 && strncmp(memory->encoding, "sealed", strlen("sealed")) == 0)
            return refuse_fresh(options, set, path, "this set was in sync before");
    }
    int r = refuse_in_node(set, path);
    if (r == 0)
        r = ask_nodes(options, set, path);
    if (r == 0 && options->dry_run) {
        output_text(COLOUR_WARNING, "%s: there is no key yet; the first run makes %s", set->name,
                    path);
        return 0;
    }
    if (r == 0 && (r = master_key_new(&key)) < 0)
        log_errno(r, "%s: its key", set->name);
    if (r == 0 && set->seal.passphrase_file)
        r = add_passphrase(set->seal.passphrase_file, key);
    if (r == 0)
        r = key_file_write(path, key, false);
    if (r == 0)
        r = learn_key(set, key);
    if (r == 0)
        tell_new_key(set, path);
    return r;
}

int set_key_take(const struct options *options, struct sync_set *set)
{
    cleanup_secret struct master_key *key = NULL;
    cleanup_free char *path = path_of(set);

    if (!path)
        return -EIO;
    int r = seal_start();
    if (r < 0)
        return log_errno(r, "%s: its key", set->name);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return make_key(options, set, path);
    r = refuse_in_node(set, path);
    if (r == 0)
        r = key_file_read(path, &key);
    if (r == 0 && set->seal.passphrase_file && !key->has_passphrase)
        return log_as(
            -EINVAL,
            "%s: passphrase_file is given, and the key, %s, has no passphrase: zfec-fs key "
            "passphrase %s %s: sets it; or leave the line out",
            set->name, path, path, set->name);
    return r < 0 ? r : learn_key(set, key);
}

/* Reads the key of SET; in a first dry run there is none, so a temporary one is made. */
static int read_key_again(const struct sync_set *set, struct master_key **ret)
{
    cleanup_free char *path = path_of(set);

    if (!path)
        return -EIO;
    return set->seal.known ? key_file_read(path, ret) : master_key_new(ret);
}

int set_key_seal(const struct sync_set *set, struct source *tree, struct source **ret)
{
    cleanup_secret struct master_key *key = NULL;

    int r = seal_start();
    if (r == 0)
        r = read_key_again(set, &key);
    if (r < 0) {
        source_free(tree);
        return log_errno(r, "%s: its key", set->name);
    }
    r = sealed_source_new(tree, &set->encoding, steal_pointer(key), set->seal.on_nodes, ret);
    if (r == -EPERM)
        return log_as(r,
                      "%s: with required = 1 each node alone would have the key; give it a "
                      "passphrase by zfec-fs key passphrase, or write key_on_nodes = no",
                      set->name);
    return r < 0 ? log_errno(r, "%s: its key", set->name) : 0;
}

/* Sets the option to a copy of TEXT unless it was given. */
static int offer(const char *text, char **option)
{
    if (*option || !text)
        return 0;
    *option = strdup(text);
    return *option ? 0 : -ENOMEM;
}

int set_key_offer(const struct sync_set *set, struct options *options)
{
    /* The passphrase given to key passphrase is the new one. */
    const bool changes =
        options->command == COMMAND_KEY && strcmp(options->words[0], "passphrase") == 0;
    cleanup_free char *path = path_of(set);

    int r = path ? offer(access(path, F_OK) == 0 ? path : NULL, &options->key) : -EIO;
    if (r == 0 && !changes)
        r = offer(set->seal.passphrase_file, &options->passphrase_file);
    return r == 0 ? offer(set->seal.id, &options->set_id) : r;
}
