/* SPDX-License-Identifier: MIT */
#include "store/list.h"

#include "store/pace.h"

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
