/* SPDX-License-Identifier: MIT */
#include "sync/state.h"

#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct state {
    char *path;
    const struct set *set;
    json_t *nodes; /* by their names */
};

#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

struct time_text time_text(time_t time)
{
    struct time_text ret = {""};
    struct tm parts;

    if (gmtime_r(&time, &parts))
        strftime(ret.text, sizeof ret.text, TIME_FORMAT, &parts);
    return ret;
}

static time_t time_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    struct tm parts = {0};
    const char *end = text ? strptime(text, TIME_FORMAT, &parts) : NULL;

    return end && !*end ? timegm(&parts) : 0;
}

static json_t *read_nodes(const char *path)
{
    json_error_t error;
    json_t *whole = json_load_file(path, 0, &error);
    json_t *nodes = json_incref(json_object_get(whole, "nodes"));

    if (!json_is_object(nodes) && access(path, F_OK) == 0)
        log_warning("%s: makes no sense, what it should tell is forgotten: %s", path, error.text);
    if (!json_is_object(nodes)) {
        json_decref(nodes);
        nodes = json_object();
    }
    json_decref(whole);
    return nodes;
}

int state_read(const char *folder, const struct set *set, struct state **ret)
{
    cleanup_state struct state *state = calloc(1, sizeof *state);

    if (!state || asprintf(&state->path, "%s/%s.json", folder, set->name) < 0)
        return -ENOMEM;
    state->set = set;
    state->nodes = read_nodes(state->path);
    if (!state->nodes)
        return -ENOMEM;
    *ret = steal_pointer(state);
    return 0;
}

static bool is_same_place(const json_t *entry, const struct node *node)
{
    const char *target = json_string_value(json_object_get(entry, "target"));
    const char *share = json_string_value(json_object_get(entry, "share"));
    char wanted[3];

    snprintf(wanted, sizeof wanted, "%02x", (uint8_t)node->share);
    return target && share && strcmp(target, node->target) == 0 && strcmp(share, wanted) == 0;
}

/* Returns what is remembered of NODE; NULL where that was of another share or place. */
static json_t *entry_of(const struct state *state, const struct node *node)
{
    json_t *entry = json_object_get(state->nodes, node->name);

    return is_same_place(entry, node) ? entry : NULL;
}

time_t state_as_of(const struct state *state, const struct node *node)
{
    return time_in(entry_of(state, node), "as_of");
}

time_t state_differs_since(const struct state *state, const struct node *node)
{
    return time_in(entry_of(state, node), "differs_since");
}

int state_different(const struct state *state, const struct node *node, struct names *names)
{
    const json_t *paths = json_object_get(entry_of(state, node), "different");
    int count = (int)json_array_size(paths);

    for (int i = 0; i < count; i++) {
        const char *path = json_string_value(json_array_get(paths, (size_t)i));
        if (!path)
            return 0;
        if (names_add(names, path) < 0)
            return -ENOMEM;
    }
    return count;
}

time_t state_unfinished_since(const struct state *state, const struct node *node)
{
    return time_in(entry_of(state, node), "unfinished_since");
}

/* Returns a new entry; as_of may be 0. */
static json_t *new_entry(const struct node *node, bool up_to_date, time_t tried, time_t as_of)
{
    json_t *entry = json_pack("{s:s, s:b, s:s}", "target", node->target, "up_to_date", up_to_date,
                              "tried", time_text(tried).text);

    json_object_set_new(entry, "share", json_sprintf("%02x", (uint8_t)node->share));
    json_object_set_new(entry, "as_of",
                        as_of > 0 ? json_string(time_text(as_of).text) : json_null());
    return entry;
}

void state_begin(struct state *state, const struct node *node, time_t when)
{
    json_t *entry = entry_of(state, node);

    if (!entry) {
        entry = new_entry(node, false, when, 0);
        json_object_set_new(state->nodes, node->name, entry);
    }
    if (state_unfinished_since(state, node) == 0)
        json_object_set_new(entry, "unfinished_since", json_string(time_text(when).text));
}

/* Returns the paths; NULL where some were not kept, or are no UTF-8. */
static json_t *array_of(const struct note *note)
{
    json_t *array = note->paths->count == note->different ? json_array() : NULL;

    for (size_t i = 0; array && i < note->paths->count; i++) {
        if (json_array_append_new(array, json_string(names_get(note->paths, i))) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* What differs stays noted until all was compared, and sent where it differed. */
static void note_difference(json_t *entry, const json_t *before, const struct note *note)
{
    json_t *since = json_object_get(before, "differs_since");
    json_t *paths =
        note->different > 0 ? array_of(note) : json_incref(json_object_get(before, "different"));

    if (note->error && note->different > 0 && !since)
        json_object_set_new(entry, "differs_since", json_string(time_text(note->when).text));
    else if (note->error && since)
        json_object_set(entry, "differs_since", since);
    if (paths && json_object_get(entry, "differs_since"))
        json_object_set(entry, "different", paths);
    json_decref(paths);
}

void state_note(struct state *state, const struct node *node, const struct note *note)
{
    time_t as_of = note->error ? state_as_of(state, node) : note->when;
    json_t *before = entry_of(state, node);
    json_t *entry = new_entry(node, !note->error, note->when, as_of);

    if (note->error) {
        json_t *text = json_string(note->error); /* NULL where it is not UTF-8 */
        json_object_set_new(entry, "error", text ? text : json_string("it failed"));
    }
    note_difference(entry, before, note);
    if (note->unfinished)
        json_object_set(entry, "unfinished_since", json_object_get(before, "unfinished_since"));
    json_object_set_new(state->nodes, node->name, entry);
}

/* Nodes that are no more in the set are forgotten. */
static json_t *whole_of(const struct state *state)
{
    json_t *nodes = json_object();

    for (size_t i = 0; i < state->set->count; i++) {
        const char *name = state->set->nodes[i].name;
        json_object_set(nodes, name, json_object_get(state->nodes, name));
    }
    return json_pack("{s:i, s:s, s:i, s:o}", "version", 1, "set", state->set->name, "required",
                     state->set->encoding.required, "nodes", nodes);
}

static int write_out(const json_t *whole, const char *path)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return -errno;
    if (json_dumpfd(whole, fd, JSON_INDENT(4)) < 0 || write(fd, "\n", 1) != 1)
        return errno ? -errno : -EIO;
    return fsync(fd) < 0 ? -errno : 0;
}

int state_write(const struct state *state)
{
    cleanup_free char *fresh = NULL;
    json_t *whole = whole_of(state);
    int r = -ENOMEM;

    if (whole && asprintf(&fresh, "%s.new", state->path) >= 0)
        r = write_out(whole, fresh);
    json_decref(whole);
    if (r == 0 && rename(fresh, state->path) < 0)
        r = -errno;
    return r < 0 ? log_errno(r, "%s: cannot be written", state->path) : 0;
}

void state_free(struct state *state)
{
    json_decref(state->nodes);
    free(state->path);
    free(state);
}
