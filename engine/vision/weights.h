// engine/vision/weights.h
// SPDX-License-Identifier: MIT
//
// The tensors of a vision encoder and its projector by role, each checked against the
// shape that the parameters give it, packed and on the device; what is only looked up
// (position embeddings, single tokens) stays on the host as floats.
//
// Names: those of the ggml project's multimodal files (tools/mtmd/clip-impl.h). Old files
// call the first matrix of a feed-forward part ffn_down and the second ffn_up: the shapes
// tell.
#ifndef ORIEL_ENGINE_VISION_WEIGHTS_H
#define ORIEL_ENGINE_VISION_WEIGHTS_H

#include "engine/model/matrix.h"
#include "engine/vision/params.h"

#define VISION_MAX_POSITIONS (1u << 17)
#define VISION_MAX_WIDTH     (1u << 16) // between two matrices of a projector

// Vectors with memory NULL are not there.
struct vision_norm {
    struct gpu_buffer weight, bias; // of a layer norm both, of an RMS norm the weight
};

struct vision_linear {
    struct matrix matrix; // piece_count 0: not there
    struct gpu_buffer bias;
};

struct vision_layer {
    struct vision_norm attention_norm, ff_norm;
    struct gpu_buffer query_norm, key_norm; // over all heads (InternViT 6B)
    struct gpu_buffer attention_scale, ff_scale;
    struct vision_linear qkv, output;
    struct vision_linear up, down; // up: the gate's rows, if there is one, then its own
};

// From patches, merged or not, to the language model's width.
struct vision_mlp {
    struct vision_norm norm;            // of what was merged
    struct vision_linear first, second; // an activation between them, if there are two
};

struct vision_resampler {
    struct vision_linear kv, query, key, value, output, projection;
    struct vision_norm query_norm, kv_norm, post_norm;
    float *queries; // [params->queries][projection_width]
};

struct vision_weights {
    struct vision_linear patch; // columns: [3][patch_size][patch_size]
    float *positions;           // [position_count][width] or NULL
    uint32_t position_count;
    float *class_embedding; // [width] or NULL
    struct vision_norm pre_norm, post_norm;
    struct vision_layer *layers;       // params->feature_layer of them
    struct vision_norm input_norm;     // pixtral: of patches, before they are merged
    struct vision_linear patch_merger; // pixtral: after that
    struct vision_mlp mlp;
    struct vision_mlp *deepstack; // params->deepstack_count of them
    struct vision_resampler resampler;
    float *newline; // LLaVA 1.6: [projection_width] or NULL
};

typedef bool vision_weights_progress(void *user, double fraction);

bool vision_weights_load(struct gpu *gpu, const struct gguf *gguf,
                         const struct vision_params *params,
                         struct vision_weights *weights,
                         vision_weights_progress *progress, void *user, struct err *err);
void vision_weights_release(struct gpu *gpu, const struct vision_params *params,
                            struct vision_weights *weights);

#endif
