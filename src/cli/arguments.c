/* SPDX-License-Identifier: MIT */
#include "cli/arguments.h"

#include "base/log.h"
#include "cli/options.h"

#include <getopt.h>
#include <string.h>

/*
 * Takes the next of the options that *LIST names, separated by commas; a backslash takes the next
 * character as it is. TEXT has room for all of *LIST. Returns false after the last option.
 */
static bool next_option(const char **list, char *text)
{
    const char *from = *list;

    if (!*from)
        return false;
    for (; *from && *from != ','; from++) {
        if (*from == '\\' && from[1])
            from++;
        *text++ = *from;
    }
    *text = '\0';
    *list = *from ? from + 1 : from;
    return true;
}

/* Takes the options of one -o. */
static int take_options(struct arguments *arguments, const char *list)
{
    cleanup_free char *text = malloc(strlen(list) + 1);
    int r = text ? 0 : -ENOMEM;

    while (r == 0 && next_option(&list, text)) {
        if (*text)
            r = option_take(arguments, text);
    }
    return r;
}

static int take_flag(struct arguments *arguments, int flag, char *words[])
{
    switch (flag) {
    case 'o':
        return take_options(arguments, optarg);
    case 'f':
        arguments->foreground = true;
        return 0;
    case 'd':
        arguments->debug = true;
        return 0;
    case 's':
        arguments->single = true;
        return 0;
    case 'h':
        arguments->help = true;
        return 0;
    case 'V':
        arguments->version = true;
        return 0;
    case ':':
        log_error("-%c: give it a value; see zfec-fs --help", optopt);
        return -EINVAL;
    default:
        if (optopt)
            log_error("-%c: unknown option; see zfec-fs --help", optopt);
        else
            log_error("%s: unknown option; see zfec-fs --help", words[optind - 1]);
        return -EINVAL;
    }
}

/* What stands for itself: MOUNTPOINT, or SOURCE MOUNTPOINT. */
static int take_places(struct arguments *arguments, int count, char *places[])
{
    if (count > 2) {
        log_error("%s: too many arguments; give [SOURCE] MOUNTPOINT", places[2]);
        return -EINVAL;
    }
    if (count == 2 && arguments->source) {
        log_error("%s: the source is given twice, by source=%s too; leave one out", places[0],
                  arguments->source);
        return -EINVAL;
    }
    if (count == 2 && !(arguments->source = strdup(places[0])))
        return -ENOMEM;
    if (count > 0 && !(arguments->mountpoint = strdup(places[count - 1])))
        return -ENOMEM;
    return 0;
}

int arguments_init(struct arguments *ret)
{
    *ret = (struct arguments){
        .encoding = {.format = SHARE_CHECKED,
                     .required = 3,
                     .shares = 20,
                     .block_size = BLOCK_SIZE_DEFAULT},
        .attribute_timeout = -1,
        .store_timeout = -1,
    };
    return excludes_new(&ret->rules.excludes);
}

int arguments_parse(int count, char *words[], struct arguments *ret)
{
    static const struct option names[] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int flag;

    if (arguments_init(ret) < 0)
        return -ENOMEM;
    while ((flag = getopt_long(count, words, ":o:fdshV", names, NULL)) >= 0) {
        int r = take_flag(ret, flag, words);
        if (r < 0)
            return r;
    }
    return take_places(ret, count - optind, words + optind);
}

/* Sets *RET to whether NAME is one of the options in LIST, which may be NULL. */
static int find_option(const char *list, const char *name, bool *ret)
{
    cleanup_free char *text = malloc(list ? strlen(list) + 1 : 1);

    if (!text)
        return -ENOMEM;
    *ret = false;
    while (list && !*ret && next_option(&list, text))
        *ret = strcmp(text, name) == 0;
    return 0;
}

/*
 * With allow_other the kernel has to check who may read what: the daemon, which may be root's,
 * reads for everyone.
 */
static int add_default_permissions(struct arguments *arguments)
{
    bool allowed;

    int r = find_option(arguments->mount_options, "allow_other", &allowed);
    if (r == 0 && allowed)
        r = option_take(arguments, "default_permissions");
    return r < 0 ? r
                 : find_option(arguments->mount_options, "default_permissions",
                               &arguments->permissions_checked);
}

static int check_mountpoint(const char *mountpoint)
{
    struct stat status;

    if (!mountpoint) {
        log_error("MOUNTPOINT: missing; see zfec-fs --help");
        return -EINVAL;
    }
    if (stat(mountpoint, &status) < 0)
        return log_errno(-errno, "%s: cannot be the mountpoint, create an empty directory there",
                         mountpoint);
    if (!S_ISDIR(status.st_mode)) {
        log_error("%s: cannot be the mountpoint, it is no directory", mountpoint);
        return -EINVAL;
    }
    return 0;
}

int arguments_check(struct arguments *arguments)
{
    const struct encoding *encoding = &arguments->encoding;

    bool from_stores = arguments->view != VIEW_ENCODED;
    if (from_stores && !arguments->source && arguments->stores.count == 0) {
        log_error("%s: from what? give STORES, the directory of the stores, or store=DIR",
                  arguments->view == VIEW_RESTORED ? "restore" : "rebuild");
        return -EINVAL;
    }
    if (!from_stores && arguments->stores.count > 0) {
        log_error("store=%s: stores are for restoring; give restore or rebuild as well",
                  names_get(&arguments->stores, 0));
        return -EINVAL;
    }
    if (!from_stores && arguments->store_timeout >= 0) {
        log_error("store_timeout: there are no stores here; leave it out");
        return -EINVAL;
    }
    if (!from_stores && arguments->unconfirmed) {
        log_error("unconfirmed: there are no stores here; leave it out");
        return -EINVAL;
    }
    if (from_stores && arguments->of_source) {
        log_error("%s: that is for making shares of a source; leave it out", arguments->of_source);
        return -EINVAL;
    }
    if (!from_stores && encoding->required > encoding->shares) {
        log_error("required=%u: more than shares=%u; give at least as many shares",
                  encoding->required, encoding->shares);
        return -EINVAL;
    }
    if (!from_stores && !arguments->source && !(arguments->source = strdup("/")))
        return -ENOMEM;
    int r = add_default_permissions(arguments);
    return r < 0 ? r : check_mountpoint(arguments->mountpoint);
}

void arguments_clear(struct arguments *arguments)
{
    excludes_free(arguments->rules.excludes);
    names_clear(&arguments->stores);
    free(arguments->source);
    free(arguments->mountpoint);
    free(arguments->mount_options);
}
