/* SPDX-License-Identifier: MIT */
#include "engine/repair.h"

#include "base/log.h"
#include "engine/visit.h"
#include "restore/look.h"
#include "restore/store_names.h"
#include "tree/temporary.h"
#include "trust/mend.h"
#include "view/store_source.h"

#include <stdio.h>

struct repair {
    struct source *source;
    const struct roster *roster;
    const struct repair_settings *settings;
    struct progress *progress;
    struct target *targets;
    const struct store **stores; /* that the targets are */
    size_t count;
    pthread_mutex_t lock;
    struct names kept; /* shares in the way of directories, beneath the names of their stores */
};

static void tell(void *opaque, const struct copy_event *event)
{
    const struct copy_settings *settings = &((struct repair *)opaque)->settings->copy;

    settings->report(settings->context, event);
}

/* Returns what was found in STORE; NULL: it is gone meanwhile. */
static const struct copy_report *report_of(const struct inspection *inspection,
                                           const struct store *store)
{
    for (size_t i = 0; i < inspection->count; i++) {
        if (inspection->survey.inquiry.list->stores[i] == store)
            return &inspection->copies[i];
    }
    return NULL;
}

/* Reports what cannot be read: all that is known is that it was not mended. */
static void tell_refused(struct repair *repair, const char *path, const struct target *target,
                         int error)
{
    const struct copy_event event = {COPY_FAILED, path, target, .error = error};

    tell(repair, &event);
}

/* Returns why a copy that differs from the shown version is kept; NULL: it is replaced. */
static const char *find_reason_to_keep(const struct copy_report *report)
{
    if (report->other_format)
        return "a share of another format";
    if (report->state != COPY_STALE || !report->intact)
        return NULL;
    return report->other_content
               ? "an intact share of another content of the same size and time"
               : "an intact share of another version, which is newer or in as many stores";
}

/* Returns true if a copy's own state says that its content is to be made anew. */
static bool is_to_be_replaced(const struct copy_report *report)
{
    if (report->state == COPY_GOOD || find_reason_to_keep(report))
        return false;
    return report->state != COPY_UNREADABLE || (report->error == -EACCES && report->as_shown);
}

/* Lists the copies of all stores, and which of them repair replaces: those that need it and that
 * the file can do without, whether stale copies count or not. The caller frees them. */
static struct mend_copy *plan(const struct repair *repair, const struct inspection *inspection)
{
    unsigned needed = quorum_need(&repair->roster->quorum, inspection->version.layout.required);
    bool checked = formats[inspection->version.layout.format]->has_checks;
    struct mend_copy *copies =
        inspection->copies ? calloc(inspection->count + 1, sizeof *copies) : NULL;

    for (size_t i = 0; copies && i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        bool member = (report->state != COPY_STALE || report->other_content) &&
                      !report->bad_header && !report->bad_size;
        copies[i].claim = report->claim;
        copies[i].holds = member ? report->index : -1;
        copies[i].target = -1;
        for (size_t j = 0; j < repair->count; j++) {
            if (repair->stores[j] == inspection->survey.inquiry.list->stores[i])
                copies[i].target = repair->targets[j].share;
        }
        copies[i].replace = copies[i].target >= 0 && is_to_be_replaced(report);
    }
    for (int with_stale = 0; copies && with_stale < 2; with_stale++) {
        for (size_t i = 0; i < inspection->count; i++) {
            const struct copy_report *report = &inspection->copies[i];
            /* Blocks of a stale copy may equal those of the shown version. */
            bool counts = report->state == COPY_GOOD || report->state == COPY_MISPLACED ||
                          report->state == COPY_DAMAGED ||
                          (report->state == COPY_STALE && with_stale);
            /* Without checks, a copy whose index is not its store's adds no share. */
            counts &= checked || report->index == copies[i].target;
            copies[i].has = counts ? report->index : -1;
        }
        mend_keep_needed(copies, inspection->count, needed);
    }
    if (copies)
        mend_keep_claims(copies, inspection->count, inspection->whole);
    return copies;
}

/* Counts the votes for and against a name (or, with FILE, a file of that name). */
static struct removal count_removal(const struct repair *repair,
                                    const struct inspection *inspection, bool file)
{
    const struct roster *roster = repair->roster;
    const struct scattered scattered = roster_scattered(roster, inspection->path, !file);
    struct removal removal = {
        .complete = inspection->would_need > 0 || scattered.alone,
        .other = scattered.other,
    };
    bool has[256] = {false}, lacks[256] = {false};

    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        const struct mend_store holds = roster_entry_holds(entry);
        const struct copy_report *report = report_of(inspection, entry->store);
        const struct ballot *ballot =
            report ? &inspection->survey.ballots[report - inspection->copies] : NULL;
        bool lacking =
            report && (file ? !S_ISREG(ballot->status.st_mode) : report->state == COPY_ABSENT);
        removal.any_error |= !report || report->state == COPY_UNREADABLE || entry->error < 0;
        removal.any_empty |= entry->empty && !entry->added;
        removal.half_copied |= lacking && 2 * entry->missing > roster->believed;
        removal.alien |= !lacking && mend_is_alien(&holds);
        if (entry->voter < 0 || entry->added)
            continue;
        if (!lacking)
            removal.having += is_first_of(has, entry->voter);
        else if (!entry->left)
            removal.lacking += is_first_of(lacks, entry->voter);
    }
    removal.any_error |= roster->left_out > 0;
    return removal;
}

/* OTHER: the other name that REASON is about, or NULL. */
static void tell_not_removed(const struct repair *repair, const char *path, const char *reason,
                             const char *other)
{
    log_error("%s is not removed: %s%s%s", log_path(path), reason, other ? " " : "",
              other ? other : "");
    atomic_fetch_add(repair->settings->refused, 1);
}

/* Returns PATH in a target, as the list of kept names has it; the caller frees it. */
static char *way_in(const struct repair *repair, const char *path, size_t target)
{
    char *way = NULL;

    return asprintf(&way, "%s/%s/", repair->targets[target].name, path) < 0 ? NULL : way;
}

/* Returns true if something that is kept is where a directory of PATH would have to be. */
static bool is_in_the_way(struct repair *repair, const char *path, size_t target)
{
    cleanup_free char *way = way_in(repair, path, target);
    bool found = false;
    HOLD(&repair->lock);

    for (size_t i = 0; way && i < repair->kept.count && !found; i++) {
        const char *kept = names_get(&repair->kept, i);
        found = strncmp(way, kept, strlen(kept)) == 0;
    }
    return found;
}

/*
 * Returns true if a file in the place of something else is an intact share, or may be one, and is
 * to stay; says why. It is removed where its name could be removed.
 */
static bool share_stays(struct repair *repair, const struct inspection *inspection, size_t target,
                        bool again)
{
    size_t place = (size_t)(report_of(inspection, repair->stores[target]) - inspection->copies);
    const struct ballot *ballot = &inspection->survey.ballots[place];
    const bool remove = repair->settings->copy.remove;
    const struct removal removal = count_removal(repair, inspection, true);
    const char *other = remove && removal.other ? removal.other : "";
    bool unread = look_answer(&inspection->survey.inquiry, place)->object.open_error < 0;

    if (!S_ISREG(ballot->status.st_mode) || !(ballot->has_header || unread))
        return false;
    const char *reason = remove ? mend_refuses_removal(&repair->roster->quorum, &removal)
                                : "nothing but --delete removes an intact share";
    if (!reason || again)
        return reason;
    log_error("%s in %s is kept: %s%s%s", log_path(inspection_path(inspection)),
              repair->targets[target].name, reason, *other ? " " : "", other);
    atomic_fetch_add(repair->settings->refused, 1);
    cleanup_free char *way = way_in(repair, inspection->path, target);
    HOLD(&repair->lock);
    if (way) /* for a dry run: no directory would be made there */
        names_add(&repair->kept, way);
    return true;
}

/* Returns true if a directory with names in it, or one that cannot be looked at, is in the way. */
static bool is_full_directory(const struct repair *repair, const char *path, size_t target)
{
    cleanup_names struct names names = NO_NAMES;
    int r = tree_list(repair->targets[target].tree, path, &names);

    return r == 0 ? names.count > 0 : r != -ENOTDIR && r != -ENOENT;
}

/*
 * Returns why a name is not sent to a node: it would replace whatever is there. NULL: it may be
 * sent.
 */
static const char *find_reason_to_hold(const struct repair *repair,
                                       const struct inspection *inspection, size_t target)
{
    const struct copy_report *report = report_of(inspection, repair->stores[target]);
    const struct stat *own = &inspection->survey.ballots[report - inspection->copies].status;
    const struct stat *shown = &inspection->status;

    if (!repair->settings->hand_over)
        return NULL;
    for (size_t i = 0; i < inspection->count; i++) {
        if (inspection->copies[i].other_content)
            return "stores have another content of the same size and time";
    }
    if (report->keeps_mode && (own->st_mode != shown->st_mode || own->st_uid != shown->st_uid ||
                               own->st_gid != shown->st_gid))
        return "stores do not agree on its mode or owner";
    if (report->state == COPY_OTHER_KIND && S_ISDIR(own->st_mode) &&
        is_full_directory(repair, inspection->path, target))
        return "a directory that is not empty is in the way";
    return NULL;
}

/* Returns the metadata of a good copy that is to be mended. */
static unsigned wrong_metadata(const struct repair *repair, const struct copy_report *report)
{
    const bool stays = repair->settings->hand_over && report->keeps_mode;

    return report->other_metadata & ~(stays ? METADATA_MODE | METADATA_OWNER : 0u);
}

/* Returns what to do about one copy of a name that can be restored; PLANNED: it is replaced. */
static enum need mend_one(struct repair *repair, const struct inspection *inspection, size_t target,
                          bool planned, bool again)
{
    const struct copy_report *report = report_of(inspection, repair->stores[target]);
    const char *reason = find_reason_to_keep(report);

    if (report->state == COPY_OTHER_KIND && share_stays(repair, inspection, target, again))
        return NEED_REFUSED;
    if (report->cannot_be || (report->state == COPY_GOOD && !wrong_metadata(repair, report)))
        return NEED_NOTHING;
    if (planned || report->state == COPY_GOOD) {
        reason = find_reason_to_hold(repair, inspection, target);
        if (!reason)
            return planned ? NEED_CONTENT : NEED_METADATA;
    }
    if (!reason && is_to_be_replaced(report))
        reason = report->index >= 0 && report->index != repair->targets[target].share
                     ? "the only copy of this share"
                     : "an older version, which is in as many stores, would be in fewer";
    if (reason && !again) {
        log_error("%s in %s is %s: %s", log_path(inspection_path(inspection)),
                  repair->targets[target].name, report->state == COPY_ABSENT ? "not made" : "kept",
                  reason);
        atomic_fetch_add(repair->settings->kept, 1);
    }
    return NEED_REFUSED;
}

/* Returns true if a name that too few stores have may be removed; says why where it may not. */
static bool may_be_removed(const struct repair *repair, const struct inspection *inspection,
                           const char *path, bool again)
{
    const struct removal removal = count_removal(repair, inspection, false);

    if (!repair->settings->copy.remove || inspection->leftover || inspection->conflict ||
        removal.having >= repair->roster->quorum.required)
        return false;
    const char *reason = mend_refuses_removal(&repair->roster->quorum, &removal);
    if (reason && !again)
        tell_not_removed(repair, path, reason, removal.other);
    return !reason;
}

static bool is_restorable(const struct inspection *inspection)
{
    enum name_health health = inspection_health(inspection);

    return health == HEALTH_INTACT || health == HEALTH_DEGRADED;
}

static int inspect(const struct repair *repair, const char *path, const struct sweep_depth *depth,
                   struct inspection *ret)
{
    return inspection_make(store_source_terms(repair->source), path, depth, roster_share,
                           repair->roster, ret);
}

/* Returns 0 if all in the directory PATH may be removed as well, or why not. Adds the
 * directories in it to DIRECTORIES, and notes whether there are FILES. */
static int look_whether_all_go(const struct repair *repair, const char *path,
                               struct names *directories, bool *files)
{
    const struct sweep_depth depth = {.stop = &repair->progress->stop};
    cleanup_names struct names names = NO_NAMES;

    int r = repair->source->operations->list(repair->source, path, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        cleanup_free char *whole = visit_join(path, names_get(&names, i));
        cleanup_inspection struct inspection inspection = NO_INSPECTION;
        r = whole ? inspect(repair, whole, &depth, &inspection) : -ENOMEM;
        if (r < 0)
            return r;
        if (inspection.leftover)
            continue; /* it goes with its directory */
        if (!may_be_removed(repair, &inspection, whole, true))
            return -ENOTEMPTY;
        if (!is_restorable(&inspection))
            *files |= S_ISREG(inspection.status.st_mode);
        else
            r = S_ISDIR(inspection.status.st_mode) ? names_add(directories, whole) : -ENOTEMPTY;
    }
    return r;
}

/*
 * Returns true if a directory that is shown goes with the files in it, as one that was renamed. One
 * without files may be missing where storage keeps no empty ones: it stays.
 */
static bool goes_with_files(const struct repair *repair, const struct inspection *inspection)
{
    cleanup_names struct names directories = NO_NAMES;
    bool files = false;

    if (!*inspection->path || !S_ISDIR(inspection->status.st_mode) ||
        !may_be_removed(repair, inspection, inspection->path, true))
        return false;
    int r = look_whether_all_go(repair, inspection->path, &directories, &files);
    for (size_t i = 0; r == 0 && i < directories.count; i++) {
        cleanup_free char *path = strdup(names_get(&directories, i));
        r = path ? look_whether_all_go(repair, path, &directories, &files) : -ENOMEM;
    }
    return r == 0 && files;
}

/*
 * Returns true if PATH is to stay where it is in the way: in a directory of some store where most
 * have a file, or new since its directory was listed. The rule is that of all other names.
 */
static bool keeps(void *opaque, const char *path)
{
    const struct repair *repair = opaque;
    const struct sweep_depth depth = {.stop = &repair->progress->stop};
    cleanup_inspection struct inspection inspection = NO_INSPECTION;

    int r = inspect(repair, path, &depth, &inspection);
    if (r == -ENOENT || (r == 0 && inspection.leftover))
        return false;
    if (r < 0) {
        tell_not_removed(repair, path, strerrordesc_np(-r), NULL);
        return true;
    }
    const struct removal removal = count_removal(repair, &inspection, false);
    const char *reason = inspection.conflict
                             ? "the stores do not agree on what it is"
                             : mend_refuses_removal(&repair->roster->quorum, &removal);
    if (reason)
        tell_not_removed(repair, path, reason, inspection.conflict ? NULL : removal.other);
    return reason;
}

/* Sets what to do about a name that can be restored, in each target that can be reached. */
static void choose_mending(struct repair *repair, const struct inspection *inspection,
                           struct slot slots[], bool again)
{
    cleanup_free struct mend_copy *copies = plan(repair, inspection);
    bool made = false;

    for (size_t i = 0; i < repair->count; i++) {
        const struct copy_report *report = report_of(inspection, repair->stores[i]);
        /* A directory that could not be made has been reported; a dry run makes none. */
        bool reachable = slots[i].directory >= 0 || (repair->settings->copy.dry_run &&
                                                     !is_in_the_way(repair, inspection->path, i));
        slots[i].seen->keeps_mode = report && report->keeps_mode;
        slots[i].seen->other_kind = report && report->state == COPY_OTHER_KIND;
        if (copies && report && reachable)
            slots[i].need =
                mend_one(repair, inspection, i, copies[report - inspection->copies].replace, again);
        made |= slots[i].need == NEED_CONTENT;
    }
    if (made && inspection->unverified.count > 0 && !again)
        atomic_fetch_add(repair->settings->unverified, 1);
}

/* Sets what to do in each target about a name that was judged; until now, all are refused. */
static void choose_needs(struct repair *repair, const struct inspection *inspection,
                         const char *path, struct slot slots[], bool again)
{
    bool restorable = is_restorable(inspection), removed = false;

    for (size_t i = 0; i < repair->count; i++) { /* where something is there */
        const struct copy_report *report = report_of(inspection, repair->stores[i]);
        if (report && report->state != COPY_ABSENT && report->state != COPY_UNREADABLE)
            slots[i].need = NEED_REMOVAL;
        removed |= slots[i].need == NEED_REMOVAL;
    }
    /* Leftovers of our interrupted runs are removed without a message. */
    bool ours = inspection->leftover && temporary_is_name(visit_last_name(path));
    /* What a manifest has, or a manifest itself, is lost and no leftover: each share may be
     * needed together with others. */
    removed = removed && (ours || (!inspection->sealed.kind &&
                                   (restorable ? goes_with_files(repair, inspection)
                                               : may_be_removed(repair, inspection, path, again))));
    for (size_t i = 0; i < repair->count; i++) {
        if (!removed)
            slots[i].need = NEED_REFUSED;
        else if (slots[i].need != NEED_REMOVAL)
            slots[i].need = NEED_NOTHING;
    }
    if (restorable && !removed)
        choose_mending(repair, inspection, slots, again);
    else if (!removed && !inspection->leftover && !again)
        atomic_fetch_add(
            inspection->hidden ? repair->settings->unconfirmed : repair->settings->lost, 1);
}

/* Has others do what is needed, once for each name. What could not be looked at stays. */
static void hand_over(const struct repair *repair, const char *path, struct slot slots[],
                      bool again)
{
    const struct repair_settings *settings = repair->settings;

    for (size_t i = 0; i < repair->count; i++) {
        const struct slot *slot = &slots[i];
        if ((slot->need != NEED_CONTENT && slot->need != NEED_METADATA) ||
            (slot->directory >= 0 && seen_failed(slot->seen)))
            continue;
        if (!again)
            settings->hand_over(settings->copy.context, path, &repair->targets[i], slot->need,
                                slot->seen);
        slots[i].need = NEED_NOTHING;
    }
}

static void choose(void *opaque, const struct original *original, struct slot slots[], bool again,
                   struct pool *pool, struct source_file **ret_file)
{
    struct repair *repair = opaque;
    const struct check_settings *check = &repair->settings->check;
    const struct sweep_depth depth = {.part = 1,
                                      .stop = &repair->progress->stop,
                                      .pool = pool,
                                      .ahead = &repair->progress->ahead};
    cleanup_inspection struct inspection inspection = NO_INSPECTION;

    for (size_t i = 0; i < repair->count; i++)
        slots[i].need = NEED_REFUSED;
    int r = inspect(repair, original->path, &depth, &inspection);
    /* The file is as its inspection found it: what most stores say, also where k others agree on
     * something else, which would be read as well if it came first. */
    if (r == 0 && inspection.shares && inspection.spare >= 0 && !inspection.conflict) {
        r = store_source_file(repair->source, inspection.shares, ret_file);
        if (r == 0)
            inspection.shares = NULL; /* they are the file's */
    }
    if (r < 0 && r != -ENOENT && r != -ECANCELED && !again)
        check->failed(check->context, original->path, r);
    if (r < 0 ||
        (inspection.leftover && store_name_is_description(store_source_terms(repair->source),
                                                          original->path, &inspection.survey)))
        return;
    if (repair->settings->hand_over)
        roster_excuse(repair->roster, &inspection);
    if (!again)
        check->report(check->context, original->path, &inspection);
    choose_needs(repair, &inspection, original->path, slots, again);
    for (size_t i = 0; i < repair->count && !again; i++) {
        const struct copy_report *report = report_of(&inspection, repair->stores[i]);
        int error = report ? report->error : -ENODEV;
        if (error < 0 && slots[i].need == NEED_REFUSED)
            tell_refused(repair, original->path, &repair->targets[i], error);
    }
    if (repair->settings->hand_over)
        hand_over(repair, original->path, slots, again);
}

/* Says why a store that holds no share is left as it is. */
static void tell_left(struct repair *repair, const struct roster_entry *entry)
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

int repair_run(struct source *source, const struct roster *roster,
               const struct repair_settings *settings, struct progress *progress)
{
    cleanup_free struct target *targets = calloc(roster->count + 1, sizeof *targets);
    cleanup_free const struct store **stores = calloc(roster->count + 1, sizeof(struct store *));
    struct repair repair = {
        source, roster, settings, progress, targets, stores, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct copy_settings copy = settings->copy;
    const bool checked = formats[store_source_terms(source)->format]->has_checks;

    if (!targets || !stores)
        return -ENOMEM;
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entries[i];
        struct store_voice voice;
        if (entry->share == ROSTER_UNKNOWN && !entry->left)
            tell_left(&repair, entry);
        if (entry->share == ROSTER_UNKNOWN)
            continue;
        stores[repair.count] = entry->store;
        targets[repair.count++] = (struct target){
            .tree = store_tree(entry->store),
            .name = store_name(entry->store),
            .share = entry->share,
            .fresh = entry->empty,
            /* Without checks, times tell versions apart, and how coarse a store's are. A finer one
             * among them would say that the others are exact. */
            .time_unit = !checked && store_voice(entry->store, &voice) ? voice.time_unit : 0,
        };
    }
    copy.context = &repair;
    copy.report = tell;
    copy.choose = choose;
    copy.keeps = keeps;
    copy.reread = true;
    copy.owned = true;
    int r = copy_run(source, targets, repair.count, &copy, progress);
    names_clear(&repair.kept);
    return r;
}
