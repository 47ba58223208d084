/* SPDX-License-Identifier: MIT */
#include "engine/visit.h"

#include "base/pool.h"
#include "base/thread.h"

#include <stdio.h>
#include <string.h>

enum {
    PART_SIZE = 64, /* names that one thread takes at a time */
    PART_SIZE_DISTANT = 2,
    JOBS_DISTANT = 16,
};

/* A directory that was listed, until its last part is done. */
struct visit_listing {
    struct names names;
    atomic_size_t holders;
    char path[];
};

struct visit_job {
    struct job job;
    struct visit *visit;
    struct visit_listing *listing;
    size_t first, end;
};

static void listing_release(struct visit_listing *listing)
{
    if (atomic_fetch_sub(&listing->holders, 1) > 1)
        return;
    names_clear(&listing->names);
    free(listing);
}

static bool goes_on(const struct visit *visit)
{
    return !atomic_load(&visit->progress->stop) && atomic_load(&visit->result) == 0;
}

static void run_part(struct job *opaque)
{
    struct visit_job *job = (struct visit_job *)opaque;
    struct visit_listing *listing = job->listing;

    if (goes_on(job->visit))
        job->visit->operations->part(job->visit, listing->path, &listing->names, job->first,
                                     job->end);
    listing_release(listing);
    free(job);
}

/* Takes a hold of LISTING over. */
static void put(struct visit *visit, void (*run)(struct job *), struct visit_listing *listing,
                size_t first, size_t end)
{
    struct visit_job *job = calloc(1, sizeof *job);

    if (!job) {
        atomic_store(&visit->result, -ENOMEM);
        listing_release(listing);
        return;
    }
    *job = (struct visit_job){{.run = run}, visit, listing, first, end};
    pool_put(visit->pool, &job->job);
}

static void put_parts(struct visit *visit, struct visit_listing *listing)
{
    size_t most = atomic_load(&visit->source->distant) ? PART_SIZE_DISTANT : PART_SIZE;

    for (size_t first = 0; first < listing->names.count; first += most) {
        size_t left = listing->names.count - first;
        atomic_fetch_add(&listing->holders, 1);
        put(visit, run_part, listing, first, first + (left < most ? left : most));
    }
}

static void run_listing(struct job *opaque)
{
    struct visit_job *job = (struct visit_job *)opaque;
    struct visit *visit = job->visit;
    struct visit_listing *listing = job->listing;

    if (goes_on(visit)) {
        int r = visit->source->operations->list(visit->source, listing->path, &listing->names);
        names_sort_unique(&listing->names);
        if (r < 0)
            visit->operations->failed(visit, listing->path, r);
        else if (visit->operations->directory)
            visit->operations->directory(visit, listing->path, &listing->names);
        put_parts(visit, listing);
    }
    listing_release(listing);
    free(job);
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
    put(visit, run_listing, listing, 0, 0);
}

/* A source knows how far away it is once it was asked for something. */
static unsigned fitting_jobs(struct source *source)
{
    struct share_header header;
    struct stat status;
    unsigned jobs = thread_processors();

    source->operations->stat(source, "", &status, &header, NULL, NULL);
    return atomic_load(&source->distant) && jobs < JOBS_DISTANT ? JOBS_DISTANT : jobs;
}

int visit_run(struct visit *visit, unsigned jobs)
{
    cleanup_pool struct pool *pool = NULL;

    atomic_init(&visit->result, 0);
    int r = pool_new(jobs > 0 ? jobs : fitting_jobs(visit->source), &pool);
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
