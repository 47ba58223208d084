/* SPDX-License-Identifier: MIT */
#include "cli/copying.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/output.h"
#include "cli/places.h"
#include "engine/count.h"
#include "engine/visit.h"
#include "restore/survey.h"
#include "tree/temporary.h"
#include "view/store_source.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>

static const char *const actions[COPY_KINDS] = {
    [COPY_MADE] = "made",     [COPY_TOUCHED] = "metadata", [COPY_REMOVED] = "removed",
    [COPY_OLDER] = "older",   [COPY_PARTIAL] = "partial",  [COPY_LOST] = "lost",
    [COPY_FAILED] = "failed",
};

static const char *reason_of(const struct copy_event *event)
{
    if (event->twin)
        return "the storage ignores case";
    return event->error < 0 ? strerrordesc_np(-event->error) : "the file system does not keep it";
}

static void tell_json(const struct copy_event *event)
{
    json_t *lack = event->lack ? json_array() : NULL;

    for (size_t i = 0; i < METADATA_PARTS; i++) {
        if (event->lack & 1u << i)
            json_array_append_new(lack, json_string(metadata_words[i]));
    }
    json_t *object =
        json_pack("{s:s, s:s*, s:o*}", "action", actions[event->kind], "error",
                  event->error < 0 || event->lack ? reason_of(event) : NULL, "lack", lack);
    output_json_path(object, "path", event->path);
    if (event->target) {
        output_json_path(object, "target", event->target->name);
        if (event->target->share >= 0)
            json_object_set_new(object, "share", json_sprintf("%02x", event->target->share));
    }
    output_json("file", object);
}

static void tell_text(const struct copy_event *event, const char *in, const char *where)
{
    const char *reason = reason_of(event);
    struct draft lack = {0};

    draft_add_metadata(&lack, event->lack);
    cleanup_free char *lacking = draft_take(&lack);
    switch (event->kind) {
    case COPY_FAILED:
        if (event->whole)
            log_error("%s: nothing can be written there: %s", where, reason);
        else if (event->twin)
            log_error("%s and %s are one name%s%s: %s", event->path, event->twin, in, where,
                      reason);
        else if (event->lack)
            log_error("%s%s%s: %s not given: %s", event->path, in, where,
                      lacking ? lacking : "metadata", reason);
        else
            log_error("%s%s%s: %s", event->path, in, where, reason);
        break;
    case COPY_LOST:
        log_error("%s: cannot be read: %s", event->path, reason);
        break;
    case COPY_OLDER:
        log_warning("%s: an older version was taken, the newest is damaged", event->path);
        break;
    case COPY_PARTIAL:
        log_warning("%s: incomplete; holes stand for what cannot be read", event->path);
        break;
    default:
        log_info("%s: %s%s%s", event->path, actions[event->kind], in, where);
    }
}

void copying_tell(void *context, const struct copy_event *event)
{
    struct copying *copying = context;
    const struct options *options = copying->options;
    enum copy_kind kind = event->kind;
    bool routine = kind == COPY_MADE || kind == COPY_TOUCHED;
    const char *in = event->target ? " in " : "", *where = event->target ? event->target->name : "";

    atomic_fetch_add(&copying->counts[kind], 1);
    if (!options->json || kind == COPY_FAILED || kind == COPY_LOST)
        tell_text(event, in, where);
    if (options->json && (!routine || options->verbose || options->dry_run))
        tell_json(event);
    else if (options->dry_run && kind < COPY_OLDER)
        output_text(COLOUR_NONE, "%s: would be %s%s%s", event->path,
                    kind == COPY_TOUCHED ? "given its metadata" : actions[kind], in, where);
    else if (kind == COPY_REMOVED &&
             (options->command == COMMAND_REPAIR || !(options->remove || options->verbose)))
        /* Nobody asked for this removal: the name was in the way of another, and no line about
         * findings has it. */
        output_text(COLOUR_NONE, "%s: removed%s%s", event->path, in, where);
}

/* Returns true if PATH is kept because a store has it, or may have it. */
static bool keeps(void *context, const char *path)
{
    struct copying *copying = context;

    if (!copying->stores || temporary_is_name(visit_last_name(path)))
        return false;
    int r = survey_presence(store_source_stores(copying->stores), path);
    if (r < 0 && !copying->counting) {
        log_error("%s is not removed: %s", path,
                  r == -ENODATA     ? "a store holds nothing: is it mounted?"
                  : r == -EHOSTDOWN ? "a store could not be looked at"
                                    : strerrordesc_np(-r));
        atomic_fetch_add(&copying->counts[COPY_FAILED], 1);
    }
    return r != 0;
}

int copying_begin(struct copying *copying, const struct options *options)
{
    *copying = (struct copying){.options = options};
    copying->settings = (struct copy_settings){
        .jobs = options->jobs,
        .look_closer = options->checksum,
        .remove = options->remove,
        .dry_run = options->dry_run,
        .older = options->older,
        .salvage = options->salvage,
        .dense = options->dense,
        .context = copying,
        .report = copying_tell,
        .keeps = keeps,
    };
    return meter_start(&copying->meter, options->name, "run it again to go on from there");
}

/*
 * Refuses a PLACE that harms INPUT: a new store in another store, or around one; a target in the
 * source, which would then never end; a target around INPUT if files that are not in the source are
 * removed; and a target for whole files in a store, where they would replace shares.
 */
static int refuse_input(const struct options *options, const char *path,
                        const struct whereabouts *place, const char *input)
{
    const enum command command = options->command;
    cleanup_whereabouts struct whereabouts other = {0};

    int r = whereabouts_find(input, &other);
    if (r < 0)
        return r;
    bool within = whereabouts_within(place, &other), around = whereabouts_within(&other, place);
    if (command == COMMAND_REPAIR && within && !around)
        return log_as(-EINVAL, "%s: lies in the store %s; choose another place", path, input);
    if (command == COMMAND_REPAIR && around && !within)
        return log_as(-EINVAL, "%s: the store %s lies in it; choose another place", path, input);
    if (command != COMMAND_REPAIR && options->remove && around)
        return log_as(-EINVAL,
                      "%s: --delete would remove %s, which lies in it; choose another place", path,
                      input);
    if (command == COMMAND_ENCODE && place_is_shown(&other, place, &options->rules, true))
        return log_as(-EINVAL, "%s: lies in the source; choose another place, or exclude it", path);
    if (command == COMMAND_DECODE && within)
        return log_as(-EINVAL, "%s: lies in the stores that are read, %s; choose another place",
                      path, input);
    return 0;
}

/* Refuses a target that would contain the key's file: whoever has the share would have the whole
 * key. */
static int refuse_key(const struct options *options, const char *path,
                      const struct whereabouts *place)
{
    cleanup_whereabouts struct whereabouts key = {0};

    if (!options->key || options->command == COMMAND_DECODE || place_find(options->key, &key) < 0 ||
        !whereabouts_within(&key, place))
        return 0;
    return log_as(-EINVAL, "%s: the key, %s, lies in it; choose another place for one of them",
                  path, options->key);
}

int copying_add(struct copying *copying, const char *path, int share, const struct names *inputs)
{
    const struct options *options = copying->options;
    cleanup_free char *name = strdup(path);
    cleanup_whereabouts struct whereabouts place = {0}, parent = {0};
    struct stat status;

    int r = name ? place_find(path, &place) : -ENOMEM;
    if (r < 0)
        return log_errno(r, "%s: cannot be written to", path);
    if (options->command == COMMAND_REPAIR && options->source &&
        place_find(options->source, &parent) == 0 &&
        whereabouts_within(&parent, &place)) /* even if no stores are in it */
        return log_as(-EINVAL, "%s: the stores lie in it, in %s; choose another place", path,
                      options->source);
    r = refuse_key(options, path, &place);
    for (size_t i = 0; r == 0 && i < inputs->count; i++)
        r = refuse_input(options, path, &place, names_get(inputs, i));
    for (size_t i = 0; r == 0 && i < copying->count; i++) { /* one would remove what others write */
        const char *within = whereabouts_within(&place, &copying->places[i]);
        bool same = within && !*within;
        if (same)
            r = log_as(-EINVAL,
                       "%s: was given as the place of share %02x and of share %02x; give each a "
                       "directory of its own",
                       path, (uint8_t)copying->targets[i].share, (uint8_t)share);
        else if (within || whereabouts_within(&copying->places[i], &place))
            r = log_as(-EINVAL,
                       "%s: lies in or around the place of share %02x; give each share its own",
                       path, (uint8_t)copying->targets[i].share);
    }
    if (r < 0)
        return r;
    int error = stat(path, &status) < 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (error == ENOENT && lstat(path, &status) == 0)
        return log_as(-ENOENT, "%s: is a dangling symlink; create its target first", path);
    if (error == ENOENT && options->dry_run && options->command == COMMAND_REPAIR)
        return log_as(-ENOENT, "%s: does not exist; create it for a dry run", path);
    if (error != 0 && error != ENOENT)
        return log_errno(-error, "%s: cannot be written to", path);
    r = share == TARGET_WHOLE ? place_check_whole(path, place.path)
                              : place_check_share(options, path, place.path, (uint8_t)share);
    if (r < 0)
        return r;
    copying->names[copying->count] = steal_pointer(name);
    copying->targets[copying->count].share = share;
    copying->places[copying->count++] = place;
    place = (struct whereabouts){0};
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

/* Returns true if what is made in one tree appears in the other. */
static bool shows_in(const struct tree *one, const struct tree *other)
{
    char name[TEMPORARY_NAME_SIZE];
    cleanup_fd int directory = -1, fd = -1;
    struct stat status;

    if (tree_open_directory(one, "", &directory) < 0 || temporary_file(directory, name, &fd) < 0)
        return false;
    bool shows = tree_stat(other, name, &status) == 0;
    unlinkat(directory, name, 0);
    return shows;
}

/* Refuses two targets that turn out to be one once they exist, as where case is ignored. Inodes do
 * not tell: FUSE servers may have one for each name. */
static int refuse_same(const struct copying *copying)
{
    for (size_t i = 0; i < copying->count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct tree *one = copying->trees[i], *other = copying->trees[j];
            bool alike = strcasecmp(copying->places[i].path, copying->places[j].path) == 0;
            if (tree_is_same(one, other) ||
                (alike && !copying->options->dry_run && shows_in(one, other)))
                return log_as(-EINVAL,
                              "%s: is the place of share %02x, too; give each share its own",
                              copying->names[i], (uint8_t)copying->targets[j].share);
        }
    }
    return 0;
}

int copying_open(struct copying *copying)
{
    for (size_t i = 0; i < copying->count; i++) {
        const char *path = copying->names[i];
        int r = copying_make_directory(copying, path);
        if (r < 0)
            return r;
        r = tree_open(path, &copying->trees[i]);
        /* A dry run opens an empty, already removed directory in place of one that would be
         * made. */
        char unmade[] = "/tmp/zfec-fs-XXXXXX";
        if (r == -ENOENT && copying->options->dry_run && mkdtemp(unmade)) {
            r = tree_open(unmade, &copying->trees[i]);
            rmdir(unmade);
        }
        if (r == 0 && (r = whereabouts_claim(path, WHEREABOUTS_WRITTEN)) == -ENOENT &&
            copying->options->dry_run)
            r = 0;
        if (r < 0)
            return log_errno(r, "%s: cannot be written to", path);
        copying->targets[i].tree = copying->trees[i];
        copying->targets[i].name = path;
    }
    return refuse_same(copying);
}

void copying_end(struct copying *copying)
{
    meter_stop(&copying->meter);
    for (size_t i = 0; i < copying->count; i++) {
        if (copying->trees[i])
            tree_close(copying->trees[i]);
        free(copying->names[i]);
        whereabouts_clear(&copying->places[i]);
    }
    /* Others may have put something into them meanwhile, which stays. */
    for (size_t i = copying->begun ? 0 : copying->made.count; i > 0; i--)
        rmdir(names_get(&copying->made, i - 1));
    names_clear(&copying->made);
}

int copying_finish(struct copying *copying, int result)
{
    if (result == -ENOMEM)
        log_errno(result, "%s", copying->options->name);
    copying->begun = result == 0 || result == -ENOMEM || result == -ECANCELED;
    for (size_t i = 0; copying->begun && i < copying->made.count; i++) {
        const char *path = names_get(&copying->made, i);
        cleanup_free char *copy = strdup(path);
        cleanup_fd int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        /* EACCES: a folder that can only be written to; EINVAL: the file system cannot do it */
        if ((fd < 0 ? errno != EACCES : fsync(fd) < 0 && errno != EINVAL) && result == 0)
            result = log_errno(-errno, "%s: its name cannot be written out", path);
    }
    return result;
}

void copying_summarize(struct copying *copying, enum exit_status status)
{
    const struct options *options = copying->options;
    uint64_t files = atomic_load(&copying->meter.progress.files);
    uint64_t bytes = atomic_load(&copying->meter.progress.bytes);
    uint64_t bad = copying->counts[COPY_LOST] + copying->counts[COPY_FAILED];
    bool stopped = atomic_load(&copying->meter.progress.stop);
    double seconds = meter_seconds(&copying->meter);

    output_text(bad > 0 ? COLOUR_BAD : COLOUR_NONE,
                "%s%s: %s file%s, %s in %.1f s; %s%s made, %s given metadata, %s removed, %s "
                "failed",
                options->name, stopped ? " was stopped" : "", show_count(files).text, plural(files),
                show_bytes(bytes).text, seconds, options->dry_run ? "would be: " : "",
                show_count(copying->counts[COPY_MADE]).text,
                show_count(copying->counts[COPY_TOUCHED]).text,
                show_count(copying->counts[COPY_REMOVED]).text, show_count(bad).text);
    json_t *object =
        json_pack("{s:s, s:b, s:b, s:I, s:I, s:f, s:i}", "command", options->name, "dry_run",
                  options->dry_run, "stopped", stopped, "files", (json_int_t)files, "bytes",
                  (json_int_t)bytes, "seconds", seconds, "exit_status", status);
    for (size_t i = 0; i < COPY_KINDS; i++)
        json_object_set_new(object, actions[i], json_integer((json_int_t)copying->counts[i]));
    output_json("summary", object);
}

enum exit_status copying_run(struct copying *copying, struct source *source)
{
    struct progress *progress = &copying->meter.progress;
    const struct options *options = copying->options;
    enum exit_status status = EXIT_STATUS_OK;
    struct lacking found[256] = {0};
    int r = 0;

    copying->counting = true; /* unconfirmed names are reported later, by the run */
    if (output_has_progress())
        count_run(source, options->jobs, progress);
    /* If the source is not mounted, or is another target's, it looks as if most of the target's
     * names had been deleted. */
    if (options->remove && !options->remove_most)
        r = lacking_count(source, copying->targets, copying->count, &copying->settings, progress,
                          found);
    copying->counting = false;
    if (r < 0) {
        log_errno(r, "%s", options->name);
        return EXIT_STATUS_FAILED;
    }
    for (size_t i = 0; i < copying->count; i++) {
        if (2 * found[i].lacking > found[i].names)
            r = log_as(-EPERM,
                       "--delete would remove %s of %s names from %s: is all of the source "
                       "mounted? nothing was done; --delete-most removes them",
                       show_count(found[i].lacking).text, show_count(found[i].names).text,
                       copying->targets[i].name);
    }
    if (r < 0)
        return EXIT_STATUS_FAILED;
    r = copy_run(source, copying->targets, copying->count, &copying->settings, progress);
    r = copying_finish(copying, r);
    if (options->command != COMMAND_ENCODE && copying->counts[COPY_LOST] > 0)
        status = EXIT_STATUS_LOST;
    else if (r < 0 || copying->counts[COPY_FAILED] > 0 || copying->counts[COPY_LOST] > 0)
        status = EXIT_STATUS_FAILED;
    else if (copying->counts[COPY_OLDER] > 0 || copying->hidden > 0)
        status = EXIT_STATUS_DAMAGED;
    copying_summarize(copying, status);
    return status;
}
