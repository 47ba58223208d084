/* SPDX-License-Identifier: MIT */
#include "view/store_space.h"

#include "restore/enough.h"

#include <limits.h>

struct space_question {
    struct question question;
    struct statvfs status;
};

static int ask_space(const struct tree *tree, const char *path, struct question *question)
{
    return tree_statfs(tree, &((struct space_question *)question)->status);
}

static const struct question_kind space_kind = {
    .size = sizeof(struct space_question),
    .ask = ask_space,
};

static fsblkcnt_t least(fsblkcnt_t a, fsblkcnt_t b)
{
    return a < b ? a : b;
}

/* Each store takes a k-th of a file: k times what the smallest one has, in units of 4 KiB. */
static void add_space(struct statvfs *space, const struct statvfs *store, unsigned required)
{
    enum { UNIT = 4096 };
    fsblkcnt_t times = required * (store->f_frsize ? store->f_frsize : store->f_bsize);
    bool first = space->f_bsize == 0;

    *space = (struct statvfs){
        .f_bsize = UNIT,
        .f_frsize = UNIT,
        .f_blocks = least(first ? ~0UL : space->f_blocks, store->f_blocks * times / UNIT),
        .f_bfree = least(first ? ~0UL : space->f_bfree, store->f_bfree * times / UNIT),
        .f_bavail = least(first ? ~0UL : space->f_bavail, store->f_bavail * times / UNIT),
        .f_files = least(first ? ~0UL : space->f_files, store->f_files),
        .f_ffree = least(first ? ~0UL : space->f_ffree, store->f_ffree),
        .f_favail = least(first ? ~0UL : space->f_favail, store->f_favail),
        .f_namemax = least(first ? NAME_MAX : space->f_namemax, store->f_namemax),
    };
}

int store_space(struct stores *stores, unsigned required, struct statvfs *ret)
{
    static const struct inquiry_enough enough = {enough_most, NULL};
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    struct statvfs space = {.f_namemax = NAME_MAX};

    int r = inquiry_make(stores, "", NULL, &space_kind, &enough, &inquiry);
    if (r < 0)
        return r;
    for (size_t i = 0; i < inquiry.list->count; i++) {
        const struct space_question *answer = (struct space_question *)inquiry.questions[i];
        if (inquiry_result(&inquiry, i) == 0)
            add_space(&space, &answer->status, required);
    }
    *ret = space;
    return 0;
}
