// app/models/plan.h
// SPDX-License-Identifier: MIT
//
// Which files a model consists of and where each comes from, before anything is fetched.
#ifndef ORIEL_APP_MODELS_PLAN_H
#define ORIEL_APP_MODELS_PLAN_H

#include "app/models/pull.h"

// Fills the record as it should become; sha256 is empty and size_bytes 0 where they are
// not known yet. Release it also after a failure.
bool plan_make(const struct pull_params *params, struct model_record *plan,
               struct err *err);

#endif
