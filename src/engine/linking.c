/* SPDX-License-Identifier: MIT */
#include "engine/linking.h"

#include "engine/clean.h"
#include "engine/make.h"
#include "engine/same.h"
#include "engine/update.h"
#include "trust/name.h"
#include "trust/version.h"

#include <fcntl.h>

/* Two names of what may be one file. */
struct pair {
    struct entry first, further;
    unsigned voices; /* trees of the source that say so */
    bool asked;
    int is_one; /* where it was asked: 1, 0, or why that cannot be said */
};

static void end_pair(struct pair *pair)
{
    entry_end(&pair->first);
    entry_end(&pair->further);
}

static struct ballot ballot_of(const struct original *original)
{
    return (struct ballot){.status = original->status, .target = original->link_target};
}

/*
 * To link two files into one is to lose one of them. What k stores say is believed, as everywhere;
 * what fewer say only where contents are the same.
 */
static int ask_whether_one(struct pair *pair)
{
    const struct original *a = &pair->first.original, *b = &pair->further.original;
    const struct ballot left = ballot_of(a), right = ballot_of(b);
    unsigned required = a->header.layout.required;

    if (!ballot_same_kind(&left, &right))
        return 0;
    if (!S_ISREG(a->status.st_mode))
        return 1;
    if (required == 0 || !version_is_same(&a->header, &b->header))
        return 0;
    if (pair->voices >= required && pair->voices >= pair->first.inodes.needed)
        return 1;
    int r = entry_open_file(&pair->first);
    if (r == 0)
        r = entry_open_file(&pair->further);
    return r < 0 ? r
                 : same_content(pair->first.file, pair->further.file,
                                pair->first.copy->visit.progress);
}

static int is_one_file(struct pair *pair)
{
    if (!pair->asked)
        pair->is_one = ask_whether_one(pair);
    pair->asked = true;
    return pair->is_one;
}

/* Returns 1 if both names stand for one object in a target, else 0; -ENOENT: there is nothing to
 * link to. */
static int is_linked(const struct pair *pair, size_t target)
{
    const struct entry *first = &pair->first, *further = &pair->further;
    struct stat a, b;

    if (fstatat(first->directories[target], first->original.name, &a, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (fstatat(further->directories[target], further->original.name, &b, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int link_now(const struct pair *pair, size_t target)
{
    const struct entry *further = &pair->further;
    struct copy_work *copy = further->copy;
    char temporary[TEMPORARY_NAME_SIZE];
    int directory = further->directories[target];

    if (copy->settings->dry_run) {
        make_in_dry_run(further, target);
        return 0;
    }
    temporary_name(temporary);
    if (linkat(pair->first.directories[target], pair->first.original.name, directory, temporary,
               0) < 0)
        return -errno;
    int r = batch_add(copy->batch, &copy->targets[target], temporary, further->original.path,
                      further->original.status.st_mode, entry_seen(further, target), 0, true);
    if (r < 0)
        unlinkat(directory, temporary, 0);
    return r;
}

/* Returns true if a file system says that it can have no such link: then a file of its own has to
 * do. */
static bool is_impossible(int error)
{
    return error == -EPERM || error == -EMLINK || error == -EXDEV || error == -EOPNOTSUPP ||
           error == -ENOSYS;
}

/* Returns 1 where both names are linked now, 0 where they cannot be, or why they are not. */
static int link_in_target(struct pair *pair, size_t target)
{
    enum need first = pair->first.needs[target];

    if (first != NEED_METADATA && first != NEED_NOTHING)
        return 0; /* it is not there as it should be, which has been told */
    int r = is_linked(pair, target);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (r > 0) /* and as it should be, unless they are not one file */
        return pair->further.needs[target] == NEED_CONTENT ? is_one_file(pair) : 1;
    r = is_one_file(pair);
    if (r <= 0)
        return r;
    r = link_now(pair, target);
    return r == 0 ? 1 : is_impossible(r) ? 0 : r;
}

/* What is not linked stays, or becomes, a file of its own. */
static void link_in_targets(struct pair *pair)
{
    const struct copy_work *copy = pair->further.copy;

    for (size_t i = 0; i < copy->count; i++) {
        enum need *need = &pair->further.needs[i];
        if (*need == NEED_REMOVAL || *need == NEED_REFUSED || pair->first.directories[i] < 0 ||
            pair->further.directories[i] < 0)
            continue;
        int r = link_in_target(pair, i);
        if (r > 0)
            *need = NEED_NOTHING;
        else if (r < 0)
            copy_tell(copy, COPY_FAILED, pair->further.original.path, &copy->targets[i], r);
    }
}

/* Looks at a name that waited until now. Returns 0, or where there is nothing to do below 0. */
static int begin(struct copy_work *copy, const char *path, struct entry *entry)
{
    if (atomic_load(&copy->visit.progress->stop))
        return -ECANCELED;
    int r = entry_begin(copy, path, entry);
    if (r == 0)
        r = entry_look(entry);
    if (r < 0 && r != -ENOENT)
        copy_tell(copy, COPY_LOST, path, NULL, r);
    return r;
}

static void finish(struct entry *entry)
{
    clean_unwanted(entry);
    update_name(entry);
}

static void run_first(void *context, const char *path)
{
    cleanup_entry struct entry entry = {.copy = context};

    if (begin(context, path, &entry) < 0)
        return;
    entry_choose(&entry, false);
    finish(&entry);
}

/* What does not seem to be there as it should is looked at once more: a look may have failed. */
static void choose_first(struct entry *first)
{
    entry_choose(first, true);
    if (entry_any_needs(first, NEED_CONTENT) || entry_any_needs(first, NEED_REFUSED))
        entry_choose(first, true);
}

static void run_further(void *context, const char *first, const char *path, unsigned voices)
{
    CLEANUP(end_pair) struct pair pair = {.voices = voices};

    pair.first.copy = pair.further.copy = context;
    if (begin(context, path, &pair.further) < 0)
        return;
    entry_choose(&pair.further, false);
    int r = begin(context, first, &pair.first);
    if (r == 0) {
        choose_first(&pair.first);
        link_in_targets(&pair);
    }
    if (r == 0 || r == -ENOENT)
        finish(&pair.further);
}

int linking_run(struct copy_work *copy)
{
    int r = links_settle(copy->links);

    if (r < 0)
        return r;
    links_visit_first(copy->links, run_first, copy);
    batch_commit(copy->batch);
    links_visit_further(copy->links, run_further, copy);
    batch_commit(copy->batch);
    return 0;
}
