/* SPDX-License-Identifier: MIT */
#include "cli/alarm.h"

#include "base/log.h"
#include "cli/standing.h"
#include "sync/child.h"
#include "sync/state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LIMIT_S = 60 }; /* of the program, unless the set's timeout is shorter */

#define SPACES " \t"

static bool is_program(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* Returns true if execvp(3) finds NAME. */
static bool is_found(const char *name)
{
    const char *path = getenv("PATH");
    cleanup_free char *copy = strdup(path ? path : "/bin:/usr/bin");
    char *rest = copy;

    if (strchr(name, '/'))
        return is_program(name);
    for (char *folder; (folder = strsep(&rest, ":"));) {
        cleanup_free char *whole = NULL;
        if (asprintf(&whole, "%s/%s", *folder ? folder : ".", name) < 0)
            return true; /* it may be there */
        if (is_program(whole))
            return true;
    }
    return !copy;
}

void alarm_check(const struct sync_set *set)
{
    const char *command = set->on_problem;
    cleanup_free char *program = command ? strndup(command, strcspn(command, SPACES)) : NULL;

    if (program && !is_found(program))
        log_warning("%s: on_problem = %s: no problem can be told: there is no program %s; correct "
                    "it, or install it",
                    set->name, command, program);
}

/* Runs SET's command with TEXT on its standard input. Returns the same as alarm_raise(). */
static int run_command(const struct sync_set *set, const char *text)
{
    struct words words = {.names = NO_NAMES, .input = text, .failed = !text};
    cleanup_free char *copy = strdup(set->on_problem);
    unsigned limit = set->terms.timeout < LIMIT_S ? set->terms.timeout : LIMIT_S;
    char *said[CHILD_STREAMS], *rest = copy;

    for (char *word; (word = strsep(&rest, SPACES));) {
        if (*word)
            words_add(&words, "%s", word);
    }
    int status = child_run(&words, (int)limit, said);
    cleanup_free char *output = said[0], *errors = said[1];
    const char *why = errors ? errors : output ? output : "it said nothing";
    if (status == 0)
        return 0;
    if (status < 0)
        return log_as(status, "%s: on_problem = %s: %s", set->name, set->on_problem,
                      status == -ETIMEDOUT ? "it did not end in time, and was ended"
                                           : strerrordesc_np(-status));
    if (WIFSIGNALED(status))
        return log_as(-EIO, "%s: on_problem = %s: ended by signal %d", set->name, set->on_problem,
                      WTERMSIG(status));
    return log_as(-EIO, "%s: on_problem = %s: ended with status %d: %s", set->name, set->on_problem,
                  WEXITSTATUS(status),
                  WEXITSTATUS(status) == CHILD_NOT_FOUND ? "is it installed?" : log_path(why));
}

/* Returns true if ONE has a name that OTHER, which is sorted, lacks. */
static bool has_more(const struct names *one, const struct names *other)
{
    for (size_t i = 0; i < one->count; i++) {
        if (!names_have(other, names_get(one, i)))
            return true;
    }
    return false;
}

/* Runs SET's command with the line that status shows. */
static int tell(const struct sync_set *set, const struct standing *standing)
{
    json_t *json = standing_json(standing, set);
    json_t *whole = json_pack("{s:s}", "message_type", "status");
    cleanup_free char *shown = whole && json && json_object_update(whole, json) == 0
                                   ? json_dumps(whole, JSON_COMPACT | JSON_ENSURE_ASCII)
                                   : NULL;
    cleanup_free char *text = NULL;

    json_decref(json);
    json_decref(whole);
    if (shown && asprintf(&text, "%s\n", shown) < 0)
        text = NULL;
    return run_command(set, text);
}

/* Reports the PROBLEMS of SET, which are sorted, if any is new or none is left, and notes that. */
static int tell_news(struct sync_set *set, const struct standing *standing, struct names *problems)
{
    struct names *told = &set->watch.told;
    struct names kept = NO_NAMES;
    bool is_good = problems->count == 0 && told->count > 0;

    names_sort_unique(told);
    if (set->on_problem && (is_good || has_more(problems, told))) {
        int r = tell(set, standing);
        if (r < 0)
            return r;
        names_clear(told);
        *told = *problems;
        *problems = NO_NAMES;
        return 0;
    }
    /* A problem that went away is new if it comes back. */
    for (size_t i = 0; i < told->count; i++) {
        if (names_have(problems, names_get(told, i)) && names_add(&kept, names_get(told, i)) < 0)
            return -ENOMEM;
    }
    names_clear(told);
    *told = kept;
    return 0;
}

int alarm_begin(struct sync_set *set, struct alarm *ret)
{
    cleanup_free char *folder = NULL;

    *ret = (struct alarm){.lock = -1};
    int r = state_folder(&folder);
    if (r == 0)
        r = watch_lock(folder, set->name, &ret->folder, &ret->lock);
    if (r == 0)
        r = state_read(folder, set);
    return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

int alarm_raise(const struct alarm *alarm, struct sync_set *set)
{
    cleanup_names struct names problems = NO_NAMES;
    const struct standing standing = standing_of(set, time(NULL));

    int r = standing_problems(&standing, set, &problems);
    names_sort_unique(&problems);
    if (r == 0)
        r = tell_news(set, &standing, &problems);
    int written = watch_write(alarm->folder, set);
    return r < 0 ? r : written;
}

void alarm_end(struct alarm *alarm)
{
    free(alarm->folder);
    cleanup_close_fd(&alarm->lock);
}
