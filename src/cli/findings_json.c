/* SPDX-License-Identifier: MIT */
#include "cli/findings_json.h"

#include "cli/output.h"

static const char *const state_names[COPY_STATES] = {
    [COPY_GOOD] = "good",
    [COPY_ABSENT] = "missing",
    [COPY_STALE] = "stale",
    [COPY_DAMAGED] = "damaged",
    [COPY_MISPLACED] = "misplaced",
    [COPY_OTHER_KIND] = "other_kind",
    [COPY_UNREADABLE] = "unreadable",
    [COPY_FOREIGN] = "foreign",
    [COPY_LEFTOVER] = "leftover",
};

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
    if (report->other_content)
        json_object_set_new(object, "other_content", json_true());
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

void findings_tell_json(const char *path, const struct inspection *inspection)
{
    static const char *const healths[] = {
        [HEALTH_INTACT] = "intact",   [HEALTH_DEGRADED] = "degraded",
        [HEALTH_FOREIGN] = "foreign", [HEALTH_LEFTOVER] = "leftover",
        [HEALTH_LOST] = "lost",       [HEALTH_CONFLICT] = "conflict",
    };
    const char *health = healths[inspection_health(inspection)];
    json_t *object = json_pack("{s:s, s:s, s:i}", "health", health, "kind",
                               kind_of(inspection->status.st_mode), "may_lose", inspection->spare);
    json_t *copies = json_array();

    output_json_path(object, "path", path);
    if (S_ISREG(inspection->status.st_mode) && inspection->version.layout.required > 0)
        json_object_set_new(object, "size",
                            json_integer((json_int_t)inspection->version.layout.source_size));
    if (inspection->conflict_text)
        output_json_path(object, "conflict", inspection->conflict_text);
    if (inspection->would_need > 0)
        json_object_set_new(object, "would_need", json_integer(inspection->would_need));
    unsigned rival = inspection_rival(inspection);
    if (rival > 0)
        json_object_set_new(object, "older_version_in", json_integer(rival));
    if (inspection->lost.count > 0)
        json_object_set_new(object, "lost_stripes", ranges_json(&inspection->lost));
    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        if (copy_is_wrong(report) && !(inspection->hidden && report->state == COPY_ABSENT))
            json_array_append_new(
                copies, copy_json(report, store_name(inspection->survey.inquiry.list->stores[i])));
    }
    json_object_set_new(object, "problems", copies);
    output_json("check", object);
}

static json_t *store_json(const struct findings *findings, size_t place)
{
    const struct store_findings *store = &findings->stores[place];
    json_t *object = json_object();

    output_json_path(object, "store", store_name(findings->roster->entries[place].store));
    json_object_set_new(object, "share",
                        store->share >= 0 ? json_string(store->digits) : json_null());
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
    json_object_set_new(summary, "foreign", json_integer((json_int_t)findings->foreign));
    json_object_set_new(summary, "leftovers", json_integer((json_int_t)findings->leftovers));
    json_object_set_new(summary, "conflicts", json_integer((json_int_t)findings->conflicts));
    json_object_set_new(summary, "required",
                        json_integer((json_int_t)findings->roster->quorum.required));
    json_object_set_new(summary, "may_lose", json_integer(findings_least_spare(findings)));
    for (size_t i = 0; i < findings->roster->count; i++)
        json_array_append_new(stores, store_json(findings, i));
    json_object_set_new(summary, "stores", stores);
    if (sentence)
        json_object_set_new(summary, "sentence", json_string(sentence));
}
