/* SPDX-License-Identifier: MIT */
#include "cli/sync_show.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static const struct node *node_of(const struct node_run *run)
{
    return run->order.node;
}

static const char *name_of_task(enum task task, bool is_done)
{
    if (task == TASK_COMPARE)
        return is_done ? "compared" : "comparing";
    if (task == TASK_FIND || task == TASK_REMOVE)
        return is_done ? "cleaned" : "cleaning";
    return is_done ? "done" : "running";
}

/* What stands behind a node's name while it runs. */
static void describe(const struct node_run *run, FILE *text)
{
    double now = clock_seconds(), seconds = now - run->began;

    switch (run->step) {
    case NODE_WAITING:
        if (run->tries == 0)
            fputs("waiting", text);
        else
            fprintf(text, "again in %s: %s", show_time(run->due - now).text, run->report.reason);
        return;
    case NODE_DONE:
        fputs(run->result == 0 ? name_of_task(run->order.task, true) : "FAILED", text);
        seconds = run->ended - run->began;
        break;
    default:
        fputs(name_of_task(run->order.task, false), text);
    }
    fprintf(text, ", %s files, %s, %s/s", show_count(node_run_files(run)).text,
            show_bytes(node_run_bytes(run)).text,
            show_bytes((uint64_t)((double)node_run_bytes(run) / (seconds > 1 ? seconds : 1))).text);
    if (run->report.errors > 0)
        fprintf(text, ", %s errors", show_count(run->report.errors).text);
    if (run->step == NODE_DONE && run->result < 0)
        fprintf(text, ": %s", run->report.reason);
}

/* How wide the longest name is. */
static int width_of(const struct set *set)
{
    size_t width = 0;

    for (size_t i = 0; i < set->count; i++) {
        size_t length = strlen(set->nodes[i].name);
        width = length > width ? length : width;
    }
    return (int)width;
}

void show_nodes(const struct set *set, const struct run *run, bool always)
{
    cleanup_free char *lines = NULL;
    size_t size;
    FILE *text = open_memstream(&lines, &size);

    if (!text)
        return;
    for (size_t i = 0; i < run->count; i++) {
        const struct node *node = node_of(&run->nodes[i]);
        fprintf(text, "%s%s/%-*s %02x ", i > 0 ? "\n" : "", set->name, width_of(set), node->name,
                (uint8_t)node->share);
        describe(&run->nodes[i], text);
    }
    if (fclose(text) == 0)
        output_progress_lines(lines, always);
}

/* A text that another program gave, which may hold any byte. */
static void set_text(json_t *object, const char *key, const char *text)
{
    output_json_path(object, key, text);
}

static json_t *node_json(const struct set *set, const struct node_run *run, const char *event)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:f}", "event", event, "set", set->name, "node",
        node_of(run)->name, "try", run->tries, "files", (json_int_t)node_run_files(run), "bytes",
        (json_int_t)node_run_bytes(run), "deleted", (json_int_t)node_run_removed(run), "errors",
        (json_int_t)run->report.errors, "seconds",
        (run->step == NODE_DONE ? run->ended : clock_seconds()) - run->began);

    json_object_set_new(object, "share", json_sprintf("%02x", (uint8_t)node_of(run)->share));
    return object;
}

void show_event(const struct set *set, const struct node_run *node, enum node_event event)
{
    if (event == NODE_ENDS || node->order.task != TASK_UPDATE)
        return; /* its outcome is told later */
    if (event == NODE_IS_DISTRUSTED) {
        log_warning("%s/%s: holds another share than %02x, or a damaged one; all is compared",
                    set->name, node_of(node)->name, (uint8_t)node_of(node)->share);
        return;
    }
    json_t *object = node_json(set, node, event == NODE_BEGINS ? "begin" : "retry");
    if (event == NODE_FAILS_FOR_NOW) {
        set_text(object, "error", node->report.reason);
        if (!output_has_progress()) /* which shows it */
            log_warning("%s/%s: %s; will be tried again", set->name, node_of(node)->name,
                        node->report.reason);
    }
    output_json("node", object);
}

void show_move(const struct set *set, const struct node_run *node, enum move move, const char *path)
{
    static const char *const actions[] = {"sent", "deleted", "different", "left"};
    const char *would = node->order.dry_run ? "would be " : move == MOVE_DIFFERENT ? "is " : "";
    json_t *object = json_pack("{s:s, s:s, s:s}", "set", set->name, "node", node_of(node)->name,
                               "action", actions[move]);

    output_json_path(object, "path", path);
    output_json("file", object);
    output_text(move == MOVE_DIFFERENT ? COLOUR_BAD : COLOUR_NONE, "%s/%s: %s%s: %s", set->name,
                node_of(node)->name, would, actions[move], path);
}

static void print_time(FILE *text, const char *before, time_t time)
{
    if (time > 0)
        fprintf(text, "%s%s", before, time_text(time).text);
}

/* "share 00 is up to date" and its like. */
static void print_health(FILE *text, const struct outcome *outcome)
{
    bool dry_run = outcome->run->order.dry_run;

    if (outcome->different > 0) {
        fputs("DIFFERS", text);
        print_time(text, " since ", outcome->differs_since);
        fprintf(text, ": %s", outcome->error);
    } else if (!outcome->error)
        fputs(dry_run ? "can be reached" : "up to date", text);
    else if (dry_run)
        fprintf(text, "cannot be reached: %s", outcome->error);
    else if (outcome->as_of > 0)
        fprintf(text, "BEHIND since %s: %s", time_text(outcome->as_of).text, outcome->error);
    else
        fprintf(text, "BEHIND, never up to date: %s", outcome->error);
}

static void print_outcome(FILE *text, const struct set *set, const struct outcome *outcome)
{
    const struct node_run *run = outcome->run;
    bool dry_run = run->order.dry_run;

    fprintf(text, "%s/%-*s %02x ", set->name, width_of(set), node_of(run)->name,
            (uint8_t)node_of(run)->share);
    print_health(text, outcome);
    fprintf(text, "; %s%s files, %s sent, %s deleted in %s", dry_run ? "would be: " : "",
            show_count(node_run_files(run)).text, show_bytes(node_run_bytes(run)).text,
            show_count(node_run_removed(run)).text, show_time(run->ended - run->began).text);
    if (outcome->looked)
        fprintf(text, "; %s files compared, %s different", show_count(outcome->verified).text,
                show_count(outcome->different).text);
    if (outcome->cleaned > 0)
        fprintf(text, "; %s leftovers removed", show_count(outcome->cleaned).text);
    if (outcome->different == 0)
        print_time(text, "; differs since ", outcome->differs_since);
    print_time(text, "; mended, it differed since ", outcome->mended_since);
}

static void set_time(json_t *object, const char *key, time_t time)
{
    if (time > 0)
        json_object_set_new(object, key, json_string(time_text(time).text));
}

void show_outcome(const struct set *set, const struct outcome *outcome)
{
    json_t *object = node_json(set, outcome->run, "end");
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (text) {
        print_outcome(text, set, outcome);
        if (fclose(text) == 0)
            output_text(outcome->error ? COLOUR_BAD : COLOUR_NONE, "%s", line);
        free(line);
    }
    json_object_set_new(object, "up_to_date", json_boolean(!outcome->error));
    json_object_set_new(object, "as_of",
                        outcome->as_of > 0 ? json_string(time_text(outcome->as_of).text)
                                           : json_null());
    if (outcome->cleaned > 0)
        json_object_set_new(object, "cleaned", json_integer((json_int_t)outcome->cleaned));
    set_time(object, "differs_since", outcome->differs_since);
    set_time(object, "mended_since", outcome->mended_since);
    if (outcome->error)
        set_text(object, "error", outcome->error);
    if (outcome->looked) {
        json_object_set_new(object, "compared", json_integer((json_int_t)outcome->verified));
        json_object_set_new(object, "different", json_integer((json_int_t)outcome->different));
    }
    output_json("node", object);
}

void outcome_clear(struct outcome *outcome)
{
    free(outcome->kept_error);
    names_clear(&outcome->paths);
    names_clear(&outcome->left);
}

void show_set(const struct set *set, size_t current, bool dry_run, enum exit_status status)
{
    output_text(status == EXIT_STATUS_OK ? COLOUR_GOOD : COLOUR_BAD,
                "%s: %zu of %zu nodes %s, %u are enough", set->name, current, set->count,
                dry_run ? "can be reached" : "are up to date", set->encoding.required);
    output_json("set", json_pack("{s:s, s:i, s:i, s:i, s:i}", "set", set->name, "nodes",
                                 (int)set->count, "up_to_date", (int)current, "required",
                                 (int)set->encoding.required, "exit_status", status));
}
