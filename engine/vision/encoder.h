// engine/vision/encoder.h
// SPDX-License-Identifier: MIT
//
// A vision encoder with its projector on the device: preprocessed tiles in, embeddings in
// the language model's space out.
#ifndef ORIEL_ENGINE_VISION_ENCODER_H
#define ORIEL_ENGINE_VISION_ENCODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"
#include "engine/vision/params.h"
#include "engine/vision/preprocess.h"

struct vision_encoder;

// False cancels.
typedef bool vision_progress(void *user, const char *stage, double fraction);

// gguf is borrowed during the call. ERR_FORMAT names a tensor that is missing or has
// another shape than the parameters say.
struct vision_encoder *vision_encoder_create(struct gpu *gpu, const struct gguf *gguf,
                                             const struct vision_params *params,
                                             vision_progress *progress, void *user,
                                             struct err *err);
void vision_encoder_destroy(struct vision_encoder **encoder);

// Floats of one embedding: projection_width, times 1 + deepstack_count.
uint32_t vision_encoder_output_width(const struct vision_encoder *encoder);

// embeddings: [input->embedding_count][output width]; with deepstack the extra vectors
// follow each embedding. ERR_CANCELLED, ERR_DEVICE, ERR_MEMORY.
bool vision_encode(struct vision_encoder *encoder, const struct vision_input *input,
                   float *embeddings, const atomic_bool *cancelled,
                   vision_progress *progress, void *user, struct err *err);

#endif
