/* SPDX-License-Identifier: MIT */
#include "store/voice.h"

#include "base/io.h"
#include "base/shortage.h"
#include "base/times.h"
#include "store/question.h"
#include "trust/leftover.h"

#include <stdio.h>
#include <string.h>

enum {
    HEADERS_MAX = 64,
    NAMES_MAX = 4096,
    MAJORITY = HEADERS_MAX / 2 + 1,
    AT_ONCE = 16, /* a store has no more threads, and what waits for one is late */
};

/* Paths that are to be asked for, in order, from NEXT on. */
struct queue {
    struct names paths;
    size_t next;
};

static bool has_more(const struct queue *queue)
{
    return queue->next < queue->paths.count;
}

struct sampling {
    struct store *store;
    enum share_format format;
    const struct voice_watch *watch;
    struct queue directories, files;
    struct queue others; /* that are not said to be files */
    size_t names;        /* that were looked at */
    size_t headers;      /* intact ones that were found, also of another format */
    struct {
        unsigned shares[256], required[256];
    } counts[SHARE_FORMATS];
    int error; /* of a directory that could not be listed */
    struct store_voice voice;
};

static void forget_steps(struct sampling *sampling)
{
    names_clear(&sampling->directories.paths);
    names_clear(&sampling->others.paths);
    names_clear(&sampling->files.paths);
}

/* One question of the sample, and its answer. */
struct sample_step {
    struct question question;
    struct names names;
    struct stat status;
    struct {
        struct share_header header;
        int result;
    } as[SHARE_FORMATS];
};

static int list_directory(const struct tree *tree, const char *path, struct question *question)
{
    struct names *names = &((struct sample_step *)question)->names;

    int r = tree_list(tree, path, names);
    if (r < 0)
        names_clear(names);
    else
        names_sort_unique(names);
    return r;
}

static void forget_names(struct question *question)
{
    names_clear(&((struct sample_step *)question)->names);
}

static int ask_status(const struct tree *tree, const char *path, struct question *question)
{
    return tree_stat(tree, path, &((struct sample_step *)question)->status);
}

static int read_header(const struct tree *tree, const char *path, struct question *question)
{
    struct sample_step *step = (struct sample_step *)question;
    cleanup_fd int fd = -1;
    uint8_t bytes[HEADER_SIZE_MAX];
    size_t size = 0;

    int r = tree_open_file(tree, path, &step->status, &fd);
    if (r == 0)
        r = io_read(fd, 0, bytes, sizeof bytes, &size);
    for (enum share_format format = 0; format < SHARE_FORMATS_READ; format++)
        step->as[format].result =
            r < 0 ? r
                  : header_read(format, bytes, size, (uint64_t)step->status.st_size,
                                &step->as[format].header);
    return r;
}

/* A kind of question, and what its answer is good for. */
struct step_kind {
    struct question_kind question;
    int (*take)(struct sampling *sampling, const struct sample_step *step);
};

/* Puts a question of that kind for up to MOST of the QUEUE, all at once, and takes the answers in
 * the order of the questions. A shortage of our own says nothing. */
static int ask_next(struct sampling *sampling, const struct step_kind *kind, struct queue *queue,
                    size_t most)
{
    cleanup_round struct round *round = NULL;
    struct question *questions[AT_ONCE];
    size_t count = 0;

    int r = round_new(&round);
    if (r < 0)
        return r;
    while (count < most && has_more(queue)) {
        const char *path = names_get(&queue->paths, queue->next++);
        struct question *question = question_new(&kind->question, path, NULL);
        if (!question)
            return -ENOMEM;
        questions[count++] = question;
        round_put(round, sampling->store, &question->task);
    }
    round_wait_for_all(round);
    sampling->watch->answered(sampling->watch->context);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (questions[i]->task.state != TASK_ANSWERED)
            r = -ETIMEDOUT;
        else if (is_shortage(questions[i]->result))
            r = questions[i]->result;
        else
            r = kind->take(sampling, (struct sample_step *)questions[i]);
    }
    return r;
}

/* Adds what is in a directory to the files, or to what may be one. */
static int take_list(struct sampling *sampling, const struct sample_step *step)
{
    const char *directory = step->question.path;
    int r = step->question.result;

    if (r < 0) { /* but for the root, what cannot be listed is skipped */
        sampling->error = r;
        return *directory ? 0 : r;
    }
    for (size_t i = 0; r == 0 && i < step->names.count && sampling->names < NAMES_MAX; i++) {
        const char *name = names_get(&step->names, i);
        bool is_file = step->names.items[i].kind == S_IFREG;
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) < 0)
            return -ENOMEM;
        if (leftover_is_path(path))
            continue;
        sampling->names++;
        sampling->voice.has_names = true;
        sampling->voice.has_files |= is_file;
        r = names_add(is_file ? &sampling->files.paths : &sampling->others.paths, path);
    }
    return r;
}

static int take_status(struct sampling *sampling, const struct sample_step *step)
{
    const mode_t kind = step->status.st_mode & S_IFMT;

    if (step->question.result < 0)
        return 0;
    sampling->voice.has_files |= kind == S_IFREG;
    if (kind == S_IFREG)
        return names_add(&sampling->files.paths, step->question.path);
    if (kind != S_IFDIR)
        return 0;
    one_mode_note(&sampling->voice.directories, &step->status);
    return names_add(&sampling->directories.paths, step->question.path);
}

static int take_header(struct sampling *sampling, const struct sample_step *step)
{
    const int result = step->as[sampling->format].result;

    if (step->status.st_mode) {
        uint64_t unit = times_granularity(&step->status.st_mtim);
        one_mode_note(&sampling->voice.files, &step->status);
        if (sampling->voice.time_unit == 0 || unit < sampling->voice.time_unit)
            sampling->voice.time_unit = unit;
    }
    sampling->voice.looked_at += result == 0 || result == -EBADMSG || result == -EMEDIUMTYPE;
    sampling->voice.others += result == -EMEDIUMTYPE;
    sampling->headers += result == 0 || result == -EMEDIUMTYPE;
    for (enum share_format format = 0; format < SHARE_FORMATS_READ; format++) {
        const struct share_header *header = &step->as[format].header;
        if (step->as[format].result < 0)
            continue;
        sampling->counts[format].shares[header->index]++;
        sampling->counts[format].required[header->layout.required]++;
        if (formats[header->layout.format]->has_checks)
            sampling->voice.kinds[formats[header->layout.format]->is_sealed]++;
    }
    return 0;
}

/* What most say in each format: of two indices the first, and of two k the larger. */
static void settle_voice(struct sampling *sampling)
{
    struct store_voice *voice = &sampling->voice;

    for (enum share_format format = 0; format < SHARE_FORMATS_READ; format++) {
        const unsigned *shares = sampling->counts[format].shares;
        const unsigned *required = sampling->counts[format].required;
        struct format_voice as = {.share = NO_VOTE};
        unsigned most = 0, most_of_k = 0;
        for (unsigned i = 0; i < 256; i++) {
            if (shares[i] > most) {
                most = shares[i];
                as.share = (int)i;
            }
            if (required[i] > 0 && required[i] >= most_of_k) {
                most_of_k = required[i];
                as.required = i;
            }
        }
        as.agreeing = most < most_of_k ? most : most_of_k;
        voice->as[format] = as;
        if (format != sampling->format)
            continue;
        voice->share = as.share;
        voice->required = as.required;
        voice->alike = most;
        for (unsigned i = 0; i < 256; i++)
            voice->uses[i] = required[i] > 0;
    }
}

/* Returns true if the rest of the sample would change nothing, and each look takes long. */
static bool is_settled(struct sampling *sampling)
{
    settle_voice(sampling);
    return store_is_remote(sampling->store) &&
           (sampling->voice.as[sampling->format].agreeing >= MAJORITY ||
            sampling->voice.others >= MAJORITY);
}

/* Looks further. Returns 1 where there is nothing more to look at. */
static int look_on(struct sampling *sampling)
{
    enum { SIZE = sizeof(struct sample_step) };
    static const struct step_kind list = {{SIZE, list_directory, forget_names, false}, take_list};
    static const struct step_kind kind = {{SIZE, ask_status, NULL, false}, take_status};
    static const struct step_kind header = {{SIZE, read_header, NULL, false}, take_header};
    const size_t wanted = HEADERS_MAX - sampling->headers;

    if (has_more(&sampling->others))
        return ask_next(sampling, &kind, &sampling->others, AT_ONCE);
    if (has_more(&sampling->files))
        return ask_next(sampling, &header, &sampling->files, wanted < AT_ONCE ? wanted : AT_ONCE);
    /* What is at hand need not be listed before it is known to be needed. */
    if (has_more(&sampling->directories) && sampling->names < NAMES_MAX)
        return ask_next(sampling, &list, &sampling->directories,
                        store_is_remote(sampling->store) ? AT_ONCE : 1);
    return 1;
}

int voice_take(struct store *store, enum share_format format, const struct voice_watch *watch,
               struct store_voice *ret)
{
    CLEANUP(forget_steps)
    struct sampling sampling = {.store = store, .format = format, .watch = watch};
    int r = names_add(&sampling.directories.paths, "");

    tree_stay_nearby();
    while (r == 0 && sampling.headers < HEADERS_MAX && !is_settled(&sampling))
        r = look_on(&sampling);
    tree_leave_nearby();
    if (r < 0)
        return r;
    settle_voice(&sampling);
    *ret = sampling.voice;
    /* A store of which no file was seen is not to be taken for an empty one. */
    return sampling.voice.has_files ? 0 : sampling.error;
}

bool voice_is_sealed(const struct store *store)
{
    struct store_voice voice;

    return store_voice(store, &voice) && voice.kinds[true] > voice.kinds[false];
}
