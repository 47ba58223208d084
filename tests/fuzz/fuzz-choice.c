/* SPDX-License-Identifier: MIT */
/*
 * The choice of version and blocks for the stripes of a file, and what choice/version.h,
 * choice/gather.h and choice/contest.h promise of it, by a slow and obvious model.
 *
 *     how 1 (bits 0..1: k - 1; bits 2..3: format, 3 as 0; bits 4..7: how many copies, 0: as many as
 *         there are bytes for)
 *     for each copy 3 bytes, up to 10 copies:
 *       bits 0..2 index; 3 no header; 4..5 mtime; 6..7 size
 *       bits 0..2 content of the block, 0 and 7 none; 3 trusted; 5 another k;
 *           6 the block's own index is another one (without a header)
 *       bits 0..2 the index of the block, if so; 3 known to be bad; 4 has extensions
 *     for each further stripe:
 *       bits 0..2 a content; 3 that content was given, and not what is chosen; 4 it is not noted
 *           what was given; 5 from here on not all that was given is known
 *       for each copy: bits 0..2 content of the block; 3 trusted; 4 known to be bad;
 *           5..7 are added to the index of the block (without a header)
 */
#include "fuzz.h"

#include "choice/contest.h"
#include "choice/gather.h"
#include "choice/version.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { COPIES_MAX = 10, K_MAX = 5, STRIPES_MAX = 12, CONTENTS = 7, GONE = 7 };

/* What was said of a stripe. */
struct hearing {
    uint8_t says[COPIES_MAX]; /* a content; 0: nothing that counts */
    uint8_t index[COPIES_MAX];
    uint8_t given;
};

/* All that is true of the copies and of the stripe at hand, and what was done with them. */
struct scene {
    size_t count;
    struct copy_facts facts[COPIES_MAX];
    enum copy_role roles[COPIES_MAX];
    struct version version;
    struct {
        uint8_t content, index; /* of the block; content 0: there is no good one */
        bool known_bad, asked;
        bool trusted;
    } truth[COPIES_MAX];
    struct gather gather;
    struct gather_copy copies[COPIES_MAX];
    struct contest contest;
    size_t numbers[COPIES_MAX];
    size_t noted;
    struct hearing history[STRIPES_MAX];
};

/* From bytes to copies */

static struct copy_facts take_facts(enum share_format format, unsigned k, const uint8_t bytes[3])
{
    static const uint64_t sizes[] = {10000, 10000, 10300, 700000};
    struct copy_facts facts = {.has_header = !(bytes[0] & 8)};
    struct share_header *header = &facts.header;

    if (format != SHARE_CLASSIC && bytes[1] & 32)
        k++;
    CHECK(layout_new(format, k, 8, BLOCK_SIZE_DEFAULT, sizes[bytes[0] >> 6], &header->layout) == 0);
    header->index = bytes[0] & 7;
    header->total = format == SHARE_FEC ? 8 : 0;
    header->mtime_ns = format == SHARE_CHECKED ? bytes[0] >> 4 & 3 : 0;
    if (format == SHARE_CHECKED && bytes[2] & 16)
        header->layout.header_size += 100;
    facts.size = layout_share_size(&header->layout);
    return facts;
}

static void take_copy(struct scene *scene, enum share_format format, unsigned k,
                      struct input *input)
{
    uint8_t bytes[3] = {take_byte(input), take_byte(input), take_byte(input)};
    size_t place = scene->count++;
    bool other = bytes[1] & 64 && !scene->facts[place].has_header;

    scene->facts[place] = take_facts(format, k, bytes);
    other = other && !scene->facts[place].has_header;
    scene->truth[place].content = (uint8_t)((bytes[1] & 7) % 7);
    scene->truth[place].index = other ? bytes[2] & 7 : bytes[0] & 7;
    scene->truth[place].trusted = bytes[1] & 8;
    scene->truth[place].known_bad = bytes[2] & 8;
}

static void take_copies(struct scene *scene, struct input *input)
{
    static const enum share_format formats[] = {SHARE_CHECKED, SHARE_CLASSIC, SHARE_FEC,
                                                SHARE_CHECKED};
    uint8_t how = take_byte(input);
    size_t limit = how >> 4 > 0 && how >> 4 < COPIES_MAX ? how >> 4 : COPIES_MAX;

    while (input->left > 0 && scene->count < limit)
        take_copy(scene, formats[how >> 2 & 3], 1 + (how & 3), input);
}

/* The blocks of a further stripe. */
static void take_blocks(struct scene *scene, struct input *input)
{
    for (size_t i = 0; i < scene->count; i++) {
        uint8_t byte = take_byte(input);
        scene->truth[i].content = (uint8_t)((byte & 7) % 7);
        scene->truth[i].trusted = byte & 8;
        scene->truth[i].known_bad = byte & 16;
        if (!scene->facts[i].has_header)
            scene->truth[i].index = (scene->truth[i].index + (byte >> 5)) & 7;
    }
}

/* The version */

static uint64_t plain_size(const struct share_header *header)
{
    struct share_layout layout = header->layout;

    layout.header_size = header_size(layout.format, layout.required, header->total);
    return layout_share_size(&layout);
}

static bool is_of(const struct scene *scene, size_t copy, const struct share_header *version)
{
    return scene->facts[copy].has_header && version_is_same(&scene->facts[copy].header, version);
}

/* Whether a copy without a header is of a version as far as its size tells. */
static bool could_be(const struct scene *scene, size_t copy, const struct share_header *version)
{
    uint64_t size = scene->facts[copy].size;

    if (scene->facts[copy].has_header || version->layout.format != SHARE_CHECKED)
        return false;
    for (size_t i = 0; i < scene->count; i++) {
        if (scene->facts[i].has_header && !is_of(scene, i, version) &&
            plain_size(&scene->facts[i].header) == size)
            return false;
    }
    return size == plain_size(version);
}

static unsigned count_shares(const struct scene *scene, const struct share_header *version)
{
    unsigned shares = 0;

    for (unsigned index = 0; index < 8; index++) {
        bool found = false;
        for (size_t i = 0; i < scene->count; i++)
            found |= is_of(scene, i, version) && scene->facts[i].header.index == index;
        shares += found;
    }
    for (size_t i = 0; i < scene->count; i++)
        shares += could_be(scene, i, version);
    return shares;
}

/* The k that most copies say; the largest of those that are said as often. */
static unsigned usual_k(const struct scene *scene)
{
    unsigned usual = 0, most = 0;

    for (unsigned k = 1; k <= K_MAX; k++) {
        unsigned said = 0;
        for (size_t i = 0; i < scene->count; i++)
            said += scene->facts[i].has_header && scene->facts[i].header.layout.required == k;
        if (said > 0 && said >= most) {
            usual = k;
            most = said;
        }
    }
    return usual;
}

/* 2 where there are k shares by its own word and by that of most, 1 by its own alone, or 0. */
static int completeness(const struct scene *scene, const struct share_header *version)
{
    unsigned shares = count_shares(scene, version);

    if (shares < version->layout.required)
        return 0;
    return shares < usual_k(scene) ? 1 : 2;
}

/* Nothing is more complete; nothing as complete is newer; nothing as new has more shares. */
static void check_version(const struct scene *scene)
{
    const struct share_header *chosen = &scene->version.header;
    unsigned ours = count_shares(scene, chosen);

    CHECK(scene->version.members + scene->version.nameless == ours);
    for (size_t i = 0; i < scene->count; i++) {
        const struct share_header *other = &scene->facts[i].header;
        if (!scene->facts[i].has_header)
            continue;
        int order = completeness(scene, chosen) - completeness(scene, other);
        CHECK(order >= 0);
        CHECK(order > 0 || other->mtime_ns <= chosen->mtime_ns);
        CHECK(order > 0 || other->mtime_ns < chosen->mtime_ns ||
              count_shares(scene, other) <= ours);
    }
}

static enum copy_role model_role(const struct scene *scene, size_t copy)
{
    const struct share_header *chosen = &scene->version.header;
    const struct share_layout *layout = &scene->facts[copy].header.layout;

    if (is_of(scene, copy, chosen))
        return COPY_MEMBER;
    if (chosen->layout.format != SHARE_CHECKED)
        return COPY_USELESS;
    if (!scene->facts[copy].has_header)
        return could_be(scene, copy, chosen) ? COPY_NAMELESS : COPY_HELPER;
    return layout->required == chosen->layout.required &&
                   layout->block_size == chosen->layout.block_size
               ? COPY_HELPER
               : COPY_USELESS;
}

/* The blocks */

static void start_gather(struct scene *scene)
{
    scene->gather = (struct gather){
        .required = scene->version.header.layout.required,
        .count = scene->count,
        .copies = scene->copies,
    };
    for (size_t i = 0; i < scene->count; i++) {
        scene->gather.begun |= scene->truth[i].trusted;
        scene->copies[i] = (struct gather_copy){
            .role = scene->roles[i],
            .trusted = scene->truth[i].trusted,
            .index =
                scene->facts[i].has_header ? scene->facts[i].header.index : GATHER_INDEX_UNKNOWN,
            .block = scene->truth[i].known_bad ? BLOCK_BAD : BLOCK_UNREAD,
        };
    }
}

static void digest_of(const struct scene *scene, uint8_t content, uint8_t ret[HASH_SIZE])
{
    bool checked = scene->version.header.layout.format == SHARE_CHECKED;

    memset(ret, checked ? content : 0, HASH_SIZE);
}

static void answer(struct scene *scene, const size_t places[], size_t count)
{
    uint8_t digest[HASH_SIZE];

    for (size_t i = 0; i < count; i++) {
        size_t place = places[i];
        CHECK(place < scene->count);
        CHECK(!scene->truth[place].asked);
        CHECK(!scene->truth[place].known_bad);
        CHECK(scene->roles[place] != COPY_USELESS);
        CHECK(scene->copies[place].block == BLOCK_ASKED);
        scene->truth[place].asked = true;
        digest_of(scene, scene->truth[place].content, digest);
        if (scene->truth[place].content == 0)
            gather_bad(&scene->gather, place);
        else
            gather_good(&scene->gather, place, scene->truth[place].index, digest);
    }
}

/* Whether a copy has a good block that may be read, or, where READ, has been. */
static bool has_block(const struct scene *scene, size_t place, bool read)
{
    return scene->roles[place] != COPY_USELESS && !scene->truth[place].known_bad &&
           scene->truth[place].content > 0 && (!read || scene->truth[place].asked);
}

static bool is_alike(const struct scene *scene, size_t a, size_t b)
{
    return scene->version.header.layout.format != SHARE_CHECKED ||
           scene->truth[a].content == scene->truth[b].content;
}

static bool is_anchor(const struct scene *scene, size_t place)
{
    return scene->roles[place] == COPY_MEMBER || scene->roles[place] == COPY_NAMELESS;
}

/* Of the group of blocks that are like that at PLACE. */
struct group {
    unsigned shares, trusted; /* different ones, and those that a trusted copy is of */
    bool anchored;
};

static struct group group_of(const struct scene *scene, size_t place, bool read)
{
    struct group group = {0};
    bool seen[8] = {false}, counted[8] = {false};

    for (size_t i = 0; i < scene->count; i++) {
        uint8_t index = scene->truth[i].index;
        if (!has_block(scene, i, read) || !is_alike(scene, i, place))
            continue;
        group.shares += !seen[index];
        seen[index] = true;
        group.anchored |= is_anchor(scene, i);
        if (is_anchor(scene, i) && scene->truth[i].trusted) {
            group.trusted += !counted[index];
            counted[index] = true;
        }
    }
    return group;
}

static bool can_restore(const struct scene *scene, size_t place, bool read)
{
    struct group group = group_of(scene, place, read);

    return has_block(scene, place, read) && group.anchored &&
           group.shares >= scene->gather.required;
}

/* A place of the largest group of what was read, the first of equal ones; false: there is none. */
static bool find_largest(const struct scene *scene, size_t *ret_place)
{
    unsigned most = 0;

    for (size_t i = 0; i < scene->count; i++) {
        struct group group = group_of(scene, i, true);
        if (!has_block(scene, i, true) || !group.anchored || group.shares <= most)
            continue;
        most = group.shares;
        *ret_place = i;
    }
    return most > 0;
}

/* How many copies may be asked for at once; 0 where what was read is enough. */
static size_t count_wanted(const struct scene *scene)
{
    size_t required = scene->gather.required, place;
    bool is_trusted = true;

    if (!find_largest(scene, &place))
        return required;
    struct group group = group_of(scene, place, true);
    if (group.shares < required)
        return required - group.shares;
    for (size_t i = 0; i < scene->count; i++) {
        if (scene->truth[i].trusted)
            is_trusted = group.trusted > 0;
    }
    return is_trusted ? 0 : required;
}

static bool is_all_asked(const struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        if (scene->roles[i] != COPY_USELESS && !scene->truth[i].known_bad && !scene->truth[i].asked)
            return false;
    }
    return true;
}

static bool has_any_answer(const struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        if (can_restore(scene, i, false))
            return true;
    }
    return false;
}

/* All that were read and are like the one at PLACE, in order; without TWINS one of each share. */
static void check_list(const struct scene *scene, size_t place, bool twins)
{
    size_t places[COPIES_MAX], next = 0;
    bool seen[8] = {false};

    size_t count = gather_list(&scene->gather, place, twins, places);
    for (size_t i = 0; i < scene->count; i++) {
        uint8_t index = scene->truth[i].index;
        if (!has_block(scene, i, true) || !is_alike(scene, i, place) || (!twins && seen[index]))
            continue;
        CHECK(next < count && places[next] == i);
        seen[index] = true;
        next++;
    }
    CHECK(next == count);
}

static void check_counts(const struct scene *scene, size_t place)
{
    struct group group = group_of(scene, place, true);
    uint8_t digest[HASH_SIZE];

    digest_of(scene, scene->truth[place].content, digest);
    CHECK(gather_count(&scene->gather, digest) == (group.anchored ? group.shares : 0));
    CHECK(gather_count_trusted(&scene->gather, digest) == group.trusted);
}

static bool model_agrees(const struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (has_block(scene, i, true) && has_block(scene, j, true) && is_anchor(scene, i) &&
                is_anchor(scene, j) && !is_alike(scene, i, j))
                return false;
        }
    }
    return true;
}

/* What the blocks that were read come to. */
static int check_answer(const struct scene *scene)
{
    size_t place = COPIES_MAX, largest = 0;
    bool any = find_largest(scene, &largest);

    int r = gather_find(&scene->gather, &place);
    CHECK(r == (any && can_restore(scene, largest, true) ? 0 : -ENODATA));
    CHECK(r == 0 || place == COPIES_MAX);
    CHECK(r < 0 || (place < scene->count && can_restore(scene, place, true) &&
                    group_of(scene, place, true).shares == group_of(scene, largest, true).shares));
    for (size_t i = 0; i < scene->count; i++) {
        if (!has_block(scene, i, true))
            continue;
        check_list(scene, i, false);
        check_list(scene, i, true);
        check_counts(scene, i);
    }
    CHECK(gather_agrees(&scene->gather) == model_agrees(scene));
    return r;
}

/* Nothing was read of the stripe. */
static void forget_blocks(struct scene *scene)
{
    start_gather(scene);
    for (size_t i = 0; i < scene->count; i++)
        scene->truth[i].asked = false;
}

/* Each answer alone, the last that was asked for first: no more are on the way than are wanted. */
static void check_one_by_one(struct scene *scene)
{
    size_t coming[2 * COPIES_MAX], count = 0;

    forget_blocks(scene);
    for (;;) {
        size_t place, wanted = count_wanted(scene);
        bool complete = find_largest(scene, &place) && can_restore(scene, place, true);
        size_t asked = gather_next(&scene->gather, coming + count);
        CHECK(asked == 0 || count + asked <= wanted);
        CHECK(asked == 0 || count == 0 || !complete);
        CHECK(asked > 0 || count > 0 || wanted == 0 || is_all_asked(scene));
        count += asked;
        if (count == 0)
            break;
        answer(scene, &coming[--count], 1);
    }
    CHECK(check_answer(scene) != -ENODATA || !has_any_answer(scene));
}

static void check_stripe(struct scene *scene)
{
    size_t places[COPIES_MAX + 1], count, wanted;

    forget_blocks(scene);
    do {
        wanted = count_wanted(scene);
        count = gather_next(&scene->gather, places);
        CHECK(count <= wanted);
        CHECK(count > 0 || wanted == 0 || is_all_asked(scene));
        answer(scene, places, count);
    } while (count > 0);
    CHECK(check_answer(scene) != -ENODATA || !has_any_answer(scene));
    /* Where they contradict each other, all are heard. */
    answer(scene, places, gather_rest(&scene->gather, places, COPIES_MAX));
    CHECK(is_all_asked(scene));
    CHECK(gather_rest(&scene->gather, places, COPIES_MAX) == 0);
    CHECK(gather_next(&scene->gather, places) == 0);
    CHECK(check_answer(scene) != -ENODATA || !has_any_answer(scene));
}

/* The contest */

/* A content by which blocks are told apart: without checks all are alike. */
static uint8_t known_as(const struct scene *scene, uint8_t content)
{
    return scene->version.header.layout.format == SHARE_CHECKED ? content : 1;
}

static struct hearing hear(const struct scene *scene)
{
    struct hearing hearing = {.given = 0};

    for (size_t i = 0; i < scene->count; i++) {
        hearing.index[i] = scene->truth[i].index;
        if (has_block(scene, i, true) && group_of(scene, i, true).anchored)
            hearing.says[i] = known_as(scene, scene->truth[i].content);
    }
    return hearing;
}

/* How many different shares of the copies AMONG say this. */
static unsigned count_saying(const struct hearing *hearing, const bool among[], uint8_t content)
{
    unsigned count = 0;

    for (uint8_t index = 0; index < 8; index++) {
        bool found = false;
        for (size_t i = 0; i < COPIES_MAX; i++)
            found |= among[i] && hearing->says[i] == content && hearing->index[i] == index;
        count += found;
    }
    return count;
}

/* Whether fewer than two of OURS (or than the one, where k is 1) were for what was given. */
static bool has_nothing_in_common(const struct scene *scene, const struct hearing *earlier,
                                  const bool ours[])
{
    unsigned needed = scene->gather.required < 2 ? scene->gather.required : 2;

    return count_saying(earlier, ours, earlier->given) < needed;
}

/* Whether the first NOTED hearings of the history, all there are unless BLIND, let it be taken. */
static bool model_may_take(const struct scene *scene, const struct hearing *now, uint8_t content,
                           size_t noted, bool blind)
{
    static const bool all[COPIES_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    bool ours[COPIES_MAX] = {false}, opposed = false, refused = blind;

    for (size_t i = 0; i < scene->count; i++) {
        ours[i] = now->says[i] == content;
        opposed |= !ours[i] && now->says[i] != 0 && count_saying(now, all, now->says[i]) >= 2;
    }
    for (size_t i = 0; i < noted; i++)
        refused |= has_nothing_in_common(scene, &scene->history[i], ours);
    return !opposed || !refused;
}

/* A place of the one best group that may be taken, or an error. */
static int model_choose(const struct scene *scene, const struct hearing *now, size_t noted,
                        bool blind)
{
    unsigned best = 0;
    int r = -ENODATA;

    for (uint8_t content = 1; content < CONTENTS; content++) {
        size_t place = 0;
        while (place < scene->count && now->says[place] != content)
            place++;
        if (place == scene->count || !can_restore(scene, place, true))
            continue;
        struct group group = group_of(scene, place, true);
        unsigned rank = group.trusted * 100 + group.shares;
        if (r == -ENODATA)
            r = -EBADMSG;
        if (!model_may_take(scene, now, content, noted, blind) || rank < best)
            continue;
        r = rank > best ? (int)place : -EBADMSG;
        best = rank;
    }
    return r;
}

/* Returns the content that is chosen, or an error. */
static int check_choice(const struct scene *scene, const struct contest *contest,
                        const struct hearing *now, size_t noted)
{
    size_t place = COPIES_MAX;
    int expected = model_choose(scene, now, noted, contest->blind);

    int r = contest_choose(contest, &scene->gather, scene->numbers, &place);
    CHECK(r == (expected < 0 ? expected : 0));
    CHECK(r == 0 ? place < scene->count && has_block(scene, place, true) : place == COPIES_MAX);
    CHECK(r < 0 || now->says[place] == now->says[expected]);
    return r < 0 ? r : scene->truth[place].content;
}

static void note(struct scene *scene, struct hearing *now, uint8_t content)
{
    uint8_t digest[HASH_SIZE];

    digest_of(scene, content, digest);
    CHECK(contest_note(&scene->contest, &scene->gather, scene->numbers, digest) == 0);
    now->given = known_as(scene, content);
    scene->history[scene->noted++] = *now;
}

static void check_contest(struct scene *scene, uint8_t how)
{
    struct contest none = {.required = scene->gather.required, .copies = scene->count};
    struct hearing now = hear(scene);

    check_choice(scene, &none, &now, 0);
    none.blind = true;
    check_choice(scene, &none, &now, 0);
    scene->contest.blind |= how >> 5 & 1;
    int chosen = check_choice(scene, &scene->contest, &now, scene->noted);
    if (how & 8)
        chosen = how & 7 ? how & 7 : GONE;
    if (!(how & 16) && chosen >= 0)
        note(scene, &now, (uint8_t)chosen);
}

static void check_file(struct scene *scene, struct input *input)
{
    scene->contest = (struct contest){
        .required = scene->version.header.layout.required,
        .copies = scene->count,
    };
    for (size_t i = 0; i < scene->count; i++)
        scene->numbers[i] = scene->count - 1 - i;
    check_one_by_one(scene);
    check_stripe(scene);
    check_contest(scene, 0);
    for (unsigned i = 1; i < STRIPES_MAX && input->left > 0; i++) {
        uint8_t how = take_byte(input);
        take_blocks(scene, input);
        check_one_by_one(scene);
        check_stripe(scene);
        check_contest(scene, how);
    }
    contest_clear(&scene->contest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct scene scene = {.count = 0};
    bool found = false;

    take_copies(&scene, &input);
    for (size_t i = 0; i < scene.count; i++)
        found |= scene.facts[i].has_header;
    int r = version_choose(scene.facts, scene.count, 0, &scene.version, scene.roles);
    CHECK(r == (found ? 0 : -ENODATA));
    if (r < 0)
        return 0;
    check_version(&scene);
    for (size_t i = 0; i < scene.count; i++)
        CHECK(scene.roles[i] == model_role(&scene, i));
    check_file(&scene, &input);
    return 0;
}
