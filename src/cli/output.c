/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include "base/array.h"
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static struct {
    pthread_mutex_t lock;
    bool quiet, json, colours, progress;
    unsigned lines; /* on the terminal, about progress */
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The lock is held. What is shown next begins on an empty line. */
static void clear_line(void)
{
    for (; output.lines > 0; output.lines--)
        fputs(output.lines > 1 ? "\r\033[K\033[A" : "\r\033[K", stderr);
}

static void before_log(void)
{
    pthread_mutex_lock(&output.lock);
    clear_line();
    pthread_mutex_unlock(&output.lock);
}

int output_begin(const struct options *options)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool capable = !terminal || strcmp(terminal, "dumb") != 0;

    output.quiet = options->quiet;
    output.json = options->json;
    output.progress = !options->quiet && isatty(STDERR_FILENO) && capable;
    output.colours = !(no_colour && *no_colour) && isatty(STDOUT_FILENO) && capable;
    if (options->verbose)
        log_limit(LOG_LEVEL_INFO);
    else if (options->quiet || options->command & (COMMAND_CHECK | COMMAND_REPAIR))
        log_limit(LOG_LEVEL_ERROR); /* what is wrong with stores is their result */
    log_before(before_log);
    return options->log_file ? log_to_file(options->log_file) : 0;
}

int output_end(void)
{
    before_log();
    log_before(NULL);
    if (fflush(stdout) != 0 || ferror(stdout))
        return log_errno(-errno, "standard output");
    return 0;
}

bool output_is_json(void)
{
    return output.json;
}

bool output_has_progress(void)
{
    return output.progress;
}

void output_text(enum colour colour, const char *format, ...)
{
    static const char *const codes[] = {"", "\033[32m", "\033[33m", "\033[31m"};
    bool coloured = output.colours && colour != COLOUR_NONE;
    va_list arguments;

    if (output.json || output.quiet)
        return;
    va_start(arguments, format);
    cleanup_free char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    cleanup_free char *shown = log_escape(text);
    pthread_mutex_lock(&output.lock);
    clear_line();
    printf("%s%s%s\n", coloured ? codes[colour] : "", shown ? shown : text,
           coloured ? "\033[0m" : "");
    pthread_mutex_unlock(&output.lock);
}

void output_json(const char *type, json_t *object)
{
    json_t *whole = json_pack("{s:s}", "message_type", type);

    if (output.json && whole && object && json_object_update(whole, object) == 0) {
        pthread_mutex_lock(&output.lock);
        clear_line();
        json_dumpf(whole, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        pthread_mutex_unlock(&output.lock);
    }
    json_decref(whole);
    json_decref(object);
}

/* PATH with '?' for each byte that is not ASCII. */
static json_t *replaced(const char *path)
{
    cleanup_free char *text = strdup(path);

    for (char *at = text; at && *at; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    return text ? json_string(text) : NULL;
}

/* Returns PATH in base64, or NULL without memory; the caller frees it. */
static char *base64(const char *path)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)path;
    size_t length = strlen(path);
    char *ret = calloc(1, (length + 2) / 3 * 4 + 1), *end = ret;

    for (size_t i = 0; ret && i < length; i += 3) {
        size_t left = length - i;
        unsigned three = (unsigned)bytes[i] << 16;
        three |= left > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
        three |= left > 2 ? bytes[i + 2] : 0;
        *end++ = digits[three >> 18];
        *end++ = digits[three >> 12 & 63];
        *end++ = (char)(left > 1 ? digits[three >> 6 & 63] : '=');
        *end++ = (char)(left > 2 ? digits[three & 63] : '=');
    }
    return ret;
}

void output_json_path(json_t *object, const char *key, const char *path)
{
    json_t *value = json_string(path); /* NULL where it is not UTF-8 */
    cleanup_free char *base64_key = NULL, *encoded = NULL;

    if (!value) {
        value = replaced(path);
        encoded = base64(path);
        if (encoded && asprintf(&base64_key, "%s_base64", key) >= 0)
            json_object_set_new(object, base64_key, json_string(encoded));
    }
    json_object_set_new(object, key, value);
}

/* How many columns and lines what is about progress may have. */
static void room(size_t *ret_columns, size_t *ret_lines)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;

    *ret_columns = known && size.ws_col > 1 ? size.ws_col - 1u : 79;
    *ret_lines = known && size.ws_row > 1 ? size.ws_row - 1u : 23;
}

/* How many bytes of TEXT, which is UTF-8 or escaped, fit so many columns. */
static int fitting(const char *text, size_t columns)
{
    size_t at = 0;

    for (; text[at]; at++) {
        if (((unsigned char)text[at] & 0xc0) != 0x80 && columns-- == 0)
            break;
    }
    return (int)at;
}

/* The lock is held. */
static void put_line(const char *line, bool always, size_t columns)
{
    cleanup_free char *shown = log_escape(line);

    if (!shown)
        return;
    if (always)
        fprintf(stderr, "%s\n", shown);
    else
        fprintf(stderr, "%s%.*s", output.lines++ > 0 ? "\n" : "", fitting(shown, columns), shown);
}

void output_progress_lines(const char *lines, bool always)
{
    cleanup_free char *text = strdup(lines);
    size_t columns, most;
    char *rest = text;

    if (!text || (!output.progress && !always))
        return;
    room(&columns, &most);
    pthread_mutex_lock(&output.lock);
    clear_line();
    for (const char *line; (always || output.lines < most) && (line = strsep(&rest, "\n"));)
        put_line(line, always, columns);
    pthread_mutex_unlock(&output.lock);
}

void output_progress(const char *line, bool always)
{
    if (!output.progress && !always)
        return;
    size_t columns, most;
    room(&columns, &most);
    pthread_mutex_lock(&output.lock);
    clear_line();
    put_line(line, always, columns);
    pthread_mutex_unlock(&output.lock);
}

struct shown show_bytes(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double number = (double)bytes;
    struct shown ret = {""};
    size_t unit = 0;

    for (; number >= 999.95 && unit + 1 < COUNT_OF(units); unit++)
        number /= 1000;
    snprintf(ret.text, sizeof ret.text, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
    return ret;
}

struct shown show_count(uint64_t number)
{
    char digits[24];
    struct shown ret = {""};
    size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *end = ret.text;

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *end++ = ',';
        *end++ = digits[i];
    }
    *end = '\0';
    return ret;
}

struct shown show_time(double seconds)
{
    unsigned long whole = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;
    struct shown ret = {""};

    if (whole >= 3600)
        snprintf(ret.text, sizeof ret.text, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60,
                 whole % 60);
    else
        snprintf(ret.text, sizeof ret.text, "%lu:%02lu", whole / 60, whole % 60);
    return ret;
}
