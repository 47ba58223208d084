/* SPDX-License-Identifier: MIT */
#include "store/question.h"

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

struct question *question_new(const struct question_kind *kind, const char *path,
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
