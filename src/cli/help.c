/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <stdio.h>

/* At most 80 columns. */
static const char help[] =
    "usage: zfec-fs [options] [SOURCE] MOUNTPOINT\n"
    "       zfec-fs -o restore [options] [STORES] MOUNTPOINT\n"
    "\n"
    "The first form shows SOURCE (default: /) as shares: a directory 00, 01, ... for\n"
    "each, with every file erasure-coded to 1/k of its size. Copy them to different\n"
    "places. The second form shows the files again, from any k of the shares that lie\n"
    "in the sub-directories of STORES. Both are read-only.\n"
    "\n"
    "    -o required=K          shares that are enough to restore, 1..255 (default: 3)\n"
    "    -o shares=N            shares to show, K..256 (default: 20)\n"
    "    -o source=DIR          the same as the argument SOURCE or STORES\n"
    "    -o restore             show the files, not the shares\n"
    "    -o store=DIR           restore from this store, too; may be repeated\n"
    "    -o format=F            checked (default), classic (zfec_fs) or fec (zfec);\n"
    "                           to restore classic, give required= as well\n"
    "    -o block_size=SIZE     of checked format, 4K..1M, a power of two (default: 64K)\n"
    "\n"
    "    -o OPT[,OPT...]        options for the mount: allow_other, fsname=NAME, ...\n"
    "    -f                     stay in the foreground, log to standard error\n"
    "    -d                     show every request (and stay in the foreground)\n"
    "    -s                     serve one request at a time\n"
    "    -h, --help             this help\n"
    "    -V, --version          the version\n"
    "\n"
    "A comma in a value is written as \\, . To unmount: fusermount3 -u MOUNTPOINT\n";

void help_print(void)
{
    fputs(help, stdout);
}

void version_print(const char *library_version)
{
    printf("zfec-fs %s (libfuse %s)\n", VERSION, library_version);
}
