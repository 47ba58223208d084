/* SPDX-License-Identifier: MIT */
#include "sync/sets.h"

#include "base/array.h"
#include "base/log.h"
#include "base/number.h"
#include "sync/address.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LINE_MAX_SIZE = 8190,
    SECTION_MAX = 49, /* bytes of a name: files of the state have it */
    DAY_S = 24 * 60 * 60,
    DESCRIPTION_MAX = 256 * 1024,
    SEALED_MAX = 255,
};

#define SPACES    " \t\r\n\v\f"
#define BYTE_MARK "\xef\xbb\xbf"

struct sync_set *sets_find(const struct sets *sets, const char *name)
{
    for (size_t i = 0; i < sets->count; i++) {
        if (strcmp(sets->sets[i].name, name) == 0)
            return &sets->sets[i];
    }
    return NULL;
}

bool sets_is_sealed(const struct sync_set *set)
{
    return formats[set->encoding.format]->is_sealed;
}

/* What is being read. */
struct reading {
    const char *path;
    bool by_others;
    unsigned line;
    struct sets *sets;
    struct sync_set *set;    /* NULL: there was no section yet */
    struct sync_node *node;  /* NULL: this is the section of a set */
    uint64_t given;          /* a bit for each key that was in the section */
    const char *key, *value; /* of the line; VALUE is NULL where it is not what is looked at */
};

/* Logs "FILE:LINE: KEY = VALUE: ..." and returns -EINVAL. */
static int __attribute__((format(printf, 2, 3)))
refuse(const struct reading *reading, const char *format, ...)
{
    cleanup_free char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (reading->value)
        log_error("%s:%u: %s = %s: %s", reading->path, reading->line, reading->key, reading->value,
                  text ? text : format);
    else
        log_error("%s:%u: %s", reading->path, reading->line, text ? text : format);
    return -EINVAL;
}

/* Where each key may stand, and what its value means. Tests compare this with zfec-fs-sets(5). */
static const struct key {
    const char *name;
    enum {
        VALUE_TRUTH,  /* its field is a bool: yes or no, */
        VALUE_TORN,   /* allow or error, */
        VALUE_NUMBER, /* an unsigned from LEAST to MOST, */
        VALUE_TIME,   /* seconds up to MOST: 90, 90s, 15m, 6h, 2d, */
        VALUE_RATE,   /* a text, as rsync and rclone both understand it, */
        VALUE_PATH,   /* a text, */
        VALUE_TEXT,   /* any, */
        VALUE_ID,     /* a text of hex digits, as zfec-fs key show shows them, */
        VALUE_FORMAT,
        VALUE_BLOCK_SIZE,
        VALUE_SHARE, /* an int; the others have no field: */
        VALUE_EXCLUDE,
        VALUE_EXCLUDE_FROM,
        VALUE_RSYNC,
        VALUE_RCLONE,
    } value;
    enum where { IN_SET = 1, IN_NODE = 2, IN_BOTH = 3, TOLD = 4 /* in descriptions, too */ } where;
    size_t field; /* of struct sync_set or sync_node, or of struct terms where it may be in both */
    unsigned least, most;
} keys[] = {
#define SET(member)  offsetof(struct sync_set, member)
#define TERM(member) offsetof(struct terms, member)
    {"source", VALUE_PATH, IN_SET, SET(source), 0, 0},
    {"required", VALUE_NUMBER, IN_SET | TOLD, SET(encoding.required), 1, 255},
    {"shares", VALUE_NUMBER, IN_SET | TOLD, SET(encoding.shares), 1, 256},
    {"format", VALUE_FORMAT, IN_SET | TOLD, SET(encoding.format), 0, 0},
    {"block_size", VALUE_BLOCK_SIZE, IN_SET | TOLD, SET(encoding.block_size), 0, 0},
    {"exclude", VALUE_EXCLUDE, IN_SET, 0, 0, 0},
    {"exclude_from", VALUE_EXCLUDE_FROM, IN_SET, 0, 0, 0},
    {"xdev", VALUE_TRUTH, IN_SET, SET(rules.one_file_system), 0, 0},
    {"key", VALUE_PATH, IN_SET, SET(seal.key), 0, 0},
    {"key_on_nodes", VALUE_TRUTH, IN_SET, SET(seal.on_nodes), 0, 0},
    {"passphrase_file", VALUE_PATH, IN_SET, SET(seal.passphrase_file), 0, 0},
    {"id", VALUE_ID, IN_SET, SET(seal.id), 0, 0},
    {"describe", VALUE_TRUTH, IN_SET, SET(described), 0, 0},
    {"torn", VALUE_TORN, IN_SET, SET(rules.torn_allowed), 0, 0},
    {"check", VALUE_TIME, IN_SET, SET(check_within), 0, 3650 * DAY_S},
    {"on_problem", VALUE_TEXT, IN_SET, SET(on_problem), 0, 0},
    {"share", VALUE_SHARE, IN_NODE | TOLD, offsetof(struct sync_node, share), 0, 0},
    {"rsync", VALUE_RSYNC, IN_NODE | TOLD, 0, 0, 0},
    {"rclone", VALUE_RCLONE, IN_NODE | TOLD, 0, 0, 0},
    {"delete", VALUE_TRUTH, IN_BOTH, TERM(remove), 0, 0},
    {"max_delete", VALUE_NUMBER, IN_BOTH, TERM(removals), 1, 1000000000},
    {"attributes", VALUE_TRUTH, IN_BOTH, TERM(attributes), 0, 0},
    {"symlinks", VALUE_TRUTH, IN_BOTH, TERM(symlinks), 0, 0},
    {"metadata", VALUE_TRUTH, IN_BOTH, TERM(metadata), 0, 0},
    {"checksum", VALUE_TRUTH, IN_BOTH, TERM(look_at_checksums), 0, 0},
    {"modify_window", VALUE_NUMBER, IN_BOTH, TERM(time_window), 0, 3600},
    {"deadline", VALUE_TIME, IN_BOTH, TERM(deadline), 0, 30 * DAY_S},
    {"timeout", VALUE_TIME, IN_BOTH, TERM(timeout), 0, DAY_S},
    {"max_behind", VALUE_TIME, IN_BOTH, TERM(max_behind), 0, 3650 * DAY_S},
    {"retries", VALUE_NUMBER, IN_BOTH, TERM(retries), 0, 100},
    {"bwlimit", VALUE_RATE, IN_BOTH, TERM(rate), 0, 0},
    {"ssh_key", VALUE_PATH, IN_BOTH, TERM(ssh_key), 0, 0},
    {"ssh_config", VALUE_PATH, IN_BOTH, TERM(ssh_config), 0, 0},
    {"password_file", VALUE_PATH, IN_BOTH, TERM(password_file), 0, 0},
    {"rclone_config", VALUE_PATH, IN_BOTH, TERM(rclone_config), 0, 0},
#undef TERM
#undef SET
};

_Static_assert(COUNT_OF(keys) <= 64, "reading.given has a bit for each");

static int take_share(struct reading *reading, int *ret)
{
    const struct sync_set *set = reading->set;
    const char *end;
    unsigned index;

    if (number_read_share(reading->value, &index, &end) < 0 || *end)
        return refuse(reading, "write two hex digits, 00 to ff");
    if (set->encoding.shares > 0 && index >= set->encoding.shares)
        return refuse(reading, "[%s] has shares = %u; write 00 to %02x", set->name,
                      set->encoding.shares, set->encoding.shares - 1);
    for (size_t i = 0; i < set->count; i++) {
        if (set->nodes[i].share == (int)index)
            return refuse(reading, "[%s/%s] has it already; write another one", set->name,
                          set->nodes[i].name);
    }
    *ret = (int)index;
    return 0;
}

/* A remote of rclone's may say by itself which program it runs; an old rsync has a shell read the
 * path, behind ssh. */
static bool is_harmless(const char *target, const struct mover *mover)
{
    size_t length = strcspn(target, ":,=\"'`");

    return mover == &rclone_mover
               ? length > 0 && target[length] == ':'
               : address_kind(target) != ADDRESS_SSH || !strpbrk(target, "$`;|&<>()\\\"'");
}

/* Two nodes at one place, or one within the other, would spoil each other. */
static int take_target(struct reading *reading, const struct mover *mover)
{
    struct sync_node *node = reading->node;
    const char *wrong = address_mistake(reading->value, mover == &rsync_mover);

    if (node->mover)
        return refuse(reading, "this node has a target already; write either rsync or rclone");
    if (wrong)
        return refuse(reading, "%s", wrong);
    if (reading->by_others && !is_harmless(reading->value, mover))
        return refuse(reading, "no description may name such a place");
    for (size_t i = 0; i < reading->sets->count; i++) {
        const struct sync_set *set = &reading->sets->sets[i];
        for (size_t at = 0; at < set->count; at++) {
            const struct sync_node *other = &set->nodes[at];
            if (other->mover == mover && addresses_overlap(other->target, reading->value))
                return refuse(reading, "[%s/%s] is there already; write another place", set->name,
                              other->name);
        }
    }
    node->mover = mover;
    node->target = reading->value;
    return 0;
}

/* Takes the value of the line to FIELD. */
static int take_value(struct reading *reading, const struct key *key, void *field)
{
    const char *value = reading->value, *end = "", *unit;
    unsigned long number = 0;
    int r = 0;

    if ((key->value == VALUE_PATH || key->value == VALUE_EXCLUDE_FROM) && *value != '/')
        return refuse(reading, "write an absolute path");
    switch (key->value) {
    case VALUE_TRUTH:
    case VALUE_TORN: {
        const char *yes = key->value == VALUE_TRUTH ? "yes" : "allow";
        const char *no = key->value == VALUE_TRUTH ? "no" : "error";
        *(bool *)field = strcmp(value, yes) == 0;
        if (strcmp(value, yes) != 0 && strcmp(value, no) != 0)
            return refuse(reading, "write %s or %s", yes, no);
        return 0;
    }
    case VALUE_NUMBER:
        if (number_read(value, key->least, key->most, &number, &end) < 0 || *end)
            return refuse(reading, "write a whole number from %u to %u", key->least, key->most);
        if (field == &reading->set->encoding.required)
            reading->set->required_line = reading->line;
        *(unsigned *)field = (unsigned)number;
        return 0;
    case VALUE_TIME: {
        static const char units[] = "smhd";
        static const unsigned seconds[] = {1, 60, 60 * 60, DAY_S};
        r = number_read(value, 1, key->most, &number, &end);
        unit = r == 0 && *end ? strchr(units, *end) : units;
        if (r < 0 || !unit || (*end && end[1]) || number > key->most / seconds[unit - units])
            return refuse(reading, "write a time like 90s, 15m, 6h or 2d, at most %u days",
                          key->most / DAY_S);
        *(unsigned *)field = (unsigned)number * seconds[unit - units];
        return 0;
    }
    case VALUE_RATE:
        if (number_read(value, 1, 1000000000, &number, &end) < 0 || !*end || !strchr("KMG", *end) ||
            end[1])
            return refuse(reading, "write bytes a second like 500K or 2M");
        /* fall through */
    case VALUE_ID:
        if (key->value == VALUE_ID && (strlen(value) != 2 * (size_t)SET_ID_SIZE ||
                                       strspn(value, "0123456789abcdef") != strlen(value)))
            return refuse(reading, "write the %d digits that zfec-fs key show shows",
                          2 * SET_ID_SIZE);
        /* fall through */
    case VALUE_PATH:
    case VALUE_TEXT:
        *(const char **)field = value;
        return 0;
    case VALUE_FORMAT:
        r = share_format_from_name(value, field);
        return r < 0 ? refuse(reading, "write " FORMAT_NAMES) : 0;
    case VALUE_BLOCK_SIZE:
        r = block_size_from_text(value, field);
        return r < 0 ? refuse(reading, "write a power of two from 4K to 1M") : 0;
    case VALUE_SHARE:
        return take_share(reading, field);
    case VALUE_EXCLUDE:
        return excludes_add(reading->set->rules.excludes, value);
    case VALUE_EXCLUDE_FROM:
        r = excludes_add_file(reading->set->rules.excludes, value);
        if (r == -EINVAL)
            return refuse(reading, "not a text file; write the path of one");
        return r < 0 ? refuse(reading, "%s; write the path of a file with a pattern a line",
                              strerrordesc_np(-r))
                     : 0;
    case VALUE_RSYNC:
    case VALUE_RCLONE:
        return take_target(reading, key->value == VALUE_RSYNC ? &rsync_mover : &rclone_mover);
    }
    return r;
}

/* Returns NULL if there is none of this name. */
static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static int take_key(struct reading *reading, const char *name, const char *value)
{
    const struct key *key = find_key(name);
    struct sync_set *set = reading->set;
    struct sync_node *node = reading->node;

    if (!set)
        return refuse(reading, "%s: write a [section] before it", name);
    if (!key)
        return refuse(reading, "%s: unknown key; zfec-fs-sets(5) has them all", name);
    if (reading->by_others && !(key->where & TOLD))
        return refuse(reading, "%s: does not belong there", name);
    if (!(key->where & (node ? IN_NODE : IN_SET)))
        return refuse(reading, "%s: write it in the section of a %s", name, node ? "set" : "node");
    uint64_t bit = UINT64_C(1) << (key - keys);
    bool is_list = key->value == VALUE_EXCLUDE || key->value == VALUE_EXCLUDE_FROM;
    if (!is_list && (reading->given & bit))
        return refuse(reading, "%s: it is there twice; leave one out", name);
    if (!*value)
        return refuse(reading, "%s: write a value behind the =", name);
    reading->given |= bit;
    reading->key = name;
    reading->value = value;
    enum where where = key->where & IN_BOTH;
    void *whole = where == IN_SET    ? (void *)set
                  : where == IN_NODE ? (void *)node
                  : node             ? &node->terms
                                     : &set->terms;
    int r = take_value(reading, key, (char *)whole + key->field);
    reading->value = NULL;
    return r;
}

/* The lines. */

static bool is_name(const char *name, size_t length)
{
    return length > 0 && *name != '.' && *name != '-' &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "._-") >= length;
}

/* Adds an empty set at the end. */
static int add_set(struct reading *reading, const char *name)
{
    struct sets *sets = reading->sets;
    struct sync_set *more = reallocarray(sets->sets, sets->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    sets->sets = more;
    reading->node = NULL;
    reading->set = &more[sets->count];
    *reading->set = (struct sync_set){
        .name = name,
        .line = reading->line,
        .check_within = 30 * DAY_S,
        .described = true,
        .encoding = {.format = SHARE_CHECKED, .block_size = BLOCK_SIZE_DEFAULT},
        .seal = {.on_nodes = true},
        .terms = {.attributes = true,
                  .symlinks = true,
                  .removals = 1000,
                  .deadline = DAY_S,
                  .timeout = 5 * 60,
                  .retries = 2},
    };
    int r = excludes_new(&reading->set->rules.excludes);
    sets->count += r == 0;
    return r;
}

/* Adds an empty node to SET, with the terms of that. */
static int add_node(struct reading *reading, struct sync_set *set, const char *name)
{
    struct sync_node *more = reallocarray(set->nodes, set->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    set->nodes = more;
    reading->set = set;
    reading->node = &more[set->count++];
    *reading->node = (struct sync_node){
        .name = name, .set = set->name, .line = reading->line, .share = -1, .terms = set->terms};
    return 0;
}

static int begin_section(struct reading *reading, char *name)
{
    size_t length = strcspn(name, "/");
    char *node_name = name[length] ? name + length + 1 : NULL;

    if (strlen(name) > SECTION_MAX)
        return refuse(reading, "give a name of at most %d bytes", SECTION_MAX);
    if (!is_name(name, length) || (node_name && !is_name(node_name, strlen(node_name))))
        return refuse(reading,
                      "[%s]: write [SET] or [SET/NODE], names of letters, digits, . _ and -", name);
    name[length] = '\0';
    struct sync_set *set = sets_find(reading->sets, name);
    if (node_name && !set)
        return refuse(reading, "[%s/%s]: write the section [%s] before its nodes", name, node_name,
                      name);
    if (!node_name && set)
        return refuse(reading, "[%s] is there already; write another name", name);
    for (size_t i = 0; set && i < set->count; i++) {
        if (strcmp(set->nodes[i].name, node_name) == 0)
            return refuse(reading, "[%s/%s] is there already; write another name", name, node_name);
    }
    reading->given = 0;
    return node_name ? add_node(reading, set, node_name) : add_set(reading, name);
}

/* Takes the spaces off both ends of TEXT. */
static char *trim(char *text)
{
    text += strspn(text, SPACES);
    for (char *end = text + strlen(text); end > text && strchr(SPACES, end[-1]);)
        *--end = '\0';
    return text;
}

/* ; and # begin comments only at the beginning of a line: paths and patterns may have them. */
static int take_line(struct reading *reading, char *line)
{
    char *text = trim(line);

    if (!*text || *text == ';' || *text == '#')
        return 0;
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (!end)
            return refuse(reading, "this section has no \"]\" at its end");
        *end = '\0';
        return begin_section(reading, text + 1);
    }
    char *value = strpbrk(text, "=:");
    const bool has_colon = value && *value == ':'; /* behind a key, or in a value without one */
    if (value)
        *value++ = '\0';
    const char *name = trim(text);
    if (!value || (has_colon && !find_key(name)))
        return refuse(reading, "write KEY = VALUE, or [SET], or [SET/NODE]");
    return take_key(reading, name, trim(value));
}

/* Refuses keys of sealed shares in other sets, and what sealed shares cannot be. */
static int check_seal(struct reading *reading, const struct sync_set *set)
{
    const struct seal_terms *seal = &set->seal;
    const bool given = seal->key || seal->passphrase_file || seal->id || !seal->on_nodes;

    if (given && !sets_is_sealed(set))
        return refuse(reading,
                      "[%s]: key, key_on_nodes, passphrase_file and id are of sealed shares; "
                      "write format = sealed, or leave them out",
                      set->name);
    if (sets_is_sealed(set) && set->encoding.shares > SEALED_MAX)
        return refuse(reading, "[%s]: sealed shares are %d at most, 00 to %02x", set->name,
                      SEALED_MAX, SEALED_MAX - 1);
    if (sets_is_sealed(set) && set->encoding.required == 1 && seal->on_nodes &&
        !seal->passphrase_file && !reading->by_others)
        return refuse(reading,
                      "[%s]: with required = 1 each node alone would have the key; write "
                      "key_on_nodes = no, or passphrase_file = FILE",
                      set->name);
    return 0;
}

/* Returns 0 if a whole set makes sense; otherwise logs why not. */
static int check_set(struct reading *reading, struct sync_set *set)
{
    struct encoding *encoding = &set->encoding;
    unsigned shares = encoding->required;

    reading->line = set->line;
    if (encoding->required == 0)
        return refuse(reading, "[%s]: write required = K, how many nodes are enough", set->name);
    for (size_t i = 0; i < set->count; i++) {
        const struct sync_node *node = &set->nodes[i];
        reading->line = node->line;
        if (node->share < 0)
            return refuse(reading, "[%s/%s]: write share = 00, or another one", set->name,
                          node->name);
        if (!node->mover)
            return refuse(reading, "[%s/%s]: write rsync = HOST:PATH or rclone = REMOTE:PATH",
                          set->name, node->name);
        if ((unsigned)node->share >= shares)
            shares = (unsigned)node->share + 1;
    }
    reading->line = set->required_line;
    if (encoding->required > set->count)
        return refuse(reading, "required = %u: [%s] has %zu nodes; add nodes, or lower required",
                      encoding->required, set->name, set->count);
    if (encoding->shares == 0)
        encoding->shares = shares;
    if (encoding->required > encoding->shares)
        return refuse(reading, "required = %u: more than shares = %u", encoding->required,
                      encoding->shares);
    return check_seal(reading, set);
}

int sets_read(const char *path, const char *of, struct sets *ret)
{
    struct reading reading = {.path = of ? of : path, .by_others = of, .sets = ret};
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    size_t room = 0;
    int r = 0;

    *ret = (struct sets){0};
    if (fd < 0 && errno == ENOENT)
        return log_as(-ENOENT,
                      "%s: there is no such file; write one after the example in "
                      "zfec-fs-sets(5), or name another with --config",
                      path);
    if (fd < 0 || fstat(fd, &status) < 0)
        return log_errno(-errno, "%s", path);
    if (of && status.st_size > DESCRIPTION_MAX)
        return log_as(-EINVAL, "%s: is too large to describe a set", of);
    if (!S_ISREG(status.st_mode)) /* what may have no end, or no beginning: a FIFO, a device */
        return log_as(-EINVAL, "%s: is not a file; give the path of one", reading.path);
    FILE *file = fdopen(fd, "r");
    if (!file)
        return log_errno(-errno, "%s", path);
    steal_fd(&fd);
    ssize_t size = getdelim(&ret->text, &room, '\0', file);
    if (size < 0 && !feof(file))
        r = log_errno(-errno, "%s", path);
    fclose(file);
    char *rest = size > 0 ? ret->text : NULL;
    const char *end = rest ? rest + strlen(rest) : NULL; /* a NUL of the file, or behind it */
    if (rest && strncmp(rest, BYTE_MARK, strlen(BYTE_MARK)) == 0)
        rest += strlen(BYTE_MARK);
    for (char *line; r == 0 && (line = strsep(&rest, "\n"));) {
        reading.line++;
        r = strlen(line) <= LINE_MAX_SIZE && (rest || end == ret->text + size)
                ? take_line(&reading, line)
                : refuse(&reading, "give a line of less than %d bytes, without NUL", LINE_MAX_SIZE);
    }
    for (size_t i = 0; r == 0 && i < ret->count; i++)
        r = check_set(&reading, &ret->sets[i]);
    if (r == 0 && ret->count == 0)
        r = log_as(-EINVAL, "%s: has no sets; zfec-fs-sets(5) says how to write them",
                   reading.path);
    return r;
}

void sets_forget(struct sync_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        names_clear(&set->nodes[i].memory.different);
        set->nodes[i].memory = (struct memory){0};
    }
    names_clear(&set->watch.told);
    set->watch = (struct watch){.told = NO_NAMES};
    set->root_ns = 0;
}

void sets_clear(struct sets *sets)
{
    for (size_t i = 0; i < sets->count; i++) {
        struct sync_set *set = &sets->sets[i];
        sets_forget(set);
        excludes_free(set->rules.excludes);
        free(set->nodes);
    }
    free(sets->sets);
    free(sets->text);
}
