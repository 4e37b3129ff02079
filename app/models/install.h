// app/models/install.h
// SPDX-License-Identifier: MIT
//
// From the workspace into the store, in place of what is there under that name. At every
// instant the record names whole files: the new ones come under names that the old record
// does not have, then the record changes in one step, then the old files go. Everything
// is on the disk before the next thing that depends on it.
#ifndef ORIEL_APP_MODELS_INSTALL_H
#define ORIEL_APP_MODELS_INSTALL_H

#include <stdbool.h>

#include "app/models/record.h"
#include "app/models/workspace.h"
#include "base/err.h"

// The files of the record are in the workspace, under the names that it gives them;
// afterwards it gives them the names that they have in the store. old: the record that is
// there; its count is 0 when there is none.
bool install(struct model_record *record, const struct model_record *old,
             const struct workspace *workspace, struct err *err);

#endif
