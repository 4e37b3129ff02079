// app/interrupt.h
// SPDX-License-Identifier: MIT
//
// Ctrl-C as something one can wait for. Before interrupt_catch SIGINT ends the program as
// usual; afterwards it makes interrupt_fd readable, and
// system calls return EINTR.
#ifndef ORIEL_APP_INTERRUPT_H
#define ORIEL_APP_INTERRUPT_H

#include <stdbool.h>

void interrupt_catch(void);
// -1 before interrupt_catch. Stays readable once interrupted.
int interrupt_fd(void);
bool interrupted(void);
// Waits that long, or until interrupted: then it returns false.
bool interrupt_sleep(int milliseconds);

#endif
