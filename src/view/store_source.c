/* SPDX-License-Identifier: MIT */
#include "view/store_source.h"

#include "base/log.h"
#include "base/shortage.h"
#include "restore/attributes.h"
#include "restore/enough.h"
#include "restore/reading.h"
#include "restore/share_set.h"
#include "restore/store_names.h"
#include "restore/survey.h"
#include "seal/key_share.h"
#include "seal/manifest.h"
#include "trust/leftover.h"
#include "view/known.h"
#include "view/rebuilt_key.h"
#include "view/report.h"
#include "view/status.h"

#include <limits.h>
#include <string.h>

struct store_source {
    struct source source;
    struct share_terms terms;
    struct known *known;
    struct rebuilt_key *key; /* NULL: the root has no `key` */
    atomic_uint required;    /* k of the last file that was looked at */
    atomic_bool closed;      /* a store, or the way to it, has been closed to others */
    bool plain;              /* sealed shares are refused: there is no key for them */
};

struct store_file {
    struct source_file file;
    struct share_set *shares;
    struct store_source *source;
    struct known_content *content; /* holds SHARES; NULL: they are the file's own */
};

static void store_source_free(struct source *opaque)
{
    struct store_source *source = (struct store_source *)opaque;

    if (source->key)
        rebuilt_key_free(source->key);
    known_free(source->known);
    stores_close(source->terms.stores);
    free(source);
}

/* Logs why a file is lost of which too few stores have a share. */
static int refuse_lost(const struct store_source *source, const char *path,
                       const struct survey *found)
{
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_new(&found->inquiry, &source->terms, path, 0, &shares);
    if (r < 0)
        return r;
    r = share_set_check(shares);
    if (r < 0)
        return r;
    log_error("%s: %u stores have a share of it, %u needed", path, found->ruling.votes,
              found->ruling.needed);
    return -EIO;
}

/* Asks the stores for PATH; -ENOENT: it is not shown; -EIO: it is a conflict. */
static int survey(struct store_source *source, const char *path, struct survey *ret)
{
    const struct share_terms *terms = &source->terms;
    const struct inquiry_enough looks = {enough_looks, terms};
    const struct inquiry_enough *enough = terms->patient ? NULL : &looks;
    bool distant = false;

    int r = survey_make(terms, path, enough, ret);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ret->inquiry.list->count; i++) {
        struct store *store = ret->inquiry.list->stores[i];
        const struct ballot *ballot = &ret->ballots[i];
        distant |= store_is_remote(store);
        /* Others must not see what they cannot reach through the stores' own directories, nor get
         * it later from the kernel's caches. */
        if (store_is_closed(store) ||
            (*path == '\0' && ballot->cast && status_keeps_out(&ballot->status, &ret->status)))
            atomic_store(&source->closed, true);
    }
    atomic_store(&source->source.distant, distant);
    atomic_store(&source->source.is_private, atomic_load(&source->closed));
    if (terms->everything)
        return 0;
    r = store_name_is_shown(terms, path, ret);
    if (r > 0 && ret->ruling.verdict == NAME_CONFLICT) {
        cleanup_free char *text = survey_describe(ret);
        log_error("%s: conflict: %s", log_path(path), text ? text : "two kinds");
        terms_lack(terms);
        return -EIO;
    }
    if (r > 0 && leftover_is_path(path)) { /* judging it took its files over */
        survey_clear(ret);
        return survey_make(terms, path, enough, ret);
    }
    if (r == 0)
        terms_lack(terms);
    return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

int store_source_file(struct source *source, struct share_set *shares, struct source_file **ret)
{
    struct store_file *file = malloc(sizeof *file);

    if (!file)
        return -ENOMEM;
    *file = (struct store_file){
        .file = {.operations = source->operations,
                 .header = *share_set_header(shares),
                 .present = share_set_present(shares),
                 .distant = share_set_is_distant(shares)},
        .shares = shares,
        .source = (struct store_source *)source,
    };
    share_set_status(shares, &file->file.status);
    *ret = &file->file;
    return 0;
}

/* Returns 0 if the shares at PATH give a file; otherwise logs why not. */
static int check_shares(const struct store_source *source, const char *path,
                        struct share_set *shares)
{
    int r = share_set_check(shares);

    if (r < 0 || !source->plain || !formats[share_set_header(shares)->layout.format]->is_sealed)
        return r;
    return log_as(-EIO, "%s: its shares are sealed, and are not opened without the root's manifest",
                  log_path(path));
}

/*
 * Sets the status of a file from its shares at PATH. A file that cannot be read is shown as an
 * empty file, so that the loss is seen.
 */
static int stat_file(struct store_source *source, const char *path, const struct survey *found,
                     struct stat *status, struct share_header *header,
                     struct source_file **ret_file)
{
    cleanup_share_set struct share_set *shares = NULL;

    int r = share_set_new(&found->inquiry, &source->terms, path, 0, &shares);
    if (is_shortage(r))
        return r;
    *header = (struct share_header){0};
    status->st_size = status->st_blocks = 0;
    if (r == 0 && found->ruling.verdict == NAME_FOREIGN)
        share_set_believe(shares);
    if (r == 0)
        share_set_status(shares, status);
    if (r == 0 && share_set_header(shares))
        *header = *share_set_header(shares);
    if (header->layout.required == 0)
        return 0;
    atomic_store(&source->required, header->layout.required);
    if (!ret_file || check_shares(source, path, shares) < 0)
        return 0;
    r = store_source_file(&source->source, shares, ret_file);
    if (r == 0)
        shares = NULL; /* the file has taken them over */
    return r;
}

/* Notes each voter's object, if one of them says that it has several names. */
static int note_inodes(const struct survey *survey, struct source_inodes *ret)
{
    const struct store_list *list = survey->inquiry.list;
    struct source_inode *items = calloc(list->count + 1, sizeof *items);
    bool has_links = false;

    if (!items)
        return -ENOMEM;
    *ret = (struct source_inodes){.items = items, .needed = list->quorum.required};
    for (size_t i = 0; i < list->count; i++) {
        const struct ballot *ballot = &survey->ballots[i];
        const struct stat *status = &ballot->status;
        if (!ballot->cast)
            continue;
        has_links |= !S_ISDIR(status->st_mode) && status->st_nlink > 1;
        bool counts = ballot->voter >= 0;
        for (size_t j = 0; j < i && counts; j++) /* counts equal stores once */
            counts = !survey->ballots[j].cast || survey->ballots[j].voter != ballot->voter;
        if (counts)
            items[ret->count++] = (struct source_inode){list->stores[i], status->st_dev,
                                                        status->st_ino, status->st_nlink};
    }
    if (!has_links)
        source_inodes_clear(ret);
    return 0;
}

/* Returns true if PATH is the file `key`, each share's own part of the key. */
static bool is_key(struct store_source *source, const char *path)
{
    return source->key && strcmp(path, KEY_SHARE_NAME) == 0 &&
           store_source_is_sealed(&source->source);
}

/* Sets the status of the file `key` as sealed_source.c does: with the root's owner and device. */
static int stat_key(struct store_source *source, struct stat *ret, struct share_header *ret_header)
{
    const struct header_writer *writer = rebuilt_key_find(source->key);
    cleanup_survey struct survey root = NO_SURVEY;

    int r = writer ? survey(source, "", &root) : -ENOENT;
    if (r < 0)
        return r;
    *ret_header = (struct share_header){.writer = writer};
    *ret = root.status;
    ret->st_mode = S_IFREG | S_IRUSR | S_IWUSR;
    ret->st_nlink = 1;
    ret->st_ino = ~ret->st_ino;
    status_set_size(ret, KEY_SHARE_SIZE);
    return layout_new(SHARE_KEY, 1, KEY_SHARES_MAX, BLOCK_SIZE_DEFAULT, 0, &ret_header->layout);
}

static int open_key(struct store_source *source, struct source_file **ret)
{
    struct store_file *file = calloc(1, sizeof *file);

    if (!file)
        return -ENOMEM;
    file->file.operations = source->source.operations;
    file->source = source;
    int r = stat_key(source, &file->file.status, &file->file.header);
    if (r < 0)
        free(file);
    else
        *ret = &file->file;
    return r;
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
        *ret_inodes = (struct source_inodes){.items = NULL};
    if (is_key(source, path))
        return stat_key(source, ret, ret_header);
    int r = survey(source, path, &found);
    if (r < 0 && *path == '\0') {
        /* The root exists even without stores. */
        *ret = (struct stat){.st_mode = S_IFDIR | 0555, .st_nlink = 2};
        return 0;
    }
    if (r < 0)
        return r;
    struct stat status = found.status;
    /* What too few stores have is shown with no more rights than a file needs. */
    if (found.ruling.verdict == NAME_FOREIGN)
        status.st_mode &= ~(mode_t)(S_ISUID | S_ISGID | S_ISVTX);
    if (ret_inodes)
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
    const char *target = found.ballots[found.ruling.winner].target; /* of a symlink */
    char *copy = target ? strdup(target) : NULL;
    if (!copy)
        return target ? -ENOMEM : -EINVAL;
    *ret = copy;
    return 0;
}

/* Returns true if most stores with intact headers have sealed ones. */
static bool are_sealed(const struct store_source *source)
{
    cleanup_store_list struct store_list *list = NULL;
    size_t sealed = 0, plain = 0;

    if (stores_now(source->terms.stores, &list) < 0)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct store_voice voice;
        if (!store_voice(list->stores[i], &voice))
            continue;
        sealed += voice.kinds[true] > voice.kinds[false];
        plain += voice.kinds[false] > 0 && voice.kinds[false] >= voice.kinds[true];
    }
    return sealed > plain;
}

bool store_source_is_sealed(struct source *source)
{
    struct share_header header = {0};
    struct stat status;
    bool manifest = store_source_stat(source, MANIFEST_NAME, &status, &header, NULL, NULL) == 0 &&
                    S_ISREG(status.st_mode) && header.layout.required > 0 &&
                    formats[header.layout.format]->is_sealed;

    return manifest || are_sealed((struct store_source *)source);
}

void store_source_refuse_sealed(struct source *source)
{
    ((struct store_source *)source)->plain = true;
}

void store_source_set_unsealer(struct source *source, struct unsealer *unsealer)
{
    ((struct store_source *)source)->terms.unsealer = unsealer;
}

/* Removes NAME from NAMES. */
static void leave_out(struct names *names, const char *name)
{
    for (size_t i = 0, kept = 0; i < names->count; i++) {
        if (strcmp(names_get(names, i), name) != 0)
            names->items[kept++] = names->items[i];
        if (i + 1 == names->count)
            names->count = kept;
    }
}

/* A node's part of the key, or its description of other nodes, is no file of the tree. The rebuilt
 * view has a key for each share. */
static int settle_key(struct store_source *source, struct names *names)
{
    const bool has = names_have(names, KEY_SHARE_NAME);

    if ((!has && !source->key && !names_have(names, SEALED_DESCRIPTION_NAME)) ||
        !store_source_is_sealed(&source->source))
        return 0;
    leave_out(names, KEY_SHARE_NAME);
    leave_out(names, SEALED_DESCRIPTION_NAME);
    return source->key && rebuilt_key_find(source->key) ? names_add(names, KEY_SHARE_NAME) : 0;
}

/* Reports hidden names, except `key`, on which rebuilt_key.h reports. */
static void tell_hidden_name(void *context, const char *path, enum hidden why, const char *text)
{
    if (why == HIDDEN_FOREIGN && !is_key(context, path))
        log_once("%s is not shown: %s; -o unconfirmed shows it", log_path(path), text);
}

static void pass_lack_on(void *context)
{
    terms_lack(&((struct store_source *)context)->terms);
}

static int store_source_list(struct source *opaque, const char *path, struct names *names)
{
    static const struct inquiry_enough enough = {enough_lists, NULL};
    struct store_source *source = (struct store_source *)opaque;
    struct share_terms terms = source->terms;

    if (source->key) { /* the rebuilt view shows it */
        terms.hidden = tell_hidden_name;
        terms.lacks = pass_lack_on;
        terms.context = source;
    }
    int r = store_names(&terms, path, terms.patient ? NULL : &enough, names);
    if (r == -ENOENT && *path == '\0')
        return 0; /* the root exists even without stores */
    return r == 0 && *path == '\0' ? settle_key(source, names) : r;
}

/* Copies THERE bytes of TEXT as lgetxattr(2) does. */
static int reply(const char *text, size_t there, char *bytes, size_t size, size_t *ret)
{
    if (size > 0 && there > size)
        return -ERANGE;
    if (size > 0 && there > 0)
        memcpy(bytes, text, there);
    *ret = there;
    return 0;
}

static int store_source_get_xattr(struct source *opaque, const char *path, const char *name,
                                  void *value, size_t size, size_t *ret)
{
    const struct store_source *source = (struct store_source *)opaque;
    const struct share_terms *terms = &source->terms;
    CLEANUP(xattrs_clear) struct xattrs xattrs = NO_XATTRS;
    cleanup_free char *own = NULL;
    struct xattr found;
    int r = -ENOTSUP;

    if (strcmp(name, REPORT_STORES_NAME) == 0 && *path == '\0')
        r = report_stores(terms->stores, &own);
    else if (strcmp(name, REPORT_HEALTH_NAME) == 0 && *path != '\0')
        r = report_health(terms, path, &own);
    if (r == 0)
        return reply(own, strlen(own), value, size, ret);
    if (r == -ENOTSUP)
        r = attributes_read(terms, path, name, terms->patient, &xattrs);
    if (r < 0)
        return r == -ENOENT && *path == '\0' ? -ENODATA : r;
    return xattrs_find(&xattrs, name, &found) ? reply(found.value, found.size, value, size, ret)
                                              : -ENODATA;
}

static int store_source_list_xattr(struct source *opaque, const char *path, char *names,
                                   size_t size, size_t *ret)
{
    const struct store_source *source = (struct store_source *)opaque;
    const struct share_terms *terms = &source->terms;
    CLEANUP(xattrs_clear) struct xattrs xattrs = NO_XATTRS;
    cleanup_free char *list = NULL;
    struct xattr own;
    size_t there = 0;

    int r = attributes_read(terms, path, NULL, terms->patient, &xattrs);
    if (r < 0 && (r != -ENOENT || *path != '\0')) /* the root exists even without stores */
        return r;
    list = malloc(xattrs.size + 1); /* the names are a part of that */
    if (!list)
        return -ENOMEM;
    for (const char *at = xattrs.bytes; xattrs_next(&xattrs, &at, &own);) {
        strcpy(list + there, own.name);
        there += strlen(own.name) + 1;
    }
    return reply(list, there, names, size, ret);
}

static int store_source_read_xattrs(struct source *opaque, const char *path, struct xattrs *ret)
{
    const struct store_source *source = (struct store_source *)opaque;

    return attributes_read(&source->terms, path, NULL, true, ret);
}

struct space_question {
    struct question question;
    struct statvfs status;
};

static int ask_space(const struct tree *tree, const char *path, struct question *question)
{
    return tree_statfs(tree, &((struct space_question *)question)->status);
}

static void keep_least(fsblkcnt_t *least, fsblkcnt_t value)
{
    if (value < *least)
        *least = value;
}

/*
 * Each store takes 1/k of a file, so there is k times the room of the smallest store that answers
 * soon, in units of 4 KiB; k is that of the last file that was looked at.
 */
static int store_source_statfs(struct source *opaque, struct statvfs *ret)
{
    static const struct question_kind kind = {.size = sizeof(struct space_question),
                                              .ask = ask_space};
    static const struct inquiry_enough enough = {enough_most, NULL};
    static const fsblkcnt_t unit = 4096, none = ~(fsblkcnt_t)0;
    struct store_source *source = (struct store_source *)opaque;
    cleanup_inquiry struct inquiry inquiry = NO_INQUIRY;
    struct statvfs space = {.f_bsize = unit,
                            .f_frsize = unit,
                            .f_blocks = none,
                            .f_bfree = none,
                            .f_bavail = none,
                            .f_files = none,
                            .f_ffree = none,
                            .f_favail = none,
                            .f_namemax = NAME_MAX};
    bool any = false;

    int r = inquiry_make(source->terms.stores, "", NULL, &kind, &enough, &inquiry);
    if (r < 0)
        return r;
    for (size_t i = 0; i < inquiry.list->count; i++) {
        const struct statvfs *store = &((struct space_question *)inquiry.questions[i])->status;
        if (inquiry_result(&inquiry, i) < 0)
            continue;
        any = true;
        fsblkcnt_t size = store->f_frsize ? store->f_frsize : store->f_bsize;
        fsblkcnt_t times = atomic_load(&source->required) * size;
        keep_least(&space.f_blocks, store->f_blocks * times / unit);
        keep_least(&space.f_bfree, store->f_bfree * times / unit);
        keep_least(&space.f_bavail, store->f_bavail * times / unit);
        keep_least(&space.f_files, store->f_files);
        keep_least(&space.f_ffree, store->f_ffree);
        keep_least(&space.f_favail, store->f_favail);
        keep_least(&space.f_namemax, store->f_namemax);
    }
    *ret = any ? space : (struct statvfs){.f_namemax = NAME_MAX};
    return 0;
}

/* Finds the shares of the file at PATH, of the version that is RANK versions behind the best
 * one. */
static int find_shares(struct store_source *source, const char *path, unsigned rank,
                       struct share_set **ret)
{
    cleanup_share_set struct share_set *shares = NULL;
    cleanup_survey struct survey found = NO_SURVEY;

    /* Commands ask for further versions, and wait for all stores then. */
    int r =
        rank == 0 ? survey(source, path, &found) : survey_make(&source->terms, path, NULL, &found);
    if (r == 0 && rank > 0 && found.ruling.verdict == NAME_FOREIGN)
        return -ENOENT;
    if (r == 0 && !S_ISREG(found.status.st_mode))
        return S_ISDIR(found.status.st_mode) ? -EISDIR : -EINVAL;
    if (r == 0 && found.ruling.verdict == NAME_LOST)
        r = rank > 0 ? -ENOENT : refuse_lost(source, path, &found);
    if (r == 0)
        r = share_set_new(&found.inquiry, &source->terms, path, rank, &shares);
    if (r == 0 && found.ruling.verdict == NAME_FOREIGN)
        share_set_believe(shares);
    if (r == 0 && rank > 0 && !share_set_header(shares))
        return -ENOENT;
    if (r == 0)
        r = check_shares(source, path, shares);
    if (r == -EIO)
        terms_lack(&source->terms);
    if (r < 0)
        return r;
    share_set_keep_looks(shares, &found.inquiry);
    *ret = steal_pointer(shares);
    return 0;
}

static int store_source_open(struct source *opaque, const char *path, unsigned rank,
                             struct source_file **ret)
{
    struct store_source *source = (struct store_source *)opaque;
    cleanup_source_file struct source_file *opened = NULL;
    cleanup_share_set struct share_set *shares = NULL;

    if (is_key(source, path))
        return rank > 0 ? -ENOENT : open_key(source, ret);
    int r = find_shares(source, path, rank, &shares);
    if (r < 0)
        return r;
    atomic_store(&source->required, share_set_header(shares)->layout.required);
    r = store_source_file(opaque, shares, &opened);
    if (r < 0)
        return r;
    shares = NULL;                /* the file has taken them over */
    if (!source->terms.patient) { /* commands open each file only once */
        struct store_file *file = (struct store_file *)opened;
        file->content = known_open(source->known, file->shares);
        if (!file->content)
            return -ENOMEM;
        file->shares = file->content->shares;
        file->file.content = file->content->number;
    }
    *ret = steal_pointer(opened);
    return 0;
}

/* In a view, a timeout is a read error; in a command it is no verdict. */
static int store_source_read_stripe(struct source_file *opaque, uint64_t stripe, uint8_t *data,
                                    uint8_t digest[HASH_SIZE])
{
    const struct store_file *file = (const struct store_file *)opaque;
    int r = stripe_read(file->shares, stripe, opaque->opener, data, digest);

    if (r == -EIO || r == -ETIMEDOUT)
        terms_lack(&file->source->terms);
    return r == -ETIMEDOUT && !file->source->terms.patient ? -EIO : r;
}

static bool store_source_is_hole(struct source_file *file, uint64_t stripe)
{
    return share_set_is_hole(((struct store_file *)file)->shares, stripe);
}

static void store_source_close(struct source_file *opaque)
{
    struct store_file *file = (struct store_file *)opaque;

    if (file->content)
        known_close(file->source->known, file->content);
    else if (file->shares) /* a key has none */
        share_set_free(file->shares);
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
    .read_stripe = store_source_read_stripe,
    .is_hole = store_source_is_hole,
    .close = store_source_close,
};

int store_source_new(struct stores *stores, const struct share_terms *terms, struct source **ret)
{
    struct store_source *source = malloc(sizeof *source);
    struct known *known = NULL;

    if (!source || known_new(&known) < 0) {
        free(source);
        stores_close(stores);
        return -ENOMEM;
    }
    *source = (struct store_source){
        .source = {.operations = &operations, .is_private = true}, /* until a store has been seen */
        .terms = *terms,
        .known = known,
    };
    source->terms.stores = stores;
    *ret = &source->source;
    return 0;
}

int store_source_show_key(struct source *opaque, unsigned shares)
{
    struct store_source *source = (struct store_source *)opaque;

    return shares > KEY_SHARES_MAX ? 0 : rebuilt_key_new(source->terms.stores, &source->key);
}

struct stores *store_source_stores(struct source *source)
{
    return ((struct store_source *)source)->terms.stores;
}

const struct share_terms *store_source_terms(const struct source *source)
{
    return &((const struct store_source *)source)->terms;
}
