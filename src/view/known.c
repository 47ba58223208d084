/* SPDX-License-Identifier: MIT */
#include "view/known.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "base/times.h"
#include "share/block.h"
#include "view/status.h"

#include <pthread.h>
#include <string.h>

enum {
    PLACES = 4096, /* each for one content */
    KEPT_BYTES = 16 << 20,
};

struct known {
    pthread_mutex_t lock;
    uint64_t last_number;
    size_t kept;   /* bytes of contents that are not in use */
    uint64_t hand; /* where to look next for a content to drop */
    struct known_content *places[PLACES];
};

int known_new(struct known **ret)
{
    struct known *known = calloc(1, sizeof *known);

    if (!known)
        return -ENOMEM;
    pthread_mutex_init(&known->lock, NULL);
    *ret = known;
    return 0;
}

static void content_free(struct known_content *content)
{
    share_set_free(content->shares);
    free(content);
}

/* Drops the content at a place, unless it is in use. Returns true if the place is then free. */
static bool clear(struct known *known, struct known_content **place)
{
    if (*place && (*place)->users > 0)
        return false;
    if (*place) {
        known->kept -= (*place)->size;
        content_free(steal_pointer(*place));
    }
    return true;
}

void known_free(struct known *known)
{
    for (size_t i = 0; i < PLACES; i++)
        clear(known, &known->places[i]);
    pthread_mutex_destroy(&known->lock);
    free(known);
}

/* Returns true if any later change of each copy will show in its status, as only local stores
 * guarantee. */
static bool tell_changes(const struct share_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        if (store_is_remote(copy->store) ||
            copy->ballot.status.st_dev != store_device(copy->store) ||
            !status_is_settled(&copy->ballot.status))
            return false;
    }
    return true;
}

/* Returns true if both have the same files, unchanged, in the same order. */
static bool same_copies(const struct share_set *a, const struct share_set *b)
{
    bool same = a->count == b->count && a->room == b->room;

    for (size_t i = 0; same && i < a->count; i++) {
        const struct stat *x = &a->copies[i].ballot.status;
        const struct stat *y = &b->copies[i].ballot.status;
        same = a->facts[i].has_header == b->facts[i].has_header && x->st_dev == y->st_dev &&
               x->st_ino == y->st_ino && x->st_size == y->st_size &&
               times_compare(&x->st_mtim, &y->st_mtim) == 0 &&
               times_compare(&x->st_ctim, &y->st_ctim) == 0;
    }
    return same;
}

struct known_content *known_open(struct known *known, struct share_set *shares)
{
    bool lasting = share_set_is_whole(shares) && tell_changes(shares);
    uint8_t sum[HASH_SIZE];

    hash(shares->path, strlen(shares->path), 0, sum);
    struct known_content **place = &known->places[load_le64(sum) % PLACES];
    pthread_mutex_lock(&known->lock);
    struct known_content *content = *place;
    /* If the set is not whole, shares that others found bad may be good again. */
    if (content && (lasting || content->users > 0) &&
        strcmp(content->shares->path, shares->path) == 0 && same_copies(content->shares, shares) &&
        share_set_is_whole(content->shares)) {
        if (content->users++ == 0) {
            known->kept -= content->size;
            for (size_t i = 0; i < shares->count; i++)
                copy_take_file(&content->shares->copies[i], &shares->copies[i]);
        }
        pthread_mutex_unlock(&known->lock);
        share_set_free(shares); /* logs, so not under the lock */
        return content;
    }
    content = calloc(1, sizeof *content);
    if (content) {
        content->shares = shares;
        content->number = ++known->last_number;
        content->users = 1;
        content->lasting = lasting;
    }
    if (content && clear(known, place)) {
        content->place = place;
        *place = content;
    }
    pthread_mutex_unlock(&known->lock);
    return content;
}

void known_close(struct known *known, struct known_content *content)
{
    pthread_mutex_lock(&known->lock);
    bool last = --content->users == 0;
    bool kept = last && content->place && content->lasting && share_set_is_sound(content->shares);
    if (kept) { /* then its stores are local, and closing files is quick */
        for (size_t i = 0; i < content->shares->count; i++)
            copy_close(&content->shares->copies[i]);
        content->size = sizeof *content + sizeof *content->shares + strlen(content->shares->path) +
                        content->shares->room * (sizeof(struct copy) + sizeof(struct copy_facts));
        known->kept += content->size;
        for (size_t i = 0; i < PLACES && known->kept > KEPT_BYTES; i++)
            clear(known, &known->places[known->hand++ % PLACES]);
    } else if (last && content->place) {
        *content->place = NULL;
    }
    pthread_mutex_unlock(&known->lock);
    if (last && !kept)
        content_free(content);
}
