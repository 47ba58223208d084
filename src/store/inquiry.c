/* SPDX-License-Identifier: MIT */
#include "store/inquiry.h"

int inquiry_make(struct stores *stores, const char *path, const char *argument,
                 const struct question_kind *kind, const struct inquiry_enough *enough,
                 struct inquiry *ret)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    struct round_left left;

    int r = stores_now(stores, &inquiry.list);
    if (r == 0)
        r = round_new(&inquiry.round);
    if (r < 0)
        return r;
    size_t count = inquiry.list->count;
    inquiry.questions = calloc(count + 1, sizeof(struct question *));
    if (!inquiry.questions)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct question *question = question_new(kind, path, argument);
        if (!question)
            return -ENOMEM;
        inquiry.questions[i] = question;
        round_put(inquiry.round, inquiry.list->stores[i], &question->task);
    }
    if (!enough)
        inquiry_complete(&inquiry);
    else
        do {
            left = round_wait(inquiry.round, store_list_patience(inquiry.list));
            inquiry.pending = left.pending;
        } while (left.pending > left.late ||
                 (left.pending > 0 && !enough->is_enough(&inquiry, enough->context)));
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
    switch (inquiry->questions[store]->task.state) {
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
    free(inquiry->questions);
    if (inquiry->list)
        store_list_free(inquiry->list);
    *inquiry = NO_INQUIRY;
}
