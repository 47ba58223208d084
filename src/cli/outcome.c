/* SPDX-License-Identifier: MIT */
#include "cli/outcome.h"

#include "base/clock.h"
#include "cli/output.h"
#include "cli/standing.h"
#include "sync/state.h"

static void add_time(struct draft *line, const char *before, time_t time)
{
    if (time > 0)
        draft_add(line, "%s%s", before, time_text(time).text);
}

void outcome_show_runs(const struct sync_set *set, const struct run *run, bool always)
{
    static const char *const words[][2] = {
        [TASK_UPDATE] = {"running", "done"},
        [TASK_COMPARE] = {"comparing", "compared"},
        [TASK_RESEND] = {"running", "done"},
        [TASK_ROOT] = {"running", "done"},
        [TASK_FIND] = {"cleaning", "cleaned"},
        [TASK_REMOVE] = {"cleaning", "cleaned"},
        [TASK_REACH] = {"running", "done"},
        [TASK_ASK] = {"asking", "asked"},
        [TASK_COMPARE_BACK] = {"comparing", "compared"},
    };
    const char *between = "";
    struct draft text = {0};

    for (size_t i = 0; i < run->count; i++) {
        const struct transfer *transfer = &run->transfers[i];
        bool is_done = transfer->step == TRANSFER_DONE, failed = is_done && transfer->result < 0;
        double now = clock_seconds();
        double seconds = (is_done ? transfer->ended : now) - transfer->began;
        if (transfer->step == TRANSFER_NONE)
            continue;
        draft_add(&text, "%s", between);
        between = "\n";
        standing_add_node(&text, set, transfer->node);
        if (transfer->step == TRANSFER_WAITING) {
            if (transfer->tries == 0)
                draft_add(&text, "waiting");
            else
                draft_add(&text, "again in %s: %s", show_time(transfer->due - now).text,
                          transfer->reason);
            continue;
        }
        draft_add(&text, "%s, %s file%s, %s, %s/s",
                  failed ? "FAILED" : words[transfer->task][is_done],
                  show_count(transfer->done.files).text, plural(transfer->done.files),
                  show_bytes(transfer->done.bytes).text,
                  show_bytes((uint64_t)((double)transfer->done.bytes / (seconds > 1 ? seconds : 1)))
                      .text);
        if (transfer->errors > 0)
            draft_add(&text, ", %s error%s", show_count(transfer->errors).text,
                      plural(transfer->errors));
        if (failed)
            draft_add(&text, ": %s", transfer->reason);
    }
    cleanup_free char *lines = draft_take(&text);
    if (lines)
        output_progress(lines, always);
}

json_t *outcome_json(const struct sync_set *set, const struct transfer *transfer, const char *event)
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

void outcome_show(const struct sync_set *set, const struct outcome *outcome)
{
    const struct transfer *update = &outcome->update;
    const struct memory *memory = &update->node->memory;
    bool dry_run = update->dry_run, failed = *outcome->error != '\0';
    struct draft line = {0};

    standing_add_node(&line, set, update->node);
    if (outcome->different > 0) {
        draft_add(&line, "DIFFERS");
        add_time(&line, " since ", memory->differs_since);
    } else if (dry_run) {
        draft_add(&line, "%s",
                  update->result == -EPERM ? "would be refused"
                  : failed                 ? "cannot be reached"
                                           : "can be reached");
    } else {
        standing_add_state(&line, memory, !failed);
    }
    if (failed)
        draft_add(&line, ": %s", outcome->error);
    draft_add(&line, "; %s%s file%s, %s sent, %s deleted in %s", dry_run ? "would be: " : "",
              show_count(update->done.files).text, plural(update->done.files),
              show_bytes(update->done.bytes).text, show_count(update->done.removed).text,
              show_time(update->ended - update->began).text);
    if (outcome->verified > 0)
        draft_add(&line, "; %s file%s compared, %s different", show_count(outcome->verified).text,
                  plural(outcome->verified), show_count(outcome->different).text);
    if (memory->surplus > 0)
        standing_add_surplus(&line, memory);
    if (outcome->cleaned > 0)
        draft_add(&line, "; %s leftover%s removed", show_count(outcome->cleaned).text,
                  plural(outcome->cleaned));
    if (outcome->different == 0)
        add_time(&line, "; differs since ", memory->differs_since);
    add_time(&line, "; mended, it differed since ", outcome->mended_since);
    output_draft(failed ? COLOUR_BAD : COLOUR_NONE, &line);

    json_t *object = outcome_json(set, update, "end");
    json_object_update_new(object, json_pack("{s:b, s:o?, s:o*, s:o*, s:o*}", "up_to_date", !failed,
                                             "as_of", time_json(memory->as_of), "differs_since",
                                             time_json(memory->differs_since), "mended_since",
                                             time_json(outcome->mended_since), "surplus",
                                             count_json(memory->surplus, memory->counted)));
    if (outcome->cleaned > 0)
        json_object_set_new(object, "cleaned", json_integer((json_int_t)outcome->cleaned));
    if (failed)
        output_json_path(object, "error", outcome->error);
    if (outcome->verified > 0)
        json_object_update_new(object,
                               json_pack("{s:I, s:I}", "compared", (json_int_t)outcome->verified,
                                         "different", (json_int_t)outcome->different));
    output_json("node", object);
}
