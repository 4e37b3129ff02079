// app/models/names.h
// SPDX-License-Identifier: MIT
//
// What models and their files are called. The files of the model NAME begin with a stem,
// NAME itself or NAME~2: a model that replaces another one of its name takes the stem
// that the old one does not have, so that both are there until the record changes. Of the
// file alone one can tell to which model it belongs: "~" is in no name, and no name ends
// like the file of another model.
#ifndef ORIEL_APP_MODELS_NAMES_H
#define ORIEL_APP_MODELS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define MODEL_NAME_MAX  64
#define MODEL_PARTS_MAX 256

enum stem { STEM_FIRST, STEM_SECOND };

// Letters, digits and "._-", beginning with a letter or digit, at most MODEL_NAME_MAX.
bool model_name_valid(const char *name);
// Such a name made of any text (of its last characters nothing is promised).
char *model_name_from(const char *text, size_t len);

// "NAME.gguf", or of a split model part 1 to count "NAME-00001-of-00005.gguf". The caller
// frees it.
char *model_part_name(const char *name, enum stem stem, size_t part, size_t count);
// "NAME.mmproj.gguf". The caller frees it.
char *model_mmproj_name(const char *name, enum stem stem);
// Whether a file that is called so belongs to the model.
bool model_owns(const char *name, const char *file);

// Of "dir/Model-00002-of-00005.gguf": the length of what is in front of the numbers, and
// how many parts there are. false: it is no part of a split model.
bool split_name(const char *path, size_t *stem, unsigned *parts);

#endif
