/* SPDX-License-Identifier: MIT */
#include "view/known.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "share/block.h"
#include "view/status.h"

#include <pthread.h>
#include <string.h>

enum {
    PLACES = 4096, /* one content at each */
    KEPT_BYTES = 16 << 20,
};

struct known {
    pthread_mutex_t lock;
    uint64_t last_number;
    size_t kept;   /* bytes of contents that are not in use */
    uint64_t hand; /* where to look next for one to give up */
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

/* Gives up what is at a place, unless it is in use. Returns true if the place is free then. */
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

/* Returns true if the next change of each copy will be seen in its status; only local stores tell.
 */
static bool tell_changes(const struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++) {
        const struct copy *copy = &copies->items[i];
        if (store_is_remote(copy->store) || copy->status.st_dev != store_device(copy->store) ||
            !status_is_settled(&copy->status))
            return false;
    }
    return true;
}

/* Returns true if these are the same files, unchanged, in the same order. */
static bool same_copies(const struct copies *a, const struct copies *b)
{
    bool same = a->count == b->count && a->room == b->room;

    for (size_t i = 0; same && i < a->count; i++) {
        const struct stat *x = &a->items[i].status, *y = &b->items[i].status;
        same = a->items[i].facts.has_header == b->items[i].facts.has_header &&
               x->st_dev == y->st_dev && x->st_ino == y->st_ino && x->st_size == y->st_size &&
               status_same_time(&x->st_mtim, &y->st_mtim) &&
               status_same_time(&x->st_ctim, &y->st_ctim);
    }
    return same;
}

/* Returns the content that SHARES have, which is another one's if that is known; NULL without
 * memory. */
static struct known_content *find_or_add(struct known *known, const char *path,
                                         struct share_set *shares)
{
    size_t length = strlen(path);
    uint8_t sum[HASH_SIZE];

    bool lasting = share_set_is_whole(shares) && tell_changes(share_set_copies(shares));
    hash(path, length, 0, sum);
    struct known_content **place = &known->places[load_le64(sum) % PLACES], *content;
    HOLD(&known->lock);
    content = *place;
    /* Of what is not whole, what others found bad may be good again. */
    if (content && (lasting || content->users > 0) && strcmp(content->path, path) == 0 &&
        same_copies(share_set_copies(content->shares), share_set_copies(shares)) &&
        share_set_is_whole(content->shares)) {
        if (content->users++ == 0) {
            known->kept -= content->size;
            copies_take_files(share_set_copies(content->shares), share_set_copies(shares));
        }
        return content;
    }
    content = calloc(1, sizeof *content + length + 1);
    if (!content)
        return NULL;
    memcpy(content->path, path, length);
    content->shares = shares;
    content->number = ++known->last_number;
    content->users = 1;
    content->lasting = lasting;
    if (clear(known, place)) {
        content->place = place;
        *place = content;
    }
    return content;
}

struct known_content *known_open(struct known *known, const char *path, struct share_set *shares)
{
    struct known_content *content = find_or_add(known, path, shares);

    if (content && content->shares != shares)
        share_set_free(shares); /* which logs, and so not with the lock held */
    return content;
}

void known_close(struct known *known, struct known_content *content)
{
    pthread_mutex_lock(&known->lock);
    bool last = --content->users == 0;
    bool kept = last && content->place && content->lasting && share_set_is_sound(content->shares);
    if (kept) { /* and so in local stores: to close their files takes no time */
        copies_close_files(share_set_copies(content->shares));
        content->size = sizeof *content + share_set_size(content->shares);
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
