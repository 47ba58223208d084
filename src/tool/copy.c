/* SPDX-License-Identifier: MIT */
#include "tool/copy.h"

#include "base/log.h"
#include "tool/batch.h"
#include "tool/content.h"
#include "tool/links.h"
#include "tool/visit.h"
#include "tree/remove.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* A directory, as it was before anything in it was changed. */
struct directory {
    struct directory *next;
    bool as_it_was; /* it was neither made nor opened by this run, in any target */
    struct stat status;
    struct xattrs xattrs;
    char path[];
};

struct copy {
    struct visit visit;
    struct target *targets;
    size_t count;
    const struct copy_settings *settings;
    struct batch *batch;
    struct links *links;
    pthread_mutex_t lock;
    struct directory *directories; /* what is in one comes before it; guarded by the lock */
    atomic_int result;
};

/* One name, and where it is in each target. */
struct entry {
    struct copy *copy;
    const int *directories; /* below 0: not there */
    struct original original;
    struct source_file *file; /* opened, where it came to hand */
    enum need *needs;
};

static void report(const struct copy *copy, enum copy_kind kind, const char *path,
                   const struct target *target, int error)
{
    const struct copy_event event = {kind, path, target, error};

    copy->settings->report(copy->settings->context, &event);
}

static void clear_entry(struct entry *entry)
{
    if (entry->file)
        source_close(entry->file);
    free(entry->original.link_target);
    xattrs_clear(&entry->original.xattrs);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : *path ? path : ".";
}

/* All of ORIGINAL, whose path is set, but the attributes; and the file, where it comes to hand. */
static int look_at(struct source *source, struct original *original, struct source_file **ret_file)
{
    original->name = last_name(original->path);
    int r = source->operations->stat(source, original->path, &original->status, &original->header,
                                     ret_file);
    if (r == 0 && S_ISLNK(original->status.st_mode))
        r = source->operations->read_link(source, original->path, &original->link_target);
    return r;
}

static int look_at_xattrs(struct source *source, struct original *original)
{
    return source->operations->read_xattrs(source, original->path, &original->xattrs);
}

static int apply_metadata(const struct entry *entry, size_t target, const char *name)
{
    const struct original *original = &entry->original;
    const struct metadata metadata = {original->status, original->xattrs};
    int directory = entry->directories[target];

    return entry->copy->settings->dry_run ? metadata_differs(directory, name, &metadata)
                                          : metadata_apply(directory, name, &metadata);
}

/* What was made, or opened, by this run itself is not TOLD to have been mended. */
static void end_metadata(const struct entry *entry, size_t target, bool told)
{
    const char *path = *entry->original.path ? entry->original.path : ".";
    const struct copy *copy = entry->copy;

    int r = apply_metadata(entry, target, entry->original.name);
    if (r == -ENOENT && copy->settings->dry_run)
        return; /* it would have been made */
    if (r < 0 || (r > 0 && told))
        report(copy, r < 0 ? COPY_FAILED : COPY_TOUCHED, path, &copy->targets[target],
               r < 0 ? r : 0);
}

/* A file is written out at once where that is not done for its target as a whole. */
static int apply_to_file(const struct entry *entry, size_t target, int fd)
{
    const struct metadata metadata = {entry->original.status, entry->original.xattrs};
    struct stat status;

    int r = metadata_apply_open(fd, &metadata, &status);
    if ((r >= 0 || r == -ENOTSUP) && status.st_dev != entry->copy->targets[target].device &&
        fsync(fd) < 0)
        r = -errno;
    return r;
}

/*
 * What was made as TEMPORARY gets its metadata, and waits for its name. FD is open for it if it is
 * a file, and else below 0.
 */
static int finish(const struct entry *entry, size_t target, const char *temporary, const char *path,
                  int fd, uint64_t size)
{
    int r = fd < 0 ? apply_metadata(entry, target, temporary) : apply_to_file(entry, target, fd);
    int unkept = r == -ENOTSUP ? r : 0; /* without all attributes it is better than nothing */

    if (r >= 0 || unkept)
        r = batch_add(entry->copy->batch, &entry->copy->targets[target], temporary, path, size);
    return r < 0 ? r : unkept;
}

/* A temporary name that its maker gives up, or the reason why something was not made. */
static void give_up(const struct entry *entry, size_t target, const char *temporary, int error)
{
    const struct copy *copy = entry->copy;

    if (temporary && error != -ENOTSUP)
        unlinkat(entry->directories[target], temporary, 0);
    if (error != -ECANCELED)
        report(copy, COPY_FAILED, entry->original.path, &copy->targets[target], error);
}

/* Symlinks, and what is neither file nor directory. */
static void make_special(const struct entry *entry, size_t target)
{
    const struct original *original = &entry->original;
    int directory = entry->directories[target];
    char temporary[TEMPORARY_NAME_SIZE];

    temporary_name(temporary);
    int r = S_ISLNK(original->status.st_mode)
                ? symlinkat(original->link_target, directory, temporary)
                : mknodat(directory, temporary, original->status.st_mode & ~07777u,
                          original->status.st_rdev);
    if (r < 0) {
        give_up(entry, target, NULL, -errno);
        return;
    }
    r = finish(entry, target, temporary, original->path, -1, 0);
    if (r < 0)
        give_up(entry, target, temporary, r);
}

/* Files: content for all targets at once. */

/* The temporary files of an entry, for the targets that need content. */
struct making {
    struct new_file *files;
    size_t *places; /* of these in all targets */
    char (*names)[TEMPORARY_NAME_SIZE];
    size_t count;
};

static void end_making(struct making *making)
{
    for (size_t i = 0; i < making->count; i++)
        cleanup_close_fd(&making->files[i].fd);
    free(making->files);
    free(making->places);
    free(making->names);
}

static int begin_making(const struct entry *entry, struct making *making)
{
    const struct copy *copy = entry->copy;

    making->files = calloc(copy->count, sizeof *making->files);
    making->places = calloc(copy->count, sizeof *making->places);
    making->names = calloc(copy->count, sizeof *making->names);
    if (!making->files || !making->places || !making->names)
        return -ENOMEM;
    for (size_t i = 0; i < copy->count; i++) {
        struct new_file *file = &making->files[making->count];
        if (entry->needs[i] != NEED_CONTENT)
            continue;
        *file = (struct new_file){.target = &copy->targets[i], .fd = -1};
        int r = temporary_file(entry->directories[i], making->names[making->count], &file->fd);
        if (r < 0)
            give_up(entry, i, NULL, r);
        else
            making->places[making->count++] = i;
    }
    return 0;
}

static void give_all_up(const struct entry *entry, const struct making *making)
{
    for (size_t i = 0; i < making->count; i++)
        unlinkat(entry->directories[making->places[i]], making->names[i], 0);
}

/* Each file that was written waits for its name, which is PATH's. */
static void finish_making(struct entry *entry, const struct making *making,
                          const struct source_file *source, const char *path)
{
    entry->original.status = source->status;
    for (size_t i = 0; i < making->count; i++) {
        struct new_file *file = &making->files[i];
        if (file->result == 0 && entry->copy->settings->reread)
            content_reread(source, file);
        uint64_t size = target_file_size(file->target, &source->header);
        int r = file->result;
        if (r == 0)
            r = finish(entry, making->places[i], making->names[i], path, file->fd, size);
        if (r < 0)
            give_up(entry, making->places[i], making->names[i], r);
    }
}

/* Writes SOURCE to new files. Returns as content_write does; where it fails, nothing is left. */
static int make_files(struct entry *entry, struct source_file *source, bool holes, const char *path)
{
    CLEANUP(end_making) struct making making = {0};

    int r = begin_making(entry, &making);
    if (r == 0 && making.count > 0)
        r = content_write(source, making.files, making.count, holes, entry->copy->visit.progress);
    if (r < 0)
        give_all_up(entry, &making);
    else
        finish_making(entry, &making, source, path);
    return r;
}

/* An older version that is whole, if there is one: 0, or -ENOENT. */
static int make_older(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;
    int r = -EIO;

    if (!source->operations->open_version)
        return -ENOENT;
    for (unsigned rank = 1; r == -EIO; rank++) {
        cleanup_source_file struct source_file *file = NULL;
        r = source->operations->open_version(source, entry->original.path, rank, &file);
        if (r == 0)
            r = make_files(entry, file, false, entry->original.path);
    }
    if (r == 0)
        report(entry->copy, COPY_OLDER, entry->original.path, NULL, 0);
    return r;
}

/* What can be read of it, as NAME.partial. */
static int make_partial(struct entry *entry)
{
    cleanup_free char *path = NULL;

    if (!entry->file)
        return -EIO;
    if (asprintf(&path, "%s.partial", entry->original.path) < 0)
        return -ENOMEM;
    int r = make_files(entry, entry->file, true, path);
    if (r >= 0)
        report(entry->copy, COPY_PARTIAL, path, NULL, 0);
    return r;
}

static int open_file(struct entry *entry)
{
    struct source *source = entry->copy->visit.source;

    return entry->file ? 0 : source->operations->open(source, entry->original.path, &entry->file);
}

static void make_file(struct entry *entry)
{
    const struct copy *copy = entry->copy;
    const char *path = entry->original.path;

    int r = open_file(entry);
    if (r == -ENOENT && copy->visit.source->live)
        return; /* it is gone meanwhile */
    if (r == 0)
        r = make_files(entry, entry->file, false, path);
    if (r == 0 || r == -ECANCELED)
        return;
    if (copy->settings->older && make_older(entry) == 0)
        return;
    report(copy, COPY_LOST, path, NULL, r);
    if (copy->settings->salvage)
        make_partial(entry);
}

/* Looks at contents where nothing else says that they differ. */
static int look_closer(struct entry *entry)
{
    const struct copy *copy = entry->copy;
    CLEANUP(end_making) struct making there = {0};

    there.files = calloc(copy->count, sizeof *there.files);
    there.places = calloc(copy->count, sizeof *there.places);
    if (!there.files || !there.places)
        return -ENOMEM;
    int r = open_file(entry);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        if (entry->needs[i] != NEED_METADATA)
            continue;
        int fd = openat(entry->directories[i], entry->original.name,
                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        there.files[there.count] =
            (struct new_file){.target = &copy->targets[i], .fd = fd, .result = fd < 0 ? -errno : 0};
        there.places[there.count++] = i;
    }
    if (r == 0 && there.count > 0)
        r = content_compare(entry->file, there.files, there.count, copy->visit.progress);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        if (there.files[i].result < 0)
            entry->needs[there.places[i]] = NEED_CONTENT;
    }
    return r;
}

/* What cannot be read is lost, whatever the target has. */
static void look_closer_or_tell(struct entry *entry)
{
    int r = look_closer(entry);

    if (r < 0 && r != -ECANCELED && !(r == -ENOENT && entry->copy->visit.source->live))
        report(entry->copy, COPY_LOST, entry->original.path, NULL, r);
}

static bool any_needs(const struct entry *entry, enum need need)
{
    for (size_t i = 0; i < entry->copy->count; i++) {
        if (entry->needs[i] == need)
            return true;
    }
    return false;
}

/* Directories. */

/* Whose owner has closed it to himself is opened until all in it is done; then true. */
static bool open_for_owner(const struct entry *entry, size_t target)
{
    struct stat status;
    int directory = entry->directories[target];

    return geteuid() != 0 &&
           fstatat(directory, entry->original.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IRWXU) != S_IRWXU &&
           fchmodat(directory, entry->original.name, (status.st_mode & 07777) | S_IRWXU, 0) == 0;
}

/*
 * What a new directory should have, it has from the beginning: should this run be interrupted,
 * stores that are filled have their say in it. What cannot be set is told at the end.
 */
static void begin_metadata(const struct entry *entry, size_t target)
{
    apply_metadata(entry, target, entry->original.name);
    open_for_owner(entry, target);
}

static int make_directory(const struct entry *entry, size_t target)
{
    int directory = entry->directories[target];
    const char *name = entry->original.name;

    int r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == -EEXIST && unlinkat(directory, name, 0) == 0)
        r = mkdirat(directory, name, 0700) < 0 ? -errno : 0;
    if (r == 0)
        begin_metadata(entry, target);
    return r;
}

/* What it has before it is made anywhere: new directories in stores would have their say in it. */
static void look_at_directory(const struct copy *copy, struct original *original)
{
    int r = look_at_xattrs(copy->visit.source, original);

    if (r < 0 && r != -ENOENT)
        report(copy, COPY_LOST, *original->path ? original->path : ".", NULL, r);
}

/* Notes the directory of ENTRY, whose xattrs become the note's. */
static int note_directory(struct copy *copy, struct entry *entry, bool as_it_was)
{
    const struct original *original = &entry->original;
    struct directory *directory = malloc(sizeof *directory + strlen(original->path) + 1);

    if (!directory)
        return -ENOMEM;
    directory->as_it_was = as_it_was;
    directory->status = original->status;
    directory->xattrs = original->xattrs;
    entry->original.xattrs = NO_XATTRS;
    strcpy(directory->path, original->path);
    pthread_mutex_lock(&copy->lock);
    directory->next = copy->directories;
    copy->directories = directory;
    pthread_mutex_unlock(&copy->lock);
    return 0;
}

/* Their metadata comes last: what is done in them changes their times. */
static void enter_directory(struct entry *entry)
{
    struct copy *copy = entry->copy;
    const char *path = entry->original.path;
    bool as_it_was = true;

    look_at_directory(copy, &entry->original);
    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] == NEED_CONTENT) {
            as_it_was = false;
            int r = copy->settings->dry_run ? 0 : make_directory(entry, i);
            report(copy, r < 0 ? COPY_FAILED : COPY_MADE, path, &copy->targets[i], r);
        } else if (entry->needs[i] == NEED_METADATA && !copy->settings->dry_run) {
            as_it_was &= !open_for_owner(entry, i);
        }
    }
    int r = note_directory(copy, entry, as_it_was);
    if (r < 0)
        atomic_store(&copy->result, r);
    visit_into(&copy->visit, path);
}

static void remove_unwanted(const struct entry *entry)
{
    const struct copy *copy = entry->copy;

    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] != NEED_REMOVAL || entry->directories[i] < 0)
            continue;
        int r =
            copy->settings->dry_run ? 0 : remove_all(entry->directories[i], entry->original.name);
        report(copy, r < 0 ? COPY_FAILED : COPY_REMOVED, entry->original.path, &copy->targets[i],
               r);
    }
}

/* Entries. */

static void choose(struct entry *entry, bool again)
{
    const struct copy *copy = entry->copy;
    const struct copy_settings *settings = copy->settings;

    if (settings->choose) {
        settings->choose(settings->context, &entry->original, entry->directories, again,
                         entry->needs);
        return;
    }
    for (size_t i = 0; i < copy->count; i++)
        entry->needs[i] =
            entry->directories[i] < 0
                ? (settings->dry_run ? NEED_CONTENT : NEED_REFUSED)
                : target_compare(&copy->targets[i], entry->directories[i], &entry->original);
}

static void make_content(struct entry *entry)
{
    struct copy *copy = entry->copy;
    mode_t kind = entry->original.status.st_mode & S_IFMT;

    if (copy->settings->dry_run || kind != S_IFREG) {
        for (size_t i = 0; i < copy->count; i++) {
            if (entry->needs[i] != NEED_CONTENT)
                continue;
            if (copy->settings->dry_run)
                report(copy, COPY_MADE, entry->original.path, &copy->targets[i], 0);
            else
                make_special(entry, i);
        }
        return;
    }
    make_file(entry);
}

static void run_file_entry(struct entry *entry)
{
    const struct copy *copy = entry->copy;
    bool regular = S_ISREG(entry->original.status.st_mode);

    if (copy->settings->look_closer && regular && any_needs(entry, NEED_METADATA))
        look_closer_or_tell(entry);
    if (any_needs(entry, NEED_CONTENT) || any_needs(entry, NEED_METADATA)) {
        int r = look_at_xattrs(copy->visit.source, &entry->original);
        if (r < 0 && r != -ENOENT) {
            report(copy, COPY_LOST, entry->original.path, NULL, r);
            return;
        }
    }
    if (any_needs(entry, NEED_CONTENT))
        make_content(entry);
    for (size_t i = 0; i < copy->count; i++) {
        if (entry->needs[i] == NEED_METADATA)
            end_metadata(entry, i, true);
    }
}

/* Whether it is another name of a file that was seen: these come at the end. */
static bool is_later_link(struct copy *copy, const struct original *original)
{
    const struct stat *status = &original->status;

    return !S_ISDIR(status->st_mode) && status->st_nlink > 1 &&
           links_add(copy->links, status, original->path) == 0;
}

static void run_entry(struct copy *copy, const char *path, const int directories[])
{
    struct entry entry = {.copy = copy, .directories = directories, .original.path = path};
    cleanup_free enum need *needs = calloc(copy->count, sizeof *needs);

    progress_begin(copy->visit.progress, path);
    entry.needs = needs;
    int r = needs ? look_at(copy->visit.source, &entry.original, &entry.file) : -ENOMEM;
    if (r < 0) {
        if (r != -ENOENT)
            report(copy, COPY_LOST, path, NULL, r);
    } else if (!is_later_link(copy, &entry.original)) {
        choose(&entry, false);
        remove_unwanted(&entry);
        if (S_ISDIR(entry.original.status.st_mode) && !any_needs(&entry, NEED_REMOVAL))
            enter_directory(&entry);
        else if (!S_ISDIR(entry.original.status.st_mode))
            run_file_entry(&entry);
    }
    if (r == 0 && S_ISREG(entry.original.status.st_mode))
        progress_end(copy->visit.progress, (uint64_t)entry.original.status.st_size);
    clear_entry(&entry);
}

/* Opens PATH in all targets; a directory that is not there is below 0. */
static int *open_directories(const struct copy *copy, const char *path)
{
    int *directories = calloc(copy->count, sizeof *directories);

    for (size_t i = 0; directories && i < copy->count; i++) {
        directories[i] = -1;
        tree_open_directory(copy->targets[i].tree, path, &directories[i]);
    }
    return directories;
}

static void close_directories(const struct copy *copy, int *directories)
{
    for (size_t i = 0; directories && i < copy->count; i++)
        cleanup_close_fd(&directories[i]);
    free(directories);
}

static void run_part(struct visit *visit, const char *path, const struct names *names, size_t first,
                     size_t end)
{
    struct copy *copy = (struct copy *)visit;
    int *directories = open_directories(copy, path);

    if (!directories)
        atomic_store(&copy->result, -ENOMEM);
    for (size_t i = first; directories && i < end && !atomic_load(&visit->progress->stop); i++) {
        cleanup_free char *whole = visit_join(path, names_get(names, i));
        if (whole)
            run_entry(copy, whole, directories);
        else
            atomic_store(&copy->result, -ENOMEM);
    }
    close_directories(copy, directories);
}

static bool has_name(const struct names *names, const char *name)
{
    size_t low = 0, high = names->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, names_get(names, middle));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Takes out of a target's directory what the source has not, or what an earlier run left. */
static void clean_directory(const struct copy *copy, const struct target *target, const char *path,
                            const struct names *names)
{
    cleanup_names struct names there = NO_NAMES;
    cleanup_fd int directory = -1;

    int r = tree_open_directory(target->tree, path, &directory);
    if (r == 0)
        r = tree_list(target->tree, path, &there);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR)
        report(copy, COPY_FAILED, *path ? path : ".", target, r);
    for (size_t i = 0; r == 0 && i < there.count; i++) {
        const char *name = names_get(&there, i);
        bool leftover = temporary_is_name(name);
        if (has_name(names, name) || !(leftover || copy->settings->remove))
            continue;
        int removed = copy->settings->dry_run ? 0 : remove_all(directory, name);
        cleanup_free char *whole = visit_join(path, name);
        if (removed < 0 || !leftover)
            report(copy, removed < 0 ? COPY_FAILED : COPY_REMOVED, whole ? whole : name, target,
                   removed);
    }
}

static void run_directory(struct visit *visit, const char *path, const struct names *names)
{
    const struct copy *copy = (struct copy *)visit;

    for (size_t i = 0; i < copy->count; i++)
        clean_directory(copy, &copy->targets[i], path, names);
}

static void run_failed(struct visit *visit, const char *path, int error)
{
    if (error != -ENOENT || *path == '\0')
        report((struct copy *)visit, COPY_LOST, *path ? path : ".", NULL, error);
}

/* The end: links, and the directories' metadata. */

/* Whether two names in directories of a target stand for one object. */
static bool is_same_object(int directory, const char *name, int other, const char *other_name)
{
    struct stat a, b;

    return fstatat(directory, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(other, other_name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static int link_now(const struct entry *entry, size_t target, int from, const char *first)
{
    char temporary[TEMPORARY_NAME_SIZE];
    int directory = entry->directories[target];

    temporary_name(temporary);
    int r = linkat(from, first, directory, temporary, 0) < 0 ? -errno : 0;
    if (r < 0)
        return r;
    r = batch_add(entry->copy->batch, &entry->copy->targets[target], temporary,
                  entry->original.path, 0);
    if (r < 0)
        unlinkat(directory, temporary, 0);
    return r;
}

/* Links to FIRST where this is right. Where that is impossible, it becomes a file of its own. */
static void link_in_target(const struct entry *entry, size_t target, const struct entry *first)
{
    const char *name = first->original.name;
    int from = first->directories[target], directory = entry->directories[target];

    if (from < 0 || directory < 0 ||
        (first->needs[target] != NEED_METADATA && first->needs[target] != NEED_NOTHING))
        return;
    if (is_same_object(from, name, directory, entry->original.name))
        entry->needs[target] = NEED_NOTHING;
    else if (entry->copy->settings->dry_run || link_now(entry, target, from, name) == 0) {
        if (entry->copy->settings->dry_run)
            report(entry->copy, COPY_MADE, entry->original.path, &entry->copy->targets[target], 0);
        entry->needs[target] = NEED_NOTHING;
    }
}

/* The directory that holds PATH, in all targets. */
static int *open_parents(const struct copy *copy, const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent = strndup(path, slash ? (size_t)(slash - path) : 0);

    return parent ? open_directories(copy, parent) : NULL;
}

static int begin_entry(struct copy *copy, const char *path, struct entry *ret)
{
    *ret = (struct entry){.copy = copy, .original.path = path};
    ret->directories = open_parents(copy, path);
    ret->needs = calloc(copy->count, sizeof *ret->needs);
    return ret->directories && ret->needs ? look_at(copy->visit.source, &ret->original, &ret->file)
                                          : -ENOMEM;
}

static void end_entry(struct entry *entry)
{
    clear_entry(entry);
    close_directories(entry->copy, (int *)entry->directories);
    free(entry->needs);
}

static void run_link(void *context, const char *first_path, const char *path)
{
    CLEANUP(end_entry) struct entry first = {.copy = context}, entry = {.copy = context};
    struct copy *copy = context;

    if (atomic_load(&copy->visit.progress->stop))
        return;
    int r = begin_entry(copy, path, &entry);
    if (r == 0 && begin_entry(copy, first_path, &first) == 0)
        choose(&first, true);
    if (r < 0) {
        if (r != -ENOENT)
            report(copy, COPY_LOST, path, NULL, r);
        return;
    }
    choose(&entry, false);
    for (size_t i = 0; first.needs && i < copy->count; i++)
        link_in_target(&entry, i, &first);
    run_file_entry(&entry);
}

static void end_directory(struct copy *copy, struct directory *directory)
{
    CLEANUP(end_entry) struct entry entry = {.copy = copy};

    entry.original = (struct original){
        .path = directory->path,
        .name = last_name(directory->path),
        .status = directory->status,
        .xattrs = directory->xattrs,
    };
    directory->xattrs = NO_XATTRS;
    entry.directories = open_parents(copy, directory->path);
    for (size_t i = 0; entry.directories && i < copy->count; i++) {
        if (entry.directories[i] >= 0)
            end_metadata(&entry, i, directory->as_it_was);
    }
}

static void end_directories(struct copy *copy)
{
    while (copy->directories) {
        struct directory *directory = copy->directories;
        copy->directories = directory->next;
        end_directory(copy, directory);
        free(directory);
    }
}

/* The root is there in all targets; only who is not root may have opened it to himself. */
static void note_root(struct copy *copy)
{
    CLEANUP(end_entry) struct entry entry = {.copy = copy};

    int r = begin_entry(copy, "", &entry);
    if (r == 0)
        look_at_directory(copy, &entry.original);
    for (size_t i = 0; r == 0 && i < copy->count; i++) {
        if (copy->targets[i].fresh && entry.directories[i] >= 0 && !copy->settings->dry_run)
            begin_metadata(&entry, i);
    }
    if (r == 0)
        r = note_directory(copy, &entry, geteuid() == 0);
    if (r < 0)
        report(copy, COPY_LOST, ".", NULL, r);
}

static void end_all(struct copy *copy)
{
    batch_commit(copy->batch);
    links_visit(copy->links, run_link, copy);
    batch_commit(copy->batch);
    end_directories(copy);
}

/* Something got its name, or not. */
static void note_named(void *context, const struct pending *pending)
{
    report(context, pending->error < 0 ? COPY_FAILED : COPY_MADE, pending->path, pending->target,
           pending->error);
}

static const struct visit_operations operations = {
    .directory = run_directory,
    .part = run_part,
    .failed = run_failed,
};

static int begin_targets(const struct copy *copy, size_t *ret_begun)
{
    for (size_t i = 0; i < copy->count; i++) {
        int r = target_begin(&copy->targets[i], !copy->settings->dry_run);
        if (r < 0)
            return log_errno(r,
                             r == -EBUSY ? "%s: another run writes there, wait for it"
                                         : "%s: cannot be written to",
                             copy->targets[i].name);
        (*ret_begun)++;
    }
    return 0;
}

static int run(struct copy *copy)
{
    cleanup_batch struct batch *batch = NULL;
    cleanup_links struct links *links = NULL;

    int r = batch_new(copy->settings->remove, note_named, copy, &batch);
    if (r == 0)
        r = links_new(&links);
    if (r < 0)
        return r;
    copy->batch = batch;
    copy->links = links;
    note_root(copy);
    r = visit_run(&copy->visit, copy->settings->jobs);
    end_all(copy);
    if (r == 0)
        r = atomic_load(&copy->result);
    return r == 0 && atomic_load(&copy->visit.progress->stop) ? -ECANCELED : r;
}

int copy_run(struct source *source, struct target targets[], size_t count,
             const struct copy_settings *settings, struct progress *progress)
{
    struct copy copy = {
        .visit = {.operations = &operations, .source = source, .progress = progress},
        .targets = targets,
        .count = count,
        .settings = settings,
    };
    size_t begun = 0;

    pthread_mutex_init(&copy.lock, NULL);
    int r = begin_targets(&copy, &begun);
    if (r == 0)
        r = run(&copy);
    while (begun > 0)
        target_end(&targets[--begun]);
    pthread_mutex_destroy(&copy.lock);
    return r;
}
