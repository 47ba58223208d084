/* SPDX-License-Identifier: MIT */
#include "view/look.h"

static void read_header(struct look *look)
{
    while (look->header_size < sizeof look->header) {
        ssize_t n = pread(look->object.fd, look->header + look->header_size,
                          sizeof look->header - look->header_size, (off_t)look->header_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            look->header_size = 0; /* one that cannot be read is lost: the blocks may be good */
        if (n <= 0)
            break;
        look->header_size += (size_t)n;
    }
}

static int ask(const struct tree *tree, const char *path, struct question *question)
{
    struct look *look = (struct look *)question;

    int r = tree_look(tree, path, &look->object);
    if (r == 0 && look->object.fd >= 0)
        read_header(look);
    return r;
}

static void forget(struct question *question)
{
    tree_object_clear(&((struct look *)question)->object);
}

const struct question_kind look_kind = {
    .size = sizeof(struct look),
    .ask = ask,
    .forget = forget,
};

int look_make(struct stores *stores, const char *path, const struct inquiry_enough *enough,
              struct inquiry *ret)
{
    return inquiry_make(stores, path, NULL, &look_kind, enough, ret);
}

struct look *look_answer(const struct inquiry *looks, size_t store)
{
    return (struct look *)looks->questions[store];
}
