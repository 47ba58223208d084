/* SPDX-License-Identifier: MIT */
#include "cli/sending_keys.h"

#include "base/log.h"
#include "cli/set_key.h"
#include "cli/set_stores.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Refuses KEY where it has no passphrase and a node's part of it has one, since all nodes could be
 * opened without it then. Warns where the nodes' passphrase is replaced.
 */
static int refuse_old_key(const struct options *options, const struct master_key *key,
                          const uint8_t id[SET_ID_SIZE], const struct sync_set *set,
                          const struct found_key *files)
{
    size_t others = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct key_share *part = &files[i].share;
        if (!files[i].read || memcmp(part->set_id, id, SET_ID_SIZE) != 0 || !part->has_passphrase)
            continue;
        if (!key->has_passphrase)
            return log_as(-EKEYREJECTED,
                          "%s/%s: its part of the key has a passphrase, and %s has none: no part "
                          "is made again; if it is an old copy, put the newer one back; zfec-fs "
                          "sync --adopt takes the passphrase off",
                          set->name, set->nodes[i].name, options->key);
        others += memcmp(&part->stretch, &key->stretch, sizeof key->stretch) != 0;
    }
    if (others > 0)
        log_error("%s: %zu node%s another passphrase than %s, and %s part of the key is made "
                  "again with its own; if it is an old copy, so is that",
                  set->name, others, others == 1 ? " has" : "s have", options->key,
                  others == 1 ? "its" : "their");
    return 0;
}

/* Makes what nodes are due from the key itself. */
static int make_due(const struct options *options, struct sync_set *set,
                    const struct found_key *files, struct node_due due[], struct keys_found *found)
{
    cleanup_secret struct master_key *key = NULL;
    uint8_t id[SET_ID_SIZE];

    int r = key_file_read(options->key, &key);
    if (r < 0)
        return r;
    r = master_key_id(key, id);
    if (r < 0)
        return log_errno(r, "%s", options->key);
    found->contested = set->seal.on_nodes && refuse_old_key(options, key, id, set, files) < 0;
    r = set_key_learn(set, id);
    for (size_t i = 0; r == 0 && set->seal.on_nodes && !found->contested && i < set->count; i++) {
        r = key_share_make(key, set->encoding.required, (unsigned)set->nodes[i].share,
                           due[i].bytes);
        due[i].known = r == 0;
        if (r < 0)
            log_errno(r, "%s", options->key);
    }
    return r;
}

/* Makes what nodes are due from what the nodes have. */
static int rebuild_due(struct sync_set *set, const struct found_key *files, struct node_due due[],
                       struct keys_found *found)
{
    struct key_share share;
    int r = 0;

    for (size_t i = 0; r == 0 && i < set->count; i++) {
        r = key_search_rebuild(files, set->count, (uint8_t)set->nodes[i].share, due[i].bytes);
        due[i].known = r == 0;
    }
    if (r < 0) {
        found->lost = true;
        log_error("%s: the nodes have too few good shares of their key; keep the file of the key "
                  "safe, and give it with key =",
                  set->name);
        return r == -ENOMEM ? r : 0;
    }
    r = key_share_read(due[0].bytes, KEY_SHARE_SIZE, &share);
    return r < 0 ? log_errno(r, "%s: its key", set->name) : set_key_learn(set, share.set_id);
}

static void free_files(struct found_key *files, size_t count)
{
    if (files) /* together they contain the key */
        explicit_bzero(files, count * sizeof *files);
    free(files);
}

int due_find(const struct options *options, struct sync_set *set, struct keys_found *found,
             struct node_due **ret)
{
    struct found_key *files = calloc(set->count, sizeof *files);
    struct node_due *due = *ret = calloc(set->count, sizeof *due);
    bool any = false;

    *found = (struct keys_found){0};
    int r = files && due ? seal_start() : -ENOMEM;
    if (r < 0)
        log_errno(r, "%s: its key", set->name);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        const char *path = set_stores_path(options, i);
        files[i].read = path && node_key_read(path, &files[i].share) == 0;
        any |= files[i].read;
    }
    if (r == 0 && options->key)
        r = make_due(options, set, files, due, found);
    else if (r == 0 && any)
        r = rebuild_due(set, files, due, found);
    for (size_t i = 0; r == 0 && i < set->count; i++) {
        due[i].differs =
            due[i].known && set_stores_path(options, i) &&
            !(files[i].read && seal_equal(files[i].share.bytes, due[i].bytes, KEY_SHARE_SIZE));
        found->wrong += due[i].differs;
    }
    free_files(files, set->count);
    return r;
}

void due_free(struct node_due *due, size_t count)
{
    if (due)
        explicit_bzero(due, count * sizeof *due);
    free(due);
}

int due_write(const struct node_due *due, const char *folder)
{
    const struct timespec time = key_share_time(due->bytes), times[] = {time, time};
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/" KEY_SHARE_NAME, folder) < 0)
        return -ENOMEM;
    if (mkdir(folder, 0700) < 0)
        return -errno;
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const ssize_t written = fd < 0 ? -1 : write(fd, due->bytes, KEY_SHARE_SIZE);
    if (written < 0 || futimens(fd, times) < 0)
        return -errno;
    return written == KEY_SHARE_SIZE ? 0 : -ENOSPC;
}
