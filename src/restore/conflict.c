/* SPDX-License-Identifier: MIT */
#include "restore/conflict.h"

#include <stdio.h>

/* Returns which side of the conflict a copy is on: a number that all copies there have; 0: none.
 * With the lock held. */
static size_t side_of(const struct share_set *set, size_t place)
{
    const struct copy_facts *own = &set->facts[place];

    if (set->verdict != SHARES_CONFLICT)
        return set->copies[place].side;
    if (!own->has_header || own->header.mtime_ns != set->version.header.mtime_ns)
        return 0;
    size_t first = 0;
    while (!set->facts[first].has_header ||
           !version_is_same(&set->facts[first].header, &own->header))
        first++;
    return first + 1;
}

/* Prints "100 bytes (k = 2)", and in what else the version of copy PLACE differs from one on
 * another side that has the same size and k. */
static void print_version(FILE *text, const struct share_set *set, size_t place)
{
    const struct share_header *header = &set->facts[place].header;
    const struct share_layout *layout = &header->layout;
    bool alike = false;

    for (size_t i = 0; i < set->count; i++) {
        const struct share_layout *other = &set->facts[i].header.layout;
        alike |= side_of(set, i) != 0 && side_of(set, i) != side_of(set, place) &&
                 other->source_size == layout->source_size && other->required == layout->required;
    }
    fprintf(text, "%llu bytes (k = %u", (unsigned long long)layout->source_size, layout->required);
    if (alike && formats[layout->format]->has_total)
        fprintf(text, ", n = %u", header->total);
    else if (alike)
        fprintf(text, ", blocks of %u", layout->block_size);
    fputs(")", text);
}

char *conflict_describe(struct share_set *set)
{
    bool versions = set->verdict == SHARES_CONFLICT, first = true;
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);

    if (!text)
        return NULL;
    pthread_mutex_lock(&set->lock);
    if (versions)
        fputs("versions of one time: ", text);
    else
        fprintf(text, "contents of stripe %llu: ", (unsigned long long)set->trust.conflict_stripe);
    for (size_t i = 0; i < set->count; i++) {
        size_t side = side_of(set, i);
        bool told = side == 0;
        for (size_t j = 0; j < i && !told; j++)
            told = side_of(set, j) == side;
        if (told)
            continue;
        fputs(first ? "" : ", ", text);
        if (versions)
            print_version(text, set, i);
        else
            fputs(first ? "one" : "another", text);
        fputs(" in", text);
        for (size_t j = i; j < set->count; j++) {
            if (side_of(set, j) == side)
                fprintf(text, " %s", store_short_name(set->copies[j].store));
        }
        first = false;
    }
    pthread_mutex_unlock(&set->lock);
    if (fclose(text) == 0)
        return line;
    free(line);
    return NULL;
}
