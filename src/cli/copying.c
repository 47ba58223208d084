/* SPDX-License-Identifier: MIT */
#include "cli/copying.h"

#include "base/log.h"
#include "cli/output.h"
#include "tool/count.h"

#include <libgen.h>
#include <string.h>

static const char *const actions[COPY_KINDS] = {
    [COPY_MADE] = "made",     [COPY_TOUCHED] = "metadata", [COPY_REMOVED] = "removed",
    [COPY_OLDER] = "older",   [COPY_PARTIAL] = "partial",  [COPY_LOST] = "lost",
    [COPY_FAILED] = "failed",
};

static void tell_json(const struct copy_event *event)
{
    json_t *object = json_pack("{s:s}", "action", actions[event->kind]);

    output_json_path(object, "path", event->path);
    if (event->target) {
        output_json_path(object, "target", event->target->name);
        if (event->target->share >= 0)
            json_object_set_new(object, "share", json_sprintf("%02x", event->target->share));
    }
    if (event->error < 0)
        json_object_set_new(object, "error", json_string(strerrordesc_np(-event->error)));
    output_json("file", object);
}

static void tell_text(const struct copy_event *event)
{
    const char *where = event->target ? event->target->name : "";
    const char *in = event->target ? " in " : "";

    switch (event->kind) {
    case COPY_FAILED:
        log_error("%s%s%s: %s", event->path, in, where, strerrordesc_np(-event->error));
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

/* What was done as it should be is told to those who asked for it. */
static void tell(void *context, const struct copy_event *event)
{
    struct copying *copying = context;
    bool routine = event->kind == COPY_MADE || event->kind == COPY_TOUCHED;

    atomic_fetch_add(&copying->counts[event->kind], 1);
    if (!copying->work->json || event->kind == COPY_FAILED || event->kind == COPY_LOST)
        tell_text(event);
    if (copying->work->json && (!routine || copying->work->verbose || copying->work->dry_run))
        tell_json(event);
    else if (copying->work->dry_run && event->kind < COPY_OLDER)
        output_text(COLOUR_NONE, "%s: would be %s%s%s", event->path,
                    event->kind == COPY_TOUCHED ? "given its metadata" : actions[event->kind],
                    event->target ? " in " : "", event->target ? event->target->name : "");
}

int copying_begin(struct copying *copying, const struct work *work)
{
    *copying = (struct copying){.work = work};
    copying->settings = (struct copy_settings){
        .jobs = work->jobs,
        .look_closer = work->checksum,
        .remove = work->remove,
        .dry_run = work->dry_run,
        .older = work->older,
        .salvage = work->salvage,
        .context = copying,
        .report = tell,
    };
    return meter_start(&copying->meter, work->name);
}

/* PATH without symlinks; where it is not there yet, the folder that it is to be in. */
static char *real_place(const char *path)
{
    char *real = realpath(path, NULL);
    cleanup_free char *copy = real ? NULL : strdup(path);

    return copy ? realpath(dirname(copy), NULL) : real;
}

/* Whether PATH is FOLDER, or lies in it; both without symlinks. */
static bool lies_in(const char *path, const char *folder)
{
    size_t length = strcmp(folder, "/") == 0 ? 0 : strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/*
 * With --delete what is read would be removed from a place around it, and files that are restored
 * into stores would take their shares' places.
 */
static int refuse_inputs(const struct work *work, const char *path, int share,
                         const struct names *inputs)
{
    cleanup_free char *real = real_place(path);

    for (size_t i = 0; real && i < inputs->count; i++) {
        const char *input = names_get(inputs, i);
        if (work->remove && lies_in(input, real)) {
            log_error("%s: --delete would remove %s, which lies in it; choose another place", path,
                      input);
            return -EINVAL;
        }
        if (share == TARGET_WHOLE && lies_in(real, input)) {
            log_error("%s: lies in the stores that are read, %s; choose another place", path,
                      input);
            return -EINVAL;
        }
    }
    return 0;
}

int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs)
{
    struct tree **tree = &copying->trees[copying->count];

    int r = refuse_inputs(copying->work, path, share, inputs);
    if (r < 0)
        return r;
    if (!copying->work->dry_run && mkdir(path, 0777) < 0 && errno != EEXIST)
        return log_errno(-errno, "%s: cannot be made", path);
    r = tree_open(path, tree);
    if (r == -ENOENT && copying->work->dry_run)
        return log_errno(r, "%s: is not there yet, make it for a dry run", path);
    if (r == -ENOENT)
        return log_errno(r, "%s: is a symlink to what is not there, make that first", path);
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    copying->names[copying->count] = strdup(path);
    if (!copying->names[copying->count]) {
        tree_close(*tree);
        return -ENOMEM;
    }
    copying->targets[copying->count] =
        (struct target){.tree = *tree, .name = copying->names[copying->count], .share = share};
    copying->count++;
    return 0;
}

void copying_end(struct copying *copying)
{
    meter_stop(&copying->meter);
    for (size_t i = 0; i < copying->count; i++) {
        if (copying->trees[i])
            tree_close(copying->trees[i]);
        free(copying->names[i]);
    }
}

static unsigned long long count_of(struct copying *copying, enum copy_kind kind)
{
    return atomic_load(&copying->counts[kind]);
}

static enum exit_status status_of(struct copying *copying, int result)
{
    if (copying->work->command != COMMAND_ENCODE && count_of(copying, COPY_LOST) > 0)
        return EXIT_STATUS_LOST;
    if (result < 0 || count_of(copying, COPY_FAILED) > 0 || count_of(copying, COPY_LOST) > 0)
        return EXIT_STATUS_FAILED;
    return count_of(copying, COPY_OLDER) > 0 ? EXIT_STATUS_DAMAGED : EXIT_STATUS_OK;
}

void copying_summarize(struct copying *copying, enum exit_status status)
{
    const struct work *work = copying->work;
    uint64_t files = atomic_load(&copying->meter.progress.files);
    uint64_t bytes = atomic_load(&copying->meter.progress.bytes);
    unsigned long long bad = count_of(copying, COPY_LOST) + count_of(copying, COPY_FAILED);
    double seconds = meter_seconds(&copying->meter);

    output_text(bad > 0 ? COLOUR_BAD : COLOUR_NONE,
                "%s: %s file%s, %s in %.1f s; %s%s made, %s given metadata, %s removed, %s failed",
                work->name, show_count(files).text, files == 1 ? "" : "s", show_bytes(bytes).text,
                seconds, work->dry_run ? "would be: " : "",
                show_count(count_of(copying, COPY_MADE)).text,
                show_count(count_of(copying, COPY_TOUCHED)).text,
                show_count(count_of(copying, COPY_REMOVED)).text, show_count(bad).text);
    json_t *object = json_pack("{s:s, s:b, s:I, s:I, s:f, s:i}", "command", work->name, "dry_run",
                               work->dry_run, "files", (json_int_t)files, "bytes",
                               (json_int_t)bytes, "seconds", seconds, "exit_status", status);
    for (size_t i = 0; i < COPY_KINDS; i++)
        json_object_set_new(object, actions[i],
                            json_integer((json_int_t)atomic_load(&copying->counts[i])));
    output_json("summary", object);
}

enum exit_status copying_run(struct copying *copying, struct source *source)
{
    struct progress *progress = &copying->meter.progress;

    if (output_has_progress())
        count_run(source, copying->work->jobs, progress);
    int r = copy_run(source, copying->targets, copying->count, &copying->settings, progress);
    if (r < 0 && r != -ECANCELED && r != -EBUSY)
        log_errno(r, "%s", copying->work->name);
    enum exit_status status = status_of(copying, r);
    copying_summarize(copying, status);
    return status;
}
