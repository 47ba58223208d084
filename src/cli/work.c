/* SPDX-License-Identifier: MIT */
#include "cli/work.h"

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"
#include "base/thread.h"
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum {
    OF_STORES = COMMAND_DECODE | COMMAND_CHECK | COMMAND_REPAIR,
    OF_ENCODING = COMMAND_ENCODE | COMMAND_BENCH,
    OF_SHARES = OF_STORES | OF_ENCODING | COMMAND_INFO,
    ALL = OF_SHARES | COMMAND_SYNC,
    WRITERS = COMMAND_ENCODE | COMMAND_DECODE | COMMAND_REPAIR,
    JOBS_MAX = 256,
};

static const struct {
    const char *name;
    enum command command;
} commands[] = {
    {"encode", COMMAND_ENCODE}, {"decode", COMMAND_DECODE}, {"check", COMMAND_CHECK},
    {"repair", COMMAND_REPAIR}, {"info", COMMAND_INFO},     {"sync", COMMAND_SYNC},
    {"bench", COMMAND_BENCH},
};

enum command work_command(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].command;
    }
    return 0;
}

/* 00,03-05 */
static int take_share_list(struct work *work, const char *value)
{
    const char *at = value;
    unsigned first, last;

    work->some_shares = true;
    for (;; at++) {
        int r = number_read_share(at, &first, &at);
        last = first;
        if (r == 0 && *at == '-')
            r = number_read_share(at + 1, &last, &at);
        if (r < 0 || first > last || (*at && *at != ',')) {
            log_error("--shares %s: give shares in two hex digits, like 00,03-05", value);
            return -EINVAL;
        }
        for (unsigned i = first; i <= last; i++)
            work->shares[i] = true;
        if (!*at)
            return 0;
    }
}

static int take_place(struct work *work, const char *option, const char *value)
{
    const char *end;
    unsigned index;

    if (number_read_share(value, &index, &end) < 0 || *end != '=' || !end[1]) {
        log_error("--%s %s: give a share in two hex digits and a directory, like 03=/mnt/usb",
                  option, value);
        return -EINVAL;
    }
    for (size_t i = 0; i < work->place_count; i++) {
        if (work->places[i].index == index) {
            log_error("--%s %s: share %02x is given twice", option, value, index);
            return -EINVAL;
        }
    }
    work->places[work->place_count++] = (struct place_for_share){(uint8_t)index, end + 1};
    return 0;
}

static int take_to(struct work *work, const char *value)
{
    return take_place(work, "to", value);
}

static int take_add(struct work *work, const char *value)
{
    return take_place(work, "add", value);
}

static int take_jobs(struct work *work, const char *value)
{
    char *end;
    unsigned long jobs = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end || jobs < 1 || jobs > JOBS_MAX) {
        log_error("-j %s: give a number from 1 to %d", value, JOBS_MAX);
        return -EINVAL;
    }
    work->jobs = (unsigned)jobs;
    return 0;
}

static int take_sample(struct work *work, const char *value)
{
    if (number_read_part(value, &work->sample) < 0) {
        log_error("--sample %s: give a part of the blocks, like 5%%", value);
        return -EINVAL;
    }
    return 0;
}

static int take_verify(struct work *work, const char *value)
{
    if (number_read_part(value, &work->verify) < 0) {
        log_error("--verify %s: give a part of the files, like 5%%", value);
        return -EINVAL;
    }
    return 0;
}

static int take_config(struct work *work, const char *value)
{
    work->config = value;
    return 0;
}

static int take_quick(struct work *work, const char *value)
{
    work->sample = 0;
    return 0;
}

static int take_report(struct work *work, const char *value)
{
    work->report = value;
    return 0;
}

static int take_log_file(struct work *work, const char *value)
{
    work->log_file = value;
    return 0;
}

/* What is an option of the mounts as well, NAME=VALUE. */
static int pass(struct work *work, const char *name, const char *value)
{
    cleanup_free char *text = NULL;

    if (asprintf(&text, "%s%s%s", name, value ? "=" : "", value ? value : "") < 0)
        return -ENOMEM;
    return option_take(&work->arguments, text);
}

/* Each has one of: a function, a flag, or the name of the mounts' option. */
static const struct work_option {
    const char *name;
    char letter; /* or 0 */
    bool has_value;
    unsigned commands;
    int (*take)(struct work *work, const char *value);
    const char *passed_as;
    size_t flag; /* of a bool in struct work */
} options[] = {
#define FLAG(field) .flag = offsetof(struct work, field)
    {"required", 'k', true, OF_SHARES, .passed_as = "required"},
    {"count", 'n', true, OF_ENCODING, .passed_as = "shares"},
    {"shares", 0, true, COMMAND_ENCODE, .take = take_share_list},
    {"format", 0, true, OF_SHARES, .passed_as = "format"},
    {"block-size", 0, true, OF_ENCODING, .passed_as = "block_size"},
    {"to", 0, true, COMMAND_ENCODE, .take = take_to},
    {"exclude", 0, true, COMMAND_ENCODE, .passed_as = "exclude"},
    {"exclude-from", 0, true, COMMAND_ENCODE, .passed_as = "exclude_from"},
    {"one-file-system", 'x', false, COMMAND_ENCODE, .passed_as = "xdev"},
    {"torn", 0, true, COMMAND_ENCODE, .passed_as = "torn"},
    {"store", 0, true, OF_STORES, .passed_as = "store"},
    {"store-timeout", 0, true, OF_STORES, .passed_as = "store_timeout"},
    {"unconfirmed", 0, false, COMMAND_DECODE, .passed_as = "unconfirmed"},
    {"add", 0, true, COMMAND_REPAIR, .take = take_add},
    {"quick", 0, false, COMMAND_CHECK, .take = take_quick},
    {"sample", 0, true, COMMAND_CHECK, .take = take_sample},
    {"report", 0, true, COMMAND_CHECK, .take = take_report},
    {"older", 0, false, COMMAND_DECODE, FLAG(older)},
    {"salvage", 0, false, COMMAND_DECODE, FLAG(salvage)},
    {"checksum", 'c', false, COMMAND_ENCODE | COMMAND_DECODE, FLAG(checksum)},
    {"config", 'c', true, COMMAND_SYNC, .take = take_config},
    {"checksum", 0, false, COMMAND_SYNC, FLAG(checksum)},
    {"verify", 0, true, COMMAND_SYNC, .take = take_verify},
    {"delete", 0, false, WRITERS, FLAG(remove)},
    {"dry-run", 0, false, WRITERS | COMMAND_SYNC, FLAG(dry_run)},
    {"jobs", 'j', true, ALL, .take = take_jobs},
    {"json", 0, false, ALL, FLAG(json)},
    {"log-file", 0, true, ALL, .take = take_log_file},
    {"quiet", 'q', false, ALL, FLAG(quiet)},
    {"verbose", 'v', false, ALL, FLAG(verbose)},
    {"help", 'h', false, ALL, FLAG(help)},
#undef FLAG
};

static int take_option(struct work *work, const struct work_option *option, const char *value)
{
    if (!(option->commands & work->command)) {
        log_error("--%s: not an option of %s; see zfec-fs %s --help", option->name, work->name,
                  work->name);
        return -EINVAL;
    }
    if (option->take)
        return option->take(work, value);
    if (option->passed_as)
        return pass(work, option->passed_as, value);
    *(bool *)((char *)work + option->flag) = true;
    return 0;
}

/* What getopt_long(3) needs: option number I is I + FIRST_LONG, and its letter if it has one. */
enum { FIRST_LONG = 256 };

/* Whether OPTION is of other commands, and its name or letter means something else to this one. */
static bool is_hidden(const struct work_option *option, enum command command)
{
    if (option->commands & command)
        return false;
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        bool same = strcmp(options[i].name, option->name) == 0 ||
                    (option->letter && options[i].letter == option->letter);
        if (same && options[i].commands & command)
            return true;
    }
    return false;
}

static void list_options(enum command command, struct option names[], char *letters)
{
    *letters++ = ':';
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (is_hidden(&options[i], command))
            continue;
        *names++ =
            (struct option){options[i].name, options[i].has_value, NULL, FIRST_LONG + (int)i};
        if (options[i].letter)
            *letters++ = options[i].letter;
        if (options[i].letter && options[i].has_value)
            *letters++ = ':';
    }
    *letters = '\0';
}

static const struct work_option *find_option(int found, enum command command)
{
    if (found >= FIRST_LONG)
        return &options[found - FIRST_LONG];
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (options[i].letter == found && !is_hidden(&options[i], command))
            return &options[i];
    }
    return NULL;
}

static int refuse(const struct work *work, int found, const char *word)
{
    const struct work_option *option = optopt ? find_option(optopt, work->command) : NULL;

    if (found == ':')
        log_error("%s: give it a value; see zfec-fs %s --help", word, work->name);
    else if (option)
        log_error("--%s: it takes no value; see zfec-fs %s --help", option->name, work->name);
    else if (optopt)
        log_error("-%c: unknown option; see zfec-fs %s --help", optopt, work->name);
    else
        log_error("%s: unknown option; see zfec-fs %s --help", word, work->name);
    return -EINVAL;
}

/* 0: as many as fit what is worked on. */
static unsigned default_jobs(enum command command)
{
    switch (command) {
    case COMMAND_SYNC:
        return JOBS_MAX;
    case COMMAND_BENCH:
        return thread_processors();
    default:
        return 0;
    }
}

int work_parse(int count, char *words[], struct work *ret)
{
    struct option names[COUNT_OF(options) + 1] = {0};
    char letters[3 * COUNT_OF(options) + 2];
    int found;

    *ret = (struct work){.command = work_command(words[0]), .name = words[0], .sample = 1};
    ret->jobs = default_jobs(ret->command);
    int r = arguments_init(&ret->arguments);
    list_options(ret->command, names, letters);
    optind = 1;
    while (r == 0 && (found = getopt_long(count, words, letters, names, NULL)) >= 0) {
        const struct work_option *option =
            found == '?' || found == ':' ? NULL : find_option(found, ret->command);
        r = option ? take_option(ret, option, optarg) : refuse(ret, found, words[optind - 1]);
    }
    ret->words = words + optind;
    ret->word_count = (size_t)(count - optind);
    return r;
}

void work_clear(struct work *work)
{
    arguments_clear(&work->arguments);
}
