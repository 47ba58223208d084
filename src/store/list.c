/* SPDX-License-Identifier: MIT */
#include "store/list.h"

#include "store/pace.h"

#include <string.h>

static size_t size_of(size_t room)
{
    return sizeof(struct store_list) + room * sizeof(struct store *);
}

struct store_list *store_list_new(size_t room)
{
    return calloc(1, size_of(room));
}

struct store_list *store_list_copy(const struct store_list *list)
{
    struct store_list *copy = store_list_new(list->count);

    if (!copy)
        return NULL;
    memcpy(copy, list, size_of(list->count));
    for (size_t i = 0; i < copy->count; i++)
        store_hold(copy->stores[i]);
    return copy;
}

void store_list_free(struct store_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        store_release(list->stores[i]);
    free(list);
}

uint64_t store_list_patience(const struct store_list *list)
{
    uint64_t paces[PACE_STORES];
    size_t count = list->count < PACE_STORES ? list->count : PACE_STORES;

    for (size_t i = 0; i < count; i++)
        paces[i] = store_pace(list->stores[i]);
    return pace_patience(paces, count);
}

int store_list_voter(const struct store_list *list, size_t place)
{
    struct store_voice voice;

    store_voice(list->stores[place], &voice);
    return quorum_voter(&list->quorum, &voice, place);
}

bool store_list_is_empty(const struct store_list *list, size_t place)
{
    struct store_voice voice;

    return store_voice(list->stores[place], &voice) && !voice.has_files &&
           !(list->quorum.no_files && voice.has_names);
}
