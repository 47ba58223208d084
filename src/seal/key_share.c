/* SPDX-License-Identifier: MIT */
#include "seal/key_share.h"

#include "base/bytes.h"
#include "share/block.h"
#include "share/secret.h"

#include <string.h>

enum {
    REQUIRED_AT = 9,
    INDEX_AT = 10,
    KIND_AT = 11,
    ID_AT = 16,
    SALT_AT = 32,
    MEMORY_AT = 48,
    PASSES_AT = 52,
    LANES_AT = 56,
    VALUE_AT = 64,
    CHECK_AT = 96,
    HASH_AT = 112,
    TIME_AT = KEY_SHARE_SIZE - 4,

    BOUND_SIZE = 1 + 60 - KIND_AT, /* bytes 9 and 11..59 */
};

static const uint8_t start[REQUIRED_AT] = {0x00, 'Z', 'F', 'E', 'C', 'F', 'S', 'K', 1};

static const char shamir[] = "zfec-fs sealed 1 shamir", secret_label[] = "zfec-fs sealed 1 secret";

/* RET is allocated with seal_alloc, as is all memory for secrets here. */
static int make_coefficients(const struct master_key *key, const uint8_t *bytes, uint8_t *ret,
                             size_t size)
{
    const size_t label = sizeof shamir - 1, head = label + BOUND_SIZE;
    cleanup_secret uint8_t *info = seal_alloc(head + KEY_SIZE);

    if (!info)
        return -ENOMEM;
    memcpy(info, shamir, label);
    info[label] = bytes[REQUIRED_AT];
    memcpy(info + label + 1, bytes + KIND_AT, BOUND_SIZE - 1);
    memcpy(info + head, key->passphrase_key, KEY_SIZE);
    return seal_expand(key->master, info, head + (key->has_passphrase ? KEY_SIZE : 0), ret, size);
}

/* Writes y and c. */
static int put_secret(const struct master_key *key, uint8_t *bytes)
{
    const unsigned required = bytes[REQUIRED_AT];
    const size_t size = (required - 1) * (size_t)KEY_SIZE;
    cleanup_secret uint8_t *secret = seal_alloc(KEY_SIZE + size);

    if (!secret)
        return -ENOMEM;
    for (size_t i = 0; i < KEY_SIZE; i++)
        secret[i] = key->master[i] ^ (key->has_passphrase ? key->passphrase_key[i] : 0);
    int r = size > 0 ? make_coefficients(key, bytes, secret + KEY_SIZE, size) : 0;
    if (r == 0)
        secret_share(secret, secret + KEY_SIZE, required, KEY_SIZE, (uint8_t)(bytes[INDEX_AT] + 1),
                     bytes + VALUE_AT);
    return r < 0 ? r
                 : seal_expand(secret, secret_label, strlen(secret_label), bytes + CHECK_AT,
                               SECRET_CHECK_SIZE);
}

static int make_bytes(const struct master_key *key, unsigned required, unsigned index, uint8_t *ret)
{
    memset(ret, 0, KEY_SHARE_SIZE);
    memcpy(ret, start, sizeof start);
    ret[REQUIRED_AT] = (uint8_t)required;
    ret[INDEX_AT] = (uint8_t)index;
    ret[KIND_AT] = key->has_passphrase;
    if (key->has_passphrase) {
        memcpy(ret + SALT_AT, key->stretch.salt, SALT_SIZE);
        store_le32(ret + MEMORY_AT, key->stretch.memory_kib);
        store_le32(ret + PASSES_AT, key->stretch.passes);
        store_le32(ret + LANES_AT, key->stretch.lanes);
    }
    int r = master_key_id(key, ret + ID_AT);
    if (r == 0)
        r = put_secret(key, ret);
    if (r == 0)
        hash(ret, HASH_AT, 0, ret + HASH_AT);
    return r;
}

int key_share_make(const struct master_key *key, unsigned required, unsigned index,
                   uint8_t ret[KEY_SHARE_SIZE])
{
    if (required < 1 || required > KEY_SHARES_MAX || index >= KEY_SHARES_MAX)
        return -EINVAL;
    if (required == 1 && !key->has_passphrase)
        return -EPERM;
    if (key->has_passphrase && !stretch_is_strong(&key->stretch))
        return -ERANGE;
    return make_bytes(key, required, index, ret);
}

void key_share_like(const struct key_share *other, uint8_t index, const uint8_t value[KEY_SIZE],
                    uint8_t ret[KEY_SHARE_SIZE])
{
    memcpy(ret, other->bytes, KEY_SHARE_SIZE);
    ret[INDEX_AT] = index;
    memcpy(ret + VALUE_AT, value, KEY_SIZE);
    hash(ret, HASH_AT, 0, ret + HASH_AT);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    uint8_t all = 0;

    for (size_t i = 0; i < size; i++)
        all |= bytes[i];
    return all == 0;
}

int key_share_read(const uint8_t *bytes, size_t size, struct key_share *ret)
{
    uint8_t expected[HASH_SIZE];

    if (size != KEY_SHARE_SIZE || memcmp(bytes, start, sizeof start) != 0)
        return -EBADMSG;
    hash(bytes, HASH_AT, 0, expected);
    if (memcmp(bytes + HASH_AT, expected, HASH_SIZE) != 0)
        return -EBADMSG;
    *ret = (struct key_share){
        .required = bytes[REQUIRED_AT],
        .index = bytes[INDEX_AT],
        .has_passphrase = bytes[KIND_AT] == 1,
        .stretch = {.memory_kib = load_le32(bytes + MEMORY_AT),
                    .passes = load_le32(bytes + PASSES_AT),
                    .lanes = load_le32(bytes + LANES_AT)},
    };
    memcpy(ret->stretch.salt, bytes + SALT_AT, SALT_SIZE);
    memcpy(ret->set_id, bytes + ID_AT, SET_ID_SIZE);
    memcpy(ret->value, bytes + VALUE_AT, KEY_SIZE);
    memcpy(ret->check, bytes + CHECK_AT, SECRET_CHECK_SIZE);
    memcpy(ret->bytes, bytes, KEY_SHARE_SIZE);
    const bool known = bytes[KIND_AT] <= 1 && ret->required > 0 && ret->index < KEY_SHARES_MAX &&
                       is_zero(bytes + KIND_AT + 1, 4) && is_zero(bytes + LANES_AT + 4, 4);
    const bool stretched = ret->has_passphrase ? stretch_is_possible(&ret->stretch)
                                               : is_zero(bytes + SALT_AT, VALUE_AT - SALT_AT);
    return known && stretched ? 0 : -EBADMSG;
}

bool key_share_is_of(const struct key_share *share, const struct master_key *key)
{
    uint8_t made[KEY_SHARE_SIZE];

    if (share->has_passphrase != key->has_passphrase)
        return false;
    return make_bytes(key, share->required, share->index, made) == 0 &&
           seal_equal(made, share->bytes, KEY_SHARE_SIZE);
}

struct timespec key_share_time(const uint8_t bytes[KEY_SHARE_SIZE])
{
    const uint8_t *last = bytes + TIME_AT;
    const uint32_t number =
        (uint32_t)last[0] << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];

    return (struct timespec){.tv_sec = 1000000000 + number % 500000000};
}
