/* SPDX-License-Identifier: MIT */
#include "restore/share_set.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/shortage.h"
#include "base/zeros.h"
#include "restore/binding.h"
#include "restore/conflict.h"
#include "share/block.h"

#include <stdio.h>
#include <string.h>

enum {
    /* How many stripes are checked for zeros, of files that have so many. */
    SAMPLES = 8,
    SAMPLED_MIN = 64,
    BLOCKS_LEAST = 8,
};

/* Says which stores have another version than the chosen one. */
static void log_stale(const struct share_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        if (copy->facts->other_format)
            log_once("%s: store %s: is a share of another format", set->path,
                     store_name(copy->store));
        else if (!copy->facts->has_header)
            log_once("%s: store %s: the header is damaged", set->path, store_name(copy->store));
        else if (copy->facts->misplaced)
            log_once("%s: store %s: has share %02x here, and %02x elsewhere", set->path,
                     store_name(copy->store), copy->facts->header.index,
                     (unsigned)copy->ballot.voter);
        else if (!version_is_same(&copy->facts->header, &set->version.header))
            log_once("%s: store %s has another version (%s)", set->path, store_name(copy->store),
                     copy->facts->header.mtime_ns < set->version.header.mtime_ns
                         ? "older"
                         : "newer, or of another size");
    }
    if (set->version.rival > set->version.whole)
        log_once("%s: %s version is in more stores (%u) than the one shown (%u)", set->path,
                 set->version.rival_is_newer ? "a newer" : "an older", set->version.rival,
                 set->version.whole);
}

/*
 * Takes a version that may turn out to be the wrong one. Returns how many shares it has, together
 * with copies whose blocks say that they belong to it (of ALL stripes, or until it is complete); or
 * a shortage.
 */
static int try_version(struct share_set *set, const struct version *version, unsigned mode,
                       bool all)
{
    set->version = *version;
    copies_set_roles(set, 0);
    if (version->complete || !version->possible)
        return version->complete ? (int)version->whole : 0;
    /* Forgets what blocks said of the copies when they were read as if of another version. */
    for (size_t i = 0; i < set->count; i++) {
        struct copy *copy = &set->copies[i];
        copy->shares = false;
        copy->index = copy->facts->has_header ? copy->index : -1;
    }
    return binding_count(set, mode, all);
}

/*
 * Of the versions from number PLACE on that have one time, and that copies without a header or of
 * other times complete, takes the one with most shares.
 */
static int compare_rivals(struct share_set *set, unsigned place)
{
    struct version best = set->version, other;
    int most = 0;

    while (version_choose(&set->quorum, set->facts, set->count, ++place, &other) == 0 &&
           other.header.mtime_ns == best.header.mtime_ns) {
        if (most == 0)
            most = try_version(set, &best, READ_TRIAL, true);
        int shares = most < 0 ? most : try_version(set, &other, READ_TRIAL, true);
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
    return try_version(set, &best, READ_TRIAL, false);
}

/* Takes the version that is RANK usable versions behind the best one. */
static int choose(struct share_set *set, unsigned rank)
{
    struct copy_facts *facts = set->facts;
    size_t count = set->count;
    struct version first, version;
    int r;

    version_settle_times(facts, count, 0);
    if (version_choose(&set->quorum, facts, count, 0, &first) == 0 && !first.complete)
        version_forget_times(facts, count);
    set->verdict = SHARES_NONE;
    for (unsigned i = 0; version_choose(&set->quorum, facts, count, i, &version) == 0; i++) {
        if (i == 0)
            first = version;
        set->verdict = SHARES_INCOMPLETE;
        r = try_version(set, &version, READ_TRIAL, false);
        if (r >= (int)version.needed && rank-- == 0) {
            r = version.complete ? 0 : compare_rivals(set, i);
            set->verdict = set->version.tied ? SHARES_CONFLICT : SHARES_USABLE;
            return r < 0 ? r : 0;
        }
        if (r < 0)
            return r;
    }
    if (set->verdict == SHARES_NONE)
        return 0;
    r = try_version(set, &first, 0, false); /* once more, to note what is bad */
    return r < 0 ? r : 0;
}

int share_set_new(const struct inquiry *looks, const struct share_terms *terms, const char *path,
                  unsigned rank, struct share_set **ret)
{
    size_t room = looks->list->count;
    uint64_t patience = store_list_patience(looks->list);
    cleanup_share_set struct share_set *set = calloc(1, sizeof *set + room * sizeof(struct copy));

    if (!set)
        return -ENOMEM;
    pthread_mutex_init(&set->late_lock, NULL);
    pthread_mutex_init(&set->lock, NULL);
    set->terms = *terms;
    set->quorum = looks->list->quorum;
    set->bind = binding_run;
    set->room = room;
    set->path = strdup(path);
    set->facts = calloc(room + 1, sizeof *set->facts);
    if (!set->path || !set->facts)
        return -ENOMEM;
    int r = copies_add(set, looks);
    if (is_shortage(r) || set->count == 0)
        return r;
    for (size_t i = 0; i < set->count; i++)
        set->copies[i].ballot.slow = store_pace(set->copies[i].store) > patience;
    r = choose(set, rank);
    if (r < 0)
        return r;
    *ret = steal_pointer(set);
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

static void log_range(const struct share_set *set, const struct damage *damage, const char *where,
                      const char *what)
{
    uint64_t size = damage_size(damage);

    if (size > 1)
        log_once("%s: %s%llu stripes from %llu to %llu %s", set->path, where,
                 (unsigned long long)size, (unsigned long long)damage->ranges[0].first,
                 (unsigned long long)damage->ranges[damage->count - 1].last, what);
}

/* The first finding was logged when it was found; this logs all, where there was more. */
static void log_damage(const struct share_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        cleanup_free char *where = NULL;
        if (copy->role != COPY_OTHER && copy->damage.count > 0 &&
            asprintf(&where, "store %s: ", store_name(copy->store)) >= 0)
            log_range(set, &copy->damage, where, "were bad");
    }
    log_range(set, &set->lost, "", "could not be restored");
}

void share_set_free(struct share_set *set)
{
    log_damage(set);
    for (size_t i = 0; i < set->count; i++) {
        copy_close(&set->copies[i]);
        damage_clear(&set->copies[i].damage);
    }
    inquiry_clear(&set->late);
    damage_clear(&set->lost);
    damage_clear(&set->dead);
    damage_clear(&set->undecided);
    pthread_mutex_destroy(&set->lock);
    pthread_mutex_destroy(&set->late_lock);
    free(set->prover);
    free(set->facts);
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
    bool sound = share_set_is_whole(set);

    HOLD(&set->lock);
    for (size_t i = 0; sound && i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        sound = copy->damage.count == 0 && copy->failure == 0 && !copy->forged && !copy->changed;
    }
    return sound;
}

bool share_set_is_hole(struct share_set *set, uint64_t stripe)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint8_t digest_of_zeros[HASH_SIZE], digest[HASH_SIZE];
    bool seen[256] = {false};
    unsigned shares = 0;

    {
        HOLD(&set->lock);
        const struct format *format = formats[layout->format];
        if (!format->has_checks || format->is_sealed || set->trust.contested)
            return false;
    }
    const uint8_t *data = zeros();
    if (!data)
        return false;
    for (size_t i = 0; i < set->count; i++) {
        const struct copy *copy = &set->copies[i];
        const struct share_header *own = &copy->facts->header;
        if (copy->role != COPY_MEMBER)
            continue;
        if (copy_read_now(copy, layout_block_offset(&own->layout, stripe), HASH_SIZE, digest) < 0)
            return false;
        if (shares == 0)
            hash(data, layout_stripe_size(layout, stripe), stripe, digest_of_zeros);
        if (memcmp(digest, digest_of_zeros, HASH_SIZE) != 0)
            return false;
        shares += !seen[own->index];
        seen[own->index] = true;
    }
    return shares >= set->version.needed;
}

/*
 * Estimates how many blocks of 512 bytes are data, from some stripes. Programs look for holes in a
 * file only if it has fewer blocks than bytes / 512; 0 would say that there is no data.
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
    size_t count = set->count;
    cleanup_free struct ballot *ballots = calloc(count, sizeof *ballots);
    bool usable = set->verdict == SHARES_USABLE;

    *ret = set->copies[0].ballot.status;
    for (size_t i = 0; ballots && i < count; i++) {
        const struct copy *copy = &set->copies[i];
        ballots[i] = copy->ballot;
        ballots[i].cast = !usable || copy->role == COPY_MEMBER;
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

/* Says why no version is usable, and what would help. */
static void log_incomplete(const struct share_set *set)
{
    const struct version *version = &set->version;

    if (set->quorum.required == 0) {
        log_error("%s: the stores do not say how many shares are needed: give required=",
                  set->path);
        return;
    }
    unsigned would = version_would_need(&set->quorum, set->facts, set->count);
    if (would > 0)
        log_error("%s: fewer stores than %u have the version; required=%u takes it", set->path,
                  set->quorum.required, would);
    else if (version->untimed)
        log_error("%s: %u shares of different times found, %u needed to see whether they belong "
                  "together; unconfirmed takes them as they are",
                  set->path, version->whole, version->needed);
    else
        log_error("%s: %u different share%s of the newest version found in %zu cop%s, %u needed",
                  set->path, version->whole, version->whole == 1 ? "" : "s", set->count,
                  set->count == 1 ? "y" : "ies", version->needed);
}

/*
 * Returns true if copies that this user may not read could complete a newer version, together with
 * those that can be read. A view shows what its user may see; a command has to say that it cannot.
 */
static bool may_hide_newer(const struct share_set *set)
{
    bool hides = set->denied >= set->quorum.required;

    for (size_t i = 0; i < set->count; i++) {
        const struct copy_facts *own = &set->facts[i];
        if (!own->has_header || own->header.mtime_ns <= set->version.header.mtime_ns)
            continue;
        const struct version newer =
            version_count(&set->quorum, set->facts, set->count, &own->header);
        hides |= newer.whole + set->denied >= newer.needed;
    }
    return set->terms.patient && set->denied > 0 && hides;
}

int share_set_check(struct share_set *set)
{
    cleanup_free char *conflict = NULL;
    int error;

    { /* what is missing may be in a store that did not answer in time */
        HOLD(&set->lock);
        error = set->trust.missed ? -ETIMEDOUT : -EIO;
    }
    switch (set->verdict) {
    case SHARES_USABLE:
        log_stale(set);
        if (!may_hide_newer(set))
            return 0;
        log_error("%s: %zu copies may be of a newer version, but you may not read them", set->path,
                  set->denied);
        break;
    case SHARES_CONFLICT:
        conflict = conflict_describe(set);
        return log_as(error, "%s: conflict: %s", set->path, conflict ? conflict : "two versions");
    case SHARES_INCOMPLETE:
        log_incomplete(set);
        break;
    default:
        log_error("%s: none of %zu copies is a share with an intact header (is format= right?)",
                  set->path, set->count);
    }
    return set->unread < 0 ? set->unread : error;
}

uint64_t share_set_present(const struct share_set *set)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint64_t longest = 0, stripes = layout_stripes(layout);

    for (size_t i = 0; i < set->count; i++) {
        if (set->facts[i].size > longest)
            longest = set->facts[i].size;
    }
    uint64_t end = longest / layout_full_block_size(layout) + 1;
    return end < stripes ? end : stripes;
}

bool share_set_is_distant(const struct share_set *set)
{
    bool distant = false;

    for (size_t i = 0; i < set->count; i++)
        distant |= store_is_remote(set->copies[i].store);
    return distant;
}
