/* SPDX-License-Identifier: MIT */
#include "restore/reading.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/shortage.h"
#include "restore/conflict.h"
#include "share/block.h"
#include "share/stripe.h"
#include "store/pace.h"
#include "trust/solve.h"

#include <limits.h>
#include <string.h>

void attempt_clear(struct attempt *attempt)
{
    if (attempt->round)
        round_leave(attempt->round);
    for (size_t i = 0; attempt->blocks && i < attempt->gather.count; i++)
        buffer_give(&attempt->blocks[i]);
    buffer_give(&attempt->proof);
    free(attempt->reads);
    free(attempt->blocks);
    free(attempt->copies);
    free(attempt->gather.copies);
}

/*
 * Reading order: shares of the version before others, healthy stores before others, quick ones
 * before slow ones, trusted copies before others, and then pieces, which need no arithmetic.
 */
static unsigned reading_rank(const struct copy *copy)
{
    unsigned rank = copy->forged;

    rank = rank * (COPY_USELESS + 1) + copy->role;
    rank = rank * 2 + (copy->failure < 0);
    rank = rank * 2 + copy->ballot.slow;
    rank = rank * 2 + !copy->trusted;
    return rank * 257 + (copy->index < 0 ? 256 : (unsigned)copy->index);
}

static int compare_rank(const void *left, const void *right)
{
    unsigned a = reading_rank(*(struct copy *const *)left);
    unsigned b = reading_rank(*(struct copy *const *)right);

    return (a > b) - (a < b);
}

/* Returns the layout of a copy: its own or, where its header is lost, that of shares made here. */
static struct share_layout layout_of(const struct attempt *attempt, const struct copy *copy)
{
    return copy->facts->has_header ? copy->facts->header.layout
                                   : header_plain_layout(&attempt->set->version.header);
}

/* Returns true if a copy has a block for the stripe that could be one of its blocks here. */
static bool has_block(const struct attempt *attempt, const struct copy *copy)
{
    const struct share_layout layout = layout_of(attempt, copy);

    return copy->role != COPY_USELESS && !copy->changed &&
           attempt->stripe < layout_stripes(&layout) &&
           layout_payload_size(&layout, attempt->stripe) ==
               layout_payload_size(attempt->layout, attempt->stripe);
}

/* Puts the copies into reading order, by what is known of their stores now. */
static void sort_copies(struct attempt *attempt)
{
    uint64_t paces[PACE_STORES];
    size_t count = attempt->gather.count;
    size_t compared = count < PACE_STORES ? count : PACE_STORES;

    for (size_t i = 0; i < count; i++)
        attempt->copies[i] = &attempt->set->copies[i];
    for (size_t i = 0; i < compared; i++)
        paces[i] = store_pace(attempt->copies[i]->store);
    attempt->patience = pace_patience(paces, compared);
    for (size_t i = 0; i < count; i++)
        attempt->copies[i]->ballot.slow = store_pace(attempt->copies[i]->store) > attempt->patience;
    qsort(attempt->copies, count, sizeof(struct copy *), compare_rank);
}

int attempt_start(struct attempt *attempt, struct share_set *set, uint64_t stripe, uint8_t *data,
                  unsigned mode)
{
    HOLD(&set->lock);
    size_t count = set->count;

    *attempt = (struct attempt){
        .set = set,
        .stripe = stripe,
        .data = data,
        .mode = mode,
        .layout = &set->version.header.layout,
        .checked = formats[set->version.header.layout.format]->has_checks,
        .sealed = formats[set->version.header.layout.format]->is_sealed,
        .opener = mode & READ_SEALED ? set->prover : NULL,
        .partial = set->partial,
        .gather = {.needed = set->version.needed,
                   .count = count,
                   .copies = calloc(count, sizeof(struct gather_copy))},
        .copies = calloc(count, sizeof(struct copy *)),
        .blocks = calloc(count, sizeof(struct buffer)),
        .reads = calloc(count, sizeof(struct task *)),
        .contested = set->trust.contested && !(mode & READ_APART),
        .spare = INT_MAX,
    };
    if (!attempt->copies || !attempt->blocks || !attempt->reads || !attempt->gather.copies)
        return -ENOMEM;
    sort_copies(attempt);
    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = attempt->copies[i];
        /* A block that is intact but wrong counts as before: the verdict is to stay the same. */
        bool known_bad =
            !has_block(attempt, copy) || (!copy->forged && damage_has(&copy->damage, stripe));
        attempt->gather.copies[i] = (struct gather_copy){
            .role = copy->role,
            .bound = copy->bound,
            .trusted = copy->trusted || !attempt->contested,
            .index = copy->facts->has_header ? copy->index : GATHER_INDEX_UNKNOWN,
            .block = known_bad ? BLOCK_BAD : BLOCK_UNREAD,
        };
    }
    return 0;
}

/* Notes that a copy has no good block here, and says so the first time. */
static void note_bad(struct attempt *attempt, size_t place, int error)
{
    struct copy *copy = attempt->copies[place];
    const char *why = error == -EBADMSG   ? "it does not verify"
                      : error == -ENODATA ? "the share is cut off"
                      : error == -ESTALE  ? "the file was changed while it was read"
                                          : strerrordesc_np(-error);
    bool of_block = error == -EBADMSG || error == -ENODATA;
    bool trial = attempt->mode & READ_TRIAL, is_news;

    gather_bad(&attempt->gather, place);
    {
        HOLD(&attempt->set->lock);
        is_news = copy->failure == 0 && !copy->changed;
        if (of_block || error == -EIO)
            is_news = copy->damage.count == 0 && copy->role != COPY_OTHER;
        if ((of_block || error == -EIO) && !trial)
            damage_add(&copy->damage, attempt->stripe);
        copy->changed |= error == -ESTALE;
        if (!of_block && error != -ESTALE && copy->failure == 0)
            copy->failure = error;
    }
    if (is_news && !trial)
        log_once("%s: store %s: block %llu is bad: %s", attempt->set->path, store_name(copy->store),
                 (unsigned long long)attempt->stripe, why);
}

/*
 * Returns the index of the share to which the intact block at PLACE belongs; -1 if it belongs to
 * none. If the header is lost, the index follows from the block: most likely it is the same as in
 * the copy's other blocks, unless the block is in a wrong place.
 */
static int find_index(const struct attempt *attempt, size_t place)
{
    const struct copy_facts *facts = attempt->copies[place]->facts;
    const uint8_t *block = attempt->blocks[place].data;
    size_t u = layout_payload_size(attempt->layout, attempt->stripe);
    int likely = attempt->gather.copies[place].index;

    if (!attempt->checked)
        return facts->header.index;
    if (likely >= 0 && block_is_intact(block, u, attempt->stripe, (uint8_t)likely))
        return likely;
    for (int index = 0; index < 256 && !facts->has_header; index++) {
        if (block_is_intact(block, u, attempt->stripe, (uint8_t)index))
            return index;
    }
    return -1;
}

/* Notes the result R of reading the block at PLACE; where that is 0, the block is there. */
static void note_read(struct attempt *attempt, size_t place, int r)
{
    static const uint8_t no_digest[HASH_SIZE];

    if (is_shortage(r)) {
        gather_bad(&attempt->gather, place);
        attempt->shortage = r;
        return;
    }
    attempt->missed |= r == -ETIMEDOUT;
    int index = r == 0 ? find_index(attempt, place) : -1;
    if (index < 0) {
        note_bad(attempt, place, r < 0 ? r : -EBADMSG);
        return;
    }
    HOLD(&attempt->set->lock);
    attempt->copies[place]->index = index;
    gather_good(&attempt->gather, place, (uint8_t)index,
                attempt->checked ? attempt->blocks[place].data : no_digest);
}

/* Returns where the block is in the copy at PLACE. */
static uint64_t offset_at(const struct attempt *attempt, size_t place)
{
    const struct share_layout layout = layout_of(attempt, attempt->copies[place]);

    return layout_block_offset(&layout, attempt->stripe);
}

/*
 * Asks for the blocks of the copies at PLACES in stores that are not local, and then reads the
 * others. Returns 1 if there were any, 0 if all are still to come, or -ENOMEM.
 */
static int ask(struct attempt *attempt, const size_t places[], size_t count)
{
    size_t size = layout_block_size(attempt->layout, attempt->stripe);
    int news = 0;

    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = attempt->copies[places[i]];
        if (!store_is_remote(copy->store))
            continue;
        int r = attempt->round ? 0 : round_new(&attempt->round);
        if (r == 0)
            r = copy_ask(attempt->round, copy, offset_at(attempt, places[i]), size,
                         &attempt->reads[places[i]]);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = attempt->copies[places[i]];
        struct buffer *block = &attempt->blocks[places[i]];
        if (store_is_remote(copy->store))
            continue;
        int r = buffer_take(size, block);
        if (r == 0)
            r = copy_read_now(copy, offset_at(attempt, places[i]), size, block->data);
        note_read(attempt, places[i], r);
        news = 1;
    }
    return news;
}

/* Waits for news of the blocks that were asked for. Returns how many may still come. */
static unsigned wait_for_news(struct attempt *attempt)
{
    unsigned pending = attempt->round ? round_wait(attempt->round, attempt->patience).pending : 0;

    for (size_t i = 0; attempt->round && i < attempt->gather.count; i++) {
        const struct gather_copy *copy = &attempt->gather.copies[i];
        if ((copy->block != BLOCK_ASKED && copy->block != BLOCK_LATE) || !attempt->reads[i])
            continue;
        if (attempt->reads[i]->state == TASK_LATE)
            gather_late(&attempt->gather, i);
        else if (attempt->reads[i]->state != TASK_PENDING)
            note_read(attempt, i, block_read_take(attempt->reads[i], &attempt->blocks[i]));
    }
    return pending;
}

/*
 * Reads what gather asks for, all of it at once, and others where that takes long, until gather has
 * enough or no more can come. Returns 0, or a shortage of our own.
 */
static int read_wanted(struct attempt *attempt)
{
    size_t places[256], count;

    while ((count = gather_next(&attempt->gather, places)) > 0 || gather_waits(&attempt->gather)) {
        int r = ask(attempt, places, count);
        if (r < 0)
            return r;
        if (r == 0)
            wait_for_news(attempt);
        if (attempt->shortage < 0)
            return attempt->shortage;
    }
    return 0;
}

int attempt_read_rest(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count, sizeof *places);

    if (!places)
        return -ENOMEM;
    int r = ask(attempt, places, gather_rest(&attempt->gather, places, attempt->gather.count));
    while (r >= 0 && wait_for_news(attempt) > 0) {
    }
    return r < 0 ? r : attempt->shortage;
}

/*
 * Looks at the digests of members in local stores whose blocks were not read, and reads blocks
 * whose digest is not the one of the block at PLACE. Sets *RET to whether all members were looked
 * at. Returns 0 or -ENOMEM.
 */
static int look_at_digests(struct attempt *attempt, size_t place, bool *ret)
{
    struct gather *gather = &attempt->gather;
    uint8_t there[HASH_SIZE];

    for (size_t i = 0; i < gather->count; i++) {
        struct gather_copy *copy = &gather->copies[i];
        if (copy->role != COPY_MEMBER || copy->block == BLOCK_GOOD || copy->block == BLOCK_BAD)
            continue;
        int r = copy->block != BLOCK_UNREAD
                    ? -EAGAIN
                    : copy_read_digest(attempt->copies[i], offset_at(attempt, i), there);
        if (r == -EAGAIN) {
            *ret = false;
        } else if (r < 0 || memcmp(there, gather->copies[place].digest, HASH_SIZE) != 0) {
            copy->block = BLOCK_ASKED;
            r = ask(attempt, &i, 1);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/*
 * Opens the decoded stripe, or a copy of it if it is to stay sealed. -EBADMSG where the opener
 * refuses it.
 */
static int open_stripe(struct attempt *attempt)
{
    const size_t size = layout_stripe_size(attempt->layout, attempt->stripe);
    uint8_t *data = attempt->data;

    if (attempt->mode & READ_SEALED) {
        int r = attempt->proof.data
                    ? 0
                    : buffer_take(layout_full_stripe_size(attempt->layout), &attempt->proof);
        if (r < 0)
            return r;
        data = memcpy(attempt->proof.data, data, size);
    }
    return attempt->opener->open(attempt->opener, attempt->stripe, data, attempt->digest);
}

/*
 * Decodes the stripe from the good blocks at k PLACES. -EBADMSG where they are not what its digest
 * stands for; -EINVAL where two are of one share.
 */
static int decode(struct attempt *attempt, const size_t places[])
{
    const uint8_t *blocks[255];
    uint8_t indices[255];

    for (unsigned s = 0; s < attempt->layout->required; s++) {
        indices[s] = (uint8_t)attempt->gather.copies[places[s]].index;
        blocks[s] = attempt->blocks[places[s]].data;
    }
    if (attempt->checked)
        memcpy(attempt->digest, blocks[0], HASH_SIZE);
    int r = stripe_decode(attempt->layout, attempt->stripe, indices, blocks, attempt->data);
    return r == 0 && attempt->opener ? open_stripe(attempt) : r;
}

/* Returns 1 if the good block at PLACE equals the one that the decoded stripe encodes to, 0 if not.
 */
static int is_right(const struct attempt *attempt, size_t place)
{
    size_t size = layout_block_size(attempt->layout, attempt->stripe);
    uint8_t index = (uint8_t)attempt->gather.copies[place].index;
    cleanup_encoder struct encoder *encoder = NULL;
    cleanup_buffer struct buffer block = NO_BUFFER;

    int r = encoder_new(attempt->layout, 1, &index, &encoder);
    if (r == 0)
        r = buffer_take(size, &block);
    if (r == 0)
        r = encoder_run(encoder, attempt->stripe, attempt->data, attempt->digest, &block.data);
    if (r == 0)
        r = memcmp(block.data, attempt->blocks[place].data, size) == 0;
    return r;
}

/* Logs which block is wrong though others give the stripe; from now on, the copy is read last. */
static void note_wrong(const struct attempt *attempt, size_t place)
{
    struct copy *copy = attempt->copies[place];

    {
        HOLD(&attempt->set->lock);
        copy->forged = true;
        damage_add(&copy->damage, attempt->stripe);
    }
    log_once("%s: store %s: block %llu is wrong: the other shares contradict it",
             attempt->set->path, store_name(copy->store), (unsigned long long)attempt->stripe);
}

/* Rule 6: formats without checks. */

/*
 * Counts the copies of the version (those with a bad block only if BAD), and those of them that
 * changed since the file was opened.
 */
static size_t count_members(const struct attempt *attempt, bool bad, unsigned *ret_withdrawn)
{
    const struct gather *gather = &attempt->gather;
    size_t members = 0;

    *ret_withdrawn = 0;
    HOLD(&attempt->set->lock);
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].role == COPY_USELESS)
            continue;
        bool changed = attempt->copies[i]->changed;
        members += changed || bad || gather->copies[i].block != BLOCK_BAD;
        *ret_withdrawn += changed;
    }
    return members;
}

/* Lists the good blocks, the first one of each share before others. Returns how many there are,
 * and of how many shares. */
static size_t list_good(const struct attempt *attempt, size_t places[], size_t *ret_shares)
{
    const struct gather *gather = &attempt->gather;
    size_t first[256], count = 0;

    memset(first, 0xff, sizeof first);
    for (size_t i = 0; i < gather->count; i++) {
        const struct gather_copy *copy = &gather->copies[i];
        if (copy->block == BLOCK_GOOD && first[copy->index] == SIZE_MAX)
            places[count++] = first[copy->index] = i;
    }
    *ret_shares = count;
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->copies[i].block == BLOCK_GOOD && first[gather->copies[i].index] != i)
            places[count++] = i;
    }
    return count;
}

static int solve(struct attempt *attempt, const size_t places[], size_t count, unsigned withdrawn)
{
    cleanup_free uint8_t *indices = calloc(count + 1, 1);
    cleanup_free const uint8_t **blocks = calloc(count + 1, sizeof(uint8_t *));
    cleanup_free bool *wrong = calloc(count + 1, sizeof *wrong);

    if (!indices || !blocks || !wrong)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        indices[i] = (uint8_t)attempt->gather.copies[places[i]].index;
        blocks[i] = attempt->blocks[places[i]].data;
    }
    int r = solve_stripe(attempt->layout, attempt->stripe, indices, blocks, count, withdrawn,
                         attempt->set->terms.stop, attempt->data, wrong, &attempt->spare);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (wrong[i])
            note_wrong(attempt, places[i]);
    }
    return r;
}

/*
 * Returns 1 where all blocks of COUNT different shares agree, and the stripe is decoded. The first
 * k always agree, but for the filling at the end of the file: where that is not zeros, one of them
 * is wrong.
 */
static int agree(struct attempt *attempt, const size_t places[], size_t count)
{
    size_t k = attempt->layout->required;
    bool filled = k * layout_payload_size(attempt->layout, attempt->stripe) >
                  layout_stripe_size(attempt->layout, attempt->stripe);

    int r = decode(attempt, places);
    r = r < 0 ? r : 1;
    for (size_t i = filled ? 0 : k; r > 0 && i < count; i++)
        r = is_right(attempt, places[i]);
    return r;
}

static int restore_unchecked(struct attempt *attempt, size_t places[])
{
    struct gather *gather = &attempt->gather;
    bool untimed = attempt->set->version.untimed;
    unsigned k = attempt->layout->required, needed = gather->needed, withdrawn;
    size_t shares = 0;
    int r;

    if ((attempt->mode & READ_WHOLE) || untimed) {
        r = attempt_read_rest(attempt);
    } else { /* so many shares that, if they agree, the others cannot change anything */
        size_t enough = solve_enough(k, count_members(attempt, true, &withdrawn));
        gather->needed = enough > needed ? (unsigned)enough : needed;
        r = read_wanted(attempt);
        gather->needed = needed;
    }
    if (r < 0)
        return r;
    size_t members = count_members(attempt, false, &withdrawn);
    size_t good = list_good(attempt, places, &shares);
    if (untimed && shares >= needed) {
        r = agree(attempt, places, good);
        return r < 0 ? r : r > 0 && withdrawn == 0 ? 0 : -EBADMSG;
    }
    if (shares >= k && shares >= solve_enough(k, members)) {
        r = agree(attempt, places, shares);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    r = attempt_read_rest(attempt);
    if (r < 0)
        return r;
    good = list_good(attempt, places, &shares);
    count_members(attempt, false, &withdrawn);
    return shares < needed ? -ENODATA : solve(attempt, places, good, withdrawn);
}

/* Rule 5: the format with checks. */

/*
 * Compares copies without a header with all versions, once, where they might complete the stripe.
 */
static int bind_more(struct attempt *attempt)
{
    const struct content_trust *trust = &attempt->set->trust;
    bool done;

    {
        HOLD(&attempt->set->lock);
        done = trust->bound;
    }
    int r = done ? 0 : attempt->set->bind(attempt->set);
    HOLD(&attempt->set->lock);
    attempt->missed |= trust->missed;
    for (size_t i = 0; r == 0 && i < attempt->gather.count; i++)
        attempt->gather.copies[i].bound = attempt->copies[i]->bound;
    return r;
}

/* Notes which copies are on which side, for the first stripe that is in conflict. */
static void note_conflict(const struct attempt *attempt)
{
    struct content_trust *trust = &attempt->set->trust;

    HOLD(&attempt->set->lock);
    if (trust->conflict && attempt->stripe >= trust->conflict_stripe)
        return;
    trust->conflict = true;
    trust->conflict_stripe = attempt->stripe;
    for (size_t i = 0; i < attempt->gather.count; i++)
        attempt->copies[i]->side = gather_side(&attempt->gather, i);
}

/* Tries sets of k blocks of the group, until SOME give the stripe of its digest. */
static int search(struct attempt *attempt, const size_t places[], size_t count, size_t some[])
{
    size_t k = attempt->layout->required;
    struct trials trials;

    trials_begin(&trials, k, count, attempt->stripe, attempt->set->terms.stop);
    for (;;) {
        int r = trials_next(&trials);
        if (r < 0)
            return r;
        for (size_t i = 0; i < k; i++)
            some[i] = places[trials.chosen[i]];
        r = decode(attempt, some);
        if (r != -EBADMSG && r != -EINVAL) /* -EINVAL: two blocks are of one share */
            return r;
    }
}

/* Notes which blocks at PLACES differ from what SOME of them encode to. */
static int note_wrong_ones(struct attempt *attempt, const size_t some[], const size_t places[],
                           size_t count)
{
    const struct stripe_opener *opener = attempt->opener;
    const bool is_open = opener && !(attempt->mode & READ_SEALED);
    cleanup_buffer struct buffer sealed = NO_BUFFER;
    uint8_t *data = attempt->data;
    int r = 0;

    if (is_open) { /* what was opened does not encode to them */
        r = buffer_take(attempt->layout->required *
                            layout_payload_size(attempt->layout, attempt->stripe),
                        &sealed);
        attempt->data = sealed.data;
        attempt->opener = NULL;
        r = r < 0 ? r : decode(attempt, some);
    }
    for (size_t i = 0; r >= 0 && i < count; i++) {
        r = is_right(attempt, places[i]);
        if (r == 0)
            note_wrong(attempt, places[i]);
    }
    attempt->data = data;
    attempt->opener = opener;
    return r < 0 ? r : 0;
}

/*
 * Without the key, a sealed stripe is what all blocks in the group of the one at PLACE agree on,
 * also where a share is there twice. PLACES: the COUNT blocks of different shares; overwritten.
 */
static int decode_sealed(struct attempt *attempt, size_t place, size_t places[], size_t count)
{
    int r = agree(attempt, places, count);
    size_t all = gather_list(&attempt->gather, place, true, places);

    for (size_t i = 0; r > 0 && all > count && i < all; i++)
        r = is_right(attempt, places[i]);
    return r < 0 ? r : r > 0 ? 0 : -EBADMSG;
}

/* Decodes the group of the block at PLACE: in general from its first k blocks. */
static int decode_group(struct attempt *attempt, size_t place, size_t places[])
{
    size_t some[256], count = gather_list(&attempt->gather, place, false, places);

    if (attempt->sealed && !attempt->opener)
        return decode_sealed(attempt, place, places, count);
    int r = decode(attempt, places);
    if (r != -EBADMSG)
        return r;
    /* A block verifies, and is not the stripe's: somebody has forged it. */
    r = attempt_read_rest(attempt);
    if (r < 0)
        return r;
    count = gather_list(&attempt->gather, place, true, places);
    r = search(attempt, places, count, some);
    if (r == -EBADMSG && attempt->opener)
        return -EKEYREJECTED;
    return r < 0 ? r : note_wrong_ones(attempt, some, places, count);
}

/*
 * Returns the stripe of the group at PLACE, unless stripes that other threads have returned
 * meanwhile say otherwise about the copies. Notes which copies to trust from now on: where blocks
 * contradict each other, those in the group; where not all members were looked at, those that have
 * been seen to agree.
 */
static int give(struct attempt *attempt, size_t place, bool all_seen)
{
    struct content_trust *trust = &attempt->set->trust;
    struct gather *gather = &attempt->gather;
    bool contradicted = gather_is_contradicted(gather);
    size_t chosen;

    HOLD(&attempt->set->lock);
    for (size_t i = 0; i < gather->count; i++)
        gather->copies[i].trusted =
            attempt->copies[i]->trusted || !trust->contested || (attempt->mode & READ_APART);
    int r = gather_choose(gather, &chosen);
    for (size_t i = 0; r == 0 && i < gather->count; i++) {
        struct copy *copy = attempt->copies[i];
        bool good = gather->copies[i].block == BLOCK_GOOD;
        bool unseen = !all_seen && gather->copies[i].block != BLOCK_BAD;
        if (good && memcmp(gather->copies[i].digest, gather->copies[place].digest, HASH_SIZE) == 0)
            continue;
        copy->trusted = copy->trusted && !contradicted && !unseen;
        copy->differs |= good && contradicted;
    }
    trust->contested |= r == 0 && contradicted;
    return r;
}

static int restore_checked(struct attempt *attempt, size_t places[])
{
    const struct gather *gather = &attempt->gather;
    bool all =
        (attempt->mode & READ_WHOLE) || attempt->contested || (attempt->sealed && !attempt->opener);
    bool all_seen = true;
    size_t place;

    /* Reads until the members at hand settle the stripe; if they do not agree, all of them. */
    int r = all ? attempt_read_rest(attempt) : read_wanted(attempt);
    if (r == 0 && !all && gather_choose(gather, &place) == 0)
        r = look_at_digests(attempt, place, &all_seen);
    if (r == 0 && gather_is_contradicted(gather) && attempt->partial)
        return -EAGAIN;
    if (r == 0 && gather_is_contradicted(gather) && !all) {
        all_seen = true;
        r = attempt_read_rest(attempt);
    }
    if (r == 0 && gather_has_unbound(gather))
        r = bind_more(attempt);
    if (r == 0)
        r = gather_choose(gather, &place);
    if (r == -ENOTUNIQ && !attempt->missed)
        note_conflict(attempt);
    if (r == 0)
        r = decode_group(attempt, place, places);
    return r < 0 ? r : give(attempt, place, all_seen);
}

int attempt_restore(struct attempt *attempt)
{
    cleanup_free size_t *places = calloc(attempt->gather.count + 1, sizeof *places);

    if (!places)
        return -ENOMEM;
    int r =
        attempt->checked ? restore_checked(attempt, places) : restore_unchecked(attempt, places);
    bool unsettled = r == -ENODATA || r == -ENOTUNIQ || r == -EBADMSG || r == -EKEYREJECTED;
    return unsettled && attempt->missed ? -ETIME : r;
}

/* Reads a stripe from start to end. -EAGAIN where more copies are to come that may help. */
static int read_once(struct share_set *set, uint64_t stripe, const struct stripe_opener *opener,
                     uint8_t *data, uint8_t digest[HASH_SIZE])
{
    cleanup_attempt struct attempt attempt = {0};

    int r = attempt_start(&attempt, set, stripe, data, opener ? 0 : READ_SEALED);
    attempt.opener = opener ? opener : attempt.opener;
    if (r == 0)
        r = attempt_restore(&attempt);
    memcpy(digest, attempt.digest, HASH_SIZE);
    return (r == -ENODATA || r == -ETIME) && attempt.partial ? -EAGAIN : r;
}

int stripe_read(struct share_set *set, uint64_t stripe, const struct stripe_opener *opener,
                uint8_t *data, uint8_t digest[HASH_SIZE])
{
    { /* the result of an earlier try, if that is final */
        HOLD(&set->lock);
        if (damage_has(&set->undecided, stripe))
            return -ETIMEDOUT;
        if (damage_has(&set->dead, stripe))
            return -EIO;
    }
    int r = read_once(set, stripe, opener, data, digest);
    if (r == -EAGAIN) {
        r = copies_wait_for_late(set);
        r = r < 0 ? r : read_once(set, stripe, opener, data, digest);
    }
    return r < 0 ? stripe_lose(set, stripe, r) : 0;
}

static const char *why_lost(int error)
{
    switch (error) {
    case -ETIME:
        return "a store that may have the missing blocks did not answer in time";
    case -ETIMEDOUT:
        return "the shares contradict each other, and to find out which are right takes too long";
    case -EBADMSG:
        return "the shares contradict each other";
    case -EKEYREJECTED:
        return "its blocks were not made with this key, or are forged";
    case -ENOTUNIQ:
        return "two contents";
    default:
        return "too few good blocks";
    }
}

/* Logs that a stripe is lost, and why. */
static void log_lost(struct share_set *set, uint64_t stripe, int error)
{
    const struct share_layout *layout = &set->version.header.layout;
    uint64_t start = stripe * layout_full_stripe_size(layout);
    bool conflict = error == -ENOTUNIQ;
    cleanup_free char *sides = conflict ? conflict_describe(set) : NULL;

    log_error("%s: bytes %llu to %llu cannot be restored: %s%s%s", set->path,
              (unsigned long long)start,
              (unsigned long long)(start + layout_stripe_size(layout, stripe) - 1),
              conflict ? "conflict: " : "", sides ? sides : why_lost(error),
              set->version.rival > 0 && !set->terms.older
                  ? "; decode --older takes an older version, which enough stores have"
                  : "");
}

int stripe_lose(struct share_set *set, uint64_t stripe, int error)
{
    bool is_news, failing = false;

    if (is_shortage(error))
        return error;
    if (error != -ETIMEDOUT && set->unread == -ETIMEDOUT) /* a copy was not to be had */
        error = -ETIME;
    bool late = error == -ETIMEDOUT || error == -ETIME;
    {
        HOLD(&set->lock);
        is_news = set->lost.count == 0 || (error == -ENOTUNIQ && !set->told_conflict);
        set->told_conflict |= error == -ENOTUNIQ;
        damage_add(&set->lost, stripe);
        for (size_t i = 0; i < set->count; i++)
            failing |= set->copies[i].failure < 0;
        if (!failing) /* to read it again would change nothing */
            damage_add(late ? &set->undecided : &set->dead, stripe);
    }
    if (is_news)
        log_lost(set, stripe, error);
    return late ? -ETIMEDOUT : -EIO;
}
