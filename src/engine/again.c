/* SPDX-License-Identifier: MIT */
#include "engine/again.h"

#include "base/times.h"
#include "store/question.h"

enum { AT_ONCE = 64 }; /* more would wait for each other until they are late */

struct look_again {
    struct question question;
    struct stat status;
};

static int ask_again(const struct tree *tree, const char *path, struct question *question)
{
    return tree_stat(tree, path, &((struct look_again *)question)->status);
}

static bool is_same(const struct seen *seen, const struct look_again *now)
{
    const struct stat *before = &seen->status, *after = &now->status;
    const int r = now->question.task.state == TASK_ANSWERED ? now->question.result : -ETIMEDOUT;

    if (seen->error < 0 || r < 0)
        return seen->error < 0 && (r == -ENOENT || r == -ENOTDIR);
    return after->st_size == before->st_size && after->st_mode == before->st_mode &&
           times_compare(&after->st_mtim, &before->st_mtim) == 0;
}

static int look_at_some(struct judged items[], size_t count)
{
    static const struct question_kind kind = {.size = sizeof(struct look_again), .ask = ask_again};
    cleanup_round struct round *round = NULL;
    struct question *asked[AT_ONCE];

    int r = round_new(&round);
    for (size_t i = 0; r == 0 && i < count; i++) {
        asked[i] = question_new(&kind, items[i].path, NULL);
        if (!asked[i])
            return -ENOMEM;
        round_put(round, items[i].store, &asked[i]->task);
    }
    if (r < 0)
        return r;
    round_wait_for_all(round);
    for (size_t i = 0; i < count; i++)
        items[i].is_same = is_same(&items[i].seen, (struct look_again *)asked[i]);
    return round_shortage(round);
}

int again_look(struct judged items[], size_t count)
{
    int r = 0;

    for (size_t first = 0; r == 0 && first < count; first += AT_ONCE)
        r = look_at_some(items + first, count - first < AT_ONCE ? count - first : AT_ONCE);
    return r;
}
