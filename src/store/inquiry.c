/* SPDX-License-Identifier: MIT */
#include "store/inquiry.h"

#include <string.h>

static void run(struct task *task)
{
    struct question *question = (struct question *)task;

    question->result = question->kind->ask(store_tree(task->store), question->path, question);
}

static void drop(struct task *task)
{
    struct question *question = (struct question *)task;

    if (question->result == 0 && question->kind->forget)
        question->kind->forget(question);
    free(question->path);
    free(question->argument);
    free(question);
}

static struct question *question_new(const struct question_kind *kind, const char *path,
                                     const char *argument)
{
    struct question *question = calloc(1, kind->size);

    if (!question)
        return NULL;
    question->task.run = run;
    question->task.drop = drop;
    question->task.heavy = kind->heavy;
    question->kind = kind;
    question->result = -ETIMEDOUT;
    question->path = strdup(path);
    question->argument = argument ? strdup(argument) : NULL;
    if (!question->path || (argument && !question->argument)) {
        drop(&question->task);
        return NULL;
    }
    return question;
}

static int ask_all(struct inquiry *inquiry, const char *path, const char *argument,
                   const struct question_kind *kind)
{
    struct store_list *list = inquiry->list;

    inquiry->questions = calloc(list->count + 1, sizeof(struct question *));
    inquiry->states = calloc(list->count + 1, sizeof *inquiry->states);
    if (!inquiry->questions || !inquiry->states)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct question *question = question_new(kind, path, argument);
        if (!question)
            return -ENOMEM;
        inquiry->questions[i] = question;
        round_put(inquiry->round, list->stores[i], &question->task, &inquiry->states[i]);
    }
    return 0;
}

static void wait_for_enough(struct inquiry *inquiry, const struct inquiry_enough *enough)
{
    struct round_left left;

    do {
        left = round_wait(inquiry->round, store_list_patience(inquiry->list));
        inquiry->pending = left.pending;
    } while (left.pending > left.late ||
             (left.pending > 0 && !enough->is_enough(inquiry, enough->context)));
}

int inquiry_make(struct stores *stores, const char *path, const char *argument,
                 const struct question_kind *kind, const struct inquiry_enough *enough,
                 struct inquiry *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = stores_now(stores, &inquiry.list);
    if (r == 0)
        r = round_new(&inquiry.round);
    if (r == 0)
        r = ask_all(&inquiry, path, argument, kind);
    if (r < 0)
        return r;
    if (enough)
        wait_for_enough(&inquiry, enough);
    else
        inquiry_complete(&inquiry);
    *ret = inquiry;
    inquiry = NO_INQUIRY;
    return 0;
}

void inquiry_complete(struct inquiry *inquiry)
{
    round_wait_for_all(inquiry->round);
    inquiry->pending = 0;
}

int inquiry_result(const struct inquiry *inquiry, size_t store)
{
    switch (inquiry->states[store]) {
    case TASK_ANSWERED:
        return inquiry->questions[store]->result;
    case TASK_MISSED:
        return -ETIMEDOUT;
    default:
        return -EINPROGRESS;
    }
}

void inquiry_clear(struct inquiry *inquiry)
{
    if (inquiry->round)
        round_leave(inquiry->round);
    free(inquiry->states);
    free(inquiry->questions);
    if (inquiry->list)
        store_list_free(inquiry->list);
    *inquiry = NO_INQUIRY;
}
