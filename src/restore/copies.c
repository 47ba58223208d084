/* SPDX-License-Identifier: MIT */
#include "restore/copies.h"

#include "base/io.h"
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

static struct copy_file *file_new(struct store *store, const struct stat *status, int *fd)
{
    struct copy_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    file->closing.run = run_closing;
    file->closing.drop = drop_closing;
    file->store = store_hold(store);
    atomic_init(&file->holders, 1);
    file->fd = steal_fd(fd);
    file->watched = !store_is_remote(store);
    file->opened = *status;
    return file;
}

/* To close a file is to ask its store, which may hang. */
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

    int r = io_read(file->fd, offset, data, size, &done);
    if (r == 0 && is_changed(file))
        return -ESTALE;
    return r == 0 && done < size ? -ENODATA : r;
}

/* Adds the copy that store number PLACE answered with. */
static int add(struct copies *copies, const struct share_terms *terms, const struct inquiry *looks,
               size_t place)
{
    struct copy *copy = &copies->items[copies->count];
    struct store *store = looks->list->stores[place];
    struct look *answer = look_answer(looks, place);

    *copy = (struct copy){
        .facts = &copies->facts[copies->count],
        .role = COPY_USELESS,
        .index = -1,
        .trusted = true,
        .file = file_new(store, &answer->object.status, &answer->object.fd),
    };
    if (!copy->file)
        return -ENOMEM;
    copy->store = store_hold(store);
    copies->count++;
    copy->ballot = look_ballot(looks, terms, place, copy->facts);
    if (copy->facts->has_header)
        copy->index = copy->facts->header.index;
    return 0;
}

/* Returns what a look at a store came to, if the file there is wanted. */
static int result_of(const struct inquiry *looks, size_t store)
{
    int r = inquiry_result(looks, store);

    if (r < 0)
        return r;
    const struct tree_object *object = &look_answer(looks, store)->object;
    if (!S_ISREG(object->status.st_mode))
        return -ENOENT;
    return object->open_error;
}

static bool has(const struct copies *copies, const struct store *store)
{
    for (size_t i = 0; i < copies->count; i++) {
        if (copies->items[i].store == store)
            return true;
    }
    return false;
}

/* Adds what stores have answered. Returns a shortage, or the last error of a store, or -ENOENT. */
static int add_answers(struct copies *copies, const struct inquiry *looks,
                       const struct share_terms *terms, const char *path)
{
    int worst = -ENOENT;

    for (size_t i = 0; i < looks->list->count; i++) {
        struct store *store = looks->list->stores[i];
        int r = has(copies, store) ? -EEXIST : result_of(looks, i);
        if (r == 0) {
            r = add(copies, terms, looks, i);
        } else if (r != -EEXIST && r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
            copies->denied += r == -EACCES || r == -EPERM;
            copies->unread = is_no_verdict(r) ? r : copies->unread;
            log_once("%s: store %s: %s", log_path(path), store_name(store), strerrordesc_np(-r));
        }
        if (is_shortage(r))
            return r;
    }
    return worst;
}

int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret)
{
    cleanup_copies struct copies *copies = NULL;
    uint64_t patience = store_list_patience(looks->list);
    size_t room = looks->list->count;

    copies = calloc(1, sizeof *copies + room * sizeof(struct copy));
    if (!copies)
        return -ENOMEM;
    copies->room = room;
    copies->facts = calloc(room + 1, sizeof *copies->facts);
    if (!copies->facts)
        return -ENOMEM;
    int r = add_answers(copies, looks, terms, path);
    if (is_shortage(r) || copies->count == 0)
        return r;
    for (size_t i = 0; i < copies->count; i++)
        copies->items[i].ballot.slow = store_pace(copies->items[i].store) > patience;
    *ret = steal_pointer(copies);
    return 0;
}

int copies_add_late(struct copies *copies, const struct inquiry *looks,
                    const struct share_terms *terms, const char *path)
{
    size_t before = copies->count;

    int r = add_answers(copies, looks, terms, path);
    for (size_t i = before; i < copies->count; i++)
        copies->items[i].ballot.slow = true;
    return is_shortage(r) ? r : 0;
}

void copies_free(struct copies *copies)
{
    copies_close_files(copies);
    for (size_t i = 0; i < copies->count; i++)
        damage_clear(&copies->items[i].damage);
    free(copies->facts);
    free(copies);
}

void copies_close_files(struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++) {
        struct copy *copy = &copies->items[i];
        if (!copy->file)
            continue;
        file_release(steal_pointer(copy->file));
        store_release(steal_pointer(copy->store));
    }
}

void copies_take_files(struct copies *copies, struct copies *fresh)
{
    for (size_t i = 0; i < copies->count; i++) {
        copies->items[i].file = steal_pointer(fresh->items[i].file);
        copies->items[i].store = steal_pointer(fresh->items[i].store);
    }
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
        read->result = read_exactly(read->file, read->offset, read->size, read->block.data);
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
    struct read_task *read = calloc(1, sizeof *read);

    if (!read)
        return -ENOMEM;
    read->task.run = run_read;
    read->task.drop = drop_read;
    read->file = copy->file;
    atomic_fetch_add(&read->file->holders, 1);
    read->offset = offset;
    read->size = size;
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
    struct task *task;

    int r = round_new(&round);
    if (r == 0)
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
    return read_exactly(copy->file, offset, size, data);
}
