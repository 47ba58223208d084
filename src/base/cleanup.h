/* SPDX-License-Identifier: MIT */
/*
 * Ownership on the declaration: a variable marked cleanup_... gives back what it holds when it
 * goes out of scope, unless its value was handed on with steal_...
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Defines cleanup_by_FUNCTION, to be used as CLEANUP(cleanup_by_FUNCTION) on a TYPE. */
#define DEFINE_CLEANUP(type, function)                                                             \
    static inline void cleanup_by_##function(type *value)                                          \
    {                                                                                              \
        if (*value)                                                                                \
            function(*value);                                                                      \
    }

static inline void cleanup_free_value(void *value)
{
    free(*(void **)value);
}

/* Leaves errno as it was, so that a function may return -errno past it. */
static inline void cleanup_close_fd(int *fd)
{
    if (*fd >= 0) {
        int kept = errno;
        close(*fd);
        errno = kept;
    }
}

DEFINE_CLEANUP(DIR *, closedir)

#define cleanup_free CLEANUP(cleanup_free_value)
#define cleanup_fd   CLEANUP(cleanup_close_fd)
#define cleanup_dir  CLEANUP(cleanup_by_closedir)

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#define steal_pointer(pointer)                                                                     \
    __extension__({                                                                                \
        __typeof__(pointer) *held_ = &(pointer);                                                   \
        __typeof__(pointer) stolen_ = *held_;                                                      \
        *held_ = NULL;                                                                             \
        stolen_;                                                                                   \
    })
