/* SPDX-License-Identifier: MIT */
#include "tree/mounts.h"

#include "base/cleanup.h"
#include "base/lock.h"
#include "base/shortage.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

enum { READINGS_MAX = 1000 }; /* of a table that changes all the time */

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

struct mount {
    dev_t device;
    const char *point, *rest; /* "fuse.sshfs host:/home rw,..." */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* /proc/self/mountinfo, as long as it stays the same. */
static struct mount_table {
    FILE *file;
    bool tells; /* by poll(2), when it has changed; a stand-in for the kernel's does not */
    char *text; /* which the mounts point to */
    size_t count;
    struct mount *mounts;
} table;

static void forget_table(void)
{
    if (table.file)
        fclose(table.file);
    free(table.text);
    free(table.mounts);
    table = (struct mount_table){.file = NULL};
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

/* Takes a line: "36 35 98:0 /root /point options - type source ..."; see proc(5). */
static void add_mount(char *line)
{
    unsigned major_number, minor_number;
    int start, end;
    const char *rest = strstr(line, " - ");

    if (!rest ||
        sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &major_number, &minor_number, &start, &end) != 2)
        return;
    line[end] = '\0';
    unescape_octal(line + start);
    table.mounts[table.count++] =
        (struct mount){makedev(major_number, minor_number), line + start, rest + 3};
}

static int parse_table(void)
{
    size_t lines = 0;

    for (const char *at = table.text; (at = strchr(at, '\n')); at++)
        lines++;
    table.mounts = calloc(lines + 1, sizeof *table.mounts);
    if (!table.mounts)
        return -ENOMEM;
    for (char *rest = table.text, *line; (line = strsep(&rest, "\n")) && rest;)
        add_mount(line);
    return 0;
}

static bool has_changed(void)
{
    struct pollfd changes = {.fd = fileno(table.file), .events = POLLPRI};

    return poll(&changes, 1, 0) != 0;
}

/*
 * The kernel gives a page at a time. What comes or goes between two of these may hide other lines,
 * so that only what stayed the same meanwhile is believed.
 */
static int read_table(void)
{
    cleanup_free char *text = NULL;
    struct statfs status;
    size_t room = 0;

    table.file = fopen("/proc/self/mountinfo", "re");
    if (!table.file)
        return -errno;
    table.tells = fstatfs(fileno(table.file), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
    for (unsigned tries = 0; tries < READINGS_MAX; tries++) {
        errno = ENODATA; /* at its end at once */
        if (getdelim(&text, &room, '\0', table.file) < 0)
            return -errno;
        if (!has_changed()) {
            table.text = steal_pointer(text);
            return parse_table();
        }
        rewind(table.file);
    }
    return -EAGAIN;
}

/*
 * Sees that TABLE is what the kernel has now. Returns 0 or a shortage, which is no answer to any
 * question. Where the table cannot be had at all, as without /proc, no mounts are known. The lock
 * is held.
 */
static int refresh(void)
{
    if (table.tells && !has_changed())
        return 0;
    forget_table();
    int r = read_table();
    if (r < 0)
        forget_table();
    return is_shortage(r) ? r : 0;
}

static bool is_of_type(const struct mount *mount, const char *const types[])
{
    size_t length = strcspn(mount->rest, ". ");

    for (; *types; types++) {
        if (strlen(*types) == length && strncmp(mount->rest, *types, length) == 0)
            return true;
    }
    return false;
}

/* Whether PROGRAM answers for it, by FUSE. */
static bool is_served_by(const struct mount *mount, const char *program)
{
    static const char type[] = "fuse.";
    size_t length = strcspn(mount->rest, " ");

    return length == strlen(type) + strlen(program) &&
           strncmp(mount->rest, type, strlen(type)) == 0 &&
           strncmp(mount->rest + strlen(type), program, strlen(program)) == 0;
}

static bool is_on_the_way(const struct mount *mount, const char *path)
{
    size_t length = strcmp(mount->point, "/") == 0 ? 0 : strlen(mount->point);

    return strncmp(path, mount->point, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* Returns 1 if DEVICE is mounted somewhere, and of one of these types, else 0; or a shortage. */
static int device_is_of_type(dev_t device, const char *const types[])
{
    HOLD(&lock);
    int r = refresh();

    for (size_t i = 0; r == 0 && i < table.count; i++) {
        if (table.mounts[i].device == device)
            return is_of_type(&table.mounts[i], types);
    }
    return r;
}

int mounts_is_remote(dev_t device)
{
    return device_is_of_type(device, remote_types);
}

int mounts_is_pseudo(dev_t device)
{
    return device_is_of_type(device, pseudo_types);
}

int mounts_is_of_rclone(dev_t device)
{
    HOLD(&lock);
    int r = refresh();
    for (size_t i = 0; r == 0 && i < table.count; i++)
        r = table.mounts[i].device == device && is_served_by(&table.mounts[i], "rclone");
    return r;
}

int mounts_is_at(dev_t device, const char *path)
{
    const struct mount *top = NULL;

    HOLD(&lock);
    int r = refresh();
    for (size_t i = 0; r == 0 && i < table.count; i++) {
        const struct mount *mount = &table.mounts[i];
        /* Of those on the way the longest counts, and the last one of these: it lies on top. */
        if (is_on_the_way(mount, path) && (!top || strlen(mount->point) >= strlen(top->point)))
            top = mount;
    }
    return r < 0 ? r : top && top->device == device;
}

int mounts_are_ours(const char *path)
{
    HOLD(&lock);
    int r = refresh();
    for (size_t i = 0; r == 0 && i < table.count; i++)
        r = strcmp(path, table.mounts[i].point) == 0 && is_served_by(&table.mounts[i], "zfec-fs");
    return r;
}

/* Returns 1 if PATH leads through a FUSE server that lets no one in but its user, else 0; or a
 * shortage. */
static int is_behind_private_server(const char *path)
{
    static const char *const types[] = {"fuse", "fuseblk", NULL};

    HOLD(&lock);
    int r = refresh();
    for (size_t i = 0; r == 0 && i < table.count; i++) {
        const struct mount *mount = &table.mounts[i];
        const char *options = strrchr(mount->rest, ' ');
        r = is_on_the_way(mount, path) && is_of_type(mount, types) &&
            !(options && strstr(options, "allow_other"));
    }
    return r;
}

int mounts_closed_way(const char *path, bool *ret)
{
    cleanup_free char *way = realpath(path, NULL);
    struct statx status;

    if (!way)
        return -errno;
    int closed = is_behind_private_server(way);
    if (closed < 0)
        return closed;
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
