/* SPDX-License-Identifier: MIT */
#include "cli/findings_text.h"

#include "base/log.h"
#include "cli/findings_json.h"
#include "cli/output.h"

const char *findings_state_words(enum copy_state state)
{
    static const char *const words[COPY_STATES] = {
        [COPY_GOOD] = "good",
        [COPY_ABSENT] = "missing",
        [COPY_STALE] = "of another version",
        [COPY_DAMAGED] = "damaged",
        [COPY_MISPLACED] = "of another share",
        [COPY_OTHER_KIND] = "of other kind",
        [COPY_UNREADABLE] = "unreadable",
        [COPY_FOREIGN] = "not confirmed",
        [COPY_LEFTOVER] = "left over",
    };

    return words[state];
}

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

    if (report->other_format) {
        fputs("a share of another format", text);
        return;
    }
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

void findings_print_copy(FILE *text, const struct copy_report *report)
{
    switch (report->state) {
    case COPY_GOOD:
        fputs("other mode, owner, time or attributes", text);
        break;
    case COPY_ABSENT:
        fputs("missing", text);
        break;
    case COPY_STALE:
        fputs(report->other_content ? "another content of this version" : "another version", text);
        break;
    case COPY_DAMAGED:
        print_damage(text, report);
        break;
    case COPY_MISPLACED:
        fprintf(text, "has share %02x here", report->index);
        break;
    case COPY_FOREIGN:
        fputs("not confirmed", text);
        break;
    case COPY_LEFTOVER:
        fputs("left over", text);
        break;
    case COPY_OTHER_KIND:
        fputs("something else has this name", text);
        break;
    default:
        fputs("cannot be read", text);
    }
}

bool findings_has_lost(const struct inspection *inspection)
{
    bool all = inspection->conflict && !inspection->settled; /* that needs no list */

    return inspection->spare < 0 && !all && inspection->lost.count > 0;
}

void findings_print_lost(FILE *text, const struct inspection *inspection)
{
    fputs("stripes", text);
    print_ranges(text, &inspection->lost);
    fprintf(text, " of %llu", (unsigned long long)layout_stripes(&inspection->version.layout));
}

const char *findings_hint(const struct inspection *inspection)
{
    size_t have = 0, lack = 0;

    for (size_t i = 0; i < inspection->count; i++) {
        enum copy_state state = inspection->copies[i].state;
        lack += state == COPY_ABSENT;
        have += state != COPY_ABSENT && state != COPY_UNREADABLE;
    }
    return inspection->spare < 0 && lack > have ? "most stores lack it: was it removed?" : NULL;
}

/* What a name is worth, in a few words. */
static void print_health(FILE *text, const struct inspection *inspection)
{
    cleanup_free char *sides = inspection->hidden ? survey_describe(&inspection->survey) : NULL;
    int spare = inspection->spare;

    switch (inspection_health(inspection)) {
    case HEALTH_FOREIGN:
        fprintf(text, "%s: not confirmed", sides ? sides : "");
        break;
    case HEALTH_LEFTOVER:
        fputs("left over by a tool, not counted", text);
        break;
    case HEALTH_CONFLICT:
        fprintf(text, "LOST: conflict: %s",
                inspection->conflict_text ? inspection->conflict_text : "");
        break;
    case HEALTH_LOST:
        fputs("LOST", text);
        if (inspection->would_need > 0)
            fprintf(text, ": --required=%u would take it", inspection->would_need);
        else if (inspection->found > 0)
            fprintf(text, ": %u share%s%s, %u needed", inspection->found,
                    inspection->found == 1 ? "" : "s",
                    inspection->untimed ? " of different times" : "", inspection->needed);
        break;
    default:
        fprintf(text, "can lose %d more store%s", spare, spare == 1 ? "" : "s");
    }
}

static void print_name(FILE *text, const struct findings *findings, const char *path,
                       const struct inspection *inspection)
{
    const char *hint = findings_hint(inspection);
    unsigned rival = inspection_rival(inspection);

    fprintf(text, "%s: ", log_path(path));
    print_health(text, inspection);
    if (findings_has_lost(inspection)) {
        fputs(inspection->conflict ? "; lost: " : ", ", text);
        findings_print_lost(text, inspection);
    }
    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        if (!copy_is_wrong(report) || (inspection->hidden && report->state == COPY_ABSENT))
            continue;
        fprintf(text, "; %s: ", findings_store_name(findings, inspection, i));
        findings_print_copy(text, report);
    }
    if (rival > 0)
        fprintf(text, "; an older version is in %u store%s%s", rival, rival == 1 ? "" : "s",
                inspection_health(inspection) == HEALTH_LOST ? ": decode --older takes it" : "");
    if (hint && !inspection->hidden)
        fprintf(text, "; %s", hint);
}

void findings_report(void *opaque, const char *path, const struct inspection *inspection)
{
    struct findings *findings = opaque;
    char *line = NULL;
    size_t size;

    findings_count(findings, inspection);
    if (inspection_health(inspection) == HEALTH_INTACT && !findings->options->verbose)
        return;
    if (output_is_json()) {
        findings_tell_json(path, inspection);
        return;
    }
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return;
    print_name(text, findings, path, inspection);
    if (fclose(text) == 0)
        output_text(inspection->hidden       ? COLOUR_NONE
                    : inspection->spare < 0  ? COLOUR_BAD
                    : inspection->spare == 0 ? COLOUR_WARNING
                                             : COLOUR_NONE,
                    "%s", line);
    free(line);
}

static void summarize_store(const struct store_findings *store)
{
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return;
    fprintf(text, "  %s  %s: %s good", store->digits, store->name,
            show_count(store->copies[COPY_GOOD]).text);
    for (enum copy_state state = 0; state < COPY_STATES; state++) {
        if (state != COPY_GOOD && store->copies[state] > 0)
            fprintf(text, ", %s %s", show_count(store->copies[state]).text,
                    findings_state_words(state));
    }
    if (store->other_metadata > 0)
        fprintf(text, ", %s with other metadata", show_count(store->other_metadata).text);
    if (store->damaged_blocks > 0)
        fprintf(text, " (%s bad block%s)", show_count(store->damaged_blocks).text,
                store->damaged_blocks == 1 ? "" : "s");
    if (fclose(text) == 0)
        output_text(store_findings_are_bad(store) ? COLOUR_WARNING : COLOUR_NONE, "%s", line);
    free(line);
}

void findings_summarize(const struct findings *findings, const struct meter *meter)
{
    cleanup_free char *sentence = findings_sentence(findings);
    int least = findings_least_spare(findings);

    output_text(COLOUR_NONE,
                "%s file%s (%s) and %s other name%s in %.1f s: "
                "%s intact, %s degraded, %s lost",
                show_count(findings->files).text, findings->files == 1 ? "" : "s",
                show_bytes(findings->bytes).text, show_count(findings->others).text,
                findings->others == 1 ? "" : "s", meter_seconds(meter),
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
