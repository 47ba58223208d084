/* SPDX-License-Identifier: MIT */
#include "cli/findings.h"

#include "base/log.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[COPY_STATES] = {
    [COPY_GOOD] = "good",
    [COPY_ABSENT] = "missing",
    [COPY_STALE] = "stale",
    [COPY_DAMAGED] = "damaged",
    [COPY_MISPLACED] = "misplaced",
    [COPY_OTHER_KIND] = "other_kind",
    [COPY_UNREADABLE] = "unreadable",
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* A store's own directory, where no other store's is called the same. */
static const char *short_name(const struct roster *roster, size_t place)
{
    const char *name = store_name(roster->entries[place].store), *part = last_part(name);

    for (size_t i = 0; i < roster->count; i++) {
        if (i != place && strcmp(last_part(store_name(roster->entries[i].store)), part) == 0)
            return name;
    }
    return part;
}

int findings_begin(struct findings *findings, const struct work *work, const struct roster *roster)
{
    *findings = (struct findings){.work = work, .roster = roster};
    pthread_mutex_init(&findings->lock, NULL);
    findings->stores = calloc(roster->count + 1, sizeof *findings->stores);
    if (!findings->stores)
        return -ENOMEM;
    for (size_t i = 0; i < roster->count; i++) {
        findings->stores[i].name = short_name(roster, i);
        findings->stores[i].share = roster->entries[i].share;
    }
    return 0;
}

void findings_end(struct findings *findings)
{
    free(findings->stores);
    pthread_mutex_destroy(&findings->lock);
}

/* The store of report number PLACE; NULL for one that came meanwhile. */
static struct store_findings *store_of(const struct findings *findings,
                                       const struct inspection *inspection, size_t place)
{
    const struct store *store = inspection->survey.inquiry.list->stores[place];

    for (size_t i = 0; i < findings->roster->count; i++) {
        if (findings->roster->entries[i].store == store)
            return &findings->stores[i];
    }
    return NULL;
}

static void count_copies(const struct findings *findings, const struct inspection *inspection)
{
    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        struct store_findings *store = store_of(findings, inspection, i);
        if (!store)
            continue;
        store->copies[report->state]++;
        store->other_metadata += report->other_metadata;
        store->damaged_blocks += damage_size(&report->damage);
    }
}

static void count(struct findings *findings, const struct inspection *inspection)
{
    bool intact = inspection_is_intact(inspection);
    bool is_file = S_ISREG(inspection->status.st_mode);
    int spare = inspection->spare < SPARES ? inspection->spare : SPARES - 1;

    findings->files += is_file;
    findings->others += !is_file;
    findings->bytes += is_file ? inspection->version.layout.source_size : 0;
    findings->intact += intact;
    findings->lost += spare < 0;
    findings->degraded += !intact && spare >= 0;
    if (!S_ISDIR(inspection->status.st_mode))
        findings->spares[spare < 0 ? 0 : spare + 1]++;
    count_copies(findings, inspection);
}

/* Text. */

/* "3, 7-9", and how many more ranges there are than a person reads. */
static void print_ranges(FILE *text, const struct damage *damage)
{
    enum { SHOWN = 8 };

    for (size_t i = 0; i < damage->count && i < SHOWN; i++) {
        const struct damage_range *range = &damage->ranges[i];
        fprintf(text, "%s%llu", i > 0 ? ", " : " ", (unsigned long long)range->first);
        if (range->last > range->first)
            fprintf(text, "-%llu", (unsigned long long)range->last);
    }
    if (damage->count > SHOWN)
        fprintf(text, " and %zu more", damage->count - SHOWN);
}

static void print_damage(FILE *text, const struct copy_report *report)
{
    const char *between = "";

    if (report->bad_header) {
        fputs("header", text);
        between = ", ";
    }
    if (report->bad_size) {
        fprintf(text, "%ssize", between);
        between = ", ";
    }
    if (report->damage.count > 0) {
        fprintf(text, "%sblock%s", between, damage_size(&report->damage) > 1 ? "s" : "");
        print_ranges(text, &report->damage);
    }
    fputs(" damaged", text);
}

static void print_copy(FILE *text, const char *store, const struct copy_report *report)
{
    static const char *const words[COPY_STATES] = {
        [COPY_ABSENT] = "missing",
        [COPY_STALE] = "another version",
        [COPY_OTHER_KIND] = "something else has this name",
        [COPY_UNREADABLE] = "cannot be read",
    };

    if (report->state == COPY_GOOD && !report->other_metadata)
        return;
    fprintf(text, "; %s: ", store);
    if (report->state == COPY_DAMAGED)
        print_damage(text, report);
    else if (report->state == COPY_MISPLACED)
        fprintf(text, "has share %02x here", report->index);
    else if (report->state == COPY_GOOD)
        fputs("other mode, owner, time or attributes", text);
    else
        fputs(words[report->state], text);
}

static void print_name(FILE *text, const struct findings *findings, const char *path,
                       const struct inspection *inspection)
{
    int spare = inspection->spare;

    fprintf(text, "%s: ", *path ? path : ".");
    if (spare < 0)
        fputs("LOST", text);
    else
        fprintf(text, "can lose %d more store%s", spare, spare == 1 ? "" : "s");
    if (inspection->lost.count > 0 && spare < 0) {
        fputs(", stripes", text);
        print_ranges(text, &inspection->lost);
        fprintf(text, " of %llu", (unsigned long long)layout_stripes(&inspection->version.layout));
    }
    for (size_t i = 0; i < inspection->count; i++) {
        const struct store_findings *store = store_of(findings, inspection, i);
        print_copy(text, store ? store->name : "a new store", &inspection->copies[i]);
    }
    if (spare < 0 && inspection_is_rare(inspection))
        fputs("; most stores lack it: was it removed?", text);
}

static void tell_text(const struct findings *findings, const char *path,
                      const struct inspection *inspection)
{
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return;
    print_name(text, findings, path, inspection);
    if (fclose(text) == 0)
        output_text(inspection->spare < 0    ? COLOUR_BAD
                    : inspection->spare == 0 ? COLOUR_WARNING
                                             : COLOUR_NONE,
                    "%s", line);
    free(line);
}

/* JSON. */

/* [[3,3],[7,9]] */
static json_t *ranges_json(const struct damage *damage)
{
    json_t *ranges = json_array();

    for (size_t i = 0; i < damage->count; i++)
        json_array_append_new(ranges, json_pack("[I,I]", (json_int_t)damage->ranges[i].first,
                                                (json_int_t)damage->ranges[i].last));
    return ranges;
}

static json_t *copy_json(const struct copy_report *report, const char *store)
{
    json_t *object = json_pack("{s:s}", "state", state_names[report->state]);

    output_json_path(object, "store", store);
    if (report->index >= 0)
        json_object_set_new(object, "share", json_sprintf("%02x", report->index));
    if (report->bad_header)
        json_object_set_new(object, "header_damaged", json_true());
    if (report->bad_size)
        json_object_set_new(object, "size_wrong", json_true());
    if (report->damage.count > 0)
        json_object_set_new(object, "damaged_blocks", ranges_json(&report->damage));
    if (report->other_metadata)
        json_object_set_new(object, "other_metadata", json_true());
    return object;
}

static const char *kind_of(mode_t mode)
{
    return S_ISREG(mode)   ? "file"
           : S_ISDIR(mode) ? "directory"
           : S_ISLNK(mode) ? "symlink"
                           : "special";
}

static void tell_json(const char *path, const struct inspection *inspection)
{
    const char *health = inspection->spare < 0              ? "lost"
                         : inspection_is_intact(inspection) ? "intact"
                                                            : "degraded";
    json_t *object = json_pack("{s:s, s:s, s:i}", "health", health, "kind",
                               kind_of(inspection->status.st_mode), "may_lose", inspection->spare);
    json_t *copies = json_array();

    output_json_path(object, "path", path);
    if (S_ISREG(inspection->status.st_mode) && inspection->version.layout.required > 0)
        json_object_set_new(object, "size",
                            json_integer((json_int_t)inspection->version.layout.source_size));
    if (inspection->lost.count > 0)
        json_object_set_new(object, "lost_stripes", ranges_json(&inspection->lost));
    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        if (report->state != COPY_GOOD || report->other_metadata)
            json_array_append_new(
                copies, copy_json(report, store_name(inspection->survey.inquiry.list->stores[i])));
    }
    json_object_set_new(object, "problems", copies);
    output_json("check", object);
}

void findings_report(void *opaque, const char *path, const struct inspection *inspection)
{
    struct findings *findings = opaque;

    pthread_mutex_lock(&findings->lock);
    count(findings, inspection);
    pthread_mutex_unlock(&findings->lock);
    if (inspection_is_intact(inspection) && !findings->work->verbose)
        return;
    if (output_is_json())
        tell_json(path, inspection);
    else
        tell_text(findings, path, inspection);
}

void findings_failed(void *opaque, const char *path, int error)
{
    struct findings *findings = opaque;

    pthread_mutex_lock(&findings->lock);
    findings->failed++;
    pthread_mutex_unlock(&findings->lock);
    log_errno(error, "%s: cannot be checked", *path ? path : ".");
}

/* The end. */

int findings_least_spare(const struct findings *findings)
{
    int spare = -1;

    while (spare + 1 < SPARES && findings->spares[spare + 1] == 0)
        spare++;
    return spare;
}

char *findings_sentence(const struct findings *findings)
{
    uint64_t names = 0;
    int least = findings_least_spare(findings);
    const char *seen = findings->work->sample == 0  ? ", by headers alone"
                       : findings->work->sample < 1 ? ", as far as was looked"
                                                    : "";
    char *text = NULL;
    int r;

    for (size_t i = 0; i <= SPARES; i++)
        names += findings->spares[i];
    if (names == 0)
        r = asprintf(&text, "There are no files.");
    else if (least < 0)
        r = asprintf(&text, "%s of %s files %s lost%s.", show_count(findings->spares[0]).text,
                     show_count(names).text, findings->spares[0] == 1 ? "is" : "are", seen);
    else if (least == 0)
        r = asprintf(&text, "%s of %s files would be lost with any further store%s.",
                     show_count(findings->spares[1]).text, show_count(names).text, seen);
    else
        r = asprintf(&text, "Every file survives the loss of any %d further store%s%s.", least,
                     least == 1 ? "" : "s", seen);
    return r < 0 ? NULL : text;
}

enum exit_status findings_status(const struct findings *findings)
{
    if (findings->lost > 0)
        return EXIT_STATUS_LOST;
    if (findings->failed > 0)
        return EXIT_STATUS_FAILED;
    return findings->degraded > 0 || findings->roster->left_out > 0 ? EXIT_STATUS_DAMAGED
                                                                    : EXIT_STATUS_OK;
}

static void summarize_store(const struct store_findings *store)
{
    static const char *const words[COPY_STATES] = {
        [COPY_ABSENT] = "missing",           [COPY_STALE] = "of another version",
        [COPY_DAMAGED] = "damaged",          [COPY_MISPLACED] = "of another share",
        [COPY_OTHER_KIND] = "of other kind", [COPY_UNREADABLE] = "unreadable",
    };
    char share[] = "--", *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return;
    if (store->share >= 0)
        snprintf(share, sizeof share, "%02x", (uint8_t)store->share);
    fprintf(text, "  %s  %s: %s good", share, store->name,
            show_count(store->copies[COPY_GOOD]).text);
    for (int state = 0; state < COPY_STATES; state++) {
        if (state != COPY_GOOD && store->copies[state] > 0)
            fprintf(text, ", %s %s", show_count(store->copies[state]).text, words[state]);
    }
    if (store->other_metadata > 0)
        fprintf(text, ", %s with other metadata", show_count(store->other_metadata).text);
    if (store->damaged_blocks > 0)
        fprintf(text, " (%s bad blocks)", show_count(store->damaged_blocks).text);
    bool good = store->copies[COPY_GOOD] > 0 && store->other_metadata == 0;
    for (int state = COPY_GOOD + 1; state < COPY_STATES; state++)
        good &= store->copies[state] == 0;
    if (fclose(text) == 0)
        output_text(good ? COLOUR_NONE : COLOUR_WARNING, "%s", line);
    free(line);
}

void findings_summarize(const struct findings *findings, const struct meter *meter)
{
    cleanup_free char *sentence = findings_sentence(findings);
    int least = findings_least_spare(findings);

    output_text(COLOUR_NONE,
                "%s files (%s) and %s other names in %.1f s: "
                "%s intact, %s degraded, %s lost",
                show_count(findings->files).text, show_bytes(findings->bytes).text,
                show_count(findings->others).text, meter_seconds(meter),
                show_count(findings->intact).text, show_count(findings->degraded).text,
                show_count(findings->lost).text);
    output_text(COLOUR_NONE, "Stores, and the share that each holds:");
    for (size_t i = 0; i < findings->roster->count; i++)
        summarize_store(&findings->stores[i]);
    if (sentence)
        output_text(least < 0    ? COLOUR_BAD
                    : least == 0 ? COLOUR_WARNING
                                 : COLOUR_GOOD,
                    "%s", sentence);
}

static json_t *store_json(const struct findings *findings, size_t place)
{
    const struct store_findings *store = &findings->stores[place];
    json_t *object = json_object();

    output_json_path(object, "store", store_name(findings->roster->entries[place].store));
    json_object_set_new(object, "share",
                        store->share >= 0 ? json_sprintf("%02x", store->share) : json_null());
    for (int state = 0; state < COPY_STATES; state++)
        json_object_set_new(object, state_names[state],
                            json_integer((json_int_t)store->copies[state]));
    json_object_set_new(object, "other_metadata", json_integer((json_int_t)store->other_metadata));
    json_object_set_new(object, "damaged_blocks", json_integer((json_int_t)store->damaged_blocks));
    return object;
}

void findings_add_json(const struct findings *findings, json_t *summary)
{
    cleanup_free char *sentence = findings_sentence(findings);
    json_t *stores = json_array();

    json_object_set_new(summary, "files", json_integer((json_int_t)findings->files));
    json_object_set_new(summary, "bytes", json_integer((json_int_t)findings->bytes));
    json_object_set_new(summary, "others", json_integer((json_int_t)findings->others));
    json_object_set_new(summary, "intact", json_integer((json_int_t)findings->intact));
    json_object_set_new(summary, "degraded", json_integer((json_int_t)findings->degraded));
    json_object_set_new(summary, "lost", json_integer((json_int_t)findings->lost));
    json_object_set_new(summary, "may_lose", json_integer(findings_least_spare(findings)));
    for (size_t i = 0; i < findings->roster->count; i++)
        json_array_append_new(stores, store_json(findings, i));
    json_object_set_new(summary, "stores", stores);
    if (sentence)
        json_object_set_new(summary, "sentence", json_string(sentence));
}
