/* SPDX-License-Identifier: MIT */
#include "cli/places.h"

#include "base/io.h"
#include "base/log.h"
#include "store/voice.h"
#include "sync/address.h"
#include "sync/child.h"
#include "trust/leftover.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

enum {
    RESOLVE_LIMIT_S = 5,
    LOOKED_AT = 64, /* files, to tell whether a directory is a store */
};

/* Resolves PATH to an absolute path without symlinks. */
static int resolve(const char *path, char **ret)
{
    cleanup_free char *real = realpath(path, NULL), *one = strdup(path), *other = strdup(path);

    if (real) {
        *ret = steal_pointer(real);
        return 0;
    }
    if (errno != ENOENT || !one || !other)
        return -errno;
    const char *parent = dirname(one);
    if (strcmp(parent, path) == 0) /* the working directory was removed */
        return -ENOENT;
    int r = resolve(parent, &real);
    if (!real)
        return r;
    const char *between = strcmp(real, "/") == 0 ? "" : "/";
    return asprintf(ret, "%s%s%s", real, between, basename(other)) < 0 ? -ENOMEM : 0;
}

int place_find(const char *path, struct whereabouts *ret)
{
    cleanup_free char *real = NULL;

    *ret = (struct whereabouts){.path = NULL};
    int r = resolve(path, &real);
    return r < 0 ? r : whereabouts_find(real, ret);
}

int place_find_soon(const char *path, struct whereabouts *ret)
{
    struct words words = {.names = NO_NAMES};
    char *said[CHILD_STREAMS];

    *ret = (struct whereabouts){.path = NULL};
    WORDS_ADD(&words, "realpath", "--canonicalize-missing", "--", path);
    child_run(&words, RESOLVE_LIMIT_S, said);
    cleanup_free char *real = said[0];
    free(said[1]);
    if (real)
        return whereabouts_find(real, ret);
    ret->path = strdup(path);
    return ret->path ? 0 : -ENOMEM;
}

int place_find_node(const struct sync_node *node, struct whereabouts *ret)
{
    *ret = (struct whereabouts){.path = NULL};
    if (node->mover != &rsync_mover || address_kind(node->target) != ADDRESS_LOCAL)
        return 0;
    return place_find_soon(node->target, ret);
}

bool place_is_shown(const struct whereabouts *from, const struct whereabouts *place,
                    const struct tree_rules *rules, bool is_directory)
{
    const char *path = whereabouts_within(place, from);

    return path &&
           (!*path || (!excludes_match(rules->excludes, path, is_directory) &&
                       !(rules->one_file_system && whereabouts_differ_in_device(from, place))));
}

static void ignore_answer(void *context)
{
}

/* Samples the files at PLACE, as shares in that format. A missing PLACE is empty. */
static int sample(const char *place, enum share_format format, struct store_voice *ret)
{
    static const struct voice_watch watch = {ignore_answer, NULL};
    struct store *store;

    *ret = (struct store_voice){.share = NO_VOTE};
    if (store_new(place, &store) < 0)
        return 0; /* it is new, or opening it will fail and say why */
    int r = voice_take(store, format, &watch, ret);
    store_release(store);
    /* A disk's lost+found is closed to all except root. */
    return r == -EACCES && ret->has_names ? 0 : r;
}

/* Refuses plain shares where sealed ones should go, as they would stay readable, and the
 * reverse. */
static int check_kind(const char *path, bool sealed, const struct store_voice *voice)
{
    if (voice->kinds[!sealed] == 0)
        return 0;
    return log_as(-EINVAL, "%s: holds shares that are %s; give another place, or empty this one",
                  path, sealed ? "not sealed, which would stay there for all to read" : "sealed");
}

int place_check_share(const struct options *options, const char *path, const char *place,
                      uint8_t index)
{
    /* A tree may have been encoded in another format before, except sealed, which changes its
     * names; a store is repaired in its own format. */
    const bool sealed = formats[options->encoding.format]->is_sealed;
    const bool any = options->command == COMMAND_ENCODE && !sealed;
    const enum share_format given = format_read_as(options->encoding.format);
    cleanup_free char *one = strdup(path), *other_name = strdup(place);
    int other = NO_VOTE;

    if (!one || !other_name)
        return -ENOMEM;
    if (leftover_is_no_store(basename(one)) || leftover_is_no_store(basename(other_name)))
        return log_as(-EINVAL,
                      "%s: is never taken for a store, because of its name; give another place",
                      path);
    for (enum share_format format = 0; format < SHARE_FORMATS_READ; format++) {
        struct store_voice voice;
        if (!any && format != given)
            continue;
        int r = sample(place, format, &voice);
        if (r < 0)
            return log_errno(r, "%s: cannot be looked at", path);
        if (options->command == COMMAND_ENCODE && format == SHARE_CHECKED &&
            (r = check_kind(path, sealed, &voice)) < 0)
            return r;
        /*
         * Formats other than checked accept a few bytes as a header: all PDFs look like share 08 of
         * k = 21, and videos, which begin with zeros, like share 00 of k = 1. So k must match as
         * well, if it was given.
         */
        if (!voice.has_files ||
            (voice.share == index && voice.alike >= voice.looked_at - voice.alike &&
             (format == SHARE_CHECKED || !any || voice.required == options->encoding.required)))
            return 0;
        if (format == SHARE_CHECKED || (format == given && other == NO_VOTE))
            other = voice.share;
    }
    if (other != NO_VOTE && other != index)
        return log_as(-EINVAL,
                      "%s: holds share %02x already; give share %02x another place, or empty this "
                      "one",
                      path, (uint8_t)other, index);
    return log_as(-EINVAL,
                  "%s: holds files that are not of share %02x, which would be overwritten; give "
                  "another place, or empty this one",
                  path, index);
}

int place_check_whole(const char *path, const char *place)
{
    struct store_voice voice;

    /* Headers of other formats are too weak to tell. */
    if (sample(place, SHARE_CHECKED, &voice) < 0 || voice.share == NO_VOTE ||
        voice.alike <= voice.looked_at / 2)
        return 0;
    return log_as(-EINVAL, "%s: is a store, of share %02x; give another place, or empty this one",
                  path, (uint8_t)voice.share);
}

bool place_has_share(const char *path, uint8_t *ret)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_tree struct tree *tree = NULL;
    size_t files = 0, shares = 0;

    if (tree_open(path, &tree) < 0 || tree_list(tree, "", &names) < 0)
        return false;
    for (size_t i = 0; i < names.count && files < LOOKED_AT; i++) {
        uint8_t bytes[HEADER_SIZE_MAX];
        struct share_header header;
        cleanup_fd int fd = -1;
        struct stat status;
        size_t size;
        bool is_share =
            tree_open_file(tree, names_get(&names, i), &status, &fd) == 0 &&
            io_read(fd, 0, bytes, sizeof bytes, &size) == 0 &&
            header_read(SHARE_CHECKED, bytes, size, (uint64_t)status.st_size, &header) == 0;
        if (is_share)
            *ret = header.index;
        shares += is_share;
        files += is_share || names.items[i].kind == S_IFREG;
    }
    return 2 * shares > files;
}
