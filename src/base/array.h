/* SPDX-License-Identifier: MIT */
#pragma once

/* How many elements an array has; not for pointers. */
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
