/* SPDX-License-Identifier: MIT */
/* Shared by reading and writing manifests: which fields attributes have, and their keys in CBOR
 * maps. */
#pragma once

#include "seal/manifest.h"

enum {
    MANIFEST_VERSION = 1,
    MANIFEST_MEMBERS = 4,    /* path, self, entries and version */
    MANIFEST_UNIT = 1 << 10, /* the size is a multiple of it */
};

/* In the order of the map's keys: shorter ones first, then by their bytes. */
enum field {
    FIELD_ID,
    FIELD_GID,
    FIELD_UID,
    FIELD_LINK,
    FIELD_MODE,
    FIELD_NAME,
    FIELD_SIZE,
    FIELD_USER,
    FIELD_GROUP,
    FIELD_MTIME,
    FIELD_DEVICE,
    FIELD_TARGET,
    FIELD_XATTRS,
    FIELDS,
};

extern const char *const manifest_field_names[FIELDS];

/* A bit for each field. */
#define FIELD(name) (1U << FIELD_##name)

/* Returns the fields that ATTRIBUTES have, in an entry or as `self`. 0: no object has this mode. */
unsigned manifest_fields(const struct manifest_attributes *attributes, bool in_entry);

/* Returns 0 if manifest_write of MANIFEST gives just these bytes, or -EBADMSG, -ENOMEM. */
int manifest_compare(const struct manifest *manifest, const uint8_t *bytes, size_t size);
