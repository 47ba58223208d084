/* SPDX-License-Identifier: MIT */
#include "tree/mounts.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Types of file systems, as /proc/self/mountinfo has them, without what follows a dot. */

/* Networks, clusters, hosts of virtual machines, and what programs serve. */
static const char *const remote[] = {
    "fuse",   "fuseblk", "virtiofs", "9p",     "vboxsf",   "vmhgfs", "hgfs",       "prl_fs",
    "hostfs", "drvfs",   "nfs",      "nfs4",   "cifs",     "smb3",   "smbfs",      "ncpfs",
    "afs",    "coda",    "ceph",     "lustre", "beegfs",   "fhgfs",  "auristorfs", "gpfs",
    "panfs",  "wekafs",  "pvfs2",    "ibrix",  "orangefs", "acfs",   "glusterfs",  "gfs",
    "gfs2",   "ocfs2",   "cvfs",     "snfs",   "davfs",    "sshfs",  "autofs",
};

static const char *const pseudo[] = {
    "proc",       "sysfs",  "devtmpfs", "devpts",   "cgroup",    "cgroup2",    "debugfs",
    "tracefs",    "bpf",    "pstore",   "efivarfs", "selinuxfs", "securityfs", "configfs",
    "fusectl",    "mqueue", "resctrl",  "nsfs",     "smackfs",   "hugetlbfs",  "binfmt_misc",
    "rpc_pipefs", "pipefs", "sockfs",   "nfsd",
};

/* TYPE begins a line's rest: "fuse.sshfs host:/home rw,...". */
static bool is_one_of(const char *type, const char *const types[], size_t count)
{
    size_t length = strcspn(type, ". ");

    for (size_t i = 0; i < count; i++) {
        if (strlen(types[i]) == length && strncmp(type, types[i], length) == 0)
            return true;
    }
    return false;
}

static void close_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* A line of the table. */
struct mount {
    dev_t device;
    char *point;
    const char *type;
};

/* Turns the \040 and the like of the table back into the bytes that they stand for. */
static void unescape(char *text)
{
    char *end = text;

    for (; *text; text++) {
        unsigned byte;
        if (text[0] == '\\' && sscanf(text + 1, "%3o", &byte) == 1) {
            *end++ = (char)byte;
            text += 3;
        } else {
            *end++ = *text;
        }
    }
    *end = '\0';
}

/* Reads "36 35 98:0 /root /point options - type source ..."; see proc(5). */
static bool read_mount(char *line, struct mount *ret)
{
    unsigned major_number, minor_number;
    int start, end;
    const char *type = strstr(line, " - ");

    if (!type ||
        sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &major_number, &minor_number, &start, &end) != 2)
        return false;
    line[end] = '\0';
    unescape(line + start);
    *ret = (struct mount){makedev(major_number, minor_number), line + start, type + 3};
    return true;
}

static bool leads_to(const char *path, const char *point)
{
    size_t length = strcmp(point, "/") == 0 ? 0 : strlen(point);

    return strncmp(path, point, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Returns true if DEVICE is mounted somewhere, and of one of these types. */
static bool is_of_type(dev_t device, const char *const types[], size_t count)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0;

    while (table && getline(&line, &room, table) >= 0) {
        if (read_mount(line, &mount) && mount.device == device)
            return is_one_of(mount.type, types, count);
    }
    return false;
}

bool mounts_is_remote(dev_t device)
{
    return is_of_type(device, remote, COUNT_OF(remote));
}

/* What was found out of devices, as long as the table stays the same. */
static struct {
    pthread_mutex_t lock;
    int table; /* tells by poll(2) that it has changed; -1: not open yet */
    size_t count;
    struct {
        dev_t device;
        bool pseudo;
    } known[64];
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER, .table = -1};

/* With the lock held. */
static void forget_if_changed(void)
{
    if (memory.table < 0)
        memory.table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    struct pollfd changes = {.fd = memory.table, .events = POLLPRI};
    if (memory.table < 0 || poll(&changes, 1, 0) != 0)
        memory.count = 0;
}

bool mounts_is_pseudo(dev_t device)
{
    pthread_mutex_lock(&memory.lock);
    forget_if_changed();
    size_t i = 0;
    while (i < memory.count && memory.known[i].device != device)
        i++;
    if (i == COUNT_OF(memory.known))
        i = memory.count = 0;
    if (i == memory.count) {
        memory.known[i].device = device;
        memory.known[i].pseudo = is_of_type(device, pseudo, COUNT_OF(pseudo));
        memory.count++;
    }
    bool found = memory.known[i].pseudo;
    pthread_mutex_unlock(&memory.lock);
    return found;
}

bool mounts_is_at(dev_t device, const char *path)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0, longest = 0;
    bool found = false;

    while (table && getline(&line, &room, table) >= 0) {
        /* Of those on the way the longest counts, and the last one of these: it lies on top. */
        if (!read_mount(line, &mount) || !leads_to(path, mount.point) ||
            strlen(mount.point) < longest)
            continue;
        longest = strlen(mount.point);
        found = mount.device == device;
    }
    return found;
}

bool mounts_are_ours(const char *path)
{
    static const char type[] = "fuse.zfec-fs ";
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0;
    bool found = false;

    while (table && !found && getline(&line, &room, table) >= 0)
        found = read_mount(line, &mount) && strcmp(path, mount.point) == 0 &&
                strncmp(mount.type, type, strlen(type)) == 0;
    return found;
}

/* Returns true for a FUSE server whose options, which end LINE, let no one in but its user. */
static bool is_private(const char *line, const struct mount *mount)
{
    static const char *const types[] = {"fuse", "fuseblk"};
    const char *options = strrchr(line, ' ');

    return is_one_of(mount->type, types, COUNT_OF(types)) &&
           !(options && strstr(options, "allow_other"));
}

bool mounts_are_private(const char *path)
{
    CLEANUP(close_file) FILE *table = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    struct mount mount;
    size_t room = 0;
    bool found = false;

    while (table && !found && getline(&line, &room, table) >= 0)
        found = read_mount(line, &mount) && leads_to(path, mount.point) &&
                is_private(mount.type, &mount);
    return found;
}
