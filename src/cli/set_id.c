/* SPDX-License-Identifier: MIT */
#include "cli/set_id.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

struct id_text id_text(const uint8_t id[SET_ID_SIZE])
{
    struct id_text ret;

    for (size_t i = 0; i < SET_ID_SIZE; i++)
        snprintf(ret.text + 2 * i, 3, "%02x", id[i]);
    return ret;
}

int set_id_read(const char *what, const char *text, uint8_t ret[SET_ID_SIZE])
{
    const size_t digits = 2 * (size_t)SET_ID_SIZE;

    if (strlen(text) != digits || strspn(text, "0123456789abcdef") != digits)
        return log_as(-EINVAL, "%s %s: give the %zu digits that zfec-fs key show shows", what, text,
                      digits);
    for (size_t i = 0; i < SET_ID_SIZE; i++)
        sscanf(text + 2 * i, "%2hhx", &ret[i]);
    return 0;
}
