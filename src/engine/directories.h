/* SPDX-License-Identifier: MIT */
/*
 * Directories: they are made before their contents, which then change their times. So their
 * metadata is noted as it was before, and set last.
 */
#pragma once

#include "engine/entry.h"

/* The root is there in all targets. */
void directories_begin(struct copy_work *copy);

/* Makes the directory where it is missing, and has it visited. */
void directories_enter(struct entry *entry);

/* Gives all of them their metadata, and has names durable where target_settle does not. */
void directories_end(struct copy_work *copy);
