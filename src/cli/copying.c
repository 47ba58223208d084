/* SPDX-License-Identifier: MIT */
#include "cli/copying.h"

#include "base/log.h"
#include "cli/destination.h"
#include "cli/holding.h"
#include "cli/output.h"
#include "engine/count.h"

#include <string.h>

static const char *const actions[COPY_KINDS] = {
    [COPY_MADE] = "made",     [COPY_TOUCHED] = "metadata", [COPY_REMOVED] = "removed",
    [COPY_OLDER] = "older",   [COPY_PARTIAL] = "partial",  [COPY_LOST] = "lost",
    [COPY_FAILED] = "failed",
};

/* What parts of its metadata are called, those of lower bits first. */
static const char *const parts[] = {"owner", "attributes", "mode", "time"};

static json_t *lack_json(unsigned lack)
{
    json_t *array = json_array();

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (lack & 1u << i)
            json_array_append_new(array, json_string(parts[i]));
    }
    return array;
}

/* As in "owner, time"; the caller frees it. */
static char *lack_text(unsigned lack)
{
    char *text = strdup("");

    for (size_t i = 0; text && i < sizeof parts / sizeof *parts; i++) {
        char *longer = NULL;
        if (!(lack & 1u << i))
            continue;
        if (asprintf(&longer, "%s%s%s", text, *text ? ", " : "", parts[i]) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static const char *reason_of(const struct copy_event *event)
{
    return event->error < 0 ? strerrordesc_np(-event->error) : "the file system does not keep it";
}

static void tell_json(const struct copy_event *event)
{
    json_t *object = json_pack("{s:s}", "action", actions[event->kind]);

    output_json_path(object, "path", event->path);
    if (event->target) {
        output_json_path(object, "target", event->target->name);
        if (event->target->share >= 0)
            json_object_set_new(object, "share", json_sprintf("%02x", event->target->share));
    }
    if (event->error < 0 || event->lack)
        json_object_set_new(object, "error", json_string(reason_of(event)));
    if (event->lack)
        json_object_set_new(object, "lack", lack_json(event->lack));
    output_json("file", object);
}

static void tell_failure(const struct copy_event *event)
{
    const char *where = event->target ? event->target->name : "";
    const char *in = event->target ? " in " : "";
    cleanup_free char *lack = lack_text(event->lack);

    if (event->whole)
        log_error("%s: nothing can be written there: %s", where, reason_of(event));
    else if (event->lack)
        log_error("%s%s%s: %s not given: %s", event->path, in, where, lack ? lack : "metadata",
                  reason_of(event));
    else
        log_error("%s%s%s: %s", event->path, in, where, reason_of(event));
}

static void tell_text(const struct copy_event *event)
{
    const char *where = event->target ? event->target->name : "";
    const char *in = event->target ? " in " : "";

    switch (event->kind) {
    case COPY_FAILED:
        tell_failure(event);
        break;
    case COPY_LOST:
        log_error("%s: cannot be read: %s", event->path, strerrordesc_np(-event->error));
        break;
    case COPY_OLDER:
        log_warning("%s: an older version was taken, the newest is damaged", event->path);
        break;
    case COPY_PARTIAL:
        log_warning("%s: has what can be read of it, and holes", event->path);
        break;
    default:
        log_info("%s: %s%s%s", event->path, actions[event->kind], in, where);
    }
}

/* Returns true if who gave such options may not expect that anything is removed. */
static bool is_unasked_removal(const struct options *options)
{
    return options->command == COMMAND_REPAIR || !(options->remove || options->verbose);
}

/* What was done as it should be is told to those who asked for it. */
static void tell(void *context, const struct copy_event *event)
{
    struct copying *copying = context;
    bool routine = event->kind == COPY_MADE || event->kind == COPY_TOUCHED;

    atomic_fetch_add(&copying->counts[event->kind], 1);
    if (!copying->options->json || event->kind == COPY_FAILED || event->kind == COPY_LOST)
        tell_text(event);
    if (copying->options->json &&
        (!routine || copying->options->verbose || copying->options->dry_run))
        tell_json(event);
    else if (copying->options->dry_run && event->kind < COPY_OLDER)
        output_text(COLOUR_NONE, "%s: would be %s%s%s", event->path,
                    event->kind == COPY_TOUCHED ? "given its metadata" : actions[event->kind],
                    event->target ? " in " : "", event->target ? event->target->name : "");
    else if (event->kind == COPY_REMOVED && is_unasked_removal(copying->options))
        /* What was in the way of another name is in no line of what was found. */
        output_text(COLOUR_NONE, "%s: removed in %s", event->path, event->target->name);
}

void copying_keep(struct copying *copying, const char *path)
{
    pthread_mutex_lock(&copying->lock);
    copying->keeps_all |= names_add(&copying->unconfirmed, path) < 0;
    pthread_mutex_unlock(&copying->lock);
}

/* It may be the last copy of what is in some store. */
static bool keeps(void *context, const char *path)
{
    struct copying *copying = context;

    pthread_mutex_lock(&copying->lock);
    bool kept = copying->keeps_all;
    for (size_t i = 0; !kept && i < copying->unconfirmed.count; i++)
        kept = strcmp(names_get(&copying->unconfirmed, i), path) == 0;
    pthread_mutex_unlock(&copying->lock);
    return kept;
}

int copying_begin(struct copying *copying, const struct options *options)
{
    *copying = (struct copying){.options = options};
    pthread_mutex_init(&copying->lock, NULL);
    copying->settings = (struct copy_settings){
        .jobs = options->jobs,
        .look_closer = options->checksum,
        .remove = options->remove,
        .dry_run = options->dry_run,
        .older = options->older,
        .salvage = options->salvage,
        .context = copying,
        .report = tell,
        .keeps = keeps,
    };
    return meter_start(&copying->meter, options->name);
}

/* Refuses a new store at PLACE that lies in another one, INPUT, or around it. */
static int refuse_nested(const char *path, const char *place, const char *input)
{
    bool same = strcmp(place, input) == 0;

    if (!same && destination_lies_in(place, input)) {
        log_error("%s: lies in the store %s; choose another place", path, input);
        return -EINVAL;
    }
    if (!same && destination_lies_in(input, place)) {
        log_error("%s: the store %s lies in it; choose another place", path, input);
        return -EINVAL;
    }
    return 0;
}

/*
 * Refuses a PLACE around INPUT where files that are not in the source are removed, and one in a
 * store for whole files, which would take the places of shares.
 */
static int refuse_input(const struct options *options, const char *path, const char *place,
                        int share, const char *input)
{
    if (options->command == COMMAND_REPAIR)
        return refuse_nested(path, place, input);
    if (options->remove && destination_lies_in(input, place)) {
        log_error("%s: --delete would remove %s, which lies in it; choose another place", path,
                  input);
        return -EINVAL;
    }
    if (share == TARGET_WHOLE && destination_lies_in(place, input)) {
        log_error("%s: lies in the stores that are read, %s; choose another place", path, input);
        return -EINVAL;
    }
    return 0;
}

/* Refuses a PLACE that another target has, or lies in: one would remove what the other writes. */
static int refuse_twice(const struct copying *copying, const char *path, const char *place)
{
    for (size_t i = 0; i < copying->count; i++) {
        const char *other = copying->places[i];
        bool same = strcmp(other, place) == 0;
        if (same || destination_lies_in(place, other) || destination_lies_in(other, place)) {
            log_error("%s: %s the place of share %02x%s; give each share its own", path,
                      same ? "is" : "lies in or around", (uint8_t)copying->targets[i].share,
                      same ? ", too" : "");
            return -EINVAL;
        }
    }
    return 0;
}

static int check_place(const struct copying *copying, const char *path, const char *place,
                       int share, const struct names *inputs)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < inputs->count; i++)
        r = refuse_input(copying->options, path, place, share, names_get(inputs, i));
    if (r == 0)
        r = refuse_twice(copying, path, place);
    if (r == 0)
        r = destination_check(path, copying->options->dry_run);
    if (r < 0)
        return r;
    return share == TARGET_WHOLE
               ? holding_check_whole(path, place)
               : holding_check_share(copying->options, path, place, (uint8_t)share);
}

int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs)
{
    cleanup_free char *place = NULL, *name = strdup(path);

    int r = name ? destination_resolve(path, &place) : -ENOMEM;
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    r = check_place(copying, path, place, share, inputs);
    if (r < 0)
        return r;
    copying->names[copying->count] = steal_pointer(name);
    copying->places[copying->count] = steal_pointer(place);
    copying->targets[copying->count].share = share;
    copying->count++;
    return 0;
}

int copying_make_directory(struct copying *copying, const char *path)
{
    if (copying->options->dry_run)
        return 0;
    if (mkdir(path, 0777) == 0)
        return names_add(&copying->made, path);
    return errno == EEXIST ? 0 : log_errno(-errno, "%s: cannot be made", path);
}

static int open_target(struct copying *copying, size_t i)
{
    struct target *target = &copying->targets[i];
    const char *path = copying->names[i];

    int r = copying_make_directory(copying, path);
    if (r < 0)
        return r;
    r = tree_open(path, &copying->trees[i]);
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    target->tree = copying->trees[i];
    target->name = path;
    return 0;
}

int copying_open(struct copying *copying)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < copying->count; i++)
        r = open_target(copying, i);
    return r;
}

/* Leaves nothing behind: others may have put something into them meanwhile, and that stays. */
static void remove_made(const struct names *made)
{
    for (size_t i = made->count; i > 0; i--)
        rmdir(names_get(made, i - 1));
}

void copying_end(struct copying *copying)
{
    meter_stop(&copying->meter);
    for (size_t i = 0; i < copying->count; i++) {
        if (copying->trees[i])
            tree_close(copying->trees[i]);
        free(copying->names[i]);
        free(copying->places[i]);
    }
    if (!copying->begun)
        remove_made(&copying->made);
    names_clear(&copying->made);
    names_clear(&copying->unconfirmed);
    pthread_mutex_destroy(&copying->lock);
}

int copying_finish(struct copying *copying, int result)
{
    if (result == -ENOMEM)
        log_errno(result, "%s", copying->options->name);
    copying->begun = result == 0 || result == -ENOMEM || result == -ECANCELED;
    for (size_t i = 0; copying->begun && i < copying->made.count; i++) {
        const char *path = names_get(&copying->made, i);
        int r = destination_settle(path);
        if (r < 0 && result == 0)
            result = log_errno(r, "%s: its name cannot be written out", path);
    }
    return result;
}

static unsigned long long count_of(struct copying *copying, enum copy_kind kind)
{
    return atomic_load(&copying->counts[kind]);
}

static enum exit_status status_of(struct copying *copying, int result)
{
    if (copying->options->command != COMMAND_ENCODE && count_of(copying, COPY_LOST) > 0)
        return EXIT_STATUS_LOST;
    if (result < 0 || count_of(copying, COPY_FAILED) > 0 || count_of(copying, COPY_LOST) > 0)
        return EXIT_STATUS_FAILED;
    return count_of(copying, COPY_OLDER) > 0 || atomic_load(&copying->hidden) > 0
               ? EXIT_STATUS_DAMAGED
               : EXIT_STATUS_OK;
}

void copying_summarize(struct copying *copying, enum exit_status status)
{
    const struct options *options = copying->options;
    uint64_t files = atomic_load(&copying->meter.progress.files);
    uint64_t bytes = atomic_load(&copying->meter.progress.bytes);
    unsigned long long bad = count_of(copying, COPY_LOST) + count_of(copying, COPY_FAILED);
    double seconds = meter_seconds(&copying->meter);

    output_text(bad > 0 ? COLOUR_BAD : COLOUR_NONE,
                "%s: %s file%s, %s in %.1f s; %s%s made, %s given metadata, %s removed, %s failed",
                options->name, show_count(files).text, files == 1 ? "" : "s",
                show_bytes(bytes).text, seconds, options->dry_run ? "would be: " : "",
                show_count(count_of(copying, COPY_MADE)).text,
                show_count(count_of(copying, COPY_TOUCHED)).text,
                show_count(count_of(copying, COPY_REMOVED)).text, show_count(bad).text);
    json_t *object = json_pack("{s:s, s:b, s:I, s:I, s:f, s:i}", "command", options->name,
                               "dry_run", options->dry_run, "files", (json_int_t)files, "bytes",
                               (json_int_t)bytes, "seconds", seconds, "exit_status", status);
    for (size_t i = 0; i < COPY_KINDS; i++)
        json_object_set_new(object, actions[i],
                            json_integer((json_int_t)atomic_load(&copying->counts[i])));
    output_json("summary", object);
}

enum exit_status copying_run(struct copying *copying, struct source *source)
{
    struct progress *progress = &copying->meter.progress;

    copying->counting = output_has_progress();
    if (copying->counting)
        count_run(source, copying->options->jobs, progress);
    copying->counting = false;
    int r = copy_run(source, copying->targets, copying->count, &copying->settings, progress);
    r = copying_finish(copying, r);
    enum exit_status status = status_of(copying, r);
    copying_summarize(copying, status);
    return status;
}
