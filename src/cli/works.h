/* SPDX-License-Identifier: MIT */
/* The commands. */
#pragma once

#include "cli/exit_status.h"
#include "cli/work.h"

enum exit_status encode_command(struct work *work);
enum exit_status decode_command(struct work *work);
enum exit_status check_command(struct work *work);
enum exit_status repair_command(struct work *work);
enum exit_status info_command(struct work *work);
enum exit_status sync_command(struct work *work);
