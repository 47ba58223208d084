/* SPDX-License-Identifier: MIT */
#include "cli/findings.h"

#include "base/lock.h"
#include "base/log.h"

#include <string.h>

const struct copy_words copy_words[COPY_STATES] = {
    [COPY_GOOD] = {"good", "good", "differs in "},
    [COPY_ABSENT] = {"missing", "missing", "missing"},
    [COPY_STALE] = {"stale", "of another version", "another version"},
    [COPY_DAMAGED] = {"damaged", "damaged", " damaged"},
    [COPY_MISPLACED] = {"misplaced", "of another share", "has share "},
    [COPY_OTHER_KIND] = {"other_kind", "of another kind", "something else has this name"},
    [COPY_UNREADABLE] = {"unreadable", "unreadable", "cannot be read"},
    [COPY_FOREIGN] = {"foreign", "not confirmed", "not confirmed"},
    [COPY_LEFTOVER] = {"leftover", "left over", "left over"},
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* Inserts store number PLACE by its share; stores without a share come last. */
static void add_to_order(struct findings *findings, size_t place)
{
    const unsigned share = (unsigned)findings->stores[place].share;
    size_t at = place;

    for (; at > 0 && (unsigned)findings->stores[findings->order[at - 1]].share > share; at--)
        findings->order[at] = findings->order[at - 1];
    findings->order[at] = place;
}

int findings_begin(struct findings *findings, const struct options *options,
                   const struct roster *roster)
{
    *findings = (struct findings){.options = options, .roster = roster};
    pthread_mutex_init(&findings->lock, NULL);
    findings->stores = calloc(roster->count + 1, sizeof *findings->stores);
    findings->order = calloc(roster->count + 1, sizeof *findings->order);
    if (!findings->stores || !findings->order)
        return -ENOMEM;
    for (size_t i = 0; i < roster->count; i++) {
        struct store_findings *store = &findings->stores[i];
        const char *path = store_name(roster->entries[i].store), *part = last_part(path);
        *store = (struct store_findings){
            .name = part, .share = roster->entries[i].share, .digits = "--"};
        if (store->share >= 0)
            snprintf(store->digits, sizeof store->digits, "%02x", (uint8_t)store->share);
        for (size_t j = 0; j < roster->count; j++) {
            if (j != i && strcmp(last_part(store_name(roster->entries[j].store)), part) == 0)
                store->name = path;
        }
        add_to_order(findings, i);
    }
    return 0;
}

void findings_end(struct findings *findings)
{
    free(findings->stores);
    free(findings->order);
    pthread_mutex_destroy(&findings->lock);
}

/* Returns the store of report number I; NULL: it appeared later. */
static struct store_findings *store_of(const struct findings *findings,
                                       const struct inspection *inspection, size_t i)
{
    const struct store *store = inspection->survey.inquiry.list->stores[i];

    for (size_t at = 0; at < findings->roster->count; at++) {
        if (findings->roster->entries[at].store == store)
            return &findings->stores[at];
    }
    return NULL;
}

/* Call with the lock held. A name that is not believed counts neither as a file nor as lost. */
static void count_name(struct findings *findings, const struct inspection *inspection)
{
    enum name_health health = inspection_health(inspection);
    bool shown = !inspection->hidden, is_file = shown && S_ISREG(inspection->status.st_mode);
    bool lost = shown && (health == HEALTH_LOST || health == HEALTH_CONFLICT);
    int place = lost ? 0 : 1 + (inspection->spare < SPARES ? inspection->spare : SPARES - 1);

    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        struct store_findings *store = store_of(findings, inspection, i);
        if (!store || (!shown && report->state != COPY_FOREIGN && report->state != COPY_LEFTOVER))
            continue;
        store->cannot_be += report->cannot_be;
        store->no_attributes += report->no_attributes;
        store->copies[report->state] += !report->cannot_be;
        store->other_metadata += shown && report->other_metadata != 0;
        store->kept_modes += shown && report->keeps_mode &&
                             report->other_metadata & (METADATA_MODE | METADATA_OWNER);
        store->damaged_blocks += shown ? damage_size(&report->damage) : 0;
    }
    findings->foreign += !shown && !inspection->leftover;
    findings->leftovers += !shown && inspection->leftover;
    if (!shown)
        return;
    findings->files += is_file;
    findings->others += !is_file;
    findings->bytes += is_file && inspection->settled ? inspection->version.layout.source_size : 0;
    findings->intact += health == HEALTH_INTACT;
    findings->lost += lost;
    findings->conflicts += health == HEALTH_CONFLICT;
    findings->degraded += health == HEALTH_DEGRADED;
    findings->unverified += inspection->unverified.count > 0;
    findings->orphans += inspection->sealed.orphan;
    if (!S_ISDIR(inspection->status.st_mode) || lost) {
        findings->counted++;
        findings->spares[place]++;
    }
    findings->file_spares[place] += is_file;
}

void findings_failed(void *opaque, const char *path, int error)
{
    struct findings *findings = opaque;
    HOLD(&findings->lock);

    findings->failed++;
    log_errno(error, "%s: cannot be checked", log_path(path));
}

uint64_t store_findings_bad(const struct store_findings *store)
{
    uint64_t bad = store->other_metadata;

    for (int state = COPY_GOOD + 1; state < COPY_STATES; state++)
        bad += state == COPY_LEFTOVER ? 0 : store->copies[state];
    return bad;
}

bool store_findings_are_bad(const struct store_findings *store)
{
    return store_findings_bad(store) > 0 || store->copies[COPY_GOOD] == 0;
}

int findings_least_spare(const struct findings *findings)
{
    int spare = -1;

    while (spare + 1 < SPARES && findings->spares[spare + 1] == 0)
        spare++;
    return spare;
}

char *findings_sentence(const struct findings *findings)
{
    int least = findings_least_spare(findings);
    uint64_t all_files = findings->files, all = findings->counted;
    const char *seen = findings->options->sample == 0 ? ", by headers alone"
                       : findings->options->sample < 1 || findings->options->due
                           ? ", as far as was checked"
                           : "";
    struct draft text = {0};

    if (least < 0 ||
        (least == 0 && !findings->key_lost)) { /* "1 of 3 files and 1 of 2 other names" */
        size_t place = least < 0 ? 0 : 1;
        uint64_t files = findings->file_spares[place], others = findings->spares[place] - files;
        if (files > 0)
            draft_add(&text, "%s of %s file%s", show_count(files).text, show_count(all_files).text,
                      plural(all_files));
        if (others > 0)
            draft_add(&text, "%s%s of %s other name%s", files > 0 ? " and " : "",
                      show_count(others).text, show_count(all - all_files).text,
                      plural(all - all_files));
    }
    if (findings->key_lost && least >= 0)
        draft_add(&text,
                  "Too few stores have their part of the key: only its file opens anything.");
    else if (all == 0)
        draft_add(&text, "%s",
                  findings->failed > 0 ? "No file could be checked." : "There are no files.");
    else if (least < 0)
        draft_add(&text, " %s lost%s.", findings->spares[0] == 1 ? "is" : "are", seen);
    else if (least == 0)
        draft_add(&text, " would be lost if one more store were%s.", seen);
    else
        draft_add(&text, "Every file%s survives the loss of any %d further store%s%s.",
                  findings->failed > 0 ? " that could be checked" : "", least,
                  plural((uint64_t)least), seen);
    return draft_take(&text);
}

enum exit_status findings_status(const struct findings *findings)
{
    if (findings->lost > 0)
        return EXIT_STATUS_LOST;
    if (findings->failed > 0)
        return EXIT_STATUS_FAILED;
    return findings->degraded > 0 || findings->foreign > 0 ||
                   (findings->roster->left_out > 0 && !findings->options->due) ||
                   roster_has_empty(findings->roster)
               ? EXIT_STATUS_DAMAGED
               : EXIT_STATUS_OK;
}

/* Adds " 3, 7-9", and the number of further ranges if there are too many to read. */
static void add_ranges(struct draft *text, const struct damage *damage)
{
    enum { SHOWN = 8 };

    for (size_t i = 0; i < damage->count && i < SHOWN; i++) {
        const struct damage_range *range = &damage->ranges[i];
        draft_add(text, "%s%llu", i > 0 ? ", " : " ", (unsigned long long)range->first);
        if (range->last > range->first)
            draft_add(text, "-%llu", (unsigned long long)range->last);
    }
    if (damage->count > SHOWN)
        draft_add(text, " and %zu more", damage->count - SHOWN);
}

/* Returns true if a store lacks most names: it is new, or only partly filled. */
static bool lacks_most(const struct findings *findings, const struct roster_entry *entry)
{
    enum { FEW = 8 }; /* few enough to read */
    const uint64_t names = findings->roster->believed;

    return names >= FEW && 2 * entry->missing > names;
}

/* Returns true if the only thing wrong with a copy is that its store is new, empty or nearly so. */
static bool is_new(const struct findings *findings, const struct inspection *inspection, size_t i)
{
    const struct store_findings *store = store_of(findings, inspection, i);
    const bool absent = inspection->copies[i].state == COPY_ABSENT;

    if (!store)
        return false;
    const struct roster_entry *entry = &findings->roster->entries[store - findings->stores];
    return entry->added || entry->empty ? absent || !*inspection->path
                                        : absent && lacks_most(findings, entry);
}

static const char *why_unreadable(const struct copy_report *report)
{
    return report->error == -ETIMEDOUT ? "no answer in time" : strerrordesc_np(-report->error);
}

const char *findings_wrong(const struct findings *findings, const struct inspection *inspection,
                           size_t i, struct draft *text)
{
    const struct copy_report *report = &inspection->copies[i];
    const struct store_findings *store = store_of(findings, inspection, i);

    if (!copy_is_wrong(report) || (inspection->hidden && report->state == COPY_ABSENT))
        return NULL;
    const char *words = copy_words[report->state].wrong;
    if (report->state == COPY_STALE && report->other_content)
        words = "another content of this version";
    if (report->state == COPY_DAMAGED && report->other_format) {
        words = "a share of another format";
    } else if (report->state == COPY_DAMAGED) {
        draft_add(text, "%s%s%s", report->bad_header ? "header" : "",
                  report->bad_header && report->bad_size ? ", " : "",
                  report->bad_size ? "size" : "");
        if (report->damage.count > 0) {
            draft_add(text, "%sblock%s", report->bad_header || report->bad_size ? ", " : "",
                      plural(damage_size(&report->damage)));
            add_ranges(text, &report->damage);
        }
    }
    draft_add(text, "%s", words);
    if (report->state == COPY_UNREADABLE)
        draft_add(text, ": %s", why_unreadable(report));
    if (report->state == COPY_GOOD)
        draft_add_metadata(text, report->other_metadata);
    if (report->state == COPY_MISPLACED)
        draft_add(text, "%02x here", report->index);
    return store ? store->name : "a new store";
}

bool findings_add_lost(const struct inspection *inspection, const char *before, struct draft *text)
{
    bool all = inspection->conflict && !inspection->settled; /* a conflict needs no list */

    if (inspection->spare >= 0 || all || inspection->lost.count == 0)
        return false;
    draft_add(text, "%sstripes", before);
    add_ranges(text, &inspection->lost);
    draft_add(text, " of %llu", (unsigned long long)layout_stripes(&inspection->version.layout));
    return true;
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

static void tell_name(const struct findings *findings, const char *path,
                      const struct inspection *inspection)
{
    cleanup_free char *sides = inspection->hidden ? survey_describe(&inspection->survey) : NULL;
    const char *hint = findings_hint(inspection), *conflict = inspection->conflict_text;
    unsigned rival = inspection_rival(inspection);
    struct draft line = {0};

    draft_add(&line, "%s: ", log_path(path));
    switch (inspection_health(inspection)) {
    case HEALTH_FOREIGN:
        draft_add(&line, "%s: not confirmed", sides ? sides : "");
        break;
    case HEALTH_LEFTOVER:
        draft_add(&line, "left over by a tool, not counted");
        break;
    case HEALTH_CONFLICT:
        draft_add(&line, "LOST: conflict: %s", conflict ? conflict : "");
        break;
    case HEALTH_LOST:
        draft_add(&line, "LOST");
        if (inspection->would_need > 0)
            draft_add(&line, ": --required=%u would take it", inspection->would_need);
        else if (inspection->found > 0)
            draft_add(&line, ": %u share%s%s, %u needed", inspection->found,
                      plural(inspection->found), inspection->untimed ? " of different times" : "",
                      inspection->needed);
        break;
    default:
        draft_add(&line, "can lose %d more store%s", inspection->spare,
                  plural((uint64_t)inspection->spare));
    }
    findings_add_lost(inspection, inspection->conflict ? "; lost: " : ", ", &line);
    if (inspection->unverified.count > 0) {
        draft_add(&line, ", stripes");
        add_ranges(&line, &inspection->unverified);
        draft_add(&line, " unverified");
    }
    for (size_t i = 0; i < inspection->count; i++) {
        struct draft wrong = {0};
        const char *store = findings_wrong(findings, inspection, i, &wrong);
        cleanup_free char *what = draft_take(&wrong);
        if (store && what && (findings->options->verbose || !is_new(findings, inspection, i)))
            draft_add(&line, "; %s: %s", store, what);
    }
    if (rival > 0)
        draft_add(&line, "; an older version is in %u store%s%s", rival, plural(rival),
                  inspection_health(inspection) == HEALTH_LOST ? ": decode --older takes it" : "");
    if (hint && !inspection->hidden)
        draft_add(&line, "; %s", hint);
    output_draft(inspection->hidden || inspection->spare > 0 ? COLOUR_NONE
                 : inspection->spare < 0                     ? COLOUR_BAD
                                                             : COLOUR_WARNING,
                 &line);
}

/* For "s:o*" of json_pack: NULL if it is not so. */
static json_t *json_if(bool so)
{
    return so ? json_true() : NULL;
}

static json_t *json_unless_0(unsigned number)
{
    return number > 0 ? json_integer(number) : NULL;
}

static void tell_name_json(const char *path, const struct inspection *inspection)
{
    static const char *const healths[] = {
        [HEALTH_INTACT] = "intact",   [HEALTH_DEGRADED] = "degraded",
        [HEALTH_FOREIGN] = "foreign", [HEALTH_LEFTOVER] = "leftover",
        [HEALTH_LOST] = "lost",       [HEALTH_CONFLICT] = "conflict",
    };
    mode_t mode = inspection->status.st_mode;
    const char *kind = S_ISREG(mode)   ? "file"
                       : S_ISDIR(mode) ? "directory"
                       : S_ISLNK(mode) ? "symlink"
                                       : "special";
    const struct share_layout *layout = &inspection->version.layout;
    json_t *problems = json_array();

    for (size_t i = 0; i < inspection->count; i++) {
        const struct copy_report *report = &inspection->copies[i];
        const bool not_kept = report->not_kept || report->cannot_be;
        if ((!copy_is_wrong(report) && !not_kept) ||
            (inspection->hidden && report->state == COPY_ABSENT))
            continue;
        json_t *problem = json_pack(
            "{s:s, s:s*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}", "state",
            copy_words[report->state].name, "error",
            report->state == COPY_UNREADABLE ? why_unreadable(report) : NULL, "share",
            report->index >= 0 ? json_sprintf("%02x", report->index) : NULL, "header_damaged",
            json_if(report->bad_header), "size_wrong", json_if(report->bad_size), "damaged_blocks",
            json_ranges(&report->damage, false), "other_content", json_if(report->other_content),
            "other_metadata", json_if(report->other_metadata != 0), "not_kept", json_if(not_kept));
        output_json_path(problem, "store", store_name(inspection->survey.inquiry.list->stores[i]));
        json_array_append_new(problems, problem);
    }
    json_t *object = json_pack(
        "{s:s, s:s, s:i, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o}", "health",
        healths[inspection_health(inspection)], "kind", kind, "may_lose", inspection->spare, "size",
        S_ISREG(mode) && layout->required > 0 ? json_integer((json_int_t)layout->source_size)
                                              : NULL,
        "would_need", json_unless_0(inspection->would_need), "older_version_in",
        json_unless_0(inspection_rival(inspection)), "lost_stripes",
        json_ranges(&inspection->lost, false), "unverified_stripes",
        json_ranges(&inspection->unverified, false), "orphan", json_if(inspection->sealed.orphan),
        "problems", problems);
    output_json_path(object, "path", path);
    if (inspection->sealed.path)
        output_json_path(object, "stored_as", inspection->path);
    if (inspection->conflict_text)
        output_json_path(object, "conflict", inspection->conflict_text);
    output_json("check", object);
}

/* Returns true if there is room for one more line about a name; lost names have room of their
 * own. */
static bool has_room(struct findings *findings, enum name_health health)
{
    enum { LINES_MAX = 100 };
    HOLD(&findings->lock);
    uint64_t *told = &findings->told[health == HEALTH_LOST || health == HEALTH_CONFLICT];

    if (findings->options->verbose || *told < LINES_MAX) {
        ++*told;
        return true;
    }
    findings->untold++;
    return false;
}

void findings_tell_rest(const struct findings *findings)
{
    if (findings->untold > 0)
        output_text(COLOUR_NONE,
                    "... and %s more name%s with which something is wrong; -v shows "
                    "all, --json too",
                    show_count(findings->untold).text, plural(findings->untold));
}

void findings_report(void *opaque, const char *path, const struct inspection *inspection)
{
    struct findings *findings = opaque;

    path = inspection_path(inspection);
    pthread_mutex_lock(&findings->lock);
    count_name(findings, inspection);
    pthread_mutex_unlock(&findings->lock);
    /* A name is reported if something is wrong with it, or all are wanted. */
    enum name_health health = inspection_health(inspection);
    bool told = findings->options->verbose ||
                (health != HEALTH_INTACT && (health != HEALTH_DEGRADED || findings->options->json));
    for (size_t i = 0; i < inspection->count && !told && health == HEALTH_DEGRADED; i++)
        told = copy_is_wrong(&inspection->copies[i]) && !is_new(findings, inspection, i);
    if (findings->options->json) /* it has all that is not right, even without damage */
        for (size_t i = 0; i < inspection->count && !told; i++)
            told = inspection->copies[i].not_kept || inspection->copies[i].cannot_be;
    if (!told || (!findings->options->json && !has_room(findings, health)))
        return;
    if (findings->options->json)
        tell_name_json(path, inspection);
    else
        tell_name(findings, path, inspection);
}

const char *const findings_limits[LIMITS] = {
    "fractions of seconds",
    "owners",
    "modes",
    "times of files",
    "times of directories",
    "times of symlinks",
    "symlinks",
    "special files",
    "empty directories",
};

/* Returns ["owners", "symlinks"]; NULL: the storage keeps everything. */
static json_t *json_limits(unsigned limits, bool no_attributes)
{
    json_t *list = limits || no_attributes ? json_array() : NULL;

    for (size_t i = 0; i < LIMITS; i++) {
        if (limits & 1u << i)
            json_array_append_new(list, json_string(findings_limits[i]));
    }
    if (no_attributes)
        json_array_append_new(list, json_string("attributes"));
    return list;
}

bool findings_add_limits(const struct findings *findings, size_t place, const char *before,
                         struct draft *text)
{
    const struct roster_entry *entry = &findings->roster->entries[place];
    const struct store_findings *store = &findings->stores[place];
    const char *between = before;

    for (size_t i = 0; i < LIMITS; i++) {
        if (!(entry->limits & 1u << i))
            continue;
        draft_add(text, "%s%s", between, findings_limits[i]);
        between = ", ";
    }
    if (store->no_attributes > 0) {
        draft_add(text, "%sattributes", between);
        between = ", ";
    }
    if (store->cannot_be > 0)
        draft_add(text, " (%s name%s)", show_count(store->cannot_be).text,
                  plural(store->cannot_be));
    return between != before;
}

static void summarize_store(const struct findings *findings, size_t place, json_t *objects)
{
    const struct store_findings *store = &findings->stores[place];
    const struct roster_entry *entry = &findings->roster->entries[place];
    struct draft line = {0};
    json_t *object =
        json_pack("{s:s?, s:I, s:I, s:o*}", "share", store->share >= 0 ? store->digits : NULL,
                  "other_metadata", (json_int_t)store->other_metadata, "damaged_blocks",
                  (json_int_t)store->damaged_blocks, "not_kept",
                  json_limits(entry->limits, store->no_attributes > 0));

    output_json_path(object, "store", store_name(findings->roster->entries[place].store));
    draft_add(&line, "  %s  %s: %s good", store->digits, store->name,
              show_count(store->copies[COPY_GOOD]).text);
    for (enum copy_state state = 0; state < COPY_STATES; state++) {
        json_object_set_new(object, copy_words[state].name,
                            json_integer((json_int_t)store->copies[state]));
        if (state != COPY_GOOD && store->copies[state] > 0)
            draft_add(&line, ", %s %s", show_count(store->copies[state]).text,
                      copy_words[state].of_many);
    }
    json_array_append_new(objects, object);
    if (store->other_metadata > 0)
        draft_add(&line, ", %s with other metadata", show_count(store->other_metadata).text);
    if (store->damaged_blocks > 0)
        draft_add(&line, " (%s bad block%s)", show_count(store->damaged_blocks).text,
                  plural(store->damaged_blocks));
    findings_add_limits(findings, place, "; its storage does not keep ", &line);
    if (entry->empty && !entry->added)
        draft_add(&line, "; it is empty: is it mounted?");
    else if (!entry->added && lacks_most(findings, entry))
        draft_add(&line, "; is it new, or copied in part?");
    output_draft(store_findings_are_bad(store) ? COLOUR_WARNING : COLOUR_NONE, &line);
}

struct missing {
    struct findings *findings;
    uint64_t count;
};

static void tell_missing(void *context, const char *name, mode_t kind)
{
    struct findings *findings = ((struct missing *)context)->findings;
    struct draft line = {0};

    pthread_mutex_lock(&findings->lock);
    ((struct missing *)context)->count++;
    findings->lost++;
    findings->files += S_ISREG(kind);
    findings->others += !S_ISREG(kind);
    findings->counted++;
    findings->spares[0]++;
    findings->file_spares[0] += S_ISREG(kind);
    pthread_mutex_unlock(&findings->lock);
    if (findings->options->json) {
        json_t *object =
            json_pack("{s:s, s:s, s:i, s:[]}", "health", "lost", "kind",
                      S_ISREG(kind) ? "file" : "directory", "may_lose", -1, "problems");
        output_json_path(object, "path", name);
        output_json("check", object);
    } else if (has_room(findings, HEALTH_LOST)) {
        draft_add(&line, "%s: LOST: no store has it", log_path(name));
        output_draft(COLOUR_BAD, &line);
    }
}

uint64_t findings_find_missing(struct findings *findings, struct source *stores,
                               struct unsealing *unsealing, const char *path)
{
    struct missing missing = {.findings = findings};

    int r = unsealing ? unsealing_find_missing(unsealing, path, tell_missing, &missing)
                      : unsealing_find_manifest(stores, path, tell_missing, &missing);
    if (r < 0)
        findings_failed(findings, path, r);
    return missing.count;
}

/* Reports what only a key could verify, or has verified, of sealed shares. */
static void tell_sealed(const struct findings *findings)
{
    if (findings->unverified > 0)
        output_text(COLOUR_WARNING,
                    "%s file%s unverified: of a stripe there are just as many blocks as it needs, "
                    "and only --key proves them",
                    show_count(findings->unverified).text, plural(findings->unverified));
    if (findings->orphans > 0)
        output_text(COLOUR_NONE, "%s orphan%s: stored, but in no manifest, so not shown",
                    show_count(findings->orphans).text, plural(findings->orphans));
}

void findings_summarize(const struct findings *findings, double seconds, json_t *summary)
{
    cleanup_free char *sentence = findings_sentence(findings);
    int least = findings_least_spare(findings);
    json_t *stores = json_array();

    findings_tell_rest(findings);
    output_text(COLOUR_NONE,
                "%s file%s (%s) and %s other name%s in %.1f s: %s intact, %s degraded, %s lost",
                show_count(findings->files).text, plural(findings->files),
                show_bytes(findings->bytes).text, show_count(findings->others).text,
                plural(findings->others), seconds, show_count(findings->intact).text,
                show_count(findings->degraded).text, show_count(findings->lost).text);
    output_text(COLOUR_NONE, "Stores, and the share that each holds:");
    for (size_t i = 0; i < findings->roster->count; i++)
        summarize_store(findings, findings->order[i], stores);
    tell_sealed(findings);
    if (sentence)
        output_text(least < 0 || findings->key_lost ? COLOUR_BAD
                    : least == 0                    ? COLOUR_WARNING
                                                    : COLOUR_GOOD,
                    "%s", sentence);
    if (findings->unverified > 0)
        json_object_set_new(summary, "unverified", json_integer((json_int_t)findings->unverified));
    if (findings->key_lost)
        json_object_set_new(summary, "key_lost", json_true());
    if (findings->has_key)
        json_object_set_new(summary, "orphans", json_integer((json_int_t)findings->orphans));
    json_object_update_new(
        summary,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:s*}", "files",
                  (json_int_t)findings->files, "bytes", (json_int_t)findings->bytes, "others",
                  (json_int_t)findings->others, "intact", (json_int_t)findings->intact, "degraded",
                  (json_int_t)findings->degraded, "lost", (json_int_t)findings->lost, "foreign",
                  (json_int_t)findings->foreign, "leftovers", (json_int_t)findings->leftovers,
                  "conflicts", (json_int_t)findings->conflicts, "required",
                  (json_int_t)findings->roster->quorum.required, "may_lose", least, "stores",
                  stores, "sentence", sentence));
}
