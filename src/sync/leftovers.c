/* SPDX-License-Identifier: MIT */
#include "sync/leftovers.h"

#include "tree/temporary.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum { RANDOM_LENGTH = 6, FOLDER_LENGTH = TEMPORARY_NAME_SIZE - 1 };

static bool is_folder_name(const char *name, size_t length)
{
    char copy[TEMPORARY_NAME_SIZE];

    if (length != FOLDER_LENGTH || strncmp(name, LEFT_FOLDER, strlen(LEFT_FOLDER)) != 0)
        return false;
    memcpy(copy, name, length);
    copy[length] = '\0';
    return temporary_is_name(copy);
}

bool leftovers_folder(const char *path, size_t *ret_length)
{
    for (const char *name = path;;) {
        size_t length = strcspn(name, "/");
        if (is_folder_name(name, length)) {
            *ret_length = (size_t)(name - path) + length;
            return true;
        }
        if (!name[length])
            return false;
        name += length + 1;
    }
}

/* Returns true for letters with digits behind them: "backup", "Backup", "BACKUP", "old123". */
static bool is_word(const char *text)
{
    const char *rest = text + strspn(text, UPPER);

    if (rest <= text + 1)
        rest += strspn(rest, LOWER);
    return !rest[strspn(rest, DIGITS)];
}

static bool is_random(const char *text)
{
    return strlen(text) == RANDOM_LENGTH && strspn(text, LOWER UPPER DIGITS) == RANDOM_LENGTH &&
           !is_word(text);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

bool leftovers_is_temporary(const char *path)
{
    const char *name = last_name(path), *dot = strrchr(name, '.');

    return *name == '.' && dot > name + 1 && is_random(dot + 1);
}

/* No link is followed. Returns as lstat(2) does, or a negative errno. */
static int look_at(const char *share, const char *path, size_t length, struct stat *ret)
{
    cleanup_free char *whole = NULL;

    if (asprintf(&whole, "%s/%.*s", share, (int)length, path) < 0)
        return -ENOMEM;
    return lstat(whole, ret) < 0 ? -errno : 0;
}

/* Whatever cannot be looked at may be there. */
static bool is_missing(const char *share, const char *path, size_t length)
{
    struct stat status;

    int r = look_at(share, path, length, &status);
    return r == -ENOENT || r == -ENOTDIR;
}

/* Returns true if the tree has the file of which PATH may be a part, or no such directory. */
static bool may_be_of_a_file(const char *share, const char *path)
{
    const char *name = last_name(path);
    size_t length = strlen(name) - strlen(".") - strlen(".XXXXXX");
    cleanup_free char *whole = NULL;
    struct stat status;

    if (is_missing(share, path, (size_t)(name - path)))
        return true;
    if (asprintf(&whole, "%.*s%.*s", (int)(name - path), path, (int)length, name + 1) < 0)
        return false;
    return look_at(share, whole, strlen(whole), &status) == 0 && !S_ISDIR(status.st_mode);
}

/* A node may name anything. */
static bool is_within(const char *path)
{
    if (!*path || *path == '/')
        return false;
    for (const char *at = path; (at = strstr(at, "..")); at++) {
        if ((at == path || at[-1] == '/') && (at[2] == '/' || !at[2]))
            return false;
    }
    return true;
}

static bool has_suffix(const char *path)
{
    size_t length = strlen(path);

    return length > strlen(LEFT_SUFFIX) &&
           strcmp(path + length - strlen(LEFT_SUFFIX), LEFT_SUFFIX) == 0;
}

/* Returns how much of PATH is to be removed; 0: nothing. */
static size_t length_to_remove(const char *share, const char *path)
{
    size_t length = strlen(path);
    bool is_left = leftovers_folder(path, &length) || has_suffix(path) ||
                   (leftovers_is_temporary(path) && may_be_of_a_file(share, path));

    return is_left && is_within(path) && is_missing(share, path, length) ? length : 0;
}

int leftovers_choose(const char *share, const struct names *found, struct names *chosen)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < found->count; i++) {
        const char *path = names_get(found, i);
        size_t length = length_to_remove(share, path);
        cleanup_free char *start = length > 0 ? strndup(path, length) : NULL;
        if (length > 0)
            r = start ? names_add(chosen, start) : -ENOMEM;
    }
    names_sort_unique(chosen);
    return r;
}

/* Makes the directories on the way to what PATH names, which is changed and put back. */
static int make_way(const char *folder, char *path, struct names *made)
{
    int r = 0;

    for (char *slash = path; r == 0 && (slash = strchr(slash, '/')); slash++) {
        cleanup_free char *whole = NULL;
        *slash = '\0';
        if (asprintf(&whole, "%s/%s", folder, path) < 0)
            r = -ENOMEM;
        else if (mkdir(whole, 0700) == 0)
            r = names_add(made, path);
        else
            r = errno == EEXIST ? 0 : -errno;
        *slash = '/';
    }
    return r;
}

/* What is no directory of the tree any more gets no time of it. */
static int copy_time(const char *share, const char *folder, const char *path)
{
    cleanup_free char *whole = NULL;
    struct stat status;

    int r = look_at(share, path, strlen(path), &status);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r < 0)
        return r;
    if (asprintf(&whole, "%s/%s", folder, path) < 0)
        return -ENOMEM;
    const struct timespec times[] = {status.st_mtim, status.st_mtim};
    return utimensat(AT_FDCWD, whole, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int leftovers_make_folders(const char *share, const struct names *paths, const char *folder)
{
    cleanup_names struct names made = NO_NAMES;

    int r = mkdir(folder, 0700) < 0 ? -errno : names_add(&made, "");
    for (size_t i = 0; r == 0 && i < paths->count; i++) {
        cleanup_free char *path = strdup(names_get(paths, i));
        r = path ? make_way(folder, path, &made) : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < made.count; i++)
        r = copy_time(share, folder, names_get(&made, i));
    return r;
}
