/* SPDX-License-Identifier: MIT */
/*
 * Directories: they are made before what is in them, and what is done in them changes their times;
 * so their metadata comes last, and is noted until then as it was before.
 */
#pragma once

#include "engine/entry.h"

/* The root is there in all targets. */
void directories_begin(struct copy_work *copy);

/* Makes the directory where it is missing, and has it visited. */
void directories_enter(struct entry *entry);

/* Gives all of them their metadata, and has names durable where target_settle does not. */
void directories_end(struct copy_work *copy);
