/* SPDX-License-Identifier: MIT */
#include "restore/share_set.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/shortage.h"
#include "base/zeros.h"
#include "restore/binding.h"
#include "restore/reading.h"
#include "share/block.h"
#include "trust/name.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    /* Stripes that are looked at for zeros, of files that have so many stripes or more. */
    SAMPLES = 8,
    SAMPLED_MIN = 64,
    BLOCKS_LEAST = 8,
};

enum verdict {
    VERDICT_USABLE,
    VERDICT_CONFLICT,   /* two versions of one time are complete, in as many stores */
    VERDICT_INCOMPLETE, /* no version has the shares that it needs */
    VERDICT_NONE,       /* no copy has an intact header */
};

struct share_set {
    char *path;
    struct share_terms terms;
    struct quorum quorum;
    struct copies *copies;
    struct version version; /* where there is none that is usable: the best of the others */
    enum verdict verdict;
    bool plain;                /* special bits are not shown */
    pthread_mutex_t late_lock; /* taken before the other one, to wait for: */
    struct inquiry late;       /* looks of which some are pending */
    pthread_mutex_t lock;      /* of what reading teaches about the copies, and of: */
    struct content_trust trust;
    bool partial;            /* there are such looks */
    bool told_conflict;      /* between contents, in the log */
    struct damage lost;      /* stripes that could not be restored */
    struct damage dead;      /* those of them that stay so, whatever is tried again */
    struct damage undecided; /* and those where to find out took too long */
};

/* Says which stores have another version than the chosen one. */
static void log_stale(const struct share_set *set)
{
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (copy->facts.other_format)
            log_once("%s: store %s: is a share of another format", set->path,
                     store_name(copy->store));
        else if (!copy->facts.has_header)
            log_once("%s: store %s: the header is damaged", set->path, store_name(copy->store));
        else if (copy->facts.misplaced)
            log_once("%s: store %s: has share %02x here, and %02x elsewhere", set->path,
                     store_name(copy->store), copy->facts.header.index, (unsigned)copy->voter);
        else if (!version_is_same(&copy->facts.header, &set->version.header))
            log_once("%s: store %s has another version (%s)", set->path, store_name(copy->store),
                     copy->facts.header.mtime_ns < set->version.header.mtime_ns
                         ? "older"
                         : "newer, or of another size");
    }
    if (set->version.rival > set->version.whole)
        log_once("%s: %s version is in more stores (%u) than the one shown (%u)", set->path,
                 set->version.rival_is_newer ? "a newer" : "an older", set->version.rival,
                 set->version.whole);
}

static void set_roles(const struct share_set *set, size_t first)
{
    for (size_t i = first; i < set->copies->count; i++) {
        struct copy *copy = &set->copies->items[i];
        copy->role = version_role(&copy->facts, &set->version.header);
    }
}

/* Forgets what blocks said of the copies when they were read as if of another version. */
static void forget_blocks(struct copies *copies)
{
    for (size_t i = 0; i < copies->count; i++) {
        struct copy *copy = &copies->items[i];
        copy->shares = false;
        copy->index = copy->facts.has_header ? copy->index : -1;
    }
}

/* Takes a version that may turn out not to be the one, and finds out by FIND what completes it. */
static int try_version(struct share_set *set, const struct version *version, bool trial,
                       int (*find)(const struct stripe_reading *reading))
{
    struct stripe_reading reading;

    set->version = *version;
    set_roles(set, 0);
    if (version->complete || !version->possible)
        return version->complete;
    forget_blocks(set->copies);
    share_set_begin_reading(set, 0, NULL, &reading);
    reading.trial = trial;
    return find(&reading);
}

/*
 * Of the versions from number PLACE on that are of one time, and that copies without a header or of
 * other times complete, takes the one with most shares.
 */
static int compare_rivals(struct share_set *set, const struct copy_facts facts[], unsigned place)
{
    struct version best = set->version, other;
    int most = 0;

    while (version_choose(&set->quorum, facts, set->copies->count, ++place, &other) == 0 &&
           other.header.mtime_ns == best.header.mtime_ns) {
        if (most == 0)
            most = try_version(set, &best, true, binding_count);
        int shares = most < 0 ? most : try_version(set, &other, true, binding_count);
        if (shares < 0)
            return shares;
        if (shares < (int)other.needed)
            continue;
        best.tied |= shares == most;
        if (shares > most) {
            best = other;
            most = shares;
        }
    }
    return try_version(set, &best, true, binding_completes);
}

/* Takes the version that comes RANK usable versions behind the best one. */
static int choose(struct share_set *set, unsigned rank)
{
    cleanup_free struct copy_facts *facts = copies_facts(set->copies);
    size_t count = set->copies->count;
    struct version first;
    int r;

    if (!facts)
        return -ENOMEM;
    version_settle_times(facts, count, 0);
    if (version_choose(&set->quorum, facts, count, 0, &first) == 0 && !first.complete)
        version_forget_times(facts, count);
    copies_take_facts(set->copies, facts);
    set->verdict = VERDICT_NONE;
    for (unsigned i = 0;; i++) {
        struct version version;
        r = version_choose(&set->quorum, facts, set->copies->count, i, &version);
        if (r < 0)
            break;
        if (i == 0)
            first = version;
        set->verdict = VERDICT_INCOMPLETE;
        r = try_version(set, &version, true, binding_completes);
        if (r > 0 && rank-- == 0) {
            r = version.complete ? r : compare_rivals(set, facts, i);
            set->verdict = set->version.tied ? VERDICT_CONFLICT : VERDICT_USABLE;
            return r < 0 ? r : 0;
        }
        if (r < 0)
            return r;
    }
    if (r == -ENODATA && set->verdict == VERDICT_INCOMPLETE) /* once more, to note what is bad */
        r = try_version(set, &first, false, binding_completes);
    return r == -ENODATA || r > 0 ? 0 : r;
}

int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret)
{
    struct share_set *set = calloc(1, sizeof *set);

    if (!set)
        return -ENOMEM;
    pthread_mutex_init(&set->late_lock, NULL);
    pthread_mutex_init(&set->lock, NULL);
    set->terms = *terms;
    set->quorum = looks->list->quorum;
    set->path = strdup(path);
    int r = set->path ? copies_new(looks, terms, path, &set->copies) : -ENOMEM;
    if (r == 0)
        r = choose(set, rank);
    if (r < 0) {
        share_set_free(set);
        return r;
    }
    *ret = set;
    return 0;
}

void share_set_believe(struct share_set *set)
{
    set->quorum.required = 1;
    set->plain = true;
    choose(set, 0);
}

void share_set_keep_looks(struct share_set *set, struct inquiry *looks)
{
    if (looks->pending == 0)
        return;
    set->late = *looks;
    set->partial = true;
    *looks = NO_INQUIRY;
}

/* Adds the copies of stores that were late. The version stays: that it is right was settled. */
static int add_late(struct share_set *set)
{
    size_t before = set->copies->count;
    cleanup_free struct copy_facts *facts = NULL;
    struct version version;

    HOLD(&set->lock);
    set->partial = false;
    int r = copies_add_late(set->copies, &set->late, &set->terms, set->path);
    facts = r == 0 ? copies_facts(set->copies) : NULL;
    if (r < 0 || !facts)
        return r < 0 ? r : -ENOMEM;
    version_settle_times(facts, set->copies->count, before);
    copies_take_facts(set->copies, facts);
    bool same = version_choose(&set->quorum, facts, set->copies->count, 0, &version) == 0 &&
                version_is_same(&version.header, &set->version.header);
    if (same)
        set_roles(set, before);
    for (size_t i = before; i < set->copies->count; i++)
        set->copies->items[i].trusted = !set->trust.contested;
    return 0;
}

static int wait_for_late(struct share_set *set)
{
    HOLD(&set->late_lock);
    if (!set->late.list)
        return 0;
    inquiry_complete(&set->late);
    int r = add_late(set);
    inquiry_clear(&set->late);
    return r;
}

static void log_range(const struct share_set *set, const struct damage *damage, const char *where,
                      const char *what)
{
    uint64_t size = damage_size(damage);

    if (size > 1)
        log_once("%s: %s%llu stripes from %llu to %llu %s", set->path, where,
                 (unsigned long long)size, (unsigned long long)damage->ranges[0].first,
                 (unsigned long long)damage->ranges[damage->count - 1].last, what);
}

/* What was found first was logged then; here is all of it, where there was more. */
static void log_damage(const struct share_set *set)
{
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        cleanup_free char *where = NULL;
        if (copy->role != COPY_OTHER && copy->damage.count > 0 &&
            asprintf(&where, "store %s: ", store_name(copy->store)) >= 0)
            log_range(set, &copy->damage, where, "were bad");
    }
    log_range(set, &set->lost, "", "could not be restored");
}

void share_set_free(struct share_set *set)
{
    if (set->copies) {
        log_damage(set);
        copies_free(set->copies);
    }
    inquiry_clear(&set->late);
    damage_clear(&set->lost);
    damage_clear(&set->dead);
    damage_clear(&set->undecided);
    pthread_mutex_destroy(&set->lock);
    pthread_mutex_destroy(&set->late_lock);
    free(set->path);
    free(set);
}

bool share_set_is_whole(struct share_set *set)
{
    HOLD(&set->lock);
    return !set->partial && set->lost.count == 0 && !set->trust.contested;
}

bool share_set_is_sound(struct share_set *set)
{
    if (!share_set_is_whole(set))
        return false;
    HOLD(&set->lock);
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (copy->damage.count > 0 || copy->failing || copy->forged || copy->changed)
            return false;
    }
    return true;
}

size_t share_set_size(const struct share_set *set)
{
    return sizeof *set + strlen(set->path) + 1 + sizeof *set->copies +
           set->copies->room * sizeof(struct copy);
}

bool share_set_is_contested(struct share_set *set)
{
    HOLD(&set->lock);
    return set->trust.contested;
}

void share_set_forget_trust(struct share_set *set)
{
    HOLD(&set->lock);
    set->trust.contested = false;
    for (size_t i = 0; i < set->copies->count; i++)
        set->copies->items[i].trusted = true;
}

const struct share_header *share_set_header(const struct share_set *set)
{
    return set->verdict == VERDICT_USABLE ? &set->version.header : NULL;
}

const struct version *share_set_version(const struct share_set *set)
{
    return set->verdict == VERDICT_NONE ? NULL : &set->version;
}

bool share_set_is_conflict(struct share_set *set)
{
    HOLD(&set->lock);
    return set->verdict == VERDICT_CONFLICT || set->trust.conflict;
}

bool share_set_is_complete(const struct share_set *set)
{
    bool found = set->verdict == VERDICT_USABLE || set->verdict == VERDICT_CONFLICT;

    return found && set->version.complete;
}

/* Returns true if the stripe's digest in COPY is that of zeros, which is at hand or is made. */
static bool has_digest_of_zeros(const struct share_set *set, const struct copy *copy,
                                uint64_t stripe, uint8_t zero_digest[HASH_SIZE], bool *made)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint64_t offset = layout_block_offset(&copy->facts.header.layout, stripe);
    const uint8_t *data = zeros();
    uint8_t digest[HASH_SIZE];

    if (!data || copy_read_now(copy, offset, sizeof digest, digest) < 0)
        return false;
    if (!*made)
        hash(data, layout_stripe_size(layout, stripe), stripe, zero_digest);
    *made = true;
    return memcmp(digest, zero_digest, HASH_SIZE) == 0;
}

bool share_set_is_hole(struct share_set *set, uint64_t stripe)
{
    uint8_t zero_digest[HASH_SIZE];
    bool seen[256] = {false}, made = false;
    unsigned shares = 0;

    if (!formats[set->version.header.layout.format]->has_checks || share_set_is_contested(set))
        return false;
    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        if (copy->role != COPY_MEMBER)
            continue;
        if (!has_digest_of_zeros(set, copy, stripe, zero_digest, &made))
            return false;
        shares += !seen[copy->facts.header.index];
        seen[copy->facts.header.index] = true;
    }
    return shares >= set->version.needed;
}

/*
 * The blocks of 512 bytes that are data, by a look at some stripes. Programs look for holes in a
 * file only where it has fewer blocks than it is long; none at all would say that there is no data.
 */
static uint64_t guess_blocks(struct share_set *set, uint64_t size)
{
    uint64_t blocks = size / 512 + (size % 512 > 0);
    uint64_t stripes = layout_stripes(&set->version.header.layout);
    unsigned holes = 0;

    if (stripes < SAMPLED_MIN)
        return blocks;
    uint64_t step = stripes / SAMPLES;
    for (unsigned i = 0; i < SAMPLES; i++)
        holes += share_set_is_hole(set, step * i + step / 2);
    return holes == SAMPLES
               ? BLOCKS_LEAST
               : blocks / SAMPLES * (SAMPLES - holes) + (holes == 0 ? blocks % SAMPLES : 0);
}

void share_set_status(struct share_set *set, struct stat *ret)
{
    size_t count = set->copies->count;
    cleanup_free struct ballot *ballots = calloc(count, sizeof *ballots);
    bool usable = set->verdict == VERDICT_USABLE;

    *ret = set->copies->items[0].status;
    for (size_t i = 0; ballots && i < count; i++) {
        const struct copy *copy = &set->copies->items[i];
        ballots[i] = (struct ballot){
            .cast = !usable || copy->role == COPY_MEMBER,
            .voter = copy->voter,
            .status = copy->status,
            .one_mode_only = copy->one_mode_only,
            .slow = copy->slow,
        };
    }
    if (ballots)
        vote_status(&set->quorum, ballots, count, ret);
    if (set->plain)
        ret->st_mode &= ~(mode_t)(S_ISUID | S_ISGID | S_ISVTX);
    uint64_t size = usable ? set->version.header.layout.source_size : 0;
    ret->st_size = (off_t)size;
    ret->st_blocks = size > 0 ? (blkcnt_t)guess_blocks(set, size) : 0;
    /* The source's time from the header: storage may have rounded that of the files. */
    if (usable)
        header_mtime(&set->version.header, &ret->st_mtim);
}

unsigned share_set_would_need(const struct share_set *set)
{
    cleanup_free struct copy_facts *facts = copies_facts(set->copies);

    return facts ? version_would_need(&set->quorum, facts, set->copies->count) : 0;
}

/* Returns true if the copy is on a side of the conflict. With the lock held. */
static bool has_side(const struct share_set *set, const struct copy *copy)
{
    if (set->verdict != VERDICT_CONFLICT)
        return copy->side > 0;
    return copy->facts.has_header && copy->facts.header.mtime_ns == set->version.header.mtime_ns;
}

/* Returns true if A is on the side that B is on. */
static bool same_side(const struct share_set *set, const struct copy *a, const struct copy *b)
{
    return has_side(set, a) &&
           (set->verdict == VERDICT_CONFLICT ? version_is_same(&a->facts.header, &b->facts.header)
                                             : a->side == b->side);
}

/* Returns true if a version on another side has the size and the k of that of copy PLACE. */
static bool has_lookalike(const struct share_set *set, size_t place)
{
    const struct copy *own = &set->copies->items[place];
    const struct share_layout *layout = &own->facts.header.layout;

    for (size_t i = 0; i < set->copies->count; i++) {
        const struct copy *copy = &set->copies->items[i];
        const struct share_layout *other = &copy->facts.header.layout;
        if (has_side(set, copy) && !same_side(set, copy, own) &&
            other->source_size == layout->source_size && other->required == layout->required)
            return true;
    }
    return false;
}

/* Prints "100 bytes (k = 2) in", and in what else the version of copy PLACE differs. */
static void print_version(FILE *text, const struct share_set *set, size_t place)
{
    const struct share_header *header = &set->copies->items[place].facts.header;
    const struct share_layout *layout = &header->layout;

    fprintf(text, "%llu bytes (k = %u", (unsigned long long)layout->source_size, layout->required);
    if (!has_lookalike(set, place))
        fputs(") in", text);
    else if (formats[layout->format]->has_total)
        fprintf(text, ", n = %u) in", header->total);
    else
        fprintf(text, ", blocks of %u) in", layout->block_size);
}

/* Prints "100 bytes (k = 2) in a b", or of contents "one in a b", of the side of copy PLACE;
 * nothing if an earlier copy is on that side. */
static void print_side(FILE *text, const struct share_set *set, size_t place, bool first)
{
    const struct copy *items = set->copies->items;

    for (size_t i = 0; i < place; i++) {
        if (same_side(set, &items[i], &items[place]))
            return;
    }
    fputs(first ? "" : ", ", text);
    if (set->verdict == VERDICT_CONFLICT)
        print_version(text, set, place);
    else
        fputs(first ? "one in" : "another in", text);
    for (size_t i = place; i < set->copies->count; i++) {
        if (same_side(set, &items[i], &items[place]))
            fprintf(text, " %s", store_short_name(items[i].store));
    }
}

char *share_set_describe_conflict(struct share_set *set)
{
    bool first = true;
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return NULL;
    pthread_mutex_lock(&set->lock);
    if (set->verdict == VERDICT_CONFLICT)
        fputs("versions of one time: ", text);
    else
        fprintf(text, "contents of stripe %llu: ", (unsigned long long)set->trust.conflict_stripe);
    for (size_t i = 0; i < set->copies->count; i++) {
        if (!has_side(set, &set->copies->items[i]))
            continue;
        print_side(text, set, i, first);
        first = false;
    }
    pthread_mutex_unlock(&set->lock);
    if (fclose(text) == 0)
        return line;
    free(line);
    return NULL;
}

/* Says why no version is usable, and what would help. */
static void log_incomplete(const struct share_set *set)
{
    const struct version *version = &set->version;

    if (set->quorum.required == 0) {
        log_error("%s: the stores do not say how many shares are needed: give required=",
                  set->path);
        return;
    }
    unsigned would = share_set_would_need(set);
    if (would > 0)
        log_error("%s: fewer stores than %u have the version; required=%u takes it", set->path,
                  set->quorum.required, would);
    else if (version->untimed)
        log_error("%s: %u shares of different times found, %u needed to see whether they belong "
                  "together; unconfirmed takes them as they are",
                  set->path, version->whole, version->needed);
    else
        log_error("%s: %u different shares of the newest version found in %zu copies, %u needed",
                  set->path, version->whole, set->copies->count, version->needed);
}

/*
 * Returns true if copies that this user may not read could be a newer version, with those of it
 * that can be read. A view shows what its user may see; a command is to say that it cannot.
 */
static bool may_hide_newer(const struct share_set *set)
{
    const struct copies *copies = set->copies;
    cleanup_free struct copy_facts *facts = copies_facts(copies);
    bool hides = copies->denied >= set->quorum.required;

    for (size_t i = 0; facts && i < copies->count; i++) {
        const struct share_header *header = &copies->items[i].facts.header;
        if (!facts[i].has_header || header->mtime_ns <= set->version.header.mtime_ns)
            continue;
        const struct version newer = version_count(&set->quorum, facts, copies->count, header);
        hides |= newer.whole + copies->denied >= newer.needed;
    }
    return set->terms.patient && copies->denied > 0 && (hides || !facts);
}

/* Returns true if what was found missing may be in a store that did not answer in time. */
static bool has_missed(struct share_set *set)
{
    HOLD(&set->lock);
    return set->trust.missed;
}

int share_set_check(struct share_set *set)
{
    cleanup_free char *conflict = NULL;

    switch (set->verdict) {
    case VERDICT_USABLE:
        log_stale(set);
        if (!may_hide_newer(set))
            return 0;
        log_error("%s: %zu copies may be of a newer version, but you may not read them", set->path,
                  set->copies->denied);
        break;
    case VERDICT_CONFLICT:
        conflict = share_set_describe_conflict(set);
        log_error("%s: conflict: %s", set->path, conflict ? conflict : "two versions");
        return has_missed(set) ? -ETIMEDOUT : -EIO;
    case VERDICT_INCOMPLETE:
        log_incomplete(set);
        break;
    default:
        log_error("%s: none of %zu copies is a share with an intact header (is format= right?)",
                  set->path, set->copies->count);
    }
    if (set->copies->unread < 0)
        return set->copies->unread;
    return has_missed(set) ? -ETIMEDOUT : -EIO;
}

uint64_t share_set_present(const struct share_set *set)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint64_t longest = 0, stripes = layout_stripes(layout);

    for (size_t i = 0; i < set->copies->count; i++) {
        if (set->copies->items[i].facts.size > longest)
            longest = set->copies->items[i].facts.size;
    }
    uint64_t end = longest / layout_full_block_size(layout) + 1;
    return end < stripes ? end : stripes;
}

bool share_set_is_distant(const struct share_set *set)
{
    bool distant = false;

    for (size_t i = 0; i < set->copies->count; i++)
        distant |= store_is_remote(set->copies->items[i].store);
    return distant;
}

struct copies *share_set_copies(struct share_set *set)
{
    return set->copies;
}

void share_set_begin_reading(struct share_set *set, uint64_t stripe, uint8_t *data,
                             struct stripe_reading *ret)
{
    HOLD(&set->lock);
    *ret = (struct stripe_reading){
        .partial = set->partial,
        .path = set->path,
        .version = &set->version.header,
        .needed = set->version.needed,
        .untimed = set->version.untimed,
        .stripe = stripe,
        .copies = set->copies,
        .lock = &set->lock,
        .trust = &set->trust,
        .bind = binding_run,
        .stop = set->terms.stop,
        .data = data,
    };
}

static const char *why_not(int error)
{
    if (error == -ETIME)
        return "a store that may have the missing blocks did not answer in time";
    if (error == -ETIMEDOUT)
        return "the shares contradict each other, and to find out which are right takes too long";
    return error == -EBADMSG ? "the shares contradict each other" : "too few good blocks";
}

/* Says that a stripe is lost, and why. */
static void log_lost(struct share_set *set, const struct stripe_reading *reading, int error)
{
    const struct share_layout *layout = &reading->version->layout;
    uint64_t start = reading->stripe * layout_full_stripe_size(layout);
    bool conflict = error == -ENOTUNIQ;
    cleanup_free char *sides = conflict ? share_set_describe_conflict(set) : NULL;

    log_error("%s: bytes %llu to %llu cannot be restored: %s%s%s", set->path,
              (unsigned long long)start,
              (unsigned long long)(start + layout_stripe_size(layout, reading->stripe) - 1),
              conflict ? "conflict: " : "",
              sides      ? sides
              : conflict ? "two contents"
                         : why_not(error),
              set->version.rival > 0 && !set->terms.older
                  ? "; decode --older takes an older version, which enough stores have"
                  : "");
}

int share_set_end_reading(struct share_set *set, const struct stripe_reading *reading, int r)
{
    bool is_news, failing = false;

    if (r == 0 || is_shortage(r))
        return r;
    if (r != -ETIMEDOUT && set->copies->unread == -ETIMEDOUT) /* a copy was not to be had at all */
        r = -ETIME;
    bool late = r == -ETIMEDOUT || r == -ETIME;
    {
        HOLD(&set->lock);
        is_news = set->lost.count == 0 || (r == -ENOTUNIQ && !set->told_conflict);
        set->told_conflict |= r == -ENOTUNIQ;
        damage_add(&set->lost, reading->stripe);
        for (size_t i = 0; i < set->copies->count; i++)
            failing |= set->copies->items[i].failing;
        if (!failing) /* to read it again would change nothing */
            damage_add(late ? &set->undecided : &set->dead, reading->stripe);
    }
    if (is_news)
        log_lost(set, reading, r);
    return late ? -ETIMEDOUT : -EIO;
}

/* What reading a stripe came to before, if that stays so. */
static int known_error(struct share_set *set, uint64_t stripe)
{
    HOLD(&set->lock);
    if (damage_has(&set->undecided, stripe))
        return -ETIMEDOUT;
    return damage_has(&set->dead, stripe) ? -EIO : 0;
}

int share_set_read_stripe(struct share_set *set, uint64_t stripe, uint8_t *data)
{
    struct stripe_reading reading;

    int r = known_error(set, stripe);
    if (r < 0)
        return r;
    share_set_begin_reading(set, stripe, data, &reading);
    r = stripe_read(&reading);
    if (r == -EAGAIN) {
        r = wait_for_late(set);
        share_set_begin_reading(set, stripe, data, &reading);
        r = r < 0 ? r : stripe_read(&reading);
    }
    return share_set_end_reading(set, &reading, r);
}
