/* SPDX-License-Identifier: MIT */
#include "restore/look.h"

#include "base/io.h"
#include "base/shortage.h"
#include "restore/spelled_link.h"

int look_ask(const struct tree *tree, const char *path, struct question *question)
{
    struct look *look = (struct look *)question;

    int r = tree_look(tree, path, &look->object);
    if (r == 0 && spelled_link_is(path, &look->object)) {
        tree_object_clear(&look->object);
        r = -ENOENT;
    } else if (r == -ENOENT) {
        r = spelled_link_look(tree, path, &look->object);
    }
    if (r < 0 || look->object.fd < 0)
        return r;
    uint64_t size = (uint64_t)look->object.status.st_size;
    size_t wanted = size < sizeof look->start ? (size_t)size : sizeof look->start;
    r = io_read(look->object.fd, 0, look->start, wanted, &look->start_size);
    /* A header that cannot be read is lost: the blocks may be good. A shortage, or no answer in
     * time, says nothing of it. */
    if (r < 0)
        look->start_size = 0;
    if (is_shortage(r) || r == -ETIMEDOUT)
        look->object.open_error = r;
    return 0;
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

struct look *look_answer(const struct inquiry *looks, size_t store)
{
    return (struct look *)looks->questions[store];
}

struct ballot look_ballot(const struct inquiry *looks, const struct share_terms *terms,
                          size_t store, struct copy_facts *ret)
{
    const struct look *look = look_answer(looks, store);
    const struct stat *status = &look->object.status;
    struct store *from = looks->list->stores[store];
    struct store_voice voice;

    store_voice(from, &voice);
    struct ballot ballot = {
        .cast = true,
        .voter = quorum_voter(&looks->list->quorum, &voice, store),
        .status = *status,
        .target = look->object.target,
        .untimed = S_ISDIR(status->st_mode) && store_is_of_rclone(from),
        .one_mode_only = store_voice_keeps_no_modes(&voice, status),
        .made_mode = store_voice_keeps_no_modes(&voice, status) && store_is_of_rclone(from),
    };
    struct copy_facts facts = {
        .size = (uint64_t)status->st_size,
        .time_unit = voice.time_unit,
        .unconfirmed = terms->unconfirmed,
    };
    size_t size = look->start_size < HEADER_SIZE_MAX ? look->start_size : HEADER_SIZE_MAX;
    int r = header_read(terms->format, look->start, size, facts.size, &facts.header);
    facts.has_header = r == 0;
    facts.other_format = r == -EMEDIUMTYPE;
    if (!formats[terms->format]->has_checks) {
        facts.header.mtime_ns = header_time(&status->st_mtim);
        facts.misplaced =
            facts.has_header && ballot.voter >= 0 && ballot.voter != facts.header.index;
    }
    ballot.has_header = S_ISREG(status->st_mode) && facts.has_header && !facts.misplaced;
    *ret = facts;
    return ballot;
}
