/* SPDX-License-Identifier: MIT */
#include "view/opened_place.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* How long a manifest is trusted without another look. On the way to a directory it may be older,
 * since only the ids of the way matter there. */
static const uint64_t FRESH = CLOCK_SECOND, FRESH_ON_THE_WAY = 20 * CLOCK_SECOND;

void opened_place_clear(struct opened_place *place)
{
    if (place->above)
        opened_names_leave(place->names, place->above);
    if (place->own)
        opened_names_leave(place->names, place->own);
    free(place->ids);
    free(place->path);
    *place = (struct opened_place){.names = NULL};
}

mode_t opened_place_type(const struct opened_place *place)
{
    return S_IFMT & (place->entry ? place->entry->attributes.mode
                     : place->own ? S_IFDIR
                                  : place->stored.st_mode);
}

/* Reads the manifest of PLACE, a directory that messages call SHOWN, if there is one. */
static int read_own(const struct opened_places *places, struct opened_place *place,
                    const char *shown, bool on_the_way)
{
    const struct opened_where where = {
        .ids = place->ids,
        .path = place->path,
        .id = *place->ids ? place->id : NULL,
        .shown = shown,
    };

    int r = opened_names_manifest(places->names, &where, on_the_way ? FRESH_ON_THE_WAY : FRESH,
                                  &place->own);
    if (r == -ENOENT) {
        log_once("%s: too few stores have its manifest, which has all names in it",
                 log_path(shown));
        r = -EIO;
    }
    if (r == 0 && !place->path) {
        place->path = strdup(place->own->path);
        r = place->path ? 0 : -ENOMEM;
    }
    return r == -EIO ? 0 : r;
}

/* Appends NAME to *PATH. */
static int extend(char **path, const char *name)
{
    size_t size = strlen(*path), more = strlen(name) + 1;
    char *whole = realloc(*path, size + 1 + more);

    if (!whole)
        return -ENOMEM;
    if (size > 0)
        whole[size++] = '/';
    memcpy(whole + size, name, more);
    *path = whole;
    return 0;
}

/* Moves PLACE to what ENTRY of its manifest describes. */
static int enter_entry(struct opened_place *place, const struct manifest_entry *entry)
{
    const mode_t mode = entry->attributes.mode;
    char name[PATH_ID_DIGITS + 1];

    place->entry = entry;
    int r = extend(&place->path, entry->name);
    if (r < 0 || (!S_ISREG(mode) && !S_ISDIR(mode)))
        return r;
    memcpy(place->id, entry->attributes.id, sizeof place->id);
    seal_id_name(place->id, name);
    return extend(&place->ids, name);
}

/* Moves PLACE to what is called NAME, an id, in the shares. */
static int enter_id(const struct opened_places *places, struct opened_place *place,
                    const char *name)
{
    struct source *stores = places->stores;

    free(place->path);
    place->path = NULL;
    int r = extend(&place->ids, name);
    if (r < 0)
        return r;
    return stores->operations->stat(stores, place->ids, &place->stored, &place->header, NULL, NULL);
}

/* Returns true if an entry has that id: it then has a name, and is no orphan. */
static bool is_named(const struct manifest *manifest, const uint8_t id[PATH_ID_SIZE])
{
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_attributes *attributes = &manifest->entries[i].attributes;
        if ((S_ISREG(attributes->mode) || S_ISDIR(attributes->mode)) &&
            memcmp(attributes->id, id, PATH_ID_SIZE) == 0)
            return true;
    }
    return false;
}

/* Moves PLACE, a directory, to NAME in it, which messages call SHOWN. */
static int enter(const struct opened_places *places, struct opened_place *place, const char *name,
                 const char *shown, bool on_the_way)
{
    const struct opened_terms *terms = &places->terms;
    const struct manifest_entry *entry = place->own ? manifest_find(place->own, name) : NULL;
    int r = -ENOENT;

    if (!place->own && !terms->orphans)
        return -EIO;
    if (place->above)
        opened_names_leave(place->names, place->above);
    place->above = place->own;
    place->own = NULL;
    place->entry = NULL;
    if (entry)
        r = enter_entry(place, entry);
    else if (seal_id_from_name(name, place->id) == 0 && terms->orphans &&
             !(place->above && is_named(place->above, place->id)))
        r = enter_id(places, place, name);
    if (r == 0 && S_ISDIR(opened_place_type(place)))
        r = read_own(places, place, shown, on_the_way);
    return r;
}

int opened_place_find(const struct opened_places *places, const char *path,
                      struct opened_place *ret)
{
    *ret = (struct opened_place){.names = places->names, .ids = strdup("")};
    ret->stored.st_mode = S_IFDIR;
    int r = ret->ids ? read_own(places, ret, "", strchr(path, '/')) : -ENOMEM;

    for (const char *at = path; r == 0 && *at;) {
        const char *end = strchrnul(at, '/');
        cleanup_free char *name = strndup(at, (size_t)(end - at));
        cleanup_free char *shown = strndup(path, (size_t)(end - path));
        if (!S_ISDIR(opened_place_type(ret)))
            return -ENOENT;
        /* The manifest of PATH's own directory must be current. */
        r = name && shown ? enter(places, ret, name, shown, *end && strchr(end + 1, '/')) : -ENOMEM;
        at = end + (*end == '/');
    }
    return r;
}

static int by_id(const void *left, const void *right)
{
    return memcmp(left, right, PATH_ID_SIZE);
}

/* Returns the ids of all entries, sorted; the caller frees them. NULL: no memory. */
static uint8_t (*sort_ids(const struct manifest *manifest, size_t *ret_count))[PATH_ID_SIZE]
{
    uint8_t(*ids)[PATH_ID_SIZE] = calloc(manifest->count + 1, sizeof *ids);

    *ret_count = 0;
    for (size_t i = 0; ids && i < manifest->count; i++) {
        const struct manifest_attributes *attributes = &manifest->entries[i].attributes;
        if (S_ISREG(attributes->mode) || S_ISDIR(attributes->mode))
            memcpy(ids[(*ret_count)++], attributes->id, PATH_ID_SIZE);
    }
    if (ids)
        qsort(ids, *ret_count, sizeof *ids, by_id);
    return ids;
}

int opened_place_orphans(const struct opened_places *places, const struct opened_place *place,
                         struct names *names)
{
    const struct manifest none = NO_MANIFEST;
    cleanup_names struct names listed = NO_NAMES;
    size_t count;
    cleanup_free void *known = sort_ids(place->own ? place->own : &none, &count);

    int r = known ? places->stores->operations->list(places->stores, place->ids, &listed) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < listed.count; i++) {
        const char *name = names_get(&listed, i);
        uint8_t id[PATH_ID_SIZE];
        if (seal_id_from_name(name, id) < 0 || bsearch(id, known, count, sizeof id, by_id))
            continue;
        struct listed item = listed.items[i];
        item.inode = 0;
        r = names_add_known(names, name, &item);
    }
    return r;
}
