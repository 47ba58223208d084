/* SPDX-License-Identifier: MIT */
#include "sync/state.h"

#include "base/log.h"
#include "share/format.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

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

int state_lock(const char *folder, const char *set, int *ret_fd)
{
    cleanup_free char *path = NULL;

    if (asprintf(&path, "%s/%s.lock", folder, set) < 0)
        return -ENOMEM;
    cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_fd = steal_fd(&fd);
        return 0;
    }
    if (fd < 0 || errno != EWOULDBLOCK)
        return log_errno(-errno, "%s", path);
    return log_as(-EBUSY, "%s: another run of this set is under way; wait for its end", set);
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

static time_t time_in(const json_t *entry, const char *key)
{
    struct tm parts = {0};
    const char *end = strptime(text_in(entry, key), TIME_FORMAT, &parts);

    return end && !*end ? timegm(&parts) : 0;
}

static uint64_t count_in(const json_t *entry, const char *key)
{
    json_int_t count = json_integer_value(json_object_get(entry, key));

    return count > 0 ? (uint64_t)count : 0;
}

static int read_node(const json_t *entry, struct sync_node *node)
{
    const json_t *paths = json_object_get(entry, "different");
    struct memory *memory = &node->memory;
    char share[3];

    snprintf(share, sizeof share, "%02x", (uint8_t)node->share);
    if (strcmp(text_in(entry, "target"), node->target) != 0 ||
        strcmp(text_in(entry, "share"), share) != 0)
        return 0;
    memory->tried = time_in(entry, "tried");
    memory->as_of = time_in(entry, "as_of");
    memory->differs_since = time_in(entry, "differs_since");
    memory->unfinished_since = time_in(entry, "unfinished_since");
    memory->filling_since = time_in(entry, "filling_since");
    memory->first_tried = time_in(entry, "first_tried");
    memory->checked = time_in(entry, "checked");
    memory->compared = count_in(entry, "compared");
    memory->files = count_in(entry, "files");
    memory->bytes = count_in(entry, "bytes");
    memory->up_to_date = json_is_true(json_object_get(entry, "up_to_date"));
    snprintf(memory->encoding, sizeof memory->encoding, "%s", text_in(entry, "encoding"));
    snprintf(memory->error, sizeof memory->error, "%s", text_in(entry, "error"));
    snprintf(memory->mount, sizeof memory->mount, "%s", text_in(entry, "mount"));
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        if (!path) {
            names_clear(&memory->different);
            break;
        }
        if (names_add(&memory->different, path) < 0)
            return -ENOMEM;
    }
    return 0;
}

void state_encoding(const struct encoding *encoding, char ret[ENCODING_SIZE])
{
    const char *name = formats[encoding->format]->name;

    if (encoding->format == SHARE_FEC) /* which alone writes the number of shares down */
        snprintf(ret, ENCODING_SIZE, "%s, %u of %u", name, encoding->required, encoding->shares);
    else if (encoding->format == SHARE_CHECKED)
        snprintf(ret, ENCODING_SIZE, "%s, %u, %u", name, encoding->required,
                 (unsigned)encoding->block_size);
    else
        snprintf(ret, ENCODING_SIZE, "%s, %u", name, encoding->required);
}

int state_read(const char *folder, struct sync_set *set)
{
    cleanup_free char *path = NULL;
    json_error_t error;

    sets_forget(set);
    if (asprintf(&path, "%s/%s.json", folder, set->name) < 0)
        return log_errno(-ENOMEM, "%s: its state", set->name);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : log_errno(-errno, "%s", path);
    json_t *whole = json_loadfd(fd, 0, &error);
    const json_t *nodes = json_object_get(whole, "nodes");
    int r = json_is_object(nodes) ? 0 : -EBADMSG;
    if (r < 0)
        log_warning("%s: corrupt state file, ignored: %s", path,
                    whole ? "it has no nodes" : error.text);
    for (size_t i = 0; r == 0 && i < set->count; i++)
        r = read_node(json_object_get(nodes, set->nodes[i].name), &set->nodes[i]);
    json_decref(whole);
    return r == -ENOMEM ? log_errno(r, "%s", path) : r;
}

json_t *time_json(time_t time)
{
    return time > 0 ? json_string(time_text(time).text) : NULL;
}

json_t *count_json(uint64_t count, time_t known_since)
{
    return known_since > 0 ? json_integer((json_int_t)count) : NULL;
}

/* Returns the paths; NULL where there are none, or one is no UTF-8. */
static json_t *paths_json(const struct names *paths)
{
    json_t *array = paths->count > 0 ? json_array() : NULL;

    for (size_t i = 0; array && i < paths->count; i++) {
        if (json_array_append_new(array, json_string(names_get(paths, i))) < 0) {
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
        "s:o*, s:o*}",
        "target", node->target, "share", json_sprintf("%02x", (uint8_t)node->share), "mount",
        *memory->mount ? json_string(memory->mount) : NULL, "up_to_date", memory->up_to_date,
        "tried", time_json(memory->tried), "as_of", time_json(memory->as_of), "first_tried",
        time_json(memory->first_tried), "error", error, "differs_since",
        time_json(memory->differs_since), "different", paths_json(&memory->different),
        "unfinished_since", time_json(memory->unfinished_since), "filling_since",
        time_json(memory->filling_since), "encoding", memory->encoding, "files",
        count_json(memory->files, memory->as_of), "bytes", count_json(memory->bytes, memory->as_of),
        "checked", time_json(memory->checked), "compared",
        count_json(memory->compared, memory->checked));
}

/* Nodes that are no more in the set are forgotten. */
int state_write(const char *folder, const struct sync_set *set)
{
    cleanup_free char *path = NULL, *fresh = NULL;
    json_t *nodes = json_object();
    int r = -ENOMEM;

    for (size_t i = 0; i < set->count; i++)
        json_object_set_new(nodes, set->nodes[i].name, node_json(&set->nodes[i]));
    json_t *whole = json_pack("{s:i, s:s, s:i, s:o}", "version", 1, "set", set->name, "required",
                              set->encoding.required, "nodes", nodes);
    if (whole && asprintf(&path, "%s/%s.json", folder, set->name) >= 0 &&
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
    return r < 0 ? log_errno(r, "%s/%s.json: cannot be written", folder, set->name) : 0;
}
