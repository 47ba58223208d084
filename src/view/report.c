/* SPDX-License-Identifier: MIT */
#include "view/report.h"

#include "base/log.h"
#include "restore/inspection.h"

#include <stdio.h>

static void print_store(FILE *file, struct store *store, uint64_t patience)
{
    cleanup_free char *name = log_escape(store_name(store));
    struct store_voice voice;

    store_voice(store, &voice);
    if (voice.share < 0)
        fputs("share=?", file);
    else
        fprintf(file, "share=%02x", (unsigned)voice.share);
    if (!store_is_remote(store))
        fputs(" usual_ms=- state=local", file);
    else
        fprintf(file, " usual_ms=%.1f state=%s", (double)store_pace(store) / 1000,
                store_is_aside(store)          ? "aside"
                : store_pace(store) > patience ? "slow"
                                               : "quick");
    fprintf(file, " store=%s\n", name ? name : "");
}

int report_stores(struct stores *stores, char **ret)
{
    cleanup_store_list struct store_list *list = NULL;
    cleanup_free char *text = NULL;
    size_t size;

    int r = stores_now(stores, &list);
    if (r < 0)
        return r;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return -ENOMEM;
    uint64_t patience = store_list_patience(list);
    for (size_t i = 0; i < list->count; i++)
        print_store(file, list->stores[i], patience);
    if (fclose(file) != 0)
        return -ENOMEM;
    *ret = steal_pointer(text);
    return 0;
}

/* Copies without a header may be useless: only those known to be good count. */
static int count_spare(const struct inspection *inspection, size_t good)
{
    int spare = (int)good - (int)inspection->version.layout.required;

    if (!S_ISREG(inspection->status.st_mode) || inspection->spare <= 0)
        return inspection->spare;
    if (spare < 0)
        return 0;
    return spare < inspection->spare ? spare : inspection->spare;
}

int report_health(const struct share_terms *terms, const char *path, char **ret)
{
    static atomic_bool never;
    const struct sweep_depth depth = {.glance = true, .stop = &never};
    cleanup_free char *conflict = NULL;
    cleanup_inspection struct inspection inspection = NO_INSPECTION;
    size_t good = 0;

    int r = inspection_make(terms, path, &depth, NULL, NULL, &inspection);
    if (r < 0)
        return r;
    for (size_t i = 0; i < inspection.count; i++)
        good += inspection.copies[i].state == COPY_GOOD;
    if (inspection.conflict)
        conflict = log_escape(inspection.conflict_text ? inspection.conflict_text : "");
    return asprintf(ret, "good=%zu stores=%zu may_lose=%d%s%s\n", good, inspection.count,
                    count_spare(&inspection, good), inspection.conflict ? " conflict=" : "",
                    conflict ? conflict : "") < 0
               ? -ENOMEM
               : 0;
}
