/* SPDX-License-Identifier: MIT */
#include "cli/locked_folder.h"

#include "base/log.h"
#include "cli/private_folder.h"
#include "tree/remove.h"
#include "tree/whereabouts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* of small folders, and of large ones */
static const char *const prefixes[] = {"zfec-fs-set-", "zfec-fs-fetched-"};

/*
 * Removes what a run left in FOLDER, and unmounts what it had mounted there. Returns true if
 * nothing is mounted there any more.
 */
static bool clear_folder(int folder, const char *path)
{
    static const struct removal_terms terms = {.made_here = true};
    DIR *list = opendir(path);
    struct directory_id here, there;
    bool all = true;

    for (struct dirent *entry; list && (entry = readdir(list));) {
        cleanup_free char *name = NULL;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            asprintf(&name, "%s/%s", path, entry->d_name) < 0)
            continue;
        if (unlink(name) == 0 || rmdir(name) == 0)
            continue;
        if (errno != ENOTEMPTY)
            private_folder_unmount(name);
        /* What is still mounted is on another device, and must not be removed. */
        cleanup_fd int fd = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && directory_identify(folder, &here) == 0 &&
            directory_identify(fd, &there) == 0 && here.device == there.device)
            remove_all(folder, entry->d_name, name, &terms);
        else if (fd >= 0)
            all = false;
    }
    if (list)
        closedir(list);
    return all;
}

/* Removes FOLDER. Processes of a killed run may still write to it for a moment before they end. */
static void remove_with_all(int folder, const char *path)
{
    enum { TRIES = 50 };
    static const struct timespec step = {.tv_nsec = 100000000};

    for (int i = 0; i < TRIES && clear_folder(folder, path); i++) {
        if (rmdir(path) == 0 || errno != ENOTEMPTY)
            return;
        nanosleep(&step, NULL);
    }
}

/* Removes the folders that killed runs left. */
static void remove_abandoned(bool large)
{
    const char *prefix = prefixes[large], *base = private_folder_base(large);
    DIR *list = opendir(base);

    for (struct dirent *entry; list && (entry = readdir(list));) {
        cleanup_free char *path = NULL;
        struct stat status;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            asprintf(&path, "%s/%s", base, entry->d_name) < 0)
            continue;
        cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &status) < 0 || status.st_uid != geteuid() ||
            flock(fd, LOCK_EX | LOCK_NB) < 0)
            continue;
        remove_with_all(fd, path);
    }
    if (list)
        closedir(list);
}

void locked_folders_sweep(void)
{
    remove_abandoned(false);
    remove_abandoned(true);
}

int locked_folder_make(bool large, struct locked_folder *ret)
{
    int r = private_folder_make(large, prefixes[large], &ret->path);

    if (r < 0)
        return r;
    ret->lock = open(ret->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->lock < 0 || flock(ret->lock, LOCK_EX | LOCK_NB) < 0)
        return log_errno(-errno, "%s", ret->path);
    remove_abandoned(large);
    return 0;
}

void locked_folder_remove(struct locked_folder *folder)
{
    if (!folder->path)
        return;
    remove_with_all(folder->lock, folder->path);
    cleanup_close_fd(&folder->lock);
    free(steal_pointer(folder->path));
}
