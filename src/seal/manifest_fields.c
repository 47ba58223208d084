/* SPDX-License-Identifier: MIT */
#include "seal/manifest_fields.h"

const char *const manifest_field_names[FIELDS] = {
    [FIELD_ID] = "id",         [FIELD_GID] = "gid",       [FIELD_UID] = "uid",
    [FIELD_LINK] = "link",     [FIELD_MODE] = "mode",     [FIELD_NAME] = "name",
    [FIELD_SIZE] = "size",     [FIELD_USER] = "user",     [FIELD_GROUP] = "group",
    [FIELD_MTIME] = "mtime",   [FIELD_DEVICE] = "device", [FIELD_TARGET] = "target",
    [FIELD_XATTRS] = "xattrs",
};

static bool is_utf8(const char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by sequence length */

    for (const unsigned char *byte = (const unsigned char *)text; *byte;) {
        size_t length = *byte < 0x80 ? 1 : *byte < 0xe0 ? 2 : *byte < 0xf0 ? 3 : 4;
        uint32_t character = length > 1 ? *byte & (0x7fU >> length) : *byte;
        if ((*byte >= 0x80 && *byte < 0xc0) || *byte >= 0xf8)
            return false;
        for (size_t i = 1; i < length; i++) {
            if ((byte[i] & 0xc0) != 0x80)
                return false;
            character = character << 6 | (byte[i] & 0x3f);
        }
        if (character < least[length] || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff))
            return false;
        byte += length;
    }
    return true;
}

unsigned manifest_fields(const struct manifest_attributes *attributes, bool in_entry)
{
    unsigned fields = FIELD(MODE) | FIELD(UID) | FIELD(GID) | FIELD(MTIME);

    if (S_ISDIR(attributes->mode) && in_entry)
        return FIELD(NAME) | FIELD(MODE) | FIELD(ID);
    if (S_ISREG(attributes->mode))
        fields |= FIELD(SIZE) | FIELD(ID) | (attributes->has_link ? FIELD(LINK) : 0);
    else if (S_ISLNK(attributes->mode))
        fields |= FIELD(TARGET);
    else if (S_ISCHR(attributes->mode) || S_ISBLK(attributes->mode))
        fields |= FIELD(DEVICE);
    else if (!S_ISDIR(attributes->mode) && !S_ISFIFO(attributes->mode) &&
             !S_ISSOCK(attributes->mode))
        return 0;
    if (in_entry)
        fields |= FIELD(NAME);
    if (attributes->user && is_utf8(attributes->user))
        fields |= FIELD(USER);
    if (attributes->group && is_utf8(attributes->group))
        fields |= FIELD(GROUP);
    if (attributes->xattrs.size > 0)
        fields |= FIELD(XATTRS);
    return fields;
}
