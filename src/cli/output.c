/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "cli/background.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static struct {
    pthread_mutex_t lock;
    bool quiet, json, colours, progress;
    unsigned lines; /* of progress on the terminal */
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Call with the lock held. The next output then starts on an empty line. */
static void clear_line(void)
{
    for (; output.lines > 0; output.lines--)
        fputs(output.lines > 1 ? "\r\033[K\033[A" : "\r\033[K", stderr);
}

static void before_log(void)
{
    HOLD(&output.lock);
    clear_line();
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
        log_limit(LOG_LEVEL_ERROR); /* problems of stores are the result itself */
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
    HOLD(&output.lock);
    clear_line();
    printf("%s%s%s\n", coloured ? codes[colour] : "", shown ? shown : text,
           coloured ? "\033[0m" : "");
}

void draft_add(struct draft *text, const char *format, ...)
{
    va_list arguments;

    if (!text->out && !text->failed)
        text->out = open_memstream(&text->bytes, &text->size);
    text->failed |= !text->out;
    if (text->failed)
        return;
    va_start(arguments, format);
    vfprintf(text->out, format, arguments);
    va_end(arguments);
}

const char *const metadata_words[METADATA_PARTS] = {"owner", "attributes", "mode", "time"};

void draft_add_metadata(struct draft *text, unsigned parts)
{
    const char *between = "";

    for (size_t i = 0; i < METADATA_PARTS; i++) {
        if (parts & 1u << i) {
            draft_add(text, "%s%s", between, metadata_words[i]);
            between = ", ";
        }
    }
}

char *draft_take(struct draft *text)
{
    draft_add(text, "%s", "");
    text->failed |= text->out && fclose(text->out) != 0;
    if (text->failed)
        free(text->bytes);
    return text->failed ? NULL : text->bytes;
}

void output_draft(enum colour colour, struct draft *text)
{
    cleanup_free char *line = draft_take(text);

    if (line)
        output_text(colour, "%s", line);
}

void output_json(const char *type, json_t *object)
{
    json_t *whole = json_pack("{s:s}", "message_type", type);

    if (output.json && whole && object && json_object_update(whole, object) == 0) {
        HOLD(&output.lock);
        clear_line();
        json_dumpf(whole, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
    }
    json_decref(whole);
    json_decref(object);
}

static json_t *base64(const char *path)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(path);
    cleanup_free char *text = calloc(1, (length + 2) / 3 * 4 + 1);

    for (size_t i = 0, at = 0; text && i < length; i += 3) {
        size_t count = length - i < 3 ? length - i : 3;
        unsigned three = 0;
        for (size_t j = 0; j < 3; j++)
            three = three << 8 | (j < count ? (unsigned char)path[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            text[at++] = (char)(j <= count ? digits[three >> (18 - 6 * j) & 63] : '=');
    }
    return text ? json_string(text) : NULL;
}

void output_json_path(json_t *object, const char *key, const char *path)
{
    cleanup_free char *base64_key = NULL, *replaced = NULL;

    if (json_object_set_new(object, key, json_string(path)) == 0)
        return;
    /* It is not UTF-8. */
    replaced = strdup(path);
    for (char *at = replaced; at && *at; at++)
        *at = (char)((unsigned char)*at < 0x80 ? *at : '?');
    json_object_set_new(object, key, replaced ? json_string(replaced) : NULL);
    if (asprintf(&base64_key, "%s_base64", key) >= 0)
        json_object_set_new(object, base64_key, base64(path));
}

json_t *json_ranges(const struct damage *damage, bool wanted)
{
    json_t *ranges = damage->count > 0 || wanted ? json_array() : NULL;

    for (size_t i = 0; i < damage->count; i++)
        json_array_append_new(ranges, json_pack("[I,I]", (json_int_t)damage->ranges[i].first,
                                                (json_int_t)damage->ranges[i].last));
    return ranges;
}

void output_progress(const char *lines, bool always)
{
    cleanup_free char *text = strdup(lines);
    struct winsize size = {0};
    char *rest = text;

    if (!text || (!output.progress && !always))
        return;
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    const size_t columns = size.ws_col > 1 ? size.ws_col - 1u : 79;
    const size_t most = size.ws_row > 1 ? size.ws_row - 1u : 23;
    HOLD(&output.lock);
    clear_line();
    for (const char *line; (always || output.lines < most) && (line = strsep(&rest, "\n"));) {
        cleanup_free char *shown = log_escape(line);
        size_t left = columns;
        if (!shown)
            continue;
        if (always) {
            fprintf(stderr, "%s\n", shown);
            continue;
        }
        if (output.lines++ > 0)
            putc('\n', stderr);
        for (const char *at = shown; *at; at++) {
            if (((unsigned char)*at & 0xc0) != 0x80 && left-- == 0)
                break; /* UTF-8: a column ends where a character begins */
            putc(*at, stderr);
        }
    }
}

const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
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

enum { STEP_NS = 200 * 1000 * 1000, SHOWN_AFTER_S = 1 };

/* The part that must be done before the remaining time is shown. */
static const double KNOWN_FROM = 0.01;

double meter_seconds(const struct meter *meter)
{
    return clock_seconds() - meter->started;
}

/* Adds "12,345 of 50,000 files"; the total only if it is known, and by now it may be larger. */
static void draft_files(struct draft *text, const struct progress *progress)
{
    uint64_t files = atomic_load(&progress->files), all = atomic_load(&progress->all_files);

    if (all > 0 && all < files)
        all = files;
    draft_add(text, "%s", show_count(files).text);
    if (all > 0)
        draft_add(text, " of %s", show_count(all).text);
    draft_add(text, " file%s", plural(all > 0 ? all : files));
}

/* "encode: 12,345 of 50,000 files, 1.2 of 4.5 GB, 27 %, 180 MB/s, 0:12 left, some/path" */
static void show_progress(struct meter *meter, bool always)
{
    struct progress *progress = &meter->progress;
    uint64_t files = atomic_load(&progress->files);
    uint64_t bytes = atomic_load(&progress->bytes) + atomic_load(&progress->ahead);
    uint64_t all_files = atomic_load(&progress->all_files);
    uint64_t all_bytes = atomic_load(&progress->all_bytes);
    double seconds = meter_seconds(meter);
    char path[sizeof progress->path];
    struct draft text = {0};

    pthread_mutex_lock(&progress->lock);
    memcpy(path, progress->path, sizeof path);
    pthread_mutex_unlock(&progress->lock);
    /* A file costs about as much as 100 kB. */
    double all = (double)all_bytes + 1e5 * (double)all_files;
    double done = all > 0 ? fmin(((double)bytes + 1e5 * (double)files) / all, 1) : 0;
    draft_add(&text, "%s: ", meter->name);
    if (files == 0 && bytes == 0) {
        draft_add(&text, "found %s file%s, %s", show_count(all_files).text, plural(all_files),
                  show_bytes(all_bytes).text);
    } else {
        draft_files(&text, progress);
        draft_add(&text, ", %s, %s/s", show_bytes(bytes).text,
                  show_bytes((uint64_t)((double)bytes / (seconds > 0 ? seconds : 1))).text);
    }
    if (done >= KNOWN_FROM)
        draft_add(&text, ", %.0f %%, %s left", 100 * done,
                  show_time(seconds / done - seconds).text);
    draft_add(&text, "  %s", path);
    cleanup_free char *line = draft_take(&text);
    cleanup_free char *shown = line ? log_escape(line) : NULL;
    if (shown) /* a path may contain a newline */
        output_progress(shown, always);
}

static void *watch(void *opaque)
{
    const struct timespec step = {.tv_nsec = STEP_NS};
    struct meter *meter = opaque;
    sigset_t signals;

    background_signals(&signals);
    while (!atomic_load(&meter->ended)) {
        int number = sigtimedwait(&signals, NULL, &step);
        if (atomic_load(&meter->ended))
            break;
        if (number == background_signal(SIGUSR1)) {
            show_progress(meter, !output_has_progress());
        } else if (number > 0) {
            struct draft files = {0};
            atomic_store(&meter->progress.stop, true);
            draft_files(&files, &meter->progress);
            cleanup_free char *done = draft_take(&files);
            log_error("%s: stopping at %s; %s", meter->name, done ? done : "once",
                      meter->after_stop);
        } else if (meter_seconds(meter) > SHOWN_AFTER_S && output_has_progress()) {
            show_progress(meter, false);
        }
    }
    return NULL;
}

int meter_start(struct meter *meter, const char *name, const char *after_stop)
{
    sigset_t signals;

    meter->progress = NO_PROGRESS;
    meter->name = name;
    meter->after_stop = after_stop;
    meter->started = clock_seconds();
    atomic_init(&meter->ended, false);
    background_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int r = -pthread_create(&meter->thread, NULL, watch, meter);
    return r < 0 ? log_errno(r, "%s", name) : 0;
}

void meter_stop(struct meter *meter)
{
    atomic_store(&meter->ended, true);
    pthread_kill(meter->thread, background_signal(SIGUSR1)); /* wakes it */
    pthread_join(meter->thread, NULL);
}
