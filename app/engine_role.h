// app/engine_role.h
// SPDX-License-Identifier: MIT
//
// The engine's side of the wire: what "oriel engine" does.
#ifndef ORIEL_APP_ENGINE_ROLE_H
#define ORIEL_APP_ENGINE_ROLE_H

#define ENGINE_EXIT_LOST 3

// Serves requests on descriptor `socket` until the front closes it. Returns the exit
// status. When the device is lost, the process ends with ENGINE_EXIT_LOST after it has
// answered so.
int engine_role_run(int socket);

#endif
