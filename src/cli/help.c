/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

/* At most 80 columns. */
static const char help[] =
    "usage: zfec-fs [options] [SOURCE] MOUNTPOINT\n"
    "       zfec-fs -o restore [options] [STORES] MOUNTPOINT\n"
    "       zfec-fs -o rebuild [options] [STORES] MOUNTPOINT\n"
    "\n"
    "The first form shows SOURCE (default /) as shares: a directory 00, 01, ... for\n"
    "each, with every file erasure-coded to 1/k of its size. Copy them to different\n"
    "places. The second form shows the files again, from any k of the shares that lie\n"
    "in the sub-directories of STORES. The third form shows shares again, made from\n"
    "the stores: those that were lost, too. All are read-only.\n"
    "\n"
    "    -o required=K          shares that are enough to restore, 1..255 (default 3)\n"
    "    -o shares=N            shares to show, K..256 (default 20)\n"
    "    -o source=DIR          the same as the argument SOURCE or STORES\n"
    "    -o restore             show the files of the shares in STORES\n"
    "    -o rebuild             show shares, made from those in STORES\n"
    "    -o store=DIR           one more store, from anywhere; may be repeated\n"
    "    -o format=F            checked (default), classic (zfec_fs) or fec (zfec);\n"
    "                           to restore classic, give required= as well\n"
    "    -o block_size=SIZE     of checked format, a power of two, 4K..1M (64K)\n"
    "    -o exclude=PATTERN     leave out what matches, as a .gitignore does\n"
    "    -o exclude_from=FILE   the same, with a pattern on each line of FILE\n"
    "    -o xdev                other file systems in SOURCE are empty directories\n"
    "    -o torn=allow          read files that change meanwhile as they are\n"
    "    -o attr_timeout=S      seconds that the kernel may keep attributes: faster\n"
    "\n"
    "    -o OPT[,OPT...]        options for the mount: allow_other, fsname=NAME, ...\n"
    "    -f                     stay in the foreground, log to standard error\n"
    "    -d                     show every request (and stay in the foreground)\n"
    "    -s                     serve one request at a time\n"
    "    -h, --help             this help\n"
    "    -V, --version          the version\n"
    "\n"
    "A comma in a value is written as \\, . To unmount: fusermount3 -u MOUNTPOINT\n";

static int end_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return log_errno(-errno, "standard output");
    return 0;
}

int help_print(void)
{
    fputs(help, stdout);
    return end_output();
}

int version_print(const char *library_version)
{
    printf("zfec-fs %s (libfuse %s)\n", VERSION, library_version);
    return end_output();
}
