// tests/reference/decoder.c
// SPDX-License-Identifier: MIT
#include "tests/reference/decoder.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/format/quant.h"
#include "tests/reference/settings.h"

// One run over a prompt. Arrays are [count][...]; err and failed remember the first
// failure, after which every step does nothing.
struct run {
    const struct gguf *gguf;
    struct settings settings;
    size_t count; // tokens
    struct reference_options options;
    size_t (*positions)[3]; // of each token: time, height, width
    int layer;
    struct err *err;
    bool failed;
};

static double *numbers(size_t rows, size_t columns)
{
    return alloc_array(rows, columns * sizeof(double));
}

// The tensor "name", or "blk.LAYER.name" inside a layer, if the file has it.
static const struct gguf_tensor *find(const struct run *run, const char *name)
{
    char full[128];

    if (run->layer < 0)
        return gguf_find(run->gguf, name);
    snprintf(full, sizeof(full), "blk.%d.%s", run->layer, name);
    return gguf_find(run->gguf, full);
}

static void fail(struct run *run, const char *name, size_t columns, uint64_t rows)
{
    if (!run->failed)
        err_set(run->err, ERR_FORMAT,
                "no tensor \"%s\" of %" PRIu64 " rows of %zu in layer %d", name, rows,
                columns, run->layer);
    run->failed = true;
}

// Like find, but absence and other shapes fail the run. rows 0: any.
static const struct gguf_tensor *need(struct run *run, const char *name, size_t columns,
                                      size_t rows)
{
    const struct gguf_tensor *tensor = find(run, name);

    if (tensor == NULL || quant_traits(tensor->type) == NULL ||
        tensor->shape[0] != columns ||
        (rows != 0 && tensor->shape[1] * tensor->shape[2] != rows)) {
        fail(run, name, columns, rows);
        return NULL;
    }
    return tensor;
}

static void read_row(const struct gguf_tensor *tensor, size_t row, float *values)
{
    const struct quant_traits *traits = quant_traits(tensor->type);
    size_t columns = (size_t)tensor->shape[0];
    size_t stride = columns / traits->block_values * traits->block_bytes;

    quant_dequantise((enum quant_type)tensor->type, tensor->bytes + row * stride, columns,
                     values);
}

// y[count][rows] = x[count][columns] * rows [first, first + rows) of the tensor,
// transposed.
static void multiply_rows(const struct gguf_tensor *tensor, size_t first, size_t rows,
                          const double *x, double *y, size_t count)
{
    size_t columns = (size_t)tensor->shape[0];
    float *weights = alloc_array(columns, sizeof(*weights));

    for (size_t row = 0; row < rows; row++) {
        read_row(tensor, first + row, weights);
        for (size_t token = 0; token < count; token++) {
            double sum = 0;

            for (size_t i = 0; i < columns; i++)
                sum += x[token * columns + i] * (double)weights[i];
            y[token * rows + row] = sum;
        }
    }
    free(weights);
}

// The values of a one-row tensor as numbers, or NULL if the file does not have it.
static double *read_vector(struct run *run, const char *name, size_t columns)
{
    const struct gguf_tensor *tensor = find(run, name);

    if (tensor == NULL || need(run, name, columns, 1) == NULL)
        return NULL;
    float *values = alloc_array(columns, sizeof(*values));
    double *result = numbers(1, columns);
    read_row(tensor, 0, values);
    for (size_t i = 0; i < columns; i++)
        result[i] = (double)values[i];
    free(values);
    return result;
}

// y[count][rows] = x[count][columns] * NAME.weight^T + NAME.bias (if there is one).
static void linear(struct run *run, const char *name, const double *x, size_t columns,
                   double *y, size_t rows)
{
    char full[64];

    snprintf(full, sizeof(full), "%s.weight", name);
    const struct gguf_tensor *weight = need(run, full, columns, rows);
    snprintf(full, sizeof(full), "%s.bias", name);
    double *bias = read_vector(run, full, rows);
    if (weight != NULL && !run->failed) {
        multiply_rows(weight, 0, rows, x, y, run->count);
        for (size_t i = 0; bias != NULL && i < run->count * rows; i++)
            y[i] += bias[i % rows];
    }
    free(bias);
}

// Each of the rows of x, in place: RMSNorm times the weight.
static void normalise(struct run *run, const char *name, double *x, size_t rows,
                      size_t columns)
{
    double *weight = read_vector(run, name, columns);

    if (weight == NULL) {
        fail(run, name, columns, 1);
        return;
    }
    for (size_t row = 0; row < rows; row++, x += columns) {
        double squares = 0;

        for (size_t i = 0; i < columns; i++)
            squares += x[i] * x[i];
        double norm = sqrt(squares / (double)columns + run->settings.epsilon);
        for (size_t i = 0; i < columns; i++)
            x[i] = x[i] / norm * weight[i];
    }
    free(weight);
}

static void normalise_if_present(struct run *run, const char *name, double *x,
                                 size_t rows, size_t columns)
{
    if (find(run, name) != NULL)
        normalise(run, name, x, rows, columns);
}

static double *copy(const double *x, size_t count)
{
    double *y = numbers(1, count);

    memcpy(y, x, count * sizeof(*y));
    return y;
}

// The divisors of the angles: one tensor for all (llama 3), or one of two chosen by the
// length of the context (phi3). NULL: none.
static double *rope_factors(struct run *run)
{
    size_t pairs = run->settings.rotary / 2;
    int layer = run->layer;

    run->layer = -1;
    double *factors = read_vector(run, "rope_freqs.weight", pairs);
    if (factors == NULL && run->options.context > run->settings.trained_context)
        factors = read_vector(run, "rope_factors_long.weight", pairs);
    else if (factors == NULL)
        factors = read_vector(run, "rope_factors_short.weight", pairs);
    run->layer = layer;
    return factors;
}

// YaRN: how much of the unscaled angle pair i keeps. A pair turns
// context * base^(-2i/rotary) / 2 pi times in the trained context.
static double yarn_share(const struct settings *s, double base, size_t pair)
{
    double rotary = (double)s->rotary, context = (double)s->trained_context;
    double first =
        floor(rotary * log(context / (s->yarn_fast * 2 * M_PI)) / log(base) / 2);
    double last = ceil(rotary * log(context / (s->yarn_slow * 2 * M_PI)) / log(base) / 2);

    if (first < 0)
        first = 0;
    if (last > rotary - 1)
        last = rotary - 1;
    double length = last - first > 0.001 ? last - first : 0.001;
    double ramp = ((double)pair - first) / length;
    return s->yarn_mix * (1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp));
}

// The picture that a token is part of, or NULL.
static const struct reference_picture *picture_of(const struct run *run, size_t token)
{
    for (size_t i = 0; i < run->options.picture_count; i++) {
        const struct reference_picture *picture = &run->options.pictures[i];

        if (token >= picture->first && token < picture->first + picture->count)
            return picture;
    }
    return NULL;
}

// Without M-RoPE tokens are numbered. With it, each number of a picture's tokens begins
// where the text before it ended, and the text goes on behind the largest.
static void number_tokens(struct run *run)
{
    size_t next = 0;

    for (size_t token = 0; token < run->count; token++) {
        const struct reference_picture *picture = picture_of(run, token);

        if (picture == NULL || picture->rows == 0 || run->settings.sections[0] == 0) {
            for (size_t axis = 0; axis < 3; axis++)
                run->positions[token][axis] = next;
            next++;
            continue;
        }
        for (size_t i = 0; i < picture->count; i++) {
            run->positions[token + i][0] = next;
            run->positions[token + i][1] = next + i / picture->columns;
            run->positions[token + i][2] = next + i % picture->columns;
        }
        next += picture->rows > picture->columns ? picture->rows : picture->columns;
        token += picture->count - 1;
    }
}

// Which of the three numbers a pair turns by.
static size_t pair_axis(const struct settings *s, size_t pair)
{
    if (s->interleaved)
        return pair % 3 == 1 && pair < 3 * s->sections[1]   ? 1
               : pair % 3 == 2 && pair < 3 * s->sections[2] ? 2
                                                            : 0;
    return pair < s->sections[0] ? 0 : pair < s->sections[0] + s->sections[1] ? 1 : 2;
}

static void rotate(struct run *run, double *x, size_t heads)
{
    const struct settings *s = &run->settings;
    bool local = s->local[run->layer];
    double base = local ? s->local_base : s->base;
    double scale = local ? s->local_position_scale : s->position_scale;
    size_t half = s->rotary / 2;
    double *factors = rope_factors(run);

    for (size_t pair = 0; pair < half; pair++) {
        double speed = pow(base, -(double)(2 * pair) / (double)s->rotary);
        double share = s->yarn_mix != 0 ? yarn_share(s, base, pair) : 0;

        speed = (factors != NULL ? speed / factors[pair] : speed);
        speed = speed * scale * (1 - share) + speed * share;
        size_t a = s->neox ? pair : 2 * pair, b = s->neox ? pair + half : 2 * pair + 1;
        for (size_t row = 0; row < run->count * heads; row++) {
            double *head = x + row * s->key_size;
            double angle =
                (double)run->positions[row / heads][pair_axis(s, pair)] * speed;
            double real = head[a], imaginary = head[b];

            head[a] = s->magnitude * (real * cos(angle) - imaginary * sin(angle));
            head[b] = s->magnitude * (real * sin(angle) + imaginary * cos(angle));
        }
    }
    free(factors);
}

struct qkv {
    double *q, *k, *v; // [count][heads or kv_heads][key_size or value_size]
};

// Takes part `start` to `start + columns` of each row of the fused product.
static void take_part(const double *fused, size_t stride, size_t start, double *part,
                      size_t rows, size_t columns)
{
    for (size_t row = 0; row < rows; row++)
        memcpy(part + row * columns, fused + row * stride + start,
               columns * sizeof(*part));
}

static void project_qkv(struct run *run, const double *x, struct qkv *qkv)
{
    const struct settings *s = &run->settings;
    size_t q = s->heads * s->key_size, k = s->kv_heads * s->key_size;
    size_t v = s->kv_heads * s->value_size;

    if (find(run, "attn_qkv.weight") == NULL) {
        linear(run, "attn_q", x, s->width, qkv->q, q);
        linear(run, "attn_k", x, s->width, qkv->k, k);
        linear(run, "attn_v", x, s->width, qkv->v, v);
        return;
    }
    double *fused = numbers(run->count, q + k + v);
    linear(run, "attn_qkv", x, s->width, fused, q + k + v);
    take_part(fused, q + k + v, 0, qkv->q, run->count, q);
    take_part(fused, q + k + v, q, qkv->k, run->count, k);
    take_part(fused, q + k + v, q + k, qkv->v, run->count, v);
    free(fused);
}

// One head at one position. weights: scratch for count numbers.
static void attend_one(const struct run *run, const struct qkv *qkv, size_t position,
                       size_t head, double *weights, double *y)
{
    const struct settings *s = &run->settings;
    size_t shared = head * s->kv_heads / s->heads;
    bool local = s->local[run->layer];
    size_t first = local && position >= s->window ? position - s->window + 1 : 0;
    size_t last = position;
    const struct reference_picture *picture = picture_of(run, position);
    const double *q = qkv->q + (position * s->heads + head) * s->key_size;
    double total = 0;

    if (picture != NULL && picture->bidirectional) {
        first = picture->first < first ? picture->first : first;
        last = picture->first + picture->count - 1;
    }
    for (size_t at = first; at <= last; at++) {
        const double *k = qkv->k + (at * s->kv_heads + shared) * s->key_size;
        double score = 0;

        for (size_t i = 0; i < s->key_size; i++)
            score += q[i] * k[i];
        score *= s->attention_scale;
        if (s->attention_cap != 0)
            score = s->attention_cap * tanh(score / s->attention_cap);
        weights[at] = score;
    }
    double largest = weights[first];
    for (size_t at = first; at <= last; at++)
        largest = weights[at] > largest ? weights[at] : largest;
    for (size_t at = first; at <= last; at++)
        total += weights[at] = exp(weights[at] - largest);
    for (size_t i = 0; i < s->value_size; i++) {
        double value = 0;

        for (size_t at = first; at <= last; at++)
            value +=
                weights[at] * qkv->v[(at * s->kv_heads + shared) * s->value_size + i];
        y[i] = value / total;
    }
}

// Rounds each row of x as the cache under test would.
static void round_kv(const struct run *run, double *x, size_t rows, size_t columns)
{
    float *row = alloc_array(columns, sizeof(*row));

    for (; run->options.round_kv != NULL && rows > 0; rows--, x += columns) {
        for (size_t i = 0; i < columns; i++)
            row[i] = (float)x[i];
        run->options.round_kv(row, columns);
        for (size_t i = 0; i < columns; i++)
            x[i] = (double)row[i];
    }
    free(row);
}

// y[count][width] = the attention block's contribution; x: the normalised stream.
static void attention(struct run *run, const double *x, double *y)
{
    const struct settings *s = &run->settings;
    struct qkv qkv = { numbers(run->count, s->heads * s->key_size),
                       numbers(run->count, s->kv_heads * s->key_size),
                       numbers(run->count, s->kv_heads * s->value_size) };
    double *mixed = numbers(run->count, s->heads * s->value_size);
    double *weights = numbers(run->count, 1);

    project_qkv(run, x, &qkv);
    normalise_if_present(run, "attn_q_norm.weight", qkv.q, run->count * s->heads,
                         s->key_size);
    normalise_if_present(run, "attn_k_norm.weight", qkv.k, run->count * s->kv_heads,
                         s->key_size);
    rotate(run, qkv.q, s->heads);
    rotate(run, qkv.k, s->kv_heads);
    round_kv(run, qkv.k, run->count * s->kv_heads, s->key_size);
    round_kv(run, qkv.v, run->count * s->kv_heads, s->value_size);
    for (size_t position = 0; position < run->count && !run->failed; position++) {
        for (size_t head = 0; head < s->heads; head++)
            attend_one(run, &qkv, position, head, weights,
                       mixed + (position * s->heads + head) * s->value_size);
    }
    linear(run, "attn_output", mixed, s->heads * s->value_size, y, s->width);
    free(qkv.q);
    free(qkv.k);
    free(qkv.v);
    free(mixed);
    free(weights);
}

static double activated(const struct settings *s, double x)
{
    if (s->gelu)
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return x / (1 + exp(-x));
}

// y = down(activation(gate(x)) * up(x)); phi3 keeps gate above up in one tensor.
static void feed_forward(struct run *run, const double *x, double *y)
{
    const struct settings *s = &run->settings;
    const struct gguf_tensor *down = find(run, "ffn_down.weight");
    bool fused = find(run, "ffn_gate.weight") == NULL;

    if (down == NULL) {
        fail(run, "ffn_down.weight", 0, s->width);
        return;
    }
    size_t inner = (size_t)down->shape[0];
    double *gate = numbers(run->count, inner), *up = numbers(run->count, inner);
    if (fused) {
        double *both = numbers(run->count, 2 * inner);

        linear(run, "ffn_up", x, s->width, both, 2 * inner);
        take_part(both, 2 * inner, 0, gate, run->count, inner);
        take_part(both, 2 * inner, inner, up, run->count, inner);
        free(both);
    } else {
        linear(run, "ffn_gate", x, s->width, gate, inner);
        linear(run, "ffn_up", x, s->width, up, inner);
    }
    for (size_t i = 0; i < run->count * inner; i++)
        up[i] *= activated(s, gate[i]);
    linear(run, "ffn_down", up, inner, y, s->width);
    free(gate);
    free(up);
}

// The share of each expert for one token: softmax over the largest ones, zero for the
// rest.
static void expert_shares(const struct settings *s, const double *logits, double *shares)
{
    double total = 0, largest = 0;

    for (size_t i = 0; i < s->experts; i++)
        shares[i] = 0;
    for (size_t used = 0; used < s->experts_used; used++) {
        size_t best = s->experts;

        for (size_t i = 0; i < s->experts; i++) {
            if (shares[i] == 0 && (best == s->experts || logits[i] > logits[best]))
                best = i;
        }
        if (used == 0)
            largest = logits[best];
        shares[best] = exp(logits[best] - largest);
        total += shares[best];
    }
    for (size_t i = 0; i < s->experts; i++)
        shares[i] /= total;
}

struct expert_tensors {
    const struct gguf_tensor *gate, *up, *down;
    size_t inner;
};

// Adds share * expert(x) to y, for one token and one expert.
static void add_expert(const struct settings *s, const struct expert_tensors *tensors,
                       size_t expert, double share, const double *x, double *y)
{
    size_t inner = tensors->inner;
    double *gate = numbers(1, inner), *up = numbers(1, inner),
           *out = numbers(1, s->width);

    multiply_rows(tensors->gate, expert * inner, inner, x, gate, 1);
    multiply_rows(tensors->up, expert * inner, inner, x, up, 1);
    for (size_t i = 0; i < inner; i++)
        up[i] *= activated(s, gate[i]);
    multiply_rows(tensors->down, expert * s->width, s->width, up, out, 1);
    for (size_t i = 0; i < s->width; i++)
        y[i] += share * out[i];
    free(gate);
    free(up);
    free(out);
}

static void mixture(struct run *run, const double *x, double *y)
{
    const struct settings *s = &run->settings;
    const struct gguf_tensor *down = find(run, "ffn_down_exps.weight");
    size_t inner = down != NULL ? (size_t)down->shape[0] : 0;
    struct expert_tensors tensors = {
        .gate = need(run, "ffn_gate_exps.weight", s->width, inner * s->experts),
        .up = need(run, "ffn_up_exps.weight", s->width, inner * s->experts),
        .down = need(run, "ffn_down_exps.weight", inner, s->width * s->experts),
        .inner = inner,
    };
    double *logits = numbers(run->count, s->experts), *shares = numbers(1, s->experts);

    linear(run, "ffn_gate_inp", x, s->width, logits, s->experts);
    memset(y, 0, run->count * s->width * sizeof(*y));
    for (size_t token = 0; token < run->count && !run->failed; token++) {
        expert_shares(s, logits + token * s->experts, shares);
        for (size_t expert = 0; expert < s->experts; expert++) {
            if (shares[expert] > 0)
                add_expert(s, &tensors, expert, shares[expert], x + token * s->width,
                           y + token * s->width);
        }
    }
    free(logits);
    free(shares);
}

// x[count][width] becomes the stream after one layer.
static void run_layer(struct run *run, double *x)
{
    const struct settings *s = &run->settings;
    size_t total = run->count * s->width;
    double *part = numbers(run->count, s->width);
    double *in = copy(x, total);

    normalise(run, "attn_norm.weight", in, run->count, s->width);
    attention(run, in, part);
    normalise_if_present(run, "post_attention_norm.weight", part, run->count, s->width);
    for (size_t i = 0; i < total; i++)
        in[i] = x[i] += part[i];
    normalise(run, "ffn_norm.weight", in, run->count, s->width);
    if (s->experts != 0)
        mixture(run, in, part);
    else
        feed_forward(run, in, part);
    normalise_if_present(run, "post_ffw_norm.weight", part, run->count, s->width);
    for (size_t i = 0; i < total; i++)
        x[i] += part[i];
    free(part);
    free(in);
}

// Adds vector `which` of the picture's embedding to a token's row; false: it has none.
static bool place_vector(const struct run *run, size_t token, size_t which, double *row)
{
    const struct reference_picture *picture = picture_of(run, token);
    size_t width = run->settings.width;

    if (picture == NULL || which > picture->deepstack)
        return false;
    for (size_t i = 0; i < width; i++)
        row[i] +=
            (double)picture->embeddings
                [((token - picture->first) * (1 + picture->deepstack) + which) * width +
                 i];
    return true;
}

static void embed(struct run *run, const uint32_t *tokens, double *x)
{
    size_t width = run->settings.width;
    const struct gguf_tensor *table = need(run, "token_embd.weight", width, 0);
    float *row = alloc_array(width, sizeof(*row));

    for (size_t token = 0; token < run->count && !run->failed; token++) {
        if (place_vector(run, token, 0, x + token * width))
            continue;
        if (tokens[token] >= table->shape[1]) {
            run->failed = !err_set(run->err, ERR_USAGE, "token %" PRIu32 " of %" PRIu64,
                                   tokens[token], table->shape[1]);
            break;
        }
        read_row(table, tokens[token], row);
        for (size_t i = 0; i < width; i++)
            x[token * width + i] = (double)row[i] * run->settings.embedding_scale;
    }
    free(row);
}

static const struct gguf_tensor *output_tensor(const struct gguf *gguf)
{
    const struct gguf_tensor *output = gguf_find(gguf, "output.weight");

    return output != NULL ? output : gguf_find(gguf, "token_embd.weight");
}

size_t reference_vocabulary(const struct gguf *gguf, struct err *err)
{
    const struct gguf_tensor *output = output_tensor(gguf);

    if (output == NULL)
        err_set(err, ERR_FORMAT, "there is neither output.weight nor token_embd.weight");
    return output != NULL ? (size_t)output->shape[1] : 0;
}

static void project_output(struct run *run, double *x, double *logits)
{
    const struct settings *s = &run->settings;
    size_t vocabulary = (size_t)output_tensor(run->gguf)->shape[1];
    bool tied = find(run, "output.weight") == NULL;

    normalise(run, "output_norm.weight", x, run->count, s->width);
    linear(run, tied ? "token_embd" : "output", x, s->width, logits, vocabulary);
    for (size_t i = 0; s->output_cap != 0 && i < run->count * vocabulary; i++)
        logits[i] = s->output_cap * tanh(logits[i] / s->output_cap);
}

// Tells the caller of the stream after the current layer.
static void show_state(const struct run *run, const double *x)
{
    const struct reference_options *options = &run->options;

    if (options->state != NULL && !run->failed)
        options->state(options->user, run->layer, x, run->count, run->settings.width);
}

bool reference_logits(const struct gguf *gguf, const uint32_t *tokens, size_t count,
                      const struct reference_options *options, double *logits,
                      struct err *err)
{
    struct run run = { .gguf = gguf, .count = count, .layer = -1, .err = err };

    if (!settings_read(gguf, &run.settings, err))
        return false;
    if (options != NULL)
        run.options = *options;
    if (run.options.context == 0)
        run.options.context = count;
    run.positions = alloc_array(count, sizeof(*run.positions));
    number_tokens(&run);
    double *x = numbers(count, run.settings.width);
    embed(&run, tokens, x);
    show_state(&run, x);
    for (size_t layer = 0; layer < run.settings.layers && !run.failed; layer++) {
        run.layer = (int)layer;
        run_layer(&run, x);
        for (size_t token = 0; token < count; token++)
            place_vector(&run, token, 1 + layer, x + token * run.settings.width);
        show_state(&run, x);
    }
    run.layer = -1;
    if (!run.failed)
        project_output(&run, x, logits);
    free(x);
    free(run.positions);
    return !run.failed;
}
