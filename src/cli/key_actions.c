/* SPDX-License-Identifier: MIT */
#include "cli/key_actions.h"

#include "base/log.h"
#include "cli/output.h"
#include "cli/set_id.h"
#include "cli/set_stores.h"

#include <string.h>

enum exit_status key_status(int error)
{
    return error == 0 ? EXIT_STATUS_OK : error == -EINVAL ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
}

int key_tell(const char *path, const struct master_key *key, const char *what)
{
    uint8_t id[SET_ID_SIZE];

    int r = master_key_id(key, id);
    if (r < 0)
        return log_errno(r, "%s", path);
    output_text(COLOUR_NONE, "%s: %s, of the set %s, %s a passphrase", path, what, id_text(id).text,
                key->has_passphrase ? "with" : "without");
    json_t *object =
        json_pack("{s:s, s:b}", "id", id_text(id).text, "passphrase", key->has_passphrase);
    output_json_path(object, "path", path);
    output_json("key", object);
    return 0;
}

void key_tell_store(const char *path, const char *what, bool right)
{
    json_t *object = json_pack("{s:b, s:s}", "right", right, "state", what);

    output_text(right ? COLOUR_NONE : COLOUR_BAD, "store %s: its key is %s", path, what);
    output_json_path(object, "path", path);
    output_json("store", object);
}

void key_tell_failure(const char *path, const char *what, int error)
{
    json_t *object = json_pack("{s:b, s:o}", "right", false, "state",
                               json_sprintf("cannot be %s: %s", what, strerrordesc_np(-error)));

    output_text(COLOUR_BAD, "store %s: its key cannot be %s: %s", path, what,
                strerrordesc_np(-error));
    output_json_path(object, "path", path);
    output_json("store", object);
}

int key_take_words(struct options *options, bool stores_first, char **ret_file)
{
    const bool has_stores = options->word_count == 3;

    *ret_file = options->words[has_stores && stores_first ? 2 : 1];
    if (!has_stores)
        return 0;
    options->source = strdup(options->words[stores_first ? 1 : 2]);
    return options->source ? set_stores_open(options) : log_errno(-ENOMEM, "the stores");
}
