/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/node_keys.h"
#include "cli/output.h"
#include "cli/passphrase_from.h"
#include "cli/set_id.h"
#include "cli/set_stores.h"
#include "seal/key_paper.h"
#include "sync/child.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { QR_S = 20, PAPER_MAX = 4096 };

static enum exit_status status_of(int error)
{
    return error == 0 ? EXIT_STATUS_OK : error == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
}

/* Says what became of FILE. Returns 0 or a negative errno, logged. */
static int tell_key(const char *path, const struct master_key *key, const char *what)
{
    uint8_t id[SET_ID_SIZE];

    int r = master_key_id(key, id);
    if (r < 0)
        return log_errno(r, "%s", path);
    output_text(COLOUR_NONE, "%s: %s, of the set %s, %s a passphrase", path, what, id_text(id).text,
                key->has_passphrase ? "with" : "without");
    json_t *object =
        json_pack("{s:s, s:b}", "id", id_text(id).text, "passphrase", key->has_passphrase);
    output_json_path(object, "path", path);
    output_json("key", object);
    return 0;
}

/* Takes the words behind the first: FILE, and STORES before or behind it. */
static int take_words(struct options *options, bool stores_first, char **ret_file)
{
    const bool has_stores = options->word_count == 3;

    *ret_file = options->words[has_stores && stores_first ? 2 : 1];
    if (!has_stores)
        return 0;
    options->source = strdup(options->words[stores_first ? 1 : 2]);
    return options->source ? set_stores_open(options) : log_errno(-ENOMEM, "the stores");
}

static enum exit_status key_new(struct options *options)
{
    cleanup_secret struct master_key *key = NULL;
    const char *path = options->words[1];

    int r = master_key_new(&key);
    if (r < 0)
        return status_of(log_errno(r, "%s", path));
    r = key_file_write(path, key, false);
    if (r == 0)
        r = tell_key(path, key, "a new key");
    if (r == 0)
        output_text(COLOUR_WARNING, "Keep a copy of it elsewhere: zfec-fs key show %s", path);
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

/* What stands on paper goes past buffers that nobody wipes. */
static int write_out(const char *text, size_t length)
{
    if (fflush(stdout) != 0)
        return -errno;
    while (length > 0) {
        const ssize_t written = TEMP_FAILURE_RETRY(write(STDOUT_FILENO, text, length));
        if (written < 0)
            return -errno;
        text += written;
        length -= (size_t)written;
    }
    return 0;
}

static void show_line(void *context, int stream, char *line)
{
    if (stream == 0) {
        write_out(line, strlen(line));
        write_out("\n", 1);
    }
}

/* The text of the file itself, for a camera; nothing where the program is not there. */
static void show_picture(const struct master_key *key)
{
    cleanup_secret char *text = seal_alloc(KEY_TEXT_SIZE);
    struct words words = {.names = NO_NAMES, .input = text};

    if (!text)
        return;
    text[key_text_write(key, text)] = '\0';
    WORDS_ADD(&words, "qrencode", "-t", "UTF8", "-o", "-");
    child_ask(&words, QR_S, show_line, NULL);
}

static enum exit_status key_show(struct options *options)
{
    cleanup_secret struct master_key *key = NULL;
    cleanup_secret char *paper = seal_alloc(KEY_PAPER_SIZE);
    const char *path = options->words[1];

    if (!paper)
        return status_of(log_errno(-ENOMEM, "%s", path));
    int r = key_file_read(path, &key);
    if (r == 0)
        r = tell_key(path, key, "a key");
    if (r < 0)
        return EXIT_STATUS_FAILED;
    if (options->json || options->quiet)
        return EXIT_STATUS_OK;
    output_text(COLOUR_NONE, "To have it back from paper, type these lines: zfec-fs key recover "
                             "--paper - FILE");
    r = write_out(paper, key_paper_write(key, paper));
    if (r < 0)
        return status_of(log_errno(r, "standard output"));
    if (isatty(STDOUT_FILENO))
        show_picture(key);
    return EXIT_STATUS_OK;
}

/* Reads all of PATH, - for standard input, into PAPER with its NUL. */
static int read_paper(const char *path, char *paper)
{
    const bool is_input = strcmp(path, "-") == 0;
    cleanup_fd int opened = is_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    const int fd = is_input ? STDIN_FILENO : opened;
    size_t length = 0;
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && length < PAPER_MAX) {
        got = TEMP_FAILURE_RETRY(read(fd, paper + length, PAPER_MAX - length));
        length += got > 0 ? (size_t)got : 0;
    }
    paper[length] = '\0';
    return got < 0 ? log_errno(-errno, "--paper %s", path) : 0;
}

static enum exit_status recover_from_paper(const struct options *options, const char *path)
{
    cleanup_secret struct master_key *key = seal_alloc(sizeof *key);
    cleanup_secret char *paper = seal_alloc(PAPER_MAX + 1);

    if (!key || !paper)
        return status_of(log_errno(-ENOMEM, "%s", path));
    int r = read_paper(options->paper, paper);
    if (r < 0)
        return EXIT_STATUS_FAILED;
    const unsigned line = key_paper_read(paper, key);
    if (line > 0)
        return log_as(
            EXIT_STATUS_FAILED,
            "--paper %s: line %u is missing or is not as it was printed; look at it again",
            options->paper, line);
    r = key_file_write(path, key, false);
    if (r == 0)
        r = tell_key(path, key, "the key from the paper");
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static const char *const verdicts[] = {
    [KEY_UNKNOWN] = "not used",
    [KEY_RIGHT] = "right",
    [KEY_WRONG] = "wrong: it is damaged or forged",
    [KEY_OTHER_TERMS] = "of the same key under another passphrase, or for another k",
    [KEY_OTHER_SET] = "of another set",
};

static void tell_node(const char *path, const char *what, bool right)
{
    json_t *object = json_pack("{s:b, s:s}", "right", right, "state", what);

    output_text(right ? COLOUR_NONE : COLOUR_BAD, "store %s: its key is %s", path, what);
    output_json_path(object, "path", path);
    output_json("store", object);
}

/* Says what is wrong with stores. Returns how many are. */
static size_t tell_nodes(const struct options *options, const struct node_keys *keys)
{
    size_t wrong = 0;

    for (size_t i = 0; i < keys->count; i++) {
        const struct node_key *node = &keys->nodes[i];
        const enum key_verdict verdict = keys->files[i].verdict;
        const bool right = node->error == 0 && verdict == KEY_RIGHT;
        wrong += !right;
        if (right && !options->verbose)
            continue;
        tell_node(node->path,
                  node->error == -ENOENT    ? "missing"
                  : node->error == -EBADMSG ? "damaged, or no key"
                  : node->error < 0         ? strerrordesc_np(-node->error)
                                            : verdicts[verdict],
                  right);
    }
    return wrong;
}

static enum exit_status recover_from_stores(struct options *options, const char *path)
{
    cleanup_node_keys struct node_keys keys = {0};
    cleanup_secret struct master_key *key = NULL;
    uint8_t id[SET_ID_SIZE];
    int r = options->set_id ? set_id_read("--id", options->set_id, id) : 0;
    if (r == 0)
        r = node_keys_read(options, &keys);
    if (r == 0)
        r = node_keys_check_outside(&keys, path);
    /* Before anything is asked for. */
    if (r == 0 && access(path, F_OK) == 0)
        r = log_as(-EEXIST, "%s: is there already, and stays as it is: give another name", path);
    if (r < 0)
        return status_of(r);
    r = node_keys_search(options, &keys, options->set_id ? id : NULL, &key);
    const size_t wrong = tell_nodes(options, &keys);
    if (r == -ENOKEY || r == -ECANCELED || r == -EINVAL)
        return EXIT_STATUS_FAILED; /* it was said where it was asked for */
    if (r < 0)
        return log_as(r == -ENODATA || r == -EBADMSG ? EXIT_STATUS_LOST : EXIT_STATUS_FAILED,
                      "no key: %s", key_search_error(r));
    r = key_file_write(path, key, false);
    if (r == 0)
        r = tell_key(path, key, "the key of the stores");
    return r < 0 ? EXIT_STATUS_FAILED : wrong > 0 ? EXIT_STATUS_DAMAGED : EXIT_STATUS_OK;
}

static enum exit_status key_recover(struct options *options)
{
    char *path;

    if (options->paper && (options->word_count == 3 || options->stores.count > 0))
        return log_as(EXIT_STATUS_USAGE, "key recover: give STORES or --paper, not both");
    if (!options->paper && options->word_count == 2 && options->stores.count == 0)
        return log_as(
            EXIT_STATUS_USAGE,
            "key recover: give STORES, the directory of the stores, and FILE, for the key");
    int r = take_words(options, true, &path);
    if (r < 0)
        return status_of(r);
    return options->paper ? recover_from_paper(options, path) : recover_from_stores(options, path);
}

/* Gives KEY another passphrase, or none. */
static int change_passphrase(const struct options *options, struct master_key *key)
{
    cleanup_passphrase struct passphrase passphrase = {NULL, 0};
    int r = 0;

    key->has_passphrase = !options->passphrase_removed;
    key->stretch = (struct stretch){.lanes = 0};
    explicit_bzero(key->passphrase_key, KEY_SIZE);
    if (options->passphrase_removed)
        return 0;
    r = options->passphrase_file ? passphrase_from_file(options->passphrase_file, &passphrase)
                                 : passphrase_from_terminal("New passphrase: ", true, &passphrase);
    if (r < 0)
        return r;
    r = stretch_new(&key->stretch);
    if (r == 0)
        r = stretch_passphrase(&key->stretch, &passphrase, key->passphrase_key);
    return r < 0 ? log_errno(r, "the passphrase") : 0;
}

/*
 * K, for all stores alike. What one of them says is not enough: a store that says 1 would be given
 * the whole secret. A file that was made with the key does not lie.
 */
static int required_of_nodes(const struct options *options, const struct node_keys *keys,
                             const struct master_key *key, unsigned *ret)
{
    unsigned required = options->required;

    for (size_t i = 0; i < keys->count && options->required == 0; i++) {
        const struct found_key *file = &keys->files[i];
        if (!file->read || !key_share_is_of(&file->share, key))
            continue;
        if (required > 0 && required != file->share.required)
            return log_as(-EINVAL,
                          "the stores' keys are for k = %u and for k = %u: say with "
                          "--required how many are to be enough",
                          required, file->share.required);
        required = file->share.required;
    }
    *ret = required;
    return required > 0 ? 0
                        : log_as(-EINVAL, "no store has a key that was made with this one and its "
                                          "passphrase: say with --required how many are enough");
}

/* Returns what is wrong with store number I, NULL: nothing. */
static const char *refuse_node(const struct node_keys *keys, size_t i,
                               const uint8_t id[SET_ID_SIZE])
{
    const int error = keys->nodes[i].error;

    if (error == -ENOENT)
        return "missing, so that it is not known which share it has; zfec-fs repair makes it again";
    if (error == -EBADMSG)
        return "damaged, or no key; zfec-fs repair makes it again";
    if (error < 0)
        return strerrordesc_np(-error);
    return memcmp(keys->files[i].share.set_id, id, SET_ID_SIZE) != 0 ? "of another set" : NULL;
}

/* Writes KEY's files to the stores. Returns how many have none now; below 0: a negative errno. */
static int write_nodes(const struct node_keys *keys, const struct master_key *key,
                       unsigned required)
{
    uint8_t id[SET_ID_SIZE], bytes[KEY_SHARE_SIZE];
    int failed = 0;

    int r = master_key_id(key, id);
    for (size_t i = 0; r == 0 && i < keys->count; i++) {
        const char *why = refuse_node(keys, i, id);
        if (!why) {
            r = key_share_make(key, required, keys->files[i].share.index, bytes);
            if (r < 0)
                break;
            const int written = node_key_write(keys, i, bytes);
            why = written < 0 ? strerrordesc_np(-written) : NULL;
        }
        failed += why != NULL;
        tell_node(keys->nodes[i].path, why ? why : "written anew", !why);
    }
    return r < 0 ? log_errno(r, "the stores' keys") : failed;
}

/*
 * FILE comes last: as long as it has the old passphrase, the next run knows the stores' files that
 * still have it, too. It is never gone.
 */
static enum exit_status key_passphrase(struct options *options)
{
    cleanup_node_keys struct node_keys keys = {0};
    cleanup_secret struct master_key *key = NULL;
    unsigned required = 0;
    int failed = 0;
    char *path;

    if (options->passphrase_removed && options->passphrase_file)
        return log_as(EXIT_STATUS_USAGE, "key passphrase: give --remove or --passphrase-file");
    int r = take_words(options, false, &path);
    const bool has_stores = options->source || options->stores.count > 0;
    if (r == 0)
        r = key_file_read(path, &key) < 0 ? -EIO : 0;
    if (r == 0 && has_stores)
        r = node_keys_read(options, &keys);
    if (r == 0 && has_stores)
        r = required_of_nodes(options, &keys, key, &required);
    if (r == 0 && required == 1 && options->passphrase_removed)
        r = log_as(-EINVAL, "with k = 1 each store would have the key: it needs a passphrase");
    if (r == 0)
        r = change_passphrase(options, key);
    if (r == 0 && has_stores)
        failed = write_nodes(&keys, key, required);
    if (r != 0 || failed < 0)
        return r != 0 ? status_of(r) : EXIT_STATUS_FAILED;
    r = key_file_write(path, key, true);
    if (r == 0)
        r = tell_key(path, key, "the key");
    if (r == 0 && !has_stores)
        output_text(COLOUR_WARNING, "The keys on nodes are as they were: name the stores, too");
    if (failed > 0)
        log_error("%d store%s not changed: run it again when all can be written, with the same "
                  "passphrase",
                  failed, failed == 1 ? " was" : "s were");
    return r < 0 || failed > 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

/* What can be done with keys: the first word. */
static const struct action {
    const char *name;
    size_t least, most; /* words, the first included */
    enum exit_status (*run)(struct options *options);
    const char *words;
} actions[] = {
    {"new", 2, 2, key_new, "FILE"},
    {"show", 2, 2, key_show, "FILE"},
    {"recover", 2, 3, key_recover, "STORES FILE"},
    {"passphrase", 2, 3, key_passphrase, "FILE [STORES]"},
};

/* Refuses options that ACTION has no use for: one is meant for something else then. */
static int check_words(const struct options *options, const struct action *action)
{
    const bool recovers = action->run == key_recover, changes = action->run == key_passphrase;
    const struct {
        bool given, wanted;
        const char *name;
    } rows[] = {
        {options->paper, recovers, "--paper"},
        {options->set_id, recovers, "--id"},
        {options->passphrase_file, recovers || changes, "--passphrase-file"},
        {options->stores.count > 0, recovers || changes, "--store"},
        {options->required > 0, recovers || changes, "--required"},
        {options->passphrase_removed, changes, "--remove"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].given && !rows[i].wanted)
            return log_as(-EINVAL, "key %s: takes no %s; see zfec-fs key --help", action->name,
                          rows[i].name);
    }
    return 0;
}

enum exit_status key_command(struct options *options)
{
    const char *word = options->word_count > 0 ? options->words[0] : "";
    const struct action *action = actions;

    while (action < actions + COUNT_OF(actions) && strcmp(action->name, word) != 0)
        action++;
    if (action == actions + COUNT_OF(actions))
        return log_as(EXIT_STATUS_USAGE,
                      "key: say what to do: new, show, recover or passphrase; see zfec-fs key "
                      "--help");
    if (options->word_count < action->least || options->word_count > action->most)
        return log_as(EXIT_STATUS_USAGE, "key %s: give %s; see zfec-fs key --help", word,
                      action->words);
    if (check_words(options, action) < 0)
        return EXIT_STATUS_USAGE;
    int r = seal_start();
    return r < 0 ? status_of(log_errno(r, "key")) : action->run(options);
}
