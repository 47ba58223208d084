/* SPDX-License-Identifier: MIT */
#include "seal/key_share.h"
#include "seal/manifest.h"
#include "sync/leftovers.h"
#include "sync/mover.h"
#include "sync/sample.h"
#include "tree/pictures.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_SUFFIX ".rclonelink"
#define COLLISION   "Duplicate object found in source"
/* Keeps the spaces at the end of a rule. */
#define NOTHING "{}"
/* The precision of times at a remote that keeps none. */
#define NO_TIMES_NS 3153600000000000000
/* Stands for, or before, a byte of a name that rclone cannot write: ‛ */
#define QUOTE "\xe2\x80\x9b"

static void add_common(const struct transfer *transfer, const char *command, struct words *words)
{
    const struct terms *terms = &transfer->node->terms;

    WORDS_ADD(words, "rclone", command, "--use-json-log",
              "--log-format=date,time" /* see take_log() */, "--retries=1" /* the tries are ours */,
              "--low-level-retries=3", "--ask-password=false");
    /* Its timeout is longer than ours: it would begin again, and fill the buffers on the way. */
    words_add(words, "--timeout=%us", 2 * terms->timeout);
    words_add(words, "--contimeout=%us", 2 * terms->timeout);
    /* Where there are symlinks, they are looked for. */
    bool links = terms->symlinks || transfer->question == QUESTION_NAMES ||
                 transfer->question == QUESTION_CLEARED;
    words_add(words, links ? "--links" : "--skip-links");
    if (terms->rate)
        words_add(words, "--bwlimit=%s", terms->rate);
    if (terms->rclone_config)
        words_add(words, "--config=%s", terms->rclone_config);
}

/* Adds how files of one size are told apart: by times, or what else the remote has. */
static void add_comparison(const struct transfer *transfer, struct words *words)
{
    const struct terms *terms = &transfer->node->terms;
    /* A new node may hold another share, made elsewhere. */
    bool is_new = !transfer->known && !transfer->no_checksums;
    bool by_content =
        transfer->checksum || terms->look_at_checksums || transfer->no_times || is_new;

    if (transfer->question == QUESTION_NONE && transfer_lists(transfer)) {
        words_add(words, "--size-only"); /* all was sent; what is missing is new */
        return;
    }
    by_content |= transfer->question == QUESTION_LISTED;
    if (transfer->task == TASK_RESEND || transfer->everything ||
        (by_content && transfer->no_checksums))
        words_add(words, "--ignore-times"); /* nothing tells: all is sent */
    else if (by_content)
        words_add(words, "--checksum");
    else if (terms->time_window > 0)
        words_add(words, "--modify-window=%us", terms->time_window);
}

static void add_updating(const struct transfer *transfer, struct words *words)
{
    const struct terms *terms = &transfer->node->terms;
    bool each_file = transfer->dry_run || transfer->each_file;

    WORDS_ADD(words, "--stats=1s", "--stats-log-level=NOTICE", "--create-empty-src-dirs",
              each_file ? "--log-level=INFO" : "--log-level=NOTICE");
    if (terms->metadata)
        words_add(words, "--metadata");
    if (terms->remove && transfer->task == TASK_UPDATE && transfer->question == QUESTION_NONE)
        words_add(words, "--max-delete=%" PRIu64, transfer_removals(transfer));
    add_comparison(transfer, words);
    if (transfer->task == TASK_RESEND)
        words_add(words, "--files-from-raw=%s", transfer->list);
    else if (transfer->question == QUESTION_LISTED)
        words_add(words, "--include=" MANIFEST_NAME);
    else if (transfer->set)
        words_add(words, "--exclude=/%s", description_name(transfer->set));
    if (transfer->question == QUESTION_SENT)
        words_add(words, "--exclude=" MANIFEST_NAME);
    if (transfer->dry_run)
        words_add(words, "--dry-run");
}

static int rclone_prepare(const struct transfer *transfer, const struct names *paths)
{
    return sample_write_paths(paths, transfer->list, rclone_mover.list_end);
}

static void rclone_call(const struct transfer *transfer, struct words *words)
{
    const char *before = NULL; /* the target */

    if (transfer->question == QUESTION_DESCRIPTION || transfer->task == TASK_ASK) {
        add_common(transfer, "copy", words);
        WORDS_ADD(words, "--stats=0", "--max-depth=1", "--max-size=" DESCRIPTION_MAX,
                  "--include=/" DESCRIPTION_NAME);
        if (transfer_fetches_marks(transfer))
            WORDS_ADD(words, "--include=/" SEALED_DESCRIPTION_NAME, "--include=/" KEY_SHARE_NAME);
        WORDS_ADD(words, "--", transfer->node->target, transfer->theirs);
        return;
    }
    if (transfer->question == QUESTION_FEATURES) {
        add_common(transfer, "backend", words);
        before = "features";
    } else if (transfer->task == TASK_REACH && transfer->question == QUESTION_NONE) {
        add_common(transfer, "lsf", words);
    } else if (transfer->question == QUESTION_NAMES || transfer->task == TASK_FIND) {
        add_common(transfer, "lsf", words);
        words_add(words, "--recursive");
        if (transfer->task == TASK_FIND)
            WORDS_ADD(words, "--files-only", "--include=*" LEFTOVER_SUFFIX);
        else if (transfer->way)
            unlink(transfer->way);
    } else if (transfer->question == QUESTION_CLEARED) {
        add_common(transfer, "delete", words);
        WORDS_ADD(words, "--rmdirs", "--stats=1s", "--stats-log-level=NOTICE",
                  transfer->each_file ? "--log-level=INFO" : "--log-level=NOTICE");
        words_add(words, "--max-delete=%u", transfer->node->terms.removals);
        words_add(words, "--include-from=%s", transfer->way);
    } else if (transfer->task == TASK_REMOVE) {
        add_common(transfer, "delete", words);
        words_add(words, "--files-from-raw=%s", transfer->list);
    } else if (transfer->question == QUESTION_CONTENTS || transfer->task == TASK_COMPARE) {
        add_common(transfer, "check", words);
        WORDS_ADD(words, "--stats=0", "--one-way", "--download", "--combined=-");
        words_add(words, "--files-from-raw=%s",
                  transfer->question == QUESTION_CONTENTS ? transfer->few : transfer->list);
        before = transfer->share;
    } else if (transfer->question == QUESTION_DESCRIBED) {
        add_common(transfer, "copy", words);
        WORDS_ADD(words, "--stats=0", "--ignore-times");
        before = transfer->ours;
    } else if (transfer->question == QUESTION_KEYED) {
        add_common(transfer, "copy", words);
        WORDS_ADD(words, "--stats=0", "--ignore-times", "--include=/" KEY_SHARE_NAME);
        before = transfer->keys;
    } else {
        bool removes = transfer->task == TASK_UPDATE && transfer->node->terms.remove &&
                       transfer->question == QUESTION_NONE;
        add_common(transfer, removes ? "sync" : "copy", words);
        add_updating(transfer, words);
        before = transfer->share;
    }
    words_add(words, "--");
    if (before)
        words_add(words, "%s", before);
    words_add(words, "%s", transfer->node->target);
}

/*
 * Parses a line of the log. Fatal errors come without JSON: "2024/01/31 12:00:00 Failed to ...".
 * The time tells them from what others say, as ssh does. What it did with one object stands in its
 * message only.
 */
static void take_log(struct transfer *transfer, const char *line)
{
    json_t *entry = json_loads(line, 0, NULL), *stats = NULL;
    const char *level = "", *message = "", *object = NULL;
    json_int_t bytes = 0, files = 0, removed = 0, errors = 0;
    int stamp = 0;

    if (!entry && sscanf(line, "%*d/%*d/%*d %*d:%*d:%*d %n", &stamp) >= 0 && stamp > 0)
        transfer_reason(transfer, line + stamp);
    json_unpack(entry, "{s?o, s?s, s?s, s?s}", "stats", &stats, "level", &level, "msg", &message,
                "object", &object);
    if (stats) {
        json_unpack(stats, "{s?I, s?I, s?I, s?I}", "bytes", &bytes, "transfers", &files, "deletes",
                    &removed, "errors", &errors);
        transfer->done.bytes = transfer->before.bytes + (uint64_t)bytes;
        transfer->done.files = transfer->before.files + (uint64_t)files;
        transfer->done.removed = transfer->before.removed + (uint64_t)removed;
        transfer->errors = (uint64_t)errors;
    } else if (object && strncmp(message, COLLISION, strlen(COLLISION)) == 0) {
        /* It sends one of the two, and ends well. */
        snprintf(transfer->reason, sizeof transfer->reason,
                 "%s: a symlink and a file have this name there; rename one of them", object);
        transfer->collides = true;
        transfer->errors++;
    } else if (strcmp(level, "error") == 0)
        transfer_reason(transfer, message);
    else if (object && (strstr(message, "delete") || strstr(message, "Deleted")))
        transfer->moved(transfer, MOVE_REMOVED, object);
    else if (object && (strstr(message, "cop") || strstr(message, "Copied")))
        transfer->moved(transfer, MOVE_SENT, object);
    json_decref(entry);
}

/* Returns true if the source has what is called PATH at the node. */
static bool may_be_of_source(const struct transfer *transfer, const char *path)
{
    cleanup_free char *whole = NULL;
    struct stat status;

    if (strstr(path, QUOTE))
        return true;
    if (asprintf(&whole, "%s/%s", transfer->share, path) < 0)
        return false;
    pictures_undo(whole + strlen(transfer->share));
    if (lstat(whole, &status) == 0 && !S_ISDIR(status.st_mode))
        return true;
    char *suffix = strrchr(whole, '.');
    if (!suffix || strcmp(suffix, LINK_SUFFIX) != 0)
        return false;
    *suffix = '\0';
    return lstat(whole, &status) == 0 && S_ISLNK(status.st_mode);
}

/* Writes a rule that matches PATH, of LENGTH bytes, followed by END. */
static void write_rule(FILE *rules, const char *path, size_t length, const char *end)
{
    fputc('/', rules);
    for (size_t i = 0; i < length; i++) {
        if (strchr("*?[]{}\\,", path[i]))
            fputc('\\', rules);
        fputc(path[i], rules);
    }
    fprintf(rules, "%s\n", end);
}

/* A line of what a node has. */
struct entry {
    const char *path;
    size_t length; /* without the slash behind a directory, */
    size_t stem;   /* and that without the suffix of a symlink */
    bool is_directory, is_link;
};

static struct entry read_entry(const char *line)
{
    struct entry ret = {.path = line, .length = strlen(line)};
    const size_t suffix = strlen(LINK_SUFFIX);

    ret.is_directory = ret.length > 0 && line[ret.length - 1] == '/';
    ret.length -= ret.is_directory;
    ret.is_link = !ret.is_directory && ret.length > suffix &&
                  strcmp(line + ret.length - suffix, LINK_SUFFIX) == 0;
    ret.stem = ret.length - (ret.is_link ? suffix : 0);
    return ret;
}

/*
 * Returns true if what the source has there cannot be sent before ENTRY is gone. rclone would write
 * through a symlink, which may lead to any file of this machine; it would delete a symlink that has
 * just taken a file's place; and a directory and a file exclude each other. Contents of a directory
 * are removed only where the node deletes.
 */
static bool is_in_the_way(const struct transfer *transfer, const struct entry *entry)
{
    const struct terms *terms = &transfer->node->terms;
    cleanup_free char *whole = NULL;
    struct stat status;

    const char *own = transfer->set ? description_name(transfer->set) : "";
    if (entry->is_link && transfer->set && entry->stem == strlen(own) &&
        strncmp(entry->path, own, entry->stem) == 0)
        return true;
    if (asprintf(&whole, "%s/%.*s", transfer->share, (int)entry->stem, entry->path) < 0)
        return true;
    pictures_undo(whole + strlen(transfer->share));
    if (lstat(whole, &status) < 0)
        return false;
    if (entry->is_link)
        return !S_ISLNK(status.st_mode);
    if (entry->is_directory)
        return !S_ISDIR(status.st_mode) && terms->remove;
    return S_ISDIR(status.st_mode) || (S_ISLNK(status.st_mode) && terms->symlinks);
}

/* Notes what is in the way, and writes a rule to remove it; without, it would be found again. */
static void look_for_blocker(struct transfer *transfer, const char *line)
{
    const struct entry entry = read_entry(line);

    if (entry.length == 0 || !transfer->way || !is_in_the_way(transfer, &entry))
        return;
    if (transfer->blocking++ == 0)
        snprintf(transfer->blocker, sizeof transfer->blocker, "%s", line);
    FILE *rules = fopen(transfer->way, "ae");
    if (!rules)
        return;
    if (entry.is_link) /* rclone 1.60 passes over a symlink, unless a rule fits both of its names */
        write_rule(rules, line, entry.stem, NOTHING);
    write_rule(rules, line, entry.length, entry.is_directory ? "/**" : NOTHING);
    fclose(rules);
}

/*
 * Takes a line: of the log; of the features, which are JSON in many lines, what a remote without
 * times says, and one without hashes; and of what was compared "* path" (it is another), "= path",
 * "+ path" (it is missing) and "! path" (it could not be read).
 */
static void rclone_take(struct transfer *transfer, int stream, char *line)
{
    if (stream != 0) {
        take_log(transfer, line);
    } else if (transfer->task == TASK_REACH && transfer->question == QUESTION_NONE) {
        /* It answers. */
    } else if (transfer->question == QUESTION_NAMES) {
        look_for_blocker(transfer, line);
        if (read_entry(line).is_directory)
            return;
        if (may_be_of_source(transfer, line))
            transfer->names++;
        else
            transfer_surplus(transfer,
                             leftovers_is_partial(line) || transfer_is_description(transfer, line),
                             line);
    } else if (transfer->question == QUESTION_FEATURES) {
        const char *precision = strstr(line, "\"Precision\": ");
        long long ns = 0;
        if (precision && sscanf(precision, "\"Precision\": %lld", &ns) == 1) {
            transfer->no_times |= ns == NO_TIMES_NS;
            transfer->coarse_times |= ns > 1;
        }
        transfer->no_checksums |= strstr(line, "\"Hashes\": []") != NULL;
    } else if (transfer->question == QUESTION_CONTENTS) {
        transfer->equal += *line == '=';
        transfer->contradictions += *line == '*';
    } else if (transfer->task == TASK_FIND) {
        transfer->moved(transfer, MOVE_LEFT, line);
    } else if (strlen(line) > 2 && line[1] == ' ' && strchr("*+!", *line)) {
        transfer->different++;
        transfer->unread += *line == '!';
        transfer->moved(transfer, MOVE_DIFFERENT, line + 2);
    }
}

static const struct ending endings[] = {
    {7, NULL, true}, /* fatal; also: too many removals */
    {CHILD_NOT_FOUND, "rclone cannot be run; install it", true},
    {0},
};

const struct mover rclone_mover = {
    .list_end = '\n',
    .idle_in = 16, /* Go's runtime wakes its threads by pipes; 1 to 5 were seen */
    .answers = 3,  /* there is nothing at the node */
    .makes = 3,
    .clears = true,
    .describes = true,
    .has_features = true,
    .prepare = rclone_prepare,
    .call = rclone_call,
    .take = rclone_take,
    .endings = endings,
};
