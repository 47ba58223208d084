/* SPDX-License-Identifier: MIT */
#include "view/history.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* Files of more stripes have no history: it would cost too much memory. */
    STRIPES_MAX = 1 << 20,
};

void history_init(struct history *history)
{
    *history = (struct history){.given = 0};
    pthread_mutex_init(&history->lock, NULL);
}

void history_clear(struct history *history)
{
    pthread_mutex_destroy(&history->lock);
    contest_clear(&history->contest);
    free(history->digests);
}

size_t history_size(const struct history *history)
{
    return history->digests ? history->stripes * sizeof *history->digests : 0;
}

void history_begin(struct history *history, uint64_t stripes, unsigned required, size_t copies)
{
    history->stripes = stripes;
    history->contest.required = required;
    history->contest.copies = copies;
}

void history_add(struct history *history, uint64_t stripe, const uint8_t digest[HASH_SIZE])
{
    atomic_store(&history->begun, true);
    if (!history->digests && history->stripes <= STRIPES_MAX)
        history->digests = calloc(history->stripes, HASH_SIZE);
    if (!history->digests) {
        history->contest.blind = true;
        return;
    }
    history->given += history_digest(history, stripe) == NULL;
    memcpy(history->digests[stripe], digest, HASH_SIZE);
}

const uint8_t *history_digest(const struct history *history, uint64_t stripe)
{
    static const uint8_t none[HASH_SIZE];

    if (!history->digests || memcmp(history->digests[stripe], none, HASH_SIZE) == 0)
        return NULL;
    return history->digests[stripe];
}
