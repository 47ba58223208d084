/* SPDX-License-Identifier: MIT */
#include "view/copies.h"

#include "base/log.h"

#include <stdatomic.h>
#include <string.h>

struct copy_file {
    struct task closing;
    struct store *store;
    atomic_uint holders;
    int fd;
};

static int read_fully(int fd, uint64_t offset, uint8_t *data, size_t size, size_t *ret)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = pread(fd, data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret = done;
    return 0;
}

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

static struct copy_file *file_new(struct store *store, int *fd)
{
    struct copy_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    file->closing.run = run_closing;
    file->closing.drop = drop_closing;
    file->store = store_hold(store);
    atomic_init(&file->holders, 1);
    file->fd = steal_fd(fd);
    return file;
}

/* To close a file is to ask its store, which may hang. */
static void file_release(struct copy_file *file)
{
    if (atomic_fetch_sub(&file->holders, 1) == 1)
        task_run_later(file->store, &file->closing);
}

/* Adds the copy that a store answered with. */
static int add(struct copies *copies, const struct share_terms *terms, struct store *store,
               struct look *answer)
{
    struct copy *copy = &copies->items[copies->count];
    uint64_t size = (uint64_t)answer->object.status.st_size;

    *copy = (struct copy){.status = answer->object.status, .facts.size = size, .index = -1};
    copy->file = file_new(store, &answer->object.fd);
    if (!copy->file)
        return -ENOMEM;
    copy->store = store_hold(store);
    copies->count++;
    int r = header_read(terms->format, terms->required, answer->header, answer->header_size, size,
                        &copy->facts.header);
    copy->facts.has_header = r == 0;
    if (r == 0)
        copy->index = copy->facts.header.index;
    return 0;
}

/* What a look at a store came to, for one who wants the file there. */
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

int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret)
{
    cleanup_copies struct copies *copies = NULL;
    const struct store_list *list = looks->list;
    int worst = -ENOENT;

    copies = calloc(1, sizeof *copies + list->count * sizeof(struct copy));
    if (!copies)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        int r = result_of(looks, i);
        if (r == 0) {
            r = add(copies, terms, list->stores[i], look_answer(looks, i));
        } else if (r != -ENOENT && r != -ENOTDIR) {
            worst = r;
            log_once("%s: store %s: %s", path, store_name(list->stores[i]), strerrordesc_np(-r));
        }
        if (r == -ENOMEM)
            return r;
    }
    if (copies->count == 0)
        return worst;
    *ret = steal_pointer(copies);
    return 0;
}

void copies_free(struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++) {
        damage_clear(&copies->items[i].damage);
        file_release(copies->items[i].file);
        store_release(copies->items[i].store);
    }
    free(copies);
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
    size_t done = 0;

    read->result = buffer_take(read->size, &read->block);
    if (read->result == 0)
        read->result =
            read_fully(read->file->fd, read->offset, read->block.data, read->size, &done);
    if (read->result == 0 && done < read->size)
        read->result = -ENODATA;
}

static void drop_read(struct task *task)
{
    struct read_task *read = (struct read_task *)task;

    buffer_give(&read->block);
    file_release(read->file);
    free(read);
}

static struct read_task *read_task_new(const struct block_read *read)
{
    struct read_task *task = calloc(1, sizeof *task);

    if (!task)
        return NULL;
    task->task.run = run_read;
    task->task.drop = drop_read;
    task->file = read->copy->file;
    atomic_fetch_add(&task->file->holders, 1);
    task->offset = read->offset;
    task->size = read->size;
    return task;
}

int copies_read(struct block_read reads[], size_t count)
{
    cleanup_free struct read_task **tasks = calloc(count, sizeof(struct read_task *));
    cleanup_free bool *answered = calloc(count, sizeof(bool));
    cleanup_round struct round *round = NULL;

    if (!tasks || !answered || round_new(&round) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        tasks[i] = read_task_new(&reads[i]);
        if (!tasks[i])
            return -ENOMEM;
        round_put(round, reads[i].copy->store, &tasks[i]->task, &answered[i]);
    }
    round_wait(round);
    for (size_t i = 0; i < count; i++) {
        reads[i].result = answered[i] ? tasks[i]->result : -ETIMEDOUT;
        if (reads[i].result == 0) {
            reads[i].block = tasks[i]->block;
            tasks[i]->block = NO_BUFFER;
        }
    }
    return 0;
}

int copy_read_now(const struct copy *copy, uint64_t offset, size_t size, uint8_t *data)
{
    size_t done = 0;

    if (store_is_remote(copy->store))
        return -EAGAIN;
    int r = read_fully(copy->file->fd, offset, data, size, &done);
    return r == 0 && done < size ? -ENODATA : r;
}
