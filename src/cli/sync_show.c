/* SPDX-License-Identifier: MIT */
#include "cli/sync_show.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/output.h"
#include "sync/state.h"

#include <stdio.h>
#include <string.h>

/* Writes what stands behind a node's name while it runs. */
static void describe_transfer(const struct transfer *transfer, FILE *text)
{
    static const char *const words[][2] = {
        [TASK_UPDATE] = {"running", "done"},     [TASK_COMPARE] = {"comparing", "compared"},
        [TASK_RESEND] = {"running", "done"},     [TASK_FIND] = {"cleaning", "cleaned"},
        [TASK_REMOVE] = {"cleaning", "cleaned"},
    };
    bool is_done = transfer->step == TRANSFER_DONE, failed = is_done && transfer->result < 0;
    double now = clock_seconds(), seconds = (is_done ? transfer->ended : now) - transfer->began;
    double rate = (double)transfer->done.bytes / (seconds > 1 ? seconds : 1);

    if (transfer->step == TRANSFER_WAITING && transfer->tries == 0) {
        fputs("waiting", text);
        return;
    }
    if (transfer->step == TRANSFER_WAITING) {
        fprintf(text, "again in %s: %s", show_time(transfer->due - now).text, transfer->reason);
        return;
    }
    fprintf(text, "%s, %s files, %s, %s/s", failed ? "FAILED" : words[transfer->task][is_done],
            show_count(transfer->done.files).text, show_bytes(transfer->done.bytes).text,
            show_bytes((uint64_t)rate).text);
    if (transfer->errors > 0)
        fprintf(text, ", %s errors", show_count(transfer->errors).text);
    if (failed)
        fprintf(text, ": %s", transfer->reason);
}

/* Writes "SET/NODE SHARE ", as wide as the longest name wants it. */
static void print_name(FILE *text, const struct sync_set *set, const struct sync_node *node)
{
    size_t width = 0;

    for (size_t i = 0; i < set->count; i++) {
        size_t length = strlen(set->nodes[i].name);
        width = length > width ? length : width;
    }
    fprintf(text, "%s/%-*s %02x ", set->name, (int)width, node->name, (uint8_t)node->share);
}

void show_nodes(const struct sync_set *set, const struct run *run, bool always)
{
    cleanup_free char *lines = NULL;
    size_t size;
    FILE *text = open_memstream(&lines, &size);

    if (!text)
        return;
    for (size_t i = 0; i < run->count; i++) {
        if (run->transfers[i].step == TRANSFER_NONE)
            continue;
        if (ftell(text) > 0)
            fputc('\n', text);
        print_name(text, set, run->transfers[i].node);
        describe_transfer(&run->transfers[i], text);
    }
    if (fclose(text) == 0)
        output_progress(lines, always);
}

static json_t *node_json(const struct sync_set *set, const struct transfer *transfer,
                         const char *event)
{
    const struct counts *done = &transfer->done;
    double end = transfer->step == TRANSFER_DONE ? transfer->ended : clock_seconds();

    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:f, s:o}", "event", event, "set",
                     set->name, "node", transfer->node->name, "try", transfer->tries, "files",
                     (json_int_t)done->files, "bytes", (json_int_t)done->bytes, "deleted",
                     (json_int_t)done->removed, "errors", (json_int_t)transfer->errors, "seconds",
                     end - transfer->began, "share",
                     json_sprintf("%02x", (uint8_t)transfer->node->share));
}

void show_event(const struct sync_set *set, const struct transfer *transfer,
                enum transfer_event event)
{
    const struct sync_node *node = transfer->node;

    if (event == TRANSFER_ENDS || transfer->task != TASK_UPDATE)
        return; /* its outcome is told later */
    if (event == TRANSFER_IS_DISTRUSTED) {
        log_warning("%s/%s: holds another share than %02x, or a damaged one; all is compared",
                    set->name, node->name, (uint8_t)node->share);
        return;
    }
    json_t *object = node_json(set, transfer, event == TRANSFER_BEGINS ? "begin" : "retry");
    if (event == TRANSFER_FAILS_FOR_NOW) {
        output_json_path(object, "error", transfer->reason); /* it may hold any byte */
        if (!output_has_progress())                          /* which shows it */
            log_warning("%s/%s: %s; will be tried again", set->name, node->name, transfer->reason);
    }
    output_json("node", object);
}

void show_move(const struct sync_set *set, const struct transfer *transfer, enum move move,
               const char *path)
{
    static const char *const actions[] = {"sent", "deleted", "different", "left"};
    const char *node = transfer->node->name;
    const char *would = transfer->dry_run ? "would be " : move == MOVE_DIFFERENT ? "is " : "";
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "set", set->name, "node", node, "action", actions[move]);

    output_json_path(object, "path", path);
    output_json("file", object);
    output_text(move == MOVE_DIFFERENT ? COLOUR_BAD : COLOUR_NONE, "%s/%s: %s%s: %s", set->name,
                node, would, actions[move], path);
}

static void print_time(FILE *text, const char *before, time_t time)
{
    if (time > 0)
        fprintf(text, "%s%s", before, time_text(time).text);
}

static void print_outcome(FILE *text, const struct sync_set *set, const struct outcome *outcome)
{
    const struct transfer *update = &outcome->update;
    const struct memory *memory = &update->node->memory;
    bool dry_run = update->dry_run;

    print_name(text, set, update->node);
    if (outcome->different > 0) {
        fputs("DIFFERS", text);
        print_time(text, " since ", memory->differs_since);
    } else if (dry_run) {
        fputs(*outcome->error ? "cannot be reached" : "can be reached", text);
    } else if (!*outcome->error) {
        fputs("up to date", text);
    } else {
        fputs(memory->as_of > 0 ? "BEHIND" : "BEHIND, never up to date", text);
        print_time(text, " since ", memory->as_of);
    }
    if (*outcome->error)
        fprintf(text, ": %s", outcome->error);
    fprintf(text, "; %s%s files, %s sent, %s deleted in %s", dry_run ? "would be: " : "",
            show_count(update->done.files).text, show_bytes(update->done.bytes).text,
            show_count(update->done.removed).text, show_time(update->ended - update->began).text);
    if (outcome->looked)
        fprintf(text, "; %s files compared, %s different", show_count(outcome->verified).text,
                show_count(outcome->different).text);
    if (outcome->cleaned > 0)
        fprintf(text, "; %s leftovers removed", show_count(outcome->cleaned).text);
    if (outcome->different == 0)
        print_time(text, "; differs since ", memory->differs_since);
    print_time(text, "; mended, it differed since ", outcome->mended_since);
}

void show_outcome(const struct sync_set *set, const struct outcome *outcome)
{
    const struct memory *memory = &outcome->update.node->memory;
    json_t *object = node_json(set, &outcome->update, "end");
    cleanup_free char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (text) {
        print_outcome(text, set, outcome);
        if (fclose(text) == 0)
            output_text(*outcome->error ? COLOUR_BAD : COLOUR_NONE, "%s", line);
    }
    json_object_update_new(object, json_pack("{s:b, s:o?, s:o*, s:o*}", "up_to_date",
                                             !*outcome->error, "as_of", time_json(memory->as_of),
                                             "differs_since", time_json(memory->differs_since),
                                             "mended_since", time_json(outcome->mended_since)));
    if (outcome->cleaned > 0)
        json_object_set_new(object, "cleaned", json_integer((json_int_t)outcome->cleaned));
    if (*outcome->error)
        output_json_path(object, "error", outcome->error);
    if (outcome->looked)
        json_object_update_new(object,
                               json_pack("{s:I, s:I}", "compared", (json_int_t)outcome->verified,
                                         "different", (json_int_t)outcome->different));
    output_json("node", object);
}

void show_set(const struct sync_set *set, size_t current, bool dry_run, enum exit_status status)
{
    output_text(status == EXIT_STATUS_OK ? COLOUR_GOOD : COLOUR_BAD,
                "%s: %zu of %zu nodes %s, %u are enough", set->name, current, set->count,
                dry_run ? "can be reached" : "are up to date", set->encoding.required);
    output_json("set", json_pack("{s:s, s:i, s:i, s:i, s:i}", "set", set->name, "nodes",
                                 (int)set->count, "up_to_date", (int)current, "required",
                                 (int)set->encoding.required, "exit_status", status));
}
