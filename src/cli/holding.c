/* SPDX-License-Identifier: MIT */
#include "cli/holding.h"

#include "base/io.h"
#include "base/log.h"
#include "store/voice.h"
#include "trust/leftover.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>

enum { LOOKED_AT = 64 }; /* files, to see whether a directory is a store */

static void ignore_answer(void *context)
{
    (void)context;
}

/* Takes a sample of what is at PLACE, as of shares in that format. No PLACE holds nothing. */
static int sample(const char *place, enum share_format format, struct store_voice *ret)
{
    static const struct voice_watch watch = {ignore_answer, NULL};
    struct store *store;

    *ret = (struct store_voice){.share = NO_VOTE};
    if (store_new(place, &store) < 0)
        return 0; /* it is new, or to open it will fail and say why */
    int r = voice_take(store, format, &watch, ret);
    store_release(store);
    /* A disk's lost+found is closed to all but root. */
    return r == -EACCES && ret->has_names ? 0 : r;
}

/*
 * Returns true if at least half of the files are of share INDEX. Formats other than checked take a
 * few bytes for a header: all PDFs look like share 08 of k = 21, and videos, which begin with
 * zeros, like share 00 of k = 1. So k has to be right as well, where it is said.
 */
static bool is_mostly_of(const struct options *options, enum share_format format,
                         const struct store_voice *voice, uint8_t index)
{
    if (voice->share != index || voice->alike < voice->looked_at - voice->alike)
        return false;
    return format == SHARE_CHECKED || options->command != COMMAND_ENCODE ||
           voice->required == options->encoding.required;
}

/* Says what is wrong with a place that holds files other than share INDEX. */
static int refuse_files(const char *path, uint8_t index, int other)
{
    if (other != NO_VOTE && other != index)
        log_error("%s: holds share %02x already; give share %02x another place, or empty this one",
                  path, (uint8_t)other, index);
    else
        log_error("%s: holds files that are not of share %02x, which would be overwritten; give "
                  "another place, or empty this one",
                  path, index);
    return -EINVAL;
}

static bool is_named_no_store(const char *path)
{
    cleanup_free char *copy = strdup(path);

    return copy && leftover_is_no_store(basename(copy));
}

/* A tree may have been encoded in another format before; a store is mended in its own. */
int holding_check_share(const struct options *options, const char *path, const char *place,
                        uint8_t index)
{
    const bool any = options->command == COMMAND_ENCODE;
    int other = NO_VOTE;

    if (is_named_no_store(path) || is_named_no_store(place)) {
        log_error("%s: is never taken for a store, because of its name; give another place", path);
        return -EINVAL;
    }
    for (enum share_format format = 0; format < SHARE_FORMATS; format++) {
        struct store_voice voice;
        if (!any && format != options->encoding.format)
            continue;
        int r = sample(place, format, &voice);
        if (r < 0)
            return log_errno(r, "%s: cannot be looked at", path);
        if (!voice.has_files || is_mostly_of(options, format, &voice, index))
            return 0;
        if (format == SHARE_CHECKED || (format == options->encoding.format && other == NO_VOTE))
            other = voice.share;
    }
    return refuse_files(path, index, other);
}

static bool read_share(const struct tree *tree, const char *name, uint8_t *ret)
{
    uint8_t bytes[HEADER_SIZE_MAX];
    struct share_header header;
    cleanup_fd int fd = -1;
    struct stat status;
    size_t size;

    if (tree_open_file(tree, name, &status, &fd) < 0 ||
        io_read(fd, 0, bytes, sizeof bytes, &size) < 0 ||
        header_read(SHARE_CHECKED, bytes, size, (uint64_t)status.st_size, &header) < 0)
        return false;
    *ret = header.index;
    return true;
}

bool holding_has_share(const char *path, uint8_t *ret)
{
    cleanup_names struct names names = NO_NAMES;
    cleanup_tree struct tree *tree = NULL;
    size_t files = 0, shares = 0;

    if (tree_open(path, &tree) < 0 || tree_list(tree, "", &names) < 0)
        return false;
    for (size_t i = 0; i < names.count && files < LOOKED_AT; i++) {
        bool is_share = read_share(tree, names_get(&names, i), ret);
        shares += is_share;
        files += is_share || names.items[i].kind == S_IFREG;
    }
    return 2 * shares > files;
}

int holding_check_whole(const char *path, const char *place)
{
    struct store_voice voice;

    /* Headers of the other formats are too weak to tell. */
    if (sample(place, SHARE_CHECKED, &voice) < 0 || voice.share == NO_VOTE ||
        voice.alike <= voice.looked_at / 2)
        return 0;
    log_error("%s: is a store, of share %02x; give another place, or empty this one", path,
              (uint8_t)voice.share);
    return -EINVAL;
}
