/* SPDX-License-Identifier: MIT */
#include "sync/run.h"

#include "base/clock.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum {
    GRACE_S = 5,      /* from SIGTERM to SIGKILL */
    PAUSE_MAX_S = 60, /* between two tries */
    FDS_OF_CHILD = CHILD_STREAMS + 1,
};

uint64_t node_run_files(const struct node_run *node)
{
    return node->files + node->report.files;
}

uint64_t node_run_bytes(const struct node_run *node)
{
    return node->bytes + node->report.bytes;
}

uint64_t node_run_removed(const struct node_run *node)
{
    return node->removed + node->report.removed;
}

static const struct terms *terms_of(const struct node_run *node)
{
    return &node->order.node->terms;
}

static const struct mover_operations *operations_of(const struct node_run *node)
{
    return mover_operations(node->order.node->mover);
}

static void finish(struct run *run, struct node_run *node, int result)
{
    node->step = NODE_DONE;
    node->result = result;
    node->ended = clock_seconds();
    if (node->tries == 0)
        node->began = node->ended;
    if (result == -ETIMEDOUT)
        report_reason(&node->report, "the deadline is over");
    else if (result == -ECANCELED)
        report_reason(&node->report, "it was stopped");
    run->happened(run->context, node, NODE_ENDS);
}

/* Begins the next try, or what comes behind an answer, with an empty report. */
static void renew_report(struct node_run *node)
{
    node->files = node_run_files(node);
    node->bytes = node_run_bytes(node);
    node->removed = node_run_removed(node);
    node->report = (struct report){
        .context = node->report.context,
        .told = node->report.told,
        .task = node->order.task,
        .since = node->order.since,
        .asks = node->is_asking,
    };
}

/* Starts its program: what asks first, where there is something to ask, and then what does it. */
static int start_program(struct node_run *node)
{
    const struct mover_operations *operations = operations_of(node);
    struct words words = {.names = NO_NAMES};

    node->is_asking = !node->was_asked && node->order.task == TASK_UPDATE &&
                      operations->ask(&node->order, &words);
    if (!node->is_asking)
        operations->call(&node->order, &words);
    renew_report(node);
    int r = child_start(&words, &node->child);
    names_clear(&words.names);
    if (r == 0)
        pulse_begin(&node->child, &node->pulse);
    return r;
}

static void begin(struct run *run, struct node_run *node)
{
    bool goes_on = node->was_asked && node->step == NODE_RUNNING;

    if (node->tries == 0)
        node->began = clock_seconds();
    node->tries += !goes_on;
    int r = start_program(node);
    if (r < 0) {
        report_reason(&node->report, strerrordesc_np(-r));
        finish(run, node, -EIO);
        return;
    }
    node->step = NODE_RUNNING;
    if (!goes_on)
        run->happened(run->context, node, NODE_BEGINS);
}

/* The same try goes on with what was learnt. */
static void take_answer(struct run *run, struct node_run *node)
{
    if (node->report.contradicts && !node->order.checksum) {
        node->order.checksum = true;
        run->happened(run->context, node, NODE_IS_DISTRUSTED);
    }
    node->order.no_times = node->report.no_times;
    node->order.no_checksums = node->report.no_checksums;
    node->was_asked = true;
    begin(run, node);
}

/* For good, or (-EAGAIN) this try. */
static void end_child(struct node_run *node, int result)
{
    if (result == -EAGAIN)
        report_reason(&node->report, "it did not answer in time");
    child_signal(&node->child, SIGTERM);
    node->step = NODE_ENDING;
    node->result = result;
    node->due = clock_seconds() + GRACE_S;
}

static void explain(struct node_run *node, int status)
{
    const char *meaning = WIFEXITED(status) ? operations_of(node)->meaning(WEXITSTATUS(status))
                                            : "it was ended by a signal";

    report_reason(&node->report, meaning ? meaning : "it failed without a word");
}

/* Returns true if another try would find the same differences again. */
static bool has_compared(const struct report *report, int code)
{
    return code >= 0 && report->task == TASK_COMPARE && report->different > 0 &&
           report->unread == 0;
}

/* A try has ended by itself, or because it was stuck. */
static void conclude(struct run *run, struct node_run *node, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (node->is_asking && operations_of(node)->has_answered(code)) {
        take_answer(run, node);
        return;
    }
    if (!node->is_asking && code == 0) {
        finish(run, node, 0);
        return;
    }
    explain(node, status);
    if (has_compared(&node->report, code)) {
        finish(run, node, -EIO);
        return;
    }
    double pause = fmin(ldexp(1, (int)node->tries - 1), PAUSE_MAX_S);
    if (node->tries > terms_of(node)->retries ||
        (code >= 0 && !operations_of(node)->may_retry(code))) {
        finish(run, node, -EIO);
        return;
    }
    node->step = NODE_WAITING;
    node->due = clock_seconds() + pause;
    run->happened(run->context, node, NODE_FAILS_FOR_NOW);
}

struct reader {
    struct node_run *node;
    int stream;
};

static void take_line(void *opaque, char *line)
{
    struct reader *reader = opaque;

    operations_of(reader->node)->take(&reader->node->report, reader->stream, line);
}

static bool is_ending(const struct node_run *node)
{
    return node->step == NODE_ENDING || node->step == NODE_KILLED;
}

/* Where something hangs in the kernel, a further try would hang as well. */
static void give_up(struct run *run, struct node_run *node)
{
    finish(run, node, node->result == -EAGAIN ? -EIO : node->result);
}

/* What the child has said, and whether it has ended. */
static void attend(struct run *run, struct node_run *node)
{
    int status;

    for (int i = 0; i < CHILD_STREAMS; i++)
        child_read(&node->child, i, take_line, &(struct reader){node, i});
    if (!child_has_ended(&node->child, &status))
        return;
    bool is_over = is_ending(node) && (node->result != -EAGAIN || node->child.stuck);
    child_clear(&node->child);
    if (is_over)
        give_up(run, node);
    else
        conclude(run, node, status);
}

static bool is_under_way(const struct node_run *node)
{
    return node->step == NODE_RUNNING || is_ending(node);
}

static unsigned count_under_way(const struct run *run)
{
    unsigned count = 0;

    for (size_t i = 0; i < run->count; i++)
        count += is_under_way(&run->nodes[i]);
    return count;
}

/* Whether nothing has moved for so long that nobody is expected to answer any more. */
static bool is_stuck(struct node_run *node)
{
    const struct mover_operations *mover = operations_of(node);

    return node->child.handle >= 0 && pulse_idle(&node->child, mover->idle_in, &node->pulse) >=
                                          (double)(terms_of(node)->timeout + mover->late);
}

/* Once more as patient as with an answer: it may have to wait for what it has written. */
static void kill_child(struct node_run *node, double now)
{
    child_signal(&node->child, SIGKILL);
    node->step = NODE_KILLED;
    node->due = now + (node->result == -EAGAIN ? (double)terms_of(node)->timeout : GRACE_S);
}

/* Does what time, or the wish to stop, asks for. */
static void advance(struct run *run, struct node_run *node, double now)
{
    bool late = node->tries > 0 && now >= node->began + (double)terms_of(node)->deadline;

    switch (node->step) {
    case NODE_WAITING:
        if (run->stop || late)
            finish(run, node, run->stop ? -ECANCELED : -EIO);
        else if (now >= node->due && count_under_way(run) < run->jobs)
            begin(run, node);
        break;
    case NODE_RUNNING:
        if (run->stop || late)
            end_child(node, run->stop ? -ECANCELED : -ETIMEDOUT);
        else if (is_stuck(node))
            end_child(node, -EAGAIN);
        break;
    case NODE_ENDING:
        if (now >= node->due)
            kill_child(node, now);
        break;
    case NODE_KILLED:
        if (run->stop || late)
            node->due = fmin(node->due, now + GRACE_S);
        if (now >= node->due && node->child.handle >= 0) {
            child_leave(&node->child);
            give_up(run, node);
        }
        break;
    case NODE_DONE:
        break;
    }
}

/* Whether any is left. */
static bool advance_all(struct run *run)
{
    bool left = false;

    for (size_t i = 0; i < run->count; i++) {
        advance(run, &run->nodes[i], clock_seconds());
        left |= run->nodes[i].step != NODE_DONE;
    }
    return left;
}

/* FDS has room for all; those of a child that is none are below 0, which poll(2) passes over. */
static void wait_for_any(const struct run *run, struct pollfd *fds)
{
    size_t at = 1;

    fds[0] = (struct pollfd){.fd = run->wake, .events = POLLIN};
    for (size_t i = 0; i < run->count; i++) {
        const struct child *child = &run->nodes[i].child;
        for (int stream = 0; stream < CHILD_STREAMS; stream++)
            fds[at++] = (struct pollfd){.fd = child->streams[stream].fd, .events = POLLIN};
        fds[at++] = (struct pollfd){.fd = child->handle, .events = POLLIN};
    }
    if (poll(fds, at, (int)(run->pace * 1000)) < 0)
        fds[0].revents = 0;
}

static void attend_all(struct run *run, const struct pollfd *fds)
{
    if (fds[0].revents)
        run->woken(run->context);
    for (size_t i = 0; i < run->count; i++) {
        if (is_under_way(&run->nodes[i]))
            attend(run, &run->nodes[i]);
    }
}

void run_nodes(struct run *run)
{
    cleanup_free struct pollfd *fds = calloc(1 + FDS_OF_CHILD * run->count, sizeof *fds);
    double next = 0;

    for (size_t i = 0; i < run->count; i++)
        run->nodes[i].child = NO_CHILD;
    run->stop |= !fds;
    while (advance_all(run)) {
        wait_for_any(run, fds);
        attend_all(run, fds);
        if (clock_seconds() >= next) {
            run->look(run->context);
            next = clock_seconds() + run->pace;
        }
    }
}
