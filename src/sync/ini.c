/* SPDX-License-Identifier: MIT */
#include "sync/ini.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LINE_MAX_SIZE = 8192,
    SECTION_MAX = 49, /* inih cuts longer ones off */
};

struct reading {
    FILE *file;
    struct ini_place place;
    char section[SECTION_MAX + 1];
    bool is_empty; /* the section, until now */
    int result;
    ini_take *take;
    void *context;
};

int ini_refuse(const struct ini_place *place, const char *format, ...)
{
    cleanup_free char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    log_error("%s:%u: %s", place->path, place->line, length < 0 ? format : text);
    return -EINVAL;
}

/* inih does not tell of a section without keys; that its name is whole is for us to see, too. */
static int begin_section(struct reading *reading, const char *line)
{
    size_t length = strcspn(line + 1, "]");

    if (line[1 + length] != ']')
        return ini_refuse(&reading->place, "this section has no \"]\" at its end");
    if (length > SECTION_MAX)
        return ini_refuse(&reading->place, "give a name of at most %d bytes", SECTION_MAX);
    if (reading->is_empty) {
        const struct ini_place before = {reading->place.path, NULL, 0, reading->place.section_line};
        return ini_refuse(&before, "[%s] has no keys; write some, or leave it out",
                          reading->section);
    }
    memcpy(reading->section, line + 1, length);
    reading->section[length] = '\0';
    reading->place.section_line = reading->place.line;
    reading->is_empty = true;
    return 0;
}

/* As fgets(3); counts lines, which Debian's inih does not tell. */
static char *next_line(char *line, int size, void *opaque)
{
    struct reading *reading = opaque;

    if (reading->result < 0 || !fgets(line, size, reading->file))
        return NULL;
    reading->place.line++;
    size_t length = strlen(line);
    if (length + 1 == (size_t)size && line[length - 1] != '\n')
        reading->result =
            ini_refuse(&reading->place, "give a line of less than %d bytes, without NUL", size - 2);
    const char *text = line + strspn(line, " \t\r\n\v\f");
    if (reading->result == 0 && *text == '[')
        reading->result = begin_section(reading, text);
    return reading->result < 0 ? NULL : line;
}

static int take_key(void *opaque, const char *section, const char *key, const char *value)
{
    struct reading *reading = opaque;

    reading->is_empty = false;
    reading->place.section = section;
    if (reading->place.section_line == 0)
        reading->result = ini_refuse(&reading->place, "%s: write a [section] before it", key);
    else
        reading->result = reading->take(reading->context, &reading->place, key, value);
    return reading->result == 0;
}

/* So that a ; or a # in a path or a pattern is one. */
static void set_up_library(void)
{
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    ini_use_stack = false;
    ini_max_line = LINE_MAX_SIZE;
    ini_initial_alloc = LINE_MAX_SIZE;
}

static int parse(struct reading *reading)
{
    set_up_library();
    int wrong = ini_parse_stream(next_line, reading, take_key, reading);
    if (reading->result < 0)
        return reading->result;
    if (ferror(reading->file))
        return log_errno(-EIO, "%s", reading->place.path);
    if (wrong < 0)
        return -ENOMEM;
    reading->place.line = wrong > 0 ? (unsigned)wrong : reading->place.section_line;
    if (wrong > 0)
        return ini_refuse(&reading->place, "write key = value, or [SET], or [SET/NODE]");
    if (reading->is_empty)
        return ini_refuse(&reading->place, "[%s] has no keys; write some, or leave it out",
                          reading->section);
    return 0;
}

/* Not what may have no end, or no beginning: a FIFO, a device. */
static int open_file(const char *path, FILE **ret)
{
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return log_errno(-errno, "%s", path);
    if (!S_ISREG(status.st_mode)) {
        log_error("%s: is not a file; give the path of one", path);
        return -EINVAL;
    }
    *ret = fdopen(fd, "r");
    if (!*ret)
        return log_errno(-errno, "%s", path);
    steal_fd(&fd);
    return 0;
}

int ini_read(const char *path, ini_take *take, void *context)
{
    struct reading reading = {.place.path = path, .take = take, .context = context};

    int r = open_file(path, &reading.file);
    if (r < 0)
        return r;
    r = parse(&reading);
    fclose(reading.file);
    return r;
}
