/* SPDX-License-Identifier: MIT */
#include "sync/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "seal/key_share.h"
#include "sync/address.h"
#include "sync/description.h"
#include "sync/node_key.h"
#include "tree/whereabouts.h"

#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum {
    GRACE_S = 5,      /* from SIGTERM to SIGKILL */
    PAUSE_MAX_S = 60, /* between two tries */
    PACE_MS = 200,    /* between two looks */
    FDS_OF_CHILD = CHILD_STREAMS + 1,
};

/* Notes why we end it, unless it has said itself why it fails. */
static void note_reason(struct transfer *transfer, int result)
{
    if (result == -ETIMEDOUT)
        transfer_reason(transfer, "the deadline is over");
    else if (result == -ECANCELED)
        transfer_reason(transfer, "it was stopped");
    else if (result == -EAGAIN)
        transfer_reason(transfer, "it did not answer in time");
}

static void tell_event(struct transfer *transfer, enum transfer_event event)
{
    if (transfer->happened)
        transfer->happened(transfer, event);
}

static void finish_transfer(struct transfer *transfer, int result)
{
    transfer->step = TRANSFER_DONE;
    transfer->result = result;
    transfer->ended = clock_seconds();
    if (transfer->tries == 0)
        transfer->began = transfer->ended;
    note_reason(transfer, result);
}

/*
 * Returns true if QUESTION comes before the work. Files are compared by size and time, which are
 * the same in all shares of a tree. So a node that was never brought up to date, or is another disk
 * than usual, may hold another share.
 */
static bool is_asked(const struct transfer *transfer, enum transfer_question question)
{
    const struct sync_node *node = transfer->node;
    const struct mover *mover = node->mover;
    const struct terms *terms = &node->terms;
    bool updates = transfer->task == TASK_UPDATE, resends = transfer->task == TASK_RESEND;
    bool looks = updates || (transfer->task == TASK_REACH && transfer->is_new);

    switch (question) {
    case QUESTION_MOUNT:
        return mover == &rsync_mover && address_kind(node->target) == ADDRESS_LOCAL &&
               (updates || resends || transfer->task == TASK_REACH);
    case QUESTION_DESCRIPTION:
        return ((transfer->set || transfer->seal) && (updates || resends || transfer->goes_on)) ||
               (updates && transfer->known && mover == &rsync_mover &&
                address_kind(node->target) == ADDRESS_DAEMON);
    case QUESTION_FEATURES:
        return looks && mover->has_features;
    case QUESTION_CONTENTS:
        return looks && transfer->few && !transfer->checksum && !terms->look_at_checksums;
    case QUESTION_NAMES:
        return (mover->clears && (updates || resends)) ||
               (looks && (transfer->counts || transfer->is_new ||
                          (terms->remove && !transfer->remove_most)));
    case QUESTION_CLEARED:
        return transfer->blocking > 0 && !transfer->dry_run;
    case QUESTION_DESCRIBED:
        return updates && transfer->set && mover->describes && !transfer->described &&
               !transfer->dry_run;
    case QUESTION_KEYED:
        return updates && transfer->seal && !transfer->dry_run &&
               ((transfer->keys && !transfer->keyed) ||
                (transfer->set && !mover->describes && !transfer->known && !transfer->described));
    case QUESTION_SENT:
        return updates && transfer->seal && !transfer->dry_run;
    case QUESTION_LISTED:
        return updates && transfer_lists(transfer);
    case QUESTION_NONE:
        break;
    }
    return true;
}

/*
 * Starts the next program of a transfer: first those with questions to the node, if there are any,
 * and after their answers the one that does the work.
 */
static void begin_program(struct transfer *transfer)
{
    const struct mover *mover = transfer->node->mover;
    bool goes_on = transfer->step == TRANSFER_RUNNING;
    struct words words = {.names = NO_NAMES};

    if (transfer->tries == 0)
        transfer->began = clock_seconds();
    transfer->tries += !goes_on;
    if (!goes_on) /* by now, the node may be another one */
        transfer->question = QUESTION_MOUNT;
    while (!is_asked(transfer, transfer->question))
        transfer->question++;
    if (transfer->question == QUESTION_MOUNT)
        *transfer->seen = '\0';
    if (!goes_on)
        transfer->cleared = false;
    if (transfer->question == QUESTION_DESCRIPTION)
        description_clear(transfer->theirs);
    if (transfer->question == QUESTION_FEATURES)
        transfer->no_times = transfer->no_checksums = transfer->coarse_times = false;
    if (transfer->question == QUESTION_CONTENTS)
        transfer->equal = transfer->contradictions = 0;
    if (transfer->question == QUESTION_NAMES)
        transfer->names = transfer->surplus = transfer->leftovers = transfer->blocking = 0;
    mover->call(transfer, &words);
    transfer->before = transfer->done;
    transfer->errors = transfer->different = transfer->unread = 0;
    transfer->collides = transfer->is_final = transfer->absent = transfer->no_place = false;
    transfer->reason[0] = '\0';
    int r = child_start(&words, &transfer->child);
    names_clear(&words.names);
    if (r < 0) {
        transfer_reason(transfer, strerrordesc_np(-r));
        finish_transfer(transfer, -EIO);
        return;
    }
    transfer->step = TRANSFER_RUNNING;
    if (!goes_on)
        tell_event(transfer, TRANSFER_BEGINS);
}

/* Ends it for good, or (-EAGAIN) this try. */
static void end_child(struct transfer *transfer, int result)
{
    note_reason(transfer, result); /* before it says what our signal does to it */
    child_end(&transfer->child);
    transfer->step = TRANSFER_ENDING;
    transfer->result = result;
    transfer->due = clock_seconds() + GRACE_S;
}

/* Returns true if the directory in which the node's file system was mounted is there without it. */
static bool is_unmounted(struct transfer *transfer)
{
    const char *beneath =
        *transfer->seen ? whereabouts_beneath(transfer->mount, transfer->seen) : NULL;

    if (!beneath || !*beneath)
        return false;
    snprintf(
        transfer->reason, sizeof transfer->reason,
        "nothing is mounted at %.300s; mount it, or, to do without, remove this node's \"mount\" "
        "from the state (see zfec-fs-sets(5))",
        transfer->mount);
    return true;
}

/* Returns true if something is in the way that should have been removed. If it is a symlink, all
 * would be written through it. */
static bool is_blocked(struct transfer *transfer)
{
    if (transfer->question != QUESTION_NAMES || !transfer->cleared || transfer->blocking == 0)
        return false;
    snprintf(transfer->reason, sizeof transfer->reason,
             "%s is in the way there, and could not be removed: remove it", transfer->blocker);
    return true;
}

/* Returns true if the description in a directory is there, and of this set and share. */
static bool is_described(const struct transfer *transfer)
{
    cleanup_free char *path = NULL;
    char reason[REASON_SIZE];

    return transfer->set &&
           asprintf(&path, "%s/%s", transfer->theirs, description_name(transfer->set)) >= 0 &&
           access(path, F_OK) == 0 &&
           description_fits(transfer->set, transfer->node, transfer->theirs, reason);
}

/*
 * Judges what a node of sealed shares says that it holds. A place that was never brought up to date
 * has to be empty, unless it says that it is of this set. Returns false, with the reason, if
 * nothing may be written there: never beside or over shares of another key.
 */
static bool is_of_seal(struct transfer *transfer)
{
    const enum node_key key = node_key_in(transfer->theirs, transfer->seal->set_id);
    const bool is_marked = key == NODE_KEY_OURS || is_described(transfer);

    transfer->keyed =
        transfer->keys && description_is_same(KEY_SHARE_NAME, transfer->theirs, transfer->keys);
    if (key == NODE_KEY_OTHERS) {
        snprintf(transfer->reason, sizeof transfer->reason,
                 "it holds shares that are sealed with another key; nothing is written there: give "
                 "that key, or another place");
        return false;
    }
    const enum node_key_passphrase passphrase =
        key == NODE_KEY_OURS && transfer->keys && !transfer->adopts
            ? node_key_passphrase(transfer->theirs, transfer->keys)
            : NODE_KEY_SAME_PASSPHRASE;
    if (passphrase == NODE_KEY_OTHER_PASSPHRASE)
        log_warning("%s/%s: its part of the key has another passphrase than the key, and is "
                    "replaced; if the key's file is an old copy, so is that",
                    transfer->node->set, transfer->node->name);
    if (passphrase == NODE_KEY_WOULD_OPEN) {
        snprintf(
            transfer->reason, sizeof transfer->reason,
            "its part of the key has a passphrase, and the key has none: nothing is written "
            "there; if the key's file is an old copy, put the newer one back; --adopt takes the "
            "passphrase off");
        return false;
    }
    if ((transfer->keys || transfer->set) && !transfer->known && !transfer->adopts)
        transfer->is_new = !is_marked;
    return true;
}

/* Goes on to the next question, or to the work. */
static void judge_answer(struct transfer *transfer, bool is_whole)
{
    if (transfer->question == QUESTION_MOUNT && is_unmounted(transfer)) {
        finish_transfer(transfer, -EPERM);
        return;
    }
    if (*transfer->seen)
        strcpy(transfer->mount, transfer->seen);
    if (transfer->question == QUESTION_DESCRIPTION && transfer->seal && !is_of_seal(transfer)) {
        finish_transfer(transfer, -EPERM);
        return;
    }
    if (transfer->question == QUESTION_DESCRIPTION && transfer->set) {
        bool fits =
            description_fits(transfer->set, transfer->node, transfer->theirs, transfer->reason);
        if (!fits && !transfer->adopts) {
            size_t length = strlen(transfer->reason);
            snprintf(transfer->reason + length, sizeof transfer->reason - length, "%s",
                     transfer->goes_on ? "; empty this place, or choose another"
                                       : "; nothing is written there; --adopt makes it this share");
            finish_transfer(transfer, -EPERM);
            return;
        }
        transfer->is_new |= transfer->goes_on && transfer->absent;
        transfer->checksum |= !fits; /* files may have the right size and time */
        transfer->described =
            description_is_same(description_name(transfer->set), transfer->theirs, transfer->ours);
    }
    if (transfer->question == QUESTION_CONTENTS && transfer->contradictions > 0) {
        if (transfer->known && transfer->contradictions > 1 && transfer->equal == 0) {
            snprintf(transfer->reason, sizeof transfer->reason,
                     "it holds another share than %02x; is another disk in its place? --checksum "
                     "makes it this share",
                     (uint8_t)transfer->node->share);
            finish_transfer(transfer, -EPERM);
            return;
        }
        transfer->checksum = true;
        tell_event(transfer, TRANSFER_IS_DISTRUSTED);
    }
    if (transfer->question == QUESTION_NAMES && transfer->is_new &&
        (transfer->names > 0 || !is_whole)) {
        if (is_whole)
            snprintf(transfer->reason, sizeof transfer->reason,
                     transfer->seal && transfer->task == TASK_UPDATE
                         ? "its place is not empty (%" PRIu64 " name%s), and does not say that it "
                           "is of this sealed set: empty it, or choose another"
                         : "its place is not empty (%" PRIu64
                           " name%s): empty it, or choose another",
                     transfer->names, transfer->names == 1 ? "" : "s");
        finish_transfer(transfer, -EPERM);
        return;
    }
    if (transfer->question == QUESTION_NAMES)
        transfer->is_new = false; /* what another try finds there is ours */
    transfer->counted = transfer->question == QUESTION_NAMES && is_whole;
    if (transfer->question == QUESTION_NAMES && !is_whole)
        transfer->names = transfer->surplus = transfer->leftovers = 0; /* nothing may be deleted */
    if (transfer->question == QUESTION_NAMES && transfer->node->terms.remove &&
        !transfer->remove_most && transfer->task != TASK_RESEND &&
        transfer->surplus > transfer->names / 2) {
        snprintf(transfer->reason, sizeof transfer->reason,
                 "%" PRIu64 " of %" PRIu64 " names there would be deleted; is all of the source "
                 "mounted? --delete-most deletes them",
                 transfer->surplus, transfer->names);
        finish_transfer(transfer, -EPERM);
        return;
    }
    if (is_blocked(transfer)) {
        finish_transfer(transfer, -EPERM);
        return;
    }
    transfer->cleared |= transfer->question == QUESTION_CLEARED;
    if (transfer->question == QUESTION_CLEARED)
        transfer->question = QUESTION_NAMES; /* nothing may be there that was not seen to go */
    else
        transfer->question++;
    begin_program(transfer);
}

/* A try has ended by itself, or because it was stuck. */
static void judge_end(struct transfer *transfer, int status)
{
    const struct mover *mover = transfer->node->mover;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    /* A description that could not be read may be there. */
    bool asks = transfer->task == TASK_ASK || transfer->question == QUESTION_DESCRIPTION;
    bool sends = transfer->question >= QUESTION_CLEARED && transfer->question != QUESTION_NONE;
    bool has_none =
        code > 0 && asks && (transfer->absent || (code == mover->answers && transfer->errors == 0));
    transfer->no_place |= code > 0 && code == mover->makes;
    bool is_optional =
        transfer->question == QUESTION_MOUNT || /* of what exists, if anything */
        (transfer->question == QUESTION_NAMES && !transfer->node->terms.remove && !mover->clears);
    /* rclone ends with a failure where it finds a difference, too. */
    is_optional |= transfer->question == QUESTION_CONTENTS && mover == &rclone_mover;
    bool answers = is_optional
                       ? code >= 0
                       : code == 0 || has_none || (code == mover->answers && !asks && !sends);

    if (transfer->question != QUESTION_NONE && answers) {
        judge_answer(transfer, code == 0 || code == mover->makes);
        return;
    }
    if (code == 0 || has_none || (transfer->task == TASK_REACH && code == mover->makes)) {
        finish_transfer(transfer, transfer->collides ? -EIO : 0);
        return;
    }
    const struct ending *ending = mover->endings;
    while (ending->status && ending->status != code)
        ending++;
    transfer_reason(transfer, code < 0          ? "it was ended by a signal"
                              : ending->meaning ? ending->meaning
                                                : "it failed without a word");
    /* Another try would find the same differences again. */
    bool has_compared = code >= 0 && transfer_compares(transfer) && transfer->different > 0 &&
                        transfer->unread == 0;
    if (has_compared || ending->is_final || transfer->is_final ||
        transfer->tries > transfer->node->terms.retries) {
        finish_transfer(transfer, -EIO);
        return;
    }
    transfer->step = TRANSFER_WAITING;
    transfer->due = clock_seconds() + fmin(ldexp(1, (int)transfer->tries - 1), PAUSE_MAX_S);
    tell_event(transfer, TRANSFER_FAILS_FOR_NOW);
}

static void take_line(void *context, int stream, char *line)
{
    struct transfer *transfer = context;

    transfer->node->mover->take(transfer, stream, line);
}

/* Where something hangs in the kernel, a further try would hang as well. */
static void give_up_transfer(struct transfer *transfer)
{
    child_leave(&transfer->child);
    finish_transfer(transfer, transfer->result == -EAGAIN ? -EIO : transfer->result);
}

/* Takes the child's lines, and checks whether it has ended. */
static void attend(struct transfer *transfer)
{
    bool again = transfer->result == -EAGAIN;
    int status;

    child_read(&transfer->child, take_line, transfer);
    if (!child_has_ended(&transfer->child, &status))
        return;
    if (transfer->step != TRANSFER_RUNNING && (!again || transfer->child.stuck)) {
        give_up_transfer(transfer);
    } else {
        child_leave(&transfer->child);
        judge_end(transfer, status);
    }
}

static bool has_room(const struct run *run)
{
    unsigned under_way = 0;

    for (size_t i = 0; i < run->count; i++)
        under_way += run->transfers[i].step >= TRANSFER_RUNNING;
    return under_way < run->jobs;
}

/* Does what is due by the clock, or by the wish to stop. */
static void advance(struct run *run, struct transfer *transfer, double now)
{
    const struct terms *terms = &transfer->node->terms;
    const struct mover *mover = transfer->node->mover;
    bool late = transfer->tries > 0 && now >= transfer->began + terms->deadline;

    switch (transfer->step) {
    case TRANSFER_NONE:
    case TRANSFER_DONE:
        break;
    case TRANSFER_WAITING:
        if (run->stop || late)
            finish_transfer(transfer, run->stop ? -ECANCELED : -EIO);
        else if (now >= transfer->due && has_room(run))
            begin_program(transfer);
        break;
    case TRANSFER_RUNNING:
        if (run->stop || late)
            end_child(transfer, run->stop ? -ECANCELED : -ETIMEDOUT);
        /* Nobody is expected to answer any more. */
        else if (transfer->child.handle >= 0 &&
                 child_idle(&transfer->child, mover->idle_in) >= terms->timeout + mover->late)
            end_child(transfer, -EAGAIN);
        break;
    case TRANSFER_ENDING:
        if (now < transfer->due)
            break;
        child_kill(&transfer->child);
        transfer->step = TRANSFER_KILLED;
        /*
         * Waits as long as for an answer: the program may have to wait until its data are written.
         */
        transfer->due = now + (transfer->result == -EAGAIN ? terms->timeout : GRACE_S);
        break;
    case TRANSFER_KILLED:
        if (run->stop || late)
            transfer->due = fmin(transfer->due, now + GRACE_S);
        if (now >= transfer->due && transfer->child.handle >= 0)
            give_up_transfer(transfer);
        break;
    }
}

void run_transfers(struct run *run)
{
    cleanup_free struct pollfd *fds = calloc(1 + FDS_OF_CHILD * run->count, sizeof *fds);
    double next = 0;

    for (size_t i = 0; i < run->count; i++)
        run->transfers[i].child = NO_CHILD;
    run->stop |= !fds;
    for (;;) {
        bool is_over = true;
        size_t at = 0;
        for (size_t i = 0; i < run->count; i++) {
            advance(run, &run->transfers[i], clock_seconds());
            is_over &= run->transfers[i].step <= TRANSFER_DONE;
        }
        if (is_over || !fds)
            return;
        fds[at++] = (struct pollfd){.fd = run->wake, .events = POLLIN};
        for (size_t i = 0; i < run->count; i++) { /* poll(2) passes over what is below 0 */
            const struct child *child = &run->transfers[i].child;
            for (int stream = 0; stream < CHILD_STREAMS; stream++)
                fds[at++] = (struct pollfd){.fd = child->streams[stream].fd, .events = POLLIN};
            fds[at++] = (struct pollfd){.fd = child->handle, .events = POLLIN};
        }
        bool is_woken = poll(fds, at, PACE_MS) > 0 && fds[0].revents;
        for (size_t i = 0; i < run->count; i++) {
            if (run->transfers[i].step >= TRANSFER_RUNNING)
                attend(&run->transfers[i]);
        }
        if (is_woken || clock_seconds() >= next) {
            run->look(run->context);
            next = clock_seconds() + PACE_MS / 1000.0;
        }
    }
}
