/* SPDX-License-Identifier: MIT */
#include "restore/look.h"

#include "base/io.h"
#include "base/shortage.h"

/* A header that cannot be read is lost: the blocks may be good. A shortage, or no answer in time,
 * says nothing of it. */
static void read_header(struct look *look)
{
    int r = io_read(look->object.fd, 0, look->header, sizeof look->header, &look->header_size);

    if (r < 0)
        look->header_size = 0;
    if (is_shortage(r) || r == -ETIMEDOUT)
        look->object.open_error = r;
}

int look_ask(const struct tree *tree, const char *path, struct question *question)
{
    struct look *look = (struct look *)question;

    int r = tree_look(tree, path, &look->object);
    if (r == 0 && look->object.fd >= 0)
        read_header(look);
    return r;
}

void look_forget(struct question *question)
{
    tree_object_clear(&((struct look *)question)->object);
}

const struct question_kind look_kind = {
    .size = sizeof(struct look),
    .ask = look_ask,
    .forget = look_forget,
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
