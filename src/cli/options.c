/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

static int set_text(char **field, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int take_count(unsigned *field, const char *name, const char *value, unsigned most)
{
    unsigned long number;
    const char *end;

    if (number_read(value, 1, most, &number, &end) < 0 || *end) {
        log_error("%s=%s: give a whole number from 1 to %u", name, value, most);
        return -EINVAL;
    }
    *field = (unsigned)number;
    return 0;
}

static int take_required(struct arguments *arguments, const char *value)
{
    int r = take_count(&arguments->required, "required", value, 255);

    if (r == 0)
        arguments->encoding.required = arguments->required;
    return r;
}

static int take_shares(struct arguments *arguments, const char *value)
{
    return take_count(&arguments->encoding.shares, "shares", value, 256);
}

static int take_block_size(struct arguments *arguments, const char *value)
{
    if (block_size_from_text(value, &arguments->encoding.block_size) < 0) {
        log_error("block_size=%s: give a power of two from 4K to 1M", value);
        return -EINVAL;
    }
    return 0;
}

static int take_format(struct arguments *arguments, const char *value)
{
    if (share_format_from_name(value, &arguments->encoding.format) < 0) {
        log_error("format=%s: give " FORMAT_NAMES, value);
        return -EINVAL;
    }
    return 0;
}

static int take_source(struct arguments *arguments, const char *value)
{
    return set_text(&arguments->source, value);
}

static int take_store(struct arguments *arguments, const char *value)
{
    return names_add(&arguments->stores, value);
}

static int take_exclude(struct arguments *arguments, const char *value)
{
    arguments->of_source = "exclude";
    return excludes_add(arguments->rules.excludes, value);
}

static int take_exclude_from(struct arguments *arguments, const char *value)
{
    arguments->of_source = "exclude_from";
    int r = excludes_add_file(arguments->rules.excludes, value);
    if (r == -EINVAL) {
        log_error("exclude_from=%s: this is no text file", value);
        return r;
    }
    return r < 0 ? log_errno(r, "exclude_from=%s", value) : 0;
}

static int take_one_file_system(struct arguments *arguments, const char *value)
{
    arguments->of_source = "xdev";
    arguments->rules.one_file_system = true;
    return 0;
}

static int take_unconfirmed(struct arguments *arguments, const char *value)
{
    arguments->unconfirmed = true;
    return 0;
}

static int take_io_uring(struct arguments *arguments, const char *value)
{
    arguments->io_uring = true;
    return 0;
}

static int take_torn(struct arguments *arguments, const char *value)
{
    arguments->of_source = "torn";
    if (strcmp(value, "allow") != 0 && strcmp(value, "error") != 0) {
        log_error("torn=%s: give allow or error", value);
        return -EINVAL;
    }
    arguments->rules.torn_allowed = strcmp(value, "allow") == 0;
    return 0;
}

static int take_cache(struct arguments *arguments, const char *value)
{
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        log_error("cache=%s: give yes or no", value);
        return -EINVAL;
    }
    arguments->pages_avoided = strcmp(value, "no") == 0;
    return 0;
}

enum { LONGEST_S = 24 * 60 * 60 };

/* Seconds in plain digits, perhaps with a fraction. */
static int take_seconds(double *field, const char *name, const char *value, double least)
{
    char *end;
    double seconds = strtod(value, &end);

    if (*value < '0' || *value > '9' || *end || !(seconds >= least && seconds <= LONGEST_S)) {
        log_error("%s=%s: give seconds, %g to %d", name, value, least, LONGEST_S);
        return -EINVAL;
    }
    *field = seconds;
    return 0;
}

static int take_attribute_timeout(struct arguments *arguments, const char *value)
{
    return take_seconds(&arguments->attribute_timeout, "attr_timeout", value, 0);
}

static int take_store_timeout(struct arguments *arguments, const char *value)
{
    return take_seconds(&arguments->store_timeout, "store_timeout", value, 0.1);
}

/* A view's own name, alone or with =1 or =0. */
static int take_view(struct arguments *arguments, const char *name, const char *value,
                     enum view_kind view)
{
    if (value && strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
        log_error("%s=%s: give %s alone, or %s=1", name, value, name, name);
        return -EINVAL;
    }
    if (value && *value == '0')
        return 0;
    if (arguments->view != VIEW_ENCODED && arguments->view != view) {
        log_error("%s: restore and rebuild are two views; give one of them", name);
        return -EINVAL;
    }
    arguments->view = view;
    return 0;
}

static int take_restore(struct arguments *arguments, const char *value)
{
    return take_view(arguments, "restore", value, VIEW_RESTORED);
}

static int take_rebuild(struct arguments *arguments, const char *value)
{
    return take_view(arguments, "rebuild", value, VIEW_REBUILT);
}

/* Passes an option on as it is; a comma in its value needs its backslash again. */
static int pass_on(struct arguments *arguments, const char *text)
{
    const char *so_far = arguments->mount_options ? arguments->mount_options : "";
    char *longer = malloc(strlen(so_far) + 1 + 2 * strlen(text) + 1);

    if (!longer)
        return -ENOMEM;
    char *end = stpcpy(longer, so_far);
    if (*so_far)
        *end++ = ',';
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            *end++ = '\\';
        *end++ = *text;
    }
    *end = '\0';
    free(arguments->mount_options);
    arguments->mount_options = longer;
    return 0;
}

/* Our own options. */
static const struct {
    const char *name;
    int (*take)(struct arguments *arguments, const char *value);
    bool bare; /* may stand without a value */
} own[] = {
    {"required", take_required, false},
    {"shares", take_shares, false},
    {"source", take_source, false},
    {"store", take_store, false},
    {"restore", take_restore, true},
    {"rebuild", take_rebuild, true},
    {"format", take_format, false},
    {"block_size", take_block_size, false},
    {"exclude", take_exclude, false},
    {"exclude_from", take_exclude_from, false},
    {"xdev", take_one_file_system, true},
    {"one_file_system", take_one_file_system, true},
    {"torn", take_torn, false},
    {"attr_timeout", take_attribute_timeout, false},
    {"store_timeout", take_store_timeout, false},
    {"cache", take_cache, false},
    {"unconfirmed", take_unconfirmed, true},
    {"io_uring", take_io_uring, true},
};

/* What goes on to libfuse and the kernel. */
static const char *const passed_on[] = {
    "allow_other", "allow_root",    "auto_unmount", "default_permissions",
    "dev",         "nodev",         "suid",         "nosuid",
    "exec",        "noexec",        "atime",        "noatime",
    "diratime",    "nodiratime",    "relatime",     "norelatime",
    "strictatime", "nostrictatime", "async",        "sync",
    "dirsync",     "fsname=",       "subtype=",     "context=",
    "fscontext=",  "defcontext=",   "rootcontext=",
};

/* What fstab and mount(8) say to others, or what always holds here. */
static const char *const ignored[] = {
    "ro",    "rw",    "defaults", "auto",    "noauto",   "user", "nouser",   "users",
    "owner", "group", "nofail",   "_netdev", "nonempty", "x-",   "comment=",
};

/* Whether TEXT is in a list; an entry that ends in "=" or "-" stands for all that begin so. */
static bool is_listed(const char *text, const char *const list[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(list[i]);
        char last = list[i][length - 1];
        if (strncmp(text, list[i], length) == 0 &&
            (text[length] == '\0' || last == '=' || last == '-'))
            return true;
    }
    return false;
}

int option_take(struct arguments *arguments, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *value = text[length] ? text + length + 1 : NULL;

    for (size_t i = 0; i < COUNT_OF(own); i++) {
        if (strlen(own[i].name) != length || strncmp(own[i].name, text, length) != 0)
            continue;
        if (!value && !own[i].bare) {
            log_error("%s: give it a value: %s=...", text, text);
            return -EINVAL;
        }
        return own[i].take(arguments, value);
    }
    if (is_listed(text, ignored, COUNT_OF(ignored)))
        return 0;
    if (is_listed(text, passed_on, COUNT_OF(passed_on)))
        return pass_on(arguments, text);
    log_error("%s: unknown option; see zfec-fs --help", text);
    return -EINVAL;
}
