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

void copy_facts_read(const struct share_terms *terms, const struct look *look,
                     struct copy_facts *ret)
{
    *ret = (struct copy_facts){.size = (uint64_t)look->object.status.st_size};
    ret->has_header = header_read(terms->format, terms->required, look->header, look->header_size,
                                  ret->size, &ret->header) == 0;
}

/* Adds the copy that a store answered with. */
static int add(struct copies *copies, const struct share_terms *terms, struct store *store,
               struct look *answer)
{
    struct copy *copy = &copies->items[copies->count];

    *copy = (struct copy){.status = answer->object.status, .role = COPY_USELESS, .index = -1};
    copy->file = file_new(store, &answer->object.fd);
    if (!copy->file)
        return -ENOMEM;
    copy->store = store_hold(store);
    copies->count++;
    copy_facts_read(terms, answer, &copy->facts);
    if (copy->facts.has_header) {
        copy->index = copy->facts.header.index;
        store_note_share(store, copy->index);
    }
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

static bool has(const struct copies *copies, const struct store *store)
{
    for (size_t i = 0; i < copies->count; i++) {
        if (copies->items[i].store == store)
            return true;
    }
    return false;
}

/* Adds what stores have answered. Returns -ENOMEM, or the last error of a store, or -ENOENT. */
static int add_answers(struct copies *copies, const struct inquiry *looks,
                       const struct share_terms *terms, const char *path)
{
    int worst = -ENOENT;

    for (size_t i = 0; i < looks->list->count; i++) {
        struct store *store = looks->list->stores[i];
        int r = has(copies, store) ? -EEXIST : result_of(looks, i);
        if (r == 0) {
            r = add(copies, terms, store, look_answer(looks, i));
        } else if (r != -EEXIST && r != -ENOENT && r != -ENOTDIR && r != -EINPROGRESS) {
            worst = r;
            log_once("%s: store %s: %s", path, store_name(store), strerrordesc_np(-r));
        }
        if (r == -ENOMEM)
            return r;
    }
    return worst;
}

int copies_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
               struct copies **ret)
{
    cleanup_copies struct copies *copies = NULL;
    uint64_t patience = store_list_patience(looks->list);

    copies = calloc(1, sizeof *copies + looks->list->count * sizeof(struct copy));
    if (!copies)
        return -ENOMEM;
    copies->room = looks->list->count;
    int r = add_answers(copies, looks, terms, path);
    if (r == -ENOMEM || copies->count == 0)
        return r;
    for (size_t i = 0; i < copies->count; i++)
        copies->items[i].slow = store_pace(copies->items[i].store) > patience;
    *ret = steal_pointer(copies);
    return 0;
}

int copies_add_late(struct copies *copies, struct inquiry *looks, const struct share_terms *terms,
                    const char *path)
{
    size_t before = copies->count;

    int r = add_answers(copies, looks, terms, path);
    for (size_t i = before; i < copies->count; i++)
        copies->items[i].slow = true;
    return r == -ENOMEM ? r : 0;
}

void copies_free(struct copies *copies)
{
    copies_close_files(copies);
    for (size_t i = 0; i < copies->count; i++)
        damage_clear(&copies->items[i].damage);
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

int copy_ask(struct round *round, const struct copy *copy, uint64_t offset, size_t size,
             struct block_read *ret)
{
    struct read_task *task = calloc(1, sizeof *task);

    if (!task)
        return -ENOMEM;
    task->task.run = run_read;
    task->task.drop = drop_read;
    task->file = copy->file;
    atomic_fetch_add(&task->file->holders, 1);
    task->offset = offset;
    task->size = size;
    ret->task = task;
    round_put(round, copy->store, &task->task, &ret->state);
    return 0;
}

int block_read_take(struct block_read *read, struct buffer *ret)
{
    if (read->state != TASK_ANSWERED)
        return -ETIMEDOUT;
    if (read->task->result < 0)
        return read->task->result;
    *ret = read->task->block;
    read->task->block = NO_BUFFER;
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
