/* SPDX-License-Identifier: MIT */
#include "seal/manifest.h"

#include <stdlib.h>
#include <string.h>

static int compare_entry(const void *name, const void *entry)
{
    return strcmp(name, ((const struct manifest_entry *)entry)->name);
}

const struct manifest_entry *manifest_find(const struct manifest *manifest, const char *name)
{
    if (manifest->count == 0)
        return NULL;
    return bsearch(name, manifest->entries, manifest->count, sizeof *manifest->entries,
                   compare_entry);
}

static void clear_attributes(struct manifest_attributes *attributes)
{
    free(attributes->user);
    free(attributes->group);
    free(attributes->target);
    xattrs_clear(&attributes->xattrs);
}

void manifest_drop_last(struct manifest *manifest)
{
    struct manifest_entry *entry = &manifest->entries[--manifest->count];

    free(entry->name);
    clear_attributes(&entry->attributes);
}

void manifest_clear(struct manifest *manifest)
{
    while (manifest->count > 0)
        manifest_drop_last(manifest);
    free(manifest->entries);
    free(manifest->ids);
    clear_attributes(&manifest->self);
    free(manifest->path);
    *manifest = NO_MANIFEST;
}
