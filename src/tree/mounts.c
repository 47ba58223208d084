/* SPDX-License-Identifier: MIT */
#include "tree/mounts.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/lock.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Types of file systems, as /proc/self/mountinfo has them, without what follows a dot. */

/* Networks, clusters, hosts of virtual machines, and what programs serve. */
static const char *const remote_types[] = {
    "fuse",   "fuseblk", "virtiofs", "9p",     "vboxsf",   "vmhgfs", "hgfs",       "prl_fs",
    "hostfs", "drvfs",   "nfs",      "nfs4",   "cifs",     "smb3",   "smbfs",      "ncpfs",
    "afs",    "coda",    "ceph",     "lustre", "beegfs",   "fhgfs",  "auristorfs", "gpfs",
    "panfs",  "wekafs",  "pvfs2",    "ibrix",  "orangefs", "acfs",   "glusterfs",  "gfs",
    "gfs2",   "ocfs2",   "cvfs",     "snfs",   "davfs",    "sshfs",  "autofs",     NULL,
};

static const char *const pseudo_types[] = {
    "proc",       "sysfs",  "devtmpfs", "devpts",   "cgroup",    "cgroup2",    "debugfs",
    "tracefs",    "bpf",    "pstore",   "efivarfs", "selinuxfs", "securityfs", "configfs",
    "fusectl",    "mqueue", "resctrl",  "nsfs",     "smackfs",   "hugetlbfs",  "binfmt_misc",
    "rpc_pipefs", "pipefs", "sockfs",   "nfsd",     NULL,
};

/* The table of mounts, and its line that was read last. */
struct mount_table {
    FILE *file;
    char *line;
    size_t room;
    dev_t device;
    const char *point, *rest; /* "fuse.sshfs host:/home rw,..." */
};

static void open_table(struct mount_table *table)
{
    *table = (struct mount_table){.file = fopen("/proc/self/mountinfo", "re")};
}

static void close_table(struct mount_table *table)
{
    if (table->file)
        fclose(table->file);
    free(table->line);
}

/* Turns the \040 and the like of the table back into the bytes that they stand for. */
static void unescape_octal(char *text)
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

/* Reads "36 35 98:0 /root /point options - type source ..."; see proc(5). False: no more lines. */
static bool next_mount(struct mount_table *table)
{
    while (table->file && getline(&table->line, &table->room, table->file) >= 0) {
        unsigned major_number, minor_number;
        int start, end;
        const char *rest = strstr(table->line, " - ");
        if (!rest || sscanf(table->line, "%*d %*d %u:%u %*s %n%*s%n", &major_number, &minor_number,
                            &start, &end) != 2)
            continue;
        table->line[end] = '\0';
        unescape_octal(table->line + start);
        table->device = makedev(major_number, minor_number);
        table->point = table->line + start;
        table->rest = rest + 3;
        return true;
    }
    return false;
}

static bool is_of_type(const struct mount_table *mount, const char *const types[])
{
    size_t length = strcspn(mount->rest, ". ");

    for (; *types; types++) {
        if (strlen(*types) == length && strncmp(mount->rest, *types, length) == 0)
            return true;
    }
    return false;
}

static bool is_on_the_way(const struct mount_table *mount, const char *path)
{
    size_t length = strcmp(mount->point, "/") == 0 ? 0 : strlen(mount->point);

    return strncmp(path, mount->point, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* Returns true if DEVICE is mounted somewhere, and of one of these types. */
static bool device_is_of_type(dev_t device, const char *const types[])
{
    CLEANUP(close_table) struct mount_table table;

    open_table(&table);
    while (next_mount(&table)) {
        if (table.device == device)
            return is_of_type(&table, types);
    }
    return false;
}

bool mounts_is_remote(dev_t device)
{
    return device_is_of_type(device, remote_types);
}

bool mounts_is_pseudo(dev_t device)
{
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
    size_t i = 0;

    HOLD(&memory.lock);
    if (memory.table < 0)
        memory.table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    struct pollfd changes = {.fd = memory.table, .events = POLLPRI};
    if (memory.table < 0 || poll(&changes, 1, 0) != 0)
        memory.count = 0;
    while (i < memory.count && memory.known[i].device != device)
        i++;
    if (i == COUNT_OF(memory.known))
        i = memory.count = 0;
    if (i == memory.count) {
        memory.known[i].device = device;
        memory.known[i].pseudo = device_is_of_type(device, pseudo_types);
        memory.count++;
    }
    return memory.known[i].pseudo;
}

bool mounts_is_at(dev_t device, const char *path)
{
    CLEANUP(close_table) struct mount_table table;
    size_t longest = 0;
    bool found = false;

    open_table(&table);
    while (next_mount(&table)) {
        /* Of those on the way the longest counts, and the last one of these: it lies on top. */
        if (is_on_the_way(&table, path) && strlen(table.point) >= longest) {
            longest = strlen(table.point);
            found = table.device == device;
        }
    }
    return found;
}

bool mounts_are_ours(const char *path)
{
    static const char type[] = "fuse.zfec-fs ";
    CLEANUP(close_table) struct mount_table table;

    open_table(&table);
    while (next_mount(&table)) {
        if (strcmp(path, table.point) == 0 && strncmp(table.rest, type, strlen(type)) == 0)
            return true;
    }
    return false;
}

/* Returns true if PATH leads through a FUSE server that lets no one in but its user. */
static bool is_behind_private_server(const char *path)
{
    static const char *const types[] = {"fuse", "fuseblk", NULL};
    CLEANUP(close_table) struct mount_table table;

    open_table(&table);
    while (next_mount(&table)) {
        const char *options = strrchr(table.rest, ' ');
        if (is_on_the_way(&table, path) && is_of_type(&table, types) &&
            !(options && strstr(options, "allow_other")))
            return true;
    }
    return false;
}

int mounts_closed_way(const char *path, bool *ret)
{
    cleanup_free char *way = realpath(path, NULL);
    struct statx status;

    if (!way)
        return -errno;
    bool closed = is_behind_private_server(way);
    for (char *slash; !closed && (slash = strrchr(way, '/'));) {
        bool is_root = slash == way;
        slash[is_root] = '\0'; /* "/" itself comes last */
        /* From the kernel's memory, which the way there has filled: its file system may hang. */
        if (statx(AT_FDCWD, way, AT_STATX_DONT_SYNC, STATX_MODE, &status) < 0)
            return -errno;
        closed = !(status.stx_mode & S_IXOTH);
        if (is_root)
            break;
    }
    *ret = closed;
    return 0;
}
