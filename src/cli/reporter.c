/* SPDX-License-Identifier: MIT */
#include "cli/reporter.h"

#include "base/log.h"
#include "base/thread.h"
#include "view/report.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    struct stores *stores;
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void log_stores(void)
{
    cleanup_free char *text = NULL;
    char *rest = NULL;

    if (!watched.stores || report_stores(watched.stores, &text) < 0)
        return;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        log_warning("%s", line);
}

static void *wait_for_signals(void *opaque)
{
    sigset_t asked;
    int number;

    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    while (sigwait(&asked, &number) == 0) {
        pthread_mutex_lock(&watched.lock);
        log_stores();
        pthread_mutex_unlock(&watched.lock);
    }
    return NULL;
}

void reporter_start(void)
{
    sigset_t asked;

    /* No thread takes the signal but the one that waits for it. */
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    thread_start(wait_for_signals, NULL);
}

void reporter_watch(struct stores *stores)
{
    pthread_mutex_lock(&watched.lock);
    watched.stores = stores;
    pthread_mutex_unlock(&watched.lock);
}
