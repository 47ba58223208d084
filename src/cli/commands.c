/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <string.h>

const struct command_row command_rows[COMMAND_COUNT] = {
    {"",
     COMMAND_MOUNT,
     "DIR",
     mount_command,
     "show shares of a source, or what is in stores",
     {"[options] [SOURCE] MOUNTPOINT", "-o restore [options] [STORES] MOUNTPOINT",
      "-o rebuild [options] [STORES] MOUNTPOINT"},
     "The first form shows SOURCE (default /) as shares: a directory 00, 01, ... for\n"
     "each, with every file erasure-coded to 1/k of its size. Copy them to different\n"
     "places. The second form shows the files again, from any k of the shares that lie\n"
     "in the sub-directories of STORES. The third form shows shares again, made from\n"
     "the stores: those that were lost, too. All are read-only.\n"
     "To unmount: fusermount3 -u MOUNTPOINT. A comma in a value is written as \\, .\n"},
    {"encode",
     COMMAND_ENCODE,
     "DIR",
     encode_command,
     "make the shares of a directory tree",
     {"[options] SOURCE DEST", "[options] SOURCE --to NN=DIR ..."},
     "Makes the shares of all that is in SOURCE, in the directories 00, 01, ... of\n"
     "DEST, or where --to says. What is there already, by size and time, stays as it\n"
     "is.\n"},
    {"decode",
     COMMAND_DECODE,
     "DIR",
     decode_command,
     "restore files from shares",
     {"[options] STORES DEST", "[options] --store DIR ... [STORES] DEST"},
     "Restores all files to DEST, from any k of the shares that lie in the\n"
     "directories of STORES. What is there already, by size and time, stays as it is.\n"
     "A file that cannot be restored is named, and the others are restored.\n"},
    {"check",
     COMMAND_CHECK,
     "DIR",
     check_command,
     "say what is damaged, missing or old",
     {"[options] STORES", "[options] --store DIR ... [STORES]"},
     "Reads every share of every file in the directories of STORES, and says what is\n"
     "damaged, missing or old, and what can still be lost.\n"},
    {"repair",
     COMMAND_REPAIR,
     "DIR",
     repair_command,
     "make missing, damaged and old shares anew",
     {"[options] STORES", "[options] --store DIR ... [STORES]"},
     "Brings every store in the directories of STORES to the newest version that can\n"
     "be restored: makes missing, damaged and old shares anew.\n"},
    {"info",
     COMMAND_INFO,
     "FILE",
     info_command,
     "say what share files are",
     {"[options] FILE..."},
     "Says what share files say of themselves, and whether they are intact.\n"},
    {"sync",
     COMMAND_SYNC,
     "SET",
     sync_command,
     "bring the nodes of sets up to date",
     {"[options] [NAME...]"},
     "Brings every node of the sets NAME (default: of all) up to date, all at once, by\n"
     "rsync or rclone, and says which nodes are up to date, and which are behind and\n"
     "since when. zfec-fs-sets(5) has what the file of sets says.\n"},
    {"bench",
     COMMAND_BENCH,
     "-",
     bench_command,
     "measure the code and the hash of this machine",
     {"[options]"},
     "Measures how fast the code and the hash are on this machine, in memory, and\n"
     "compares that with a network link. Takes some seconds.\n"},
};

const struct command_row *command_find(const char *word)
{
    for (size_t i = 1; word && i < COMMAND_COUNT; i++) {
        if (strcmp(word, command_rows[i].name) == 0)
            return &command_rows[i];
    }
    return &command_rows[0];
}
