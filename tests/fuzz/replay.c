/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target on each file of the folders that are its arguments, without a fuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static uint8_t *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rbe");
    struct stat status;

    if (!file || fstat(fileno(file), &status) < 0)
        return NULL;
    /* Of just that size, so that AddressSanitizer sees the first byte beyond. */
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (data && fread(data, 1, size, file) != size)
        abort();
    fclose(file);
    *ret_size = size;
    return data;
}

/* Whether it could be read. The name is printed first: a finding is the last one. */
static int run_file(const char *path)
{
    size_t size;
    uint8_t *data = read_file(path, &size);

    if (!data) {
        perror(path);
        return -1;
    }
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static int run_folder(const char *folder, unsigned *count)
{
    DIR *directory = opendir(folder);
    int r = directory ? 0 : -1;
    char *path;

    if (!directory)
        perror(folder);
    for (struct dirent *entry; r == 0 && (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        r = asprintf(&path, "%s/%s", folder, entry->d_name) < 0 ? -1 : run_file(path);
        free(path);
        ++*count;
    }
    if (directory)
        closedir(directory);
    return r;
}

int main(int count, char *folders[])
{
    unsigned files = 0;

    for (int i = 1; i < count; i++) {
        if (run_folder(folders[i], &files) < 0)
            return EXIT_FAILURE;
    }
    printf("%u files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
