/* SPDX-License-Identifier: MIT */
#include "view/known.h"

#include "base/bytes.h"
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
    pthread_cond_t closed; /* the files of a content are */
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
    pthread_cond_init(&known->closed, NULL);
    *ret = known;
    return 0;
}

static void content_free(struct known_content *content)
{
    share_set_free(content->shares);
    free(content->path);
    free(content);
}

void known_free(struct known *known)
{
    for (size_t i = 0; i < PLACES; i++) {
        if (known->places[i])
            content_free(known->places[i]);
    }
    pthread_cond_destroy(&known->closed);
    pthread_mutex_destroy(&known->lock);
    free(known);
}

/* Returns true if the next change of each copy will be seen in its status; elsewhere no one knows.
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

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           status_same_time(&a->st_mtim, &b->st_mtim) && status_same_time(&a->st_ctim, &b->st_ctim);
}

/* Returns true if these are the same files, unchanged, in the same order. */
static bool same_copies(const struct copies *a, const struct copies *b)
{
    bool same = a->count == b->count && a->room == b->room;

    for (size_t i = 0; same && i < a->count; i++)
        same = a->items[i].facts.has_header == b->items[i].facts.has_header &&
               same_file(&a->items[i].status, &b->items[i].status);
    return same;
}

static struct known_content **place_of(struct known *known, const char *path)
{
    uint8_t sum[HASH_SIZE];

    hash(path, strlen(path), 0, sum);
    return &known->places[load_le64(sum) % PLACES];
}

/* Gives up what has been at a place, unless it is in use. Returns true if the place is free. */
static bool clear_place(struct known *known, struct known_content **place)
{
    if (!*place)
        return true;
    if ((*place)->users > 0 || (*place)->closing)
        return false;
    known->kept -= (*place)->size;
    content_free(*place);
    *place = NULL;
    return true;
}

static struct known_content *add_content(struct known *known, const char *path,
                                         struct known_content **place, struct share_set *shares,
                                         bool lasting)
{
    struct known_content *content = calloc(1, sizeof *content);

    if (!content)
        return NULL;
    content->path = strdup(path);
    if (!content->path) {
        free(content);
        return NULL;
    }
    content->shares = shares;
    content->number = ++known->last_number;
    content->users = 1;
    content->lasting = lasting;
    if (clear_place(known, place)) {
        content->place = place;
        *place = content;
    }
    return content;
}

/*
 * Returns true if CONTENT is that of SHARES at PATH, and whoever opens it now may as well go on
 * with it: what others found bad may be good again.
 */
static bool is_content_of(struct known_content *content, const char *path, struct share_set *shares)
{
    return strcmp(content->path, path) == 0 &&
           same_copies(share_set_copies(content->shares), share_set_copies(shares)) &&
           share_set_is_whole(content->shares);
}

/* Goes on with CONTENT, whose files, where they were closed, are now those of SHARES. */
static void use(struct known *known, struct known_content *content, struct share_set *shares)
{
    if (content->users++ == 0) {
        known->kept -= content->size;
        copies_take_files(share_set_copies(content->shares), share_set_copies(shares));
    }
}

struct known_content *known_open(struct known *known, const char *path, struct share_set *shares)
{
    struct known_content **place = place_of(known, path);

    bool lasting = share_set_is_whole(shares) && tell_changes(share_set_copies(shares));

    pthread_mutex_lock(&known->lock);
    while (*place && (*place)->closing)
        pthread_cond_wait(&known->closed, &known->lock);
    struct known_content *content = *place;
    bool found = content && (lasting || content->users > 0) && is_content_of(content, path, shares);
    if (found)
        use(known, content, shares);
    else
        content = add_content(known, path, place, shares, lasting);
    pthread_mutex_unlock(&known->lock);
    if (found)
        share_set_free(shares);
    return content;
}

/* Gives contents up until the others are within bounds, one after the other. */
static void shrink(struct known *known)
{
    for (size_t i = 0; i < PLACES && known->kept > KEPT_BYTES; i++)
        clear_place(known, &known->places[known->hand++ % PLACES]);
}

/* Called when the last user has gone. Closing files may take long: only a reader who opens the
 * content again waits for that. */
static void put_away(struct known *known, struct known_content *content)
{
    copies_close_files(share_set_copies(content->shares));
    content->size = sizeof *content + share_set_size(content->shares);
    pthread_mutex_lock(&known->lock);
    content->closing = false;
    pthread_cond_broadcast(&known->closed);
    known->kept += content->size;
    shrink(known);
    pthread_mutex_unlock(&known->lock);
}

void known_close(struct known *known, struct known_content *content)
{
    pthread_mutex_lock(&known->lock);
    bool last = --content->users == 0;
    bool kept = last && content->place && content->lasting && share_set_is_sound(content->shares);
    content->closing = kept;
    if (last && !kept && content->place)
        *content->place = NULL;
    pthread_mutex_unlock(&known->lock);
    if (kept)
        put_away(known, content);
    else if (last)
        content_free(content);
}
