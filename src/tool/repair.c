/* SPDX-License-Identifier: MIT */
#include "tool/repair.h"

#include "base/log.h"
#include "view/store_source.h"

struct repair {
    struct source *source;
    const struct roster *roster;
    const struct repair_settings *settings;
    struct progress *progress;
    struct target *targets;
    const struct store **stores; /* that the targets are */
    size_t count;
};

static void tell(void *opaque, const struct copy_event *event)
{
    const struct copy_settings *settings = &((struct repair *)opaque)->settings->copy;

    settings->report(settings->context, event);
}

/* What is wrong with one copy of something that can be restored. */
static enum need need_of(const struct copy_report *report)
{
    switch (report->state) {
    case COPY_GOOD:
        return report->other_metadata ? NEED_METADATA : NEED_NOTHING;
    case COPY_UNREADABLE:
        return report->error == -EACCES ? NEED_CONTENT : NEED_REFUSED;
    default:
        return NEED_CONTENT;
    }
}

static const struct copy_report *report_of(const struct inspection *inspection,
                                           const struct store *store)
{
    for (size_t i = 0; i < inspection->count; i++) {
        if (inspection->survey.inquiry.list->stores[i] == store)
            return &inspection->copies[i];
    }
    return NULL; /* the store is gone meanwhile */
}

/* Of what cannot be read nothing is known, but that it is not mended. */
static void tell_refused(const struct repair *repair, const char *path, const struct target *target,
                         int error)
{
    const struct copy_event event = {COPY_FAILED, path, target, error};

    tell((void *)repair, &event);
}

static enum need choose_one(const struct repair *repair, const struct inspection *inspection,
                            size_t target, bool is_there)
{
    const struct copy_report *report = report_of(inspection, repair->stores[target]);

    if (!report)
        return NEED_REFUSED;
    if (repair->settings->copy.remove && inspection_is_rare(inspection))
        return report->state == COPY_ABSENT || report->state == COPY_UNREADABLE ? NEED_NOTHING
                                                                                : NEED_REMOVAL;
    if (inspection->spare < 0)
        return NEED_REFUSED;
    /* A directory that could not be made has been complained about; a dry run makes none. */
    if (!is_there && !repair->settings->copy.dry_run)
        return NEED_REFUSED;
    return need_of(report);
}

/*
 * The file as its inspection found it: what most stores say, also where k others agree on something
 * else, which would be read as well if it came first.
 */
static int take_file(const struct repair *repair, struct inspection *inspection,
                     struct source_file **ret)
{
    if (!inspection->shares || inspection->spare < 0)
        return 0;
    int r = store_source_file(repair->source, inspection->shares, ret);
    if (r == 0)
        inspection->shares = NULL; /* they are the file's */
    return r;
}

static void choose(void *opaque, const struct original *original, const int directories[],
                   bool again, struct pool *pool, enum need needs[], struct source_file **ret_file)
{
    const struct repair *repair = opaque;
    const struct check_settings *check = &repair->settings->check;
    const struct sweep_depth depth = {1, 0, &repair->progress->stop, pool};
    cleanup_inspection struct inspection inspection = NO_INSPECTION;

    int r = inspection_make(store_source_stores(repair->source), store_source_terms(repair->source),
                            original->path, &depth, roster_share, repair->roster, &inspection);
    if (r == 0)
        r = take_file(repair, &inspection, ret_file);
    if (r < 0 && r != -ENOENT && r != -ECANCELED && !again)
        check->failed(check->context, original->path, r);
    if (r == 0 && !again)
        check->report(check->context, original->path, &inspection);
    for (size_t i = 0; i < repair->count; i++) {
        needs[i] = r < 0 ? NEED_REFUSED : choose_one(repair, &inspection, i, directories[i] >= 0);
        const struct copy_report *report = r < 0 ? NULL : report_of(&inspection, repair->stores[i]);
        int error = report ? report->error : -ENODEV;
        if (r == 0 && error < 0 && needs[i] == NEED_REFUSED && !again)
            tell_refused(repair, original->path, &repair->targets[i], error);
    }
}

/* Why a store that holds no share is left as it is. */
static void tell_left(const struct repair *repair, const struct roster_entry *entry)
{
    const struct target target = {.name = store_name(entry->store), .share = ROSTER_UNKNOWN};
    cleanup_names struct names names = NO_NAMES;

    int r = entry->error < 0 ? entry->error : tree_list(store_tree(entry->store), "", &names);
    if (r < 0)
        tell_refused(repair, ".", &target, r);
    else
        log_error("%s: holds no share yet and is left as it is; give --add NN=%s", target.name,
                  target.name);
}

static void list_targets(struct repair *repair)
{
    for (size_t i = 0; i < repair->roster->count; i++) {
        const struct roster_entry *entry = &repair->roster->entries[i];
        if (entry->share == ROSTER_UNKNOWN) {
            tell_left(repair, entry);
            continue;
        }
        repair->stores[repair->count] = entry->store;
        repair->targets[repair->count++] = (struct target){
            .tree = store_tree(entry->store),
            .name = store_name(entry->store),
            .share = entry->share,
            .fresh = entry->files == 0,
        };
    }
}

int repair_run(struct source *source, const struct roster *roster,
               const struct repair_settings *settings, struct progress *progress)
{
    cleanup_free struct target *targets = calloc(roster->count + 1, sizeof *targets);
    cleanup_free const struct store **stores = calloc(roster->count + 1, sizeof(struct store *));
    struct repair repair = {source, roster, settings, progress, targets, stores, 0};
    struct copy_settings copy = settings->copy;

    if (!targets || !stores)
        return -ENOMEM;
    list_targets(&repair);
    copy.context = &repair;
    copy.report = tell;
    copy.choose = choose;
    copy.reread = true;
    return copy_run(source, targets, repair.count, &copy, progress);
}
