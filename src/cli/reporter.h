/* SPDX-License-Identifier: MIT */
/* Writes to the log how the stores of a mount are, when SIGUSR1 asks for it. */
#pragma once

#include "store/stores.h"

/* To be called before any thread is started, and once. Until there are STORES, nothing is said. */
void reporter_start(void);

/* From here on it is about STORES; NULL: about none. They live until this is called again. */
void reporter_watch(struct stores *stores);
