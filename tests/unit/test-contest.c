/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "choice/contest.h"

#include <errno.h>
#include <string.h>

enum {
    COPIES_MAX = 300,
    NOTHING = '.', /* no good block; anything else is the digest of a content */
    GONE = '!',    /* a content that no copy has any more */
};

/* A file's copies, by their numbers, and the stripe that is at hand. */
struct scene {
    struct contest contest;
    struct gather gather;
    struct {
        enum copy_role role;
        uint8_t index;
        bool trusted;
        int content;
    } truth[COPIES_MAX];
    size_t numbers[COPIES_MAX]; /* of the copies at gather's places */
    struct gather_copy copies[COPIES_MAX];
};

/* Members 0, 1, ..., each with a share of its own. */
static void begin(struct scene *scene, unsigned required, size_t count)
{
    memset(scene, 0, sizeof *scene);
    scene->contest = (struct contest){.required = required, .copies = count};
    scene->gather = (struct gather){
        .required = required,
        .count = count,
        .copies = scene->copies,
    };
    for (size_t i = 0; i < count; i++)
        scene->truth[i].index = (uint8_t)i;
}

static void end(struct scene *scene)
{
    contest_clear(&scene->contest);
}

static void make_digest(int content, uint8_t ret[HASH_SIZE])
{
    memset(ret, 0, HASH_SIZE);
    memcpy(ret, &content, sizeof content);
}

/* In an order that differs from stripe to stripe, as it does where stripes are read. */
static void shuffle(struct scene *scene)
{
    size_t count = scene->gather.count;

    for (size_t i = 0; i < count; i++) {
        size_t from = (size_t)random_between(0, i);
        scene->numbers[i] = scene->numbers[from];
        scene->numbers[from] = i;
    }
}

/* All blocks of a stripe are read. */
static void read_stripe(struct scene *scene)
{
    uint8_t digest[HASH_SIZE];

    shuffle(scene);
    for (size_t place = 0; place < scene->gather.count; place++) {
        size_t number = scene->numbers[place];
        int content = scene->truth[number].content;
        scene->copies[place] = (struct gather_copy){
            .role = scene->truth[number].role,
            .trusted = scene->truth[number].trusted,
            .index = GATHER_INDEX_UNKNOWN,
        };
        make_digest(content, digest);
        if (content == NOTHING)
            gather_bad(&scene->gather, place);
        else
            gather_good(&scene->gather, place, scene->truth[number].index, digest);
    }
}

/* A stripe of which each copy has that content. */
static void see(struct scene *scene, const char *contents)
{
    assert_int_equal(strlen(contents), scene->gather.count);
    for (size_t i = 0; contents[i]; i++)
        scene->truth[i].content = contents[i];
    read_stripe(scene);
}

/* The content that is taken of the stripe, or an error. */
static int choose(const struct scene *scene)
{
    size_t place = COPIES_MAX;

    int r = contest_choose(&scene->contest, &scene->gather, scene->numbers, &place);
    assert_true(r == 0 ? place < scene->gather.count : place == COPIES_MAX);
    return r == 0 ? scene->truth[scene->numbers[place]].content : r;
}

static void note(struct scene *scene, int given)
{
    uint8_t digest[HASH_SIZE];

    make_digest(given, digest);
    assert_int_equal(contest_note(&scene->contest, &scene->gather, scene->numbers, digest), 0);
}

static void see_and_note(struct scene *scene, const char *contents, int given)
{
    see(scene, contents);
    note(scene, given);
}

static void assert_chooses(struct scene *scene, const char *contents, int expected)
{
    see(scene, contents);
    assert_int_equal(choose(scene), expected);
}

/* As the file is read: what is chosen is given. */
static void assert_gives(struct scene *scene, const char *contents, int expected)
{
    assert_chooses(scene, contents, expected);
    note(scene, expected);
}

static void set_roles(struct scene *scene, size_t first, size_t count, enum copy_role role)
{
    for (size_t i = first; i < first + count; i++)
        scene->truth[i].role = role;
}

static void test_shares_that_agree(void **state)
{
    struct scene scene;

    begin(&scene, 3, 5);
    assert_gives(&scene, "hhhhh", 'h');
    assert_gives(&scene, ".h.hh", 'h');
    assert_chooses(&scene, "..shh", -ENODATA);
    assert_chooses(&scene, "...hh", -ENODATA);
    assert_chooses(&scene, ".....", -ENODATA);
    end(&scene);
}

static void test_no_copies(void **state)
{
    struct scene scene;

    begin(&scene, 1, 0);
    assert_chooses(&scene, "", -ENODATA);
    note(&scene, 'h');
    assert_chooses(&scene, "", -ENODATA);
    end(&scene);
}

/* Whatever was before: it may be a block from another place. */
static void test_one_opponent_alone(void **state)
{
    struct scene scene;

    begin(&scene, 2, 5);
    assert_chooses(&scene, "hhs..", 'h');
    assert_chooses(&scene, "fhhst", 'h');
    see_and_note(&scene, "hhsss", 's');
    assert_chooses(&scene, "hhs..", 'h');
    assert_chooses(&scene, "hhstu", 'h');
    assert_chooses(&scene, "hhss.", 's');
    scene.contest.blind = true;
    assert_chooses(&scene, "hhs..", 'h');
    assert_chooses(&scene, "hhstu", 'h');
    end(&scene);
}

static void test_two_opponents_and_no_history(void **state)
{
    static const char *const contents[] = {"hhhss", "sshhh", "shhsh", "hhssh"};

    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct scene scene;
        begin(&scene, 3, 5);
        assert_chooses(&scene, contents[i], 'h');
        end(&scene);
    }
}

/* Stripes in which nothing was contradicted count as all others do. */
static void test_history_without_contradiction(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    see_and_note(&scene, "hhhhhh", 'h');
    assert_chooses(&scene, "hh.sss", 's');
    assert_chooses(&scene, "sss.hh", 's');
    see_and_note(&scene, "hhh.h.", 'h');
    assert_chooses(&scene, "hh.sss", -EBADMSG); /* one of these was for it */
    assert_chooses(&scene, "h..sss", 's');
    assert_chooses(&scene, "sss.hh", 's');
    see_and_note(&scene, "..hhhh", 'h');
    assert_chooses(&scene, "sss.hh", -EBADMSG);
    assert_chooses(&scene, "hssshh", -EBADMSG);
    assert_chooses(&scene, "hsssss", 's');
    end(&scene);
}

static void test_another_content_is_refused(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    assert_gives(&scene, "hhhss.", 'h');
    assert_chooses(&scene, "hh.sss", -EBADMSG);
    assert_chooses(&scene, "sss.hh", 's'); /* these were for it, whatever the digest is */
    assert_chooses(&scene, "hhhsss", 'h'); /* what is refused is no rival */
    assert_chooses(&scene, "h..sss", 's'); /* one alone */
    end(&scene);
}

/* Two of a group were for what was given, however many of it were against it. */
static void test_two_were_for_it(void **state)
{
    struct scene scene;

    begin(&scene, 3, 7);
    see_and_note(&scene, "hhhsss.", 'h');
    assert_chooses(&scene, "ttttuu.", 't');
    assert_chooses(&scene, "ttt.uu.", 't');
    assert_chooses(&scene, "ttut.ut", 't');
    assert_chooses(&scene, "ttuttut", 't');
    assert_chooses(&scene, "ttutttu", 't'); /* one opponent is none */
    assert_chooses(&scene, "tuuttt.", -EBADMSG);
    assert_chooses(&scene, "tuut..t", -EBADMSG);
    assert_chooses(&scene, "uu.t.tt", -EBADMSG);
    assert_chooses(&scene, "uuut.tt", 'u');      /* what is refused is no rival */
    assert_chooses(&scene, "ututtt.", -EBADMSG); /* what may be taken is too small */
    end(&scene);
}

/* It may be other two in each stripe; but none is made good by others. */
static void test_two_in_each_stripe(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    see_and_note(&scene, "hhhss.", 'h');
    see_and_note(&scene, "h.hhss", 'h');
    see_and_note(&scene, ".hhhs.", 'h');
    assert_chooses(&scene, "ttttuu", 't');
    assert_chooses(&scene, "uttt.u", 't');
    see_and_note(&scene, "h..shh", 'h');
    assert_chooses(&scene, "ttttuu", -EBADMSG);
    see_and_note(&scene, "hhhhhh", 'h');
    assert_chooses(&scene, "ttttuu", -EBADMSG);
    assert_chooses(&scene, "tttt.u", 't');
    end(&scene);
}

/* Who is against a group does not matter, only who is in it. */
static void test_opponents_had_no_word(void **state)
{
    struct scene scene;

    begin(&scene, 3, 9);
    see_and_note(&scene, "hhhh....x", 'h');
    assert_chooses(&scene, "....tttuu", -EBADMSG);
    assert_chooses(&scene, "uu..ttt..", -EBADMSG);
    assert_chooses(&scene, "..t.ttuu.", -EBADMSG);
    assert_chooses(&scene, "..ttttuu.", 't');
    assert_chooses(&scene, "uutttt...", 't');
    assert_chooses(&scene, "uv..tttwx", 't'); /* they agree on nothing */
    end(&scene);
}

/* Where one share is enough, one of the group that was for it is, too. */
static void test_few_are_required(void **state)
{
    for (unsigned required = 1; required <= 3; required++) {
        struct scene scene;
        begin(&scene, required, 8);
        see_and_note(&scene, "hhh...x.", 'h');
        assert_chooses(&scene, "uutttt..", required == 1 ? 't' : required == 2 ? 'u' : -EBADMSG);
        assert_chooses(&scene, "u..ttuu.", required == 1 ? 'u' : -EBADMSG);
        assert_chooses(&scene, "...tttuu", -EBADMSG);
        assert_chooses(&scene, "uu.tttt.", required == 3 ? -EBADMSG : 'u');
        end(&scene);
    }
}

/*
 * Contents o and n, two or more of either in each stripe, but no n in both, and one o at most: no
 * stripe tells that it is the same file that goes on. With one copy more in common one does.
 */
static void test_nothing_in_common(void **state)
{
    for (unsigned required = 2; required <= 3; required++) {
        struct scene scene;
        begin(&scene, required, 9);
        assert_gives(&scene, "ooo.nn...", 'o');
        assert_chooses(&scene, "..oo..nnn", -EBADMSG);
        assert_chooses(&scene, "..oo.nnnn", -EBADMSG);
        assert_chooses(&scene, ".oo...nnn", required == 2 ? 'o' : -EBADMSG);
        assert_chooses(&scene, ".ooo..nnn", 'o');
        assert_chooses(&scene, "..ooo..nn", -EBADMSG);
        end(&scene);
    }
}

/* Fewer than k lie, about different stripes, alone and together. */
static void test_liars(void **state)
{
    static const char *const contents[] = {
        "llhhh", "hhhhh", "lmhhh", "hlhhh", "llhhh", "mmhhh", ".lhhh", "hhhh.", "lhhhh", "llhhh",
    };
    struct scene scene;

    begin(&scene, 3, 5);
    for (size_t i = 0; i < COUNT_OF(contents); i++)
        assert_gives(&scene, contents[i], 'h');
    assert_chooses(&scene, "llhh.", -ENODATA);
    assert_chooses(&scene, "llhhh", 'h');
    end(&scene);
}

static void test_ties(void **state)
{
    static const struct {
        const char *contents;
        int chosen;
    } cases[] = {{"hhss", -EBADMSG},     {"shsh", -EBADMSG},     {"hhssttt", 't'},
                 {"ttthhss", 't'},       {"hhhssst", -EBADMSG},  {"tthhhs", 'h'},
                 {"tthhss", -EBADMSG},   {"tthhsss", 's'},       {"hstu", -ENODATA},
                 {"hhhssstt", -EBADMSG}, {"tthhhsss", -EBADMSG}, {"hhhttsss", -EBADMSG}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scene scene;
        begin(&scene, 2, strlen(cases[i].contents));
        assert_chooses(&scene, cases[i].contents, cases[i].chosen);
        end(&scene);
    }
}

static void test_trusted_shares_break_ties(void **state)
{
    struct scene scene;

    begin(&scene, 2, 7);
    scene.truth[2].trusted = true;
    assert_chooses(&scene, "hhss...", 's');
    assert_chooses(&scene, "hhhss..", 'h');
    assert_chooses(&scene, "hhsstt.", 's');
    assert_chooses(&scene, "hhssttt", 's');
    assert_chooses(&scene, "hh.ss..", -EBADMSG);
    assert_chooses(&scene, "hhsttt.", 't'); /* it is less than k shares of its content */
    scene.truth[0].trusted = true;
    assert_chooses(&scene, "hhss...", -EBADMSG);
    assert_chooses(&scene, "hhsss..", 's');
    scene.truth[3].trusted = true;
    assert_chooses(&scene, "hhssttt", 's');
    assert_chooses(&scene, "hhhhss.", 'h');
    end(&scene);
}

/* Two trusted copies of one share are one. */
static void test_trusted_twins(void **state)
{
    struct scene scene;

    begin(&scene, 2, 5);
    scene.truth[1].index = 0;
    for (size_t i = 0; i < 4; i++)
        scene.truth[i].trusted = i != 2;
    assert_chooses(&scene, "hhsss", 's');
    assert_chooses(&scene, "hhhss", -EBADMSG);
    end(&scene);
}

/* Where it is not known what was given, only what is not opposed is taken. */
static void test_blind(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    scene.contest.blind = true;
    assert_chooses(&scene, "hhhss.", -EBADMSG);
    assert_chooses(&scene, "hhhsss", -EBADMSG);
    assert_chooses(&scene, "hhhs..", 'h');
    assert_chooses(&scene, "hhhhhh", 'h');
    assert_chooses(&scene, "hhhst.", 'h');
    assert_chooses(&scene, "hhss..", -ENODATA);
    end(&scene);
}

/* Helpers without a share of the version are no group: neither taken, nor against anything. */
static void test_helpers_alone(void **state)
{
    struct scene scene;

    begin(&scene, 3, 8);
    set_roles(&scene, 3, 5, COPY_HELPER);
    assert_chooses(&scene, "hhhsssss", 'h');
    assert_chooses(&scene, "hh.sssss", -ENODATA);
    scene.contest.blind = true;
    assert_chooses(&scene, "hhhsssss", 'h');
    scene.contest.blind = false;
    see_and_note(&scene, "hhhsss..", 'h');
    see_and_note(&scene, "hhh.....", 'h');
    assert_int_equal(scene.contest.count, 1);
    see_and_note(&scene, "hhhsshhh", 'h');
    assert_int_equal(scene.contest.count, 2);
    set_roles(&scene, 3, 5, COPY_MEMBER);
    assert_chooses(&scene, "hh.sss..", -EBADMSG);
    assert_chooses(&scene, "sss.hh..", 's');
    end(&scene);
}

/* Beside a share of the version they count, for it and against others. */
static void test_helpers_in_a_group(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    set_roles(&scene, 1, 2, COPY_HELPER);
    set_roles(&scene, 4, 2, COPY_HELPER);
    assert_gives(&scene, "hhhss.", 'h');
    assert_chooses(&scene, "hh.sss", -EBADMSG);
    scene.contest.blind = true;
    assert_chooses(&scene, "hhhss.", -EBADMSG);
    end(&scene);
}

static void test_nameless_copies(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    set_roles(&scene, 0, 6, COPY_NAMELESS);
    assert_gives(&scene, "hhhss.", 'h');
    assert_chooses(&scene, "hh.sss", -EBADMSG);
    end(&scene);
}

/* Copies 0 and 1 are of one share. */
static void test_twins_are_one_share(void **state)
{
    struct scene scene;

    begin(&scene, 2, 6);
    scene.truth[1].index = 0;
    assert_chooses(&scene, "hh....", -ENODATA);
    assert_chooses(&scene, "hhsstt", -EBADMSG);
    assert_chooses(&scene, "hhhss.", -EBADMSG);
    scene.contest.blind = true;
    assert_chooses(&scene, "hhss..", 's');
    assert_chooses(&scene, "hhhss.", -EBADMSG);
    end(&scene);
}

/* And where they were for what was given. */
static void test_twins_were_one_share(void **state)
{
    for (uint8_t other = 0; other < 2; other++) {
        struct scene scene;
        begin(&scene, 2, 6);
        scene.truth[1].index = other;
        see_and_note(&scene, "hhss.h", 'h');
        assert_chooses(&scene, "tttuu.", other == 0 ? -EBADMSG : 't');
        end(&scene);
    }
}

/* What was given is in no copy any more: nothing shows who is of that content. */
static void test_given_is_gone(void **state)
{
    static const char *const contents[] = {"hhhhhh", "hhhs.s", "hs....", "......"};

    for (size_t i = 0; i < 2 * COUNT_OF(contents); i++) {
        struct scene scene;
        begin(&scene, 1 + i % 2, 6);
        see_and_note(&scene, "hhhhhh", 'h');
        assert_chooses(&scene, "tttuu.", 't');
        see_and_note(&scene, contents[i / 2], GONE);
        assert_chooses(&scene, "tttuu.", -EBADMSG);
        assert_chooses(&scene, "uu..tt", -EBADMSG);
        assert_chooses(&scene, "tttu..", 't');
        assert_chooses(&scene, "tttttt", 't');
        end(&scene);
    }
}

/* There were fewer than k of it, or one alone: those are of it all the same. */
static void test_given_is_too_small(void **state)
{
    struct scene scene;

    begin(&scene, 3, 7);
    see_and_note(&scene, "sshhh..", 's');
    assert_chooses(&scene, "tttuuu.", 't');
    assert_chooses(&scene, "tuuttuu", -EBADMSG);
    see_and_note(&scene, "shhhh..", 's');
    assert_chooses(&scene, "tttuuu.", -EBADMSG);
    assert_chooses(&scene, "tttu...", 't');
    end(&scene);
}

/* A pattern is who agreed with whom, whatever the digests and the order of reading. */
static void test_patterns_are_kept_once(void **state)
{
    struct scene scene;

    begin(&scene, 3, 6);
    for (unsigned i = 0; i < 20; i++) {
        see_and_note(&scene, i % 2 ? "hhhss." : "uuuvv.", i % 2 ? 'h' : 'u');
        see_and_note(&scene, "hhhsss", 'h');
        see_and_note(&scene, "hhhhh.", 'h');
    }
    assert_int_equal(scene.contest.count, 3);
    see_and_note(&scene, "hhhsss", 's');
    assert_int_equal(scene.contest.count, 4);
    see_and_note(&scene, "hhhsss", GONE);
    assert_int_equal(scene.contest.count, 5);
    contest_clear(&scene.contest);
    assert_int_equal(scene.contest.count, 0);
    assert_chooses(&scene, "hh.sss", 's');
    end(&scene);
}

/*
 * More contents than there are numbers for: COPIES of them agree on h, wherever they are, two on s,
 * and all others say each something else.
 */
static void see_many_digests(struct scene *scene, size_t copies)
{
    size_t count = scene->gather.count;

    for (size_t i = 0; i < count; i++)
        scene->truth[i].content = 1000 + (int)i;
    for (size_t left = copies + 2; left > 0;) {
        size_t number = (size_t)random_below(count < 256 ? count : 256);
        if (scene->truth[number].content >= 1000)
            scene->truth[number].content = left-- > 2 ? 'h' : 's';
    }
    read_stripe(scene);
}

static void test_many_digests(void **state)
{
    for (size_t count = 250; count <= COPIES_MAX; count++) {
        struct scene scene;
        begin(&scene, 3, count);
        see_many_digests(&scene, 3);
        assert_int_equal(choose(&scene), 'h');
        note(&scene, 'h');
        assert_int_equal(choose(&scene), 'h');
        for (size_t i = 0; i < count; i++)
            scene.truth[i].trusted = scene.truth[i].content != 'h';
        read_stripe(&scene);
        assert_int_equal(choose(&scene), 'h'); /* the others are too few for what they say */
        end(&scene);
    }
}

/* The first copies, the last ones, and those about the last number. */
static void test_places_among_many_digests(void **state)
{
    static const size_t firsts[] = {0, 1, 251, 252, 253, 254, 255, 256, COPIES_MAX - 3};

    for (size_t f = 0; f < COUNT_OF(firsts); f++) {
        struct scene scene;
        begin(&scene, 3, COPIES_MAX);
        for (size_t i = 0; i < COPIES_MAX; i++) {
            bool agrees = i - firsts[f] < 3;
            scene.truth[i].content = agrees ? 'h' : 1000 + (int)i;
        }
        read_stripe(&scene);
        assert_int_equal(choose(&scene), 'h');
        note(&scene, 1000 + (firsts[f] > 3 ? 3 : 4));
        assert_int_equal(choose(&scene), 'h'); /* no two contradict it */
        end(&scene);
    }
}

/* The first COUNT copies that say something of FIRST..LAST say another thing; no more of them do.
 */
static void change(struct scene *scene, int first, int last, size_t count, int content)
{
    for (size_t i = 0; i < scene->gather.count; i++) {
        if (scene->truth[i].content < first || scene->truth[i].content > last)
            continue;
        scene->truth[i].content = count > 0 ? content : NOTHING;
        count -= count > 0;
    }
}

/* Who was for it, and who against it together with another, is known among any number of lies. */
static void test_history_among_many_digests(void **state)
{
    for (unsigned round = 0; round < 50; round++) {
        struct scene scene;
        begin(&scene, 3, COPIES_MAX);
        see_many_digests(&scene, 4);
        note(&scene, 'h');
        assert_int_equal(choose(&scene), 'h');
        change(&scene, 1000, 2000, 1, 's');
        read_stripe(&scene);
        assert_int_equal(choose(&scene), 'h');
        change(&scene, 'h', 'h', 2, 'h');
        read_stripe(&scene);
        assert_int_equal(choose(&scene), -EBADMSG);
        change(&scene, 'h', 'h', 1, 'h');
        read_stripe(&scene);
        assert_int_equal(choose(&scene), 's');
        end(&scene);
    }
}

/* Who says s of 14 copies: one bit of NUMBER each. */
static void see_bits(struct scene *scene, unsigned number)
{
    char contents[15] = {0};

    for (unsigned i = 0; i < 14; i++)
        contents[i] = number >> i & 1 ? 's' : 'h';
    see(scene, contents);
}

static void test_many_patterns(void **state)
{
    struct scene scene;

    begin(&scene, 2, 14);
    for (unsigned i = 0; i < 8000; i++) {
        see_bits(&scene, (i % 1000) << 1);
        note(&scene, 'h');
    }
    assert_false(scene.contest.blind);
    for (unsigned i = 0; i < 6000; i++) {
        see_bits(&scene, i << 1);
        note(&scene, 'h');
    }
    assert_true(scene.contest.blind);
    assert_chooses(&scene, "hhhhhhhhhhhhss", -EBADMSG);
    assert_chooses(&scene, "hhhhhhhhhhhhhs", 'h');
    end(&scene);
}

/* Two contents, o and n, each of some copies, some of which are intact in each stripe. */
enum { SPLIT_COPIES_MAX = 16, SPLIT_STRIPES_MAX = 30, SPLIT_ROUNDS = 1500 };

struct split {
    struct scene scene;
    size_t witnesses; /* the first so many copies of either content lie nowhere */
    bool lopsided;    /* of a content that was not given any number is intact */
    uint64_t damaged; /* so many of ten copies that need not be intact */
    size_t stripes;
    int given[SPLIT_STRIPES_MAX];
};

/* Copies 0, 2, 4, ... have o, and copies 1, 3, 5, ... n, as long as they are witnesses. */
static bool is_witness(const struct split *split, size_t copy)
{
    return copy / 2 < split->witnesses;
}

static int true_content(size_t copy)
{
    return copy & 1 ? 'n' : 'o';
}

/* So many WITNESSES of either content, and any number of others, some of them of the same share. */
static void begin_split(struct split *split, unsigned required, size_t witnesses)
{
    size_t count = (size_t)random_between(2 * witnesses, SPLIT_COPIES_MAX);

    memset(split, 0, sizeof *split);
    begin(&split->scene, required, count);
    split->witnesses = witnesses;
    split->damaged = random_below(10);
    for (size_t i = 0; i < count; i++) {
        split->scene.truth[i].trusted = random_below(4) == 0;
        if (!is_witness(split, i) && random_below(4) == 0)
            split->scene.truth[i].index = (uint8_t)random_below(count);
    }
}

static bool is_given(const struct split *split, int content)
{
    for (size_t i = 0; i < split->stripes; i++) {
        if (split->given[i] == content)
            return true;
    }
    return false;
}

/* Of the witnesses of either content INTACT, at random, and any others; no witness lies. */
static void see_split(struct split *split, unsigned intact)
{
    bool keeps[SPLIT_COPIES_MAX] = {false};
    uint8_t chosen[256];

    for (size_t side = 0; side < 2; side++) {
        if (split->lopsided && !is_given(split, true_content(side)))
            continue;
        random_indices(intact, (unsigned)split->witnesses, chosen);
        for (unsigned i = 0; i < intact; i++)
            keeps[2 * chosen[i] + side] = true;
    }
    for (size_t i = 0; i < split->scene.gather.count; i++) {
        int *content = &split->scene.truth[i].content;
        *content = true_content(i);
        if (!keeps[i] && random_below(10) < split->damaged)
            *content = NOTHING;
        else if (!is_witness(split, i) && random_below(4) == 0)
            *content = random_below(2) ? 'x' : 'A' + (int)i;
    }
    read_stripe(&split->scene);
}

/* Gives what is chosen, if anything; whether the file was put together from both contents then. */
static bool give_split(struct split *split)
{
    int content = choose(&split->scene);

    if (content < 0)
        return false;
    note(&split->scene, content);
    split->given[split->stripes++] = content;
    return is_given(split, 'o') && is_given(split, 'n');
}

/* How many of ROUNDS files gave something; and how many of them both contents. */
struct outcome {
    unsigned given, blended;
};

/* Files of any k up to LAST; INTACT of WITNESSES, at random, are intact in each stripe. */
static struct outcome read_splits(unsigned last, size_t witnesses, unsigned intact, bool lopsided)
{
    struct outcome outcome = {0};

    for (unsigned round = 0; round < SPLIT_ROUNDS; round++) {
        struct split split;
        bool blended = false;
        begin_split(&split, (unsigned)random_between(1, last), witnesses);
        split.lopsided = lopsided;
        for (uint64_t i = random_between(1, SPLIT_STRIPES_MAX); i > 0; i--) {
            see_split(&split, intact);
            blended |= give_split(&split);
        }
        outcome.given += is_given(&split, 'o') || is_given(&split, 'n');
        outcome.blended += blended;
        end(&split.scene);
    }
    return outcome;
}

/* The same two of either content are always there: never is a file put together from both. */
static void test_random_contents(void **state)
{
    struct outcome outcome = read_splits(6, 2, 2, false);

    assert_int_equal(outcome.blended, 0);
    assert_true(outcome.given > SPLIT_ROUNDS / 2);
}

/* Nor where it is any two of up to eight: two stripes may have no copy in common. */
static void test_random_contents_with_changing_witnesses(void **state)
{
    for (size_t witnesses = 3; witnesses <= SPLIT_COPIES_MAX / 2; witnesses++) {
        struct outcome outcome = read_splits(4, witnesses, 2, false);
        assert_int_equal(outcome.blended, 0);
        assert_true(outcome.given > SPLIT_ROUNDS / 2);
    }
}

/* Two of what was given are enough, in the stripe that is asked for: of the other any number is. */
static void test_random_contents_of_which_one_has_witnesses(void **state)
{
    for (size_t witnesses = 2; witnesses <= SPLIT_COPIES_MAX / 2; witnesses++) {
        struct outcome outcome = read_splits(4, witnesses, 2, true);
        assert_int_equal(outcome.blended, 0);
        assert_true(outcome.given > SPLIT_ROUNDS / 2);
    }
}

/* Fewer than k copies lie as they like; k or more others do not, and are always taken. */
static void test_random_liars(void **state)
{
    for (unsigned round = 0; round < 3000; round++) {
        struct scene scene;
        unsigned required = (unsigned)random_between(1, 6);
        size_t honest = (size_t)random_between(required, 9);
        size_t liars = (size_t)random_below(required);
        begin(&scene, required, honest + liars);
        for (uint64_t stripes = random_between(1, 20); stripes > 0; stripes--) {
            for (size_t i = 0; i < honest + liars; i++)
                scene.truth[i].content = i < honest ? 'h' : ".hlm"[random_below(4)];
            read_stripe(&scene);
            assert_int_equal(choose(&scene), 'h');
            note(&scene, 'h');
        }
        end(&scene);
    }
}

/* So many of the first COPIES are intact, at random, and at times others; they say h. */
static void damage(struct scene *scene, size_t copies, unsigned intact)
{
    uint8_t order[256];

    random_indices((unsigned)copies, (unsigned)copies, order);
    for (size_t i = 0; i < copies; i++)
        scene->truth[order[i]].content = i < intact || random_below(3) == 0 ? 'h' : NOTHING;
}

/*
 * Also where the others are damaged, as long as k of them are intact in each stripe: always taken
 * where any two stripes have two of them in common, or two liars are too many. Otherwise they may
 * be refused, but nothing else is taken.
 */
static void test_random_liars_and_damage(void **state)
{
    unsigned taken = 0, refused = 0;

    for (unsigned round = 0; round < 3000; round++) {
        struct scene scene;
        unsigned required = (unsigned)random_between(1, 6);
        size_t honest = (size_t)random_between(required, 9);
        size_t count = honest + (size_t)random_below(required);
        bool may_refuse = required > 2 && honest + 2 > 2 * required;
        begin(&scene, required, count);
        for (uint64_t stripes = random_between(1, 20); stripes > 0; stripes--) {
            for (size_t i = honest; i < count; i++)
                scene.truth[i].content = ".hlm"[random_below(4)];
            damage(&scene, honest, required);
            read_stripe(&scene);
            int content = choose(&scene);
            assert_true(content == 'h' || (content == -EBADMSG && may_refuse));
            taken += content == 'h';
            refused += content != 'h';
            if (content == 'h')
                note(&scene, 'h');
        }
        end(&scene);
    }
    assert_true(refused > 0 && refused < taken / 50);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_that_agree),
        cmocka_unit_test(test_no_copies),
        cmocka_unit_test(test_one_opponent_alone),
        cmocka_unit_test(test_two_opponents_and_no_history),
        cmocka_unit_test(test_history_without_contradiction),
        cmocka_unit_test(test_another_content_is_refused),
        cmocka_unit_test(test_two_were_for_it),
        cmocka_unit_test(test_two_in_each_stripe),
        cmocka_unit_test(test_opponents_had_no_word),
        cmocka_unit_test(test_few_are_required),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_liars),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_trusted_shares_break_ties),
        cmocka_unit_test(test_trusted_twins),
        cmocka_unit_test(test_blind),
        cmocka_unit_test(test_helpers_alone),
        cmocka_unit_test(test_helpers_in_a_group),
        cmocka_unit_test(test_nameless_copies),
        cmocka_unit_test(test_twins_are_one_share),
        cmocka_unit_test(test_twins_were_one_share),
        cmocka_unit_test(test_given_is_gone),
        cmocka_unit_test(test_given_is_too_small),
        cmocka_unit_test(test_patterns_are_kept_once),
        cmocka_unit_test(test_many_digests),
        cmocka_unit_test(test_places_among_many_digests),
        cmocka_unit_test(test_history_among_many_digests),
        cmocka_unit_test(test_many_patterns),
        cmocka_unit_test(test_random_contents),
        cmocka_unit_test(test_random_contents_with_changing_witnesses),
        cmocka_unit_test(test_random_contents_of_which_one_has_witnesses),
        cmocka_unit_test(test_random_liars),
        cmocka_unit_test(test_random_liars_and_damage),
    };

    return cmocka_run_group_tests_name("contest", tests, support_set_up, NULL);
}
