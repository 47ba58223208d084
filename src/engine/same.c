/* SPDX-License-Identifier: MIT */
#include "engine/same.h"

#include "base/buffer.h"

#include <string.h>

static int read_stripe(struct source_file *file, uint64_t stripe, uint8_t *data)
{
    int r = file->operations->read_stripe(file, stripe, data);

    if (r != SOURCE_ZEROS)
        return r;
    memset(data, 0, layout_stripe_size(&file->header.layout, stripe));
    return 0;
}

int same_content(struct source_file *a, struct source_file *b, const struct progress *progress)
{
    const struct share_layout *layout = &a->header.layout;
    cleanup_buffer struct buffer left = NO_BUFFER, right = NO_BUFFER;
    int r = 0;

    if (layout->source_size == 0)
        return 1;
    size_t room = layout_payload_size(layout, 0) * layout->required;
    r = buffer_take(room, &left);
    if (r == 0)
        r = buffer_take(room, &right);
    for (uint64_t stripe = 0; r == 0 && stripe < layout_stripes(layout); stripe++) {
        if (atomic_load(&progress->stop))
            return -ECANCELED;
        r = read_stripe(a, stripe, left.data);
        if (r == 0)
            r = read_stripe(b, stripe, right.data);
        if (r == 0 && memcmp(left.data, right.data, layout_stripe_size(layout, stripe)) != 0)
            return 0;
    }
    return r < 0 ? r : 1;
}
