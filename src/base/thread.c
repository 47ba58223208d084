/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

int thread_start(void *(*body)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGPIPE); /* of what it writes itself */
    pthread_attr_init(&attributes);
    pthread_attr_setsigmask_np(&attributes, &all);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attributes, body, argument);
    pthread_attr_destroy(&attributes);
    return -r;
}

unsigned thread_processors(void)
{
    cpu_set_t mine;
    int count = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;

    return count < 1 ? 1 : (unsigned)count;
}
