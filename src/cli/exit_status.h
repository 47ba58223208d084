/* SPDX-License-Identifier: MIT */
/*
 * How the program ends. Where several hold: lost before failed before damaged. zfec-fs(1) and the
 * tests say the same.
 */
#pragma once

enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_DAMAGED = 1, /* something is damaged, and all can be restored; or it was mended */
    EXIT_STATUS_LOST = 2,    /* something cannot be restored */
    EXIT_STATUS_USAGE = 3,   /* the arguments make no sense */
    EXIT_STATUS_FAILED = 4,  /* it could not be done: I/O, permission, space; or it was stopped */
};
