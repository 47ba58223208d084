/* SPDX-License-Identifier: MIT */
#include "sync/sets.h"

#include <string.h>

enum {
    REMOVALS = 1000,
    DEADLINE_S = 24 * 60 * 60,
    TIMEOUT_S = 5 * 60,
    RETRIES = 2,
};

struct set *sets_find(const struct sets *sets, const char *name)
{
    for (size_t i = 0; i < sets->count; i++) {
        if (strcmp(sets->sets[i].name, name) == 0)
            return &sets->sets[i];
    }
    return NULL;
}

int sets_add(struct sets *sets, const char *name, struct set **ret)
{
    struct set *more = reallocarray(sets->sets, sets->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    sets->sets = more;
    struct set *set = &more[sets->count];
    *set = (struct set){
        .name = strdup(name),
        .encoding = {.format = SHARE_CHECKED, .block_size = BLOCK_SIZE_DEFAULT},
        .terms = {.attributes = true,
                  .symlinks = true,
                  .removals = REMOVALS,
                  .deadline = DEADLINE_S,
                  .timeout = TIMEOUT_S,
                  .retries = RETRIES},
    };
    sets->count++;
    *ret = set;
    return set->name ? excludes_new(&set->rules.excludes) : -ENOMEM;
}

static int copy_text(char **text)
{
    if (*text && !(*text = strdup(*text)))
        return -ENOMEM;
    return 0;
}

/* Makes texts that are another's its own. */
static int own_texts(struct terms *terms)
{
    char **texts[] = {&terms->rate, &terms->ssh_key, &terms->ssh_config, &terms->password_file,
                      &terms->rclone_config};
    int r = 0;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (r == 0)
            r = copy_text(texts[i]);
        else
            *texts[i] = NULL;
    }
    return r;
}

int set_add_node(struct set *set, const char *name, struct node **ret)
{
    struct node *more = reallocarray(set->nodes, set->count + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    set->nodes = more;
    struct node *node = &more[set->count++];
    *node = (struct node){.name = strdup(name), .share = -1, .terms = set->terms};
    *ret = node;
    int r = own_texts(&node->terms);
    return node->name ? r : -ENOMEM;
}

static void clear_terms(struct terms *terms)
{
    free(terms->rate);
    free(terms->ssh_key);
    free(terms->ssh_config);
    free(terms->password_file);
    free(terms->rclone_config);
}

static void clear_set(struct set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->nodes[i].name);
        free(set->nodes[i].target);
        clear_terms(&set->nodes[i].terms);
    }
    clear_terms(&set->terms);
    excludes_free(set->rules.excludes);
    free(set->nodes);
    free(set->source);
    free(set->name);
}

void sets_clear(struct sets *sets)
{
    for (size_t i = 0; i < sets->count; i++)
        clear_set(&sets->sets[i]);
    free(sets->sets);
}
