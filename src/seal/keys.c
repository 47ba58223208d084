/* SPDX-License-Identifier: MIT */
#include "seal/keys.h"

#include "base/bytes.h"
#include "base/lock.h"
#include "base/log.h"

#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
    HASHED_SIZE = 32, /* of SHA-256 */
    /* For the keys themselves and, while a stripe is sealed or opened, its thread's state. */
    SECRET_BYTES = 256 << 10,
    IDLE_MAX = 8, /* so many threads find an HMAC ready */
};

/* HMACs keyed for ids: setting the key takes longer than using it. */
struct id_macs {
    pthread_mutex_t lock;
    gcry_md_hd_t idle[IDLE_MAX];
    size_t count;
};

struct seal_keys {
    struct id_macs *macs;
    uint8_t master[KEY_SIZE];
    uint8_t content[KEY_SIZE], manifest[KEY_SIZE], names[KEY_SIZE], links[KEY_SIZE],
        times[KEY_SIZE];
    uint8_t set_id[SET_ID_SIZE];
};

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>

/* Has LeakSanitizer search locked memory as well: it holds the only pointers to some of
 * libgcrypt's. */
static void show_locked_memory(void)
{
    char *first = gcry_malloc_secure(1); /* at the beginning of the pool */

    if (first)
        __lsan_register_root_region(first - (uintptr_t)first % 4096, SECRET_BYTES);
    gcry_free(first);
}
#else
static void show_locked_memory(void)
{
}
#endif

int seal_start(void)
{
    static const struct rlimit none = {0, 0};

    /* The limit does not bind a program that core dumps are piped to. */
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
        return 0;
    if (!gcry_check_version("1.10.0"))
        return log_as(-ENOSYS, "libgcrypt is older than 1.10");
    gcry_control(GCRYCTL_SUSPEND_SECMEM_WARN);
    gcry_control(GCRYCTL_INIT_SECMEM, SECRET_BYTES, 0);
    gcry_control(GCRYCTL_RESUME_SECMEM_WARN);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    show_locked_memory();
    return 0;
}

static int from_library(gcry_error_t error)
{
    if (error == 0)
        return 0;
    if (gcry_err_code(error) == GPG_ERR_CHECKSUM)
        return -EBADMSG;
    return gcry_err_code(error) == GPG_ERR_ENOMEM ? -ENOMEM : -EIO;
}

int seal_random(uint8_t *ret, size_t size)
{
    gcry_randomize(ret, size, GCRY_VERY_STRONG_RANDOM);
    return 0;
}

void *seal_alloc(size_t size)
{
    return gcry_calloc_secure(1, size);
}

void seal_free(void *secret)
{
    gcry_free(secret); /* wipes secure memory */
}

bool seal_equal(const void *left, const void *right, size_t size)
{
    const volatile uint8_t *a = left, *b = right;
    uint8_t differences = 0;

    for (size_t i = 0; i < size; i++)
        differences |= (uint8_t)(a[i] ^ b[i]);
    return differences == 0;
}

/* A part of what is hashed. */
struct part {
    const void *bytes;
    size_t size;
};

/* Computes HMAC-SHA-256 over the concatenated parts. */
static int mac(const uint8_t key[KEY_SIZE], const struct part parts[], size_t count,
               uint8_t ret[HASHED_SIZE])
{
    gcry_md_hd_t md;

    int r =
        from_library(gcry_md_open(&md, GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC | GCRY_MD_FLAG_SECURE));
    if (r < 0)
        return r;
    r = from_library(gcry_md_setkey(md, key, KEY_SIZE));
    for (size_t i = 0; r == 0 && i < count; i++)
        gcry_md_write(md, parts[i].bytes, parts[i].size);
    if (r == 0)
        memcpy(ret, gcry_md_read(md, GCRY_MD_SHA256), HASHED_SIZE);
    gcry_md_close(md);
    return r;
}

int seal_expand(const uint8_t secret[KEY_SIZE], const void *info, size_t info_size, uint8_t *ret,
                size_t size)
{
    uint8_t block[HASHED_SIZE], number = 0;
    int r = size <= (size_t)255 * HASHED_SIZE ? 0 : -EINVAL;

    for (size_t done = 0; r == 0 && done < size; done += HASHED_SIZE) {
        const struct part parts[] = {
            {block, done > 0 ? sizeof block : 0}, {info, info_size}, {&number, 1}};
        number++;
        r = mac(secret, parts, 3, block);
        if (r == 0)
            memcpy(ret + done, block, size - done < HASHED_SIZE ? size - done : HASHED_SIZE);
    }
    explicit_bzero(block, sizeof block);
    return r;
}

static int derive(const struct seal_keys *keys, const char *label, uint8_t *ret, size_t size)
{
    char info[64];

    int length = snprintf(info, sizeof info, "zfec-fs sealed 1 %s", label);
    return seal_expand(keys->master, info, (size_t)length, ret, size);
}

int seal_keys_new(const uint8_t master[KEY_SIZE], struct seal_keys **ret)
{
    cleanup_seal_keys struct seal_keys *keys = seal_alloc(sizeof *keys);

    if (!keys || !(keys->macs = calloc(1, sizeof *keys->macs)))
        return -ENOMEM;
    pthread_mutex_init(&keys->macs->lock, NULL);
    memcpy(keys->master, master, KEY_SIZE);
    int r = derive(keys, "content", keys->content, KEY_SIZE);
    if (r == 0)
        r = derive(keys, "manifest", keys->manifest, KEY_SIZE);
    if (r == 0)
        r = derive(keys, "names", keys->names, KEY_SIZE);
    if (r == 0)
        r = derive(keys, "links", keys->links, KEY_SIZE);
    if (r == 0)
        r = derive(keys, "times", keys->times, KEY_SIZE);
    if (r == 0)
        r = derive(keys, "id", keys->set_id, SET_ID_SIZE);
    if (r == 0)
        *ret = steal_pointer(keys);
    return r;
}

void seal_keys_free(struct seal_keys *keys)
{
    if (keys->macs) {
        while (keys->macs->count > 0)
            gcry_md_close(keys->macs->idle[--keys->macs->count]);
        pthread_mutex_destroy(&keys->macs->lock);
        free(keys->macs);
    }
    seal_free(keys);
}

const uint8_t *seal_keys_master(const struct seal_keys *keys)
{
    return keys->master;
}

const uint8_t *seal_keys_set_id(const struct seal_keys *keys)
{
    return keys->set_id;
}

static gcry_md_hd_t take_idle(struct id_macs *macs)
{
    HOLD(&macs->lock);
    return macs->count > 0 ? macs->idle[--macs->count] : NULL;
}

/* Returns false if there is no room. */
static bool give_idle(struct id_macs *macs, gcry_md_hd_t md)
{
    HOLD(&macs->lock);
    if (macs->count == IDLE_MAX)
        return false;
    macs->idle[macs->count++] = md;
    return true;
}

int seal_path_id(const struct seal_keys *keys, const char *path, uint8_t ret[PATH_ID_SIZE])
{
    gcry_md_hd_t md = take_idle(keys->macs);
    int r = 0;

    if (!md) {
        r = from_library(
            gcry_md_open(&md, GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC | GCRY_MD_FLAG_SECURE));
        if (r < 0)
            return r;
        r = from_library(gcry_md_setkey(md, keys->names, KEY_SIZE));
    }
    if (r == 0) {
        gcry_md_write(md, path, strlen(path));
        memcpy(ret, gcry_md_read(md, GCRY_MD_SHA256), PATH_ID_SIZE);
        gcry_md_reset(md); /* keeps the key */
    }
    if (r < 0 || !give_idle(keys->macs, md))
        gcry_md_close(md);
    return r;
}

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

/* Five bytes make eight digits. */
void seal_id_name(const uint8_t id[PATH_ID_SIZE], char ret[PATH_ID_DIGITS + 1])
{
    for (size_t i = 0; i < PATH_ID_DIGITS; i++) {
        size_t bit = i * 5;
        unsigned two = (unsigned)id[bit / 8] << 8;
        if (bit / 8 + 1 < PATH_ID_SIZE)
            two |= id[bit / 8 + 1];
        ret[i] = digits[two >> (11 - bit % 8) & 31];
    }
    ret[PATH_ID_DIGITS] = '\0';
}

int seal_id_from_name(const char *name, uint8_t ret[PATH_ID_SIZE])
{
    uint8_t id[PATH_ID_SIZE] = {0};

    if (strlen(name) != PATH_ID_DIGITS)
        return -EINVAL;
    for (size_t i = 0; i < PATH_ID_DIGITS; i++) {
        const char *digit = strchr(digits, name[i]);
        size_t bit = i * 5;
        if (!digit)
            return -EINVAL;
        unsigned two = (unsigned)(digit - digits) << (11 - bit % 8);
        id[bit / 8] |= (uint8_t)(two >> 8);
        if (bit / 8 + 1 < PATH_ID_SIZE)
            id[bit / 8 + 1] |= (uint8_t)two;
    }
    memcpy(ret, id, sizeof id);
    return 0;
}

int seal_link_id(const struct seal_keys *keys, uint64_t inode, uint64_t size, int64_t mtime_ns,
                 const char *root, uint8_t ret[LINK_ID_SIZE])
{
    uint8_t numbers[24], whole[HASHED_SIZE];
    const struct part parts[] = {{numbers, sizeof numbers}, {root, strlen(root)}};

    store_le64(numbers, inode);
    store_le64(numbers + 8, size);
    store_le64(numbers + 16, (uint64_t)mtime_ns);
    int r = mac(keys->links, parts, 2, whole);
    if (r == 0)
        memcpy(ret, whole, LINK_ID_SIZE);
    return r;
}

int seal_time_fraction(const struct seal_keys *keys, const void *content, size_t size,
                       uint32_t *ret)
{
    const struct part part = {content, size};
    uint8_t whole[HASHED_SIZE];

    int r = mac(keys->times, &part, 1, whole);
    if (r == 0)
        *ret = (uint32_t)(load_le64(whole) % 1000000);
    return r;
}

struct seal_place seal_place_of_file(const struct seal_keys *keys, const uint8_t id[PATH_ID_SIZE])
{
    struct seal_place place = {.keys = keys};

    memcpy(place.bound, id, PATH_ID_SIZE);
    return place;
}

struct seal_place seal_place_of_manifest(const struct seal_keys *keys, const uint8_t header[32])
{
    struct seal_place place = {.keys = keys, .manifest = true};

    memcpy(place.bound, header + 16, sizeof place.bound);
    return place;
}

/* Sets up a cipher with the stripe's key, nonce and associated data. */
static int start(const struct seal_place *place, uint64_t stripe, bool last, gcry_cipher_hd_t *ret)
{
    uint8_t nonce[12] = {0}, bound[TAG_SIZE];
    size_t size = place->manifest ? sizeof bound : PATH_ID_SIZE + 1;
    gcry_cipher_hd_t cipher;

    store_le64(nonce, stripe);
    memcpy(bound, place->bound, sizeof bound);
    if (!place->manifest)
        bound[PATH_ID_SIZE] = last;
    gcry_error_t error =
        gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM_SIV, GCRY_CIPHER_SECURE);
    if (error)
        return from_library(error);
    error = gcry_cipher_setkey(
        cipher, place->manifest ? place->keys->manifest : place->keys->content, KEY_SIZE);
    if (!error)
        error = gcry_cipher_setiv(cipher, nonce, sizeof nonce);
    if (!error)
        error = gcry_cipher_authenticate(cipher, bound, size);
    if (error)
        gcry_cipher_close(cipher);
    else
        *ret = cipher;
    return from_library(error);
}

int seal_stripe(const struct seal_place *place, uint64_t stripe, bool last, uint8_t *data,
                size_t size, uint8_t ret_tag[TAG_SIZE])
{
    gcry_cipher_hd_t cipher;

    int r = start(place, stripe, last, &cipher);
    if (r < 0)
        return r;
    gcry_error_t error = gcry_cipher_encrypt(cipher, data, size, NULL, 0);
    if (!error)
        error = gcry_cipher_gettag(cipher, ret_tag, TAG_SIZE);
    gcry_cipher_close(cipher);
    return from_library(error);
}

int seal_open_stripe(const struct seal_place *place, uint64_t stripe, bool last, uint8_t *data,
                     size_t size, const uint8_t tag[TAG_SIZE])
{
    gcry_cipher_hd_t cipher;

    int r = start(place, stripe, last, &cipher);
    if (r < 0)
        return r;
    gcry_error_t error = gcry_cipher_set_decryption_tag(cipher, tag, TAG_SIZE);
    if (!error)
        error = gcry_cipher_decrypt(cipher, data, size, NULL, 0);
    if (!error)
        error = gcry_cipher_checktag(cipher, tag, TAG_SIZE);
    gcry_cipher_close(cipher);
    return from_library(error);
}

static int open_stripe(const struct stripe_opener *opaque, uint64_t stripe, uint8_t *data,
                       const uint8_t digest[HASH_SIZE])
{
    const struct seal_opener *opener = (const struct seal_opener *)opaque;
    const struct share_layout *layout = &opener->layout;

    return seal_open_stripe(&opener->place, stripe, stripe + 1 == layout_stripes(layout), data,
                            layout_stripe_size(layout, stripe), digest);
}

struct seal_opener seal_opener(const struct seal_place *place, const struct share_layout *layout)
{
    return (struct seal_opener){{open_stripe}, *place, *layout};
}
