/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/private_folder.h"
#include "cli/published.h"
#include "cli/standing.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/run.h"
#include "sync/state.h"
#include "tree/remove.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

enum {
    ASK_S = 20, /* without a word of a node's */
    ASK_ALL_S = 40,
};

#define PREFIX "zfec-fs-recover-"

/* What a node says when it is asked for its description. */
struct telling {
    struct transfer transfer;
    char *text; /* of the set, in the order of its shares; NULL: it tells nothing */
    bool unreadable;
};

struct recovery {
    const struct options *options;
    char *folder, *file; /* private; that of sets */
    struct run run;
};

static void look_for_stop(void *context)
{
    struct recovery *recovery = context;
    struct signalfd_siginfo signal;

    if (read(recovery->run.wake, &signal, sizeof signal) == sizeof signal)
        recovery->run.stop |= (int)signal.ssi_signo != background_signal(SIGUSR1);
}

static void transfer_happened(const struct transfer *transfer, enum transfer_event event)
{
}

static int compare_shares(const void *one, const void *other)
{
    return ((const struct sync_node *)one)->share - ((const struct sync_node *)other)->share;
}

/* Returns the sections of SET, the nodes being sorted. */
static char *text_of(struct sync_set *set)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    qsort(set->nodes, set->count, sizeof *set->nodes, compare_shares);
    if (!file)
        return NULL;
    description_print(set, NULL, file);
    return fclose(file) == 0 ? text : NULL;
}

/* Asks COUNT NODES, all at once. Returns 0 or a negative errno. */
static int ask_nodes(struct recovery *recovery, struct sync_node *nodes, size_t count,
                     struct telling *tellings)
{
    struct run *run = &recovery->run;
    cleanup_free struct transfer *transfers = calloc(count, sizeof *transfers);
    int r = transfers ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        nodes[i].terms.timeout = ASK_S;
        nodes[i].terms.deadline = ASK_ALL_S;
        nodes[i].terms.retries = 0;
        transfers[i] = (struct transfer){.node = &nodes[i],
                                         .task = TASK_ASK,
                                         .step = TRANSFER_WAITING,
                                         .happened = transfer_happened};
        if (asprintf(&transfers[i].theirs, "%s/%zu", recovery->folder, i) < 0)
            r = -ENOMEM;
        if (r == 0)
            r = description_clear(transfers[i].theirs);
    }
    run->transfers = transfers;
    run->count = count;
    run->jobs = recovery->options->jobs > 0 ? recovery->options->jobs : UINT_MAX;
    if (r == 0)
        run_transfers(run);
    for (size_t i = 0; transfers && i < count; i++)
        tellings[i].transfer = transfers[i];
    return r == 0 && run->stop ? -ECANCELED : r;
}

/* Reads what a node has told. */
static void read_telling(struct telling *telling)
{
    const struct transfer *transfer = &telling->transfer;
    cleanup_sets struct sets sets = {0};

    if (transfer->result < 0)
        return;
    log_mute(true);
    int r = description_read(transfer->theirs, "", &sets);
    log_mute(false);
    telling->unreadable = r < 0 && r != -ENOENT;
    telling->text = r == 0 ? text_of(&sets.sets[0]) : NULL;
}

static void free_tellings(struct telling *tellings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(tellings[i].text);
        free(tellings[i].transfer.theirs);
    }
    free(tellings);
}

/* Returns true if rclone has a remote that is called as PLACE is up to its colon. */
static bool is_remote(const char *place)
{
    struct words words = {.names = NO_NAMES};

    if (*place == ':')
        return true;
    WORDS_ADD(&words, "rclone", "config", "show", "--ask-password=false", "--");
    words_add(&words, "%.*s", (int)strcspn(place, ":"), place);
    return child_run(&words, ASK_S, NULL) == 0;
}

/* Takes the word of the command line to RET. Returns 0 or a negative errno, logged. */
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

/* Shows what SET is, and what its nodes have said. Returns how many of these tell of a set. */
static size_t show(const struct sync_set *set, const struct telling *tellings, const char *told)
{
    size_t there = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        const struct telling *telling = &tellings[i];
        const char *by = node->mover == &rsync_mover ? "rsync" : "rclone";
        bool answers = telling->transfer.result == 0,
             same = telling->text && !strcmp(telling->text, told);
        struct draft line = {0};
        standing_add_node(&line, set, node);
        draft_add(&line, "%s = %s: %s", by, node->target,
                  !answers                     ? "does not answer: "
                  : telling->transfer.no_place ? "answers, but there is no such directory"
                  : telling->unreadable ? "answers, but its " DESCRIPTION_NAME " cannot be read"
                  : !telling->text      ? "answers, but has no " DESCRIPTION_NAME
                  : same                ? "answers"
                                        : "answers, and tells something else");
        if (!answers)
            draft_add(&line, "%s", telling->transfer.reason);
        output_draft(same ? COLOUR_NONE : COLOUR_BAD, &line);
        json_t *object = json_pack("{s:s, s:s, s:o, s:b, s:b}", "set", set->name, "node",
                                   node->name, "share", json_sprintf("%02x", (uint8_t)node->share),
                                   "answers", answers, "agrees", same);
        output_json_path(object, by, node->target);
        if (!answers)
            output_json_path(object, "error", telling->transfer.reason);
        output_json("node", object);
        there += telling->text != NULL;
    }
    output_text(COLOUR_NONE, "%s: %zu of %zu nodes are there, %s", set->name, there, set->count,
                standing_enough(set, there).text);
    return there;
}

static void show_text(const char *who, const char *text)
{
    output_text(COLOUR_WARNING, "%s tells:", who);
    for (size_t length; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        output_text(COLOUR_NONE, "    %.*s", (int)length, text);
    }
}

/* Shows what nodes tell that is not TOLD, each once. Returns true if there is any. */
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

/* Returns true if TEXT makes sense as a file of sets. */
static bool makes_sense(const struct recovery *recovery, const char *text)
{
    cleanup_sets struct sets sets = {0};
    cleanup_free char *path = NULL;
    FILE *file = asprintf(&path, "%s/sets.ini", recovery->folder) < 0 ? NULL : fopen(path, "we");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return false;
    log_mute(true);
    int r = sets_read(path, NULL, &sets);
    log_mute(false);
    return r == 0;
}

/* Returns the file of sets with the set NAME added, which is TEXT; or NULL after one line in the
 * log. */
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
        const bool is_empty = size < 0 && feof(file); /* as if it were not there */
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

/* Adds the set NAME, which is TEXT, to the file of sets. Returns 0, or a negative errno, which was
 * logged.
 */
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

/* Shows what came of it all, and writes the set, which is TEXT, while PLACE has told TOLD. */
static enum exit_status conclude(const struct recovery *recovery, const struct sync_set *set,
                                 const struct telling *tellings, const char *told, const char *text)
{
    size_t there = show(set, tellings, told);
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

/* Recovers SET as PLACE describes it: its first node lies there, however others call its place. */
static enum exit_status recover_set(struct recovery *recovery, struct sync_set *set,
                                    const struct sync_node *place)
{
    const char *self = set->nodes[0].name;
    cleanup_free char *told = text_of(set), *text = NULL;
    struct telling *tellings = calloc(set->count, sizeof *tellings);
    enum exit_status status = EXIT_STATUS_FAILED;

    for (size_t i = 0; i < set->count; i++) {
        struct sync_node *node = &set->nodes[i];
        if (strcmp(node->name, self) == 0) {
            node->mover = place->mover;
            node->target = place->target;
        }
    }
    text = text_of(set);
    int r =
        told && text && tellings ? ask_nodes(recovery, set->nodes, set->count, tellings) : -ENOMEM;
    if (r < 0)
        log_errno(r, "recover");
    for (size_t i = 0; r == 0 && i < set->count; i++)
        read_telling(&tellings[i]);
    if (r == 0)
        status = conclude(recovery, set, tellings, told, text);
    if (tellings)
        free_tellings(tellings, set->count);
    return status;
}

/* Asks PLACE, and the nodes that it names. */
static enum exit_status recover(struct recovery *recovery, struct sync_node *place)
{
    cleanup_sets struct sets sets = {0};
    struct telling telling = {0};

    int r = ask_nodes(recovery, place, 1, &telling);
    cleanup_free char *folder = telling.transfer.theirs;
    if (r == 0 && telling.transfer.result < 0)
        r = log_as(-EIO, "%s: %s", place->target, telling.transfer.reason);
    else if (r == 0)
        r = description_read(folder, place->target, &sets);
    if (r == -ENOENT && telling.transfer.no_place)
        log_error("%s: there is no such directory: correct the path, or give the place of another "
                  "node",
                  place->target);
    else if (r == -ENOENT)
        log_error("%s: has no " DESCRIPTION_NAME ", which tells of the other nodes: give the place "
                  "of another node, or write the file of sets by hand",
                  place->target);
    return r == 0 ? recover_set(recovery, &sets.sets[0], place) : EXIT_STATUS_FAILED;
}

enum exit_status recover_command(struct options *options)
{
    struct recovery recovery = {.options = options,
                                .run = {.context = &recovery, .look = look_for_stop}};
    struct sync_node place = {.name = "", .share = -1};
    cleanup_free char *path = NULL, *file = options_sets_path(options);
    const struct removal_terms terms = {.removed = NULL};
    sigset_t passed;

    if (options->word_count != 1) {
        log_error("recover: give the place of one node, like nas:backup/home or /mnt/usb/home");
        return EXIT_STATUS_USAGE;
    }
    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    cleanup_fd int signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK);
    int r = find_place(options->words[0], &place, &path);
    if (r < 0)
        return r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
    if (!file || signals < 0 || private_folder_make(PREFIX, &recovery.folder) < 0)
        return EXIT_STATUS_FAILED;
    recovery.run.wake = signals;
    recovery.file = file;
    enum exit_status status = recover(&recovery, &place);
    remove_all(AT_FDCWD, recovery.folder, recovery.folder, &terms);
    free(recovery.folder);
    return status;
}
