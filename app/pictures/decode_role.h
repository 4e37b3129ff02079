// app/pictures/decode_role.h
// SPDX-License-Identifier: MIT
#ifndef ORIEL_APP_PICTURES_DECODE_ROLE_H
#define ORIEL_APP_PICTURES_DECODE_ROLE_H

// The whole life of a process that was started as "oriel decode" (picture.c starts it):
// one picture from DECODE_INPUT_FD to DECODE_OUTPUT_FD. Returns the exit status for
// _exit: there is nothing to flush, and no way to.
int decode_role_run(void);

#endif
