/* SPDX-License-Identifier: MIT */
#include "seal/passphrase.h"

#include <gcrypt.h>

enum {
    /* RFC 9106, 4: the second recommended choice, which small machines can compute as well. */
    NEW_MEMORY_KIB = 64 << 10,
    NEW_PASSES = 3,
    NEW_LANES = 4,
    LEAST_MEMORY_KIB = 64 << 10,
    LEAST_PASSES = 3,
    LANE_KIB = 8,
    MOST = 64, /* passes, lanes */
};

/* At 4 GiB libgcrypt 1.10 computes the size in 32 bits, allocates nothing, and writes there. */
#define MEMORY_KIB_END (UINT32_C(4) << 20)

void passphrase_clear(struct passphrase *passphrase)
{
    seal_free(passphrase->bytes);
    *passphrase = (struct passphrase){NULL, 0};
}

int stretch_new(struct stretch *ret)
{
    *ret = (struct stretch){.memory_kib = NEW_MEMORY_KIB, .passes = NEW_PASSES, .lanes = NEW_LANES};
    return seal_random(ret->salt, sizeof ret->salt);
}

bool stretch_is_possible(const struct stretch *stretch)
{
    return stretch->passes >= 1 && stretch->passes <= MOST && stretch->lanes >= 1 &&
           stretch->lanes <= MOST && stretch->memory_kib >= LANE_KIB * stretch->lanes &&
           stretch->memory_kib < MEMORY_KIB_END;
}

bool stretch_is_strong(const struct stretch *stretch)
{
    return stretch_is_possible(stretch) && stretch->memory_kib >= LEAST_MEMORY_KIB &&
           stretch->passes >= LEAST_PASSES;
}

int stretch_passphrase(const struct stretch *stretch, const struct passphrase *passphrase,
                       uint8_t ret[KEY_SIZE])
{
    const unsigned long parameters[] = {KEY_SIZE, stretch->passes, stretch->memory_kib,
                                        stretch->lanes};
    gcry_kdf_hd_t kdf;

    if (!stretch_is_possible(stretch))
        return -ERANGE;
    if (passphrase->size == 0 || passphrase->size > PASSPHRASE_SIZE_MAX)
        return -EINVAL;
    gcry_error_t error =
        gcry_kdf_open(&kdf, GCRY_KDF_ARGON2, GCRY_KDF_ARGON2ID, parameters, 4, passphrase->bytes,
                      passphrase->size, stretch->salt, SALT_SIZE, NULL, 0, NULL, 0);
    if (!error) {
        error = gcry_kdf_compute(kdf, NULL); /* all lanes run in this thread */
        if (!error)
            error = gcry_kdf_final(kdf, KEY_SIZE, ret);
        gcry_kdf_close(kdf);
    }
    return !error ? 0 : gcry_err_code(error) == GPG_ERR_ENOMEM ? -ENOMEM : -EIO;
}
