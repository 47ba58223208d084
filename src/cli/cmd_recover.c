/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/asking.h"
#include "cli/output.h"
#include "cli/published.h"
#include "cli/standing.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/state.h"

#include <string.h>
#include <sys/stat.h>

enum { LOOK_S = 20 }; /* for rclone to read its own configuration */

struct recovery {
    const struct options *options;
    char *file; /* the file of sets */
    struct asking asking;
};

/* Returns true if rclone has a remote of the name before PLACE's colon. */
static bool is_remote(const char *place)
{
    struct words words = {.names = NO_NAMES};

    if (*place == ':')
        return true;
    WORDS_ADD(&words, "rclone", "config", "show", "--ask-password=false", "--");
    words_add(&words, "%.*s", (int)strcspn(place, ":"), place);
    return child_run(&words, LOOK_S, NULL) == 0;
}

/* Finds the place that the command line names. Returns 0 or a negative errno, logged. */
static int find_place(const char *place, struct sync_node *ret, char **ret_path)
{
    bool is_path = !strchr(place, ':') || *place == '/' || *place == '.';

    ret->mover = &rsync_mover;
    ret->target = place;
    if (is_path) {
        ret->target = *ret_path = realpath(place, NULL);
        return ret->target ? 0 : log_errno(-errno, "%s", place);
    }
    if (address_kind(place) != ADDRESS_DAEMON && is_remote(place))
        ret->mover = &rclone_mover;
    const char *wrong = address_mistake(place, ret->mover == &rsync_mover);
    return wrong ? log_as(-EINVAL, "%s: %s", place, wrong) : 0;
}

static void show_text(const char *who, const char *text)
{
    output_text(COLOUR_WARNING, "%s tells:", who);
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        output_text(COLOUR_NONE, "    %.*s", (int)length, text);
    }
}

/* Shows each answer that differs from TOLD, once. Returns true if there is any. */
static bool show_others(const struct sync_set *set, const struct telling *tellings,
                        const char *told)
{
    bool found = false;

    for (size_t i = 0; i < set->count; i++) {
        const char *text = tellings[i].text;
        bool known = !text || strcmp(text, told) == 0;
        for (size_t j = 0; j < i; j++)
            known |= text && tellings[j].text && strcmp(tellings[j].text, text) == 0;
        if (known)
            continue;
        if (!found)
            show_text("the place that was given", told);
        show_text(set->nodes[i].name, text);
        found = true;
    }
    return found;
}

/* Returns true if TEXT is a valid file of sets. */
static bool makes_sense(const struct recovery *recovery, const char *text)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = NULL;
    FILE *file =
        asprintf(&path, "%s/sets.ini", recovery->asking.folder.path) < 0 ? NULL : fopen(path, "we");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return false;
    log_mute(true);
    int r = sets_read(path, NULL, &sets);
    log_mute(false);
    return r == 0;
}

/* Returns the file of sets with the set NAME, TEXT, added; or NULL after one line in the log. */
static char *add_set(const struct recovery *recovery, const char *name, const char *text)
{
    const char *path = recovery->file;
    cleanup_sets struct sets sets = {0};
    cleanup_free char *old = NULL, *whole = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");

    if (!file && errno != ENOENT) {
        log_errno(-errno, "%s", path);
        return NULL;
    }
    if (file) {
        ssize_t size = getdelim(&old, &room, '\0', file);
        const bool is_empty = size < 0 && feof(file); /* counts as missing */
        fclose(file);
        if (!is_empty && sets_read(path, NULL, &sets) < 0)
            return NULL;
        if (size > 0 && asprintf(&whole, "%s\n%s", old, text) < 0)
            return NULL;
    }
    if (!whole)
        whole = strdup(text);
    if (whole && makes_sense(recovery, whole))
        return steal_pointer(whole);
    log_error("%s: a set %s, or a node at one of its places, is there already and stays as it is; "
              "nothing is written: use that one, or write another file with --config FILE",
              path, name);
    return NULL;
}

/* Adds the set NAME, TEXT, to the file of sets. Returns 0, or a negative errno, which was
 * logged. */
static int write_set(const struct recovery *recovery, const char *name, const char *text)
{
    const char *path = recovery->file, *slash = strrchr(path, '/');
    cleanup_free char *whole = add_set(recovery, name, text);
    cleanup_free char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    cleanup_published struct published file = {.directory = -1};
    struct stat status;

    if (!whole)
        return -EINVAL;
    int r = folder && *folder ? state_make_folder(folder) : 0;
    if (r == 0)
        r = published_open(&file, "--config", path);
    mode_t mode = stat(path, &status) == 0 ? status.st_mode & 07777 : 0600;
    return r == 0 ? published_write(&file, whole, mode) : r;
}

static void show_next(const struct recovery *recovery, const char *name)
{
    const char *config = recovery->options->config;

    output_text(COLOUR_GOOD, "%s: written to %s", name, recovery->file);
    output_text(COLOUR_NONE, "To restore all of it: zfec-fs decode%s%s %s: DIR",
                config ? " --config " : "", config ? config : "", name);
    output_text(COLOUR_NONE, "To go on with sync: add source = DIR to the section [%s]", name);
    output_text(COLOUR_NONE, "Also write exclude, delete, on_problem and the like again: the nodes "
                             "do not have them");
}

/* Shows the result, and writes the set TEXT. TOLD is the answer of PLACE. */
static enum exit_status conclude(const struct recovery *recovery, const struct sync_set *set,
                                 const struct telling *tellings, const char *told, const char *text)
{
    size_t there = asking_show(set, tellings, told);
    bool differ = show_others(set, tellings, told), written = false;

    if (differ && !recovery->options->as_told)
        log_error("nodes tell different things, and nothing is written: choose a node, and give "
                  "its place and --as-told");
    else
        written = write_set(recovery, set->name, text) == 0;
    if (written)
        show_next(recovery, set->name);
    enum exit_status status = written ? standing_status(set, there) : EXIT_STATUS_FAILED;
    output_json("summary",
                json_pack("{s:s, s:s, s:i, s:i, s:i, s:b, s:i}", "command", "recover", "set",
                          set->name, "nodes", (int)set->count, "there", (int)there, "required",
                          (int)set->encoding.required, "written", written, "exit_status", status));
    return status;
}

/* Recovers SET as PLACE describes it. PLACE is where its first node is, whatever other nodes
 * say. */
static enum exit_status recover_set(struct recovery *recovery, struct sync_set *set,
                                    const struct sync_node *place)
{
    const char *self = set->nodes[0].name;
    cleanup_free char *told = asking_text(set), *text = NULL;
    struct telling *tellings = NULL;
    enum exit_status status = EXIT_STATUS_FAILED;

    for (size_t i = 0; i < set->count; i++) {
        struct sync_node *node = &set->nodes[i];
        if (strcmp(node->name, self) == 0) {
            node->mover = place->mover;
            node->target = place->target;
        }
    }
    text = asking_text(set);
    int r =
        told && text ? asking_nodes(&recovery->asking, set->nodes, set->count, &tellings) : -ENOMEM;
    if (r < 0)
        log_errno(r, "recover");
    else
        status = conclude(recovery, set, tellings, told, text);
    asking_free(tellings, set->count);
    return status;
}

/* Asks PLACE, and the nodes that it names. */
static enum exit_status recover(struct recovery *recovery, struct sync_node *place)
{
    cleanup_sets struct sets sets = {0};
    struct telling *telling;

    int r = asking_nodes(&recovery->asking, place, 1, &telling);
    if (r < 0)
        log_errno(r, "recover");
    else if (telling->transfer.result < 0)
        r = log_as(-EIO, "%s: %s", place->target, telling->transfer.reason);
    else
        r = description_read(telling->transfer.theirs, NULL, place->target, &sets);
    if (r == -ENOENT && telling->transfer.no_place)
        log_error("%s: there is no such directory: correct the path, or give the place of another "
                  "node",
                  place->target);
    else if (r == -ENOENT)
        log_error("%s: has no " DESCRIPTION_NAME
                  ", which tells of the other nodes, nor the " SEALED_DESCRIPTION_NAME
                  " of sealed shares: give the place of another node, or "
                  "write the file of sets by hand",
                  place->target);
    asking_free(telling, 1);
    return r == 0 ? recover_set(recovery, &sets.sets[0], place) : EXIT_STATUS_FAILED;
}

enum exit_status recover_command(struct options *options)
{
    struct recovery recovery = {.options = options};
    struct sync_node place = {.name = "", .share = -1};
    cleanup_free char *path = NULL, *file = options_sets_path(options);
    enum exit_status status = EXIT_STATUS_FAILED;

    if (options->word_count != 1) {
        log_error("recover: give the place of one node, like nas:backup/home or /mnt/usb/home");
        return EXIT_STATUS_USAGE;
    }
    int r = find_place(options->words[0], &place, &path);
    if (r < 0)
        return r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
    recovery.file = file;
    if (asking_begin(options->jobs, &recovery.asking) == 0 && file)
        status = recover(&recovery, &place);
    asking_end(&recovery.asking);
    return status;
}
