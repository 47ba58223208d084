/* SPDX-License-Identifier: MIT */
#include "cli/asking.h"

#include "base/log.h"
#include "cli/background.h"
#include "cli/output.h"
#include "cli/standing.h"
#include "sync/description.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/signalfd.h>

enum {
    ASK_S = 20, /* of silence of a node */
    ASK_ALL_S = 40,
};

static void look_for_stop(void *context)
{
    struct asking *asking = context;
    struct signalfd_siginfo signal;

    if (read(asking->signals, &signal, sizeof signal) == sizeof signal)
        asking->run.stop |= (int)signal.ssi_signo != background_signal(SIGUSR1);
}

int asking_begin(unsigned jobs, struct asking *ret)
{
    sigset_t passed;

    background_signals(&passed);
    sigprocmask(SIG_BLOCK, &passed, NULL);
    *ret = (struct asking){.folder = NO_FOLDER,
                           .signals = signalfd(-1, &passed, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (ret->signals < 0)
        return log_errno(-errno, "the user's signals");
    ret->run = (struct run){.jobs = jobs > 0 ? jobs : UINT_MAX,
                            .wake = ret->signals,
                            .context = ret,
                            .look = look_for_stop};
    return locked_folder_make(false, &ret->folder);
}

void asking_end(struct asking *asking)
{
    locked_folder_remove(&asking->folder);
    cleanup_close_fd(&asking->signals);
}

static int compare_shares(const void *one, const void *other)
{
    return ((const struct sync_node *)one)->share - ((const struct sync_node *)other)->share;
}

char *asking_text(struct sync_set *set)
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

/* Reads a node's answer. */
static void read_telling(struct telling *telling)
{
    const struct transfer *transfer = &telling->transfer;
    cleanup_sets struct sets sets = {0};

    if (transfer->result < 0)
        return;
    log_mute(true);
    int r = description_read(transfer->theirs, NULL, "", &sets);
    log_mute(false);
    telling->unreadable = r < 0 && r != -ENOENT;
    telling->text = r == 0 ? asking_text(&sets.sets[0]) : NULL;
}

int asking_nodes(struct asking *asking, struct sync_node *nodes, size_t count, struct telling **ret)
{
    struct run *run = &asking->run;
    cleanup_free struct transfer *transfers = calloc(count, sizeof *transfers);
    struct telling *tellings = *ret = calloc(count, sizeof *tellings);
    int r = transfers && tellings ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        nodes[i].terms.timeout = ASK_S;
        nodes[i].terms.deadline = ASK_ALL_S;
        nodes[i].terms.retries = 0;
        transfers[i] = (struct transfer){
            .node = &nodes[i], .task = TASK_ASK, .seal = asking->seal, .step = TRANSFER_WAITING};
        if (asprintf(&transfers[i].theirs, "%s/%zu", asking->folder.path, i) < 0)
            r = -ENOMEM;
        if (r == 0)
            r = description_clear(transfers[i].theirs);
    }
    run->transfers = transfers;
    run->count = count;
    if (r == 0)
        run_transfers(run);
    for (size_t i = 0; transfers && tellings && i < count; i++)
        tellings[i].transfer = transfers[i];
    if (r == 0 && run->stop)
        r = -ECANCELED;
    for (size_t i = 0; r == 0 && i < count; i++)
        read_telling(&tellings[i]);
    return r;
}

void asking_free(struct telling *tellings, size_t count)
{
    for (size_t i = 0; tellings && i < count; i++) {
        free(tellings[i].text);
        free(tellings[i].transfer.theirs);
    }
    free(tellings);
}

size_t asking_show(const struct sync_set *set, const struct telling *tellings, const char *told)
{
    size_t there = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        const struct telling *telling = &tellings[i];
        const char *by = node->mover == &rsync_mover ? "rsync" : "rclone";
        const char *name = description_name(set);
        bool answers = telling->transfer.result == 0,
             same = telling->text && !strcmp(telling->text, told);
        struct draft line = {0};
        standing_add_node(&line, set, node);
        draft_add(&line, "%s = %s: ", by, node->target);
        if (!answers)
            draft_add(&line, "does not answer: %s", telling->transfer.reason);
        else if (telling->transfer.no_place)
            draft_add(&line, "answers, but there is no such directory");
        else if (!telling->text)
            draft_add(&line, "answers, but %s %s%s", telling->unreadable ? "its" : "has no", name,
                      telling->unreadable ? " cannot be read" : "");
        else
            draft_add(&line, "answers%s", same ? "" : ", and tells something else");
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
