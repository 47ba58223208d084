/* SPDX-License-Identifier: MIT */
#include "sync/leftovers.h"

#include "trust/leftover.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DIGITS "0123456789"

enum { RANDOM_LENGTH = 6 };

bool leftovers_folder(const char *path, size_t *ret_length)
{
    for (const char *at = path; (at = strstr(at, LEFT_FOLDER)); at++) {
        const char *end = at + strlen(LEFT_FOLDER);
        end += strspn(end, DIGITS "abcdef");
        if ((at == path || at[-1] == '/') && end - at == strlen(LEFT_FOLDER "00") &&
            (!*end || *end == '/')) {
            *ret_length = (size_t)(end - path);
            return true;
        }
    }
    return false;
}

/* No link is followed. What cannot be looked at may be there. */
static bool is_missing(int share, const char *path)
{
    struct stat status;

    return fstatat(share, path, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
           (errno == ENOENT || errno == ENOTDIR);
}

/* Returns true if the tree has the file of which PATH may be a part, or no such directory. */
static bool may_be_of_a_file(int share, const char *path)
{
    const char *name = basename(path);
    int before = (int)(name - path), length = (int)strlen(name) - RANDOM_LENGTH - 2;
    cleanup_free char *folder = NULL, *whole = NULL;
    struct stat status;

    if (asprintf(&folder, "./%.*s", before, path) < 0 ||
        asprintf(&whole, "%s%.*s", folder, length, name + 1) < 0)
        return false;
    return is_missing(share, folder) ||
           (fstatat(share, whole, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(status.st_mode));
}

bool leftovers_is_partial(const char *path)
{
    size_t length = strlen(path);

    return length > strlen(LEFTOVER_SUFFIX) &&
           strcmp(path + length - strlen(LEFTOVER_SUFFIX), LEFTOVER_SUFFIX) == 0;
}

int leftovers_choose(const char *share, const struct names *found, struct names *chosen)
{
    cleanup_fd int folder = open(share, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = folder < 0 ? -errno : 0;

    for (size_t i = 0; r == 0 && i < found->count; i++) {
        cleanup_free char *path = strdup(names_get(found, i));
        if (!path)
            return -ENOMEM;
        size_t length = strlen(path);
        if (!*path || *path == '/' || path_goes_up(path) || /* a node may name anything */
            !(leftovers_folder(path, &length) || leftovers_is_partial(path) ||
              (leftover_is_of_rsync(basename(path)) && may_be_of_a_file(folder, path))))
            continue;
        path[length] = '\0';
        if (is_missing(folder, path))
            r = names_add(chosen, path);
    }
    names_sort_unique(chosen);
    return r;
}

int leftovers_make_folders(const char *share, const struct names *paths, const char *place)
{
    cleanup_fd int from = open(share, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int to = from < 0 ? -1 : open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_names struct names made = NO_NAMES;

    int r = to < 0 ? -errno : names_add(&made, ".");
    for (size_t i = 0; r == 0 && i < paths->count; i++) {
        cleanup_free char *path = strdup(names_get(paths, i));
        if (!path)
            return -ENOMEM;
        for (char *slash = path; r == 0 && (slash = strchr(slash, '/')); *slash++ = '/') {
            *slash = '\0';
            if (mkdirat(to, path, 0700) == 0)
                r = names_add(&made, path);
            else
                r = errno == EEXIST ? 0 : -errno;
        }
    }
    for (size_t i = 0; r == 0 && i < made.count; i++) {
        const char *path = names_get(&made, i);
        struct stat status;
        if (fstatat(from, path, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            const struct timespec times[] = {status.st_mtim, status.st_mtim};
            r = utimensat(to, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        } else if (errno != ENOENT && errno != ENOTDIR) /* of a directory that is in the tree */
            r = -errno;
    }
    return r;
}
