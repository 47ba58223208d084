/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

int main(int count, char *arguments[])
{
    return command_run(count, arguments);
}
