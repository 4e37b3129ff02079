// engine/generate.c
// SPDX-License-Identifier: MIT
//
// One reply: reads the part of the prompt that is not in the cache, then token by token
// chooses, shows and feeds back. Only as many logits are looked at as the sampler can
// need.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/private.h"
#include "engine/text/sampler_create.h"
#include "engine/text/stop.h"

// How many of the highest logits are handed to a sampler that does not need all.
#define TOP_CANDIDATES 256

struct generation {
    struct engine *engine;
    const struct engine_request *request;
    struct sampler *sampler;
    struct stop_matcher *stops;
    struct candidates candidates;     // room for the whole vocabulary
    uint32_t *slices;                 // indices of slices, for choosing the highest
    struct decoder_picture *pictures; // of the prompt
    struct str visible;               // text that became visible by the last token
    bool needs_all;
    bool sampled; // a token was chosen from the last logits
    uint32_t token;
    float logprob;
    struct token_logprob top[20];
    size_t top_count;
    int64_t start_ns;
    struct err err; // of a sampler that failed
};

// ---------------------------------------------------------------------------
// Candidates

static double log_sum_exp(const struct decoder_logits *logits)
{
    double highest = -INFINITY, sum = 0;

    for (uint32_t i = 0; i < logits->peak_count; i++)
        highest = fmax(highest, (double)logits->peaks[i][0]);
    for (uint32_t i = 0; i < logits->peak_count; i++)
        sum += exp((double)logits->peaks[i][0] - highest) * (double)logits->peaks[i][1];
    return highest + log(sum);
}

static double log_sum_exp_all(const float *values, uint32_t count)
{
    double highest = -INFINITY, sum = 0;

    for (uint32_t i = 0; i < count; i++)
        highest = fmax(highest, (double)values[i]);
    for (uint32_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            sum += exp((double)values[i] - highest);
    return highest + log(sum);
}

static void take_all(struct candidates *candidates, const struct decoder_logits *logits)
{
    for (uint32_t i = 0; i < logits->count; i++)
        candidates->items[i] = (struct candidate){ i, logits->values[i] };
    candidates->count = logits->count;
    candidates->complete = true;
    candidates->log_sum_exp = log_sum_exp_all(logits->values, logits->count);
}

static int by_peak(const void *a, const void *b, void *user)
{
    const float(*peaks)[2] = user;
    float left = peaks[*(const uint32_t *)a][0], right = peaks[*(const uint32_t *)b][0];

    return (left < right) - (left > right);
}

static int by_logit(const void *a, const void *b)
{
    float left = ((const struct candidate *)a)->logit;
    float right = ((const struct candidate *)b)->logit;

    return (left < right) - (left > right);
}

// The k highest logits lie in the k slices with the highest maxima.
static void take_top(struct generation *g, const struct decoder_logits *logits)
{
    struct candidates *candidates = &g->candidates;
    uint32_t slices =
        logits->peak_count < TOP_CANDIDATES ? logits->peak_count : TOP_CANDIDATES;
    double floor_logit;

    for (uint32_t i = 0; i < logits->peak_count; i++)
        g->slices[i] = i;
    qsort_r(g->slices, logits->peak_count, sizeof(*g->slices), by_peak,
            (void *)(uintptr_t)logits->peaks);
    floor_logit = (double)logits->peaks[g->slices[slices - 1]][0];
    candidates->count = 0;
    for (uint32_t s = 0; s < slices; s++) {
        uint32_t first = g->slices[s] * DECODER_SLICE;

        for (uint32_t i = first; i < first + DECODER_SLICE && i < logits->count; i++)
            if ((double)logits->values[i] >= floor_logit)
                candidates->items[candidates->count++] =
                    (struct candidate){ i, logits->values[i] };
    }
    qsort(candidates->items, candidates->count, sizeof(*candidates->items), by_logit);
    if (candidates->count > TOP_CANDIDATES)
        candidates->count = TOP_CANDIDATES;
    candidates->complete = candidates->count == logits->count;
    candidates->log_sum_exp = log_sum_exp(logits);
}

// A peak that is no number: some logit is none either, and order means nothing.
static bool peaks_are_finite(const struct decoder_logits *logits)
{
    for (uint32_t i = 0; i < logits->peak_count; i++)
        if (!isfinite(logits->peaks[i][0]) || !isfinite(logits->peaks[i][1]))
            return false;
    return logits->peak_count > 0;
}

static bool choose(void *user, const struct decoder_logits *logits)
{
    struct generation *g = user;

    if (g->needs_all || !peaks_are_finite(logits))
        take_all(&g->candidates, logits);
    else
        take_top(g, logits);
    g->sampled = sampler_choose(g->sampler, &g->candidates, &g->token, &g->logprob,
                                g->top, &g->top_count, &g->err);
    return g->sampled;
}

// ---------------------------------------------------------------------------
// The loop

static bool feed(struct generation *g, const uint32_t *tokens, uint32_t count,
                 const struct decoder_picture *pictures, size_t picture_count,
                 engine_progress *progress, struct err *err)
{
    struct decoder_pass pass = {
        .tokens = tokens,
        .count = count,
        .pictures = pictures,
        .picture_count = picture_count,
        .on_logits = choose,
        .progress = progress,
        .user = g,
        .cancelled = &g->engine->cancelled,
    };

    if (decoder_run(g->engine->decoder, &pass, err))
        return true;
    if (g->err.code != ERR_NONE)
        *err = g->err;
    return false;
}

static bool prompt_progress(void *user, const char *stage, double fraction)
{
    struct generation *g = user;

    return g->request->progress == NULL ||
           g->request->progress(g->request->user, stage, fraction);
}

static bool emit(struct generation *g, bool with_token)
{
    struct token_event event = {
        .id = with_token ? g->token : TOKEN_NONE,
        .logprob = with_token ? g->logprob : 0.0f,
        .text = g->visible.data,
        .text_len = g->visible.len,
        .top = g->top,
        .top_count = with_token ? g->top_count : 0,
        .time_ns = clock_ns() - g->start_ns,
    };
    bool go_on =
        g->request->on_token == NULL || g->request->on_token(g->request->user, &event);

    str_reset(&g->visible);
    return go_on;
}

// Shows the token just chosen. True when the reply ends with it.
static bool show_token(struct generation *g, enum stop_reason *reason)
{
    struct str bytes;
    bool stopped, go_on;

    str_init(&bytes, 0);
    tokenizer_token_bytes(g->engine->tokenizer, g->token, false, &bytes);
    stopped = stop_matcher_feed(g->stops, bytes.data, bytes.len, &g->visible);
    str_release(&bytes);
    go_on = emit(g, true);
    if (stopped)
        *reason = STOP_STRING;
    else if (!go_on || g->engine->cancelled)
        *reason = STOP_CANCELLED;
    return *reason != STOP_NONE;
}

static bool reply(struct generation *g, struct engine_result *result, struct err *err)
{
    const struct generation_settings *settings = g->request->settings;
    uint32_t room =
        decoder_context(g->engine->decoder) - (uint32_t)g->request->prompt->count;
    int64_t first_ns = 0;

    g->start_ns = clock_ns();
    for (;;) {
        if (tokenizer_ends_generation(g->engine->tokenizer, g->token)) {
            result->reason = STOP_END;
            break;
        }
        result->generated_tokens++;
        if (result->generated_tokens == 1)
            first_ns = clock_ns();
        result->generation_ns = clock_ns() - first_ns;
        if (show_token(g, &result->reason))
            break;
        if (sampler_finished(g->sampler))
            result->reason = STOP_END;
        else if (settings->max_tokens > 0 &&
                 result->generated_tokens >= settings->max_tokens)
            result->reason = STOP_LENGTH;
        else if (result->generated_tokens > room)
            result->reason = STOP_CONTEXT;
        if (result->reason != STOP_NONE)
            break;
        if (!feed(g, &g->token, 1, NULL, 0, NULL, err)) {
            if (err->code != ERR_CANCELLED)
                return false;
            *err = (struct err){ .code = ERR_NONE };
            result->reason = STOP_CANCELLED;
            break;
        }
    }
    stop_matcher_finish(g->stops, &g->visible);
    if (g->visible.len > 0)
        emit(g, false);
    return true;
}

// The pictures of the prompt as the decoder takes them.
static bool find_pictures(struct generation *g, struct err *err)
{
    const struct engine_prompt *prompt = g->request->prompt;

    g->pictures = alloc_array(prompt->picture_count, sizeof(*g->pictures));
    for (size_t i = 0; i < prompt->picture_count; i++) {
        const struct prompt_picture *shown = &prompt->pictures[i];
        const struct picture *seen = picture_find(g->engine->pictures, shown->hash);

        if (seen == NULL || shown->offset > seen->embedding_count ||
            shown->count > seen->embedding_count - shown->offset)
            return err_set(err, ERR_NOT_FOUND,
                           "a picture of the prompt is no longer in memory");
        g->pictures[i] = (struct decoder_picture){
            .first = shown->first,
            .count = shown->count,
            .embeddings = seen->embeddings + shown->offset * seen->width,
            .identity = picture_identity(seen, shown->offset),
            .deepstack = g->engine->vision->params.deepstack_count,
            .rows = shown->rows,
            .columns = shown->columns,
            .bidirectional = vision_tokens_together(&g->engine->vision->params) > 0,
        };
    }
    return true;
}

static bool read_prompt(struct generation *g, struct engine_result *result,
                        struct err *err)
{
    const struct engine_prompt *prompt = g->request->prompt;
    struct decoder *decoder = g->engine->decoder;
    size_t first = 0;
    uint32_t cached;
    int64_t start = clock_ns();

    if (!find_pictures(g, err))
        return false;
    // The logits of the last token are needed again.
    cached = decoder_cached(decoder, prompt->ids, prompt->count - 1, g->pictures,
                            prompt->picture_count);
    decoder_truncate(decoder, cached);
    while (first < prompt->picture_count && g->pictures[first].first < cached)
        first++;
    result->reused_tokens = cached;
    if (!feed(g, prompt->ids + cached, (uint32_t)prompt->count - cached,
              g->pictures + first, prompt->picture_count - first, prompt_progress, err))
        return false;
    result->prompt_ns = clock_ns() - start;
    return true;
}

static bool prepare(struct generation *g, struct err *err)
{
    const struct generation_settings *settings = g->request->settings;
    const struct engine_prompt *prompt = g->request->prompt;
    uint32_t vocabulary = decoder_model(g->engine->decoder)->vocabulary;

    if (sampler_needs_vocabulary(settings) && g->engine->vocabulary == NULL)
        g->engine->vocabulary = vocabulary_of_tokenizer(g->engine->tokenizer);
    g->sampler = sampler_create_with(settings, tokenizer_size(g->engine->tokenizer),
                                     g->engine->vocabulary, err);
    if (g->sampler == NULL)
        return false;
    g->stops = stop_matcher_create(settings->stop, settings->stop_count, err);
    if (g->stops == NULL)
        return false;
    for (size_t i = 0; i < prompt->count; i++)
        if (prompt->ids[i] != ENGINE_PICTURE_TOKEN)
            sampler_accept_prompt(g->sampler, prompt->ids[i]);
    g->needs_all = sampler_needs_all(g->sampler) || settings->top_k > TOP_CANDIDATES / 2;
    g->candidates.items = alloc_array(vocabulary, sizeof(*g->candidates.items));
    g->slices = alloc_array(vocabulary / DECODER_SLICE + 1, sizeof(*g->slices));
    return true;
}

static double per_second(size_t tokens, int64_t ns)
{
    return ns > 0 ? (double)tokens * 1e9 / (double)ns : 0.0;
}

bool engine_generate(struct engine *engine, const struct engine_request *request,
                     struct engine_result *result, struct err *err)
{
    struct generation g = { .engine = engine, .request = request };
    struct err own = { .code = ERR_NONE };
    uint32_t context = decoder_context(engine->decoder);
    bool ok;

    *result = (struct engine_result){ .prompt_tokens = request->prompt->count };
    engine->cancelled = false;
    if (request->prompt->count == 0 || request->prompt->count >= context)
        return err_set(err, ERR_LIMIT, "the prompt has %zu tokens, the context holds %u",
                       request->prompt->count, context);
    str_init(&g.visible, 0);
    ok = prepare(&g, &own);
    if (ok && !read_prompt(&g, result, &own)) {
        ok = own.code == ERR_CANCELLED;
        result->reason = STOP_CANCELLED;
    } else if (ok) {
        ok = reply(&g, result, &own);
    }
    result->prompt_tokens_per_second =
        per_second(result->prompt_tokens - result->reused_tokens, result->prompt_ns);
    result->generation_tokens_per_second =
        per_second(result->generated_tokens > 0 ? result->generated_tokens - 1 : 0,
                   result->generation_ns);
    sampler_destroy(&g.sampler);
    stop_matcher_destroy(&g.stops);
    free(g.candidates.items);
    free(g.slices);
    free(g.pictures);
    str_release(&g.visible);
    if (!ok)
        err_set(err, own.code, "%s", own.text);
    return ok;
}
