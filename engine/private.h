// engine/private.h
// SPDX-License-Identifier: MIT
//
// What the files directly in engine/ share.
#ifndef ORIEL_ENGINE_PRIVATE_H
#define ORIEL_ENGINE_PRIVATE_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"
#include "engine/model/decoder.h"
#include "engine/text/sampler_vocabulary.h"
#include "engine/text/template.h"
#include "engine/text/tokenizer.h"

struct engine {
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct vocabulary *vocabulary; // for constraints and DRY; made when first needed
    struct template *template;     // NULL: the file has none, or none that parses
    bool template_is_fallback;
    struct gpu *gpu;         // NULL: opened for the vocabulary only
    struct decoder *decoder; // NULL likewise
    char *model_name, *architecture;
    const char *quantisation;
    uint64_t parameter_count;
    int64_t load_ns;
    atomic_bool cancelled;
};

// prompt.c: the model's chat template, or one that suits its special tokens.
bool engine_load_template(struct engine *engine, struct err *err);

#endif
