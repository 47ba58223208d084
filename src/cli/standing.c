/* SPDX-License-Identifier: MIT */
#include "cli/standing.h"

#include "base/array.h"
#include "sync/state.h"

#include <string.h>

static bool has_encoding_of(const struct sync_set *set, const struct memory *memory)
{
    char encoding[ENCODING_SIZE];

    state_encoding(&set->encoding, encoding);
    return strcmp(memory->encoding, encoding) == 0;
}

/* Returns true if a run was killed while it may have sent something. */
static bool is_half_done(const struct sync_set *set, const struct memory *memory)
{
    return memory->begun > 0 && !set->under_way;
}

bool standing_is_current(const struct sync_set *set, const struct sync_node *node)
{
    const struct memory *memory = &node->memory;

    return memory->up_to_date && memory->as_of > 0 && !is_half_done(set, memory) &&
           has_encoding_of(set, memory);
}

/* Returns true if TIME is in the future: the clock was wrong then, or is now. */
static bool is_to_come(time_t time, time_t now)
{
    enum { CLOCKS_DIFFER_S = 24 * 3600 };

    return time - now > CLOCKS_DIFFER_S;
}

bool standing_is_late(const struct sync_node *node, time_t now)
{
    const struct memory *memory = &node->memory;
    time_t since = memory->as_of > 0 ? memory->as_of : memory->first_tried;

    return node->terms.max_behind > 0 && since > 0 &&
           (now - since > node->terms.max_behind || is_to_come(since, now));
}

bool standing_is_unread(const struct sync_node *node)
{
    const struct memory *memory = &node->memory;

    return memory->unread > 0 && !(memory->up_to_date && memory->as_of > memory->unread);
}

enum exit_status standing_status(const struct sync_set *set, size_t current)
{
    return current == set->count               ? EXIT_STATUS_OK
           : current >= set->encoding.required ? EXIT_STATUS_DAMAGED
                                               : EXIT_STATUS_LOST;
}

enum exit_status standing_worse(enum exit_status one, enum exit_status other)
{
    if (one == EXIT_STATUS_LOST || other == EXIT_STATUS_LOST)
        return EXIT_STATUS_LOST;
    return one > other ? one : other;
}

/*
 * Returns the time of the oldest of the k newest nodes: what has not changed since is the same at
 * all of them. If enough nodes are up to date, all of these count. 0: fewer than k were ever up to
 * date.
 */
static time_t time_of_enough(const struct sync_set *set, size_t current)
{
    size_t wanted = current > set->encoding.required ? current : set->encoding.required;
    time_t ret = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct memory *memory = &set->nodes[i].memory;
        size_t as_new = 0;
        if (memory->as_of <= ret || memory->differs_since > 0 || !has_encoding_of(set, memory))
            continue;
        for (size_t at = 0; at < set->count; at++) {
            const struct memory *other = &set->nodes[at].memory;
            as_new += other->as_of >= memory->as_of && other->differs_since == 0 &&
                      has_encoding_of(set, other);
        }
        if (as_new >= wanted)
            ret = memory->as_of;
    }
    return ret;
}

struct standing standing_of(const struct sync_set *set, time_t now)
{
    struct standing ret = {.now = now};

    for (size_t i = 0; i < set->count; i++) {
        ret.current += standing_is_current(set, &set->nodes[i]);
        ret.late += standing_is_late(&set->nodes[i], now);
        ret.unread += standing_is_unread(&set->nodes[i]);
    }
    ret.may_lose =
        ret.current < set->encoding.required ? -1 : (int)ret.current - (int)set->encoding.required;
    ret.as_of = time_of_enough(set, ret.current);
    ret.status = ret.late > 0 ? EXIT_STATUS_LOST : standing_status(set, ret.current);
    if (set->watch.sync == EXIT_STATUS_FAILED)
        ret.status = standing_worse(ret.status, EXIT_STATUS_FAILED);
    ret.status = standing_worse(ret.status, (enum exit_status)set->watch.check);
    if (ret.unread > 0)
        ret.status = standing_worse(ret.status, EXIT_STATUS_DAMAGED);
    ret.is_known = true;
    return ret;
}

int standing_problems(const struct standing *standing, const struct sync_set *set,
                      struct names *ret)
{
    const int check = set->watch.check;
    const struct {
        bool is_there;
        const char *words;
    } of_set[] = {
        {standing->may_lose < 0, "too few nodes are up to date"},
        {set->watch.sync == EXIT_STATUS_FAILED, "the last run of sync failed"},
        {check == EXIT_STATUS_DAMAGED || check == EXIT_STATUS_LOST, "check found damage"},
        {check == EXIT_STATUS_LOST, "check found what is lost"},
        {check == EXIT_STATUS_FAILED, "the last run of check failed"},
    };
    int r = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        const struct {
            bool is_there;
            const char *words;
        } of_node[] = {
            {!standing_is_current(set, node), "behind"},
            {standing_is_late(node, standing->now), "behind for longer than max_behind allows"},
            {node->memory.bad > 0, "copies are damaged, missing or old"},
            {standing_is_unread(node), "check could not read it"},
        };
        for (size_t at = 0; r == 0 && at < COUNT_OF(of_node); at++) {
            cleanup_free char *words = NULL;
            if (of_node[at].is_there)
                r = asprintf(&words, "%s: %s", node->name, of_node[at].words) < 0
                        ? -ENOMEM
                        : names_add(ret, words);
        }
    }
    for (size_t i = 0; r == 0 && i < COUNT_OF(of_set); i++) {
        if (of_set[i].is_there)
            r = names_add(ret, of_set[i].words);
    }
    return r;
}

/* The output as text. */

struct shown show_age(time_t seconds)
{
    static const struct {
        time_t seconds;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    struct shown ret = {""};
    size_t unit = 0;

    while (unit + 1 < COUNT_OF(units) && seconds < 2 * units[unit].seconds)
        unit++;
    time_t count = seconds > 0 ? seconds / units[unit].seconds : 0;
    snprintf(ret.text, sizeof ret.text, "%lld %s", (long long)count,
             count == 1 ? "second" : units[unit].name);
    return ret;
}

void standing_add_node(struct draft *line, const struct sync_set *set, const struct sync_node *node)
{
    size_t width = 0;

    for (size_t i = 0; i < set->count; i++) {
        size_t length = strlen(set->nodes[i].name);
        width = length > width ? length : width;
    }
    draft_add(line, "%s/%-*s %02x ", set->name, (int)width, node->name, (uint8_t)node->share);
}

void standing_add_state(struct draft *line, const struct memory *memory, bool is_current)
{
    draft_add(line, "%s",
              is_current          ? "up to date"
              : memory->as_of > 0 ? "BEHIND since "
                                  : "BEHIND, never up to date");
    if (!is_current)
        draft_add(line, "%s", time_text(memory->as_of).text);
}

void standing_add_surplus(struct draft *line, const struct memory *memory)
{
    draft_add(line, "; %s name%s that the source has no more (as of %s)",
              show_count(memory->surplus).text, plural(memory->surplus),
              time_text(memory->counted).text);
}

struct coverage standing_coverage(const struct memory *memory)
{
    const time_t now = time(NULL);
    struct coverage ret = {0};
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(memory->read); i++) {
        time_t read = memory->read[i];
        if (read <= 0 || is_to_come(read, now))
            continue;
        count++;
        ret.since = ret.since == 0 || read < ret.since ? read : ret.since;
    }
    ret.percent = (unsigned)(100 * count / COUNT_OF(memory->read));
    return ret;
}

/* Adds " (3 hours ago)". */
static void add_ago(struct draft *line, const struct standing *standing, time_t time)
{
    if (is_to_come(time, standing->now)) {
        draft_add(line, ", which is to come: was the clock wrong?");
        return;
    }
    draft_add(line, " (%s ago)", show_age(standing->now - time).text);
}

/* Returns why a node is behind; "" if that is not known. */
static const char *reason_of(const struct sync_set *set, const struct sync_node *node)
{
    const struct memory *memory = &node->memory;

    if (memory->tried == 0)
        return "no run of sync is known";
    if (memory->up_to_date && is_half_done(set, memory))
        return "the last run of sync was killed; the next one goes on";
    if (memory->up_to_date && !has_encoding_of(set, memory))
        return "the encoding was changed (format, required, block size); the next run makes all "
               "nodes anew";
    return memory->error;
}

/* Adds what check found of a node. */
static void add_checked(struct draft *line, const struct sync_node *node)
{
    const struct memory *memory = &node->memory;
    const bool is_unread = standing_is_unread(node);
    const struct coverage coverage = standing_coverage(memory);

    if (is_unread)
        draft_add(line, "; could not be read at %s", time_text(memory->unread).text);
    if (memory->looked == 0)
        return;
    draft_add(line, "; checked at %s: ", time_text(memory->looked).text);
    if (memory->bad > 0)
        draft_add(line, "%s cop%s damaged, missing or old, ", show_count(memory->bad).text,
                  memory->bad == 1 ? "y is" : "ies are");
    else if (!is_unread)
        draft_add(line, "good, ");
    draft_add(line, "%u %% read", coverage.percent);
    if (coverage.percent > 0)
        draft_add(line, " since %s", time_text(coverage.since).text);
}

static void show_node(const struct standing *standing, const struct sync_set *set,
                      const struct sync_node *node)
{
    const struct memory *memory = &node->memory;
    bool is_current = standing_is_current(set, node),
         is_late = standing_is_late(node, standing->now);
    struct draft line = {0};

    standing_add_node(&line, set, node);
    standing_add_state(&line, memory, is_current);
    if (is_current)
        draft_add(&line, " as of %s", time_text(memory->as_of).text);
    if (memory->as_of > 0)
        add_ago(&line, standing, memory->as_of);
    if (is_late && !is_to_come(memory->as_of, standing->now))
        draft_add(&line, ", longer than max_behind allows (%s)",
                  show_age(node->terms.max_behind).text);
    if (!is_current && *reason_of(set, node))
        draft_add(&line, ": %s", reason_of(set, node));
    if (memory->differs_since > 0)
        draft_add(&line, "; differs since %s", time_text(memory->differs_since).text);
    if (memory->files > 0) /* else it is empty, or the state is of a version that did not count */
        draft_add(&line, "; %s file%s, %s", show_count(memory->files).text, plural(memory->files),
                  show_bytes(memory->bytes).text);
    if (memory->surplus > 0)
        standing_add_surplus(&line, memory);
    if (memory->checked > 0)
        draft_add(&line, "; %s file%s compared at %s", show_count(memory->compared).text,
                  plural(memory->compared), time_text(memory->checked).text);
    add_checked(&line, node);
    bool is_good = is_current && !is_late && memory->bad == 0 && !standing_is_unread(node);
    output_draft(is_good ? COLOUR_NONE : COLOUR_BAD, &line);
}

bool standing_is_known(const struct sync_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->nodes[i].memory.tried > 0 || set->nodes[i].memory.as_of > 0)
            return true;
    }
    return set->watch.check > EXIT_STATUS_OK;
}

struct shown standing_enough(const struct sync_set *set, size_t count)
{
    unsigned required = set->encoding.required;
    struct shown ret = {""};

    snprintf(ret.text, sizeof ret.text, "%u %s %s", required, required == 1 ? "is" : "are",
             count < required ? "needed" : "enough");
    return ret;
}

/* Returns "home: 5 of 6 nodes are up to date, 3 are enough: ...". */
static char *sentence_of(const struct standing *standing, const struct sync_set *set)
{
    const int check = set->watch.check; /* what it found may concern all nodes */
    unsigned required = set->encoding.required;
    struct draft text = {0};

    if (!standing_is_known(set)) {
        draft_add(&text,
                  "%s: nothing is known yet of its %zu nodes; zfec-fs status --ask %s: asks them",
                  set->name, set->count, set->name);
        return draft_take(&text);
    }
    draft_add(&text, "%s: %zu of %zu nodes are up to date, %s", set->name, standing->current,
              set->count, standing_enough(set, standing->current).text);
    const bool has_found = check > EXIT_STATUS_OK && check != EXIT_STATUS_FAILED;
    if (standing->may_lose >= 0 && (has_found || standing->unread > 0))
        draft_add(&text, ", but %s: zfec-fs check %s: says how many may be lost",
                  check == EXIT_STATUS_LOST ? "check found what is lost"
                  : has_found               ? "check found damage"
                                            : "check could not read all of these",
                  set->name);
    else if (standing->may_lose > 0)
        draft_add(&text, ": any %d of these %zu nodes may be lost from now on", standing->may_lose,
                  set->count);
    else if (standing->may_lose == 0)
        draft_add(&text, ": none of these %u may be lost", required);
    else if (standing->as_of > 0)
        draft_add(&text, ": what has changed since %s", time_text(standing->as_of).text);
    else
        draft_add(&text, ": perhaps nothing can be restored");
    if (standing->may_lose >= 0)
        draft_add(&text, "; the oldest is of %s", time_text(standing->as_of).text);
    if (standing->as_of > 0)
        add_ago(&text, standing, standing->as_of);
    if (standing->may_lose < 0 && standing->as_of > 0)
        draft_add(&text, " perhaps cannot be restored");
    if (set->watch.sync == EXIT_STATUS_FAILED)
        draft_add(&text, "; the last run of sync failed");
    if (check == EXIT_STATUS_FAILED)
        draft_add(&text, "; the last run of check failed");
    else if (check > EXIT_STATUS_OK && standing->may_lose < 0)
        draft_add(&text, "; %s",
                  check == EXIT_STATUS_LOST ? "check found what is lost" : "check found damage");
    return draft_take(&text);
}

void standing_show(const struct standing *standing, const struct sync_set *set)
{
    cleanup_free char *sentence = sentence_of(standing, set);

    for (size_t i = 0; i < set->count; i++)
        show_node(standing, set, &set->nodes[i]);
    output_text(standing->status == EXIT_STATUS_OK ? COLOUR_GOOD : COLOUR_BAD, "%s",
                sentence ? sentence : set->name);
}

/* The output as JSON. */

static json_t *json_of_node(const struct standing *standing, const struct sync_set *set,
                            const struct sync_node *node)
{
    const struct memory *memory = &node->memory;
    const char *reason = reason_of(set, node);
    bool is_current = standing_is_current(set, node);
    json_t *ret = json_pack(
        "{s:s, s:o, s:b, s:b, s:o?, s:o?, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}", "node", node->name,
        "share", json_sprintf("%02x", (uint8_t)node->share), "up_to_date", is_current, "late",
        standing_is_late(node, standing->now), "as_of", time_json(memory->as_of), "tried",
        time_json(memory->tried), "differs_since", time_json(memory->differs_since), "files",
        count_json(memory->files, memory->as_of), "bytes", count_json(memory->bytes, memory->as_of),
        "checked", time_json(memory->checked), "compared",
        count_json(memory->compared, memory->checked), "surplus",
        count_json(memory->surplus, memory->counted));

    if (node->terms.max_behind > 0)
        json_object_set_new(ret, "max_behind", json_integer(node->terms.max_behind));
    if (memory->looked > 0) {
        struct coverage coverage = standing_coverage(memory);
        json_object_update_new(
            ret, json_pack("{s:o, s:I, s:i, s:o?}", "looked", time_json(memory->looked), "bad",
                           (json_int_t)memory->bad, "read_percent", (int)coverage.percent,
                           "read_since", time_json(coverage.since)));
    }
    if (standing_is_unread(node))
        json_object_set_new(ret, "unread", time_json(memory->unread));
    if (!is_current && *reason)
        output_json_path(ret, "error", reason); /* may contain any byte */
    return ret;
}

json_t *standing_json(const struct standing *standing, const struct sync_set *set)
{
    cleanup_free char *sentence = sentence_of(standing, set);
    cleanup_names struct names problems = NO_NAMES;
    json_t *nodes = json_array(), *list = json_array();

    for (size_t i = 0; i < set->count; i++)
        json_array_append_new(nodes, json_of_node(standing, set, &set->nodes[i]));
    standing_problems(standing, set, &problems);
    for (size_t i = 0; i < problems.count; i++)
        json_array_append_new(list, json_string(names_get(&problems, i)));
    return json_pack("{s:s, s:o?, s:i, s:i, s:i, s:i, s:o?, s:o, s:o, s:s, s:i}", "set", set->name,
                     "time", time_json(standing->now), "required", (int)set->encoding.required,
                     "up_to_date", (int)standing->current, "late", (int)standing->late, "may_lose",
                     standing->may_lose, "as_of", time_json(standing->as_of), "nodes", nodes,
                     "problems", list, "sentence", sentence ? sentence : "", "exit_status",
                     (int)standing->status);
}
