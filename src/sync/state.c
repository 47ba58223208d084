/* SPDX-License-Identifier: MIT */
#include "sync/state.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "share/format.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
    LOOK_MS = 50,
    LOCK_LIMIT_S = 1,    /* a run that only looks whether somebody has it has it for less */
    WATCH_LIMIT_S = 120, /* a program may run that tells of a problem */
};

#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

int state_folder(char **ret)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    const char *above = state && *state == '/' ? state
                        : geteuid() == 0       ? "/var/lib"
                        : home && *home == '/' ? home
                                               : NULL;

    if (!above)
        return log_as(-ENOENT, "no directory for the state; set HOME or XDG_STATE_HOME");
    if (asprintf(ret, "%s%s/zfec-fs", above, above == home ? "/.local/state" : "") < 0) {
        *ret = NULL;
        return log_errno(-ENOMEM, "the directory for the state");
    }
    return 0;
}

int state_make_folder(char *folder)
{
    for (char *end = folder; *end;) {
        end = strchrnul(end + 1, '/');
        char kept = *end;
        *end = '\0';
        int r = mkdir(folder, kept ? 0755 : 0700) < 0 && errno != EEXIST ? -errno : 0;
        *end = kept;
        if (r < 0)
            return log_errno(r, "%s: cannot be made", folder);
    }
    return 0;
}

/* Waits for SECONDS at most. Returns 0 or a negative errno after one line in the log; -EBUSY. */
static int take_lock(const char *folder, const char *set, int seconds, int *ret_fd)
{
    cleanup_free char *path = NULL;
    double until = clock_seconds() + seconds;

    if (asprintf(&path, "%s/%s.lock", folder, set) < 0)
        return -ENOMEM;
    cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return log_errno(-errno, "%s", path);
        if (clock_seconds() >= until)
            return log_as(-EBUSY, "%s: another run of this set is under way; wait for its end",
                          set);
        poll(NULL, 0, LOOK_MS);
    }
    if (fd < 0)
        return log_errno(-errno, "%s", path);
    *ret_fd = steal_fd(&fd);
    return 0;
}

int state_lock(const char *folder, const char *set, int *ret_fd)
{
    return take_lock(folder, set, LOCK_LIMIT_S, ret_fd);
}

/* The lock is taken for a moment, if nobody has it. */
struct state_look state_look(const char *folder, const char *set)
{
    cleanup_free char *lock = NULL, *state = NULL;
    struct state_look ret = {0};
    struct stat status;

    if (asprintf(&lock, "%s/%s.lock", folder, set) < 0 ||
        asprintf(&state, "%s/%s.json", folder, set) < 0)
        return ret;
    cleanup_fd int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ret.is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (stat(state, &status) == 0) {
        ret.inode = status.st_ino;
        ret.written = status.st_ctim;
    }
    return ret;
}

bool state_was_written(const struct state_look *before, const struct state_look *after)
{
    return before->is_locked || after->is_locked || before->inode != after->inode ||
           before->written.tv_sec != after->written.tv_sec ||
           before->written.tv_nsec != after->written.tv_nsec;
}

int watch_lock(const char *folder, const char *set, char **ret, int *ret_fd)
{
    if (asprintf(ret, "%s/watch", folder) < 0) {
        *ret = NULL;
        return -ENOMEM;
    }
    int r = state_make_folder(*ret);
    return r < 0 ? r : take_lock(*ret, set, WATCH_LIMIT_S, ret_fd);
}

struct time_text time_text(time_t time)
{
    struct time_text ret = {""};
    struct tm parts;

    if (time != 0 && gmtime_r(&time, &parts))
        strftime(ret.text, sizeof ret.text, TIME_FORMAT, &parts);
    return ret;
}

static const char *text_in(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text ? text : "";
}

/* Returns 0 where TEXT, which may be NULL, is no time. */
static time_t time_of(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text ? text : "", TIME_FORMAT, &parts);

    return end && !*end ? timegm(&parts) : 0;
}

static time_t time_in(const json_t *entry, const char *key)
{
    return time_of(text_in(entry, key));
}

static uint64_t count_in(const json_t *entry, const char *key)
{
    json_int_t count = json_integer_value(json_object_get(entry, key));

    return count > 0 ? (uint64_t)count : 0;
}

/* Reads a list of texts; of anything else, nothing. Returns 0 or -ENOMEM. */
static int read_names(const json_t *list, struct names *ret)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name) {
            names_clear(ret);
            return 0;
        }
        if (names_add(ret, name) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* Returns true if ENTRY was written of the same share at the same place. */
static bool is_of(const json_t *entry, const struct sync_node *node)
{
    char share[3];

    snprintf(share, sizeof share, "%02x", (uint8_t)node->share);
    return strcmp(text_in(entry, "target"), node->target) == 0 &&
           strcmp(text_in(entry, "share"), share) == 0;
}

static int read_node(const json_t *entry, struct sync_node *node)
{
    struct memory *memory = &node->memory;

    if (!is_of(entry, node))
        return 0;
    memory->tried = time_in(entry, "tried");
    memory->begun = time_in(entry, "begun");
    memory->as_of = time_in(entry, "as_of");
    memory->differs_since = time_in(entry, "differs_since");
    memory->unfinished_since = time_in(entry, "unfinished_since");
    memory->filling_since = time_in(entry, "filling_since");
    memory->first_tried = time_in(entry, "first_tried");
    memory->checked = time_in(entry, "checked");
    memory->compared = count_in(entry, "compared");
    memory->counted = time_in(entry, "counted");
    memory->surplus = count_in(entry, "surplus");
    memory->files = count_in(entry, "files");
    memory->bytes = count_in(entry, "bytes");
    memory->up_to_date = json_is_true(json_object_get(entry, "up_to_date"));
    snprintf(memory->encoding, sizeof memory->encoding, "%s", text_in(entry, "encoding"));
    snprintf(memory->error, sizeof memory->error, "%s", text_in(entry, "error"));
    snprintf(memory->mount, sizeof memory->mount, "%s", text_in(entry, "mount"));
    return read_names(json_object_get(entry, "different"), &memory->different);
}

void state_encoding(const struct encoding *encoding, char ret[ENCODING_SIZE])
{
    const char *name = formats[encoding->format]->name;

    if (encoding->format == SHARE_FEC) /* which alone writes the number of shares down */
        snprintf(ret, ENCODING_SIZE, "%s, %u of %u", name, encoding->required, encoding->shares);
    else if (formats[format_read_as(encoding->format)]->has_checks)
        snprintf(ret, ENCODING_SIZE, "%s, %u, %u", name, encoding->required,
                 (unsigned)encoding->block_size);
    else
        snprintf(ret, ENCODING_SIZE, "%s, %u", name, encoding->required);
}

/* Reads what is in the file of SET in a directory, and in its object "nodes". */
static int read_whole(const char *folder, const char *set, json_t **ret, const json_t **ret_nodes)
{
    cleanup_free char *path = NULL;
    json_error_t error;

    *ret = NULL;
    if (asprintf(&path, "%s/%s.json", folder, set) < 0)
        return log_errno(-ENOMEM, "%s: its state", set);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : log_errno(-errno, "%s", path);
    *ret = json_loadfd(fd, 0, &error);
    *ret_nodes = json_object_get(*ret, "nodes");
    if (json_is_object(*ret_nodes))
        return 0;
    log_warning("%s: corrupt state file, ignored: %s", path, *ret ? "it has no nodes" : error.text);
    return -EBADMSG;
}

/* What check has found of a node. */
static void read_checked(const json_t *entry, struct sync_node *node)
{
    struct memory *memory = &node->memory;

    if (!is_of(entry, node))
        return;
    memory->looked = time_in(entry, "looked");
    memory->bad = count_in(entry, "bad");
    memory->unread = time_in(entry, "unread");
    for (size_t i = 0; i < COUNT_OF(memory->read); i++) {
        const json_t *read = json_array_get(json_object_get(entry, "read"), i);
        memory->read[i] = json_is_false(read) ? SLICE_ILL : time_of(json_string_value(read));
    }
}

static json_t *checked_json(const struct sync_node *node)
{
    const struct memory *memory = &node->memory;
    json_t *read = json_array();

    for (size_t i = 0; i < COUNT_OF(memory->read); i++)
        json_array_append_new(read, memory->read[i] == SLICE_ILL ? json_false()
                                    : memory->read[i] == 0       ? json_null()
                                                                 : time_json(memory->read[i]));
    return json_pack("{s:s, s:o, s:o*, s:I, s:o*, s:o}", "target", node->target, "share",
                     json_sprintf("%02x", (uint8_t)node->share), "looked",
                     time_json(memory->looked), "bad", (json_int_t)memory->bad, "unread",
                     time_json(memory->unread), "read", read);
}

/* Without it, only what was reported and what was read are forgotten. */
static int read_watch(const char *folder, struct sync_set *set)
{
    cleanup_free char *within = NULL;
    struct watch *watch = &set->watch;
    const json_t *nodes;
    json_t *whole;

    if (asprintf(&within, "%s/watch", folder) < 0)
        return -ENOMEM;
    int r = read_whole(within, set->name, &whole, &nodes) == 0
                ? read_names(json_object_get(whole, "told"), &watch->told)
                : 0;
    watch->sync = (int)count_in(whole, "sync");
    watch->check = (int)count_in(whole, "check");
    for (size_t i = 0; whole && i < set->count; i++)
        read_checked(json_object_get(nodes, set->nodes[i].name), &set->nodes[i]);
    json_decref(whole);
    return r;
}

int state_read(const char *folder, struct sync_set *set)
{
    const json_t *nodes;
    json_t *whole;

    sets_forget(set);
    set->under_way = state_look(folder, set->name).is_locked;
    int watched = read_watch(folder, set), r = read_whole(folder, set->name, &whole, &nodes);
    set->root_ns = (int64_t)count_in(whole, "root_ns");
    for (size_t i = 0; r == 0 && i < set->count; i++)
        r = read_node(json_object_get(nodes, set->nodes[i].name), &set->nodes[i]);
    json_decref(whole);
    r = watched < 0 ? watched : r;
    return r == -ENOMEM ? log_errno(r, "%s: its state", set->name) : r;
}

json_t *time_json(time_t time)
{
    return time > 0 ? json_string(time_text(time).text) : NULL;
}

json_t *count_json(uint64_t count, time_t known_since)
{
    return known_since > 0 ? json_integer((json_int_t)count) : NULL;
}

/* Returns them as a list; NULL where there are none, or one is no UTF-8. */
static json_t *names_json(const struct names *names)
{
    json_t *array = names->count > 0 ? json_array() : NULL;

    for (size_t i = 0; array && i < names->count; i++) {
        if (json_array_append_new(array, json_string(names_get(names, i))) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *node_json(const struct sync_node *node)
{
    const struct memory *memory = &node->memory;
    json_t *error = *memory->error ? json_string(memory->error) : NULL;

    if (*memory->error && !error) /* it is not UTF-8 */
        error = json_string("it failed");
    return json_pack(
        "{s:s, s:o, s:o*, s:b, s:o*, s:o?, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:s, s:o*, s:o*, "
        "s:o*, s:o*, s:o*, s:o*, s:o*}",
        "target", node->target, "share", json_sprintf("%02x", (uint8_t)node->share), "mount",
        *memory->mount ? json_string(memory->mount) : NULL, "up_to_date", memory->up_to_date,
        "tried", time_json(memory->tried), "as_of", time_json(memory->as_of), "first_tried",
        time_json(memory->first_tried), "error", error, "differs_since",
        time_json(memory->differs_since), "different", names_json(&memory->different),
        "unfinished_since", time_json(memory->unfinished_since), "filling_since",
        time_json(memory->filling_since), "encoding", memory->encoding, "files",
        count_json(memory->files, memory->as_of), "bytes", count_json(memory->bytes, memory->as_of),
        "checked", time_json(memory->checked), "compared",
        count_json(memory->compared, memory->checked), "counted", time_json(memory->counted),
        "surplus", count_json(memory->surplus, memory->counted), "begun", time_json(memory->begun));
}

/* Replaces the file of SET in a directory by WHOLE, which is taken. */
static int write_whole(const char *folder, const char *set, json_t *whole)
{
    cleanup_free char *path = NULL, *fresh = NULL;
    int r = -ENOMEM;

    if (whole && asprintf(&path, "%s/%s.json", folder, set) >= 0 &&
        asprintf(&fresh, "%s.new", path) >= 0) {
        cleanup_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        errno = fd < 0 ? errno : 0;
        if (fd >= 0 && json_dumpfd(whole, fd, JSON_INDENT(4)) == 0 && write(fd, "\n", 1) == 1 &&
            fsync(fd) == 0 && rename(fresh, path) == 0)
            r = 0;
        else
            r = errno ? -errno : -EIO;
    }
    json_decref(whole);
    return r < 0 ? log_errno(r, "%s/%s.json: cannot be written", folder, set) : 0;
}

/* Nodes that are no longer in the set are forgotten. */
int state_write(const char *folder, const struct sync_set *set)
{
    json_t *nodes = json_object();

    for (size_t i = 0; i < set->count; i++)
        json_object_set_new(nodes, set->nodes[i].name, node_json(&set->nodes[i]));
    return write_whole(folder, set->name,
                       json_pack("{s:i, s:s, s:i, s:o*, s:o}", "version", 1, "set", set->name,
                                 "required", set->encoding.required, "root_ns",
                                 count_json((uint64_t)set->root_ns, set->root_ns > 0), "nodes",
                                 nodes));
}

int watch_write(const char *folder, const struct sync_set *set)
{
    const struct watch *watch = &set->watch;
    json_t *nodes = json_object();

    for (size_t i = 0; i < set->count; i++)
        json_object_set_new(nodes, set->nodes[i].name, checked_json(&set->nodes[i]));
    return write_whole(folder, set->name,
                       json_pack("{s:i, s:s, s:i, s:i, s:o*, s:o}", "version", 1, "set", set->name,
                                 "sync", watch->sync, "check", watch->check, "told",
                                 names_json(&watch->told), "nodes", nodes));
}
