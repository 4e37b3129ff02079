// engine/measure.c
// SPDX-License-Identifier: MIT
//
// `oriel bench`: how fast the model is on this device, and what the device could do.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/gpu/kernels.h"
#include "engine/private.h"

#define READ_BYTES ((uint64_t)64 << 20)
#define REPEATS    5

// ---------------------------------------------------------------------------
// The model. Tokens are chosen greedily, and the end of a turn does not end the run.

static bool keep_highest(void *user, const struct decoder_logits *logits)
{
    uint32_t *best = user;
    uint32_t slice = 0;

    for (uint32_t i = 1; i < logits->peak_count; i++)
        if (logits->peaks[i][0] > logits->peaks[slice][0])
            slice = i;
    *best = slice * DECODER_SLICE;
    for (uint32_t i = *best; i < *best + DECODER_SLICE && i < logits->count; i++)
        if (logits->values[i] > logits->values[*best])
            *best = i;
    return true;
}

static bool feed(struct engine *engine, const uint32_t *tokens, size_t count,
                 uint32_t *best, int64_t *took_ns, struct err *err)
{
    int64_t start = clock_ns();
    struct decoder_pass pass = {
        .tokens = tokens,
        .count = (uint32_t)count,
        .on_logits = keep_highest,
        .user = best,
        .cancelled = &engine->cancelled,
    };

    if (!decoder_run(engine->decoder, &pass, err))
        return false;
    *took_ns += clock_ns() - start;
    return true;
}

bool engine_bench(struct engine *engine, struct bench_run *run, struct err *err)
{
    uint32_t vocabulary = decoder_model(engine->decoder)->vocabulary;
    uint32_t *prompt;
    uint32_t best = 0;
    bool ok = true;

    if (run->prompt_tokens == 0 ||
        run->generated_tokens > decoder_context(engine->decoder) ||
        run->prompt_tokens > decoder_context(engine->decoder) - run->generated_tokens)
        return err_set(
            err, ERR_LIMIT, "%zu + %zu tokens do not fit into the context of %u",
            run->prompt_tokens, run->generated_tokens, decoder_context(engine->decoder));
    prompt = alloc_array(run->prompt_tokens, sizeof(*prompt));
    for (size_t i = 0; i < run->prompt_tokens; i++)
        prompt[i] = (uint32_t)((i * 7919 + 104729) % vocabulary);
    engine->cancelled = false;
    run->prompt_ns = run->generation_ns = 0;
    decoder_truncate(engine->decoder, 0);
    ok = feed(engine, prompt, run->prompt_tokens, &best, &run->prompt_ns, err);
    for (size_t i = 0; ok && i < run->generated_tokens; i++) {
        uint32_t token = best;

        ok = feed(engine, &token, 1, &best, &run->generation_ns, err);
    }
    free(prompt);
    return ok;
}

// ---------------------------------------------------------------------------
// The device

struct bench_buffers {
    struct gpu_buffer x, y;
    struct gpu_recording *recording;
};

// The fastest of a few runs, in seconds.
static bool time_recording(struct gpu_recording *recording, double *seconds,
                           struct err *err)
{
    *seconds = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        int64_t start = clock_ns();
        double took;

        if (!gpu_run(recording, err))
            return false;
        took = (double)(clock_ns() - start) / 1e9;
        *seconds = took < *seconds ? took : *seconds;
    }
    return true;
}

static bool measure_read(struct gpu *gpu, struct bench_buffers *b, double *per_second,
                         struct err *err)
{
    uint64_t bytes;
    double seconds;

    if (!gpu_record_begin(b->recording, err) ||
        !kernel_limits_read(gpu, b->recording, &b->x, &b->y, &bytes, err) ||
        !gpu_record_end(b->recording, err) ||
        !time_recording(b->recording, &seconds, err))
        return false;
    *per_second = (double)bytes / seconds;
    return true;
}

static bool measure_arithmetic(struct gpu *gpu, struct bench_buffers *b,
                               double *per_second, struct err *err)
{
    uint64_t multiply_adds;
    double seconds = 0;

    // More rounds until the start of a submission no longer counts.
    for (uint32_t rounds = 16; rounds <= 1 << 16 && seconds < 0.02; rounds *= 4) {
        if (!gpu_record_begin(b->recording, err) ||
            !kernel_limits_arithmetic(gpu, b->recording, &b->x, &b->y, rounds,
                                      &multiply_adds, err) ||
            !gpu_record_end(b->recording, err) ||
            !time_recording(b->recording, &seconds, err))
            return false;
        *per_second = (double)multiply_adds / seconds;
    }
    return true;
}

bool engine_bench_limits(struct engine *engine, struct bench_limits *limits,
                         struct err *err)
{
    struct gpu *gpu = engine->gpu;
    struct bench_buffers b = { .recording = gpu_recording_create(gpu, err) };
    bool ok;

    decoder_cost(engine->decoder, &limits->weight_bytes_per_token,
                 &limits->multiply_adds_per_token);
    ok = b.recording != NULL &&
         gpu_buffer_create(gpu, &b.x, READ_BYTES, GPU_PLACE_DEVICE, "measuring", err) &&
         gpu_zero(gpu, &b.x, err) &&
         gpu_buffer_create(gpu, &b.y, KERNEL_LIMITS_INVOCATIONS * 4, GPU_PLACE_DEVICE,
                           "measuring", err) &&
         measure_read(gpu, &b, &limits->bytes_per_second, err) &&
         measure_arithmetic(gpu, &b, &limits->multiply_adds_per_second, err);
    gpu_recording_destroy(&b.recording);
    gpu_buffer_destroy(gpu, &b.x);
    gpu_buffer_destroy(gpu, &b.y);
    return ok;
}
