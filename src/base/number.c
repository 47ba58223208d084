/* SPDX-License-Identifier: MIT */
#include "base/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int number_read(const char *text, unsigned long least, unsigned long most, unsigned long *ret,
                const char **end)
{
    char *stop;

    errno = 0;
    unsigned long number = strtoul(text, &stop, 10);
    if (*text < '0' || *text > '9' || errno || number < least || number > most)
        return -EINVAL;
    *ret = number;
    *end = stop;
    return 0;
}

int number_read_share(const char *text, unsigned *ret, const char **end)
{
    if (strspn(text, "0123456789abcdef") < 2)
        return -EINVAL;
    sscanf(text, "%2x", ret);
    *end = text + 2;
    return 0;
}

int number_read_part(const char *text, double *ret)
{
    char *end;
    double part = strtod(text, &end);

    if (*end == '%') {
        part /= 100;
        end++;
    }
    if (*text < '0' || *text > '9' || *end || !(part > 0 && part <= 1))
        return -EINVAL;
    *ret = part;
    return 0;
}
