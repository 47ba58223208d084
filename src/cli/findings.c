/* SPDX-License-Identifier: MIT */
#include "cli/findings.h"

#include "base/log.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

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

int findings_begin(struct findings *findings, const struct options *options,
                   const struct roster *roster)
{
    *findings = (struct findings){.options = options, .roster = roster};
    pthread_mutex_init(&findings->lock, NULL);
    findings->stores = calloc(roster->count + 1, sizeof *findings->stores);
    if (!findings->stores)
        return -ENOMEM;
    for (size_t i = 0; i < roster->count; i++) {
        struct store_findings *store = &findings->stores[i];
        *store = (struct store_findings){
            .name = short_name(roster, i),
            .share = roster->entries[i].share,
            .digits = "--",
        };
        if (store->share >= 0)
            snprintf(store->digits, sizeof store->digits, "%02x", (uint8_t)store->share);
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

const char *findings_store_name(const struct findings *findings,
                                const struct inspection *inspection, size_t place)
{
    const struct store_findings *store = store_of(findings, inspection, place);

    return store ? store->name : "a new store";
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

/* A name that is not believed is no file, nor lost. */
static void count_hidden(struct findings *findings, const struct inspection *inspection)
{
    findings->foreign += !inspection->leftover;
    findings->leftovers += inspection->leftover;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        struct store_findings *store = store_of(findings, inspection, i);
        if (store && (report->state == COPY_FOREIGN || report->state == COPY_LEFTOVER))
            store->copies[report->state]++;
    }
}

static void count_locked(struct findings *findings, const struct inspection *inspection)
{
    enum name_health health = inspection_health(inspection);
    bool is_file = S_ISREG(inspection->status.st_mode);
    bool lost = health == HEALTH_LOST || health == HEALTH_CONFLICT;
    int spare = inspection->spare < SPARES ? inspection->spare : SPARES - 1;

    if (inspection->hidden) {
        count_hidden(findings, inspection);
        return;
    }
    findings->files += is_file;
    findings->others += !is_file;
    findings->bytes += is_file && inspection->settled ? inspection->version.layout.source_size : 0;
    findings->intact += health == HEALTH_INTACT;
    findings->lost += lost;
    findings->conflicts += health == HEALTH_CONFLICT;
    findings->degraded += health == HEALTH_DEGRADED;
    if (!S_ISDIR(inspection->status.st_mode) || lost)
        findings->spares[lost ? 0 : spare + 1]++;
    findings->file_spares[lost ? 0 : spare + 1] += is_file;
    count_copies(findings, inspection);
}

void findings_count(struct findings *findings, const struct inspection *inspection)
{
    pthread_mutex_lock(&findings->lock);
    count_locked(findings, inspection);
    pthread_mutex_unlock(&findings->lock);
}

void findings_failed(void *opaque, const char *path, int error)
{
    struct findings *findings = opaque;

    pthread_mutex_lock(&findings->lock);
    findings->failed++;
    pthread_mutex_unlock(&findings->lock);
    log_errno(error, "%s: cannot be checked", log_path(path));
}

bool store_findings_are_bad(const struct store_findings *store)
{
    uint64_t bad = store->other_metadata;

    for (int state = COPY_GOOD + 1; state < COPY_STATES; state++)
        bad += state == COPY_LEFTOVER ? 0 : store->copies[state];
    return bad > 0 || store->copies[COPY_GOOD] == 0;
}

int findings_least_spare(const struct findings *findings)
{
    int spare = -1;

    while (spare + 1 < SPARES && findings->spares[spare + 1] == 0)
        spare++;
    return spare;
}

static uint64_t sum(const uint64_t spares[SPARES + 1])
{
    uint64_t all = 0;

    for (size_t i = 0; i <= SPARES; i++)
        all += spares[i];
    return all;
}

/* How many can lose so many stores, as in "1 of 3 files and 1 of 2 other names". */
static char *describe_share(const struct findings *findings, size_t place)
{
    uint64_t files = findings->file_spares[place], others = findings->spares[place] - files;
    uint64_t all_files = sum(findings->file_spares), all = sum(findings->spares);
    cleanup_free char *of_files = NULL, *of_others = NULL;
    char *text = NULL;

    if (asprintf(&of_files, "%s of %s files", show_count(files).text, show_count(all_files).text) <
            0 ||
        asprintf(&of_others, "%s of %s other names", show_count(others).text,
                 show_count(all - all_files).text) < 0 ||
        asprintf(&text, "%s%s%s", files > 0 ? of_files : "", files > 0 && others > 0 ? " and " : "",
                 others > 0 ? of_others : "") < 0)
        return NULL;
    return text;
}

char *findings_sentence(const struct findings *findings)
{
    int least = findings_least_spare(findings);
    const char *seen = findings->options->sample == 0  ? ", by headers alone"
                       : findings->options->sample < 1 ? ", as far as was looked"
                                                       : "";
    cleanup_free char *part = NULL;
    char *text = NULL;
    int r;

    if (least <= 0 && !(part = describe_share(findings, least < 0 ? 0 : 1)))
        return NULL;
    if (sum(findings->spares) == 0)
        r = asprintf(&text, "%s",
                     findings->failed > 0 ? "No file could be checked." : "There are no files.");
    else if (least < 0)
        r = asprintf(&text, "%s %s lost%s.", part, findings->spares[0] == 1 ? "is" : "are", seen);
    else if (least == 0)
        r = asprintf(&text, "%s would be lost with any further store%s.", part, seen);
    else
        r = asprintf(&text, "Every file%s survives the loss of any %d further store%s%s.",
                     findings->failed > 0 ? " that could be checked" : "", least,
                     least == 1 ? "" : "s", seen);
    return r < 0 ? NULL : text;
}

enum exit_status findings_status(const struct findings *findings)
{
    if (findings->lost > 0)
        return EXIT_STATUS_LOST;
    if (findings->failed > 0)
        return EXIT_STATUS_FAILED;
    return findings->degraded > 0 || findings->foreign > 0 || findings->roster->left_out > 0 ||
                   roster_has_empty(findings->roster)
               ? EXIT_STATUS_DAMAGED
               : EXIT_STATUS_OK;
}
