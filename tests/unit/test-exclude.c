/* SPDX-License-Identifier: MIT */
/*
 * What the rules say about single paths stands here; tests/test_exclude_rules.py compares many
 * more with git's own answers.
 */
#include "support.h"

#include "tree/exclude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Rounds that give back all that they take; malloc keeps a little, whatever their number. */
enum { ROUNDS = 1000, KEPT_MAX = 1 << 14 };

static void add_lines(struct excludes *excludes, const char *lines)
{
    cleanup_free char *copy = strdup(lines);
    char *rest = copy;

    while (rest)
        assert_int_equal(excludes_add(excludes, strsep(&rest, "\n")), 0);
}

/* A path that ends in '/' is a directory. */
static bool match(const struct excludes *excludes, const char *path)
{
    size_t length = strlen(path);
    bool is_directory = length > 0 && path[length - 1] == '/';

    /* of exactly its size, so that AddressSanitizer sees a byte too many */
    cleanup_free char *copy = (char *)exact_copy(path, length + 1);
    if (is_directory) {
        free(copy);
        copy = (char *)exact_copy(path, length);
        copy[length - 1] = '\0';
    }
    return excludes_match(excludes, copy, is_directory);
}

static bool is_excluded(const char *lines, const char *path)
{
    cleanup_excludes struct excludes *excludes = NULL;

    assert_int_equal(excludes_new(&excludes), 0);
    add_lines(excludes, lines);
    return match(excludes, path);
}

/* EXCLUDED and KEPT: paths, with a blank behind each. */
struct example {
    const char *lines, *excluded, *kept;
};

static void check_paths(const char *lines, const char *paths, bool expected)
{
    cleanup_free char *copy = strdup(paths);
    char *rest = *copy ? copy : NULL;

    while (rest) {
        const char *path = strsep(&rest, " ");
        if (is_excluded(lines, path) != expected)
            fail_msg("rules \"%s\": %s is %s", lines, path, expected ? "kept" : "excluded");
    }
}

static void check(const struct example examples[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_paths(examples[i].lines, examples[i].excluded, true);
        check_paths(examples[i].lines, examples[i].kept, false);
    }
}

static void test_lines(void **state)
{
    static const struct example examples[] = {
        {"", "", "a a/ a/b"},     {"# a\n#a\n\n", "", "a #a"},
        {"\\#a", "#a", "a \\#a"}, {"\\!a", "!a", "a"},
        {"!", "", "! a"},         {"!!a", "", "!a"},
        {" a", "", "a"},          {"a   ", "a", ""},
        {"a\t", "a\t", "a"},      {"a\\", "", "a a\\"},
        {"a\\/", "", "a/ a\\/"},  {"\\a\\b", "ab", "\\a\\b"},
        {"/", "", "a a/ a/b"},    {"//", "", "a a/ a/b"},
        {"   ", "", "a"},
    };

    check(examples, COUNT_OF(examples));
    assert_true(is_excluded("a\\ ", "a "));
    assert_true(is_excluded("a\\   ", "a "));
    assert_false(is_excluded("a\\   ", "a   "));
    assert_true(is_excluded("a b", "a b"));
    assert_false(is_excluded("a \\", "a"));
}

static void test_places(void **state)
{
    static const struct example examples[] = {
        {"a", "a a/ b/a b/a/ a/b b/a/c/d", "b ab ba b/c"},
        {"/a", "a a/ a/b", "b/a ab"},
        {"a/b", "a/b a/b/ a/b/c", "a/ b c/a/b a/bc a/c/b"},
        {"/a/b", "a/b", "c/a/b"},
        {"a/", "a/ b/a/ a/b", "a b/a"},
        {"/a/", "a/ a/b", "a b/a/"},
        {"a/b/", "a/b/ a/b/c", "a/b c/a/b/"},
        {"a//", "", "a a/ a/b"},
        {"a//b", "", "a/b"},
        {"*", "a a/ a/b", ""},
        {"/*", "a a/ a/b", ""},
        {"*/", "a/ a/b a/b/c", "a"},
        {"/*/", "a/ a/b", "a"},
        {"*/b", "a/b", "b a/c a/c/b"},
    };

    check(examples, COUNT_OF(examples));
}

static void test_order(void **state)
{
    static const struct example examples[] = {
        {"*.o\n!b.o", "a.o x/a.o", "b.o x/b.o"},
        {"!b.o\n*.o", "a.o b.o", ""},
        {"*.o\n!b.o\nb.*", "b.o", ""},
        /* what is in a directory that is excluded is not included again */
        {"d\n!d/a", "d/ d/a", ""},
        {"d/*\n!d/a", "d/b", "d/ d/a"},
        {"/*\n!/d\n/d/*\n!/d/e", "a d/a", "d/ d/e/ d/e/f"},
        {"!d/a\nd", "d/a", ""},
        {"*\n!*/", "a d/a", "d/ d/e/"},
        {"d/\n!d", "", "d/ d/a d"},
    };

    check(examples, COUNT_OF(examples));
}

static void test_stars(void **state)
{
    static const struct example examples[] = {
        {"a*", "a ab abc/ d/ab", "b ba"},
        {"*a", "a ba bba d/a", "b ab"},
        {"*a*b*", "ab xaxbx aab abb", "ba a b"},
        {"a?", "ab a? d/ab", "a abc"},
        {"/a*b", "ab axb", "a/b axbc"},
        {"/a?b", "axb", "ab a/b"},
        {"x/*", "x/a x/a/b", "x x/ y/x/a"},
        {"x/*/y", "x/a/y", "x/y x/a/b/y"},
        {"x*/y", "x/y xa/y", "x/a/y"},
        {"**", "a a/b", ""},
        {"/**", "a a/b", ""},
        {"**/", "a/ a/b", "a"},
        {"a**b", "ab axb x/ab", "a/b"},
        {"\\*", "*", "a **"},
        {"\\**", "* *a", "a"},
    };

    check(examples, COUNT_OF(examples));
}

static void test_directories(void **state)
{
    static const struct example examples[] = {
        {"**/a", "a x/a x/y/a x/a/y", "xa x/ya"},
        {"**/a/b", "a/b x/a/b x/y/a/b", "a/ b xa/b a/x/b"},
        {"a/**", "a/b a/b/c", "a a/ x/a/b"},
        {"a/**/", "a/b/ a/b/c", "a/ a/b"},
        {"a/**/b", "a/b a/x/b a/x/y/b", "b ab a/xb x/a/b"},
        {"**/a/**", "a/b x/a/b x/a/y/z", "a a/ x/a/ xa/b"},
        {"**/a/**/b", "a/b x/a/b a/x/b x/a/y/z/b", "a/ b x/b a/xb"},
        {"**/a*/b/**/c?/d", "a/b/c1/d x/a/a1/b/x/c1/c2/d", "a/b/d a/x/b/c1/d a/b/c/d"},
        {"**/a/*b*/**/c", "a/b/c x/a/a/b/x/c a/a/xbx/c", "a/c/b/c x/b/c"},
        {"***/a", "a x/a", ""},
        {"a/***/b", "a/b a/x/y/b", ""},
        {"**/**/a", "a x/a x/y/z/a", "xa"},
        {"/x?y/**/z", "xby/z", "x/y/z"},
        {"/x*y/**/z", "xy/z xby/a/z", "x/y/z xby"},
        /* not between slashes: stars like others */
        {"/a**/b", "a/b ax/b", "ab a/x/b ax/y/b axb"},
        {"a/b**/c", "a/b/c a/bx/c", "a/bc a/b/x/c"},
        {"/a**", "a ab a/b", "b"},
        {"/a**\n!/ab", "a a/", "ab/ ab/c"},
        {"x/**a", "x/a x/ba", "x/b/a"},
        /* an escaped slash: one directory at least */
        {"**\\/a", "x/a x/y/a", "a xa"},
        {"x/**\\/a", "x/y/a x/y/z/a", "x/a"},
    };

    check(examples, COUNT_OF(examples));
}

static void test_sets(void **state)
{
    static const struct example examples[] = {
        {"[ab]c", "ac bc", "c cc abc [ab]c"},
        {"[!ab]", "c ! ^ \xff", "a b"},
        {"[^ab]", "c ! ^ \xff", "a b"},
        {"[a!^]", "a ! ^", "b"},
        {"[]a]", "] a", "b []a]"},
        {"[!]a]", "b", "] a"},
        {"[a-c]", "a b c", "d - A"},
        {"[a-]", "a -", "b"},
        {"[-a]", "a -", "b"},
        {"[--0]", "- . 0", "a ,"},
        {"[a-c-e]", "a b c - e", "d"},
        {"[c-a]", "c", "a b -"},
        {"[a\\]b]", "a b ]", "\\ c"},
        {"[\\a-\\c]", "a b c", "\\ -"},
        {"[a-\\", "", "a \\ -"},
        {"[\\", "", "[ \\"},
        {"[\xc0-\xff]", "\xc0 \xe4 \xff", "a \x7f \xbf"},
        {"[!a]", "\x80", "\xc3\xa4"},
        {"[", "", "[ a"},
        {"[a", "", "[a a"},
        {"a[", "", "a a["},
        {"*[", "", "a ["},
        {"[]", "", "[] ]"},
        {"[!]", "", "a ! ]"},
        {"[!", "", "a !"},
        {"/x[a/b]y", "xay xby", "x/y x[a/b]y"},
        {"/x[/]y", "", "x/y x[/]y"},
        {"/x[!a]y", "xby", "x/y"},
        {"/x[.-0]y", "x.y x0y", "x/y"},
        {"/x[!a]y/**/z", "xby/z", "x/y/z"},
    };

    check(examples, COUNT_OF(examples));
}

static void test_classes(void **state)
{
    static const struct example examples[] = {
        {"[[:alpha:]]", "a Z", "0 _ \xe4"},
        {"[![:alpha:]]", "0 _ \xe4", "a Z"},
        {"[[:digit:]a-c]", "0 9 b", "d :"},
        {"[[:digit:]-a]", "0 - a", "A :"},
        {"[a[:digit:]-c]", "a 0 - c", "b"},
        {"[a[:nothing:]]", "", "a n a]"},
        {"[[:upper:][:digit:]]", "A 0", "a :"},
        {"[[:nothing:]]", "", "n : [ ] n] :]"},
        {"[[::]]", "", ": :] ["},
        {"[[:alpha:", "", "a [ :"},
        {"[[:alpha:]", "", "a [ : :]"},
        /* without ":]" no class */
        {"[[:]", "[ :", "] a"},
        {"[[:a]", "[ : a", "] b"},
        {"[[:alpha]", "[ : a l p h", "] b"},
        {"[:alpha:]", ": a l p h", "b ]"},
        {"[a-[:digit:]]", "a] d] :]", "0 a 0]"},
        {"[[.a.]]", "[] .] a]", "a"},
    };

    check(examples, COUNT_OF(examples));
    assert_true(is_excluded("[[:space:]]", " "));
    assert_true(is_excluded("[[:space:]]", "\r"));
    assert_false(is_excluded("[[:space:]]", "\v"));
    assert_false(is_excluded("[[:space:]]", "\f"));
}

static void test_every_byte(void **state)
{
    char path[] = "?", literal[] = "\\?", member[] = "[\\?]";

    for (unsigned byte = 1; byte < 256; byte++) {
        path[0] = literal[1] = member[2] = (char)byte;
        if (byte == '/' || byte == '\n') /* is_excluded takes a line feed for the line's end */
            continue;
        assert_true(is_excluded(literal, path));
        assert_true(is_excluded(member, path));
        assert_true(is_excluded("?", path));
        assert_true(is_excluded("[!\x01-\xff]\n[\x01-\xff]", path));
        assert_false(is_excluded("[!\x01-\xff]", path));
    }
}

static void test_root(void **state)
{
    static const char *const lines[] = {"*", "**", "/*", "/**", "*/", "[!a]", "", "!", "/", "**/"};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        cleanup_excludes struct excludes *excludes = NULL;
        assert_int_equal(excludes_new(&excludes), 0);
        assert_int_equal(excludes_add(excludes, lines[i]), 0);
        assert_false(excludes_match(excludes, "", true));
        assert_false(excludes_match_entry(excludes, "", true));
    }
}

static void test_entry(void **state)
{
    cleanup_excludes struct excludes *excludes = NULL;

    assert_int_equal(excludes_new(&excludes), 0);
    add_lines(excludes, "d\n*.o\nx/y/\n!a.o");
    assert_true(excludes_match_entry(excludes, "d", false));
    assert_true(excludes_match(excludes, "d/a", false));
    assert_false(excludes_match_entry(excludes, "d/a", false));
    assert_true(excludes_match_entry(excludes, "d/b.o", false));
    assert_false(excludes_match_entry(excludes, "d/a.o", false));
    assert_true(excludes_match_entry(excludes, "x/y", true));
    assert_false(excludes_match_entry(excludes, "x/y", false));
}

static void test_many_rules(void **state)
{
    enum { COUNT = 5000 };
    cleanup_excludes struct excludes *excludes = NULL;
    char text[16];

    assert_int_equal(excludes_new(&excludes), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, i % 3 == 0 ? "%u*" : "!%u", i);
        assert_int_equal(excludes_add(excludes, text), 0);
    }
    assert_true(match(excludes, "3"));
    assert_true(match(excludes, "31x"));
    assert_false(match(excludes, "31"));
    assert_true(match(excludes, "4998"));
    assert_false(match(excludes, "4999"));
}

/* TEXT, COUNT times, and END. */
static char *repeated(const char *text, size_t count, const char *end)
{
    char *bytes = malloc(strlen(text) * count + strlen(end) + 1), *at = bytes;

    if (!bytes)
        abort();
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, text);
    strcpy(at, end);
    return bytes;
}

/* Files of rules */

static char folder[] = "/tmp/zfec-fs-test-exclude-XXXXXX";
static char file[sizeof folder + 8];

static void write_rules(const char *bytes, size_t size)
{
    FILE *stream = fopen(file, "we");

    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static void check_file(const char *bytes, const char *excluded, const char *kept)
{
    cleanup_excludes struct excludes *excludes = NULL;

    write_rules(bytes, strlen(bytes));
    assert_int_equal(excludes_new(&excludes), 0);
    assert_int_equal(excludes_add_file(excludes, file), 0);
    if (excluded && !match(excludes, excluded))
        fail_msg("\"%s\": %s is kept", bytes, excluded);
    if (kept && match(excludes, kept))
        fail_msg("\"%s\": %s is excluded", bytes, kept);
}

static void test_file(void **state)
{
    check_file("", NULL, "a");
    check_file("\n", NULL, "a");
    check_file("a", "a", "b");
    check_file("a\n", "a", "a\n");
    check_file("a\nb", "b", "c");
    check_file("#a\n\nb\n!a\n", "b", "a");
}

static void test_line_ends(void **state)
{
    check_file("a\r\nb\r\n", "a", "a\r");
    check_file("a\r\nb\r\n", "b", "b\r");
    check_file("a\r", "a", "a\r");
    check_file("a\r\r\n", "a\r", "a");
    check_file("\r\n", NULL, "\r");
    check_file("a \r\n", "a", "a ");
    check_file("a\\ \r\n", "a ", "a");
    check_file("d/\r\n", "d/", "d");
    check_file("a\rb\n", "a\rb", "a");
}

static void test_byte_order_mark(void **state)
{
    check_file("\xef\xbb\xbf"
               "a\nb\n",
               "a",
               "\xef\xbb\xbf"
               "a");
    check_file("\xef\xbb\xbf#a\n", NULL, "#a");
    check_file("\xef\xbb\xbf", NULL, "\xef\xbb\xbf");
    check_file("\xef\xbb\xbf\r\n", NULL, "\r");
    check_file("b\n\xef\xbb\xbf"
               "a\n",
               "\xef\xbb\xbf"
               "a",
               "a");
    check_file("\xef\xbb\n", "\xef\xbb", "\xef");
}

static void test_long_lines(void **state)
{
    cleanup_free char *name = repeated("x", 300000, "");
    cleanup_free char *path = repeated("names/", 5000, "end");

    check_file(name, name, name + 1);
    check_file(path, path, path + strlen("names/"));
}

/* A file that cannot be used leaves the rules as they were. */
static void check_refusal(const char *path, int expected)
{
    cleanup_excludes struct excludes *excludes = NULL;

    assert_int_equal(excludes_new(&excludes), 0);
    add_lines(excludes, "a\nb");
    size_t before = bytes_in_use();
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_int_equal(excludes_add_file(excludes, path), expected);
    assert_true(bytes_in_use() < before + KEPT_MAX);
    assert_true(match(excludes, "a"));
    assert_true(match(excludes, "b"));
    assert_false(match(excludes, "c"));
}

static void test_refused_files(void **state)
{
    static const char utf16[] = "c\0\n\0", late[] = "c\n!a\nd\0e\n", last[] = "c\n!a\n\0";

    write_rules(utf16, sizeof utf16 - 1);
    check_refusal(file, -EINVAL);
    write_rules(late, sizeof late - 1);
    check_refusal(file, -EINVAL);
    write_rules(last, sizeof last - 1);
    check_refusal(file, -EINVAL);
    check_refusal(folder, -EISDIR);
    check_refusal("/tmp/zfec-fs-test-exclude-no/file", -ENOENT);
    check_refusal("/dev/null/file", -ENOTDIR);
}

static void test_pipe(void **state)
{
    cleanup_excludes struct excludes *excludes = NULL;
    char path[64];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a\nb", 3), 3);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(excludes_new(&excludes), 0);
    assert_int_equal(excludes_add_file(excludes, path), 0);
    close(ends[0]);
    assert_true(match(excludes, "a"));
    assert_true(match(excludes, "b"));
}

/* What would not end where all were tried with all; support_set_up ends a program that hangs. */

static void check_repeated(const char *pattern, const char *pattern_end, const char *path)
{
    cleanup_free char *hit = repeated(path, 2000, pattern_end);
    cleanup_free char *miss = repeated(path, 2000, "-");

    for (size_t count = 1; count <= 256; count *= 4) {
        cleanup_free char *line = repeated(pattern, count, pattern_end);
        assert_true(is_excluded(line, hit));
        assert_false(is_excluded(line, miss));
    }
}

static void test_hostile_names(void **state)
{
    check_repeated("*a", "b", "a");
    check_repeated("*[a-c]", "d", "a");
    check_repeated("*?", "b", "a");
    check_repeated("**a", "b", "a");
    check_repeated("*a*", "b", "aa");
}

static void test_hostile_paths(void **state)
{
    check_repeated("**/", "b", "a/");
    check_repeated("**/a/", "b", "a/");
    check_repeated("**/*a*/", "b", "aaa/");
    check_repeated("**/*/", "b", "a/");
    check_repeated("*/**/", "b", "a/");
    check_repeated("**/*a*a*/**/?*/", "b", "aaaa/");
}

/* The longest paths there are, of the most directories, with rules that look at all of them. */
static void test_long_paths(void **state)
{
    enum { COUNT = 30000 };
    cleanup_excludes struct excludes *excludes = NULL;
    cleanup_free char *deep = repeated("a/", COUNT, "z");
    cleanup_free char *wide = repeated("a", 2 * COUNT, "");

    assert_int_equal(excludes_new(&excludes), 0);
    add_lines(excludes, "*b\n**/b\n**/a/b\na/**/b\n*a*b*\n*a*a*a*a*b\n/a/*/**/b\n[!a-z]*");
    assert_false(match(excludes, deep));
    assert_false(match(excludes, wide));
    add_lines(excludes, "**/z");
    assert_true(match(excludes, deep));
    deep[2 * COUNT] = 'y';
    assert_false(match(excludes, deep));
}

/* Patterns and paths of the bytes that mean something: no crash, and no byte read too many. */
static void test_random(void **state)
{
    static const char bytes[] = "**//[]!^-\\:ab[:alpha:]?# ";
    char pattern[24], path[24];

    for (unsigned i = 0; i < 200000; i++) {
        size_t length = random_below(sizeof pattern);
        for (size_t j = 0; j < length; j++)
            pattern[j] = bytes[random_below(sizeof bytes - 1)];
        pattern[length] = '\0';
        for (size_t j = 0; j < sizeof path - 1; j++)
            path[j] = "ab/]-:"[random_below(6)];
        path[random_between(1, sizeof path - 1)] = '\0';
        cleanup_free char *line = (char *)exact_copy(pattern, length + 1);
        is_excluded(line, path);
    }
}

/* From many threads at once. */
static void match_often(void *shared, unsigned number)
{
    const struct excludes *excludes = shared;

    for (unsigned i = 0; i < 20000; i++) {
        if (excludes_match(excludes, "x/aab/y", false) ||
            !excludes_match(excludes, "x/aac/y", false))
            abort();
    }
}

static void test_threads(void **state)
{
    cleanup_excludes struct excludes *excludes = NULL;

    assert_int_equal(excludes_new(&excludes), 0);
    add_lines(excludes, "**/a*\n!*[[:alpha:]]b");
    in_threads(8, match_often, excludes);
}

static void test_memory(void **state)
{
    size_t at_first = bytes_in_use();

    for (unsigned i = 0; i < ROUNDS; i++) {
        cleanup_excludes struct excludes *excludes = NULL;
        assert_int_equal(excludes_new(&excludes), 0);
        add_lines(excludes, "**/a*\n!*[[:alpha:]]b\n[\n/x/**/y");
        size_t before = bytes_in_use();
        assert_false(excludes_match(excludes, "z/aab/y/z", false));
        assert_int_equal(bytes_in_use(), before);
    }
    assert_true(bytes_in_use() < at_first + KEPT_MAX);
    excludes_free(NULL);
}

static int set_up(void **state)
{
    support_set_up(state);
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/rules", folder);
    return 0;
}

static int tear_down(void **state)
{
    unlink(file);
    return rmdir(folder);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_places),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_stars),
        cmocka_unit_test(test_directories),   cmocka_unit_test(test_sets),
        cmocka_unit_test(test_classes),       cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_root),          cmocka_unit_test(test_entry),
        cmocka_unit_test(test_many_rules),    cmocka_unit_test(test_file),
        cmocka_unit_test(test_line_ends),     cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_long_lines),    cmocka_unit_test(test_refused_files),
        cmocka_unit_test(test_pipe),          cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_hostile_paths), cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_random),        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests_name("exclude", tests, set_up, tear_down);
}
