/* SPDX-License-Identifier: MIT */
#include "seal/key_file.h"

#include "base/log.h"
#include "base/names.h"
#include "base/number.h"
#include "share/block.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { CHECK_SIZE = 4 };

#define BESIDE     ".new-"
#define FIRST_LINE "zfec-fs key 1"

int master_key_new(struct master_key **ret)
{
    cleanup_secret struct master_key *key = seal_alloc(sizeof *key);

    if (!key)
        return -ENOMEM;
    int r = seal_random(key->master, sizeof key->master);
    if (r == 0)
        *ret = steal_pointer(key);
    return r;
}

int master_key_id(const struct master_key *key, uint8_t ret[SET_ID_SIZE])
{
    struct seal_keys *keys;

    int r = seal_keys_new(key->master, &keys);
    if (r < 0)
        return r;
    memcpy(ret, seal_keys_set_id(keys), SET_ID_SIZE);
    seal_keys_free(keys);
    return 0;
}

/* printf(3) would leave the secret in buffers that nobody wipes. */
static char *put_text(char *at, const char *text)
{
    return stpcpy(at, text);
}

static char *put_hex(char *at, const char *label, const uint8_t *bytes, size_t size)
{
    at = put_text(at, label);
    for (size_t i = 0; i < size; i++) {
        *at++ = "0123456789abcdef"[bytes[i] >> 4];
        *at++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return put_text(at, "\n");
}

size_t key_text_write(const struct master_key *key, char ret[KEY_TEXT_SIZE])
{
    const struct stretch *stretch = &key->stretch;
    uint8_t check[HASH_SIZE];
    char *end = put_text(ret, FIRST_LINE "\n");

    end = put_hex(end, "master ", key->master, KEY_SIZE);
    if (key->has_passphrase) {
        end = put_hex(end, "salt ", stretch->salt, SALT_SIZE);
        end += sprintf(end, "argon2id %u %u %u\n", stretch->memory_kib, stretch->passes,
                       stretch->lanes); /* not secret */
        end = put_hex(end, "passphrase ", key->passphrase_key, KEY_SIZE);
    }
    hash(ret, (size_t)(end - ret), 0, check);
    return (size_t)(put_hex(end, "check ", check, CHECK_SIZE) - ret);
}

/* Takes LABEL and SIZE bytes in hex at *AT. Their spelling is not checked here: in the end the
 * whole text is compared with what would be written. */
static bool take_hex(const char **at, const char *label, uint8_t *ret, size_t size)
{
    const size_t length = strlen(label);

    if (strncmp(*at, label, length) != 0)
        return false;
    *at += length;
    for (size_t i = 0; i < 2 * size; i++, (*at)++) {
        const char c = **at;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | digit);
    }
    return *(*at)++ == '\n';
}

static bool take_number(const char **at, char end, uint32_t *ret)
{
    unsigned long number;

    if (number_read(*at, 1, UINT32_MAX, &number, at) < 0 || **at != end)
        return false;
    (*at)++;
    *ret = (uint32_t)number;
    return true;
}

static bool take_stretch(const char **at, struct stretch *ret)
{
    const char label[] = "argon2id ";

    if (strncmp(*at, label, strlen(label)) != 0)
        return false;
    *at += strlen(label);
    return take_number(at, ' ', &ret->memory_kib) && take_number(at, ' ', &ret->passes) &&
           take_number(at, '\n', &ret->lanes) && stretch_is_possible(ret);
}

/* Returns the number of the line at OFFSET. */
static unsigned line_at(const char *text, size_t offset)
{
    unsigned line = 1;

    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

unsigned key_text_read(const char *text, size_t length, struct master_key *ret)
{
    const char *at = text;
    uint8_t check[CHECK_SIZE] = {0};
    unsigned line = 1;

    memset(ret, 0, sizeof *ret);
    if (length >= KEY_TEXT_SIZE || strncmp(text, FIRST_LINE "\n", sizeof FIRST_LINE) != 0)
        return line;
    at += sizeof FIRST_LINE;
    line++;
    if (!take_hex(&at, "master ", ret->master, KEY_SIZE))
        return line;
    line++;
    if (strncmp(at, "check ", 6) != 0) {
        ret->has_passphrase = true;
        if (!take_hex(&at, "salt ", ret->stretch.salt, SALT_SIZE))
            return line;
        line++;
        if (!take_stretch(&at, &ret->stretch))
            return line;
        line++;
        if (!take_hex(&at, "passphrase ", ret->passphrase_key, KEY_SIZE))
            return line;
        line++;
    }
    if (!take_hex(&at, "check ", check, CHECK_SIZE))
        return line;

    /*
     * The text must be exactly what is written for this key, including the check and leading zeros.
     */
    cleanup_secret char *written = seal_alloc(KEY_TEXT_SIZE);
    if (!written)
        return line;
    const size_t size = key_text_write(ret, written);
    size_t same = 0;
    while (same < size && same < length && written[same] == text[same])
        same++;
    return same == size && same == length ? 0 : line_at(text, same);
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t written = TEMP_FAILURE_RETRY(write(fd, text, length));
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        text += written;
        length -= (size_t)written;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* Opens the directory of PATH, to make its names durable. */
static int open_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

    if (!folder)
        return -ENOMEM;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Makes a name beside PATH that does not exist. If a run is killed, only the owner can read the
 * file. */
static char *name_beside(const char *path)
{
    uint64_t number = 0;
    char *name;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (uint64_t)getpid();
    return asprintf(&name, "%s" BESIDE "%08x", path, (unsigned)number) < 0 ? NULL : name;
}

static bool is_beside(const char *name, const char *file)
{
    const size_t length = strlen(file), end = strlen(BESIDE);

    return strncmp(name, file, length) == 0 && strncmp(name + length, BESIDE, end) == 0 &&
           strlen(name) == length + end + 8 && strspn(name + length + end, "0123456789abcdef") == 8;
}

/* Removes what killed runs left beside PATH: each such file has the whole key. */
static void remove_beside(int folder, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    cleanup_names struct names names = NO_NAMES;
    struct stat status;

    if (names_add_listing(&names, fcntl(folder, F_DUPFD_CLOEXEC, 0)) < 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names_get(&names, i);
        if (is_beside(name, file) && fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_size < KEY_TEXT_SIZE &&
            unlinkat(folder, name, 0) < 0)
            log_warning("%s: has all of a key, and cannot be removed: %s", name,
                        strerrordesc_np(errno));
    }
}

/* Keeps the file's owner, also if another user, such as root, writes it. */
static int set_owner(int fd, const char *path)
{
    struct stat before, now;

    if (stat(path, &before) < 0 || fstat(fd, &now) < 0)
        return -errno;
    return (before.st_uid != now.st_uid || before.st_gid != now.st_gid) &&
                   fchown(fd, before.st_uid, before.st_gid) < 0
               ? -errno
               : 0;
}

static int write_file(const char *path, const struct master_key *key, bool replace)
{
    cleanup_free char *beside = replace ? name_beside(path) : NULL;
    const char *name = replace ? beside : path;
    cleanup_secret char *text = seal_alloc(KEY_TEXT_SIZE);
    cleanup_fd int folder = open_folder(path);

    if (folder < 0 || !name || !text)
        return folder < 0 ? folder : -ENOMEM;
    remove_beside(folder, path);
    cleanup_fd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fchmod(fd, 0600) < 0 ? -errno : replace ? set_owner(fd, path) : 0;
    if (r == 0)
        r = write_all(fd, text, key_text_write(key, text));
    if (r == 0 && replace && rename(name, path) < 0)
        r = -errno;
    if (r < 0)
        unlink(name);
    else if (fsync(folder) < 0)
        r = -errno;
    return r;
}

int key_file_write(const char *path, const struct master_key *key, bool replace)
{
    cleanup_free char *real = replace ? realpath(path, NULL) : strdup(path);
    const int r = real ? write_file(real, key, replace) : -errno;

    if (r == -EEXIST)
        return log_as(r, "%s: is there already, and stays as it is: give another name", path);
    if (r < 0 && replace)
        return log_errno(r, "%s: cannot be written, so nothing was changed", path);
    return r < 0 ? log_errno(r, "%s", path) : 0;
}

/* Reads up to KEY_TEXT_SIZE - 1 bytes, and adds a NUL. */
static int read_text(int fd, char *ret, size_t *ret_length)
{
    size_t length = 0;

    for (ssize_t got = 1; got > 0 && length < KEY_TEXT_SIZE - 1; length += (size_t)got) {
        got = TEMP_FAILURE_RETRY(read(fd, ret + length, KEY_TEXT_SIZE - 1 - length));
        if (got < 0)
            return -errno;
    }
    ret[length] = '\0';
    *ret_length = length;
    return 0;
}

int key_file_read(const char *path, struct master_key **ret)
{
    cleanup_secret struct master_key *key = seal_alloc(sizeof *key);
    cleanup_secret char *text = seal_alloc(KEY_TEXT_SIZE);
    struct stat status;
    size_t length = 0;

    if (!key || !text)
        return log_errno(-ENOMEM, "%s", path);
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return log_errno(-errno, "%s", path);
    if (!S_ISREG(status.st_mode))
        return log_as(-EINVAL, "%s: is no file of a key: it is no regular file", path);
    if (status.st_mode & 077)
        return log_as(-EPERM,
                      "%s: others can read this key, or could: chmod 600 %s, and think of "
                      "who may have seen it",
                      path, path);
    const int r = read_text(fd, text, &length);
    if (r < 0)
        return log_errno(r, "%s", path);
    const unsigned line = key_text_read(text, length, key);
    if (line > 0)
        return log_as(-EBADMSG, "%s: is no intact file of a key: line %u is not as it was written",
                      path, line);
    *ret = steal_pointer(key);
    return 0;
}
