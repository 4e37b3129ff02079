// tests/engine/vision/generate.h
// SPDX-License-Identifier: MIT
//
// Small random models that see: for each family a language model and the "mmproj" file
// beside it, with the keys, tensor names, shapes and permutations of the files that are
// published. Sizes are tiny and awkward, and every option shows in the result: norms are
// not 1, biases not 0, epsilons large. The same recipe gives the same bytes everywhere.
//
// Sources: the conversion scripts of the ggml project (conversion/*.py, and
// tools/mtmd/legacy-models for LLaVA and MiniCPM-V). Published files are odd in places,
// and so are these:
//   - llava, minicpmv, early files of others: the first matrix of the feed-forward part
//   is
//     called "ffn_down" and the second "ffn_up" (only their shapes tell);
//   - llava, minicpmv: clip.vision.projection_dim is CLIP's own or 0, not the width of
//   the
//     language model;
//   - llava-1.5: only the layers that count are stored, and no feature_layer;
//   - qwen2vl, qwen2.5vl: no spatial_merge_size and no window_size;
//   - qwen2vl: feed_forward_length is the width of the language model, or 0 in early
//   files;
//   - gemma3: mm.input_projection.weight is stored as it is multiplied from the right;
//   - pixtral, mistral3: rows of q and k are permuted as llama's are.
#ifndef ORIEL_TESTS_ENGINE_VISION_GENERATE_H
#define ORIEL_TESTS_ENGINE_VISION_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/quant.h"

struct vision_recipe {
    const char *family;   // "llava-1.5", "idefics3", ...: vision_family_at
    enum quant_type type; // F32, F16 or Q8_0: what the file would be called; tensors that
                          // converters keep wider are wider here as well
    uint64_t seed;
    bool old_names; // the same weights as early scripts named them: ffn_down for the
                    // first matrix of the feed-forward part, ffn_up for the second
};

size_t vision_family_count(void);
const char *vision_family_at(size_t index);

// Writes the pair. Fails with ERR_UNSUPPORTED (no such family) or ERR_IO.
bool vision_generate(const struct vision_recipe *recipe, const char *language_path,
                     const char *projector_path, struct err *err);

#endif
