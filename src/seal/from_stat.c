/* SPDX-License-Identifier: MIT */
#include "seal/from_stat.h"

#include "base/times.h"
#include "share/format.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
    ROOM_AT_FIRST = 1024, /* bytes for the system's entry of a user or a group */
    ROOM_MAX = 1 << 20,   /* a group may have many members */
};

struct owner_name {
    uint32_t number;
    char *name; /* NULL: the system has none */
};

/* Like getpwuid_r(3): sets RET to the name of NUMBER, in memory of SIZE bytes, or to NULL. */
typedef int ask(uint32_t number, char *bytes, size_t size, const char **ret);

static int ask_user(uint32_t number, char *bytes, size_t size, const char **ret)
{
    struct passwd user, *found = NULL;

    int error = getpwuid_r(number, &user, bytes, size, &found);
    *ret = found ? user.pw_name : NULL;
    return error;
}

static int ask_group(uint32_t number, char *bytes, size_t size, const char **ret)
{
    struct group group, *found = NULL;

    int error = getgrgid_r(number, &group, bytes, size, &found);
    *ret = found ? group.gr_name : NULL;
    return error;
}

/* If the system cannot tell, there is no name. */
static int ask_system(ask *system, uint32_t number, char **ret)
{
    const char *name = NULL;
    int error = ERANGE;

    *ret = NULL;
    for (size_t room = ROOM_AT_FIRST; error == ERANGE && room <= ROOM_MAX; room *= 4) {
        cleanup_free char *bytes = malloc(room);
        if (!bytes)
            return -ENOMEM;
        error = system(number, bytes, room, &name);
        if (error == 0 && name) {
            *ret = strdup(name);
            return *ret ? 0 : -ENOMEM;
        }
    }
    return error == ENOMEM ? -ENOMEM : 0;
}

/* Returns the place of NUMBER among the names, or where it would be inserted. */
static size_t find_owner(const struct owner_names *names, uint32_t number)
{
    size_t first = 0, end = names->count;

    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (names->items[middle].number < number)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* Asks for the name of NUMBER, and inserts it at PLACE. */
static int learn(struct owner_names *names, ask *system, uint32_t number, size_t place)
{
    struct owner_name *items = reallocarray(names->items, names->count + 1, sizeof *names->items);
    if (!items)
        return -ENOMEM;
    names->items = items;
    char *name;
    int r = ask_system(system, number, &name);
    if (r < 0)
        return r;
    memmove(items + place + 1, items + place, (names->count - place) * sizeof *items);
    items[place] = (struct owner_name){number, name};
    names->count++;
    return 0;
}

/* Sets RET to a copy of the name of NUMBER, or to NULL. */
static int copy_name(struct owner_names *names, ask *system, uint32_t number, char **ret)
{
    size_t place = find_owner(names, number);
    int r = 0;

    if (place == names->count || names->items[place].number != number)
        r = learn(names, system, number, place);
    const char *name = r == 0 ? names->items[place].name : NULL;
    *ret = name ? strdup(name) : NULL;
    return r == 0 && name && !*ret ? -ENOMEM : r;
}

int attributes_from_stat(struct owners *owners, const struct stat *status, char *target,
                         struct xattrs *xattrs, struct manifest_attributes *ret)
{
    bool is_device = S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode);

    *ret = (struct manifest_attributes){
        .mode = status->st_mode,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .mtime_ns = header_time(&status->st_mtim),
        .size = S_ISREG(status->st_mode) ? (uint64_t)status->st_size : 0,
        .target = target,
        .major = is_device ? major(status->st_rdev) : 0,
        .minor = is_device ? minor(status->st_rdev) : 0,
    };
    if (xattrs) {
        ret->xattrs = *xattrs;
        *xattrs = NO_XATTRS;
    }
    int r = copy_name(&owners->users, ask_user, status->st_uid, &ret->user);
    return r < 0 ? r : copy_name(&owners->groups, ask_group, status->st_gid, &ret->group);
}

void attributes_to_stat(const struct manifest_attributes *attributes, struct stat *ret)
{
    uint64_t size = attributes->target ? strlen(attributes->target) : attributes->size;

    *ret = (struct stat){
        .st_mode = attributes->mode,
        .st_nlink = 1,
        .st_uid = attributes->uid,
        .st_gid = attributes->gid,
        .st_size = (off_t)size,
        .st_rdev = makedev(attributes->major, attributes->minor),
        .st_mtim = times_of_ns(attributes->mtime_ns),
    };
}

static void names_of_owners_clear(struct owner_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].name);
    free(names->items);
}

void owners_clear(struct owners *owners)
{
    names_of_owners_clear(&owners->users);
    names_of_owners_clear(&owners->groups);
    *owners = NO_OWNERS;
}
