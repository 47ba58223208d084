/* SPDX-License-Identifier: MIT */
#include "store/census.h"

#include "store/round.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/shortage.h"
#include "base/thread.h"
#include "store/voice.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    /* A store without a vote is sampled again after a second, or after this many times the last
     * sample's time. For a remote store, which holds up no request, within AGAIN_LIMIT. */
    AGAIN_TIMES = 100,
    AGAIN_LIMIT = 10 * CLOCK_SECOND,
    /* A sample is late after three times the time of the others, plus this. */
    LATE_TIMES = 3,
    LATE_MORE = CLOCK_SECOND / 10,
};

/* The last word of a place where a store is, or was. */
struct heard {
    char *name;
    struct store_voice voice;
    bool known, sampling;
    uint64_t begun, took; /* the last sample */
    uint64_t answered;    /* when the store last did, in the sample under way */
    uint64_t next;        /* when it may be sampled again, if it had no vote */
    int error;            /* of the last sample */
};

struct census {
    struct stores_terms terms;
    atomic_uint holders; /* the user, and samples under way */
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct heard *heard;
    size_t count, room;
    unsigned required; /* the last K that was told */
};

int census_new(const struct stores_terms *terms, struct census **ret)
{
    struct census *census = calloc(1, sizeof *census);
    pthread_condattr_t attributes;

    if (!census)
        return -ENOMEM;
    census->terms = *terms;
    atomic_init(&census->holders, 1);
    pthread_mutex_init(&census->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&census->news, &attributes);
    pthread_condattr_destroy(&attributes);
    *ret = census;
    return 0;
}

void census_free(struct census *census)
{
    if (atomic_fetch_sub(&census->holders, 1) > 1)
        return;
    for (size_t i = 0; i < census->count; i++)
        free(census->heard[i].name);
    free(census->heard);
    pthread_cond_destroy(&census->news);
    pthread_mutex_destroy(&census->lock);
    free(census);
}

/* The entry of a store's name, a new one if need be; NULL without memory. With the lock held. */
static struct heard *entry_of(struct census *census, const char *name)
{
    for (size_t i = 0; i < census->count; i++) {
        if (strcmp(census->heard[i].name, name) == 0)
            return &census->heard[i];
    }
    if (census->count == census->room) {
        size_t room = census->room * 2 + 8;
        struct heard *heard = reallocarray(census->heard, room, sizeof *heard);
        if (!heard)
            return NULL;
        census->heard = heard;
        census->room = room;
    }
    char *copy = strdup(name);
    if (!copy)
        return NULL;
    census->heard[census->count] = (struct heard){.name = copy, .voice.share = NO_VOTE};
    return &census->heard[census->count++];
}

/* A sample that is being taken. */
struct sample_job {
    struct census *census;
    struct store *store;
};

static void note_answer(void *opaque)
{
    const struct sample_job *job = opaque;

    pthread_mutex_lock(&job->census->lock);
    entry_of(job->census, store_name(job->store))->answered = clock_now();
    pthread_mutex_unlock(&job->census->lock);
}

/* When a store is to be heard again whose sample took so long. */
static uint64_t find_next(const struct store *store, uint64_t took)
{
    uint64_t after = AGAIN_TIMES * took > CLOCK_SECOND ? AGAIN_TIMES * took : CLOCK_SECOND;

    if (store_is_remote(store) && after > AGAIN_LIMIT)
        after = AGAIN_LIMIT;
    return clock_now() + after;
}

/* Samples a store, and notes what came of it; the entry may move meanwhile. */
static void sample(struct census *census, struct store *store)
{
    struct sample_job job = {census, store};
    const struct voice_watch watch = {note_answer, &job};
    struct store_voice voice = {.share = NO_VOTE};
    uint64_t begun = clock_now();
    int r = voice_take(store, census->terms.format, &watch, &voice);

    pthread_mutex_lock(&census->lock);
    struct heard *heard = entry_of(census, store_name(store));
    heard->sampling = false;
    heard->error = r;
    heard->took = clock_now() - begun;
    heard->next = find_next(store, heard->took);
    if (r == 0) {
        store_set_voice(store, &voice);
        if (voice.share >= 0 || !heard->known || heard->voice.share < 0)
            heard->voice = voice; /* a store that goes, and leaves its mountpoint, keeps its vote */
        heard->known = true;
    }
    pthread_cond_broadcast(&census->news);
    pthread_mutex_unlock(&census->lock);
}

static void *run_sample(void *opaque)
{
    struct sample_job *job = opaque;

    sample(job->census, job->store);
    store_release(job->store);
    census_free(job->census);
    free(job);
    return NULL;
}

static int start_sample(struct census *census, struct store *store)
{
    struct sample_job *job = malloc(sizeof *job);

    if (!job)
        return -ENOMEM;
    *job = (struct sample_job){census, store_hold(store)};
    atomic_fetch_add(&census->holders, 1);
    int r = thread_start(run_sample, job);
    if (r < 0) {
        atomic_fetch_sub(&census->holders, 1);
        store_release(store);
        free(job);
    }
    return r;
}

/* Returns true if STORE is to be sampled now, and marks it so. With the lock held. */
static bool is_due(const struct census *census, const struct store *store, struct heard *heard)
{
    struct store_voice voice;
    bool known = store_voice(store, &voice);

    if (heard->sampling || (known && (voice.share >= 0 || census->terms.settled)) ||
        (!is_shortage(heard->error) && clock_now() < heard->next))
        return false;
    heard->sampling = true;
    heard->begun = heard->answered = clock_now();
    return true;
}

/* Stores that the asking thread and its helpers sample. */
struct local_samples {
    struct census *census;
    struct store **stores;
    size_t count;
    atomic_size_t next; /* that no thread has taken yet */
};

static void sample_next(void *opaque)
{
    struct local_samples *samples = opaque;
    size_t place;

    while ((place = atomic_fetch_add(&samples->next, 1)) < samples->count)
        sample(samples->census, samples->stores[place]);
}

/* Has STORE sampled if that is due: by a thread of its own, or with the local ones. */
static int hear(struct census *census, struct store *store, struct local_samples *local)
{
    pthread_mutex_lock(&census->lock);
    struct heard *heard = entry_of(census, store_name(store));
    bool due = heard && is_due(census, store, heard);
    pthread_mutex_unlock(&census->lock);
    if (!heard)
        return -ENOMEM;
    if (due && !(store_is_remote(store) && start_sample(census, store) == 0))
        local->stores[local->count++] = store;
    return 0;
}

/* Several local stores are sampled at once: each may be a disk of its own. */
static int hear_all(struct census *census, const struct store_list *list)
{
    cleanup_free struct store **stores = calloc(list->count + 1, sizeof(struct store *));
    struct local_samples local = {.census = census, .stores = stores};
    size_t processors = thread_processors();
    int r = 0;

    if (!stores)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = hear(census, list->stores[i], &local);
    team_run(NULL, local.count < processors ? local.count : processors, sample_next, &local);
    return r;
}

/*
 * The stores of a list that are being heard for the first time; one that has failed to answer is
 * not waited for again.
 */
struct waiting {
    size_t pending;
    uint64_t begun;    /* when the first of them was asked */
    uint64_t answered; /* when the last of them answered something */
    uint64_t usual;    /* the longest that one of the others took */
};

/* With the lock held. */
static struct waiting find_waiting(struct census *census, const struct store_list *list)
{
    struct waiting waiting = {.begun = UINT64_MAX};

    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        const struct heard *heard = entry_of(census, store_name(list->stores[i]));
        if (!heard || store_is_aside(list->stores[i]))
            continue;
        if (heard->sampling && !store_voice(list->stores[i], &voice)) {
            if (heard->error < 0 && !is_shortage(heard->error))
                continue;
            waiting.pending++;
            waiting.begun = heard->begun < waiting.begun ? heard->begun : waiting.begun;
            waiting.answered =
                heard->answered > waiting.answered ? heard->answered : waiting.answered;
        } else if (heard->took > waiting.usual) {
            waiting.usual = heard->took;
        }
    }
    return waiting;
}

/* Collects the voices of all, those that went included; NULL without memory. With the lock held. */
static struct store_voice *collect_voices(const struct census *census, size_t *ret)
{
    struct store_voice *voices = calloc(census->count + 1, sizeof *voices);

    *ret = 0;
    for (size_t i = 0; voices && i < census->count; i++) {
        if (census->heard[i].known)
            voices[(*ret)++] = census->heard[i].voice;
    }
    return voices;
}

/* Returns true if PENDING more voices could not change K. With the lock held. */
static bool is_clear(const struct census *census, size_t pending)
{
    size_t count;
    cleanup_free struct store_voice *voices = collect_voices(census, &count);
    struct quorum quorum;
    size_t same = 0;

    if (!voices)
        return false;
    quorum_settle(voices, count, census->terms.required, &quorum);
    if (quorum.given)
        return true;
    for (size_t i = 0; i < count; i++)
        same += voices[i].share >= 0 && voices[i].required == quorum.required;
    return same > count - same + pending;
}

/* Until when to wait for stores that are heard for the first time; commands wait for all. With the
 * lock held. */
static uint64_t find_end(const struct census *census, const struct store_list *list,
                         const struct waiting *waiting)
{
    uint64_t end = waiting->answered + store_limit();
    uint64_t late = waiting->begun + LATE_TIMES * waiting->usual + LATE_MORE;

    return !census->terms.settled && late < end && 2 * waiting->pending <= list->count &&
                   is_clear(census, waiting->pending)
               ? late
               : end;
}

static void wait_for_voices(struct census *census, const struct store_list *list)
{
    struct waiting waiting;

    pthread_mutex_lock(&census->lock);
    while ((waiting = find_waiting(census, list)).pending > 0) {
        uint64_t end = find_end(census, list, &waiting);
        if (clock_now() >= end)
            break;
        struct timespec time = clock_timespec(end);
        pthread_cond_timedwait(&census->news, &census->lock, &time);
    }
    pthread_mutex_unlock(&census->lock);
}

/* A shortage of our own, which says nothing of the stores. With the lock held. */
static int find_shortage(struct census *census, const struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct heard *heard = entry_of(census, store_name(list->stores[i]));
        int error = heard ? heard->error : -ENOMEM;
        if (is_shortage(error))
            return error;
    }
    return 0;
}

static void tell_change(struct census *census, const struct quorum *quorum)
{
    if (census->required > 0 && quorum->required > 0 && quorum->required != census->required)
        log_warning("%u shares are needed from now on, not %u, as most stores say",
                    quorum->required, census->required);
    if (quorum->required > 0)
        census->required = quorum->required;
}

/* Returns true if no store of the list is to be heard any more. */
static bool is_complete(const struct census *census, const struct store_voice here[], size_t count)
{
    bool complete = true;

    for (size_t i = 0; i < count; i++)
        complete = complete && (here[i].share >= 0 || census->terms.settled);
    return complete;
}

/* Counts the stores of the list that were not heard. With the lock held. */
static void count_unheard(struct census *census, struct store_list *list)
{
    list->unheard = 0;
    list->why_unheard = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        if (store_voice(list->stores[i], &voice))
            continue;
        const struct heard *heard = entry_of(census, store_name(list->stores[i]));
        list->unheard++;
        list->why_unheard = heard && heard->error < 0 ? heard->error : -ETIMEDOUT;
    }
}

/* That no store has a file is not for a few to say. */
static void doubt(struct quorum *quorum, size_t unheard)
{
    if (!quorum->no_files || quorum->with_names > unheard || unheard == 0)
        return;
    quorum->no_files = false;
    if (!quorum->given)
        quorum->required = 0;
}

/* K by all that were ever heard, the rest by those that are here. With the lock held. */
static int settle(struct census *census, struct store_list *list)
{
    cleanup_free struct store_voice *here = calloc(list->count + 1, sizeof *here);
    size_t count;
    cleanup_free struct store_voice *all = collect_voices(census, &count);
    struct quorum quorum;

    if (!here || !all)
        return -ENOMEM;
    quorum_settle(all, count, census->terms.required, &quorum);
    count_unheard(census, list);
    doubt(&quorum, list->unheard);
    for (size_t i = 0; i < list->count; i++)
        store_voice(list->stores[i], &here[i]);
    list->counted = list->unheard == 0 && is_complete(census, here, list->count);
    quorum_settle(here, list->count, census->terms.required, &list->quorum);
    list->quorum.required = quorum.required;
    list->quorum.no_files = quorum.no_files;
    list->quorum.largest_k = quorum.largest_k;
    tell_change(census, &quorum);
    return 0;
}

int census_take(struct census *census, struct store_list *list)
{
    int r = hear_all(census, list);

    if (r < 0)
        return r;
    wait_for_voices(census, list);
    pthread_mutex_lock(&census->lock);
    r = find_shortage(census, list);
    if (r == 0)
        r = settle(census, list);
    pthread_mutex_unlock(&census->lock);
    return r;
}
