/* SPDX-License-Identifier: MIT */
#include "sync/child.h"
#include "sync/leftovers.h"
#include "sync/mover.h"
#include "sync/sample.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    FATAL = 7,    /* also: too many removals */
    IDLE_IN = 16, /* Go's runtime wakes its threads by pipes; 1 to 5 were seen */
};

static void add_common(const struct order *order, const char *command, struct words *words)
{
    const struct terms *terms = &order->node->terms;

    words_add(words, "rclone");
    words_add(words, "%s", command);
    words_add(words, "--use-json-log");
    words_add(words, "--retries=1"); /* the tries are ours */
    words_add(words, "--low-level-retries=3");
    words_add(words, "--ask-password=false");
    /* Later than we: it would begin again, and send what fits into the buffers on the way. */
    words_add(words, "--timeout=%lus", 2 * terms->timeout);
    words_add(words, "--contimeout=%lus", 2 * terms->timeout);
    words_add(words, terms->symlinks ? "--links" : "--skip-links");
    if (terms->rate)
        words_add(words, "--bwlimit=%s", terms->rate);
    if (terms->rclone_config)
        words_add(words, "--config=%s", terms->rclone_config);
}

/* By what files are told apart that have one size: times, or what else the remote has. */
static void add_comparison(const struct order *order, struct words *words)
{
    const struct terms *terms = &order->node->terms;
    bool is_new =
        !order->known && !order->no_checksums; /* it may hold another share, made elsewhere */
    bool by_content = order->checksum || terms->look_at_checksums || order->no_times || is_new;

    if (order->task == TASK_RESEND || order->everything || (by_content && order->no_checksums))
        words_add(words, "--ignore-times"); /* nothing tells: all is sent */
    else if (by_content)
        words_add(words, "--checksum");
    else if (terms->time_window > 0)
        words_add(words, "--modify-window=%lus", terms->time_window);
}

static void add_updating(const struct order *order, struct words *words)
{
    const struct terms *terms = &order->node->terms;
    bool each_file = order->dry_run || order->each_file;

    words_add(words, "--stats=1s");
    words_add(words, "--stats-log-level=NOTICE");
    words_add(words, "--log-level=%s", each_file ? "INFO" : "NOTICE");
    words_add(words, "--create-empty-src-dirs");
    if (terms->metadata)
        words_add(words, "--metadata");
    if (terms->remove && order->task == TASK_UPDATE)
        words_add(words, "--max-delete=%lu", terms->removals);
    add_comparison(order, words);
    if (order->task == TASK_RESEND)
        words_add(words, "--files-from-raw=%s", order->list);
    if (order->dry_run)
        words_add(words, "--dry-run");
}

static void add_comparing(const struct order *order, struct words *words)
{
    words_add(words, "--stats=0");
    words_add(words, "--one-way");
    words_add(words, "--download");
    words_add(words, "--combined=-");
    words_add(words, "--files-from-raw=%s", order->list);
}

static bool ask(const struct order *order, struct words *words)
{
    add_common(order, "backend", words);
    words_add(words, "--");
    words_add(words, "features");
    words_add(words, "%s", order->node->target);
    return true;
}

static void add_finding(struct words *words)
{
    words_add(words, "--recursive");
    words_add(words, "--files-only");
    words_add(words, "--include=*%s", LEFT_SUFFIX);
}

static int prepare(const struct order *order, const struct names *paths)
{
    return sample_write_paths(paths, order->list, rclone_operations.list_end);
}

static const char *command_of(const struct order *order)
{
    switch (order->task) {
    case TASK_COMPARE:
        return "check";
    case TASK_RESEND:
        return "copy";
    case TASK_FIND:
        return "lsf";
    case TASK_REMOVE:
        return "delete";
    case TASK_UPDATE:
        break;
    }
    return order->node->terms.remove ? "sync" : "copy";
}

static void call(const struct order *order, struct words *words)
{
    bool reads_share = order->task != TASK_FIND && order->task != TASK_REMOVE;

    add_common(order, command_of(order), words);
    if (order->task == TASK_COMPARE)
        add_comparing(order, words);
    else if (order->task == TASK_FIND)
        add_finding(words);
    else if (order->task == TASK_REMOVE)
        words_add(words, "--files-from-raw=%s", order->list);
    else
        add_updating(order, words);
    words_add(words, "--");
    if (reads_share)
        words_add(words, "%s", order->share);
    words_add(words, "%s", order->node->target);
}

static uint64_t number_in(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));

    return number > 0 ? (uint64_t)number : 0;
}

static void take_stats(struct report *report, const json_t *stats)
{
    report->bytes = number_in(stats, "bytes");
    report->files = number_in(stats, "transfers");
    report->removed = number_in(stats, "deletes");
    report->errors = number_in(stats, "errors");
}

/* What rclone did with one object stands in its message only. */
static void take_object(struct report *report, const char *object, const char *message)
{
    if (strstr(message, "delete") || strstr(message, "Deleted"))
        report->told(report->context, MOVE_REMOVED, object);
    else if (strstr(message, "cop") || strstr(message, "Copied"))
        report->told(report->context, MOVE_SENT, object);
}

/* What makes it end at once is told without JSON: "2024/01/31 12:00:00 Failed to ...". */
static void take_plain(struct report *report, const char *line)
{
    int stamp = 0;

    sscanf(line, "%*d/%*d/%*d %*d:%*d:%*d %n", &stamp);
    if (stamp > 0)
        report_reason(report, line + stamp);
}

static void take_log(struct report *report, const char *line)
{
    json_t *entry = json_loads(line, 0, NULL);
    const json_t *stats = json_object_get(entry, "stats");
    const char *level = json_string_value(json_object_get(entry, "level"));
    const char *message = json_string_value(json_object_get(entry, "msg"));
    const char *object = json_string_value(json_object_get(entry, "object"));

    if (!entry)
        take_plain(report, line);
    else if (stats)
        take_stats(report, stats);
    else if (level && message && strcmp(level, "error") == 0)
        report_reason(report, message);
    else if (object && message)
        take_object(report, object, message);
    json_decref(entry);
}

/* Of the answer, which is JSON in many lines: what a remote without times says, and without hashes.
 */
static void take_feature(struct report *report, const char *line)
{
    report->no_times |= strstr(line, "\"Precision\": 3153600000000000000") != NULL;
    report->no_checksums |= strstr(line, "\"Hashes\": []") != NULL;
}

/* "* path": it is another; "+ path": it is missing; "! path": it could not be read. */
static void take(struct report *report, int stream, char *line)
{
    if (stream != 0) {
        take_log(report, line);
    } else if (report->asks) {
        take_feature(report, line);
    } else if (report->task == TASK_FIND) {
        report->told(report->context, MOVE_LEFT, line);
    } else if (strlen(line) > 2 && line[1] == ' ' && strchr("*+!", *line)) {
        report->different++;
        report->unread += *line == '!';
        report->told(report->context, MOVE_DIFFERENT, line + 2);
    }
}

static const char *meaning(int status)
{
    return status == CHILD_NOT_FOUND ? "rclone cannot be run; is it installed?" : NULL;
}

static bool has_answered(int status)
{
    return status == 0;
}

static bool may_retry(int status)
{
    return status != CHILD_NOT_FOUND && status != FATAL;
}

const struct mover_operations rclone_operations = {
    .list_end = '\n',
    .idle_in = IDLE_IN,
    .ask = ask,
    .prepare = prepare,
    .call = call,
    .take = take,
    .has_answered = has_answered,
    .meaning = meaning,
    .may_retry = may_retry,
};
