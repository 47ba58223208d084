/* SPDX-License-Identifier: MIT */
#include "view/inquiry.h"

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
    inquiry->answered = calloc(list->count + 1, sizeof(bool));
    if (!inquiry->questions || !inquiry->answered)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct question *question = question_new(kind, path, argument);
        if (!question)
            return -ENOMEM;
        inquiry->questions[i] = question;
        round_put(inquiry->round, list->stores[i], &question->task, &inquiry->answered[i]);
    }
    round_wait(inquiry->round);
    return 0;
}

int inquiry_make(struct stores *stores, const char *path, const char *argument,
                 const struct question_kind *kind, struct inquiry *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;

    int r = stores_now(stores, &inquiry.list);
    if (r == 0)
        r = round_new(&inquiry.round);
    if (r == 0)
        r = ask_all(&inquiry, path, argument, kind);
    if (r < 0)
        return r;
    *ret = inquiry;
    inquiry = NO_INQUIRY;
    return 0;
}

int inquiry_result(const struct inquiry *inquiry, size_t store)
{
    return inquiry->answered[store] ? inquiry->questions[store]->result : -ETIMEDOUT;
}

void inquiry_clear(struct inquiry *inquiry)
{
    if (inquiry->round)
        round_leave(inquiry->round);
    free(inquiry->answered);
    free(inquiry->questions);
    if (inquiry->list)
        store_list_free(inquiry->list);
    *inquiry = NO_INQUIRY;
}
