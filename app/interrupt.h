// app/interrupt.h
// SPDX-License-Identifier: MIT
//
// Ctrl-C as something one can wait for. Before interrupt_catch SIGINT ends the program as
// usual; afterwards it makes interrupt_fd readable, and
// system calls return EINTR.
#ifndef ORIEL_APP_INTERRUPT_H
#define ORIEL_APP_INTERRUPT_H

void interrupt_catch(void);
// -1 before interrupt_catch. Stays readable once interrupted.
int interrupt_fd(void);

#endif
