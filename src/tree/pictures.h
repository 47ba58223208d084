/* SPDX-License-Identifier: MIT */
/*
 * How rclone spells names, to its mount and in its output: a control character is its picture, "\r"
 * is "␍"; and what is a picture in the name has a quote before it, "‛␍".
 */
#pragma once

/* Has TEXT, a name or a path, as it is; that is no longer. */
void pictures_undo(char *text);

/* Stores in *RET how rclone spells TEXT, or NULL where it is the same; the caller frees it. Returns
 * 0 or -ENOMEM. */
int pictures_spell(const char *text, char **ret);
