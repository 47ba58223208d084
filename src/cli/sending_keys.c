/* SPDX-License-Identifier: MIT */
#include "cli/sending_keys.h"

#include "base/log.h"
#include "cli/set_key.h"
#include "cli/set_stores.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Makes what nodes are due from the key itself. */
static int make_due(const struct options *options, struct sync_set *set, struct node_due due[])
{
    cleanup_secret struct master_key *key = NULL;
    uint8_t id[SET_ID_SIZE];

    int r = key_file_read(options->key, &key);
    if (r < 0)
        return r;
    r = master_key_id(key, id);
    if (r < 0)
        return log_errno(r, "%s", options->key);
    r = set_key_learn(set, id);
    for (size_t i = 0; r == 0 && set->seal.on_nodes && i < set->count; i++) {
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
        r = make_due(options, set, due);
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
