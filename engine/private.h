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
#include "engine/pictures.h"
#include "engine/text/sampler_vocabulary.h"
#include "engine/text/template.h"
#include "engine/text/tokenizer.h"

struct engine {
    struct gguf *gguf;
    struct tokenizer *tokenizer;
    struct vocabulary *vocabulary; // for constraints and DRY; made when first needed
    struct template *template;     // NULL: the file has none, or none that parses
    bool template_is_fallback;
    bool template_wants_lists;    // of typed parts, even for plain texts
    bool template_takes_pictures; // it says itself where they go
    struct gpu *gpu;              // NULL: opened for the vocabulary only
    struct decoder *decoder;      // NULL likewise
    struct vision *vision;        // NULL: the model is blind
    struct pictures *pictures;    // what it has seen; never NULL
    char picture_marker[48];      // stands for a picture in contents that are plain texts
    char *model_name, *architecture;
    const char *quantisation;
    uint64_t parameter_count;
    int64_t load_ns;
    atomic_bool cancelled;
};

// prompt.c: the model's chat template, or one that suits its special tokens.
bool engine_load_template(struct engine *engine, struct err *err);
// Finds out how the template wants contents and pictures, once the vision is open.
void engine_probe_template(struct engine *engine);

// prompt_tokens.c: the rendered conversation as tokens and pictures.
bool engine_prompt_assemble(const struct engine *engine,
                            const struct conversation *conversation,
                            const struct template_output *output,
                            struct engine_prompt *prompt, struct err *err);
size_t engine_count_text(const char *bytes, size_t len, const char *needle);

// pictures.c
// The projector's file: what it says is known before the decoder is made, its encoder
// after.
bool engine_open_vision(struct engine *engine, const char *mmproj_path, struct err *err);
bool engine_open_encoder(struct engine *engine, const struct engine_params *params,
                         struct err *err);
void engine_close_vision(struct engine *engine);
bool engine_make_picture_marker(struct engine *engine, struct err *err);
const char *engine_picture_placeholder(const struct engine *engine);

#endif
