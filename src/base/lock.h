/* SPDX-License-Identifier: MIT */
#pragma once

#include <pthread.h>

static inline pthread_mutex_t *lock_take(pthread_mutex_t *lock)
{
    pthread_mutex_lock(lock);
    return lock;
}

static inline void lock_give(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* A declaration: holds LOCK to the end of the block. */
#define HOLD(lock)                                                                                 \
    __attribute__((cleanup(lock_give), unused)) pthread_mutex_t *held_ = lock_take(lock)
