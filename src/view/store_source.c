/* SPDX-License-Identifier: MIT */
#include "view/store_source.h"

#include "tree/temporary.h"
#include "view/attributes.h"
#include "view/enough.h"
#include "view/report.h"
#include "view/share_set.h"
#include "view/survey.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct store_source {
    struct source source;
    struct share_terms terms;
    struct stores *stores;
    atomic_uint required; /* k, of the file that was looked at last */
    atomic_uint least;    /* the smallest k of all that were; 0: none was */
};

/* How many stores are waited for, before a question is put. */
struct asking {
    struct enough terms;
    struct inquiry_enough enough;
    const struct inquiry_enough *argument; /* for inquiry_make */
};

struct restored_file {
    struct source_file file;
    struct share_set *shares;
};

static void store_source_free(struct source *opaque)
{
    struct store_source *source = (struct store_source *)opaque;

    stores_close(source->stores);
    free(source);
}

/* Prepares for a question, whose answers IS_ENOUGH judges. */
static void prepare(struct store_source *source, struct asking *asking,
                    bool (*is_enough)(const struct inquiry *inquiry, const void *context))
{
    asking->terms = (struct enough){&source->terms, atomic_load(&source->least)};
    asking->enough = (struct inquiry_enough){is_enough, &asking->terms};
    asking->argument = source->terms.patient ? NULL : &asking->enough;
}

/* Asks the stores for PATH. */
static int survey(struct store_source *source, const char *path, struct survey *ret)
{
    struct asking asking;

    prepare(source, &asking, enough_looks);
    int r = survey_make(source->stores, path, asking.argument, ret);
    if (r < 0)
        return r;
    bool distant = false;
    for (size_t i = 0; i < ret->inquiry.list->count; i++)
        distant |= store_is_remote(ret->inquiry.list->stores[i]);
    atomic_store(&source->source.distant, distant);
    return 0;
}

static void note_required(struct store_source *source, unsigned required)
{
    unsigned least = atomic_load(&source->least);

    atomic_store(&source->required, required);
    while ((least == 0 || required < least) &&
           !atomic_compare_exchange_weak(&source->least, &least, required)) {
    }
}

static int open_shares(struct store_source *source, struct share_set *shares,
                       struct source_file **ret)
{
    struct restored_file *file = malloc(sizeof *file);

    if (!file)
        return -ENOMEM;
    *file = (struct restored_file){
        .file = {.operations = source->source.operations,
                 .header = *share_set_header(shares),
                 .distant = share_set_is_distant(shares)},
        .shares = shares,
    };
    share_set_status(shares, &file->file.status);
    *ret = &file->file;
    return 0;
}

/*
 * The status of a file, by its shares at PATH. Where they cannot be read it is shown all the same,
 * as an empty file: what is lost should be seen.
 */
static int stat_file(struct store_source *source, const char *path, const struct survey *found,
                     struct stat *status, struct share_header *header,
                     struct source_file **ret_file)
{
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_new(&found->inquiry, &source->terms, path, 0, &shares);
    if (r == -ENOMEM)
        return r;
    *header = (struct share_header){0};
    status->st_size = status->st_blocks = 0;
    if (r == 0)
        share_set_status(shares, status);
    if (r == 0 && share_set_header(shares))
        *header = *share_set_header(shares);
    if (header->layout.required == 0)
        return 0;
    note_required(source, header->layout.required);
    if (!ret_file || share_set_check(shares) < 0)
        return 0;
    r = open_shares(source, shares, ret_file);
    if (r == 0)
        shares = NULL; /* they are the file's */
    return r;
}

/* Whether a store says that what it has here has several names. */
static bool has_links(const struct survey *survey)
{
    for (size_t i = 0; i < survey->inquiry.list->count; i++) {
        const struct ballot *ballot = &survey->ballots[i];
        if (ballot->cast && !S_ISDIR(ballot->status.st_mode) && ballot->status.st_nlink > 1)
            return true;
    }
    return false;
}

static int note_inodes(const struct survey *survey, struct source_inodes *ret)
{
    const struct store_list *list = survey->inquiry.list;
    struct source_inode *items = calloc(list->count, sizeof *items);

    if (!items)
        return -ENOMEM;
    *ret = (struct source_inodes){items, 0};
    for (size_t i = 0; i < list->count; i++) {
        const struct ballot *ballot = &survey->ballots[i];
        if (ballot->cast && !ballot->silent)
            ret->items[ret->count++] =
                (struct source_inode){list->stores[i], ballot->status.st_dev, ballot->status.st_ino,
                                      ballot->status.st_nlink};
    }
    return 0;
}

static int store_source_stat(struct source *opaque, const char *path, struct stat *ret,
                             struct share_header *ret_header, struct source_file **ret_file,
                             struct source_inodes *ret_inodes)
{
    struct store_source *source = (struct store_source *)opaque;
    cleanup_survey struct survey found = NO_SURVEY;

    if (ret_file)
        *ret_file = NULL;
    if (ret_inodes)
        *ret_inodes = (struct source_inodes){NULL, 0};
    int r = survey(source, path, &found);
    if (r < 0 && *path == '\0') {
        /* Without stores the root is still there. */
        *ret = (struct stat){.st_mode = S_IFDIR | 0555, .st_nlink = 2};
        return 0;
    }
    if (r < 0)
        return r;
    struct stat status = found.status;
    if (ret_inodes && has_links(&found))
        r = note_inodes(&found, ret_inodes);
    if (r == 0 && S_ISREG(status.st_mode))
        r = stat_file(source, path, &found, &status, ret_header, ret_file);
    if (r == 0)
        *ret = status;
    return r;
}

static int store_source_read_link(struct source *opaque, const char *path, char **ret)
{
    cleanup_survey struct survey found = NO_SURVEY;

    int r = survey((struct store_source *)opaque, path, &found);
    if (r < 0)
        return r;
    if (!survey_target(&found))
        return -EINVAL;
    char *target = strdup(survey_target(&found));
    if (!target)
        return -ENOMEM;
    *ret = target;
    return 0;
}

struct list_question {
    struct question question;
    struct names names;
};

static int ask_list(const struct tree *tree, const char *path, struct question *question)
{
    struct names *names = &((struct list_question *)question)->names;

    int r = tree_list(tree, path, names);
    if (r < 0)
        names_clear(names);
    return r;
}

static void forget_list(struct question *question)
{
    names_clear(&((struct list_question *)question)->names);
}

static const struct question_kind list_kind = {
    .size = sizeof(struct list_question),
    .ask = ask_list,
    .forget = forget_list,
};

static int add_names(struct names *names, const struct names *more)
{
    for (size_t i = 0; i < more->count; i++) {
        int r = names_add(names, names_get(more, i));
        if (r < 0)
            return r;
    }
    return 0;
}

/* How many of the names in NAMES, which are sorted, are the one at FIRST. */
static size_t count_equal(const struct names *names, size_t first)
{
    size_t end = first + 1;

    while (end < names->count && strcmp(names_get(names, end), names_get(names, first)) == 0)
        end++;
    return end - first;
}

/*
 * Adds each of the names that stores gave to NAMES, once. What an interrupted run left in a store
 * is not the source's; where several stores have it, it is.
 */
static int merge_names(struct names *given, struct names *names)
{
    int r = 0;

    names_sort(given);
    for (size_t i = 0, equal; r == 0 && i < given->count; i += equal) {
        equal = count_equal(given, i);
        if (equal > 1 || !temporary_is_name(names_get(given, i)))
            r = names_add(names, names_get(given, i));
    }
    return r;
}

static int store_source_list(struct source *opaque, const char *path, struct names *names)
{
    struct store_source *source = (struct store_source *)opaque;
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    cleanup_names struct names given = NO_NAMES;
    struct asking asking;
    bool found = false;
    int worst = *path == '\0' ? 0 : -ENOENT;

    prepare(source, &asking, enough_lists);
    int r = inquiry_make(source->stores, path, NULL, &list_kind, asking.argument, &inquiry);
    if (r < 0)
        return r;
    for (size_t i = 0; i < inquiry.list->count; i++) {
        r = inquiry_result(&inquiry, i);
        if (r == 0) {
            found = true;
            r = add_names(&given, &((struct list_question *)inquiry.questions[i])->names);
        } else if (r != -ENOENT && r != -EINPROGRESS) {
            worst = r;
        }
        if (r == -ENOMEM)
            return r;
    }
    r = merge_names(&given, names);
    return r < 0 ? r : found ? 0 : worst;
}

/* The value of an attribute of the view's own; -ENOTSUP where NAME is none, or not one of PATH. */
static int report(const struct store_source *source, const char *path, const char *name, char **ret)
{
    if (strcmp(name, REPORT_STORES_NAME) == 0 && *path == '\0')
        return report_stores(source->stores, ret);
    if (strcmp(name, REPORT_HEALTH_NAME) == 0 && *path != '\0')
        return report_health(source->stores, &source->terms, path, ret);
    return -ENOTSUP;
}

static int store_source_get_xattr(struct source *opaque, const char *path, const char *name,
                                  void *value, size_t size, size_t *ret)
{
    const struct store_source *source = (struct store_source *)opaque;
    cleanup_free char *own = NULL;

    int r = report(source, path, name, &own);
    if (r == 0) {
        *ret = strlen(own);
        if (size > 0 && *ret > size)
            return -ERANGE;
        memcpy(value, own, size > 0 ? *ret : 0);
        return 0;
    }
    if (r == -ENOTSUP)
        r = attributes_get(source->stores, path, name, value, size, ret);
    return r == -ENOENT && *path == '\0' ? -ENODATA : r;
}

static int store_source_list_xattr(struct source *opaque, const char *path, char *names,
                                   size_t size, size_t *ret)
{
    struct stores *stores = ((struct store_source *)opaque)->stores;

    int r = attributes_list(stores, path, names, size, ret);
    if (r != -ENOENT || *path != '\0')
        return r;
    *ret = 0; /* the root, without stores */
    return 0;
}

static int store_source_read_xattrs(struct source *opaque, const char *path, struct xattrs *ret)
{
    return attributes_read(((struct store_source *)opaque)->stores, path, ret);
}

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

static int store_source_statfs(struct source *opaque, struct statvfs *ret)
{
    struct store_source *source = (struct store_source *)opaque;
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    static const struct inquiry_enough enough = {enough_most, NULL};
    struct statvfs space = {.f_namemax = NAME_MAX};

    int r = inquiry_make(source->stores, "", NULL, &space_kind, &enough, &inquiry);
    if (r < 0)
        return r;
    unsigned required = atomic_load(&source->required);
    for (size_t i = 0; i < inquiry.list->count; i++) {
        const struct space_question *answer = (struct space_question *)inquiry.questions[i];
        if (inquiry_result(&inquiry, i) == 0)
            add_space(&space, &answer->status, required);
    }
    *ret = space;
    return 0;
}

static int store_source_open_version(struct source *opaque, const char *path, unsigned rank,
                                     struct source_file **ret)
{
    struct store_source *source = (struct store_source *)opaque;
    cleanup_share_set struct share_set *shares = NULL;
    cleanup_inquiry struct inquiry looks = NO_INQUIRY;
    struct asking asking;

    prepare(source, &asking, enough_looks);
    int r = look_make(source->stores, path, rank > 0 ? NULL : asking.argument, &looks);
    if (r == 0)
        r = share_set_new(&looks, &source->terms, path, rank, &shares);
    if (r == 0 && rank > 0 && !share_set_header(shares))
        return -ENOENT;
    if (r == 0)
        r = share_set_check(shares);
    if (r < 0)
        return r;
    note_required(source, share_set_header(shares)->layout.required);
    share_set_keep_looks(shares, &looks);
    r = open_shares(source, shares, ret);
    if (r == 0)
        shares = NULL; /* they are the file's */
    return r;
}

static int store_source_open(struct source *source, const char *path, struct source_file **ret)
{
    return store_source_open_version(source, path, 0, ret);
}

static int store_source_read_stripe(struct source_file *file, uint64_t stripe, uint8_t *data)
{
    return share_set_read_stripe(((struct restored_file *)file)->shares, stripe, data);
}

static bool store_source_is_hole(struct source_file *file, uint64_t stripe)
{
    return share_set_is_hole(((struct restored_file *)file)->shares, stripe);
}

static void store_source_close(struct source_file *file)
{
    share_set_free(((struct restored_file *)file)->shares);
    free(file);
}

static const struct source_operations operations = {
    .free = store_source_free,
    .stat = store_source_stat,
    .read_link = store_source_read_link,
    .list = store_source_list,
    .get_xattr = store_source_get_xattr,
    .list_xattr = store_source_list_xattr,
    .read_xattrs = store_source_read_xattrs,
    .statfs = store_source_statfs,
    .open = store_source_open,
    .open_version = store_source_open_version,
    .read_stripe = store_source_read_stripe,
    .is_hole = store_source_is_hole,
    .close = store_source_close,
};

int store_source_new(struct stores *stores, const struct share_terms *terms, struct source **ret)
{
    struct store_source *source = malloc(sizeof *source);

    if (!source) {
        stores_close(stores);
        return -ENOMEM;
    }
    *source = (struct store_source){
        .source.operations = &operations,
        .terms = *terms,
        .stores = stores,
        .required = terms->required,
    };
    *ret = &source->source;
    return 0;
}

struct stores *store_source_stores(struct source *source)
{
    return ((struct store_source *)source)->stores;
}

const struct share_terms *store_source_terms(const struct source *source)
{
    return &((const struct store_source *)source)->terms;
}
