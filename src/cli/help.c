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
    "       zfec-fs encode|decode|check|repair|info|sync|bench --help\n"
    "\n"
    "The first form shows SOURCE (default /) as shares: a directory 00, 01, ... for\n"
    "each, with every file erasure-coded to 1/k of its size. Copy them to different\n"
    "places. The second form shows the files again, from any k of the shares that lie\n"
    "in the sub-directories of STORES. The third form shows shares again, made from\n"
    "the stores: those that were lost, too. All are read-only.\n"
    "\n"
    "    -o required=K          shares that are enough to restore, 1..255 (default 3;\n"
    "                           of stores: what most of them say)\n"
    "    -o shares=N            shares to show, K..256 (default 20)\n"
    "    -o source=DIR          the same as the argument SOURCE or STORES\n"
    "    -o restore             show the files of the shares in STORES\n"
    "    -o rebuild             show shares, made from those in STORES\n"
    "    -o store=DIR           one more store, from anywhere; may be repeated\n"
    "    -o store_timeout=S     seconds until a store that does not answer is set\n"
    "                           aside, and the others are used (default 5)\n"
    "    -o unconfirmed         also show names that too few stores have\n"
    "    -o format=F            checked (default), classic (zfec_fs) or fec (zfec)\n"
    "    -o block_size=SIZE     of checked format, a power of two, 4K..1M (64K)\n"
    "    -o exclude=PATTERN     leave out what matches, as a .gitignore does\n"
    "    -o exclude_from=FILE   the same, with a pattern on each line of FILE\n"
    "    -o xdev                other file systems in SOURCE are empty directories\n"
    "    -o torn=allow          read files that change meanwhile as they are\n"
    "    -o attr_timeout=S      seconds that the kernel may keep attributes: faster\n"
    "    -o cache=no            read past the kernel's cache of pages\n"
    "    -o io_uring            take the kernel's requests by io_uring, if it can\n"
    "\n"
    "    -o OPT[,OPT...]        options for the mount: allow_other, fsname=NAME, ...\n"
    "    -f                     stay in the foreground, log to standard error\n"
    "    -d                     show every request (and stay in the foreground)\n"
    "    -s                     serve one request at a time\n"
    "    -h, --help             this help\n"
    "    -V, --version          the version\n"
    "\n"
    "A comma in a value is written as \\, . To unmount: fusermount3 -u MOUNTPOINT\n";

#define THREADS "    -j, --jobs N           threads (default: one per processor; far stores: 16)\n"

#define COMMON                                                                                     \
    "    -q, --quiet            only errors: no results, no progress\n"                            \
    "    -v, --verbose          each file\n"                                                       \
    "        --json             results as JSON, one object a line\n"                              \
    "        --log-file FILE    write messages to FILE as well\n"                                  \
    "    -h, --help             this help\n"

static const char encode_help[] =
    "usage: zfec-fs encode [options] SOURCE DEST\n"
    "       zfec-fs encode [options] SOURCE --to NN=DIR ...\n"
    "\n"
    "Makes the shares of all that is in SOURCE, in the directories 00, 01, ... of\n"
    "DEST, or where --to says. What is there already, by size and time, stays as it\n"
    "is.\n"
    "\n"
    "    -k, --required K       shares that are enough to restore, 1..255 (default 3)\n"
    "    -n, --count N          shares that there are, K..256 (default 20)\n"
    "        --shares LIST      make only these of DEST, like 00,03-05\n"
    "        --to NN=DIR        make share NN in DIR; may be repeated\n"
    "        --format F         checked (default), classic or fec\n"
    "        --block-size SIZE  of checked format, a power of two, 4K..1M (64K)\n"
    "        --exclude PATTERN, --exclude-from FILE\n"
    "                           leave out what matches, as a .gitignore does\n"
    "    -x, --one-file-system  other file systems in SOURCE are empty directories\n"
    "        --torn allow       read files that change meanwhile (default: error)\n"
    "    -c, --checksum         compare contents where size and time are the same\n"
    "        --delete           remove what is not in SOURCE\n"
    "        --dry-run          say what would be done, and do nothing\n" THREADS COMMON;

static const char decode_help[] =
    "usage: zfec-fs decode [options] STORES DEST\n"
    "       zfec-fs decode [options] --store DIR ... [STORES] DEST\n"
    "\n"
    "Restores all files to DEST, from any k of the shares that lie in the\n"
    "directories of STORES. What is there already, by size and time, stays as it is.\n"
    "A file that cannot be restored is named, and the others are restored.\n"
    "\n"
    "        --store DIR        one more store, from anywhere; may be repeated\n"
    "        --store-timeout S  seconds until a store is set aside (default 5)\n"
    "        --unconfirmed      also restore names that too few stores have\n"
    "        --older            of damaged files, take the newest whole version\n"
    "        --salvage          write what can be read of it to NAME.partial\n"
    "        --format F         checked (default), classic or fec\n"
    "    -k, --required K       shares that are enough (default: as most say)\n"
    "    -c, --checksum         compare contents where size and time are the same\n"
    "        --delete           remove what is not in the stores\n"
    "        --dry-run          say what would be done, and do nothing\n" THREADS COMMON;

static const char check_help[] =
    "usage: zfec-fs check [options] STORES\n"
    "       zfec-fs check [options] --store DIR ... [STORES]\n"
    "\n"
    "Reads every share of every file in the directories of STORES, and says what is\n"
    "damaged, missing or old, and what can still be lost.\n"
    "\n"
    "        --quick            look at presence, sizes and headers only\n"
    "        --sample P         read only a random part of the blocks, like 5%\n"
    "        --report FILE      write what was found as a web page as well\n"
    "        --store DIR        one more store, from anywhere; may be repeated\n"
    "        --store-timeout S  seconds until a store is set aside (default 5)\n"
    "        --format F         checked (default), classic or fec\n"
    "    -k, --required K       shares that are enough (default: as most say)\n" THREADS COMMON;

static const char repair_help[] =
    "usage: zfec-fs repair [options] STORES\n"
    "       zfec-fs repair [options] --store DIR ... [STORES]\n"
    "\n"
    "Brings every store in the directories of STORES to the newest version that can\n"
    "be restored: makes missing, damaged and old shares anew.\n"
    "\n"
    "        --add NN=DIR       make share NN in DIR, a new store; may be repeated\n"
    "        --delete           remove what fewer stores have than are enough\n"
    "        --dry-run          say what would be done, and do nothing\n"
    "        --store DIR        one more store, from anywhere; may be repeated\n"
    "        --store-timeout S  seconds until a store is set aside (default 5)\n"
    "        --format F         checked (default), classic or fec\n"
    "    -k, --required K       shares that are enough (default: as most say)\n" THREADS COMMON;

static const char info_help[] =
    "usage: zfec-fs info [options] FILE...\n"
    "\n"
    "Says what share files say of themselves, and whether they are intact.\n"
    "\n"
    "        --format F         checked (default), classic or fec\n"
    "    -k, --required K       no effect here: each share file says it itself\n" THREADS COMMON;

static const char sync_help[] =
    "usage: zfec-fs sync [options] [NAME...]\n"
    "\n"
    "Brings every node of the sets NAME (default: of all) up to date, all at once, by\n"
    "rsync or rclone, and says which nodes are up to date, and which are behind and\n"
    "since when. zfec-fs-sets(5) has what the file of sets says.\n"
    "\n"
    "    -c, --config FILE      the file of sets (~/.config/zfec-fs/sets.ini; of\n"
    "                           root /etc/zfec-fs/sets.ini)\n"
    "        --checksum         compare contents, not sizes and times\n"
    "        --verify P         then compare a random part of the files, like 5%\n"
    "        --dry-run          say what would be done, and do nothing\n"
    "    -j, --jobs N           so many nodes at once (default: all)\n" COMMON;

static const char bench_help[] =
    "usage: zfec-fs bench [options]\n"
    "\n"
    "Measures how fast the code and the hash are on this machine, in memory, and\n"
    "compares that with a network link. Takes some seconds.\n"
    "\n"
    "    -k, --required K       shares that are enough to restore, 1..255 (default 3)\n"
    "    -n, --count N          shares that there are, K..256 (default 20)\n"
    "        --format F         checked (default), classic or fec\n"
    "        --block-size SIZE  of checked format, a power of two, 4K..1M (64K)\n" THREADS COMMON;

static int end_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return log_errno(-errno, "standard output");
    return 0;
}

static const char *help_of(enum command command)
{
    switch (command) {
    case COMMAND_ENCODE:
        return encode_help;
    case COMMAND_DECODE:
        return decode_help;
    case COMMAND_CHECK:
        return check_help;
    case COMMAND_REPAIR:
        return repair_help;
    case COMMAND_INFO:
        return info_help;
    case COMMAND_BENCH:
        return bench_help;
    case COMMAND_SYNC:
        return sync_help;
    default:
        return help;
    }
}

int help_print(enum command command)
{
    fputs(help_of(command), stdout);
    return end_output();
}

int version_print(const char *library_version)
{
    printf("zfec-fs %s (libfuse %s)\n", VERSION, library_version);
    return end_output();
}
