// engine/vision/params.h
// SPDX-License-Identifier: MIT
//
// What differs between vision encoders and projectors, as data: read from the metadata of
// an "mmproj" GGUF file (general.architecture "clip") and checked, as
// engine/model/params.h does for text.
//
// Sources: the key and tensor names of the ggml project's multimodal files; CLIP
// (arXiv:2103.00020), SigLIP (2303.15343), LLaVA 1.5 and 1.6 (2310.03744), Idefics3
// (2408.12637), SmolVLM (2504.05299), Gemma 3 (2503.19786), Qwen2-VL (2409.12191),
// Qwen2.5-VL (2502.13923), InternVL 2.5 (2412.05271), Pixtral (2410.07073), MiniCPM-V
// (2408.01800).
#ifndef ORIEL_ENGINE_VISION_PARAMS_H
#define ORIEL_ENGINE_VISION_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"

// clip.projector_type
enum projector {
    PROJECTOR_MLP,       // "mlp": LLaVA 1.5, and 1.6 where there are grid pinpoints
    PROJECTOR_IDEFICS3,  // "idefics3": SmolVLM, SmolVLM2
    PROJECTOR_GEMMA3,    // "gemma3"
    PROJECTOR_QWEN2VL,   // "qwen2vl_merger"
    PROJECTOR_QWEN25VL,  // "qwen2.5vl_merger"
    PROJECTOR_QWEN3VL,   // "qwen3vl_merger"
    PROJECTOR_INTERNVL,  // "internvl": InternVL 2.5 and 3
    PROJECTOR_PIXTRAL,   // "pixtral": Pixtral, Mistral Small 3.1
    PROJECTOR_RESAMPLER, // "resampler": MiniCPM-V 2.6
    PROJECTOR_LFM2,      // "lfm2": LFM2-VL
    PROJECTOR_COUNT
};

// VISION_GELU is the exact one, VISION_GELU_TANH its approximation.
enum vision_activation { VISION_GELU, VISION_GELU_TANH, VISION_GELU_QUICK, VISION_SILU };

#define VISION_MAX_LAYERS    128
#define VISION_MAX_PINPOINTS 64
#define VISION_MAX_TILES     64 // that a picture may be cut into

// vision_params_read leaves nothing to be guessed: where the file is silent, numbers are
// those of the family's published models.
struct vision_params {
    enum projector projector;
    uint32_t image_size; // pixels of a side: what the position embeddings were made for
    uint32_t patch_size;
    uint32_t width, layers, heads, head_dim, ff_width;
    uint32_t projection_width; // the language model's width
    float norm_epsilon;
    bool rms_norm; // else layer norm
    enum vision_activation activation;
    bool gated; // gate * up in the feed-forward part
    float mean[3], deviation[3];
    uint32_t merge;                    // patches of a side that become one token; 1: none
    uint32_t window;                   // pixels of a side of an attention window; 0: none
    bool full[VISION_MAX_LAYERS];      // layers that see everything although window > 0
    bool deepstack[VISION_MAX_LAYERS]; // layers whose output goes to the decoder as well
    uint32_t deepstack_count;
    uint32_t min_pixels, max_pixels; // dynamic resolution (qwen, lfm2); else 0
    uint32_t longest_side; // before it is cut (idefics3), at most (pixtral); else 0
    uint32_t pinpoints[VISION_MAX_PINPOINTS][2]; // LLaVA 1.6: heights and widths
    uint32_t pinpoint_count;
    uint32_t min_tiles, max_tiles; // internvl, minicpm, lfm2; else 0
    uint32_t queries;              // resampler
    uint32_t feature_layer; // layers that are run: all of them but where the file says so
};

// ERR_UNSUPPORTED names the projector type, ERR_FORMAT the key or tensor.
bool vision_params_read(const struct gguf *gguf, struct vision_params *params,
                        struct err *err);

// As in files: "mlp", "idefics3".
const char *projector_name(enum projector projector);

// How many tokens of a picture see one another in the decoder; 0: they see what came
// before them, as words do.
uint32_t vision_tokens_together(const struct vision_params *params);

#endif
