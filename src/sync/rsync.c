/* SPDX-License-Identifier: MIT */
#include "base/array.h"
#include "sync/child.h"
#include "sync/leftovers.h"
#include "sync/mover.h"
#include "sync/target.h"

#include <stdio.h>
#include <string.h>

/* rsync's word for more than --max-delete. */
#define TOO_MANY "Deletions stopped"

enum {
    USAGE = 1,
    UNSUPPORTED = 4, /* or refused */
    PARTIAL = 23,    /* something could not be read, or written */
    TOO_MANY_REMOVALS = 25,
    ITEM_SIZE = 11, /* of what %i prints: YXcstpoguax, or "*deleting  " */
    MODE_SIZE = 9,  /* of what %B prints: rwxrwxrwx */
    TIME_SIZE = 19, /* of what %M prints: 2026/01/31-23:59:59 */
    DAY_S = 24 * 60 * 60,
};

/* A path in the words of --rsh, which rsync takes apart at spaces; in quotes, '' is a '. */
static void add_quoted(char **end, const char *option, const char *path)
{
    *end = stpcpy(stpcpy(*end, option), "'");
    for (; *path; path++) {
        if (*path == '\'')
            *(*end)++ = '\'';
        *(*end)++ = *path;
    }
    *end = stpcpy(*end, "'");
}

/* ssh never asks anything, and notices a host that is gone. */
static void add_ssh(const struct terms *terms, struct words *words)
{
    enum { AROUND = 2 * sizeof " -i ''" };
    const char *key = terms->ssh_key ? terms->ssh_key : "";
    const char *config = terms->ssh_config ? terms->ssh_config : "";
    cleanup_free char *files = calloc(1, 2 * strlen(key) + 2 * strlen(config) + AROUND);
    char *end = files;

    if (files && *key)
        add_quoted(&end, " -i ", key);
    if (files && *config)
        add_quoted(&end, " -F ", config);
    words->failed |= !files;
    words_add(words,
              "--rsh=ssh -o BatchMode=yes -o ConnectTimeout=%lu -o ServerAliveInterval=%lu%s",
              terms->timeout, terms->timeout / 3 + 1, files ? files : "");
}

/* Flags that hold where a node is brought up to date and where it is compared. */
static void add_common(const struct order *order, struct words *words)
{
    const struct terms *terms = &order->node->terms;
    enum target_kind kind = target_kind(order->node->target);

    words_add(words, "rsync");
    words_add(words, "--no-human-readable");
    words_add(words, "--outbuf=L");
    /* It takes the difference of two whole seconds of the clock for time that has passed. */
    words_add(words, "--timeout=%lu", terms->timeout + 1);
    if (kind == TARGET_DAEMON)
        words_add(words, "--contimeout=%lu", terms->timeout);
    if (kind == TARGET_DAEMON && terms->password_file)
        words_add(words, "--password-file=%s", terms->password_file);
    if (kind == TARGET_SSH)
        add_ssh(terms, words);
    if (terms->rate)
        words_add(words, "--bwlimit=%s", terms->rate);
}

/* -1: to the nanosecond. rsync's own 0 takes two edits in one second for one. */
static void add_window(const struct terms *terms, struct words *words)
{
    if (terms->time_window == 0)
        words_add(words, "--modify-window=-1");
    else
        words_add(words, "--modify-window=%lu", terms->time_window);
}

/* What should be removed is removed in the end, when all else has gone well. */
static void add_updating(const struct order *order, struct words *words)
{
    const struct terms *terms = &order->node->terms;

    words_add(words, terms->attributes ? "-aHAX" : "-aH");
    words_add(words, "--numeric-ids");
    words_add(words, "--partial-dir=" LEFT_FOLDER "%02x", (uint8_t)order->node->share);
    words_add(words, "--info=progress2,stats2");
    add_window(terms, words);
    if (terms->remove)
        words_add(words, "--delete-delay");
    if (terms->remove)
        words_add(words, "--max-delete=%lu", terms->removals);
    if (order->checksum || terms->look_at_checksums)
        words_add(words, "--checksum");
    if (order->dry_run)
        words_add(words, "--dry-run");
    if (order->dry_run || order->each_file)
        words_add(words, "--out-format=%%i %%n");
}

static void add_comparing(const char *list, struct words *words)
{
    words_add(words, "--dry-run");
    words_add(words, "--checksum");
    words_add(words, "--out-format=%%i %%n");
    words_add(words, "--from0");
    words_add(words, "--files-from=%s", list);
}

/*
 * Shares of one tree differ in neither size nor time, by which rsync tells files apart. What lies
 * at a node that was never brought up to date may be another share.
 */
static bool ask(const struct order *order, struct words *words)
{
    if (!order->few || order->known || order->checksum || order->node->terms.look_at_checksums)
        return false;
    add_common(order, words);
    add_comparing(order->few, words);
    words_add(words, "--times");
    add_window(&order->node->terms, words);
    words_add(words, "--ignore-missing-args"); /* what the source has no more */
    words_add(words, "--");
    words_add(words, "%s/", order->share);
    words_add(words, "%s/", order->node->target);
    return true;
}

/* Nothing is fetched: it is only told what would be. */
static void call_finding(const struct order *order, struct words *words)
{
    words_add(words, "--dry-run");
    words_add(words, "--recursive");
    words_add(words, "--links");
    words_add(words, "--devices");
    words_add(words, "--specials");
    words_add(words, "--out-format=%%i %%B %%M %%n");
    words_add(words, "--filter=+ */");
    words_add(words, "--filter=+ " LEFT_FOLDER "[0-9a-f][0-9a-f]/**");
    words_add(words, "--filter=+ .*.??????");
    words_add(words, "--filter=- *");
    words_add(words, "--");
    words_add(words, "%s/", order->node->target);
    words_add(words, "%s/", order->place);
}

/* Only what the rules name is at risk; directories that are in the tree keep their times. */
static void add_removing(const struct order *order, struct words *words)
{
    words_add(words, "--recursive");
    words_add(words, "--times");
    add_window(&order->node->terms, words);
    words_add(words, "--existing");
    words_add(words, "--delete");
    words_add(words, "--from0");
    words_add(words, "--filter=merge %s", order->list);
    words_add(words, "--filter=P *");
}

/* Where there is a wildcard in a rule, and only there, a backslash takes the next one as it is. */
static void write_rule(const char *path, const char *end, FILE *rules)
{
    bool escapes = strpbrk(path, "*?[") || *end;

    fputs("R /", rules);
    for (; *path; path++) {
        if (escapes && strchr("*?[\\", *path))
            fputc('\\', rules);
        fputc(*path, rules);
    }
    fputs(end, rules);
    fputc('\0', rules);
}

static int prepare(const struct order *order, const struct names *paths)
{
    int r = leftovers_make_folders(order->share, paths, order->place);
    FILE *rules = r == 0 ? fopen(order->list, "we") : NULL;

    if (!rules)
        return r < 0 ? r : -errno;
    for (size_t i = 0; i < paths->count; i++) {
        write_rule(names_get(paths, i), "", rules);
        write_rule(names_get(paths, i), "/***", rules); /* a directory, and all in it */
    }
    r = ferror(rules) ? -EIO : 0;
    return fclose(rules) != 0 ? -errno : r;
}

static void call(const struct order *order, struct words *words)
{
    add_common(order, words);
    if (order->task == TASK_FIND) {
        call_finding(order, words);
        return;
    }
    if (order->task == TASK_COMPARE)
        add_comparing(order->list, words);
    else if (order->task == TASK_REMOVE)
        add_removing(order, words);
    else
        add_updating(order, words);
    words_add(words, "--");
    words_add(words, "%s/", order->task == TASK_REMOVE ? order->place : order->share);
    /* A disk that is not mounted must not be filled up anew beneath its mountpoint. */
    words_add(words, order->known ? "%s/./" : "%s/", order->node->target);
}

/* "  1,234  45%  1.23MB/s  0:00:12 (xfr#5, to-chk=169/396)"; without the last until a file is done.
 */
static bool take_progress(struct report *report, const char *line)
{
    unsigned long long bytes, files;

    if (sscanf(line, " %llu %*d%% %*s %*s (xfr#%llu", &bytes, &files) == 2)
        report->files = files;
    else if (!strchr(line, '%') || sscanf(line, " %llu %*d%%", &bytes) != 1)
        return false;
    report->bytes = bytes;
    return true;
}

static bool take_totals(struct report *report, const char *line)
{
    unsigned long long number;

    if (sscanf(line, "Number of regular files transferred: %llu", &number) == 1)
        report->files = number;
    else if (sscanf(line, "Number of deleted files: %llu", &number) == 1)
        report->removed = number;
    else if (sscanf(line, "Total transferred file size: %llu", &number) == 1)
        report->bytes = number;
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

static void take_item(struct report *report, const char *line)
{
    const char *name = line + ITEM_SIZE + 1;
    bool is_removal = strncmp(line, "*deleting", strlen("*deleting")) == 0;

    if (strlen(line) <= ITEM_SIZE + 1 || line[ITEM_SIZE] != ' ')
        return;
    if (report->asks)
        report->contradicts |= strchr("<>", *line) && strncmp(line + 2, "c..", 3) == 0;
    else if (report->task == TASK_COMPARE && strchr("<>", *line)) {
        report->different++;
        report->told(report->context, MOVE_DIFFERENT, name);
    } else if (report->task == TASK_UPDATE && (is_removal || strchr("<>ch", *line))) {
        report->told(report->context, is_removal ? MOVE_REMOVED : MOVE_SENT, name);
    }
}

/* Returns true if TEXT is a time at which stopped runs wrote; clocks may differ by a day. */
static bool is_late_enough(const char *text, time_t since)
{
    struct tm parts = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y/%m/%d-%H:%M:%S", &parts);

    return end && mktime(&parts) >= since - DAY_S;
}

/*
 * "ITEM MODE TIME NAME". While rsync writes a temporary file, that is its owner's alone, and has
 * the time of the writing; a file of the tree seldom is like that.
 */
static void take_left(struct report *report, char *line)
{
    char *mode = line + ITEM_SIZE + 1, *time = mode + MODE_SIZE + 1, *name = time + TIME_SIZE + 1;
    size_t length;

    if (strlen(line) <= (size_t)(name - line) || name[-1] != ' ')
        return;
    length = strlen(name);
    if (length > 1 && name[length - 1] == '/')
        name[length - 1] = '\0';
    bool is_temporary = leftovers_is_temporary(name) && strncmp(mode + 3, "------", 6) == 0 &&
                        is_late_enough(time, report->since);
    if (leftovers_folder(name, &length) || is_temporary)
        report->told(report->context, MOVE_LEFT, name);
}

static void take_output(struct report *report, char *line)
{
    if (report->task != TASK_FIND && (take_progress(report, line) || take_totals(report, line)))
        return;
    unescape(line);
    if (report->task == TASK_FIND)
        take_left(report, line);
    else
        take_item(report, line);
}

static void take_error(struct report *report, char *line)
{
    if (strncmp(line, "rsync error:", 12) == 0 || strncmp(line, "rsync warning:", 14) == 0 ||
        strncmp(line, "Warning:", 8) == 0)
        return;
    report->errors++;
    unescape(line);
    report_reason(report, strncmp(line, TOO_MANY, strlen(TOO_MANY)) == 0
                              ? "more to delete than max_delete allows; the rest is left"
                              : line);
}

static void take(struct report *report, int stream, char *line)
{
    if (stream == 0)
        take_output(report, line);
    else
        take_error(report, line);
}

static const char *meaning(int status)
{
    static const struct {
        int status;
        const char *text;
    } meanings[] = {
        {USAGE, "rsync does not take these options"},
        {5, "the rsync daemon refuses"},
        {10, "the network failed"},
        {12, "the connection broke"},
        {PARTIAL, "some files could not be sent"},
        {24, "some files vanished meanwhile"},
        {30, "it did not answer in time"},
        {35, "it did not answer in time"},
        {CHILD_NOT_FOUND, "rsync cannot be run; is it installed?"},
        {255, "ssh failed"},
    };

    for (size_t i = 0; i < COUNT_OF(meanings); i++) {
        if (meanings[i].status == status)
            return meanings[i].text;
    }
    return NULL;
}

static bool has_answered(int status)
{
    return status == 0 || status == PARTIAL;
}

static bool may_retry(int status)
{
    return status != USAGE && status != UNSUPPORTED && status != TOO_MANY_REMOVALS &&
           status != CHILD_NOT_FOUND;
}

const struct mover_operations rsync_operations = {
    .list_end = '\0',
    .late = 3, /* half of --timeout, twice, rounded up; see docs/design.md */
    .ask = ask,
    .prepare = prepare,
    .call = call,
    .take = take,
    .has_answered = has_answered,
    .meaning = meaning,
    .may_retry = may_retry,
};
