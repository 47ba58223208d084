/* SPDX-License-Identifier: MIT */
#include "cli/metrics.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/published.h"
#include "cli/standing.h"
#include "sync/state.h"

#include <fcntl.h>
#include <sys/file.h>

/* A set, or a node of it, and the value of one metric. */
struct subject {
    const struct sync_set *set;
    const struct sync_node *node;
    const struct standing *standing;
};

/* Returns false if there is no value. */
typedef bool value_of(const struct subject *subject, double *ret);

static bool give(double value, double *ret)
{
    *ret = value;
    return true;
}

static bool give_time(time_t time, double *ret)
{
    return give((double)time, ret) && time > 0;
}

static bool required(const struct subject *subject, double *ret)
{
    return give(subject->set->encoding.required, ret);
}

static bool nodes(const struct subject *subject, double *ret)
{
    return give((double)subject->set->count, ret);
}

static bool nodes_current(const struct subject *subject, double *ret)
{
    return give((double)subject->standing->current, ret);
}

static bool may_lose(const struct subject *subject, double *ret)
{
    return give(subject->standing->may_lose, ret);
}

static bool set_as_of(const struct subject *subject, double *ret)
{
    return give_time(subject->standing->as_of, ret);
}

static bool status(const struct subject *subject, double *ret)
{
    return give(subject->standing->status, ret);
}

static bool is_current(const struct subject *subject, double *ret)
{
    return give(standing_is_current(subject->set, subject->node), ret);
}

static bool is_late(const struct subject *subject, double *ret)
{
    return give(standing_is_late(subject->node, subject->standing->now), ret);
}

static bool differs(const struct subject *subject, double *ret)
{
    return give(subject->node->memory.differs_since > 0, ret);
}

static bool as_of(const struct subject *subject, double *ret)
{
    return give_time(subject->node->memory.as_of, ret);
}

static bool tried(const struct subject *subject, double *ret)
{
    return give_time(subject->node->memory.tried, ret);
}

static bool checked(const struct subject *subject, double *ret)
{
    return give_time(subject->node->memory.checked, ret);
}

static bool compared(const struct subject *subject, double *ret)
{
    return give((double)subject->node->memory.compared, ret) && subject->node->memory.checked > 0;
}

static bool surplus(const struct subject *subject, double *ret)
{
    return give((double)subject->node->memory.surplus, ret) && subject->node->memory.counted > 0;
}

static bool looked(const struct subject *subject, double *ret)
{
    return give_time(subject->node->memory.looked, ret);
}

static bool bad(const struct subject *subject, double *ret)
{
    return give((double)subject->node->memory.bad, ret) && subject->node->memory.looked > 0;
}

static bool read_percent(const struct subject *subject, double *ret)
{
    return give(standing_coverage(&subject->node->memory).percent, ret);
}

static bool read_since(const struct subject *subject, double *ret)
{
    return give_time(standing_coverage(&subject->node->memory).since, ret);
}

static bool files(const struct subject *subject, double *ret)
{
    return give((double)subject->node->memory.files, ret) && subject->node->memory.as_of > 0;
}

static bool bytes(const struct subject *subject, double *ret)
{
    return give((double)subject->node->memory.bytes, ret) && subject->node->memory.as_of > 0;
}

/* zfec-fs(1) lists them. */
static const struct metric {
    const char *name; /* set_...: one value for a set; node_...: one for each node */
    value_of *value;
    const char *help;
} metrics[] = {
    {"set_status", status,
     "0: all nodes are up to date; 1: enough are; 2: fewer, or one is late; 4: sync failed, or not "
     "known."},
    {"set_required", required, "Nodes that are enough to restore."},
    {"set_nodes", nodes, "Nodes of the set."},
    {"set_nodes_up_to_date", nodes_current, "Nodes that are up to date."},
    {"set_nodes_may_lose", may_lose, "Nodes that may be lost; -1: too few are up to date."},
    {"set_as_of_timestamp_seconds", set_as_of, "What has not changed since can be restored."},
    {"node_up_to_date", is_current, "1: the node is up to date."},
    {"node_late", is_late, "1: the node is behind for longer than its max_behind."},
    {"node_differs", differs, "1: the node holds other bytes than were sent."},
    {"node_as_of_timestamp_seconds", as_of, "When the last run began that brought it up to date."},
    {"node_tried_timestamp_seconds", tried, "When the last run began."},
    {"node_checked_timestamp_seconds", checked, "When the last run began that compared files."},
    {"node_compared_files", compared, "Files that it compared."},
    {"node_surplus_names", surplus, "Names that it has, and the source has no more."},
    {"node_looked_timestamp_seconds", looked, "When the last check began that looked at it."},
    {"node_bad_copies", bad, "Copies that it found damaged, missing or old."},
    {"node_read_percent", read_percent, "How much of it checks have read, and found good."},
    {"node_read_since_timestamp_seconds", read_since, "When the oldest of that was read."},
    {"node_files", files, "Files of the share when the node was brought up to date."},
    {"node_bytes", bytes, "Bytes of the share when the node was brought up to date."},
};

/* Adds a line, unless there is no value. */
static void add_sample(struct draft *text, const struct metric *metric,
                       const struct subject *subject)
{
    const struct sync_node *node = subject->node;
    double value;

    if (!metric->value(subject, &value))
        return;
    draft_add(text, "zfec_fs_%s{set=\"%s\"", metric->name, subject->set->name);
    if (node)
        draft_add(text, ",node=\"%s\",share=\"%02x\"", node->name, (uint8_t)node->share);
    draft_add(text, "} %.0f\n", value);
}

static void add_metric(struct draft *text, const struct metric *metric, const struct sets *sets,
                       const struct standing *standings)
{
    bool is_of_nodes = metric->name[0] == 'n';

    draft_add(text, "# HELP zfec_fs_%s %s\n# TYPE zfec_fs_%s gauge\n", metric->name, metric->help,
              metric->name);
    for (size_t i = 0; i < sets->count; i++) {
        const struct sync_set *set = &sets->sets[i];
        struct subject subject = {set, NULL, &standings[i]};
        bool is_known = standings[i].is_known;
        if (!is_of_nodes && (is_known || metric->value == status))
            add_sample(text, metric, &subject);
        for (size_t at = 0; is_of_nodes && is_known && at < set->count; at++) {
            subject.node = &set->nodes[at];
            add_sample(text, metric, &subject);
        }
    }
}

int metrics_write(const struct options *options, struct sets *sets)
{
    cleanup_free struct standing *standings = calloc(sets->count, sizeof *standings);
    cleanup_published struct published published = {.directory = -1};
    cleanup_free char *folder = NULL;
    struct draft text = {.failed = !standings};
    time_t now = time(NULL);

    if (!options->metrics)
        return 0;
    int r = state_folder(&folder);
    /* If two runs end at once, the last to write has read what both have stored. */
    cleanup_fd int lock = r == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (lock >= 0)
        flock(lock, LOCK_EX);
    for (size_t i = 0; r == 0 && standings && i < sets->count; i++) {
        int known = state_read(folder, &sets->sets[i]);
        standings[i] = standing_of(&sets->sets[i], now);
        if (known < 0 && known != -ENOENT)
            standings[i] = (struct standing){.status = EXIT_STATUS_FAILED};
    }
    for (size_t i = 0; r == 0 && standings && i < COUNT_OF(metrics); i++)
        add_metric(&text, &metrics[i], sets, standings);
    cleanup_free char *whole = draft_take(&text);
    if (r == 0)
        r = published_open(&published, "--metrics", options->metrics);
    return r < 0 ? r : published_write(&published, whole, 0644);
}
