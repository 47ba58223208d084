/* SPDX-License-Identifier: MIT */
#include "sync/sets.h"

#include <string.h>

enum {
    REMOVALS = 1000,
    DEADLINE_S = 24 * 60 * 60,
    TIMEOUT_S = 5 * 60,
    RETRIES = 2,
};

struct text {
    struct text *next;
    char bytes[];
};

struct set *sets_find(const struct sets *sets, const char *name)
{
    for (size_t i = 0; i < sets->count; i++) {
        if (strcmp(sets->sets[i].name, name) == 0)
            return &sets->sets[i];
    }
    return NULL;
}

int sets_keep(struct sets *sets, const char *text, const char **ret)
{
    struct text *kept = malloc(sizeof *kept + strlen(text) + 1);

    if (!kept)
        return -ENOMEM;
    kept->next = sets->texts;
    sets->texts = kept;
    *ret = strcpy(kept->bytes, text);
    return 0;
}

int sets_add(struct sets *sets, const char *name, unsigned line, struct set **ret)
{
    struct set *more = reallocarray(sets->sets, sets->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    sets->sets = more;
    struct set *set = *ret = &more[sets->count];
    *set = (struct set){
        .line = line,
        .encoding = {.format = SHARE_CHECKED, .block_size = BLOCK_SIZE_DEFAULT},
        .terms = {.attributes = true,
                  .symlinks = true,
                  .removals = REMOVALS,
                  .deadline = DEADLINE_S,
                  .timeout = TIMEOUT_S,
                  .retries = RETRIES},
    };
    int r = sets_keep(sets, name, &set->name);
    if (r == 0)
        r = excludes_new(&set->rules.excludes);
    sets->count += r == 0;
    return r;
}

int sets_add_node(struct sets *sets, struct set *set, const char *name, unsigned line,
                  struct node **ret)
{
    struct node *more = reallocarray(set->nodes, set->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    set->nodes = more;
    struct node *node = *ret = &more[set->count];
    *node = (struct node){.line = line, .share = -1, .terms = set->terms};
    int r = sets_keep(sets, name, &node->name);
    set->count += r == 0;
    return r;
}

void sets_clear(struct sets *sets)
{
    for (size_t i = 0; i < sets->count; i++) {
        struct set *set = &sets->sets[i];
        for (size_t at = 0; at < set->count; at++)
            names_clear(&set->nodes[at].memory.different);
        excludes_free(set->rules.excludes);
        free(set->nodes);
    }
    free(sets->sets);
    for (struct text *text = sets->texts, *next; text; text = next) {
        next = text->next;
        free(text);
    }
}
