/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <stdbool.h>

/*
 * Returns true if ERROR (negative errno) is a want of this process or machine (descriptors, memory,
 * threads), or -ECANCELED because the run is to stop. Neither says anything of what was asked for
 * (rule 8 of docs/design.md).
 */
static inline bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EAGAIN ||
           error == -ECANCELED;
}

/*
 * Returns true if ERROR does not tell what is there: a shortage, no answer in time, or that this
 * user may not look. What cannot be read for that is not lost.
 */
static inline bool is_no_verdict(int error)
{
    return is_shortage(error) || error == -ETIMEDOUT || error == -EACCES || error == -EPERM;
}
