/* SPDX-License-Identifier: MIT */
#include "cli/set_stores.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/fetching.h"
#include "cli/lent_place.h"
#include "cli/output.h"
#include "cli/set_key.h"
#include "cli/standing.h"
#include "store/store.h"
#include "sync/address.h"
#include "sync/child.h"
#include "sync/sets.h"
#include "sync/state.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOK_MS = 50,
    MORE_S = 5,   /* extra time for nodes that are not needed */
    START_S = 30, /* until the view is mounted */
};

#define VIEW_NAME ":view" /* no node has that name */

struct set_stores {
    struct sets sets;
    struct sync_set *set;
    struct locked_folder mounts, copies;
    const char *beneath; /* PATH of SET:PATH in each store */
    const char *inside;  /* PATH in the tree of a sealed set, once it is opened */
    struct state_look began;
    struct lent_place *places; /* one for each node, and one for the view */
};

/* Returns the length of the set's name, or 0 if WORD does not have the form of an address. */
static size_t address_length(const char *word)
{
    size_t length = strcspn(word, ":/");

    return word[length] == ':' ? length : 0;
}

bool set_stores_is_address(const char *word)
{
    return address_length(word) > 0;
}

/* Names the sets there are, because WORD is none; returns 0 if it is a path instead. */
static int refuse_set(const char *word, size_t length, const char *file, const struct sets *sets)
{
    if (access(word, F_OK) == 0)
        return 0;

    struct draft names = {0};

    for (size_t i = 0; i < sets->count; i++)
        draft_add(&names, "%s%s:", i == 0 ? "" : ", ", sets->sets[i].name);
    cleanup_free char *list = draft_take(&names);
    return log_as(-EINVAL, "%s: there is no set %.*s in %s, which has %s; for a path write ./%s",
                  word, (int)length, word, file, list ? list : "others", word);
}

/* Refuses the name of a set without its colon, unless it is a path. Returns 0 for any other
 * word. */
static int refuse_bare_name(const struct options *options)
{
    const char *word = options->source;
    cleanup_free char *file = NULL;
    cleanup_sets struct sets sets = {0};

    if (strchr(word, '/')) /* it is not looked at: it may hang */
        return 0;
    const bool is_path = access(word, F_OK) == 0;
    if (is_path && !options->config)
        return 0;
    file = options_sets_path(options);
    log_mute(true); /* a path does not need the file of sets */
    int r = file ? sets_read(file, NULL, &sets) : -ENOMEM;
    log_mute(false);
    if (r < 0 || !sets_find(&sets, word))
        return r == -ENOMEM ? r : 0;
    if (is_path)
        return log_as(-EINVAL, "%s: is a set, and a path: write %s: or ./%s", word, word, word);
    return log_as(-EINVAL, "%s: No such file or directory; for the set write %s:", word, word);
}

/* Sets STORES->set, to NULL if the word is a path. */
static int find_set(const struct options *options, size_t length, struct set_stores *stores)
{
    const char *word = options->source;
    cleanup_free char *file = options_sets_path(options), *name = strndup(word, length);
    bool is_path = access(word, F_OK) == 0 && !options->config;

    if (!file || !name)
        return -ENOMEM;
    log_mute(is_path); /* a path does not need the file of sets */
    int r = sets_read(file, NULL, &stores->sets);
    log_mute(false);
    if (r < 0)
        return r == -ENOMEM ? r : is_path ? 0 : -EINVAL;
    stores->set = sets_find(&stores->sets, name);
    return stores->set ? 0 : refuse_set(word, length, file, &stores->sets);
}

/* Starts mounting the share of a node, unless it is on this machine. */
static int begin(struct set_stores *stores, struct lent_place *place)
{
    const struct sync_node *node = place->node;
    bool by_rsync = node->mover == &rsync_mover;

    if (by_rsync && address_kind(node->target) == ADDRESS_DAEMON) {
        place->state = PLACE_UNFETCHED;
        return 0;
    }
    if (by_rsync && address_kind(node->target) == ADDRESS_LOCAL) {
        place->root = node->target;
        lent_place_ask(place);
        return 0;
    }
    int r = stores->mounts.path ? 0 : locked_folder_make(false, &stores->mounts);
    if (r == 0)
        r = lent_place_make(place, &stores->mounts, node->name);
    return r == 0 ? lent_place_mount(place) : r;
}

/* Stores the path of the open directory, so that it cannot be redirected any more, and has messages
 * show it as the user knows it. */
static int take_store(const struct set_stores *stores, struct lent_place *place)
{
    const char *between = *place->beneath ? "/" : "";
    cleanup_tree struct tree *tree = NULL;
    cleanup_free char *name = NULL;
    int r = 0;

    if (asprintf(&name, "%s/%s%s%s", stores->set->name, place->node->name, between,
                 place->beneath) < 0)
        return -ENOMEM;
    if (*place->beneath && (r = tree_open(place->root, &tree)) == 0)
        r = tree_open_directory(tree, place->beneath, &place->fd);
    if (r < 0) {
        place->state = PLACE_FAILED;
        lent_place_fail(place, strerrordesc_np(-r));
        return 0;
    }
    if (*place->beneath ? asprintf(&place->path, "/proc/%d/fd/%d", getpid(), place->fd) < 0
                        : !(place->path = strdup(place->root)))
        return -ENOMEM;
    return store_call(place->path, name);
}

static size_t count(const struct set_stores *stores, int state)
{
    size_t found = 0;

    for (size_t i = 0; i < stores->set->count; i++)
        found += (int)stores->places[i].state == state;
    return found;
}

/*
 * Waits until the stores of all nodes are mounted or have failed. Unless ALL are wanted, it stops
 * MORE_S after enough are mounted.
 */
static void wait_for_places(struct set_stores *stores, bool all)
{
    const struct sync_set *set = stores->set;
    double began = clock_seconds(), enough_since = 0;

    while (count(stores, PLACE_MOUNTS) + count(stores, PLACE_ANSWERS) > 0) {
        double now = clock_seconds();
        if (enough_since == 0 && count(stores, PLACE_READY) >= set->encoding.required)
            enough_since = now;
        for (size_t i = 0; i < set->count; i++) {
            struct lent_place *place = &stores->places[i];
            bool late = now - began > lent_place_limit(place->node) ||
                        (!all && enough_since > 0 && now - enough_since > MORE_S);
            if (lent_place_look(place) && late)
                lent_place_fail(place, "it did not answer in time");
        }
        poll(NULL, 0, LOOK_MS);
    }
    for (size_t i = 0; i < set->count; i++) {
        struct lent_place *place = &stores->places[i];
        if (place->asking.pid > 0)
            child_kill(&place->asking);
        if (place->state == PLACE_FAILED && place->mounting.pid > 0)
            child_end(&place->mounting);
    }
}

/* Returns true if, according to the state, NODE is good and no node is newer. */
static bool is_newest(const struct sync_set *set, const struct sync_node *node)
{
    bool ret = standing_is_current(set, node) && node->memory.bad == 0;

    for (size_t i = 0; ret && i < set->count; i++)
        ret = set->nodes[i].memory.as_of <= node->memory.as_of;
    return ret;
}

static size_t count_newest(const struct set_stores *stores)
{
    size_t found = 0;

    for (size_t i = 0; i < stores->set->count; i++)
        found += stores->places[i].state == PLACE_READY &&
                 is_newest(stores->set, &stores->set->nodes[i]);
    return found;
}

/*
 * Fetches WANTED shares that were not fetched yet, or as many as there are, the newest first. If
 * there is no room for them, shares that are not needed are left out.
 */
static int fetch_some(struct set_stores *stores, size_t wanted)
{
    const struct sync_set *set = stores->set;
    cleanup_free struct fetching *fetchings = calloc(set->count, sizeof *fetchings);
    cleanup_free struct lent_place **places = calloc(set->count, sizeof *places);
    const bool needed = count(stores, PLACE_READY) < set->encoding.required;
    size_t found = 0;

    int r = fetchings && places
                ? stores->copies.path ? 0 : locked_folder_make(true, &stores->copies)
                : -ENOMEM;
    for (size_t i = 0; r == 0 && i < 2 * set->count && found < wanted; i++) {
        struct lent_place *place = &stores->places[i % set->count];
        if (place->state != PLACE_UNFETCHED || (i < set->count && !is_newest(set, place->node)))
            continue;
        fetchings[found].node = place->node;
        place->state = PLACE_ANSWERS;
        places[found++] = place;
    }
    if (r == 0)
        r = fetching_run(fetchings, found, stores->copies.path, stores->beneath);
    for (size_t i = 0; i < found; i++) {
        struct lent_place *place = places[i];
        place->root = place->copy = fetchings[i].path;
        if (r == 0 && fetchings[i].result == 0)
            lent_place_ask(place);
        else
            lent_place_fail(place, r == -ENOSPC ? "no room for it" : fetchings[i].reason);
    }
    if (r == -ENOSPC && !needed)
        r = 0;
    if (r == 0)
        wait_for_places(stores, true);
    return r;
}

/*
 * Fetches shares that cannot be mounted: all of them for check and repair, otherwise only if too
 * few of the other nodes are newest. Old shares of k other nodes would give old files.
 */
static int fetch_places(struct set_stores *stores, const struct options *options)
{
    const struct sync_set *set = stores->set;
    const bool is_part = options->command == COMMAND_CHECK && (options->sample < 1 || options->due);
    const bool all = options->command & (COMMAND_CHECK | COMMAND_REPAIR) && !is_part;
    int r = 0;

    while (r == 0 && count(stores, PLACE_UNFETCHED) > 0) {
        size_t newest = count_newest(stores), required = set->encoding.required;
        if (!all && newest >= required)
            break;
        r = fetch_some(stores, all ? set->count : required - newest);
    }
    for (size_t i = 0; r == 0 && is_part && i < set->count; i++) {
        const struct lent_place *place = &stores->places[i];
        if (place->state == PLACE_UNFETCHED)
            log_error("%s/%s: an rsync daemon's share is fetched as a whole, which a check of a "
                      "part does not do; check %s: reads it",
                      set->name, place->node->name, set->name);
    }
    return r;
}

/* Names the node, and its place unless the reason contains that. */
static void tell_left_out(const struct lent_place *place)
{
    const struct sync_node *node = place->node;
    const bool is_named = strstr(place->reason, node->target);

    log_error("%s/%s: %s%s%s%s%s; it is left out", node->set, node->name,
              is_named ? "" : node->target, is_named || !*place->beneath ? "" : "/",
              is_named ? "" : place->beneath, is_named ? "" : ": ", place->reason);
}

/* Adds "; anna, bert: REASON": why node FIRST failed, unless an earlier node failed for the same
 * reason. */
static void add_reason(const struct set_stores *stores, size_t first, struct draft *text)
{
    const char *reason = stores->places[first].reason;

    for (size_t i = 0; i < stores->set->count; i++) {
        const struct lent_place *place = &stores->places[i];
        if (place->state != PLACE_FAILED || strcmp(place->reason, reason) != 0)
            continue;
        if (i < first)
            return;
        draft_add(text, "%s%s", i > first ? ", " : "; ", place->node->name);
    }
    draft_add(text, ": %s", reason);
}

/* Logs one line for each node that cannot be read, or one for all if too few are left. */
static int tell_failed(const struct set_stores *stores, const char *address)
{
    const struct sync_set *set = stores->set;
    size_t ready = count(stores, PLACE_READY);
    struct draft reasons = {0};

    for (size_t i = 0; i < set->count; i++) {
        if (stores->places[i].state != PLACE_FAILED)
            continue;
        if (ready >= set->encoding.required)
            tell_left_out(&stores->places[i]);
        else
            add_reason(stores, i, &reasons);
    }
    if (ready >= set->encoding.required)
        return 0;
    cleanup_free char *text = draft_take(&reasons);
    return log_as(-EIO, "%s: %zu of %zu nodes can be read, %u needed%s", address, ready, set->count,
                  set->encoding.required, text ? text : "");
}

/* Finds and mounts all nodes except the one that is replaced, and adds their stores to the
 * options. */
static int open_places(struct set_stores *stores, struct options *options)
{
    const struct sync_set *set = stores->set;
    int r = 0;

    stores->places = calloc(set->count + 1, sizeof *stores->places);
    if (!stores->places)
        return -ENOMEM;
    for (size_t i = 0; i <= set->count; i++)
        stores->places[i] = (struct lent_place){.node = i < set->count ? &set->nodes[i] : NULL,
                                                .beneath = i < set->count ? stores->beneath : "",
                                                .fd = -1,
                                                .mounting = NO_CHILD,
                                                .asking = NO_CHILD};
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        if (!options->replaced || strcmp(set->nodes[i].name, options->replaced) != 0)
            r = begin(stores, &stores->places[i]);
    }
    if (r < 0)
        return r;
    wait_for_places(stores, options->command & (COMMAND_CHECK | COMMAND_REPAIR));
    r = fetch_places(stores, options);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        if (stores->places[i].state == PLACE_READY)
            r = take_store(stores, &stores->places[i]);
    }
    if (r == 0)
        r = tell_failed(stores, options->address);
    options->stores_left_out = count(stores, PLACE_FAILED);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        struct lent_place *place = &stores->places[i];
        if (place->state == PLACE_READY)
            r = names_add(&options->stores, place->path);
        if (r == 0 && place->state == PLACE_READY && place->mountpoint)
            r = lent_place_drain(place);
    }
    return r;
}

/* Finds the node to replace by NAME: NODE, or SET/NODE as in messages. Returns 0 or -EINVAL. */
static int take_replaced(const struct sync_set *set, char *name)
{
    const size_t length = strlen(set->name);
    struct draft names = {0};
    size_t at = 0;

    if (strncmp(name, set->name, length) == 0 && name[length] == '/')
        memmove(name, name + length + 1, strlen(name + length + 1) + 1);
    while (at < set->count && strcmp(set->nodes[at].name, name) != 0)
        at++;
    if (at < set->count)
        return 0;
    for (size_t i = 0; i < set->count; i++)
        draft_add(&names, "%s%s", i > 0 ? ", " : "", set->nodes[i].name);
    cleanup_free char *list = draft_take(&names);
    return log_as(-EINVAL, "--replace %s: the set %s has no such node; it has %s", name, set->name,
                  list ? list : "others");
}

/* Looks at the state of SET. MEMORY, unless it is NULL, is the set that takes what is
 * remembered. */
static struct state_look look_for_runs(const struct sync_set *set, struct sync_set *memory)
{
    cleanup_free char *folder = NULL;
    struct state_look ret = {0};

    log_mute(true); /* if nothing can be read, nothing is known */
    if (state_folder(&folder) == 0)
        ret = state_look(folder, set->name);
    if (folder && memory)
        state_read(folder, memory);
    log_mute(false);
    return ret;
}

/* Refuses what repair cannot do with a set. */
static int check_repair(const struct options *options, const struct sync_set *set)
{
    if (options->place_count > 0)
        return log_as(-EINVAL, "--add: a set has its places in the file of sets; for a new disk "
                               "or host at the place of a node give --replace NODE");
    if (options->remove)
        return log_as(-EINVAL, "--delete: repair removes nothing from the nodes of a set; sync "
                               "does that");
    if (options->stores.count > 0)
        return log_as(-EINVAL, "--store: repair of a set writes to its nodes alone; leave it out");
    return options->replaced ? take_replaced(set, options->replaced) : 0;
}

/*
 * Has OPTIONS use the key of a sealed set. The opened source finds PATH by its manifests, starting
 * at the root; the stores have no file of that name.
 */
static int open_sealed(struct set_stores *stores, struct options *options)
{
    const bool opens = options->command == COMMAND_DECODE ||
                       (options->command == COMMAND_MOUNT && options->view == VIEW_RESTORED);

    if (*stores->beneath && options->command == COMMAND_KEY)
        return log_as(-EINVAL, "%s: the key is that of the whole set: give %s:", options->address,
                      stores->set->name);
    if (opens) {
        stores->inside = stores->beneath;
        stores->beneath = "";
    }
    return set_key_offer(stores->set, options);
}

/* Kept until the process ends, because a thread reads the programs' output. */
static struct set_stores *in_use;

int set_stores_open(struct options *options)
{
    const char *word = options->source;
    size_t length = word ? address_length(word) : 0;

    if (length == 0)
        return word ? refuse_bare_name(options) : 0;
    struct set_stores *stores = in_use = options->set_stores = calloc(1, sizeof *stores);
    if (!stores)
        return -ENOMEM;
    stores->mounts = stores->copies = NO_FOLDER;
    int r = find_set(options, length, stores);
    if (r < 0 || !stores->set)
        return r;
    if (options->command == COMMAND_REPAIR && (r = check_repair(options, stores->set)) < 0)
        return r;
    stores->began = look_for_runs(stores->set, stores->set);
    char *beneath = options->source + length + 1;
    if (path_goes_up(beneath))
        return log_as(-EINVAL, "%s: leads out of the set; leave .. out", word);
    options->address = steal_pointer(options->source);
    for (char *end = beneath + strlen(beneath); end > beneath && end[-1] == '/'; end--)
        end[-1] = '\0';
    stores->beneath = beneath + strspn(beneath, "/");
    if (options->replaced && *stores->beneath)
        return log_as(-EINVAL,
                      "--replace: fills the whole place of a node; give %s:", stores->set->name);
    options->encoding.format = stores->set->encoding.format;
    if (options->required == 0)
        options->required = options->encoding.required = stores->set->encoding.required;
    if (sets_is_sealed(stores->set) && (r = open_sealed(stores, options)) < 0)
        return r == -ENOMEM ? log_errno(r, "%s", options->address) : r;
    r = open_places(stores, options);
    return r == -ENOMEM ? log_errno(r, "%s", options->address) : r;
}

struct sync_set *set_stores_whole(const struct options *options, struct sets **ret)
{
    struct set_stores *stores = options->set_stores;

    if (!stores || !stores->places || *stores->beneath)
        return NULL;
    *ret = &stores->sets;
    return stores->set;
}

bool set_stores_were_written(const struct options *options)
{
    const struct set_stores *stores = options->set_stores;
    const struct state_look now = look_for_runs(stores->set, NULL);

    return state_was_written(&stores->began, &now);
}

static void add_view(const struct options *options, struct words *words)
{
    const struct set_stores *stores = options->set_stores;
    struct draft list = {0};
    unsigned shares = 0;

    draft_add(&list, "-orebuild,attr_timeout=0,format=%s,required=%u",
              formats[options->encoding.format]->name, options->required);
    if (options->store_timeout >= 0)
        draft_add(&list, ",store_timeout=%f", options->store_timeout);
    for (size_t i = 0; i < stores->set->count; i++) {
        if (shares <= (unsigned)stores->set->nodes[i].share)
            shares = (unsigned)stores->set->nodes[i].share + 1;
    }
    draft_add(&list, ",shares=%u", shares > options->required ? shares : options->required);
    for (size_t i = 0; i < options->stores.count; i++) {
        draft_add(&list, ",store=");
        for (const char *at = names_get(&options->stores, i); *at; at++)
            draft_add(&list, strchr(",\\", *at) ? "\\%c" : "%c", *at);
    }
    cleanup_free char *text = draft_take(&list);
    words->failed |= !text;
    WORDS_ADD(words, "/proc/self/exe", "-f", text ? text : "");
}

int set_stores_show(const struct options *options, const char **ret)
{
    struct set_stores *stores = options->set_stores;
    struct lent_place *view = &stores->places[stores->set->count];
    struct words words = {.names = NO_NAMES};
    double began = clock_seconds();

    int r = stores->mounts.path ? 0 : locked_folder_make(false, &stores->mounts);
    if (r == 0)
        r = lent_place_make(view, &stores->mounts, VIEW_NAME);
    if (r < 0)
        return r == -ENOMEM ? log_errno(r, "the rebuilt view") : r;
    add_view(options, &words);
    r = lent_place_start(view, &words);
    while (r == 0 && lent_place_look(view)) {
        if (clock_seconds() - began > START_S)
            lent_place_fail(view, "it did not answer in time");
        poll(NULL, 0, LOOK_MS);
    }
    if (r == 0 && view->state != PLACE_READY)
        return log_as(-EIO, "the rebuilt view: %s", view->reason);
    if (r == 0)
        r = lent_place_drain(view);
    *ret = view->mountpoint;
    return r < 0 ? log_errno(r, "the rebuilt view") : 0;
}

struct sync_set *set_stores_set(const struct options *options)
{
    const struct set_stores *stores = options->set_stores;

    return stores && stores->places ? stores->set : NULL;
}

const char *set_stores_beneath(const struct options *options)
{
    return options->set_stores->beneath;
}

const char *set_stores_inside(const struct options *options)
{
    const struct set_stores *stores = options->set_stores;

    return stores && stores->inside ? stores->inside : "";
}

const char *set_stores_path(const struct options *options, size_t node)
{
    const struct lent_place *place = &options->set_stores->places[node];

    return place->state == PLACE_READY ? place->path : NULL;
}

bool set_stores_wanted(const struct options *options, size_t node)
{
    return options->set_stores->places[node].state > PLACE_UNFETCHED;
}

void set_stores_tell_unfetched(const struct options *options, const char *again)
{
    const struct set_stores *stores = options->set_stores;

    for (size_t i = 0; stores && stores->places && i < stores->set->count; i++) {
        const struct sync_node *node = &stores->set->nodes[i];
        if (stores->places[i].state == PLACE_UNFETCHED)
            log_error("%s/%s was not read, since others seemed enough: run zfec-fs check %s:, and "
                      "%s, which then fetches its share",
                      node->set, node->name, node->set, again);
    }
}

void set_stores_close(void)
{
    struct set_stores *stores = in_use;

    if (!stores || !stores->places)
        return;
    for (size_t i = 0; i <= stores->set->count; i++) { /* the view, a reader of the rest, first */
        struct lent_place *place = &stores->places[stores->set->count - i];
        cleanup_close_fd(&place->fd);
        if (place->mounting.pid > 0)
            child_end(&place->mounting);
    }
    for (size_t i = 0; i <= stores->set->count; i++) {
        if (stores->places[stores->set->count - i].mountpoint)
            lent_place_end(&stores->places[stores->set->count - i]);
    }
    locked_folder_remove(&stores->mounts);
    locked_folder_remove(&stores->copies);
    /* The threads still use the rest, which ends with the process. */
}
