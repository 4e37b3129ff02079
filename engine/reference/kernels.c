// engine/reference/kernels.c
// SPDX-License-Identifier: MIT
#include "engine/reference/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

void reference_rms_norm(const float *x, const float *weight, float *y, size_t rows,
                        size_t columns, double epsilon)
{
    for (size_t row = 0; row < rows; row++, x += columns, y += columns) {
        double sum = 0;

        for (size_t i = 0; i < columns; i++)
            sum += (double)x[i] * (double)x[i];
        double factor = 1 / sqrt(sum / (double)columns + epsilon);
        for (size_t i = 0; i < columns; i++)
            y[i] = (float)((double)x[i] * factor * (weight ? (double)weight[i] : 1));
    }
}

void reference_layer_norm(const float *x, const float *weight, const float *bias,
                          float *y, size_t rows, size_t columns, double epsilon)
{
    for (size_t row = 0; row < rows; row++, x += columns, y += columns) {
        double sum = 0, squares = 0;

        for (size_t i = 0; i < columns; i++)
            sum += (double)x[i];
        double mean = sum / (double)columns;
        for (size_t i = 0; i < columns; i++)
            squares += ((double)x[i] - mean) * ((double)x[i] - mean);
        double factor = 1 / sqrt(squares / (double)columns + epsilon);
        for (size_t i = 0; i < columns; i++)
            y[i] = (float)(((double)x[i] - mean) * factor *
                               (weight ? (double)weight[i] : 1) +
                           (bias ? (double)bias[i] : 0));
    }
}

static size_t row_bytes(enum quant_type type, size_t columns)
{
    const struct quant_traits *traits = quant_traits(type);

    if (traits == NULL || columns % traits->block_values != 0)
        bug("%zu values are not whole blocks of type %d", columns, (int)type);
    return columns / traits->block_values * traits->block_bytes;
}

void reference_matmul(const float *x, enum quant_type type, const uint8_t *weight,
                      float *y, size_t m, size_t n, size_t k)
{
    size_t stride = row_bytes(type, k);
    float *row = alloc_array(k, sizeof(*row));

    for (size_t column = 0; column < n; column++) {
        quant_dequantise(type, weight + column * stride, k, row);
        for (size_t i = 0; i < m; i++) {
            double sum = 0;

            for (size_t j = 0; j < k; j++)
                sum += (double)x[i * k + j] * (double)row[j];
            y[i * n + column] = (float)sum;
        }
    }
    free(row);
}

void reference_embed(enum quant_type type, const uint8_t *table, const uint32_t *tokens,
                     float *y, size_t count, size_t width, double scale)
{
    size_t stride = row_bytes(type, width);

    for (size_t i = 0; i < count; i++, y += width) {
        quant_dequantise(type, table + tokens[i] * stride, width, y);
        for (size_t j = 0; j < width; j++)
            y[j] = (float)((double)y[j] * scale);
    }
}

void reference_add(const float *a, const float *b, float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

void reference_multiply(const float *a, const float *b, float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] * b[i];
}

void reference_add_bias(const float *x, const float *bias, float *y, size_t rows,
                        size_t columns)
{
    for (size_t row = 0; row < rows; row++)
        reference_add(x + row * columns, bias, y + row * columns, columns);
}

static double activate(enum reference_activation activation, double x)
{
    switch (activation) {
    case REFERENCE_SILU:
        return x / (1 + exp(-x));
    case REFERENCE_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(M_2_PI) * (x + 0.044715 * x * x * x)));
    case REFERENCE_GELU_ERF:
        return x / 2 * (1 + erf(x * M_SQRT1_2));
    case REFERENCE_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    }
    bug("no activation %d", (int)activation);
}

void reference_activate(enum reference_activation activation, const float *x, float *y,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = (float)activate(activation, (double)x[i]);
}

void reference_gate(enum reference_activation activation, const float *gate,
                    const float *up, float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = (float)(activate(activation, (double)gate[i]) * (double)up[i]);
}

static void pool(const float *x, float *y, size_t parts, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        double sum = 0;

        for (size_t j = 0; j < parts; j++)
            sum += (double)x[j * columns + i];
        y[i] = (float)(sum / (double)parts);
    }
}

void reference_merge(enum reference_merge how, const float *x, float *y, size_t items,
                     size_t parts, size_t columns)
{
    for (size_t item = 0; item < items; item++, x += parts * columns) {
        if (how == REFERENCE_POOLED) {
            pool(x, y + item * columns, parts, columns);
            continue;
        }
        for (size_t j = 0; j < parts; j++)
            for (size_t i = 0; i < columns; i++)
                y[item * parts * columns +
                  (how == REFERENCE_INTERLEAVED ? i * parts + j : j * columns + i)] =
                    x[j * columns + i];
    }
}

void reference_short_conv(const float *x, const float *weights, float *y, size_t tokens,
                          size_t width, size_t taps)
{
    for (size_t t = 0; t < tokens; t++) {
        for (size_t i = 0; i < width; i++) {
            double sum = 0;

            for (size_t back = 0; back < taps && back <= t; back++) {
                const float *row = x + (t - back) * 3 * width + i;

                sum += (double)weights[i * taps + taps - 1 - back] * (double)row[0] *
                       (double)row[2 * width];
            }
            y[t * width + i] = (float)((double)x[(t * 3 + 1) * width + i] * sum);
        }
    }
}

void reference_soft_cap(const float *x, float *y, size_t count, double cap)
{
    for (size_t i = 0; i < count; i++)
        y[i] = (float)(cap * tanh((double)x[i] / cap));
}

void reference_softmax(const float *x, float *y, size_t rows, size_t columns)
{
    for (size_t row = 0; row < rows; row++, x += columns, y += columns) {
        double shift = reference_log_sum_exp(x, columns);

        for (size_t i = 0; i < columns; i++)
            y[i] = (float)exp((double)x[i] - shift);
    }
}

// The pair at which a rotation makes `turns` full turns over the original context.
static double yarn_pair(const struct reference_rope *rope, double turns)
{
    return (double)rope->rotary_size *
           log((double)rope->yarn_context / (turns * 2 * M_PI)) / (2 * log(rope->base));
}

// 1 for pairs that turn fast (keep their angle), 0 for slow ones, a ramp between.
static double yarn_ramp(const struct reference_rope *rope, size_t pair)
{
    double fast = rope->yarn_beta_fast != 0 ? rope->yarn_beta_fast : 32;
    double slow = rope->yarn_beta_slow != 0 ? rope->yarn_beta_slow : 1;
    double low = fmax(0, floor(yarn_pair(rope, fast)));
    double high = fmin((double)rope->rotary_size - 1, ceil(yarn_pair(rope, slow)));
    double place = ((double)pair - low) / fmax(0.001, high - low);

    return 1 - fmin(1, fmax(0, place));
}

static double rope_angle(const struct reference_rope *rope, size_t pair,
                         uint32_t position)
{
    double angle =
        (double)position * pow(rope->base, -2 * (double)pair / (double)rope->rotary_size);
    double scale = rope->position_scale != 0 ? rope->position_scale : 1;

    if (rope->pair_factors != NULL)
        angle /= (double)rope->pair_factors[pair];
    if (rope->yarn_mix == 0)
        return angle * scale;
    double kept = yarn_ramp(rope, pair) * rope->yarn_mix;
    return angle * (scale * (1 - kept) + kept);
}

static void rotate_head(const struct reference_rope *rope, const float *x,
                        uint32_t position, float *y)
{
    double magnitude = rope->magnitude != 0 ? rope->magnitude : 1;
    size_t pairs = rope->rotary_size / 2;

    if (y != x)
        memcpy(y, x, rope->head_size * sizeof(*y));
    for (size_t pair = 0; pair < pairs; pair++) {
        bool norm = rope->form == REFERENCE_ROPE_NORM;
        size_t first = norm ? 2 * pair : pair;
        size_t second = norm ? 2 * pair + 1 : pair + pairs;
        double angle = rope_angle(rope, pair, position);
        double cosine = magnitude * cos(angle), sine = magnitude * sin(angle);
        double a = (double)y[first], b = (double)y[second];

        y[first] = (float)(a * cosine - b * sine);
        y[second] = (float)(a * sine + b * cosine);
    }
}

void reference_rotate(const struct reference_rope *rope, const float *x,
                      const uint32_t *positions, float *y)
{
    for (size_t token = 0; token < rope->tokens; token++) {
        for (size_t head = 0; head < rope->heads; head++) {
            size_t at = (token * rope->heads + head) * rope->head_size;

            rotate_head(rope, x + at, positions[token], y + at);
        }
    }
}

static bool sees(const struct reference_attention *attention, size_t query, size_t key)
{
    size_t position = attention->first_position + query;

    if (attention->causal && key > position)
        return false;
    return attention->window == 0 || key + attention->window > position;
}

// The scaled and capped dot product.
static double attention_score(const struct reference_attention *attention, const float *q,
                              const float *k)
{
    double score = 0;

    for (size_t i = 0; i < attention->key_size; i++)
        score += (double)q[i] * (double)k[i];
    score *= attention->scale;
    if (attention->soft_cap != 0)
        score = attention->soft_cap * tanh(score / attention->soft_cap);
    return score;
}

// One head of one query. weights: [keys] scratch, -HUGE_VAL where the key is hidden.
static void attend_head(const struct reference_attention *attention, size_t query,
                        size_t head, const float *q, const float *k, const float *v,
                        float *y, double *weights)
{
    size_t kv_head = head / (attention->heads / attention->kv_heads);
    double largest = attention->sinks ? (double)attention->sinks[head] : -HUGE_VAL;
    double sum = 0;

    for (size_t key = 0; key < attention->keys; key++) {
        size_t at = (key * attention->kv_heads + kv_head) * attention->key_size;

        weights[key] = sees(attention, query, key) ? attention_score(attention, q, k + at)
                                                   : -HUGE_VAL;
        largest = fmax(largest, weights[key]);
    }
    if (attention->sinks != NULL)
        sum += exp((double)attention->sinks[head] - largest);
    for (size_t key = 0; key < attention->keys; key++) {
        weights[key] = weights[key] == -HUGE_VAL ? 0 : exp(weights[key] - largest);
        sum += weights[key];
    }
    for (size_t i = 0; i < attention->value_size; i++) {
        double value = 0;

        for (size_t key = 0; key < attention->keys; key++) {
            size_t at = (key * attention->kv_heads + kv_head) * attention->value_size;

            value += weights[key] * (double)v[at + i];
        }
        y[i] = sum > 0 ? (float)(value / sum) : 0;
    }
}

void reference_attend(const struct reference_attention *attention, const float *q,
                      const float *k, const float *v, float *y)
{
    double *weights = alloc_array(attention->keys, sizeof(*weights));

    for (size_t query = 0; query < attention->queries; query++) {
        for (size_t head = 0; head < attention->heads; head++) {
            size_t row = query * attention->heads + head;

            attend_head(attention, query, head, q + row * attention->key_size, k, v,
                        y + row * attention->value_size, weights);
        }
    }
    free(weights);
}

void reference_route(const float *logits, size_t experts, size_t used, bool normalised,
                     uint32_t *chosen, float *weights)
{
    double all = reference_log_sum_exp(logits, experts);

    reference_top_k(logits, experts, used, chosen, weights);
    double divisor = normalised ? reference_log_sum_exp(weights, used) : all;
    for (size_t i = 0; i < used; i++)
        weights[i] = (float)exp((double)weights[i] - divisor);
}

uint32_t reference_argmax(const float *values, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (values[i] > values[best])
            best = i;
    }
    return (uint32_t)best;
}

void reference_top_k(const float *values, size_t count, size_t k, uint32_t *indices,
                     float *largest)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        size_t place = found < k ? found++ : k;

        // Strictly smaller ones move down, so that of equals the lower index stays first.
        for (; place > 0 && largest[place - 1] < values[i]; place--) {
            if (place < k) {
                largest[place] = largest[place - 1];
                indices[place] = indices[place - 1];
            }
        }
        if (place < k) {
            largest[place] = values[i];
            indices[place] = (uint32_t)i;
        }
    }
}

double reference_log_sum_exp(const float *values, size_t count)
{
    double largest = -HUGE_VAL, sum = 0;

    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, (double)values[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)values[i] - largest);
    return largest + log(sum);
}

#define BLOCK_VALUES 32 // of Q8_0 and Q4_0

static void store_half(uint8_t *bytes, float value)
{
    uint16_t half = float_to_half(value);

    bytes[0] = (uint8_t)half;
    bytes[1] = (uint8_t)(half >> 8);
}

// The value of largest magnitude, with its sign.
static float extreme(const float *values)
{
    float found = 0;

    for (size_t i = 0; i < BLOCK_VALUES; i++) {
        if (fabsf(values[i]) > fabsf(found))
            found = values[i];
    }
    return found;
}

// Block: scale f16, 32 signed bytes.
static void quantise_q8_0(const float *values, uint8_t *bytes)
{
    float scale = fabsf(extreme(values)) / 127;
    float inverse = scale != 0 ? 1 / scale : 0;

    store_half(bytes, scale);
    for (size_t i = 0; i < BLOCK_VALUES; i++)
        bytes[2 + i] = (uint8_t)(int8_t)roundf(values[i] * inverse);
}

// Block: scale f16, 16 bytes; byte i holds value i low and value i + 16 high, both
// plus 8.
static void quantise_q4_0(const float *values, uint8_t *bytes)
{
    float scale = extreme(values) / -8;
    float inverse = scale != 0 ? 1 / scale : 0;

    store_half(bytes, scale);
    for (size_t i = 0; i < BLOCK_VALUES / 2; i++) {
        float low = floorf(values[i] * inverse + 8.5F);
        float high = floorf(values[i + BLOCK_VALUES / 2] * inverse + 8.5F);

        bytes[2 + i] =
            (uint8_t)((unsigned)fminf(15, low) | (unsigned)fminf(15, high) << 4);
    }
}

void reference_quantise(enum quant_type type, const float *values, size_t count,
                        uint8_t *bytes)
{
    switch (type) {
    case QUANT_F32:
        memcpy(bytes, values, count * sizeof(*values));
        return;
    case QUANT_F16:
        for (size_t i = 0; i < count; i++)
            store_half(bytes + 2 * i, values[i]);
        return;
    case QUANT_Q8_0:
        for (size_t i = 0; i < count; i += BLOCK_VALUES, bytes += 2 + BLOCK_VALUES)
            quantise_q8_0(values + i, bytes);
        return;
    case QUANT_Q4_0:
        for (size_t i = 0; i < count; i += BLOCK_VALUES, bytes += 2 + BLOCK_VALUES / 2)
            quantise_q4_0(values + i, bytes);
        return;
    default:
        bug("a KV cache is not stored as type %d", (int)type);
    }
}
