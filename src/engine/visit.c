/* SPDX-License-Identifier: MIT */
#include "engine/visit.h"

#include "base/pool.h"
#include "base/thread.h"

#include <stdio.h>

enum {
    PART_SIZE = 64, /* names that one thread takes at a time */
    PART_SIZE_DISTANT = 2,
    JOBS_DISTANT = 16,
};

/* A directory, until the last part of its names is done. */
struct visit_listing {
    struct names names;
    atomic_size_t holders;
    char path[];
};

struct visit_job {
    struct job job;
    struct visit *visit;
    struct visit_listing *listing;
    size_t first, end; /* of the names; END 0: these are to be listed */
};

static bool goes_on(const struct visit *visit)
{
    return !atomic_load(&visit->progress->stop) && atomic_load(&visit->result) == 0;
}

/* Returns true if NAME waits until all others of its directory are done. */
static bool is_last(const struct visit *visit, const char *name)
{
    const char *last = visit->source->last;

    return visit->operations->last && last && strcmp(name, last) == 0;
}

static void run_last(struct visit *visit, const struct visit_listing *listing)
{
    if (!visit->operations->last || !visit->source->last || !goes_on(visit) ||
        !names_have(&listing->names, visit->source->last))
        return;
    cleanup_free char *path = visit_join(listing->path, visit->source->last);
    if (path)
        visit->operations->last(visit, path);
    else
        atomic_store(&visit->result, -ENOMEM);
}

static void listing_release(struct visit *visit, struct visit_listing *listing)
{
    if (atomic_fetch_sub(&listing->holders, 1) > 1)
        return;
    run_last(visit, listing);
    names_clear(&listing->names);
    free(listing);
}

static void run_part(const struct visit_job *job)
{
    const struct visit_listing *listing = job->listing;
    struct visit *visit = job->visit;
    const struct visit_operations *operations = visit->operations;
    void *part = operations->begin ? operations->begin(visit, listing->path) : NULL;

    for (size_t i = job->first; i < job->end && goes_on(visit); i++) {
        const char *name = names_get(&listing->names, i);
        if (is_last(visit, name))
            continue;
        cleanup_free char *path = visit_join(listing->path, name);
        if (path)
            operations->name(visit, path, part);
        else
            atomic_store(&visit->result, -ENOMEM);
    }
    if (operations->end)
        operations->end(visit, part);
}

static void run_listing(struct visit *visit, struct visit_listing *listing);

static void run_visit_job(struct job *opaque)
{
    struct visit_job *job = (struct visit_job *)opaque;

    if (goes_on(job->visit) && job->end == 0)
        run_listing(job->visit, job->listing);
    else if (goes_on(job->visit))
        run_part(job);
    listing_release(job->visit, job->listing);
    free(job);
}

/* Takes a hold of LISTING over. */
static void put(struct visit *visit, struct visit_listing *listing, size_t first, size_t end)
{
    struct visit_job *job = calloc(1, sizeof *job);

    if (!job) {
        atomic_store(&visit->result, -ENOMEM);
        listing_release(visit, listing);
        return;
    }
    *job = (struct visit_job){{.run = run_visit_job}, visit, listing, first, end};
    pool_put(visit->pool, &job->job);
}

static void run_listing(struct visit *visit, struct visit_listing *listing)
{
    const struct visit_operations *operations = visit->operations;

    int r = visit->source->operations->list(visit->source, listing->path, &listing->names);
    names_sort_unique(&listing->names);
    if (r < 0 && operations->failed)
        operations->failed(visit, listing->path, r);
    else if (r == 0 && operations->directory)
        operations->directory(visit, listing->path, &listing->names);
    size_t most = atomic_load(&visit->source->distant) ? PART_SIZE_DISTANT : PART_SIZE;
    for (size_t first = 0; operations->name && first < listing->names.count; first += most) {
        size_t left = listing->names.count - first;
        atomic_fetch_add(&listing->holders, 1);
        put(visit, listing, first, first + (left < most ? left : most));
    }
}

void visit_into(struct visit *visit, const char *path)
{
    struct visit_listing *listing = calloc(1, sizeof *listing + strlen(path) + 1);

    if (!listing) {
        atomic_store(&visit->result, -ENOMEM);
        return;
    }
    atomic_init(&listing->holders, 1);
    strcpy(listing->path, path);
    put(visit, listing, 0, 0);
}

int visit_run(struct visit *visit, unsigned jobs)
{
    cleanup_pool struct pool *pool = NULL;
    struct share_header header;
    struct stat status;

    if (jobs == 0) {
        /* A source knows how far away it is when it has been asked for something. */
        visit->source->operations->stat(visit->source, "", &status, &header, NULL, NULL);
        jobs = thread_processors();
        if (atomic_load(&visit->source->distant) && jobs < JOBS_DISTANT)
            jobs = JOBS_DISTANT;
    }
    int r = pool_new(jobs, &pool);
    if (r < 0)
        return r;
    visit->pool = pool;
    visit_into(visit, "");
    pool_wait(pool);
    visit->pool = NULL;
    return atomic_load(&visit->result);
}

char *visit_join(const char *directory, const char *name)
{
    char *path;

    return asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) < 0 ? NULL : path;
}

const char *visit_last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : *path ? path : ".";
}
