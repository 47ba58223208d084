/* SPDX-License-Identifier: MIT */
#include "sync/sftp.h"

#include "base/array.h"
#include "sync/child.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { LIMIT_S = 10 };

/* What "ssh -G" says, and rclone's names for it. Of several files the first is taken. */
static const struct {
    const char *ssh, *rclone;
} known[] = {
    {"hostname", "host"},
    {"port", "port"},
    {"user", "user"},
    {"identityfile", "key_file"},
    {"userknownhostsfile", "known_hosts_file"},
};

/* What rclone cannot do. */
static const char *const unknown[] = {"proxycommand", "proxyjump", "hostkeyalias"};

struct facts {
    char *values[COUNT_OF(known)];
    bool failed; /* there was no memory, or rclone would not reach the host as ssh does */
};

/* "hostname nas.example.org". The files of keys that ssh looks for by itself may not exist. */
static void take_fact(void *context, int stream, char *line)
{
    struct facts *facts = context;
    char *value = strchr(line, ' ');

    if (stream != 0 || !value || strcmp(value, " none") == 0)
        return;
    *value++ = '\0';
    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        facts->failed |= strcmp(line, unknown[i]) == 0;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(line, known[i].ssh) != 0 || facts->values[i] ||
            (strcmp(line, "identityfile") == 0 && strncmp(value, "~/.ssh/id_", 10) == 0))
            continue;
        if (strcmp(line, "userknownhostsfile") == 0)
            value[strcspn(value, " ")] = '\0';
        facts->values[i] = strdup(value);
        facts->failed |= !facts->values[i];
    }
}

/* Within quotes, rclone takes two of them for one. */
static void print_setting(FILE *out, const char *key, const char *value)
{
    fprintf(out, ",%s=\"", key);
    for (; *value; value++)
        fprintf(out, *value == '"' ? "\"\"" : "%c", *value);
    fputc('"', out);
}

/* Unless told otherwise, rclone follows symlinks, and asks a login shell what it is. */
static char *remote_of(const struct facts *facts, const char *path)
{
    char *ret = NULL;
    size_t size;
    FILE *out = open_memstream(&ret, &size);

    if (!out)
        return NULL;
    fputs(":sftp,skip_links=true,shell_type=none", out);
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (facts->values[i])
            print_setting(out, known[i].rclone, facts->values[i]);
    }
    fprintf(out, ":%s", path);
    if (fclose(out) == 0)
        return ret;
    free(ret);
    return NULL;
}

char *sftp_remote(const struct sync_node *node)
{
    const struct terms *terms = &node->terms;
    const char *bracket = strchr(node->target, ']');
    const char *end = strchr(bracket ? bracket : node->target, ':');
    struct words words = {.names = NO_NAMES};
    struct facts facts = {.failed = false};

    WORDS_ADD(&words, "ssh", "-G");
    if (terms->ssh_config)
        words_add(&words, "-F%s", terms->ssh_config);
    if (terms->ssh_key)
        words_add(&words, "-oIdentityFile=%s", terms->ssh_key);
    WORDS_ADD(&words, "--");
    words_add(&words, "%.*s", (int)(end - node->target), node->target);
    int status = child_ask(&words, LIMIT_S, take_fact, &facts);
    bool known_all = status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && !facts.failed;
    char *ret = known_all && facts.values[0] ? remote_of(&facts, end + 1) : NULL;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        free(facts.values[i]);
    return ret;
}
