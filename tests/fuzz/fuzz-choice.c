/* SPDX-License-Identifier: MIT */
/*
 * The choice of version and blocks for one stripe, and what choice/version.h and choice/gather.h
 * promise of it, by a slow and obvious model.
 *
 *     how 1 (bits 0..1: k - 1; bits 2..3: format, 3 as 0)
 *     for each copy 3 bytes, up to 10 copies:
 *       bits 0..2 index; 3 no header; 4..5 mtime; 6..7 size
 *       bits 0..2 content of the block, 0 and 7 none; 3 trusted; 5 another k;
 *           6 the block's own index is another one (without a header)
 *       bits 0..2 the index of the block, if so; 3 known to be bad; 4 has extensions
 */
#include "fuzz.h"

#include "choice/gather.h"
#include "choice/version.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { COPIES_MAX = 10, K_MAX = 5 };

/* All that is true of the copies, and what was done with them. */
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
    for (size_t i = 0; i < scene->count; i++)
        scene->copies[i] = (struct gather_copy){
            .role = scene->roles[i],
            .trusted = scene->truth[i].trusted,
            .index =
                scene->facts[i].has_header ? scene->facts[i].header.index : GATHER_INDEX_UNKNOWN,
            .block = scene->truth[i].known_bad ? BLOCK_BAD : BLOCK_UNREAD,
        };
}

static void digest_of(const struct scene *scene, size_t place, uint8_t ret[HASH_SIZE])
{
    bool checked = scene->version.header.layout.format == SHARE_CHECKED;

    memset(ret, checked ? scene->truth[place].content : 0, HASH_SIZE);
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
        digest_of(scene, place, digest);
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

/* Whether trusted copies of more shares, two or more, agree on something else. */
static bool is_contradicted(const struct scene *scene, size_t place, bool read)
{
    unsigned trusted = group_of(scene, place, read).trusted;

    for (size_t i = 0; i < scene->count; i++) {
        if (!has_block(scene, i, read) || is_alike(scene, i, place))
            continue;
        unsigned against = group_of(scene, i, read).trusted;
        if (against > 1 && against > trusted)
            return true;
    }
    return false;
}

static bool can_restore(const struct scene *scene, size_t place, bool read)
{
    struct group group = group_of(scene, place, read);

    return has_block(scene, place, read) && group.anchored &&
           group.shares >= scene->gather.required;
}

/* A selection is k or more different shares, all read and good, of one anchored group. */
static void check_selection(const struct scene *scene, const size_t places[], size_t count)
{
    bool seen[8] = {false};

    CHECK(count >= scene->gather.required);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || places[i] > places[i - 1]);
        CHECK(has_block(scene, places[i], true));
        CHECK(is_alike(scene, places[i], places[0]));
        CHECK(!seen[scene->truth[places[i]].index]);
        seen[scene->truth[places[i]].index] = true;
    }
    CHECK(can_restore(scene, places[0], true));
    CHECK(!is_contradicted(scene, places[0], true));
}

/*
 * Whether one group of k or more shares that nothing contradicts is larger than all others, by the
 * blocks that were read. *RET_PLACE is a place of it.
 */
static bool has_one_answer(const struct scene *scene, size_t *ret_place)
{
    unsigned largest = 0;
    size_t winner = 0;
    bool alone = false;

    for (size_t i = 0; i < scene->count; i++) {
        if (!can_restore(scene, i, true) || is_contradicted(scene, i, true) ||
            (largest > 0 && is_alike(scene, i, winner)))
            continue;
        unsigned shares = group_of(scene, i, true).shares;
        if (shares >= largest) {
            alone = shares > largest;
            largest = shares;
            winner = i;
        }
    }
    *ret_place = winner;
    return alone;
}

static bool has_any_answer(const struct scene *scene)
{
    for (size_t i = 0; i < scene->count; i++) {
        if (can_restore(scene, i, false))
            return true;
    }
    return false;
}

/* What is selected now is the one answer that the blocks give, or nothing where they give none. */
static int check_answer(const struct scene *scene)
{
    size_t places[COPIES_MAX], count, winner;

    int r = gather_select(&scene->gather, false, places, &count);
    CHECK(r == 0 || r == -ENODATA || r == -EBADMSG);
    CHECK((r == 0) == has_one_answer(scene, &winner));
    if (r == 0) {
        check_selection(scene, places, count);
        CHECK(is_alike(scene, places[0], winner));
    }
    return r;
}

static void check_stripe(struct scene *scene)
{
    size_t places[COPIES_MAX + 1], count, rounds = 0;

    start_gather(scene);
    while ((count = gather_next(&scene->gather, places)) > 0) {
        CHECK(count <= scene->gather.required);
        CHECK(++rounds <= scene->count);
        answer(scene, places, count);
    }
    CHECK(check_answer(scene) != -ENODATA || !has_any_answer(scene));
    /* Where they contradict each other, all are heard. */
    answer(scene, places, gather_rest(&scene->gather, places, COPIES_MAX));
    CHECK(gather_rest(&scene->gather, places, COPIES_MAX) == 0);
    CHECK(gather_next(&scene->gather, places) == 0);
    CHECK(check_answer(scene) != -ENODATA || !has_any_answer(scene));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum share_format formats[] = {SHARE_CHECKED, SHARE_CLASSIC, SHARE_FEC,
                                                SHARE_CHECKED};
    struct input input = {data, size};
    struct scene scene = {.count = 0};
    uint8_t how = take_byte(&input);
    bool found = false;

    while (input.left > 0 && scene.count < COPIES_MAX)
        take_copy(&scene, formats[how >> 2 & 3], 1 + (how & 3), &input);
    for (size_t i = 0; i < scene.count; i++)
        found |= scene.facts[i].has_header;
    int r = version_choose(scene.facts, scene.count, &scene.version, scene.roles);
    CHECK(r == (found ? 0 : -ENODATA));
    if (r < 0)
        return 0;
    check_version(&scene);
    for (size_t i = 0; i < scene.count; i++)
        CHECK(scene.roles[i] == model_role(&scene, i));
    check_stripe(&scene);
    return 0;
}
