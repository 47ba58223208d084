/* SPDX-License-Identifier: MIT */
#include "cli/node_keys.h"

#include "base/io.h"
#include "base/log.h"
#include "base/names.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/passphrase_from.h"
#include "cli/places.h"
#include "cli/set_id.h"
#include "restore/look.h"
#include "seal/manifest.h"
#include "store/stores.h"
#include "tree/temporary.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Does not follow a symlink, which may lead out of the store, or open a pipe, which may hang. */
static int read_key(const char *store, struct found_key *ret)
{
    uint8_t bytes[KEY_SHARE_SIZE + 1];
    struct stat status;
    size_t size;
    cleanup_fd int directory = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int fd = directory < 0
                            ? -1
                            : openat(directory, KEY_SHARE_NAME,
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        return errno == ELOOP ? -EBADMSG : -errno;
    if (!S_ISREG(status.st_mode))
        return -EBADMSG;
    int r = io_read(fd, 0, bytes, sizeof bytes, &size);
    if (r == 0)
        r = key_share_read(bytes, size, &ret->share);
    ret->read = r == 0;
    return r;
}

int node_key_read(const char *store, struct key_share *ret)
{
    struct found_key found = {0};

    int r = read_key(store, &found);
    *ret = found.share;
    return r;
}

/* Takes what STORE answered. */
static int take_answer(const struct inquiry *looks, size_t store, struct found_key *ret)
{
    int r = inquiry_result(looks, store);
    const struct look *look = r == 0 ? look_answer(looks, store) : NULL;

    if (!look)
        return r;
    if (!S_ISREG(look->object.status.st_mode) || look->object.status.st_size != KEY_SHARE_SIZE)
        return -EBADMSG;
    r = key_share_read(look->start, look->start_size, &ret->share);
    ret->read = r == 0;
    return r;
}

/* Waits no longer than the time limit for stores. */
int node_keys_read(const struct options *options, struct node_keys *ret)
{
    const struct stores_terms terms = {.format = SHARE_CHECKED, .settled = true};
    cleanup_inquiry struct inquiry looks = NO_INQUIRY;
    cleanup_stores struct stores *stores = NULL;
    struct store_voice voice;

    *ret = (struct node_keys){0};
    int r = stores_open(options->source, &options->stores, &terms, &stores);
    if (r == 0)
        r = inquiry_make(stores, KEY_SHARE_NAME, NULL, &look_kind, NULL, &looks);
    if (r != 0)
        return r;
    const size_t count = looks.list->count;
    if (count == 0)
        return log_as(-ENOENT, "%s: no stores in it: are they mounted?", options->source);
    ret->nodes = calloc(count, sizeof *ret->nodes);
    ret->files = calloc(count, sizeof *ret->files);
    if (!ret->nodes || !ret->files)
        return log_errno(-ENOMEM, "the stores");
    for (size_t i = 0; i < count; i++) {
        ret->count++;
        ret->nodes[i].path = strdup(store_real_path(looks.list->stores[i]));
        ret->nodes[i].name = strdup(store_name(looks.list->stores[i]));
        if (!ret->nodes[i].path || !ret->nodes[i].name)
            return log_errno(-ENOMEM, "the stores");
        ret->nodes[i].error = take_answer(&looks, i, &ret->files[i]);
        ret->nodes[i].share =
            store_voice(looks.list->stores[i], &voice) && voice.share != NO_VOTE ? voice.share : -1;
    }
    return 0;
}

static int ask_passphrase(void *context, struct passphrase *ret)
{
    const struct options *options = context;

    return options->passphrase_file
               ? passphrase_from_file(options->passphrase_file, ret)
               : passphrase_from_terminal("Passphrase of the stores' key: ", false, ret);
}

/* Lets signals end the program while a passphrase is stretched, which may take long. */
static void take_stop_signals(sigset_t *ret_before)
{
    sigset_t stop;

    background_signals(&stop);
    sigdelset(&stop, background_signal(SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &stop, ret_before);
}

int node_keys_search(const struct options *options, const struct node_keys *keys,
                     const uint8_t *set_id, struct master_key **ret)
{
    const struct key_search search = {
        .required = options->required,
        .set_id = set_id,
        .passphrase_given = options->passphrase_file != NULL,
        .ask = ask_passphrase,
        .context = (void *)options,
    };
    sigset_t before;

    take_stop_signals(&before);
    int r = key_search(&search, keys->files, keys->count, ret);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* Adds a set that can be opened, and its stores: those that agree with store FIRST. */
static void add_group(struct draft *text, const struct node_keys *keys, size_t first, bool more)
{
    const uint8_t *id = keys->files[first].share.set_id;
    const char *between = "";

    draft_add(text, "%s%s (", more ? ", " : "", id_text(id).text);
    for (size_t i = 0; i < keys->count; i++) {
        if (!keys->files[i].opens || memcmp(keys->files[i].share.set_id, id, SET_ID_SIZE) != 0)
            continue;
        draft_add(text, "%s%s", between, keys->nodes[i].name);
        between = ", ";
    }
    draft_add(text, ")");
}

/* Returns true if store number I is the first of a set that can be opened. */
static bool is_first(const struct node_keys *keys, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (keys->files[j].opens &&
            memcmp(keys->files[i].share.set_id, keys->files[j].share.set_id, SET_ID_SIZE) == 0)
            return false;
    }
    return keys->files[i].opens;
}

char *node_keys_error(const struct node_keys *keys, int error)
{
    struct draft text = {0};

    draft_add(&text, "%s", key_search_error(error));
    if (error == -ENOTUNIQ) {
        draft_add(&text, ": ");
        for (size_t i = 0, count = 0; i < keys->count; i++) {
            if (is_first(keys, i))
                add_group(&text, keys, i, count++ > 0);
        }
        draft_add(&text, "; leave out the stores of one, or say which set with --id or id=");
    }
    return draft_take(&text);
}

void node_keys_clear(struct node_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->nodes[i].path);
        free(keys->nodes[i].name);
    }
    if (keys->files) /* together they contain the key */
        explicit_bzero(keys->files, keys->count * sizeof *keys->files);
    free(keys->nodes);
    free(keys->files);
    *keys = (struct node_keys){0};
}

/* Returns true if FOLDER has a manifest, as every directory of a sealed share does. */
static bool has_manifest(const char *folder)
{
    cleanup_free char *path = NULL;
    struct stat status;

    if (asprintf(&path, "%s/" MANIFEST_NAME, folder) < 0) {
        path = NULL;
        return false;
    }
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode);
}

int node_keys_refuse_store(const char *path)
{
    cleanup_whereabouts struct whereabouts own = {0};
    struct key_share there;

    int r = place_find(path, &own);
    if (r < 0)
        return r == -ENOMEM ? log_errno(r, "%s", path) : 0; /* opening it reports why */
    for (char *slash; (slash = strrchr(own.path, '/')) && slash > own.path;) {
        *slash = '\0';
        if (node_key_read(own.path, &there) == 0 || has_manifest(own.path))
            return log_as(-EINVAL,
                          "%s: lies in the store %s, which would have all of the key; choose "
                          "another place",
                          path, own.path);
    }
    return 0;
}

int node_keys_check_outside(const struct node_keys *keys, const char *path)
{
    cleanup_whereabouts struct whereabouts own = {0};

    int r = place_find(path, &own);
    for (size_t i = 0; r == 0 && i < keys->count; i++) {
        cleanup_whereabouts struct whereabouts store = {0};
        r = whereabouts_find(keys->nodes[i].path, &store);
        if (r == 0 && whereabouts_within(&own, &store))
            return log_as(-EINVAL,
                          "%s: lies in the store %s, which would have all of the key; "
                          "choose another place",
                          path, store.path);
    }
    return r < 0 ? log_errno(r, "%s", path) : 0;
}

/* Keeps the owner of the store's old file. Failures are ignored: storage may keep no owners or
 * times, which serve only tools. */
static int write_bytes(int directory, int fd, const uint8_t *bytes)
{
    const struct timespec time = key_share_time(bytes), times[] = {time, time};
    const ssize_t written = pwrite(fd, bytes, KEY_SHARE_SIZE, 0);
    struct stat before;

    if (written != KEY_SHARE_SIZE)
        return written < 0 ? -errno : -ENOSPC;
    if (fstatat(directory, KEY_SHARE_NAME, &before, AT_SYMLINK_NOFOLLOW) == 0 &&
        fchown(fd, before.st_uid, before.st_gid) < 0)
        log_info("the owner of a key: %s", strerrordesc_np(errno));
    if (futimens(fd, times) < 0)
        log_info("the time of a key: %s", strerrordesc_np(errno));
    return fsync(fd) < 0 ? -errno : 0;
}

/* Removes what killed runs left of the key in the root of a store, unless another run is active
 * there. */
static void remove_leftovers(int directory)
{
    cleanup_names struct names names = NO_NAMES;
    struct stat status;

    if ((flock(directory, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) ||
        names_add_listing(&names, fcntl(directory, F_DUPFD_CLOEXEC, 0)) < 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names_get(&names, i);
        if (temporary_is_name(name) &&
            fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_size <= KEY_SHARE_SIZE)
            unlinkat(directory, name, 0);
    }
}

static int write_key(const char *store, const uint8_t bytes[KEY_SHARE_SIZE], bool alone)
{
    char name[TEMPORARY_NAME_SIZE];
    cleanup_fd int directory = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int fd = -1;
    struct stat before;

    if (directory < 0 || fstat(directory, &before) < 0)
        return -errno;
    if (alone)
        remove_leftovers(directory);
    int r = temporary_file(directory, name, &fd);
    if (r < 0)
        return r;
    r = write_bytes(directory, fd, bytes);
    if (r == 0 && renameat(directory, name, directory, KEY_SHARE_NAME) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(directory, name, 0);
    /* The root has the source's time. */
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    futimens(directory, times);
    return r < 0 ? r : fsync(directory) < 0 ? -errno : 0;
}

int node_key_write(const struct node_keys *keys, size_t i, const uint8_t bytes[KEY_SHARE_SIZE])
{
    return write_key(keys->nodes[i].path, bytes, true);
}

/* Reads the files of the stores in ROSTER. */
static int read_roster(const struct roster *roster, struct node_keys *ret)
{
    bool any = false;

    *ret = (struct node_keys){
        .nodes = calloc(roster->count + 1, sizeof *ret->nodes),
        .files = calloc(roster->count + 1, sizeof *ret->files),
    };
    if (!ret->nodes || !ret->files)
        return log_errno(-ENOMEM, "the keys of the stores");
    for (; ret->count < roster->count; ret->count++) {
        const struct store *store = roster->entries[ret->count].store;
        struct node_key *node = &ret->nodes[ret->count];
        node->error = read_key(store_real_path(store), &ret->files[ret->count]);
        any |= ret->files[ret->count].read;
    }
    int r = any ? seal_start() : 0;
    return r < 0 ? log_errno(r, "the keys of the stores") : any;
}

/* Compares the file of ENTRY's store, read as FOUND, with the right one, and mends it. */
static void settle(const struct roster_entry *entry, const struct node_keys *keys, size_t place,
                   const uint8_t right[KEY_SHARE_SIZE], bool write, struct keys_found *ret)
{
    const struct found_key *found = &keys->files[place];
    const char *name = store_short_name(entry->store);

    if (found->read && seal_equal(found->share.bytes, right, KEY_SHARE_SIZE))
        return;
    ret->wrong++;
    const char *what = keys->nodes[place].error == -ENOENT ? "missing" : "wrong";
    if (!write) {
        output_text(COLOUR_BAD, "store %s: its share of the key is %s; repair makes it again", name,
                    what);
        return;
    }
    int r = write_key(store_real_path(entry->store), right, false);
    if (r < 0)
        log_errno(r, "%s: its share of the key is %s, and cannot be written", name, what);
    else
        ret->mended++;
}

/* Says why the right files are not known. */
static void tell_unsettled(int error, struct keys_found *ret)
{
    ret->lost = error != -ENOTUNIQ;
    ret->contested = error == -ENOTUNIQ;
    if (ret->lost) {
        log_error(
            "the stores have too few good shares of their key; keep the file of the key safe, "
            "and give it with --key FILE");
        return;
    }
    log_error(
        "the stores have all of two keys, or of one with two passphrases, and nothing but the "
        "right one tells which: their files key stay; zfec-fs key passphrase FILE STORES "
        "makes them anew");
}

int node_keys_settle(const struct roster *roster, bool write, struct keys_found *ret)
{
    cleanup_node_keys struct node_keys keys = {0};
    uint8_t right[KEY_SHARE_SIZE];

    *ret = (struct keys_found){0};
    int r = read_roster(roster, &keys);
    if (r <= 0)
        return r;
    r = key_search_rebuild(keys.files, keys.count, 0, right);
    if (r == -ENOTUNIQ) {
        tell_unsettled(r, ret);
        return 0;
    }
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        if (entry->share < 0 || entry->share >= KEY_SHARES_MAX || entry->left)
            continue;
        r = key_search_rebuild(keys.files, keys.count, (uint8_t)entry->share, right);
        if (r < 0) {
            tell_unsettled(r, ret);
            return 0;
        }
        settle(entry, &keys, i, right, write, ret);
    }
    return 0;
}

bool node_keys_have_set(const struct node_keys *keys, size_t i)
{
    const struct key_share *share = &keys->files[i].share;
    unsigned found = 0;

    for (size_t j = 0; keys->files[i].read && j < keys->count; j++)
        found += keys->files[j].read &&
                 memcmp(keys->files[j].share.set_id, share->set_id, SET_ID_SIZE) == 0;
    return keys->files[i].read && found >= share->required;
}

/* What is of one set would be replaced by what is of the other, which has the same names. */
static void leave_two_sets(struct roster *roster, const struct node_keys *keys)
{
    const struct found_key *first = NULL, *second = NULL;

    for (size_t i = 0; i < keys->count; i++) {
        const struct found_key *file = &keys->files[i];
        if (!node_keys_have_set(keys, i))
            continue;
        if (!first)
            first = file;
        else if (memcmp(file->share.set_id, first->share.set_id, SET_ID_SIZE) != 0)
            second = file;
    }
    if (!second)
        return;
    log_error(
        "the stores hold shares of two sets, %s and %s: nothing is written; take the stores of one "
        "out, or give the key of one with --key",
        id_text(first->share.set_id).text, id_text(second->share.set_id).text);
    for (size_t i = 0; i < roster->count; i++)
        roster_leave(&roster->entries[i]);
}

int node_keys_leave_others(struct roster *roster)
{
    cleanup_node_keys struct node_keys keys = {0};
    uint8_t right[KEY_SHARE_SIZE];
    struct key_share ours;

    int r = read_roster(roster, &keys);
    if (r <= 0)
        return r;
    r = key_search_rebuild(keys.files, keys.count, 0, right);
    if (r == -ENOTUNIQ)
        leave_two_sets(roster, &keys);
    if (r < 0 || key_share_read(right, sizeof right, &ours) < 0)
        return 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entries[i];
        if (!keys.files[i].read || entry->added ||
            memcmp(keys.files[i].share.set_id, ours.set_id, SET_ID_SIZE) == 0)
            continue;
        log_error("store %s: its key is of another set: nothing is written there; take it out, or "
                  "empty it",
                  store_name(entry->store));
        roster_leave(entry);
    }
    return 0;
}
