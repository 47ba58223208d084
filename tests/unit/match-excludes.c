/* SPDX-License-Identifier: MIT */
/*
 * match-excludes RULES: says of each path on standard input, each with a NUL behind it, whether
 * the rules in the file RULES exclude it: "1" or "0", without a newline. A path that ends in '/' is
 * a directory.
 */
#include "tree/exclude.h"

#include <stdio.h>
#include <string.h>

static void answer(const struct excludes *excludes, char *path)
{
    size_t length = strlen(path);
    bool is_directory = length > 0 && path[length - 1] == '/';

    if (is_directory)
        path[length - 1] = '\0';
    putchar(excludes_match(excludes, path, is_directory) ? '1' : '0');
}

int main(int argc, char **argv)
{
    cleanup_excludes struct excludes *excludes = NULL;
    cleanup_free char *path = NULL;
    size_t room = 0;

    if (argc != 2 || excludes_new(&excludes) < 0)
        return 2;
    int r = excludes_add_file(excludes, argv[1]);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
        return 1;
    }
    while (getdelim(&path, &room, '\0', stdin) >= 0)
        answer(excludes, path);
    return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
