// engine/score.c
// SPDX-License-Identifier: MIT
//
// Log-probabilities of a given text. A text longer than the window is read in windows
// that overlap: each next one begins `stride` tokens later, and only the tokens that the
// one before has not scored count.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/private.h"

#define MAX_TOP 20

struct scoring {
    struct engine *engine;
    const struct score_params *params;
    size_t window_start; // index of the window's first token
    size_t scored;       // tokens [1, scored) are done
    float *logprobs;     // [vocabulary]
    struct err err;
};

// logprobs = values - log(sum(exp(values))), in double.
static void log_softmax(const float *values, uint32_t count, float *logprobs)
{
    double highest = -INFINITY, sum = 0, norm;

    for (uint32_t i = 0; i < count; i++)
        highest = fmax(highest, (double)values[i]);
    for (uint32_t i = 0; i < count; i++)
        sum += exp((double)values[i] - highest);
    norm = highest + log(sum);
    for (uint32_t i = 0; i < count; i++)
        logprobs[i] = (float)((double)values[i] - norm);
}

// The `wanted` most probable, in order.
static size_t find_top(const float *logprobs, uint32_t count, size_t wanted,
                       struct token_logprob top[MAX_TOP])
{
    size_t found = 0;

    for (uint32_t i = 0; wanted > 0 && i < count; i++) {
        size_t at = found;

        if (found == wanted && !(logprobs[i] > top[found - 1].logprob))
            continue;
        if (found < wanted)
            found++;
        else
            at = found - 1;
        while (at > 0 && logprobs[i] > top[at - 1].logprob) {
            top[at] = top[at - 1];
            at--;
        }
        top[at] = (struct token_logprob){ i, logprobs[i] };
    }
    return found;
}

// The logits at position p are about token p + 1.
static bool score_next(void *user, const struct decoder_logits *logits)
{
    struct scoring *s = user;
    const struct score_params *params = s->params;
    size_t index = s->window_start + logits->index + 1;
    struct token_logprob top[MAX_TOP];
    struct str text;
    bool go_on = true;

    if (index < s->scored || index >= params->count)
        return true;
    log_softmax(logits->values, logits->count, s->logprobs);
    s->scored = index + 1;
    if (params->on_distribution != NULL)
        go_on = params->on_distribution(params->user, index, s->logprobs, logits->count);
    if (!go_on || params->on_token == NULL)
        return go_on;
    str_init(&text, 0);
    tokenizer_token_bytes(s->engine->tokenizer, params->tokens[index], true, &text);
    struct token_event event = {
        .id = params->tokens[index],
        .logprob = s->logprobs[params->tokens[index]],
        .text = text.data,
        .text_len = text.len,
        .top = top,
        .top_count = find_top(
            s->logprobs, logits->count,
            params->top_logprobs < MAX_TOP ? params->top_logprobs : MAX_TOP, top),
    };
    if (!isfinite(event.logprob))
        go_on = err_set(&s->err, ERR_FORMAT,
                        "the model produced invalid numbers at token %zu", index);
    else
        go_on = params->on_token(params->user, index, &event);
    str_release(&text);
    return go_on;
}

static bool report(void *user, const char *stage, double fraction)
{
    struct scoring *s = user;
    double done = (double)s->window_start + fraction * (double)(s->params->window);

    return s->params->progress == NULL ||
           s->params->progress(s->params->user, stage,
                               fmin(done / (double)s->params->count, 1.0));
}

bool engine_score(struct engine *engine, const struct score_params *given,
                  struct err *err)
{
    struct score_params params = *given;
    struct scoring s = { .engine = engine, .params = &params, .scored = 1 };
    size_t context = decoder_context(engine->decoder);
    bool ok = true;

    params.window = params.window > 0 ? params.window : context;
    params.stride = params.stride > 0 ? params.stride : (params.window + 1) / 2;
    if (params.window > context || params.window < 2 || params.stride >= params.window)
        return err_set(
            err, ERR_USAGE,
            "a window of %zu with a stride of %zu: the window must be 2 to %zu, the "
            "stride smaller",
            params.window, params.stride, context);
    engine->cancelled = false;
    s.logprobs =
        alloc_array(decoder_model(engine->decoder)->vocabulary, sizeof(*s.logprobs));
    while (ok && s.scored < params.count) {
        size_t left = params.count - s.window_start;
        struct decoder_pass pass = {
            .tokens = params.tokens + s.window_start,
            .count = (uint32_t)(left < params.window ? left : params.window),
            .all_logits = true,
            .on_logits = score_next,
            .progress = report,
            .user = &s,
            .cancelled = &engine->cancelled,
        };

        decoder_truncate(engine->decoder, 0);
        ok = decoder_run(engine->decoder, &pass, err);
        s.window_start += params.stride;
    }
    free(s.logprobs);
    if (!ok && s.err.code != ERR_NONE)
        err_set(err, s.err.code, "%s", s.err.text);
    return ok;
}
