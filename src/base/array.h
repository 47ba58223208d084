/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How many elements an array has; not for pointers. */
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/*
 * Doubles *ARRAY, a pointer to *ROOM elements, until it has room for NEEDED. Returns 0 or -ENOMEM.
 */
static inline int array_grow(void *array, size_t element, size_t needed, size_t *room)
{
    size_t wider = *room ? *room : 64;
    void *held, *grown; /* whatever type its elements are of */

    if (needed <= *room)
        return 0;
    while (wider < needed)
        wider *= 2;
    memcpy(&held, array, sizeof held);
    grown = reallocarray(held, wider, element);
    if (!grown)
        return -ENOMEM;
    memcpy(array, &grown, sizeof grown);
    *room = wider;
    return 0;
}
