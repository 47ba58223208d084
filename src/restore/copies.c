/* SPDX-License-Identifier: MIT */
#include "restore/copies.h"

#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/shortage.h"
#include "base/times.h"

#include <stdatomic.h>
#include <string.h>

struct copy_file {
    struct task closing;
    struct store *store;
    atomic_uint holders;
    int fd;
    bool watched;       /* in a local store, which tells when a file changes: */
    struct stat opened; /* as it was */
    size_t start_size;  /* bytes at its start that were read then */
    uint8_t start[];
};

static void run_closing(struct task *task)
{
    close(((struct copy_file *)task)->fd);
}

static void drop_closing(struct task *task)
{
    struct copy_file *file = (struct copy_file *)task;

    store_release(file->store);
    free(file);
}

/* Closing a file asks its store, which may hang. */
static void file_release(struct copy_file *file)
{
    if (atomic_fetch_sub(&file->holders, 1) == 1)
        task_run_later(file->store, &file->closing);
}

/*
 * Returns true if the file may have been written to since it was opened. To replace or link it
 * changes its ctime, too, but also the number of its names.
 */
static bool is_changed(const struct copy_file *file)
{
    struct stat now;

    return file->watched && (fstat(file->fd, &now) < 0 || now.st_size != file->opened.st_size ||
                             times_compare(&now.st_mtim, &file->opened.st_mtim) != 0 ||
                             (times_compare(&now.st_ctim, &file->opened.st_ctim) != 0 &&
                              now.st_nlink == file->opened.st_nlink));
}

static int read_exactly(const struct copy_file *file, uint64_t offset, size_t size, uint8_t *data)
{
    size_t done = 0;

    if (offset < file->start_size && size <= file->start_size - offset) {
        memcpy(data, file->start + offset, size);
        return 0;
    }
    int r = io_read(file->fd, offset, data, size, &done);
    return r == 0 && done < size ? -ENODATA : r;
}

static int read_block(const struct copy_file *file, uint64_t offset, size_t size, uint8_t *data)
{
    int r = read_exactly(file, offset, size, data);

    if (r == 0 && is_changed(file))
        return -ESTALE;
    if (r == 0)
        store_note_read(file->store);
    return r;
}

static int open_copy(const struct inquiry *looks, const struct share_terms *terms, size_t place,
                     struct copy_facts *facts, struct copy *ret)
{
    int r = inquiry_result(looks, place);

    if (r < 0)
        return r;
    struct store *store = looks->list->stores[place];
    struct look *look = look_answer(looks, place);
    struct tree_object *object = &look->object;
    if (!S_ISREG(object->status.st_mode))
        return -ENOENT;
    if (object->open_error < 0)
        return object->open_error;
    struct copy_file *file = malloc(sizeof *file + look->start_size);
    if (!file)
        return -ENOMEM;
    *file = (struct copy_file){
        .closing = {.run = run_closing, .drop = drop_closing},
        .store = store_hold(store),
        .holders = 1,
        .fd = steal_fd(&object->fd),
        .watched = !store_is_remote(store),
        .opened = object->status,
        .start_size = look->start_size,
    };
    memcpy(file->start, look->start, look->start_size);
    *ret = (struct copy){
        .store = store_hold(store),
        .file = file,
        .ballot = look_ballot(looks, terms, place, facts),
        .facts = facts,
        .role = COPY_USELESS,
        .index = -1,
        .trusted = true,
    };
    if (facts->has_header)
        ret->index = facts->header.index;
    return 0;
}

static bool has(const struct share_set *set, const struct store *store)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->copies[i].store == store)
            return true;
    }
    return false;
}

int copies_add(struct share_set *set, const struct inquiry *looks)
{
    int worst = -ENOENT;

    for (size_t i = 0; i < looks->list->count; i++) {
        struct store *store = looks->list->stores[i];
        if (has(set, store))
            continue;
        int r = open_copy(looks, &set->terms, i, &set->facts[set->count], &set->copies[set->count]);
        set->count += r == 0;
        if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
            set->denied += r == -EACCES || r == -EPERM;
            set->unread = is_no_verdict(r) ? r : set->unread;
            log_once("%s: store %s: %s", log_path(set->path), store_name(store),
                     strerrordesc_np(-r));
        }
        if (is_shortage(r))
            return r;
    }
    return worst;
}

void copies_set_roles(struct share_set *set, size_t first)
{
    for (size_t i = first; i < set->count; i++) {
        struct copy *copy = &set->copies[i];
        copy->role = version_role(copy->facts, &set->version.header);
    }
}

int copies_wait_for_late(struct share_set *set)
{
    struct version version;

    HOLD(&set->late_lock);
    if (!set->late.list)
        return 0;
    inquiry_complete(&set->late);
    pthread_mutex_lock(&set->lock);
    size_t before = set->count;
    int r = copies_add(set, &set->late);
    for (size_t i = before; i < set->count; i++) {
        set->copies[i].ballot.slow = true;
        set->copies[i].trusted = !set->trust.contested;
    }
    version_settle_times(set->facts, set->count, before);
    /* The version stays: that it is right was settled. */
    if (!is_shortage(r) && version_choose(&set->quorum, set->facts, set->count, 0, &version) == 0 &&
        version_is_same(&version.header, &set->version.header))
        copies_set_roles(set, before);
    set->partial = false;
    pthread_mutex_unlock(&set->lock);
    inquiry_clear(&set->late);
    return is_shortage(r) ? r : 0;
}

void copy_close(struct copy *copy)
{
    if (!copy->file)
        return;
    file_release(steal_pointer(copy->file));
    store_release(steal_pointer(copy->store));
}

void copy_take_file(struct copy *copy, struct copy *fresh)
{
    copy->file = steal_pointer(fresh->file);
    copy->store = steal_pointer(fresh->store);
}

struct read_task {
    struct task task;
    struct copy_file *file;
    uint64_t offset;
    size_t size;
    struct buffer block;
    int result;
};

static void run_read(struct task *task)
{
    struct read_task *read = (struct read_task *)task;

    read->result = buffer_take(read->size, &read->block);
    if (read->result == 0)
        read->result = read_block(read->file, read->offset, read->size, read->block.data);
}

static void drop_read(struct task *task)
{
    struct read_task *read = (struct read_task *)task;

    buffer_give(&read->block);
    file_release(read->file);
    free(read);
}

int copy_ask(struct round *round, const struct copy *copy, uint64_t offset, size_t size,
             struct task **ret)
{
    struct read_task *read = malloc(sizeof *read);

    if (!read)
        return -ENOMEM;
    *read = (struct read_task){
        .task = {.run = run_read, .drop = drop_read},
        .file = copy->file,
        .offset = offset,
        .size = size,
    };
    atomic_fetch_add(&read->file->holders, 1);
    *ret = &read->task;
    round_put(round, copy->store, *ret);
    return 0;
}

int block_read_take(struct task *task, struct buffer *ret)
{
    struct read_task *read = (struct read_task *)task;

    if (task->state != TASK_ANSWERED)
        return -ETIMEDOUT;
    if (read->result < 0)
        return read->result;
    *ret = read->block;
    read->block = NO_BUFFER;
    return 0;
}

int copy_read(const struct copy *copy, uint64_t offset, size_t size, struct buffer *ret)
{
    cleanup_round struct round *round = NULL;
    struct task *task = NULL;

    int r = round_new(&round);
    if (r < 0)
        return r;
    r = copy_ask(round, copy, offset, size, &task);
    if (r < 0)
        return r;
    round_wait_for_all(round);
    return block_read_take(task, ret);
}

int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data)
{
    if (store_is_remote(copy->store))
        return -EAGAIN;
    return read_block(copy->file, offset, size, data);
}

int copy_read_digest(const struct copy *copy, uint64_t offset, uint8_t ret[HASH_SIZE])
{
    if (store_is_remote(copy->store))
        return -EAGAIN;
    return read_exactly(copy->file, offset, HASH_SIZE, ret);
}
