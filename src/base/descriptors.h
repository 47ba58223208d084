/* SPDX-License-Identifier: MIT */
#pragma once

/* Lets this process have as many files open as it may: one for each store, or target, at a time. */
void descriptors_allow_all(void);
