/* SPDX-License-Identifier: MIT */
/*
 * Standard error is a socket that keeps each write apart: a line is to be one write, so that the
 * lines of several threads, and processes, cannot mix.
 */
#include "support.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int standard_error, ends[2];
    char text[16384]; /* of the last write */
} captured;

static void capture(void)
{
    captured.standard_error = dup(STDERR_FILENO);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, captured.ends), 0);
    dup2(captured.ends[1], STDERR_FILENO);
}

/* Puts standard error back, so that what cmocka has to say of a failure is seen. */
static void release(void)
{
    dup2(captured.standard_error, STDERR_FILENO);
    close(captured.standard_error);
    close(captured.ends[1]);
}

/* The next write that was captured, without its end of line; NULL where there is none. */
static const char *next_line(void)
{
    ssize_t size = recv(captured.ends[0], captured.text, sizeof captured.text - 1, MSG_DONTWAIT);

    if (size <= 0) {
        close(captured.ends[0]);
        return NULL;
    }
    captured.text[size] = '\0';
    assert_int_equal(strlen(captured.text), size);
    assert_int_equal(captured.text[size - 1], '\n');
    captured.text[size - 1] = '\0';
    assert_null(strchr(captured.text, '\n'));
    return captured.text;
}

static void assert_logged(const char *expected)
{
    const char *line = next_line();

    assert_non_null(line);
    assert_string_equal(line, expected);
}

static void assert_no_more(void)
{
    assert_null(next_line());
}

static void test_message(void **state)
{
    capture();
    log_error("file %s has %d shares", "a/b", 2);
    log_warning("%%");
    log_error("%s", "");
    release();
    assert_logged("zfec-fs: file a/b has 2 shares");
    assert_logged("zfec-fs: %");
    assert_logged("zfec-fs: ");
    assert_no_more();
}

static void log_all_levels(void)
{
    log_error("error");
    log_warning("warning");
    log_info("information");
}

static void test_limit(void **state)
{
    capture();
    log_all_levels();
    log_limit(LOG_LEVEL_ERROR);
    log_all_levels();
    log_limit(LOG_LEVEL_INFO);
    log_all_levels();
    log_limit(LOG_LEVEL_WARNING);
    release();
    assert_logged("zfec-fs: error");
    assert_logged("zfec-fs: warning");
    assert_logged("zfec-fs: error");
    assert_logged("zfec-fs: error");
    assert_logged("zfec-fs: warning");
    assert_logged("zfec-fs: information");
    assert_no_more();
}

static void test_control_characters(void **state)
{
    capture();
    log_error("a\nzfec-fs: forged\r\t%s|", "\x1b[2J\x7f\x01\x1f");
    release();
    assert_logged("zfec-fs: a\\x0azfec-fs: forged\\x0d\\x09\\x1b[2J\\x7f\\x01\\x1f|");
    assert_no_more();
}

static void test_other_bytes(void **state)
{
    char all[256] = {0}, expected[1100] = "zfec-fs: ";

    for (unsigned byte = 1; byte < 256; byte++) {
        all[byte - 1] = (char)byte;
        size_t at = strlen(expected);
        /* In this order no bytes above ASCII are UTF-8. */
        bool shown = byte >= 0x20 && byte < 0x7f;
        snprintf(expected + at, sizeof expected - at, shown ? "%c" : "\\x%02x", byte);
    }
    capture();
    log_error("%s", all);
    release();
    assert_logged(expected);
    assert_no_more();
}

static void test_utf8(void **state)
{
    capture();
    log_error("%s", "\u00e9 \u2026 \U0001f600 \u00a0 next\xc2\x85line \xc3( \xe2\x82");
    release();
    assert_logged("zfec-fs: \u00e9 \u2026 \U0001f600 \u00a0 next\\xc2\\x85line \\xc3( \\xe2\\x82");
    assert_no_more();
}

/* The first and the last of each length are shown; what is next to them is none. */
static void test_limits_of_utf8(void **state)
{
    capture();
    log_error("%s", "\u0800 \ud7ff \ue000 \U00010000 \U0010ffff");
    log_error("%s", "\xc1\xbf \xe0\x9f\xbf \xed\xa0\x80 \xf0\x8f\xbf\xbf \xf4\x90\x80\x80");
    release();
    assert_logged("zfec-fs: \u0800 \ud7ff \ue000 \U00010000 \U0010ffff");
    assert_logged("zfec-fs: \\xc1\\xbf \\xe0\\x9f\\xbf \\xed\\xa0\\x80 \\xf0\\x8f\\xbf\\xbf "
                  "\\xf4\\x90\\x80\\x80");
    assert_no_more();
}

/* LENGTH times BYTE; the caller frees it. */
static char *long_text(size_t length, char byte)
{
    char *text = (char *)exact_bytes(length + 1);

    memset(text, byte, length);
    text[length] = '\0';
    return text;
}

/* A path of PATH_MAX bytes fits, what is much longer is cut, at an escape's border. */
static void test_long_lines(void **state)
{
    cleanup_free char *fits = long_text(4096, 'p'), *longer = long_text(100000, 'q');
    cleanup_free char *escapes = long_text(100000, '\n');

    capture();
    log_error("%s: no", fits);
    log_error("%s: no", longer);
    log_error("%s: no", escapes);
    log_error("%s: %s", fits, escapes);
    release();
    const char *line = next_line();
    assert_int_equal(strlen(line), strlen("zfec-fs: : no") + 4096);
    assert_string_equal(line + strlen(line) - 4, ": no");
    line = next_line();
    assert_in_range(strlen(line), 4096 + 100, 8192);
    assert_int_equal(strspn(line + strlen("zfec-fs: "), "q"), strlen(line) - strlen("zfec-fs: "));
    line = next_line();
    assert_in_range(strlen(line), 4096 + 100, 8192);
    assert_int_equal((strlen(line) - strlen("zfec-fs: ")) % strlen("\\x0a"), 0);
    line = next_line();
    assert_in_range(strlen(line), 4096 + 100, 8192);
    assert_no_more();
}

/* Every length about where lines are cut, with a character at the end that grows to four. */
static void test_border(void **state)
{
    for (size_t length = 5000; length < 5200; length++) {
        cleanup_free char *text = long_text(length, 'x');
        text[length - 1] = '\x01';
        capture();
        log_error("%s", text);
        errno = 0;
        assert_int_equal(log_errno(-ENOENT, "%s", text), -ENOENT);
        release();
        assert_non_null(next_line());
        assert_non_null(next_line());
        assert_no_more();
    }
}

static void test_errno(void **state)
{
    capture();
    int missing = log_errno(-ENOENT, "store %s", "b\n");
    log_limit(LOG_LEVEL_ERROR);
    int damaged = log_errno(-EBADMSG, "%d", 5);
    log_limit(LOG_LEVEL_WARNING);
    release();
    assert_int_equal(missing, -ENOENT);
    assert_int_equal(damaged, -EBADMSG);
    assert_logged("zfec-fs: store b\\x0a: No such file or directory");
    assert_logged("zfec-fs: 5: Bad message");
    assert_no_more();
}

static void test_once(void **state)
{
    capture();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned line = 0; line < 100; line++)
            log_once("line %u", line);
    }
    log_once("line 1\n");
    log_once("line %s", "1\n");
    release();
    for (unsigned line = 0; line < 100; line++) {
        char expected[32];
        snprintf(expected, sizeof expected, "zfec-fs: line %u", line);
        assert_logged(expected);
    }
    assert_logged("zfec-fs: line 1\\x0a");
    assert_no_more();
}

/* What was dropped was not logged: it is news when warnings are asked for. */
static void test_once_and_limit(void **state)
{
    capture();
    log_limit(LOG_LEVEL_ERROR);
    log_once("unheard of");
    log_limit(LOG_LEVEL_WARNING);
    log_once("unheard of");
    release();
    assert_logged("zfec-fs: unheard of");
    assert_no_more();
}

/* Only what was logged lately is remembered, in bounded memory. */
static void test_once_in_a_while(void **state)
{
    unsigned lines = 0;

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned line = 0; line < 20000; line++) {
            capture();
            log_once("another line %u", line);
            release();
            while (next_line())
                lines++;
        }
    }
    assert_int_equal(lines, 40000);
}

static void log_same_line(void *shared, unsigned number)
{
    for (unsigned round = 0; round < 100; round++)
        log_once("the same line in all threads");
}

static void test_once_in_threads(void **state)
{
    capture();
    in_threads(8, log_same_line, NULL);
    release();
    assert_logged("zfec-fs: the same line in all threads");
    assert_no_more();
}

static void log_own_lines(void *shared, unsigned number)
{
    cleanup_free char *text = long_text(3000, (char)('a' + number));

    for (unsigned round = 0; round < 200; round++)
        log_error("%s", text);
}

struct reader {
    unsigned lines, mixed;
};

/* Thread 0 reads what the others log. */
static void log_or_read(void *shared, unsigned number)
{
    struct reader *reader = shared;
    char line[8192];

    if (number > 0) {
        log_own_lines(NULL, number);
        return;
    }
    for (reader->lines = 0; reader->lines < 4 * 200; reader->lines++) {
        ssize_t size = recv(captured.ends[0], line, sizeof line - 1, 0);
        line[size < 0 ? 0 : size] = '\0';
        const char *text = line + strlen("zfec-fs: ");
        reader->mixed += size != 3010 || strspn(text, (char[]){text[0], '\0'}) != 3000;
    }
}

static void test_threads(void **state)
{
    struct reader reader = {0};

    capture();
    in_threads(5, log_or_read, &reader);
    release();
    assert_int_equal(reader.lines, 800);
    assert_int_equal(reader.mixed, 0);
    assert_no_more();
}

/* There is no way back from it: the last test. */
static void test_syslog(void **state)
{
    capture();
    log_to_syslog();
    log_error("a line of zfec-fs's unit tests");
    int error = log_errno(-EIO, "a line of zfec-fs's unit tests");
    release();
    assert_int_equal(error, -EIO);
    assert_no_more();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_other_bytes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_limits_of_utf8),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_border),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_once_and_limit),
        cmocka_unit_test(test_once_in_a_while),
        cmocka_unit_test(test_once_in_threads),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_syslog),
    };

    return cmocka_run_group_tests_name("log", tests, support_set_up, NULL);
}
