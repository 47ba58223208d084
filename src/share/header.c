/* SPDX-License-Identifier: MIT */
#include "share/header.h"

#include "share/formats.h"

#include <errno.h>
#include <time.h>

size_t header_size(enum share_format format, unsigned required, unsigned total)
{
    switch (format) {
    case SHARE_CLASSIC:
        return CLASSIC_HEADER_SIZE;
    case SHARE_FEC:
        return fec_header_size(required, total);
    default:
        return CHECKED_HEADER_SIZE;
    }
}

struct share_layout header_plain_layout(const struct share_header *header)
{
    struct share_layout layout = header->layout;

    layout.header_size = header_size(layout.format, layout.required, header->total);
    return layout;
}

void header_write(const struct share_header *header, uint8_t ret[HEADER_SIZE_MAX])
{
    switch (header->layout.format) {
    case SHARE_CLASSIC:
        classic_header_write(header, ret);
        break;
    case SHARE_FEC:
        fec_header_write(header, ret);
        break;
    default:
        checked_header_write(header, ret);
    }
}

int header_read(enum share_format format, const uint8_t *data, size_t size, uint64_t share_size,
                struct share_header *ret)
{
    switch (format) {
    case SHARE_CLASSIC:
        return classic_header_read(data, size, share_size, ret);
    case SHARE_FEC:
        return fec_header_read(data, size, share_size, ret);
    default:
        return checked_header_read(data, size, ret);
    }
}

int64_t header_time(const struct timespec *time)
{
    __extension__ __int128 nanoseconds = (__int128)time->tv_sec * 1000000000 + time->tv_nsec;

    if (nanoseconds < INT64_MIN)
        return INT64_MIN;
    return nanoseconds > INT64_MAX ? INT64_MAX : (int64_t)nanoseconds;
}

bool header_mtime(const struct share_header *header, struct timespec *ret)
{
    int64_t time = header->mtime_ns, second = 1000000000;

    if (header->layout.format != SHARE_CHECKED || time == INT64_MIN || time == INT64_MAX)
        return false;
    *ret =
        (struct timespec){time / second - (time % second < 0), (time % second + second) % second};
    return true;
}
