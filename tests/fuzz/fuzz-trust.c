/* SPDX-License-Identifier: MIT */
/*
 * What stores say, and what trust/version.h, trust/gather.h and trust/name.h promise to make of it,
 * by a slow and obvious model.
 *
 *     how 1 (bits 0..2: K, 0: not known; bits 3..4: format, 3 as 0; bit 5: contested)
 *     for each copy 4 bytes, up to 10 copies:
 *       bits 0..2 index; 3 no header; 4..5 mtime; 6 size; 7 another block size
 *       bits 0..1 k - 1; 2 of another length; 3 misplaced; 4 bound; 5 trusted; 6 late first;
 *           7 a share of number 248 and up
 *       bits 0..2 content of the block, 0 none; 3..5 are added to the index of the block where
 *           there is no header
 *       bits 0..2 the kind of what the store has at a name; 3 no intact header; 4 no vote;
 *           5 the vote of the store before it
 */
#include "fuzz.h"

#include "trust/gather.h"
#include "trust/name.h"
#include "trust/version.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { COPIES_MAX = 10, VERSIONS_MAX = 3 };

/* All that is true of the copies and of the stripe at hand. */
struct scene {
    struct quorum quorum;
    enum share_format format;
    size_t count;
    struct copy_facts facts[COPIES_MAX];
    struct {
        uint8_t content, index; /* of the block; content 0: there is no good one */
        bool bound, trusted, late;
        bool asked, read;
    } truth[COPIES_MAX];
    struct ballot ballots[COPIES_MAX];
    bool contested;
    struct gather gather;
    struct gather_copy *copies; /* of exactly this many */
};

/* From bytes to copies */

static struct copy_facts take_facts(enum share_format format, const uint8_t bytes[4])
{
    struct copy_facts facts = {.has_header = !(bytes[0] & 8)};
    struct share_header *header = &facts.header;

    CHECK(layout_new(format, 1 + (bytes[1] & 3), 256,
                     bytes[0] & 128 ? BLOCK_SIZE_MIN : BLOCK_SIZE_DEFAULT,
                     bytes[0] & 64 ? 700000 : 10000, &header->layout) == 0);
    header->index = (uint8_t)((bytes[0] & 7) + (bytes[1] & 128 ? 248 : 0));
    header->total = format == SHARE_FEC ? 256 : 0;
    header->mtime_ns = format == SHARE_CHECKED ? bytes[0] >> 4 & 3 : 0;
    facts.misplaced = format != SHARE_CHECKED && bytes[1] & 8;
    facts.size = layout_share_size(&header->layout) - (bytes[1] >> 2 & 1);
    return facts;
}

static struct ballot take_ballot(const struct scene *scene, size_t place, uint8_t byte)
{
    static const mode_t types[] = {0,       S_IFREG, S_IFREG, S_IFDIR,
                                   S_IFLNK, S_IFLNK, S_IFIFO, S_IFCHR};
    struct ballot ballot = {
        .cast = byte & 7,
        .voter = byte & 16 ? NO_VOTE : (int)place,
        .status = {.st_mode = types[byte & 7] | ((mode_t)byte >> 6 << 9) | 0644, .st_nlink = 1},
        .target = types[byte & 7] != S_IFLNK ? NULL
                  : byte & 1                 ? "a"
                                             : "b",
    };

    ballot.has_header = S_ISREG(ballot.status.st_mode) && !(byte & 8);
    if (byte & 32 && place > 0)
        ballot.voter = scene->ballots[place - 1].voter;
    return ballot;
}

static void take_copies(struct scene *scene, struct input *input)
{
    static const enum share_format choices[] = {SHARE_CHECKED, SHARE_CLASSIC, SHARE_FEC,
                                                SHARE_CHECKED};
    uint8_t how = take_byte(input);

    scene->quorum.required = how & 7;
    scene->format = choices[how >> 3 & 3];
    scene->contested = how & 32;
    while (input->left > 0 && scene->count < COPIES_MAX) {
        uint8_t bytes[4] = {take_byte(input), take_byte(input), take_byte(input), take_byte(input)};
        size_t place = scene->count++;
        scene->facts[place] = take_facts(scene->format, bytes);
        bool other = !scene->facts[place].has_header;
        scene->truth[place].content = bytes[2] & 7;
        scene->truth[place].index =
            (uint8_t)(scene->facts[place].header.index + (other ? bytes[2] >> 3 & 7 : 0));
        scene->truth[place].bound = bytes[1] & 16;
        scene->truth[place].trusted = !scene->contested || bytes[1] & 32;
        scene->truth[place].late = bytes[1] & 64;
        scene->ballots[place] = take_ballot(scene, place, bytes[3]);
    }
}

/* Versions */

static bool speaks(const struct copy_facts *copy)
{
    return copy->has_header && !copy->misplaced;
}

static bool same_words(const struct share_header *a, const struct share_header *b)
{
    return a->layout.required == b->layout.required &&
           a->layout.block_size == b->layout.block_size &&
           a->layout.source_size == b->layout.source_size && a->mtime_ns == b->mtime_ns;
}

/* Different shares of a version, of full length or of any. */
static unsigned count_shares(const struct scene *scene, const struct share_header *version,
                             bool whole)
{
    bool seen[256] = {false};
    unsigned shares = 0;

    for (size_t i = 0; i < scene->count; i++) {
        const struct copy_facts *copy = &scene->facts[i];
        if (!speaks(copy) || !same_words(&copy->header, version) ||
            (whole && copy->size != layout_share_size(&copy->header.layout)))
            continue;
        shares += !seen[copy->header.index];
        seen[copy->header.index] = true;
    }
    return shares;
}

static void check_counts(const struct scene *scene, const struct version *version)
{
    unsigned k = version->header.layout.required, required = scene->quorum.required;
    unsigned rival = 0;
    bool tied = false;

    CHECK(version->members == count_shares(scene, &version->header, false));
    CHECK(version->whole == count_shares(scene, &version->header, true));
    CHECK(version->needed == (k > required ? k : required));
    CHECK(version->complete == (required > 0 && version->whole >= k && version->whole >= required));
    CHECK(version->possible || !version->complete);
    for (size_t i = 0; i < scene->count; i++) {
        const struct share_header *other = &scene->facts[i].header;
        if (!speaks(&scene->facts[i]) || same_words(other, &version->header))
            continue;
        unsigned whole = count_shares(scene, other, true);
        if (required == 0 || whole < other->layout.required || whole < required)
            continue;
        rival = whole > rival ? whole : rival;
        tied |= version->complete && other->mtime_ns == version->header.mtime_ns &&
                whole == version->whole;
    }
    CHECK(version->rival == rival);
    CHECK(version->tied == tied);
}

/* What is complete comes first; of what is, or is not, the newest; of one time what has most. */
static bool is_in_order(const struct version *first, const struct version *second)
{
    if (first->complete != second->complete)
        return first->complete;
    if (first->header.mtime_ns != second->header.mtime_ns)
        return first->header.mtime_ns > second->header.mtime_ns;
    return first->whole >= second->whole;
}

/* Each version has one rank. Returns how many there are. */
static unsigned check_versions(const struct scene *scene)
{
    struct version versions[COPIES_MAX + 1];
    unsigned ranks = 0, different = 0;

    while (version_choose(&scene->quorum, scene->facts, scene->count, ranks, &versions[ranks]) ==
           0) {
        check_counts(scene, &versions[ranks]);
        for (unsigned i = 0; i < ranks; i++) {
            CHECK(!same_words(&versions[i].header, &versions[ranks].header));
            CHECK(is_in_order(&versions[i], &versions[ranks]));
        }
        CHECK(++ranks <= scene->count);
    }
    for (size_t i = 0; i < scene->count; i++) {
        bool repeated = !speaks(&scene->facts[i]);
        for (size_t j = 0; j < i; j++)
            repeated |= speaks(&scene->facts[j]) &&
                        same_words(&scene->facts[j].header, &scene->facts[i].header);
        different += !repeated;
    }
    CHECK(ranks == different);
    return ranks;
}

static enum copy_role model_role(const struct scene *scene, size_t place,
                                 const struct share_header *version)
{
    const struct copy_facts *copy = &scene->facts[place];
    const struct share_layout *layout = &copy->header.layout;

    if (speaks(copy) && same_words(&copy->header, version))
        return COPY_MEMBER;
    if (scene->format != SHARE_CHECKED)
        return COPY_USELESS;
    if (!copy->has_header)
        return COPY_NAMELESS;
    return layout->required == version->layout.required &&
                   layout->block_size == version->layout.block_size
               ? COPY_OTHER
               : COPY_USELESS;
}

/* What is settled by the first copies is what all of them give. */
static void check_settled(const struct scene *scene)
{
    struct version all, some;

    int r = version_choose(&scene->quorum, scene->facts, scene->count, 0, &all);
    for (size_t count = 0; count <= scene->count; count++) {
        if (!version_is_settled(&scene->quorum, scene->facts, count, scene->count - count))
            continue;
        CHECK(r == 0 && all.complete && !all.tied);
        CHECK(version_choose(&scene->quorum, scene->facts, count, 0, &some) == 0);
        CHECK(same_words(&some.header, &all.header));
    }
}

/* With the K that is said to do, a version is complete that was not; with 0, no K does. */
static void check_would_need(const struct scene *scene)
{
    struct version version;
    unsigned would = version_would_need(&scene->quorum, scene->facts, scene->count);

    CHECK(would == 0 || scene->quorum.required == 0 || would < scene->quorum.required);
    for (unsigned required = 1; required < scene->quorum.required; required++) {
        struct quorum other = {.required = required};
        bool more = false;
        for (unsigned rank = 0;
             version_choose(&other, scene->facts, scene->count, rank, &version) == 0; rank++)
            more |= version.complete && version.whole < scene->quorum.required;
        CHECK(would > 0 || !more);
        CHECK(required != would || more);
    }
}

/* Blocks */

static void start_gather(struct scene *scene, const struct version *version)
{
    scene->gather =
        (struct gather){.needed = version->needed, .count = scene->count, .copies = scene->copies};
    for (size_t i = 0; i < scene->count; i++) {
        enum copy_role role = version_role(&scene->facts[i], &version->header);
        CHECK(role == model_role(scene, i, &version->header));
        scene->copies[i] = (struct gather_copy){
            .role = role,
            .bound = scene->truth[i].bound,
            .trusted = scene->truth[i].trusted,
            .index =
                scene->facts[i].has_header ? scene->facts[i].header.index : GATHER_INDEX_UNKNOWN,
        };
        scene->truth[i].asked = scene->truth[i].read = false;
    }
}

static void digest_of(const struct scene *scene, size_t place, uint8_t ret[HASH_SIZE])
{
    memset(ret, 0, HASH_SIZE);
    if (scene->format == SHARE_CHECKED)
        ret[HASH_SIZE - 1] = scene->truth[place].content;
}

static void note_asked(struct scene *scene, const size_t places[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(places[i] < scene->count);
        CHECK(!scene->truth[places[i]].asked);
        CHECK(scene->copies[places[i]].role != COPY_USELESS);
        scene->truth[places[i]].asked = true;
    }
}

static void answer(struct scene *scene, size_t place)
{
    uint8_t digest[HASH_SIZE];

    scene->truth[place].read = true;
    digest_of(scene, place, digest);
    if (scene->truth[place].content == 0)
        gather_bad(&scene->gather, place);
    else
        gather_good(&scene->gather, place, scene->truth[place].index, digest);
}

static bool has_block(const struct scene *scene, size_t place)
{
    return scene->truth[place].read && scene->truth[place].content > 0;
}

static bool is_alike(const struct scene *scene, size_t a, size_t b)
{
    return has_block(scene, a) && has_block(scene, b) &&
           (scene->format != SHARE_CHECKED || scene->truth[a].content == scene->truth[b].content);
}

/* Of the blocks that were read and are like the one at PLACE. */
struct group {
    unsigned shares, trusted;
    bool anchored;
};

static struct group group_of(const struct scene *scene, size_t place)
{
    struct group group = {0};
    bool seen[256] = {false}, trusted[256] = {false};

    for (size_t i = 0; i < scene->count; i++) {
        if (!is_alike(scene, i, place))
            continue;
        group.shares += !seen[scene->truth[i].index];
        seen[scene->truth[i].index] = true;
    }
    for (size_t i = 0; i < scene->count; i++) {
        enum copy_role role = scene->copies[i].role;
        bool anchor = is_alike(scene, i, place) &&
                      (role == COPY_MEMBER || (role == COPY_NAMELESS && scene->truth[i].bound));
        group.anchored |= anchor;
        group.trusted += anchor && scene->truth[i].trusted && !trusted[scene->truth[i].index];
        trusted[scene->truth[i].index] |= anchor && scene->truth[i].trusted;
    }
    return group;
}

/* The shares of the largest group that counts, and of the largest of the others. */
static unsigned find_largest(const struct scene *scene, unsigned *ret_second, size_t *ret_place)
{
    unsigned most = 0;

    *ret_second = 0;
    *ret_place = scene->count;
    for (size_t i = 0; i < scene->count; i++) {
        struct group group = group_of(scene, i);
        if (group.anchored && group.shares > most) {
            most = group.shares;
            *ret_place = i;
        }
    }
    for (size_t i = 0; i < scene->count; i++) {
        struct group group = group_of(scene, i);
        if (group.anchored && !is_alike(scene, i, *ret_place) && group.shares > *ret_second)
            *ret_second = group.shares;
    }
    return most;
}

/* Of all other groups that count, the most trusted copies. */
static unsigned trusted_elsewhere(const struct scene *scene, size_t place)
{
    unsigned most = 0;

    for (size_t i = 0; i < scene->count; i++) {
        struct group group = group_of(scene, i);
        if (group.anchored && !is_alike(scene, i, place) && group.trusted > most)
            most = group.trusted;
    }
    return most;
}

/* All that were read and are like the one at PLACE, in order; without TWINS one of each share. */
static void check_list(const struct scene *scene, size_t place, bool twins)
{
    size_t places[COPIES_MAX], next = 0;
    bool seen[256] = {false};

    size_t count = gather_list(&scene->gather, place, twins, places);
    for (size_t i = 0; i < scene->count; i++) {
        uint8_t index = scene->truth[i].index;
        if (!is_alike(scene, i, place) || (!twins && seen[index]))
            continue;
        CHECK(next < count && places[next] == i);
        seen[index] = true;
        next++;
    }
    CHECK(next == count);
}

static void check_choice(const struct scene *scene)
{
    unsigned second, most;
    size_t largest, place = COPIES_MAX;
    bool unbound = false;

    most = find_largest(scene, &second, &largest);
    int r = gather_choose(&scene->gather, &place);
    if (most < scene->gather.needed)
        CHECK(r == -ENODATA);
    else if (most == second)
        CHECK(r == -ENOTUNIQ);
    else if (group_of(scene, largest).trusted <= trusted_elsewhere(scene, largest))
        CHECK(r == -EBADMSG);
    else
        CHECK(r == 0 && is_alike(scene, place, largest));
    CHECK(r == 0 || place == COPIES_MAX);
    CHECK(gather_is_contradicted(&scene->gather) == (second > 0));
    for (size_t i = 0; i < scene->count; i++) {
        struct group group = group_of(scene, i);
        unbound |= has_block(scene, i) && scene->copies[i].role == COPY_NAMELESS &&
                   !scene->truth[i].bound &&
                   (second > 0 || (!group.anchored && group.shares >= scene->gather.needed));
        if (!has_block(scene, i))
            continue;
        check_list(scene, i, false);
        check_list(scene, i, true);
    }
    CHECK(gather_has_unbound(&scene->gather) == unbound);
}

/* Copies that could be asked, and such as are asked and were not read. */
static void count_open(const struct scene *scene, size_t *ret_unread, size_t *ret_coming)
{
    *ret_unread = *ret_coming = 0;
    for (size_t i = 0; i < scene->count; i++) {
        *ret_unread += scene->copies[i].role != COPY_USELESS && !scene->truth[i].asked;
        *ret_coming += scene->truth[i].asked && !scene->truth[i].read;
    }
}

/* Asks, and answers the last that was asked for; a late one only when nothing else comes. */
static bool read_one(struct scene *scene)
{
    size_t places[COPIES_MAX], unread, coming, place = scene->count;
    unsigned second, most;

    most = find_largest(scene, &second, &place);
    size_t asked = gather_next(&scene->gather, places);
    CHECK(asked == 0 || (most < scene->gather.needed && asked <= scene->gather.needed - most));
    note_asked(scene, places, asked);
    count_open(scene, &unread, &coming);
    CHECK(gather_waits(&scene->gather) == (coming > 0 && most < scene->gather.needed));
    CHECK(coming > 0 || unread == 0 || most >= scene->gather.needed);
    place = scene->count;
    for (size_t i = 0; i < scene->count; i++) {
        if (!scene->truth[i].asked || scene->truth[i].read)
            continue;
        if (scene->truth[i].late && scene->copies[i].block == BLOCK_ASKED)
            gather_late(&scene->gather, i);
        else if (place == scene->count || scene->copies[i].block == BLOCK_ASKED)
            place = i;
    }
    if (place < scene->count)
        answer(scene, place);
    return coming > 0 || asked > 0;
}

static void check_blocks(struct scene *scene, const struct version *version)
{
    size_t places[COPIES_MAX], unread, coming;
    unsigned steps = 0;

    start_gather(scene, version);
    while (read_one(scene)) {
        check_choice(scene);
        CHECK(++steps <= 2 * COPIES_MAX);
    }
    count_open(scene, &unread, &coming);
    CHECK(gather_rest(&scene->gather, places, unread / 2) == unread / 2);
    note_asked(scene, places, unread / 2);
    size_t rest = gather_rest(&scene->gather, places, COPIES_MAX);
    CHECK(rest == unread - unread / 2);
    note_asked(scene, places, rest);
    for (size_t i = 0; i < scene->count; i++) {
        if (scene->truth[i].asked)
            answer(scene, i);
    }
    CHECK(gather_next(&scene->gather, places) == 0);
    check_choice(scene);
}

/* Names */

static bool is_kind(const struct ballot *a, const struct ballot *b)
{
    return a->cast && b->cast && (a->status.st_mode & S_IFMT) == (b->status.st_mode & S_IFMT) &&
           (!a->target || strcmp(a->target, b->target) == 0);
}

/* Votes of the kind of ballot number PLACE, or, of files, for those with a header alone. */
static unsigned count_votes(const struct scene *scene, size_t count, size_t place, bool headers)
{
    const struct ballot *ballots = scene->ballots;
    unsigned votes = 0;

    for (int voter = 0; voter < COPIES_MAX; voter++) {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found |= ballots[i].voter == voter && is_kind(&ballots[i], &ballots[place]) &&
                     (!headers || ballots[i].has_header);
        votes += found;
    }
    return votes;
}

static unsigned model_votes(const struct scene *scene, size_t count, size_t place)
{
    const struct ballot *ballots = scene->ballots;
    unsigned votes = count_votes(scene, count, place, false);

    if (!S_ISREG(ballots[place].status.st_mode) || count_votes(scene, count, place, true) == 0)
        return votes;
    for (size_t i = 0; i < count; i++)
        votes += ballots[i].voter == NO_VOTE && is_kind(&ballots[i], &ballots[place]);
    return votes;
}

static unsigned model_need(const struct scene *scene, size_t place)
{
    mode_t mode = scene->ballots[place].status.st_mode;
    unsigned required = scene->quorum.required;

    return (S_ISDIR(mode) || S_ISLNK(mode)) && required > 2 ? 2 : required;
}

static enum name_verdict model_verdict(const struct scene *scene, size_t count)
{
    unsigned most = 0, headers = 0;
    bool any = false, enough = false, tied = false;
    size_t winner = count;

    for (size_t i = 0; i < count; i++) {
        if (!scene->ballots[i].cast)
            continue;
        unsigned votes = model_votes(scene, count, i);
        any = true;
        if (S_ISREG(scene->ballots[i].status.st_mode))
            headers = count_votes(scene, count, i, true);
        if (votes < model_need(scene, i))
            continue;
        if (!enough || votes > most) {
            tied = false;
            winner = i;
            most = votes;
        } else if (votes == most) {
            tied |= !is_kind(&scene->ballots[i], &scene->ballots[winner]);
        }
        enough = true;
    }
    if (enough)
        return tied ? NAME_CONFLICT : NAME_SETTLED;
    return !any ? NAME_ABSENT : headers >= 2 ? NAME_LOST : NAME_FOREIGN;
}

static void check_ruling(const struct scene *scene, size_t count, struct name_ruling *ret)
{
    name_rule(&scene->quorum, scene->ballots, count, ret);
    CHECK(ret->verdict == model_verdict(scene, count));
    if (ret->verdict == NAME_ABSENT)
        return;
    CHECK(ret->winner < count && scene->ballots[ret->winner].cast);
    CHECK(ret->votes == model_votes(scene, count, ret->winner));
    CHECK(ret->needed == model_need(scene, ret->winner));
    CHECK(ret->verdict == NAME_LOST || ret->verdict == NAME_FOREIGN || ret->votes >= ret->needed);
    CHECK(ret->verdict != NAME_LOST || scene->ballots[ret->winner].has_header);
    if (ret->verdict != NAME_CONFLICT)
        return;
    CHECK(ret->rival < count);
    CHECK(!is_kind(&scene->ballots[ret->winner], &scene->ballots[ret->rival]));
    CHECK(model_votes(scene, count, ret->rival) == ret->votes);
}

/* What most show: setuid and setgid only with K votes, and nothing that no store says. */
static void check_status(const struct scene *scene)
{
    struct stat status;
    unsigned special = 0;
    bool any = false, said = false, sticky = false;

    for (size_t i = 0; i < scene->count; i++)
        any |= scene->ballots[i].cast;
    if (!any)
        return;
    vote_status(&scene->quorum, scene->ballots, scene->count, &status);
    for (int voter = 0; voter < COPIES_MAX; voter++) {
        bool found = false;
        for (size_t i = 0; i < scene->count; i++)
            found |= scene->ballots[i].cast && scene->ballots[i].voter == voter &&
                     (status.st_mode & 06000 & ~scene->ballots[i].status.st_mode) == 0;
        special += found;
    }
    for (size_t i = 0; i < scene->count; i++)
        said |= scene->ballots[i].cast &&
                (scene->ballots[i].status.st_mode & S_IFMT) == (status.st_mode & S_IFMT);
    for (size_t i = 0; i < scene->count; i++)
        sticky |= scene->ballots[i].cast && scene->ballots[i].status.st_mode & S_ISVTX;
    CHECK(said);
    CHECK(!(status.st_mode & 06000) || special >= scene->quorum.required);
    CHECK(!(status.st_mode & S_ISVTX) || sticky);
}

static void check_name(const struct scene *scene)
{
    struct name_ruling all, some;

    check_ruling(scene, scene->count, &all);
    for (size_t count = 0; count < scene->count; count++) {
        check_ruling(scene, count, &some);
        if (!name_is_settled(&scene->quorum, scene->ballots, count, scene->count - count, &some))
            continue;
        CHECK(all.verdict == NAME_SETTLED);
        CHECK(is_kind(&scene->ballots[all.winner], &scene->ballots[some.winner]));
    }
    check_status(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct scene scene = {.count = 0};
    struct version version;

    take_copies(&scene, &input);
    scene.copies = calloc(scene.count ? scene.count : 1, sizeof *scene.copies);
    CHECK(scene.copies);
    unsigned versions = check_versions(&scene);
    check_settled(&scene);
    check_would_need(&scene);
    for (unsigned rank = 0; rank < versions && rank < VERSIONS_MAX; rank++) {
        CHECK(version_choose(&scene.quorum, scene.facts, scene.count, rank, &version) == 0);
        check_blocks(&scene, &version);
    }
    if (scene.quorum.required > 0)
        check_name(&scene);
    free(scene.copies);
    return 0;
}
