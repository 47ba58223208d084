/* SPDX-License-Identifier: MIT */
#include "cli/sending.h"

#include "base/log.h"
#include "base/times.h"
#include "cli/sending_keys.h"
#include "cli/set_stores.h"
#include "engine/again.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/run.h"
#include "sync/sample.h"
#include "sync/state.h"
#include "tree/remove.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINK_SUFFIX ".rclonelink" /* rclone's suffix of a symlink */

/* A name that a node needs. */
struct wanted {
    char *path;
    size_t node;
    enum need need;
    struct seen seen; /* of the node's file, before it was judged */
    mode_t kind;      /* of what is sent */
    bool failed;
};

/* A node, and what is sent to it. */
struct recipient {
    struct sync_node node; /* with the place and terms of this run */
    struct target target;  /* the share in the view, for messages */
    struct store *store;   /* from the roster; NULL: it has none */
    size_t wanted, failed; /* names */
    bool has_root;         /* the root is one of them */
    bool left;             /* nothing is written there, as was logged */
    bool is_unfinished;    /* leftovers may be there */
    char *keys;            /* a directory with the `key` that it should have; NULL: none */
    bool sends_key;        /* only that is sent now */
};

struct sending {
    struct copying *copying;
    const struct options *options;
    struct sync_set *set;
    char *folder; /* of the state */
    char *root;   /* see make_root */
    int lock;     /* of the set */
    time_t began;
    struct recipient *recipients; /* one for each node */
    struct transfer *transfers;   /* one for each node */
    struct run run;               /* of the transfers */
    pthread_mutex_t mutex;        /* guards the rest until it is sent */
    struct wanted *wanted;
    size_t count, room;
    bool failed;          /* a name could not be added for want of memory */
    struct node_due *due; /* of a sealed set, for each node; NULL: the set is not sealed */
};

static void look_for_stop(void *context)
{
    struct sending *sending = context;

    sending->run.stop |= atomic_load(&sending->copying->meter.progress.stop);
    for (size_t i = 0; i < sending->run.count; i++) {
        const struct transfer *transfer = &sending->run.transfers[i];
        char text[256];
        if (transfer->step < TRANSFER_RUNNING)
            continue;
        snprintf(text, sizeof text, "%s/%s: %s files, %s", sending->set->name, transfer->node->name,
                 show_count(transfer->done.files).text, show_bytes(transfer->done.bytes).text);
        progress_begin(&sending->copying->meter.progress, text);
    }
}

int sending_begin(struct copying *copying, struct sending **ret)
{
    const struct options *options = copying->options;
    struct sending *sending = *ret = calloc(1, sizeof *sending);

    if (!sending)
        return log_errno(-ENOMEM, "repair");
    *sending = (struct sending){
        .copying = copying,
        .options = options,
        .set = set_stores_set(options),
        .lock = -1,
        .began = time(NULL),
        .mutex = PTHREAD_MUTEX_INITIALIZER,
    };
    const size_t count = sending->set->count;
    sending->recipients = calloc(count, sizeof *sending->recipients);
    sending->transfers = calloc(count, sizeof *sending->transfers);
    sending->wanted = calloc(1, sizeof *sending->wanted); /* not NULL: it is sorted if empty, too */
    if (!sending->recipients || !sending->transfers || !sending->wanted)
        return log_errno(-ENOMEM, "repair");
    sending->run = (struct run){.transfers = sending->transfers,
                                .count = count,
                                .jobs = 1, /* a change at one node is input for the next */
                                .wake = -1,
                                .context = sending,
                                .look = look_for_stop};
    int r = state_folder(&sending->folder);
    if (r == 0 && !options->dry_run)
        r = state_make_folder(sending->folder);
    if (r == 0 && !options->dry_run)
        r = state_lock(sending->folder, sending->set->name, &sending->lock);
    if (r == 0)
        r = state_read(sending->folder, sending->set);
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static void remove_folder(char *path)
{
    static const struct removal_terms terms = {.made_here = true};

    if (path)
        remove_all(AT_FDCWD, path, path, &terms);
    free(path);
}

void sending_end(struct sending *sending)
{
    for (size_t i = 0; sending->transfers && i < sending->set->count; i++) {
        struct recipient *recipient = &sending->recipients[i];
        if (recipient->target.tree)
            tree_close((struct tree *)recipient->target.tree);
        free((char *)recipient->node.target);
        remove_folder(recipient->keys);
        if (sending->transfers[i].list)
            unlink(sending->transfers[i].list);
        free(sending->transfers[i].list);
        if (sending->transfers[i].way)
            unlink(sending->transfers[i].way);
        free(sending->transfers[i].way);
        free(sending->transfers[i].share);
        free(sending->transfers[i].above);
        remove_folder(sending->transfers[i].ours);
        remove_folder(sending->transfers[i].theirs);
    }
    for (size_t i = 0; i < sending->count; i++)
        free(sending->wanted[i].path);
    cleanup_close_fd(&sending->lock);
    if (sending->set)
        due_free(sending->due, sending->set->count);
    free(sending->wanted);
    free(sending->recipients);
    free(sending->transfers);
    if (sending->root)
        rmdir(sending->root);
    free(sending->root);
    free(sending->folder);
    free(sending);
}

static size_t find_node(const struct sending *sending, const struct store *store)
{
    size_t node = 0;

    for (; node < sending->set->count; node++) {
        const char *path = set_stores_path(sending->options, node);
        if (path && strcmp(path, tree_name(store_tree(store))) == 0)
            break;
    }
    return node;
}

void sending_check(struct sending *sending, struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        const size_t at = find_node(sending, entry->store);
        const struct sync_node *node = &sending->set->nodes[at];
        if (at == sending->set->count)
            continue;
        sending->recipients[at].store = entry->store;
        if (entry->share >= 0 && entry->share != node->share) {
            log_error("store %s holds share %02x, and not %02x as the file of sets says of node "
                      "%s: nothing is written there; is another disk in its place?",
                      store_name(entry->store), (uint8_t)entry->share, (uint8_t)node->share,
                      node->name);
            roster_leave(entry);
        } else if (entry->share < 0 && !entry->left) {
            log_error("store %s holds no share of the set: is it mounted? For a new disk: zfec-fs "
                      "repair --replace %s %s:",
                      store_name(entry->store), node->name, sending->set->name);
            roster_leave(entry);
        }
        sending->recipients[at].left = entry->left;
    }
}

void sending_add(struct sending *sending, const char *path, const struct target *target,
                 enum need need, const struct seen *seen)
{
    size_t node = 0;

    HOLD(&sending->mutex);
    while (!sending->recipients[node].store ||
           store_tree(sending->recipients[node].store) != target->tree)
        node++;
    /* rclone sets no metadata of directories. */
    if (need == NEED_NOTHING && sending->set->nodes[node].mover == &rclone_mover)
        return;
    if (need == NEED_METADATA && S_ISDIR(seen->status.st_mode) &&
        sending->set->nodes[node].mover == &rclone_mover)
        return;
    if (sending->count == sending->room) {
        size_t room = sending->room + sending->room / 2 + 64;
        struct wanted *more = reallocarray(sending->wanted, room, sizeof *more);
        if (!more) {
            sending->failed = true;
            return;
        }
        sending->wanted = more;
        sending->room = room;
    }
    struct wanted wanted = {.path = strdup(path), .node = node, .need = need};
    if (seen)
        wanted.seen = *seen;
    sending->failed |= !wanted.path;
    if (wanted.path)
        sending->wanted[sending->count++] = wanted;
}

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *one = a, *other = b;

    return one->node != other->node ? (one->node < other->node ? -1 : 1)
                                    : strcmp(one->path, other->path);
}

/* Sorts the wanted names, and merges entries of one name so that it gets all that it needs. */
static void sort(struct sending *sending)
{
    struct wanted *wanted = sending->wanted;
    size_t kept = 0;

    qsort(wanted, sending->count, sizeof *wanted, compare_wanted);
    for (size_t i = 0; i < sending->count; i++) {
        struct wanted *last = kept > 0 ? &wanted[kept - 1] : NULL;
        if (!last || compare_wanted(last, &wanted[i]) != 0) {
            wanted[kept++] = wanted[i];
            continue;
        }
        if (wanted[i].need > last->need) {
            last->need = wanted[i].need;
            last->seen = wanted[i].seen;
        }
        free(wanted[i].path);
    }
    sending->count = kept;
}

static void fail_wanted(struct sending *sending, struct wanted *wanted, const char *reason)
{
    struct recipient *recipient = &sending->recipients[wanted->node];

    if (wanted->failed)
        return;
    wanted->failed = true;
    recipient->failed++;
    if (reason)
        log_error("%s in %s: %s", log_path(wanted->path), store_name(recipient->store), reason);
    atomic_fetch_add(&sending->copying->counts[COPY_FAILED], 1);
}

/* Drops names that someone else has changed since they were judged: they may be newer. */
static int look_again(struct sending *sending)
{
    cleanup_free struct judged *items = calloc(sending->count + 1, sizeof *items);
    int r = items ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < sending->count; i++) {
        const struct wanted *wanted = &sending->wanted[i];
        items[i] = (struct judged){sending->recipients[wanted->node].store, wanted->path,
                                   wanted->seen, false};
    }
    if (r == 0)
        r = again_look(items, sending->count);
    for (size_t i = 0; r == 0 && i < sending->count; i++) {
        if (!items[i].is_same && sending->wanted[i].need != NEED_NOTHING)
            fail_wanted(sending, &sending->wanted[i],
                        "has changed meanwhile; another run looks again");
    }
    return r;
}

/*
 * Drops names that rclone would write through a symlink at the node, which may lead anywhere, even
 * to a directory of this machine. rsync replaces the symlink instead.
 */
static int look_for_links(struct sending *sending, struct wanted *wanted)
{
    const char *end = wanted->path;
    int r = 0;

    if (sending->set->nodes[wanted->node].mover != &rclone_mover)
        return 0;
    while (r == 0 && *end && !wanted->failed) {
        cleanup_free char *link = NULL;
        end = strchrnul(end + 1, '/');
        if (!*end && S_ISLNK(wanted->kind))
            break;
        if (asprintf(&link, "%.*s" LINK_SUFFIX, (int)(end - wanted->path), wanted->path) < 0)
            return -ENOMEM;
        struct judged item = {
            sending->recipients[wanted->node].store, link, {.error = -ENOENT}, false};
        r = again_look(&item, 1);
        if (r == 0 && !item.is_same)
            fail_wanted(sending, wanted, "a symlink is there in its place, or on the way to it");
    }
    return r;
}

/* Notes, by the view, the kind of each name that is sent. */
static void look_at_view(struct sending *sending)
{
    struct stat status;

    for (size_t i = 0; i < sending->count; i++) {
        struct wanted *wanted = &sending->wanted[i];
        int r = tree_stat(sending->recipients[wanted->node].target.tree, wanted->path, &status);
        if (r < 0)
            fail_wanted(sending, wanted, strerrordesc_np(-r));
        else
            wanted->kind = status.st_mode;
    }
}

/* Fails empty directories: rclone makes only those that contain what it sends from a list. */
static void refuse_empty_directories(struct sending *sending)
{
    for (size_t i = 0; i < sending->count; i++) {
        struct wanted *wanted = &sending->wanted[i], *next = wanted + 1;
        const size_t length = strlen(wanted->path);
        const bool is_last = i + 1 == sending->count || next->node != wanted->node;
        if (sending->set->nodes[wanted->node].mover == &rclone_mover && S_ISDIR(wanted->kind) &&
            (is_last || strncmp(next->path, wanted->path, length) != 0 ||
             next->path[length] != '/'))
            fail_wanted(sending, wanted, "rclone makes no directory without files here; sync does");
    }
}

static bool is_daemon(const struct recipient *recipient)
{
    return recipient->node.mover == &rsync_mover &&
           address_kind(recipient->node.target) == ADDRESS_DAEMON;
}

/* Returns true if TASK is for that name: all are sent; files are compared, and symlinks if rsync
 * does it. */
static bool is_for(const struct sending *sending, enum transfer_task task,
                   const struct wanted *wanted)
{
    const struct recipient *recipient = &sending->recipients[wanted->node];

    if (task == TASK_COMPARE_BACK)
        return S_ISLNK(wanted->kind);
    if (task == TASK_COMPARE && S_ISLNK(wanted->kind))
        return recipient->node.mover == &rsync_mover;
    return task != TASK_COMPARE || S_ISREG(wanted->kind);
}

/* Writes the list of the names at a node that TASK is for. Returns 1 if there are any, 0 if there
 * are none, or an error. */
static int write_list(struct sending *sending, size_t node, enum transfer_task task)
{
    const struct mover *mover = sending->set->nodes[node].mover;
    const bool by_rclone = mover == &rclone_mover;
    cleanup_names struct names paths = NO_NAMES;
    int r = 0;

    for (size_t i = 0; r == 0 && i < sending->count; i++) {
        struct wanted *wanted = &sending->wanted[i];
        const bool is_link = by_rclone && S_ISLNK(wanted->kind);
        cleanup_free char *path = NULL;
        if (wanted->node != node || wanted->failed || !is_for(sending, task, wanted) ||
            (by_rclone && S_ISDIR(wanted->kind)) || !*wanted->path)
            continue; /* with the root in the list, rsync would send all names in it */
        if (asprintf(&path, "%s%s", wanted->path, is_link ? LINK_SUFFIX : "") < 0)
            return -ENOMEM;
        if (mover->list_end && strchr(path, mover->list_end))
            fail_wanted(sending, wanted, "such a name cannot be given to rclone; sync sends it");
        else
            r = names_add(&paths, path);
    }
    if (r == 0)
        r = sample_write_paths(&paths, sending->transfers[node].list, mover->list_end);
    return r < 0 ? r : paths.count > 0;
}

static void moved(const struct transfer *transfer, enum move move, const char *path)
{
    struct sending *sending = transfer->context;
    const struct wanted key = {.node = (size_t)(transfer - sending->transfers),
                               .path = (char *)path};

    if (move != MOVE_DIFFERENT)
        return;
    struct wanted *wanted =
        bsearch(&key, sending->wanted, sending->count, sizeof key, compare_wanted);
    if (wanted)
        fail_wanted(sending, wanted, "is still not what was sent");
}

static void transfer_happened(const struct transfer *transfer, enum transfer_event event)
{
    const struct sending *sending = transfer->context;

    if (event == TRANSFER_FAILS_FOR_NOW)
        log_warning("%s/%s: %s; will be tried again", sending->set->name, transfer->node->name,
                    transfer->reason);
}

static bool is_replaced(const struct sending *sending, size_t node)
{
    const char *replaced = sending->options->replaced;

    return replaced && strcmp(sending->set->nodes[node].name, replaced) == 0;
}

/* Has a new place describe the set as the old one did. */
static int describe(struct sending *sending, const char *view, size_t i)
{
    struct transfer *transfer = &sending->transfers[i];
    const uint8_t share = (uint8_t)sending->set->nodes[i].share;

    if (asprintf(&transfer->ours, "%s.%02x.ours", view, share) < 0)
        return -ENOMEM;
    int r = description_write(sending->set, &sending->set->nodes[i], transfer->ours);
    if (r == -EINVAL) { /* sync reports this */
        remove_folder(transfer->ours);
        transfer->ours = NULL;
    }
    return r == -EINVAL ? 0 : r;
}

/* Makes the file `key` that a node should have. Its directory has the time of the root, since that
 * is sent, too. */
static int prepare_key(struct sending *sending, const char *view, struct tree *tree, size_t i)
{
    const struct node_due *due = &sending->due[i];
    char **keys = &sending->recipients[i].keys;
    struct stat status;

    if (!due->known || (!due->differs && !is_replaced(sending, i)))
        return 0;
    if (asprintf(keys, "%s.%02x.key", view, (uint8_t)sending->set->nodes[i].share) < 0) {
        *keys = NULL;
        return -ENOMEM;
    }
    int r = due_write(due, *keys);
    if (r == 0)
        r = tree_stat(tree, "", &status);
    const struct timespec times[] = {status.st_atim, status.st_mtim};
    return r == 0 && utimensat(AT_FDCWD, *keys, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : r;
}

/* Returns true if nodes get a description. In a plain tree, a file may already have its name. In a
 * sealed one none can, but the set is described by its id, which has to be known. */
static bool is_to_be_described(const struct sync_set *set, const struct tree *tree)
{
    struct stat status;

    return set->described &&
           (sets_is_sealed(set) ? set->seal.known
                                : tree_stat(tree, description_name(set), &status) == -ENOENT);
}

/*
 * Prepares the node for this run: nothing is deleted. If all stores are read by sshfs or rclone,
 * attributes are not known, and those at the node stay.
 */
static int prepare_node(struct sending *sending, const char *view, size_t i, bool attributes)
{
    const struct sync_node *node = &sending->set->nodes[i];
    struct recipient *recipient = &sending->recipients[i];
    struct transfer *transfer = &sending->transfers[i];
    const char *beneath = set_stores_beneath(sending->options);
    const size_t length = strlen(node->target);
    const bool ends = strchr("/:", node->target[length - 1]);
    char *target = NULL;

    if (asprintf(&target, "%s%s%s", node->target, *beneath && !ends ? "/" : "", beneath) < 0)
        return -ENOMEM;
    recipient->node = *node;
    recipient->node.target = target;
    recipient->node.terms.remove = false;
    recipient->node.terms.attributes &= attributes;
    if (asprintf(&transfer->share, "%s/%02x", view, (uint8_t)node->share) < 0 ||
        asprintf(&transfer->list, "%s.%02x.list", view, (uint8_t)node->share) < 0 ||
        asprintf(&transfer->way, "%s.%02x.way", view, (uint8_t)node->share) < 0 ||
        asprintf(&transfer->theirs, "%s.%02x.theirs", view, (uint8_t)node->share) < 0 ||
        address_above(target, &transfer->above) < 0)
        return -ENOMEM;
    struct tree *tree = NULL;
    int r = tree_open(transfer->share, &tree);
    if (r == 0 && is_replaced(sending, i) && is_to_be_described(sending->set, tree))
        r = describe(sending, view, i);
    if (r == 0 && sending->due)
        r = prepare_key(sending, view, tree, i);
    recipient->target = (struct target){
        .tree = tree,
        .name = recipient->store ? store_name(recipient->store) : node->name,
        .share = node->share,
    };
    return r;
}

/* Chooses the symlinks that the daemon of node number I may have changed. Returns true if there are
 * any. */
static bool choose_links(struct sending *sending, size_t i, int *ret)
{
    const struct recipient *recipient = &sending->recipients[i];
    const struct transfer *transfer = &sending->transfers[i];
    uint64_t count = 0;

    if (!is_daemon(recipient) || transfer->result < 0)
        return false;
    int r = is_replaced(sending, i)
                ? sample_write(transfer->share, SAMPLE_SYMLINKS, 1, time(NULL) + 1, transfer->list,
                               rsync_mover.list_end, &count)
                : write_list(sending, i, TASK_COMPARE_BACK);
    if (r < 0)
        *ret = r;
    return r > 0 || count > 0;
}

/* Prepares TASK for node number I, according to the last task's result. Returns true if it has to
 * be done. */
static bool prepare_task(struct sending *sending, enum transfer_task task, size_t i, int *ret)
{
    struct transfer *transfer = &sending->transfers[i];
    const struct recipient *recipient = &sending->recipients[i];
    const struct memory *memory = &sending->set->nodes[i].memory;
    const bool fills = is_replaced(sending, i), failed = transfer->result < 0;

    strcpy(transfer->mount, memory->mount);
    transfer->known = !fills;
    transfer->goes_on = fills && task == TASK_REACH && memory->filling_since > 0 && transfer->ours;
    transfer->is_new = fills && task == TASK_REACH && !transfer->goes_on;
    transfer->checksum = transfer->everything = recipient->sends_key;
    if (recipient->sends_key)
        return true;
    if (task == TASK_COMPARE_BACK)
        return choose_links(sending, i, ret);
    if (fills || task == TASK_REACH || task == TASK_UPDATE)
        return fills && (task == TASK_REACH || (task == TASK_UPDATE && !failed));
    if (recipient->wanted == recipient->failed)
        return false;
    if (task == TASK_ROOT)
        return !failed && recipient->node.mover == &rsync_mover &&
               (transfer->place || recipient->has_root);
    int r = write_list(sending, i, task);
    if (r < 0)
        *ret = r;
    return r >= 0;
}

/* Does TASK for those of the nodes FIRST to END that need it. PLACE as in struct transfer. */
static int run_task(struct sending *sending, enum transfer_task task, size_t first, size_t end,
                    char *place)
{
    struct run *run = &sending->run;
    int r = 0;

    for (size_t i = first; r == 0 && i < end; i++) {
        struct transfer *transfer = &sending->transfers[i];
        *transfer = (struct transfer){
            .node = &sending->recipients[i].node,
            .task = task,
            .share = transfer->share,
            .list = transfer->list,
            .way = transfer->way,
            .place = place,
            .above = transfer->above,
            .ours = transfer->ours,
            .theirs = transfer->theirs,
            .set =
                transfer->ours && (task == TASK_UPDATE || task == TASK_REACH) ? sending->set : NULL,
            .seal =
                sending->set->seal.known && is_replaced(sending, i) ? &sending->set->seal : NULL,
            .keys = is_replaced(sending, i) ? sending->recipients[i].keys : NULL,
            .result = transfer->result,
            .done = transfer->done,
            .context = sending,
            .moved = moved,
            .happened = transfer_happened,
        };
        if (prepare_task(sending, task, i, &r)) {
            transfer->step = TRANSFER_WAITING;
            transfer->result = 0;
            transfer->done = (struct counts){0};
        }
    }
    if (r < 0)
        return r;
    run->transfers = sending->transfers + first;
    run->count = end - first;
    run_transfers(run);
    for (size_t i = first; i < end; i++) {
        struct transfer *transfer = &sending->transfers[i];
        sending->recipients[i].is_unfinished |= transfer->result < 0 || transfer->tries > 1;
        const bool is_back = task == TASK_COMPARE_BACK, differs = transfer->different > 0;
        if (transfer->step != TRANSFER_DONE || (transfer->result == 0 && !(is_back && differs)) ||
            run->stop || (task == TASK_COMPARE && differs))
            continue;
        log_error("%s/%s: %s", sending->set->name, transfer->node->name,
                  is_back && differs ? RSYNC_CHANGES_LINKS : transfer->reason);
        if (is_replaced(sending, i) && (differs || !is_back))
            atomic_fetch_add(&sending->copying->counts[COPY_FAILED], 1);
        /* A comparison tells which files differ, and which symlinks if these were asked for. */
        for (size_t at = 0; at < sending->count; at++) {
            struct wanted *wanted = &sending->wanted[at];
            if (wanted->node == i && (is_back                ? !differs && S_ISLNK(wanted->kind)
                                      : task == TASK_COMPARE ? true
                                                             : !S_ISREG(wanted->kind)))
                fail_wanted(sending, wanted, NULL);
        }
        if (is_back) /* even if it cannot be read, a place can be filled */
            transfer->result = differs ? -EIO : 0;
    }
    return run->stop ? -ECANCELED : 0;
}

/*
 * Notes in the state, before anything is sent, that an interrupted run may leave something for the
 * next sync to remove, and that a new place is being filled from now on.
 */
static int note_begin(struct sending *sending, bool is_left[])
{
    struct sync_set *set = sending->set;

    for (size_t i = 0; i < set->count; i++) {
        struct memory *memory = &set->nodes[i].memory;
        const bool fills = is_replaced(sending, i) && sending->transfers[i].result == 0;
        is_left[i] = memory->unfinished_since > 0;
        if (fills && memory->filling_since == 0) {
            names_clear(&memory->different);
            *memory = (struct memory){.filling_since = sending->began};
            strcpy(memory->mount, sending->transfers[i].mount);
        }
        if (!is_left[i] && (fills || sending->recipients[i].wanted > 0))
            memory->unfinished_since = sending->began;
    }
    return state_write(sending->folder, set);
}

/* Notes that the new share is as new as the oldest of the k newest stores. */
static void remember_filled(const struct sending *sending, struct memory *memory)
{
    const struct sync_set *set = sending->set;
    time_t newest = 0;

    memory->filling_since = 0;
    memory->tried = sending->began;
    state_encoding(&set->encoding, memory->encoding);
    for (size_t i = 0; i < set->count; i++) {
        const struct memory *one = &set->nodes[i].memory;
        size_t as_new = 0;
        for (size_t at = 0; at < set->count; at++) {
            const struct memory *other = &set->nodes[at].memory;
            as_new += sending->recipients[at].store && other->as_of >= one->as_of &&
                      other->differs_since == 0 && strcmp(other->encoding, memory->encoding) == 0;
        }
        newest = one->as_of > newest ? one->as_of : newest;
        if (as_new < set->encoding.required || one->as_of <= memory->as_of)
            continue;
        memory->as_of = one->as_of;
        memory->files = one->files;
        memory->bytes = one->bytes;
    }
    memory->first_tried = memory->as_of > 0 ? 0 : sending->began;
    memory->up_to_date = memory->as_of > 0 && memory->as_of == newest;
}

/* Returns true if everything that the last sync found to differ from what it had sent is mended. */
static bool is_mended(const struct sending *sending, size_t node)
{
    const struct names *different = &sending->set->nodes[node].memory.different;
    bool ret = different->count > 0 && !*set_stores_beneath(sending->options);

    for (size_t i = 0; i < different->count && ret; i++) {
        const struct wanted key = {.node = node, .path = (char *)names_get(different, i)};
        const struct wanted *wanted =
            bsearch(&key, sending->wanted, sending->count, sizeof key, compare_wanted);
        ret = wanted && wanted->need == NEED_CONTENT && !wanted->failed;
    }
    return ret;
}

static int note_end(struct sending *sending, const bool is_left[])
{
    for (size_t i = 0; i < sending->set->count; i++) {
        struct memory *memory = &sending->set->nodes[i].memory;
        if (!is_left[i] && !sending->recipients[i].is_unfinished)
            memory->unfinished_since = 0;
        if (is_replaced(sending, i) && sending->transfers[i].result == 0)
            remember_filled(sending, memory);
        if (is_mended(sending, i)) {
            memory->differs_since = 0;
            names_clear(&memory->different);
        }
    }
    return state_write(sending->folder, sending->set);
}

/*
 * Sends to node number I. The root gets its metadata first, while the stores show it, and its time
 * last, because names in it have changed: the time of our own empty directory.
 */
static int send_to_node(struct sending *sending, size_t i)
{
    int r = run_task(sending, TASK_ROOT, i, i + 1, NULL);

    if (r == 0)
        r = run_task(sending, TASK_RESEND, i, i + 1, NULL);
    return r == 0 ? run_task(sending, TASK_ROOT, i, i + 1, sending->root) : r;
}

/* Describes a new place before it is filled, so that a resumed run recognizes it. */
static int mark_place(struct sending *sending, size_t i)
{
    struct transfer *transfer = &sending->transfers[i];
    char *share = transfer->share, *ours = transfer->ours;

    if (!ours || sending->set->seal.known) /* sealed shares identify themselves */
        return 0;
    transfer->share = ours;
    transfer->ours = NULL;
    int r = run_task(sending, TASK_UPDATE, i, i + 1, NULL);
    transfer->share = share;
    transfer->ours = ours;
    return r;
}

/* Sends nodes their missing parts of the key, except a new place, which got its part when it was
 * filled. */
static int send_keys(struct sending *sending, struct keys_found *found)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < sending->set->count; i++) {
        struct transfer *transfer = &sending->transfers[i];
        struct recipient *recipient = &sending->recipients[i];
        char *share = transfer->share;
        if (!recipient->keys || is_replaced(sending, i))
            continue;
        transfer->share = recipient->keys;
        recipient->sends_key = true;
        r = run_task(sending, TASK_UPDATE, i, i + 1, NULL);
        recipient->sends_key = false;
        transfer->share = share;
        found->mended += r == 0 && transfer->result == 0;
    }
    return r;
}

/* Makes the empty directory that has the time that roots should have. */
static int make_root(struct sending *sending, const char *view)
{
    struct stat status;

    if (asprintf(&sending->root, "%s.root", view) < 0) {
        sending->root = NULL;
        return -ENOMEM;
    }
    int r = tree_stat(sending->recipients[0].target.tree, "", &status);
    const struct timespec times[] = {status.st_atim, status.st_mtim};
    if (r == 0 && (mkdir(sending->root, 0700) < 0 ||
                   utimensat(AT_FDCWD, sending->root, times, AT_SYMLINK_NOFOLLOW) < 0))
        r = -errno;
    return r < 0 ? log_errno(r, "%s", sending->root) : 0;
}

/* Sends what is wanted, and compares it. */
static int send_all(struct sending *sending, bool *ret_filled)
{
    struct sync_set *set = sending->set;
    cleanup_free bool *is_left = calloc(set->count, sizeof *is_left);
    uint64_t files = 0;

    int r = is_left ? note_begin(sending, is_left) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < set->count; i++)
        r = send_to_node(sending, i);
    for (size_t i = 0; r == 0 && i < set->count; i++)
        r = is_replaced(sending, i) ? mark_place(sending, i) : 0;
    if (r == 0 && sending->options->replaced)
        r = run_task(sending, TASK_UPDATE, 0, set->count, NULL);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        const struct transfer *transfer = &sending->transfers[i];
        if (!is_replaced(sending, i) || transfer->result < 0)
            continue;
        files = transfer->done.files;
        *ret_filled = true;
        output_text(COLOUR_NONE, "%s/%s: filled with share %02x, %s file%s (%s)", set->name,
                    set->nodes[i].name, (uint8_t)set->nodes[i].share, show_count(files).text,
                    plural(files), show_bytes(transfer->done.bytes).text);
        output_json("filled",
                    json_pack("{s:s, s:s, s:o, s:I, s:I}", "set", set->name, "node",
                              set->nodes[i].name, "share",
                              json_sprintf("%02x", (uint8_t)set->nodes[i].share), "files",
                              (json_int_t)files, "bytes", (json_int_t)transfer->done.bytes));
        atomic_fetch_add(&sending->copying->counts[COPY_MADE], files);
    }
    if (r == 0)
        r = run_task(sending, TASK_COMPARE, 0, set->count, NULL);
    if (r == 0)
        r = run_task(sending, TASK_COMPARE_BACK, 0, set->count, NULL);
    if (r == 0 || r == -ECANCELED) {
        int noted = note_end(sending, is_left);
        r = r == 0 ? noted : r;
    }
    return r;
}

/* Says which place a dry run would fill, and where it would be. */
static void tell_filling(const struct sending *sending)
{
    for (size_t i = 0; i < sending->set->count; i++) {
        const struct sync_node *node = &sending->set->nodes[i];
        if (is_replaced(sending, i) && sending->transfers[i].result == 0)
            output_text(COLOUR_NONE, "%s/%s: would be filled with share %02x", sending->set->name,
                        node->name, (uint8_t)node->share);
    }
}

/* Finds out which parts of the key nodes lack; a dry run reports them. */
static int find_keys(struct sending *sending, struct keys_found *found)
{
    struct sync_set *set = sending->set;

    if (!sets_is_sealed(set) || *set_stores_beneath(sending->options))
        return 0;
    int r = due_find(sending->options, set, found, &sending->due);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        const struct recipient *recipient = &sending->recipients[i];
        const bool takes_part = is_replaced(sending, i) || (recipient->store && !recipient->left);
        if (takes_part || !sending->due[i].differs)
            continue;
        sending->due[i].differs = false;
        found->wrong--;
    }
    for (size_t i = 0; r == 0 && sending->options->dry_run && i < set->count; i++) {
        if (sending->due[i].differs)
            output_text(COLOUR_BAD,
                        "%s/%s: its share of the key is missing or wrong; repair makes "
                        "it again",
                        set->name, set->nodes[i].name);
    }
    return r;
}

/* Reports what was made, or would be made. */
static void tell_made(const struct sending *sending, void *context,
                      void (*report)(void *context, const struct copy_event *event))
{
    for (size_t i = 0; i < sending->count; i++) {
        const struct wanted *wanted = &sending->wanted[i];
        const struct copy_event event = {
            .kind = wanted->need == NEED_CONTENT ? COPY_MADE : COPY_TOUCHED,
            .path = log_path(wanted->path),
            .target = &sending->recipients[wanted->node].target,
        };
        if (!wanted->failed && wanted->need != NEED_NOTHING)
            report(context, &event);
    }
}

int sending_run(struct sending *sending, void *context,
                void (*report)(void *context, const struct copy_event *event), bool *ret_filled,
                struct keys_found *ret_keys)
{
    const struct options *options = sending->options;
    const char *view;
    bool attributes = false;
    int r = sending->failed ? -ENOMEM : 0;

    *ret_filled = false;
    sort(sending);
    for (size_t i = 0; i < sending->count; i++) {
        struct recipient *recipient = &sending->recipients[sending->wanted[i].node];
        recipient->wanted++;
        recipient->has_root |= !*sending->wanted[i].path;
    }
    for (size_t i = 0; i < sending->set->count; i++) {
        const struct store *store = sending->recipients[i].store;
        attributes |= store && !store_is_remote(store);
    }
    if (r == 0)
        r = find_keys(sending, ret_keys);
    if (r < 0 || (sending->count == 0 && !options->replaced && ret_keys->wrong == 0))
        return r == -ENOMEM ? log_errno(r, "repair") : r;
    if (r == 0)
        r = set_stores_show(options, &view);
    for (size_t i = 0; r == 0 && i < sending->set->count; i++)
        r = prepare_node(sending, view, i, attributes);
    if (r == 0 && options->replaced)
        r = run_task(sending, TASK_REACH, 0, sending->set->count, NULL);
    if (r == 0) {
        look_at_view(sending);
        refuse_empty_directories(sending);
        for (size_t i = 0; r == 0 && i < sending->count; i++)
            r = look_for_links(sending, &sending->wanted[i]);
    }
    if (r == 0 && !options->dry_run)
        r = look_again(sending);
    if (r == 0 && !options->dry_run)
        r = make_root(sending, view);
    if (r == 0 && !options->dry_run)
        r = send_all(sending, ret_filled);
    if (r == 0 && !options->dry_run)
        r = send_keys(sending, ret_keys);
    if (r == 0 && options->dry_run)
        tell_filling(sending);
    if (r == 0)
        tell_made(sending, context, report);
    return r == -ENOMEM ? log_errno(r, "repair") : r;
}
