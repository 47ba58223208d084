/* SPDX-License-Identifier: MIT */
#include "engine/count.h"

static void count_one(struct visit *visit, const char *path)
{
    struct share_header header;
    struct stat status;

    if (visit->source->operations->stat(visit->source, path, &status, &header, NULL, NULL) < 0)
        return;
    if (S_ISDIR(status.st_mode))
        visit_into(visit, path);
    if (!S_ISREG(status.st_mode))
        return;
    atomic_fetch_add(&visit->progress->all_files, 1);
    atomic_fetch_add(&visit->progress->all_bytes, (uint64_t)status.st_size);
}

static void count_part(struct visit *visit, const char *directory, const struct names *names,
                       size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        cleanup_free char *path = visit_join(directory, names_get(names, i));
        if (path)
            count_one(visit, path);
    }
}

static void ignore_failure(struct visit *visit, const char *path, int error)
{
}

void count_run(struct source *source, unsigned jobs, struct progress *progress)
{
    static const struct visit_operations operations = {
        .part = count_part,
        .failed = ignore_failure,
    };
    struct visit visit = {.operations = &operations, .source = source, .progress = progress};

    visit_run(&visit, jobs);
}
