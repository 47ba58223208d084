/* SPDX-License-Identifier: MIT */
#include "view/store_source.h"

#include "view/share_set.h"
#include "view/survey.h"

#include <stdbool.h>
#include <string.h>

struct store_source {
    struct source source;
    struct share_terms terms;
    struct stores *stores;
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

/*
 * The status of a file, by its shares at PATH. Where they cannot be read it is shown all the same,
 * as an empty file: what is lost should be seen.
 */
static int stat_file(const struct store_source *source, const char *path, struct stat *status,
                     struct share_header *header)
{
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_open(source->stores, &source->terms, path, &shares);
    if (r == -ENOMEM)
        return r;
    *header = (struct share_header){0};
    if (r == 0)
        share_set_status(shares, status);
    if (r == 0 && share_set_header(shares))
        *header = *share_set_header(shares);
    status->st_size = (off_t)header->layout.source_size;
    return 0;
}

static int store_source_stat(struct source *opaque, const char *path, struct stat *ret,
                             struct share_header *ret_header)
{
    const struct store_source *source = (struct store_source *)opaque;
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(source->stores, path, &survey);
    if (r < 0 && *path == '\0') {
        /* Without stores the root is still there. */
        *ret = (struct stat){.st_mode = S_IFDIR | 0555, .st_nlink = 2};
        return 0;
    }
    if (r < 0)
        return r;
    struct stat status = survey.status;
    if (S_ISREG(status.st_mode))
        r = stat_file(source, path, &status, ret_header);
    if (r == 0)
        *ret = status;
    return r;
}

static int store_source_read_link(struct source *opaque, const char *path, char **ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(((struct store_source *)opaque)->stores, path, &survey);
    if (r < 0)
        return r;
    if (!survey_target(&survey))
        return -EINVAL;
    char *target = strdup(survey_target(&survey));
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

static int store_source_list(struct source *opaque, const char *path, struct names *names)
{
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    bool found = false;
    int worst = *path == '\0' ? 0 : -ENOENT;

    int r = inquiry_make(((struct store_source *)opaque)->stores, path, &list_kind, &inquiry);
    if (r < 0)
        return r;
    for (size_t i = 0; i < inquiry.list->count; i++) {
        r = inquiry_result(&inquiry, i);
        if (r == 0) {
            found = true;
            r = add_names(names, &((struct list_question *)inquiry.questions[i])->names);
        } else if (r != -ENOENT) {
            worst = r;
        }
        if (r == -ENOMEM)
            return r;
    }
    names_sort_unique(names);
    return found ? 0 : worst;
}

static int store_source_get_xattr(struct source *opaque, const char *path, const char *name,
                                  void *value, size_t size, size_t *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(((struct store_source *)opaque)->stores, path, &survey);
    if (r < 0)
        return r == -ENOENT && *path == '\0' ? -ENODATA : r;
    return tree_get_xattr(store_tree(survey_store(&survey)), path, name, value, size, ret);
}

static int store_source_list_xattr(struct source *opaque, const char *path, char *names,
                                   size_t size, size_t *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(((struct store_source *)opaque)->stores, path, &survey);
    if (r == 0)
        return tree_list_xattr(store_tree(survey_store(&survey)), path, names, size, ret);
    if (r == -ENOENT && *path == '\0') {
        *ret = 0;
        r = 0;
    }
    return r;
}

static int store_source_statfs(struct source *opaque, struct statvfs *ret)
{
    cleanup_survey struct survey survey = NO_SURVEY;

    int r = survey_make(((struct store_source *)opaque)->stores, "", &survey);
    if (r == 0)
        return tree_statfs(store_tree(survey_store(&survey)), ret);
    *ret = (struct statvfs){.f_namemax = 255};
    return r == -ENOENT ? 0 : r;
}

static int store_source_open(struct source *opaque, const char *path, struct source_file **ret)
{
    const struct store_source *source = (struct store_source *)opaque;
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_open(source->stores, &source->terms, path, &shares);
    if (r == 0)
        r = share_set_check(shares);
    if (r < 0)
        return r;
    struct restored_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    *file = (struct restored_file){
        .file = {.operations = opaque->operations, .header = *share_set_header(shares)},
        .shares = steal_pointer(shares),
    };
    *ret = &file->file;
    return 0;
}

static int store_source_read_stripe(struct source_file *file, uint64_t stripe, uint8_t *data)
{
    return share_set_read_stripe(((struct restored_file *)file)->shares, stripe, data);
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
    .statfs = store_source_statfs,
    .open = store_source_open,
    .read_stripe = store_source_read_stripe,
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
    };
    *ret = &source->source;
    return 0;
}
