/* SPDX-License-Identifier: MIT */
#include "view/rebuilt_key.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "restore/look.h"
#include "seal/key_search.h"

#include <stdlib.h>
#include <string.h>

struct rebuilt_key {
    struct header_writer writer;
    struct stores *stores;
    pthread_mutex_t lock;
    struct found_key *files; /* that last gave the key */
    size_t count;
    uint64_t looked_us; /* when the stores were last asked; 0: never */
    bool there;         /* the stores gave the key then */
    bool told;          /* it was logged that there were too few files */
};

static void forget_files(struct rebuilt_key *key)
{
    if (key->files) /* together they contain the key */
        explicit_bzero(key->files, key->count * sizeof *key->files);
    free(key->files);
    key->files = NULL;
    key->count = 0;
}

/* A share that was shown stays available, by the same files, even if stores have left since. */
static void write_rebuilt(const struct header_writer *writer, uint8_t index,
                          uint8_t ret[KEY_SHARE_SIZE], struct timespec *ret_time)
{
    struct rebuilt_key *key = (struct rebuilt_key *)writer;

    HOLD(&key->lock);
    if (key_search_rebuild(key->files, key->count, index, ret) < 0)
        memset(ret, 0, KEY_SHARE_SIZE);
    *ret_time = key_share_time(ret);
}

int rebuilt_key_new(struct stores *stores, struct rebuilt_key **ret)
{
    struct rebuilt_key *key = calloc(1, sizeof *key);

    if (!key)
        return -ENOMEM;
    key->writer.write = write_rebuilt;
    key->stores = stores;
    pthread_mutex_init(&key->lock, NULL);
    *ret = key;
    return 0;
}

void rebuilt_key_free(struct rebuilt_key *key)
{
    forget_files(key);
    pthread_mutex_destroy(&key->lock);
    free(key);
}

/* Reads the answer of store number STORE; returns true if it is a part of a key that needs K
 * files. */
static bool read_answer(const struct inquiry *looks, size_t store, struct found_key *ret)
{
    const struct look *look = inquiry_result(looks, store) == 0 ? look_answer(looks, store) : NULL;

    if (!look || !S_ISREG(look->object.status.st_mode) ||
        look->object.status.st_size != KEY_SHARE_SIZE)
        return false;
    ret->read = key_share_read(look->start, look->start_size, &ret->share) == 0;
    return ret->read;
}

/*
 * Reads the stores' files, and keeps them if they give the key. Returns 0, or why they do not;
 * -ENOENT if no store has one. K is what the stores' headers say, because a single file proves
 * none.
 */
static int read_files(struct rebuilt_key *key)
{
    cleanup_inquiry struct inquiry looks = NO_INQUIRY;
    uint8_t bytes[KEY_SHARE_SIZE];
    bool any = false;

    int r = inquiry_make(key->stores, KEY_SHARE_NAME, NULL, &look_kind, NULL, &looks);
    if (r < 0)
        return r;
    const size_t count = looks.list->count;
    struct found_key *files = calloc(count + 1, sizeof *files);
    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        any |= read_answer(&looks, i, &files[i]);
        files[i].read &= files[i].share.required == looks.list->quorum.required;
    }
    r = any ? seal_start() : -ENOENT;
    if (r == 0)
        r = key_search_rebuild(files, count, 0, bytes);
    if (r < 0) {
        explicit_bzero(files, count * sizeof *files);
        free(files);
        return r;
    }
    forget_files(key);
    key->files = files;
    key->count = count;
    return 0;
}

const struct header_writer *rebuilt_key_find(struct rebuilt_key *key)
{
    const uint64_t now = clock_now();

    HOLD(&key->lock);
    if (key->looked_us == 0 || now - key->looked_us >= CLOCK_SECOND) {
        int r = read_files(key);
        key->looked_us = now;
        key->there = r == 0;
        if (r < 0 && r != -ENOENT && !key->told)
            log_warning("the rebuilt shares have no file %s: %s", KEY_SHARE_NAME,
                        key_search_error(r));
        key->told = r < 0 && r != -ENOENT;
    }
    return key->there ? &key->writer : NULL;
}
