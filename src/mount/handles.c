/* SPDX-License-Identifier: MIT */
#include "mount/handles.h"

void handles_init(struct handles *handles)
{
    pthread_mutex_init(&handles->lock, NULL);
    handles->first = NULL;
}

struct handle *handle_new(struct handles *handles)
{
    struct handle *handle = calloc(1, sizeof *handle);

    if (!handle)
        return NULL;
    pthread_mutex_lock(&handles->lock);
    handle->next = handles->first;
    if (handle->next)
        handle->next->previous = handle;
    handles->first = handle;
    pthread_mutex_unlock(&handles->lock);
    return handle;
}

void handle_close(struct handles *handles, struct handle *handle)
{
    pthread_mutex_lock(&handles->lock);
    if (handle->next)
        handle->next->previous = handle->previous;
    if (handle->previous)
        handle->previous->next = handle->next;
    else
        handles->first = handle->next;
    pthread_mutex_unlock(&handles->lock);
    if (handle->file)
        view_close(handle->file);
    names_clear(&handle->names);
    free(handle);
}

void handles_clear(struct handles *handles)
{
    while (handles->first)
        handle_close(handles, handles->first);
    pthread_mutex_destroy(&handles->lock);
}
