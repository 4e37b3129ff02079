// engine/engine.h
// SPDX-License-Identifier: MIT
//
// The engine: text and images in, tokens out. The whole public face of engine/.
//
// Two nouns. `struct engine` is a model on a device: weights, tokenizer, template, KV
// cache. A request always states the whole prompt; the engine finds what it has computed
// before and computes only the rest, so no caller keeps account of the cache.
//
// One thread at a time may use an engine, except engine_cancel, which may be called from
// any thread and from signal handlers. The engine never touches the terminal or the
// database.
//
// Files of the room: engine.c (this), describe.c (what is in a file), pictures.c and
// picture_cache.c (what the model has seen), prompt.c (from conversations to tokens),
// format/ (GGUF), text/ (tokenizer, template, sampler), gpu/ (device, memory, pipelines,
// kernels), model/ (decoder), vision/ (encoder, projectors), reference/ (plain C
// kernels).
#ifndef ORIEL_ENGINE_ENGINE_H
#define ORIEL_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conversation.h"
#include "base/err.h"
#include "base/str.h"

struct engine;

// Called while something takes long, with what is being done ("reading weights",
// "compiling kernels", "reading the prompt") and how far it is (0 to 1). Return false to
// cancel.
typedef bool engine_progress(void *user, const char *stage, double fraction);

struct engine_params {
    const char *model_path;      // GGUF
    const char *mmproj_path;     // GGUF of the vision projector, or NULL
    const char *device;          // index or part of a name; NULL: the best one
    const char *cache_directory; // for the pipeline cache; NULL: nothing is kept on disk
    uint32_t context_tokens;     // 0: the model's own, at most 8192
    engine_progress *progress;   // may be NULL
    void *user;
};

// Fails with ERR_NOT_FOUND, ERR_FORMAT, ERR_UNSUPPORTED, ERR_MEMORY (with the numbers),
// ERR_DEVICE or ERR_CANCELLED. ERR_LOST, here and in every function that uses the device:
// the process should end, and another one try.
struct engine *engine_open(const struct engine_params *params, struct err *err);
void engine_close(struct engine **engine);

// Makes the running call return ERR_CANCELLED (or STOP_CANCELLED) within about 100 ms.
void engine_cancel(struct engine *engine);

// Strings are borrowed from the engine and untrusted where they come from the model file.
struct engine_info {
    const char *model_name;   // general.name, or the file's name
    const char *architecture; // "llama", ...
    const char *quantisation; // the type of most weights, "Q4_1"
    const char *device_name;
    uint64_t parameter_count;
    uint64_t file_bytes;
    uint64_t device_bytes; // memory used on the device: weights, KV cache, scratch
    uint32_t context_tokens;
    uint32_t trained_context_tokens;
    uint32_t layer_count, width, vocabulary_size;
    bool has_template;
    bool has_vision;
    int64_t load_ns;    // how long engine_open took
};
void engine_info(const struct engine *engine, struct engine_info *info);

// ---------------------------------------------------------------------------
// Text

struct token_ids {
    uint32_t *ids;
    size_t count;
};
void token_ids_release(struct token_ids *tokens);

// special: text may name special tokens ("<|im_end|>") and the model's begin token is put
// in front if it wants one; otherwise the text is only text.
bool engine_tokenize(const struct engine *engine, const char *text, size_t len,
                     bool special, struct token_ids *tokens, struct err *err);
void engine_detokenize(const struct engine *engine, const uint32_t *ids, size_t count,
                       bool show_special, struct str *text);

// The tokenizer alone, without weights or device (for `oriel tokenize`).
struct engine *engine_open_vocabulary(const char *model_path, struct err *err);

// What is in a model file, as JSON (docs/formats.md), also of one that this engine cannot
// run. NULL when the file is refused, as engine_open refuses it. The caller frees it.
char *engine_describe_json(const char *model_path, struct err *err);

// ---------------------------------------------------------------------------
// Pictures. A picture is named by the SHA-256 of its original bytes (image_hash of struct
// part). The engine must have seen it before a conversation that shows it is rendered.

struct engine_picture {
    const char *hash;    // 64 hexadecimal digits
    const char *name;    // for messages; untrusted
    const uint8_t *rgba; // rows from the top, four bytes a pixel, sRGB, alpha not
                         // multiplied in; NULL: only if it has been seen already
    uint32_t width, height;
};

struct engine_picture_info {
    bool known;         // false only when rgba was NULL: the pixels are needed
    bool was_known;     // nothing had to be computed
    size_t token_count; // of the context that it takes, markers not counted
    size_t tile_count;
    int64_t encode_ns;
};

// Encodes the picture unless its embeddings are in memory or in the cache on disk.
// ERR_UNSUPPORTED: the model has no vision; ERR_LIMIT, ERR_CANCELLED, ERR_DEVICE.
bool engine_add_picture(struct engine *engine, const struct engine_picture *picture,
                        engine_progress *progress, void *user,
                        struct engine_picture_info *info, struct err *err);

// What the model would see, without weights and device: a JSON text (docs/formats.md) of
// tiles, sizes, tokens. NULL on failure; the caller frees it.
char *engine_picture_json(const char *mmproj_path, const struct engine_picture *picture,
                          struct err *err);

// ---------------------------------------------------------------------------
// Prompts

// In place of a token: an embedding of a picture.
#define ENGINE_PICTURE_TOKEN (UINT32_MAX - 1)

// Embeddings [offset, offset + count) of a picture in place of ids [first, first +
// count).
struct prompt_picture {
    char hash[65];
    size_t first, count, offset;
    uint32_t rows, columns; // of their grid where places matter, else 0
};

struct engine_prompt {
    uint32_t *ids;
    size_t count;
    struct prompt_picture *pictures; // in order
    size_t picture_count;
};
void engine_prompt_release(struct engine_prompt *prompt);

// Applies the model's chat template. tools_json may be NULL. now: seconds since the epoch
// for templates that print the date. Without a template in the file a plain one is used
// and *used_fallback set. ERR_NOT_FOUND: a picture that the engine has not seen.
bool engine_render(const struct engine *engine, const struct conversation *conversation,
                   const char *tools_json, int64_t now, struct engine_prompt *prompt,
                   bool *used_fallback, struct err *err);

// ---------------------------------------------------------------------------
// Generation

void generation_settings_default(struct generation_settings *settings);

// The id of an event that brings only text: what was held back at the end of a reply.
#define ENGINE_NO_TOKEN UINT32_MAX

struct engine_request {
    const struct engine_prompt *prompt; // at least one token
    const struct generation_settings *settings;
    engine_progress *progress; // while the prompt is read; may be NULL
    // Each token as it is chosen; false cancels. The event is valid during the call only.
    bool (*on_token)(void *user, const struct token_event *event);
    void *user;
};

struct engine_result {
    enum stop_reason reason;
    size_t prompt_tokens; // of the whole prompt
    size_t reused_tokens; // of these: found in the KV cache
    size_t generated_tokens;
    int64_t prompt_ns;     // reading the prompt's own tokens
    int64_t generation_ns; // from the first to the last generated token
    double prompt_tokens_per_second;
    double generation_tokens_per_second;
};

// A stop by the model, a limit or the person is success. ERR_LIMIT: the prompt is longer
// than the context (the text has both numbers).
bool engine_generate(struct engine *engine, const struct engine_request *request,
                     struct engine_result *result, struct err *err);

// ---------------------------------------------------------------------------
// Measuring

struct score_params {
    const uint32_t *tokens;
    size_t count;
    size_t window; // 0: the engine's context
    size_t
        stride; // 0: half the window. Every token but the first of the text is scored
                // once, with at least window - stride tokens before it (where there are)
    uint32_t top_logprobs; // per token, 0 to 20
    bool (*on_token)(void *user, size_t index, const struct token_event *event);
    // All log-probabilities at the position before token `index`; may be NULL.
    bool (*on_distribution)(void *user, size_t index, const float *logprobs,
                            size_t count);
    engine_progress *progress;
    void *user;
};
bool engine_score(struct engine *engine, const struct score_params *params,
                  struct err *err);

// Reads `prompt_tokens` and generates `generated_tokens` with nothing reused: one run.
struct bench_run {
    size_t prompt_tokens, generated_tokens;
    int64_t prompt_ns, generation_ns;
};
bool engine_bench(struct engine *engine, struct bench_run *run, struct err *err);

// What the device can do at most, measured: reading weights, and f32 multiply-adds.
struct bench_limits {
    double bytes_per_second;
    double multiply_adds_per_second;
    uint64_t weight_bytes_per_token; // read for one generated token
    uint64_t multiply_adds_per_token;
};
bool engine_bench_limits(struct engine *engine, struct bench_limits *limits,
                         struct err *err);

// ---------------------------------------------------------------------------
// Devices. Both return a JSON text in *json (see docs/formats.md), NULL on failure.

// [{"index", "name", "driver", "api", "type", "memory_bytes", "traits": {...},
//   "kernels": [{"operation", "variant", "why"}]}]
char *engine_devices_json(struct err *err);

// Runs every kernel on the device against the plain C reference: {"device", "results":
// [{"kernel", "variant", "case", "error", "tolerance", "passed", "milliseconds"}]}.
// device as in engine_params.
char *engine_doctor_json(const char *device, engine_progress *progress, void *user,
                         struct err *err);

#endif
