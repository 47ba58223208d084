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

time_t state_as_of(const struct state *state, const struct node *node)
{
    const json_t *entry = json_object_get(state->nodes, node->name);

    return is_same_place(entry, node) ? time_in(entry, "as_of") : 0;
}

void state_note(struct state *state, const struct node *node, time_t when, const char *error)
{
    time_t as_of = error ? state_as_of(state, node) : when;
    json_t *entry = json_pack("{s:s, s:b, s:s}", "target", node->target, "up_to_date", !error,
                              "tried", time_text(when).text);

    json_object_set_new(entry, "share", json_sprintf("%02x", (uint8_t)node->share));
    json_object_set_new(entry, "as_of",
                        as_of > 0 ? json_string(time_text(as_of).text) : json_null());
    if (error) {
        json_t *text = json_string(error); /* NULL where it is not UTF-8 */
        json_object_set_new(entry, "error", text ? text : json_string("it failed"));
    }
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
