/* SPDX-License-Identifier: MIT */
#include "store/census.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/shortage.h"
#include "base/thread.h"
#include "store/voice.h"

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
    struct heard *next;
    struct store_voice voice;
    bool known, sampling;
    uint64_t begun, took; /* the last sample */
    uint64_t answered;    /* when the store last did, in the sample under way */
    uint64_t again;       /* when it may be sampled again, if it had no vote */
    int error;            /* of the last sample */
    char name[];
};

struct census {
    struct stores_terms terms;
    atomic_uint holders; /* the user, and samples under way */
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct heard *heard;
    size_t count;
    unsigned required; /* the last K that was told */
};

int census_new(const struct stores_terms *terms, struct census **ret)
{
    struct census *census = calloc(1, sizeof *census);

    if (!census)
        return -ENOMEM;
    census->terms = *terms;
    atomic_init(&census->holders, 1);
    pthread_mutex_init(&census->lock, NULL);
    pthread_cond_init(&census->news, NULL);
    *ret = census;
    return 0;
}

void census_free(struct census *census)
{
    if (atomic_fetch_sub(&census->holders, 1) > 1)
        return;
    while (census->heard) {
        struct heard *heard = census->heard;
        census->heard = heard->next;
        free(heard);
    }
    pthread_cond_destroy(&census->news);
    pthread_mutex_destroy(&census->lock);
    free(census);
}

/* The entry of a store's name, a new one if need be; NULL without memory. With the lock held. */
static struct heard *entry_of(struct census *census, const struct store *store)
{
    const char *name = store_name(store);
    struct heard **at = &census->heard;

    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    struct heard *heard = *at;
    if (heard)
        return heard;
    heard = calloc(1, sizeof *heard + strlen(name) + 1);
    if (!heard)
        return NULL;
    heard->voice.share = NO_VOTE;
    strcpy(heard->name, name);
    census->count++;
    return *at = heard;
}

/* A sample that is being taken. */
struct sample_job {
    struct census *census;
    struct store *store;
    struct heard *heard;
};

static void note_answer(void *opaque)
{
    const struct sample_job *job = opaque;

    HOLD(&job->census->lock);
    job->heard->answered = clock_now();
}

/* Returns true if a store that had a vote is gone, and has left its mountpoint: the vote stays. In
 * a tree without files names are one. */
static bool has_gone(const struct store_voice *before, const struct store_voice *now)
{
    if (before->share >= 0)
        return now->share < 0;
    return !before->has_files && before->has_names && !now->has_names;
}

/* Samples a store, and notes what came of it. */
static void sample(struct sample_job *job)
{
    struct census *census = job->census;
    struct heard *heard = job->heard;
    const struct voice_watch watch = {note_answer, job};
    struct store_voice voice = {.share = NO_VOTE};
    uint64_t begun = clock_now();
    int r = voice_take(job->store, census->terms.format, &watch, &voice);

    HOLD(&census->lock);
    heard->sampling = false;
    heard->error = r;
    heard->took = clock_now() - begun;
    uint64_t after =
        AGAIN_TIMES * heard->took > CLOCK_SECOND ? AGAIN_TIMES * heard->took : CLOCK_SECOND;
    if (store_is_remote(job->store) && after > AGAIN_LIMIT)
        after = AGAIN_LIMIT;
    heard->again = clock_now() + after;
    if (r == 0) {
        store_set_voice(job->store, &voice);
        if (!heard->known || !has_gone(&heard->voice, &voice))
            heard->voice = voice;
        heard->known = true;
    }
    pthread_cond_broadcast(&census->news);
}

static void *run_sample(void *opaque)
{
    struct sample_job *job = opaque;

    sample(job);
    store_release(job->store);
    census_free(job->census);
    free(job);
    return NULL;
}

static int start_sample(const struct sample_job *given)
{
    struct sample_job *job = malloc(sizeof *job);

    if (!job)
        return -ENOMEM;
    *job = *given;
    store_hold(job->store);
    atomic_fetch_add(&job->census->holders, 1);
    int r = thread_start(run_sample, job);
    if (r < 0) {
        atomic_fetch_sub(&job->census->holders, 1);
        store_release(job->store);
        free(job);
    }
    return r;
}

/* Returns true if STORE is to be sampled now, and marks it so. With the lock held. */
static bool is_due(const struct census *census, const struct store *store, struct heard *heard)
{
    struct store_voice voice;
    bool known = store_voice(store, &voice);

    bool is_new = !known && heard->error == 0; /* the last sample was of what was there before */

    if (heard->sampling || (known && (voice.share >= 0 || census->terms.settled)) ||
        (!is_new && !is_shortage(heard->error) && clock_now() < heard->again))
        return false;
    heard->sampling = true;
    heard->begun = heard->answered = clock_now();
    return true;
}

/* Samples that the asking thread and its helpers take. */
struct local_samples {
    struct sample_job *jobs;
    size_t count;
    atomic_size_t next; /* that no thread has taken yet */
};

static void sample_next(void *opaque)
{
    struct local_samples *samples = opaque;
    size_t place;

    while ((place = atomic_fetch_add(&samples->next, 1)) < samples->count)
        sample(&samples->jobs[place]);
}

/*
 * Has the stores sampled that are due: each by a thread of its own, or together with the local
 * ones, several at once, as each may be a disk of its own.
 */
static int hear_all(struct census *census, const struct store_list *list)
{
    cleanup_free struct sample_job *jobs = calloc(list->count + 1, sizeof *jobs);
    struct local_samples local = {.jobs = jobs};
    size_t processors = thread_processors();
    int r = jobs ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        struct sample_job job = {census, list->stores[i], NULL};
        bool due;
        {
            HOLD(&census->lock);
            job.heard = entry_of(census, job.store);
            due = job.heard && is_due(census, job.store, job.heard);
        }
        r = job.heard ? 0 : -ENOMEM;
        if (due && !(store_is_remote(job.store) && start_sample(&job) == 0))
            jobs[local.count++] = job;
    }
    team_run(NULL, local.count < processors ? local.count : processors, sample_next, &local);
    return r;
}

/* Collects the voices of all, those that went included; NULL without memory. With the lock held. */
static struct store_voice *collect_voices(const struct census *census, size_t *ret)
{
    struct store_voice *voices = calloc(census->count + 1, sizeof *voices);

    *ret = 0;
    for (const struct heard *heard = census->heard; voices && heard; heard = heard->next) {
        if (heard->known)
            voices[(*ret)++] = heard->voice;
    }
    return voices;
}

/* Returns true if PENDING more voices could not change K, and as many votes are here. With the lock
 * held. */
static bool is_clear(const struct census *census, const struct store_list *list, size_t pending)
{
    size_t count;
    cleanup_free struct store_voice *voices = collect_voices(census, &count);
    cleanup_free struct store_voice *here = calloc(list->count + 1, sizeof *here);
    struct quorum quorum, now;
    size_t same = 0;

    if (!voices || !here)
        return false;
    quorum_settle(voices, count, census->terms.required, &quorum);
    for (size_t i = 0; i < list->count; i++)
        store_voice(list->stores[i], &here[i]);
    quorum_settle(here, list->count, census->terms.required, &now);
    if (now.votes < quorum.required)
        return false;
    if (quorum.given)
        return true;
    for (size_t i = 0; i < count; i++)
        same += voices[i].share >= 0 && voices[i].required == quorum.required;
    return same > count - same + pending;
}

/*
 * Until when to wait for the stores that are being heard for the first time; 0: there is none. One
 * that has failed to answer is not waited for again. Where K is clear without them, the others'
 * time is enough; commands wait for all. With the lock held.
 */
static uint64_t find_end(struct census *census, const struct store_list *list)
{
    uint64_t begun = UINT64_MAX; /* when the first of them was asked */
    uint64_t answered = 0;       /* when the last of them answered something */
    uint64_t usual = 0;          /* the longest that one of the others took */
    size_t pending = 0;

    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        const struct heard *heard = entry_of(census, list->stores[i]);
        if (!heard || store_is_aside(list->stores[i]))
            continue;
        if (heard->sampling && !store_voice(list->stores[i], &voice)) {
            if (heard->error < 0 && !is_shortage(heard->error))
                continue;
            pending++;
            begun = heard->begun < begun ? heard->begun : begun;
            answered = heard->answered > answered ? heard->answered : answered;
        } else if (heard->took > usual) {
            usual = heard->took;
        }
    }
    if (pending == 0)
        return 0;
    uint64_t end = answered + store_limit(), late = begun + LATE_TIMES * usual + LATE_MORE;
    return !census->terms.settled && late < end && 2 * pending <= list->count &&
                   is_clear(census, list, pending)
               ? late
               : end;
}

/*
 * K by all that were ever heard, the rest by those that are here. A shortage of our own is
 * returned: it says nothing of the stores. With the lock held.
 */
static int settle(struct census *census, struct store_list *list)
{
    cleanup_free struct store_voice *here = calloc(list->count + 1, sizeof *here);
    size_t count;
    cleanup_free struct store_voice *all = collect_voices(census, &count);
    struct quorum quorum;
    bool complete = true;
    size_t gone = 0; /* stores with a vote before; other files are there now */

    if (!here || !all)
        return -ENOMEM;
    list->unheard = 0;
    list->why_unheard = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct heard *heard = entry_of(census, list->stores[i]);
        int error = heard ? heard->error : -ENOMEM;
        if (is_shortage(error))
            return error;
        if (!store_voice(list->stores[i], &here[i])) {
            list->unheard++;
            list->why_unheard = error < 0 ? error : -ETIMEDOUT;
        }
        complete = complete && (here[i].share >= 0 || census->terms.settled);
        gone += heard && heard->voice.share >= 0 && here[i].share < 0 && here[i].has_files;
    }
    list->counted = list->unheard == 0 && complete;
    quorum_settle(all, count, census->terms.required, &quorum);
    /* That no store has a file is not for a few to say. */
    if (quorum.no_files && quorum.with_names <= list->unheard && list->unheard > 0) {
        quorum.no_files = false;
        quorum.required = quorum.given ? quorum.required : 0;
    }
    quorum_settle(here, list->count, census->terms.required, &list->quorum);
    list->gone = quorum.votes > list->quorum.votes ? quorum.votes - list->quorum.votes : 0;
    list->quorum.found -= gone;
    if (list->quorum.no_files && !quorum.no_files) /* those that are here have no vote */
        list->quorum.found = list->quorum.votes = 0;
    list->quorum.required = quorum.required;
    list->quorum.no_files = quorum.no_files;
    list->quorum.largest_k = quorum.largest_k;
    if (census->required > 0 && quorum.required > 0 && quorum.required != census->required)
        log_warning("%u shares are needed from now on, not %u, as most stores say", quorum.required,
                    census->required);
    if (quorum.required > 0)
        census->required = quorum.required;
    return 0;
}

int census_take(struct census *census, struct store_list *list)
{
    uint64_t end;
    int r = hear_all(census, list);

    if (r < 0)
        return r;
    HOLD(&census->lock);
    while (clock_now() < (end = find_end(census, list))) {
        struct timespec time = clock_timespec(end);
        pthread_cond_clockwait(&census->news, &census->lock, CLOCK_MONOTONIC, &time);
    }
    return settle(census, list);
}
