/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include "base/array.h"
#include "base/log.h"
#include "cli/key_actions.h"
#include "cli/node_keys.h"
#include "cli/output.h"
#include "cli/passphrase_from.h"
#include "cli/set_id.h"
#include "seal/key_paper.h"
#include "sync/child.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { QR_S = 20, PAPER_MAX = 4096 };

static enum exit_status key_new(struct options *options)
{
    cleanup_secret struct master_key *key = NULL;
    const char *path = options->words[1];

    int r = node_keys_refuse_store(path);
    if (r < 0)
        return key_status(r);
    r = master_key_new(&key);
    if (r < 0)
        return key_status(log_errno(r, "%s", path));
    r = key_file_write(path, key, false);
    if (r == 0)
        r = key_tell(path, key, "a new key");
    if (r == 0)
        output_text(COLOUR_WARNING, "Keep a copy of it elsewhere: zfec-fs key show %s", path);
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

/* Writes what is to be printed on paper, bypassing buffers that nobody wipes. */
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

/* Shows the text of the key's file as a picture for a camera, if the program for that exists. */
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
        return key_status(log_errno(-ENOMEM, "%s", path));
    int r = key_file_read(path, &key);
    if (r == 0)
        r = key_tell(path, key, "a key");
    if (r < 0)
        return EXIT_STATUS_FAILED;
    if (options->json || options->quiet)
        return EXIT_STATUS_OK;
    output_text(COLOUR_NONE, "To have it back from paper, type these lines: zfec-fs key recover "
                             "--paper - FILE");
    r = write_out(paper, key_paper_write(key, paper));
    if (r < 0)
        return key_status(log_errno(r, "standard output"));
    if (isatty(STDOUT_FILENO))
        show_picture(key);
    return EXIT_STATUS_OK;
}

/* Reads all of PATH (-: standard input) into PAPER, and adds a NUL. */
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
        return key_status(log_errno(-ENOMEM, "%s", path));
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
        r = key_tell(path, key, "the key from the paper");
    return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static const char *const verdicts[] = {
    [KEY_UNKNOWN] = "not used",
    [KEY_RIGHT] = "right",
    [KEY_WRONG] = "wrong: it is damaged or forged",
    [KEY_OTHER_TERMS] = "of the same key under another passphrase, or for another k",
    [KEY_OTHER_SET] = "of another set",
};

/* Reports a wrong key of a store; with VERBOSE, also a right one. */
static bool tell_node(const struct node_key *node, const struct found_key *file, bool verbose)
{
    const bool is_copy = node->error == 0 && node->share >= 0 && node->share != file->share.index;
    const bool right = node->error == 0 && file->verdict == KEY_RIGHT && !is_copy;

    if (right && !verbose)
        return true;
    if (node->error < 0 && node->error != -ENOENT && node->error != -EBADMSG)
        key_tell_failure(node->path, "read", node->error);
    else
        key_tell_store(node->path,
                       node->error == -ENOENT ? "missing"
                       : node->error < 0      ? "damaged, or no key"
                       : is_copy ? "that of another share than the store's; zfec-fs repair mends it"
                                 : verdicts[file->verdict],
                       right);
    return right;
}

/* Reports wrong keys of stores. Returns how many there are. */
static size_t tell_nodes(const struct options *options, const struct node_keys *keys)
{
    size_t wrong = 0;

    for (size_t i = 0; i < keys->count; i++)
        wrong += !tell_node(&keys->nodes[i], &keys->files[i], options->verbose);
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
    /* before the user is asked for anything */
    if (r == 0 && access(path, F_OK) == 0)
        r = log_as(-EEXIST, "%s: is there already, and stays as it is: give another name", path);
    if (r < 0)
        return key_status(r);
    r = node_keys_search(options, &keys, options->set_id ? id : NULL, &key);
    const size_t wrong = tell_nodes(options, &keys);
    if (r == -ENOKEY || r == -ECANCELED || r == -EINVAL)
        return EXIT_STATUS_FAILED; /* logged where it happened */
    cleanup_free char *why = r < 0 ? node_keys_error(&keys, r) : NULL;
    if (r < 0)
        return log_as(r == -ENODATA || r == -EBADMSG ? EXIT_STATUS_LOST : EXIT_STATUS_FAILED,
                      "no key: %s", why ? why : strerrordesc_np(-r));
    r = key_file_write(path, key, false);
    if (r == 0)
        r = key_tell(path, key, "the key of the stores");
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
    int r = key_take_words(options, true, &path);
    if (r == 0)
        r = node_keys_refuse_store(path);
    if (r < 0)
        return key_status(r);
    return options->paper ? recover_from_paper(options, path) : recover_from_stores(options, path);
}

/* The actions of zfec-fs key, by its first word. */
static const struct action {
    const char *name;
    size_t least, most; /* of words, including the first */
    enum exit_status (*run)(struct options *options);
    const char *words;
} actions[] = {
    {"new", 2, 2, key_new, "FILE"},
    {"show", 2, 2, key_show, "FILE"},
    {"recover", 2, 3, key_recover, "STORES FILE"},
    {"passphrase", 2, 3, key_passphrase, "FILE [STORES]"},
};

/* Refuses options that ACTION does not use: the user probably means something else. */
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
    return r < 0 ? key_status(log_errno(r, "key")) : action->run(options);
}
