/* SPDX-License-Identifier: MIT */
#include "store/voice.h"

#include "store/round.h"

#include "base/io.h"
#include "base/shortage.h"
#include "base/times.h"
#include "share/format.h"
#include "tree/tree.h"
#include "trust/leftover.h"

#include <stdio.h>
#include <string.h>

enum {
    HEADERS_MAX = 64,
    NAMES_MAX = 4096,
    MAJORITY = HEADERS_MAX / 2 + 1,
    AT_ONCE = 16, /* a store has no more threads, and what waits for one is late */
};

struct sampling {
    struct store *store;
    enum share_format format;
    const struct voice_watch *watch;
    struct names directories; /* to be listed, in order */
    size_t next;              /* of them */
    struct names others;      /* that are not said to be files: their kind is to be asked */
    size_t next_other;
    struct names files; /* to be looked at, in order */
    size_t next_file;
    size_t names;   /* that were looked at */
    size_t headers; /* intact ones that were found */
    struct {
        unsigned shares[256], required[256];
    } counts[SHARE_FORMATS];
    size_t agreeing; /* of the intact ones, on share and k */
    int error;       /* of a directory that could not be listed */
    struct store_voice voice;
};

static void forget_steps(struct sampling *sampling)
{
    names_clear(&sampling->directories);
    names_clear(&sampling->others);
    names_clear(&sampling->files);
}

/* One question of the sample. */
struct sample_step {
    struct task task;
    enum share_format format;
    char *path;
    struct names names;
    struct stat status;
    struct {
        struct share_header header;
        int result;
    } as[SHARE_FORMATS];
    int result;
};

static void list_directory(struct task *task)
{
    struct sample_step *step = (struct sample_step *)task;

    step->result = tree_list(store_tree(task->store), step->path, &step->names);
    names_sort_unique(&step->names);
}

static void ask_status(struct task *task)
{
    struct sample_step *step = (struct sample_step *)task;

    step->result = tree_stat(store_tree(task->store), step->path, &step->status);
}

static void read_header(struct task *task)
{
    struct sample_step *step = (struct sample_step *)task;
    cleanup_fd int fd = -1;
    uint8_t bytes[HEADER_SIZE_MAX];
    size_t size = 0;

    int r = tree_open_file(store_tree(task->store), step->path, &step->status, &fd);
    if (r == 0)
        r = io_read(fd, 0, bytes, sizeof bytes, &size);
    for (enum share_format format = 0; format < SHARE_FORMATS; format++)
        step->as[format].result =
            r < 0 ? r
                  : header_read(format, bytes, size, (uint64_t)step->status.st_size,
                                &step->as[format].header);
    step->result = step->as[step->format].result;
}

static void drop_step(struct task *task)
{
    struct sample_step *step = (struct sample_step *)task;

    names_clear(&step->names);
    free(step->path);
    free(step);
}

static struct sample_step *step_new(const struct sampling *sampling, const char *path,
                                    void (*run)(struct task *task))
{
    struct sample_step *step = calloc(1, sizeof *step);

    if (!step)
        return NULL;
    step->task.run = run;
    step->task.drop = drop_step;
    step->format = sampling->format;
    step->path = strdup(path);
    if (step->path)
        return step;
    free(step);
    return NULL;
}

/* A kind of question, and what its answer is good for. */
struct step_kind {
    void (*run)(struct task *task);
    int (*take)(struct sampling *sampling, const struct sample_step *step);
};

/* Takes the answers in the order of the questions; a shortage of our own says nothing. */
static int take_answers(struct sampling *sampling, const struct step_kind *kind,
                        struct sample_step *const steps[], const enum task_state states[],
                        size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (states[i] != TASK_ANSWERED)
            r = -ETIMEDOUT;
        else if (is_shortage(steps[i]->result))
            r = steps[i]->result;
        else
            r = kind->take(sampling, steps[i]);
    }
    return r;
}

/* Puts a question of that kind for up to MOST of the PATHS from *NEXT on, all at once. */
static int ask_next(struct sampling *sampling, const struct step_kind *kind,
                    const struct names *paths, size_t *next, size_t most)
{
    cleanup_round struct round *round = NULL;
    struct sample_step *steps[AT_ONCE];
    enum task_state states[AT_ONCE];
    size_t count = 0;

    int r = round_new(&round);
    while (r == 0 && count < most && *next < paths->count) {
        steps[count] = step_new(sampling, names_get(paths, (*next)++), kind->run);
        if (!steps[count])
            return -ENOMEM;
        round_put(round, sampling->store, &steps[count]->task, &states[count]);
        count++;
    }
    if (r < 0)
        return r;
    round_wait_for_all(round);
    sampling->watch->answered(sampling->watch->context);
    return take_answers(sampling, kind, steps, states, count);
}

/* Adds DIRECTORY/NAME to the files, or to what may be one. */
static int sort_in(struct sampling *sampling, const char *directory, const char *name, mode_t kind)
{
    cleanup_free char *path = NULL;

    sampling->names++;
    sampling->voice.has_names = true;
    sampling->voice.has_files |= kind == S_IFREG;
    if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) < 0)
        return -ENOMEM;
    return names_add(kind == S_IFREG ? &sampling->files : &sampling->others, path);
}

static int take_list(struct sampling *sampling, const struct sample_step *step)
{
    int r = 0;

    if (step->result < 0) { /* but for the root, what cannot be listed is skipped */
        sampling->error = step->result;
        return *step->path ? 0 : step->result;
    }
    for (size_t i = 0; r == 0 && i < step->names.count && sampling->names < NAMES_MAX; i++) {
        const char *name = names_get(&step->names, i);
        if (!leftover_is_name(name))
            r = sort_in(sampling, step->path, name, step->names.items[i].kind);
    }
    return r;
}

static int take_status(struct sampling *sampling, const struct sample_step *step)
{
    const mode_t kind = step->status.st_mode & S_IFMT;

    if (step->result < 0)
        return 0;
    sampling->voice.has_files |= kind == S_IFREG;
    if (kind == S_IFREG)
        return names_add(&sampling->files, step->path);
    if (kind != S_IFDIR)
        return 0;
    one_mode_note(&sampling->voice.directories, &step->status);
    return names_add(&sampling->directories, step->path);
}

static int take_header(struct sampling *sampling, const struct sample_step *step)
{
    if (step->status.st_mode) {
        one_mode_note(&sampling->voice.files, &step->status);
        sampling->voice.time_unit =
            times_granularity_in(&step->status.st_mtim, sampling->voice.time_unit);
    }
    if (step->result == 0 || step->result == -EBADMSG || step->result == -EMEDIUMTYPE)
        sampling->voice.looked_at++;
    sampling->voice.others += step->result == -EMEDIUMTYPE;
    sampling->headers += step->result == 0;
    for (enum share_format format = 0; format < SHARE_FORMATS; format++) {
        const struct share_header *header = &step->as[format].header;
        if (step->as[format].result < 0)
            continue;
        sampling->counts[format].shares[header->index]++;
        sampling->counts[format].required[header->layout.required]++;
    }
    return 0;
}

/* What most say in one format: of two indices the first, and of two k the larger. */
static struct format_voice settle_format(const unsigned shares[256], const unsigned required[256])
{
    struct format_voice voice = {.share = NO_VOTE};
    unsigned most = 0, most_of_k = 0;

    for (unsigned i = 0; i < 256; i++) {
        if (shares[i] > most) {
            most = shares[i];
            voice.share = (int)i;
        }
        if (required[i] > 0 && required[i] >= most_of_k) {
            most_of_k = required[i];
            voice.required = i;
        }
    }
    voice.agreeing = most < most_of_k ? most : most_of_k;
    return voice;
}

static void settle_voice(struct sampling *sampling)
{
    struct store_voice *voice = &sampling->voice;
    const struct format_voice *own = &voice->as[sampling->format];
    const unsigned *shares = sampling->counts[sampling->format].shares;
    const unsigned *required = sampling->counts[sampling->format].required;

    for (enum share_format format = 0; format < SHARE_FORMATS; format++)
        voice->as[format] =
            settle_format(sampling->counts[format].shares, sampling->counts[format].required);
    for (unsigned i = 0; i < 256; i++)
        voice->uses[i] = required[i] > 0;
    voice->share = own->share;
    voice->required = own->required;
    voice->alike = own->share < 0 ? 0 : shares[own->share];
    sampling->agreeing = own->agreeing;
}

/* Headers that were found, those of another format included. */
static size_t count_headers(const struct sampling *sampling)
{
    return sampling->headers + sampling->voice.others;
}

/* Returns true if the rest of the sample would change nothing, and each look takes long. */
static bool is_settled(struct sampling *sampling)
{
    settle_voice(sampling);
    return store_is_remote(sampling->store) &&
           (sampling->agreeing >= MAJORITY || sampling->voice.others >= MAJORITY);
}

/* Looks further. Returns 1 where there is nothing more to look at. */
static int look_on(struct sampling *sampling)
{
    static const struct step_kind list = {list_directory, take_list};
    static const struct step_kind kind = {ask_status, take_status};
    static const struct step_kind header = {read_header, take_header};
    const size_t wanted = HEADERS_MAX - count_headers(sampling);

    if (sampling->next_other < sampling->others.count)
        return ask_next(sampling, &kind, &sampling->others, &sampling->next_other, AT_ONCE);
    if (sampling->next_file < sampling->files.count)
        return ask_next(sampling, &header, &sampling->files, &sampling->next_file,
                        wanted < AT_ONCE ? wanted : AT_ONCE);
    /* What is at hand need not be listed before it is known to be needed. */
    if (sampling->next < sampling->directories.count && sampling->names < NAMES_MAX)
        return ask_next(sampling, &list, &sampling->directories, &sampling->next,
                        store_is_remote(sampling->store) ? AT_ONCE : 1);
    return 1;
}

int voice_take(struct store *store, enum share_format format, const struct voice_watch *watch,
               struct store_voice *ret)
{
    CLEANUP(forget_steps)
    struct sampling sampling = {.store = store, .format = format, .watch = watch};
    int r = names_add(&sampling.directories, "");

    tree_stay_nearby();
    while (r == 0 && count_headers(&sampling) < HEADERS_MAX && !is_settled(&sampling))
        r = look_on(&sampling);
    tree_leave_nearby();
    if (r < 0)
        return r;
    settle_voice(&sampling);
    *ret = sampling.voice;
    /* A store of which no file was seen is not to be taken for an empty one. */
    return sampling.voice.has_files ? 0 : sampling.error;
}
