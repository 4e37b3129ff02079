// engine/model/vocabulary.h
// SPDX-License-Identifier: MIT
//
// The tokenizer of a model file: reads the tokenizer.* keys of a GGUF into the plain
// arrays of engine/text/tokenizer.h.
#ifndef ORIEL_ENGINE_MODEL_VOCABULARY_H
#define ORIEL_ENGINE_MODEL_VOCABULARY_H

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/text/tokenizer.h"

// Nothing is borrowed from gguf. Fails with ERR_FORMAT (a key of the wrong type, arrays
// of different lengths, ids out of range), ERR_UNSUPPORTED (a tokenizer that we do not
// know), ERR_LIMIT or ERR_MEMORY.
struct tokenizer *vocabulary_load(const struct gguf *gguf, struct err *err);

#endif
