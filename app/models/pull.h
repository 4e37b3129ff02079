// app/models/pull.h
// SPDX-License-Identifier: MIT
//
// Getting a model: a plan of which files, each fetched into the workspace, checked, and
// then moved into the store together. What arrives is only ever stored under names that
// we made. What is installed already and still as it was is not fetched again; another
// model of the same name is only replaced when one says so.
#ifndef ORIEL_APP_MODELS_PULL_H
#define ORIEL_APP_MODELS_PULL_H

#include <stdbool.h>

#include "app/models/store.h"
#include "base/err.h"

struct pull_params {
    const char *what;   // name, hf:owner/repo[:file], URL, path or pypi:...
    const char *name;   // to install it as; NULL: made from `what`
    const char *mmproj; // source of the vision projector; NULL: as the catalogue says
    const char *sha256; // what the model must have; NULL: as catalogue or server say
    bool replace;       // get it anew, in place of what is installed
    bool quiet;
};

enum pull_outcome { PULL_FAILED, PULL_INSTALLED, PULL_WAS_THERE };

// *record describes the model that is installed now (release it unless PULL_FAILED).
// Needs interrupt_catch; after Ctrl-C, ERR_CANCELLED, and what has arrived stays for the
// next time.
enum pull_outcome pull(const struct pull_params *params, struct model_record *record,
                       struct err *err);

#endif
