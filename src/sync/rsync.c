/* SPDX-License-Identifier: MIT */
#include "base/array.h"
#include "seal/key_share.h"
#include "seal/manifest.h"
#include "sync/address.h"
#include "sync/leftovers.h"
#include "sync/mover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* rsync's word for more than --max-delete. */
#define TOO_MANY "Deletions stopped"

/* Its word for a directory in the place of something else, with names in it that are to stay. */
#define NO_WAY "could not make way for"

#define NO_SUCH "No such file or directory"

/* ssh's. */
#define UNKNOWN_HOST "Host key verification failed"

enum {
    PARTIAL = 23,   /* the status if something could not be read or written */
    ITEM_SIZE = 11, /* of what %i prints: YXcstpoguax, or "*deleting  " */
    MODE_SIZE = 9,  /* of what %B prints: rwxrwxrwx */
    TIME_SIZE = 19, /* of what %M prints: 2026/01/31-23:59:59 */
    DAY_S = 24 * 60 * 60,
};

/*
 * ssh never asks anything, and notices a host that is gone. rsync takes these words apart at
 * spaces; in quotes, '' is a '.
 */
static void add_ssh(const struct terms *terms, struct words *words)
{
    const char *const paths[] = {terms->ssh_key, terms->ssh_config};
    cleanup_free char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    words->failed |= !file;
    if (!file)
        return;
    fprintf(file, "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=%u -o ServerAliveInterval=%u",
            terms->timeout, terms->timeout / 3 + 1);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        if (!paths[i])
            continue;
        fputs(i == 0 ? " -i '" : " -F '", file);
        for (const char *at = paths[i]; *at; at++)
            fprintf(file, *at == '\'' ? "''" : "%c", *at);
        fputc('\'', file);
    }
    words->failed |= fclose(file) != 0;
    words_add(words, "%s", text);
}

/* Flags of every call. */
static void add_common(const struct transfer *transfer, struct words *words)
{
    const struct terms *terms = &transfer->node->terms;
    enum address_kind kind = address_kind(transfer->node->target);

    WORDS_ADD(words, "rsync", "--no-human-readable", "--outbuf=L");
    /* It takes the difference of two readings in whole seconds for the time that has passed. */
    words_add(words, "--timeout=%u", terms->timeout + 1);
    if (kind == ADDRESS_DAEMON)
        words_add(words, "--contimeout=%u", terms->timeout);
    if (kind == ADDRESS_DAEMON && terms->password_file)
        words_add(words, "--password-file=%s", terms->password_file);
    if (kind == ADDRESS_SSH)
        add_ssh(terms, words);
    if (terms->rate)
        words_add(words, "--bwlimit=%s", terms->rate);
}

/* -1: to the nanosecond. rsync's own 0 takes two edits in one second for one. */
static void add_window(const struct terms *terms, struct words *words)
{
    words_add(words, "--modify-window=%d", terms->time_window > 0 ? (int)terms->time_window : -1);
}

/* Deletes at the end, and only if all else has gone well. */
static void add_updating(const struct transfer *transfer, struct words *words)
{
    const struct terms *terms = &transfer->node->terms;

    WORDS_ADD(words, terms->attributes ? "-aHAX" : "-aH", "--numeric-ids",
              "--info=progress2,stats2");
    if (transfer->task == TASK_RESEND) {
        WORDS_ADD(words, "--from0");
        words_add(words, "--files-from=%s", transfer->list);
    } else if (transfer->question == QUESTION_SENT) {
        WORDS_ADD(words, "--exclude=" MANIFEST_NAME);
    } else if (transfer->question == QUESTION_LISTED) {
        WORDS_ADD(words, "--include=*/", "--include=" MANIFEST_NAME, "--exclude=*");
    } else if (terms->remove) {
        words_add(words, "--delete-delay");
        words_add(words, "--max-delete=%" PRIu64, transfer_removals(transfer));
    }
    const bool by_content =
        transfer->checksum || terms->look_at_checksums || transfer->task == TASK_RESEND;
    const bool is_compared = transfer->question == QUESTION_NONE && transfer_lists(transfer);
    if (transfer->question == QUESTION_LISTED || (by_content && !is_compared))
        words_add(words, "--checksum");
    if (transfer->dry_run)
        words_add(words, "--dry-run");
    /* Of a daemon, to know what symlinks to compare. */
    if (transfer->dry_run || transfer->each_file ||
        address_kind(transfer->node->target) == ADDRESS_DAEMON)
        WORDS_ADD(words, "--out-format=%i %n");
}

/* Only in rules with a wildcard, a backslash escapes the next character. */
static void write_rule(const char *what, const char *path, size_t length, const char *end,
                       FILE *rules)
{
    const char *path_end = path + length;
    bool escapes = strcspn(path, "*?[") < length || strpbrk(end, "*");

    fputs(what, rules);
    for (; path < path_end; path++) {
        if (escapes && strchr("*?[\\", *path))
            fputc('\\', rules);
        fputc(*path, rules);
    }
    fputs(end, rules);
    fputc('\0', rules);
}

/* Writes rules for the directories that lead to PATH, for PATH and all in it, and nothing else. */
static void write_fetching(const char *path, FILE *rules)
{
    const char *end = path;

    while (*(end += strcspn(end, "/"))) {
        write_rule("+ /", path, (size_t)(end - path), "/", rules);
        end++;
    }
    write_rule("+ /", path, strlen(path), "", rules);
    write_rule("+ /", path, strlen(path), "/***", rules);
    write_rule("- ", "", 0, "*", rules);
}

static void write_removing(const char *path, FILE *rules)
{
    write_rule("R /", path, strlen(path), "", rules);
    write_rule("R /", path, strlen(path), "/***", rules); /* a directory, and all in it */
}

static int rsync_prepare(const struct transfer *transfer, const struct names *paths)
{
    const bool fetches = transfer->task == TASK_FETCH;
    int r = fetches ? 0 : leftovers_make_folders(transfer->share, paths, transfer->place);
    FILE *rules = r == 0 ? fopen(transfer->list, "we") : NULL;

    if (!rules)
        return r < 0 ? r : -errno;
    for (size_t i = 0; i < paths->count; i++)
        (fetches ? write_fetching : write_removing)(names_get(paths, i), rules);
    r = ferror(rules) ? -EIO : 0;
    return fclose(rules) != 0 ? -errno : r;
}

/* Adds the words of a question to the node itself. Returns false if this is none. */
static bool add_question(const struct transfer *transfer, struct words *words)
{
    const char *target = transfer->node->target;

    if (transfer_fetches_marks(transfer)) { /* whichever there are */
        WORDS_ADD(words, "--recursive", "--times", "--max-size=" DESCRIPTION_MAX, "--exclude=*/",
                  "--include=/" DESCRIPTION_NAME, "--include=/" SEALED_DESCRIPTION_NAME,
                  "--include=/" KEY_SHARE_NAME, "--exclude=*", "--");
        words_add(words, "%s/", target);
        words_add(words, "%s/", transfer->theirs);
        return true;
    }
    if (transfer->question == QUESTION_DESCRIPTION || transfer->task == TASK_ASK) {
        WORDS_ADD(words, "--times", "--max-size=" DESCRIPTION_MAX, "--");
        words_add(words, "%s/" DESCRIPTION_NAME, target);
        words_add(words, "%s/", transfer->theirs);
        return true;
    }
    if (transfer->question == QUESTION_KEYED) {
        WORDS_ADD(words, "--perms", "--times", "--ignore-times", "--");
        if (transfer->keys)
            words_add(words, "%s/" KEY_SHARE_NAME, transfer->keys);
        if (transfer->set)
            words_add(words, "%s/%s", transfer->ours, description_name(transfer->set));
        words_add(words, transfer->known ? "%s/./" : "%s/", target);
        return true;
    }
    return false;
}

/* Adds the words of a transfer from the node, or of none. Returns false for any other. */
static bool add_from_node(const struct transfer *transfer, struct words *words)
{
    const char *target = transfer->node->target;

    switch (transfer->task) {
    case TASK_FIND: /* A dry run: nothing is fetched, only listed. */
        WORDS_ADD(words, "--dry-run", "--recursive", "--links", "--devices", "--specials",
                  "--out-format=%i %B %M %n", "--filter=+ */");
        words_add(words, "--filter=+ " LEFT_FOLDER "[0-9a-f][0-9a-f]/**");
        WORDS_ADD(words, "--filter=+ .*.??????", "--filter=- *", "--");
        words_add(words, "%s/", target);
        words_add(words, "%s/", transfer->place);
        return true;
    case TASK_FETCH:
        WORDS_ADD(words, transfer->node->terms.attributes ? "-aHAX" : "-aH", "--numeric-ids",
                  "--info=progress2,stats2", transfer->dry_run ? "--dry-run" : "--partial");
        if (transfer->list) {
            WORDS_ADD(words, "--from0");
            words_add(words, "--filter=merge %s", transfer->list);
        }
        WORDS_ADD(words, "--");
        words_add(words, "%s/", target);
        words_add(words, "%s/", transfer->place);
        return true;
    case TASK_COMPARE_BACK: /* A daemon that changes symlinks also does so before it compares. */
        WORDS_ADD(words, "--dry-run", "--links", "--ignore-missing-args", "--out-format=%i %n",
                  "--from0");
        words_add(words, "--files-from=%s", transfer->list);
        WORDS_ADD(words, "--");
        words_add(words, "%s/", target);
        words_add(words, "%s/", transfer->share);
        return true;
    case TASK_REACH: /* Nothing is sent, but a missing place is an error, as in an update. */
        WORDS_ADD(words, "--files-from=/dev/null", "--", transfer->share);
        words_add(words, "%s/./", transfer->known ? target : transfer->above);
        return true;
    default:
        return false;
    }
}

/* Adds the options of a transfer to the node, or of a comparison with it. */
static void add_to_node(const struct transfer *transfer, struct words *words)
{
    bool is_asking = transfer->question == QUESTION_CONTENTS;

    switch (is_asking                              ? TASK_COMPARE
            : transfer->question == QUESTION_NAMES ? TASK_UPDATE
                                                   : transfer->task) {
    case TASK_COMPARE:
        WORDS_ADD(words, "--dry-run", "--checksum", "--out-format=%i %n", "--from0",
                  is_asking ? NULL : "--links");
        words_add(words, "--files-from=%s", is_asking ? transfer->few : transfer->list);
        if (!is_asking)
            break;
        add_window(&transfer->node->terms, words);
        /* Lists equal files as well; files that the source no longer has are no errors. */
        WORDS_ADD(words, "--times", "--info=name2", "--ignore-missing-args");
        break;
    case TASK_ROOT: /* And nothing in it. */
        add_window(&transfer->node->terms, words);
        if (!transfer->place)
            WORDS_ADD(words, transfer->node->terms.attributes ? "-aAX" : "-a", "--numeric-ids",
                      "--no-recursive");
        WORDS_ADD(words, "--dirs", "--times", "--exclude=*");
        break;
    case TASK_REMOVE: /* Only what the rules name is at risk; directories keep their times. */
        add_window(&transfer->node->terms, words);
        WORDS_ADD(words, "--recursive", "--times", "--existing", "--delete", "--from0");
        words_add(words, "--filter=merge %s", transfer->list);
        words_add(words, "--filter=P *");
        break;
    default:
        add_window(&transfer->node->terms, words);
        words_add(words, "--partial-dir=" LEFT_FOLDER "%02x", (uint8_t)transfer->node->share);
        if (transfer->question == QUESTION_NAMES) /* what it would delete, and what it lacks */
            WORDS_ADD(words, "--dry-run", "-rltD", "--delete-delay", "--info=stats2",
                      "--out-format=%i %n", transfer->is_new ? "--exclude=/lost+found" : NULL);
        else
            add_updating(transfer, words);
    }
}

static void rsync_call(const struct transfer *transfer, struct words *words)
{
    const char *target = transfer->node->target;
    bool is_asking =
        transfer->question == QUESTION_CONTENTS || transfer->question == QUESTION_NAMES;

    if (transfer->question == QUESTION_MOUNT) { /* the /. has an automounter mount it */
        WORDS_ADD(words, "stat", "--format=%m", "--");
        words_add(words, "%s/.", target);
        words_add(words, "%s/.", transfer->above);
        return;
    }
    add_common(transfer, words);
    if (add_question(transfer, words) || (!is_asking && add_from_node(transfer, words)))
        return;
    add_to_node(transfer, words);
    words_add(words, "--");
    bool is_of_place = transfer->task == TASK_REMOVE || transfer->task == TASK_ROOT;
    words_add(words, "%s/", is_of_place && transfer->place ? transfer->place : transfer->share);
    if (transfer->task == TASK_UPDATE && transfer->question == QUESTION_NONE && transfer->set)
        words_add(words, "%s/%s", transfer->ours,
                  description_name(transfer->set)); /* beside what the share has */
    /* The share of a disk that is not mounted must not be made anew beneath its mountpoint. */
    words_add(words, transfer->known ? "%s/./" : "%s/", target);
}

/*
 * Takes "  1,234  45%  1.23MB/s  0:00:12 (xfr#5, to-chk=169/396)", without the last until a file is
 * done, and the totals in the end; of names, those of the source and those that the node lacks.
 * Returns false for any other line.
 */
static bool take_counts(struct transfer *transfer, const char *line)
{
    struct counts *done = &transfer->done;
    const struct counts *before = &transfer->before;
    unsigned long long number, files;

    if (transfer->question == QUESTION_NAMES) {
        if (sscanf(line, "Number of files: %llu", &number) == 1)
            transfer->names += number > 0 ? number - 1 : 0; /* without its root */
        else if (sscanf(line, "Number of created files: %llu", &number) == 1)
            transfer->names -= number < transfer->names ? number : transfer->names;
        else
            return false;
    } else if (sscanf(line, " %llu %*d%% %*s %*s (xfr#%llu", &number, &files) == 2) {
        done->files = before->files + files;
        done->bytes = before->bytes + number;
    } else if ((strchr(line, '%') && sscanf(line, " %llu %*d%%", &number) == 1) ||
               sscanf(line, "Total transferred file size: %llu", &number) == 1)
        done->bytes = before->bytes + number;
    else if (sscanf(line, "Number of regular files transferred: %llu", &number) == 1)
        done->files = before->files + number;
    else if (sscanf(line, "Number of deleted files: %llu", &number) == 1)
        done->removed = before->removed + number;
    else
        return false;
    return true;
}

/* rsync writes a byte that it does not print as \#123, in octal; a backslash before a # as well. */
static void unescape(char *text)
{
    char *to = text;

    while (*text) {
        unsigned char byte = (unsigned char)*text;
        bool escaped = text[0] == '\\' && text[1] == '#' && strspn(text + 2, "01234567") >= 3 &&
                       sscanf(text + 2, "%3hho", &byte) == 1;
        *to++ = (char)byte;
        text += escaped ? strlen("\\#123") : 1;
    }
    *to = '\0';
}

static void take_item(struct transfer *transfer, const char *line)
{
    const char *name = line + ITEM_SIZE + 1;
    bool is_removal = strncmp(line, "*deleting", strlen("*deleting")) == 0;
    bool is_link = *line == 'c' && line[1] == 'L'; /* made, or given another target */
    size_t length;

    if (strlen(line) <= ITEM_SIZE + 1 || line[ITEM_SIZE] != ' ')
        return;
    if (transfer->question == QUESTION_NAMES) {
        if (is_removal) /* what a stopped run has left is nobody's loss */
            transfer_surplus(transfer,
                             leftovers_folder(name, &length) ||
                                 transfer_is_description(transfer, name) ||
                                 leftover_is_of_rsync(basename(name)),
                             name);
    } else if (transfer->question == QUESTION_CONTENTS) {
        transfer->contradictions += strchr("<>", *line) && strncmp(line + 2, "c..", 3) == 0;
        transfer->equal += *line == '.' && line[1] == 'f';
    } else if (transfer_compares(transfer) && (is_link || strchr("<>", *line))) {
        transfer->different++;
        transfer->moved(transfer, MOVE_DIFFERENT, name);
    } else if (transfer->task == TASK_UPDATE && (is_removal || strchr("<>ch", *line))) {
        transfer->moved(transfer,
                        is_removal ? MOVE_REMOVED
                        : is_link  ? MOVE_SENT_LINK
                                   : MOVE_SENT,
                        name);
    }
}

/*
 * Takes "ITEM MODE TIME NAME". A temporary file of rsync's has mode 0600 and the time of its
 * writing, by clocks that may differ by a day; few files of a tree are like that.
 */
static void take_left(struct transfer *transfer, char *line)
{
    char *mode = line + ITEM_SIZE + 1, *time = mode + MODE_SIZE + 1, *name = time + TIME_SIZE + 1;
    struct tm parts = {.tm_isdst = -1};
    size_t length;

    if (strlen(line) <= (size_t)(name - line) || name[-1] != ' ')
        return;
    length = strlen(name);
    if (length > 1 && name[length - 1] == '/')
        name[length - 1] = '\0';
    if (leftovers_folder(name, &length) ||
        (leftover_is_of_rsync(basename(name)) && strncmp(mode + 3, "------", 6) == 0 &&
         strptime(time, "%Y/%m/%d-%H:%M:%S", &parts) &&
         mktime(&parts) >= transfer->node->memory.unfinished_since - DAY_S))
        transfer->moved(transfer, MOVE_LEFT, name);
}

/* Returns true if ssh reports what no retry mends, such as a missing key. Refused files are
 * reported in rsync's words. */
static bool is_of_keys(const char *line)
{
    return strncmp(line, UNKNOWN_HOST, strlen(UNKNOWN_HOST)) == 0 ||
           (strncmp(line, "rsync:", 6) != 0 && strstr(line, "Permission denied ("));
}

/* Returns true if rsync says that the node's directory is gone. A daemon would make it again, so
 * the question for the description has to notice it. */
static bool is_of_lost_place(const struct transfer *transfer, const char *line)
{
    return transfer->known && strstr(line, NO_SUCH) &&
           (strstr(line, "] mkdir \"") || strncmp(line, "rsync: mkdir \"", 14) == 0 ||
            (transfer->question == QUESTION_DESCRIPTION && strstr(line, "change_dir \"")));
}

/* Returns true if rsync says that what was asked for is not there, or that nobody can read it. */
static bool is_of_absence(const char *line)
{
    return (strncmp(line, "rsync: ", 7) == 0 && strstr(line, NO_SUCH) &&
            (strstr(line, "link_stat \"") || strstr(line, "change_dir \""))) ||
           strstr(line, "write only") || strstr(line, "write-only");
}

static void rsync_take(struct transfer *transfer, int stream, char *line)
{
    bool finds = transfer->task == TASK_FIND;
    bool asks = transfer->question == QUESTION_DESCRIPTION || transfer->task == TASK_ASK;

    if (transfer->question == QUESTION_MOUNT) { /* of what exists; the rest is no error yet */
        if (stream == 0 && !*transfer->seen)
            snprintf(transfer->seen, sizeof transfer->seen, "%s", line);
        return;
    }
    if (stream == 0 && !finds && take_counts(transfer, line))
        return;
    unescape(line);
    if (stream == 0 && finds) {
        take_left(transfer, line);
    } else if (asks && is_of_absence(line) && !(transfer->seal && strstr(line, "write")) &&
               !is_of_lost_place(transfer, line)) { /* a broken pipe may follow */
        transfer->absent = true;
        transfer->no_place |= strstr(line, "change_dir \"") != NULL;
    } else if (stream == 0) {
        take_item(transfer, line);
    } else if (strncmp(line, "rsync error:", 12) != 0 && strncmp(line, "rsync warning:", 14) != 0 &&
               strncmp(line, "Warning:", 8) != 0) {
        transfer->errors++;
        if (is_of_keys(line)) { /* a changed key has a banner before it */
            transfer->is_final = true;
            *transfer->reason = '\0';
        }
        if (is_of_lost_place(transfer, line)) { /* to try again would take it for no other */
            transfer->is_final = true;
            snprintf(transfer->reason, sizeof transfer->reason,
                     "the directory of node %s is gone: is the disk mounted? For a new disk: "
                     "zfec-fs repair --replace %s %s:",
                     transfer->node->name, transfer->node->name, transfer->node->set);
        }
        if (strncmp(line, NO_WAY, strlen(NO_WAY)) == 0)
            snprintf(transfer->reason, sizeof transfer->reason,
                     "%.300s: a directory with names in it is there, which delete = no keeps; "
                     "remove it, or write delete = yes",
                     line);
        transfer_reason(transfer, strncmp(line, TOO_MANY, strlen(TOO_MANY)) == 0
                                      ? "more to delete than max_delete allows; the rest is left"
                                      : line);
    }
}

static const struct ending endings[] = {
    {1, "rsync does not take these options", true},
    {4, NULL, true}, /* unsupported, or refused */
    {5, "the rsync daemon refuses", false},
    {10, "the network failed", false},
    {12, "the connection broke", false},
    {PARTIAL, "some files could not be sent", false},
    {24, "some files vanished meanwhile", false},
    {25, NULL, true}, /* too many removals */
    {30, "it did not answer in time", false},
    {35, "it did not answer in time", false},
    {CHILD_NOT_FOUND, "rsync cannot be run; is it installed?", true},
    {255, "ssh failed", false},
    {0},
};

const struct mover rsync_mover = {
    .list_end = '\0',
    .late = 3, /* half of --timeout, twice, rounded up; see docs/design.md */
    .answers = PARTIAL,
    .prepare = rsync_prepare,
    .call = rsync_call,
    .take = rsync_take,
    .endings = endings,
};
