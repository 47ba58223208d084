/* SPDX-License-Identifier: MIT */
#include "cli/chosen.h"

#include "base/log.h"
#include "cli/output.h"

#include <string.h>

static bool is_name_of(const struct sync_set *set, const char *word)
{
    size_t length = strlen(set->name);

    return strncmp(word, set->name, length) == 0 &&
           (!word[length] || strcmp(word + length, ":") == 0);
}

/* Refuses WORD, which is no set in the file PATH; it may be a node or a directory. Returns
 * -EINVAL. */
static int refuse_name(const struct options *options, const struct sets *sets, const char *path,
                       const char *word)
{
    cleanup_free char *set = strndup(word, strcspn(word, "/"));
    struct draft line = {0};

    if (set && sets_find(sets, set))
        return log_as(-EINVAL, "%s: all nodes of a set are %s at once; write %s", word,
                      options->command == COMMAND_SYNC ? "brought up to date" : "told of", set);
    draft_add(&line, "%s: there is no such set in %s; ", word, path);
    draft_add(&line, strchr(word, '/') ? "write the name of a set, not a path:" : "it has");
    for (size_t i = 0; i < sets->count; i++)
        draft_add(&line, "%s %s", i > 0 ? "," : "", sets->sets[i].name);
    cleanup_free char *text = draft_take(&line);
    return log_as(-EINVAL, "%s", text ? text : word);
}

bool chosen_has(const struct options *options, const struct sync_set *set)
{
    for (size_t i = 0; i < options->word_count; i++) {
        if (is_name_of(set, options->words[i]))
            return true;
    }
    return options->word_count == 0;
}

enum exit_status chosen_read(const struct options *options, struct sets *ret)
{
    cleanup_free char *path = options_sets_path(options);
    int r = path ? sets_read(path, NULL, ret) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < options->word_count; i++) {
        bool found = false;
        for (size_t at = 0; !found && at < ret->count; at++)
            found = is_name_of(&ret->sets[at], options->words[i]);
        if (!found)
            r = refuse_name(options, ret, path, options->words[i]);
    }
    for (size_t i = 0; r == 0 && options->command == COMMAND_SYNC && i < ret->count; i++) {
        const struct sync_set *set = &ret->sets[i];
        if (!set->source && chosen_has(options, set)) /* a recovered set has none */
            r = log_as(-EINVAL, "%s:%u: [%s]: write source = DIR, what to keep in sync", path,
                       set->line, set->name);
    }
    return r == 0 ? EXIT_STATUS_OK : r == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
}
