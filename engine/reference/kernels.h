// engine/reference/kernels.h
// SPDX-License-Identifier: MIT
//
// Every GPU operation once more, in plain C: the truth that the shader tests and
// `oriel doctor` compare with. Clear loops in the order of the formula; inputs and
// outputs are 32-bit floats, everything between is double. Speed is no aim here.
//
// Arrays are contiguous, the last index varies fastest, and sizes are in elements. An
// output may be the same array as an input of the same shape, never one that overlaps it
// partly. Nothing here fails: shapes are the caller's promise.
#ifndef ORIEL_ENGINE_REFERENCE_KERNELS_H
#define ORIEL_ENGINE_REFERENCE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/format/quant.h"

// y[rows][columns] = x * weight / sqrt(mean(x^2) + epsilon) per row (RMSNorm,
// arXiv:1910.07467). weight: [columns], or NULL for ones.
void reference_rms_norm(const float *x, const float *weight, float *y, size_t rows,
                        size_t columns, double epsilon);

// y[rows][columns] = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias per row
// (arXiv:1607.06450). weight, bias: [columns], or NULL for ones and zeros.
void reference_layer_norm(const float *x, const float *weight, const float *bias,
                          float *y, size_t rows, size_t columns, double epsilon);

// y[m][n] = x[m][k] * weight[n][k]^T. weight: n rows of k values in blocks of `type`; k
// is a multiple of the type's block.
void reference_matmul(const float *x, enum quant_type type, const uint8_t *weight,
                      float *y, size_t m, size_t n, size_t k);

// y[count][width] = scale * row tokens[i] of table. table: rows of `width` values in
// blocks of `type`; every token is less than its number of rows.
void reference_embed(enum quant_type type, const uint8_t *table, const uint32_t *tokens,
                     float *y, size_t count, size_t width, double scale);

// y[count] = a + b, y[count] = a * b, and y[rows][columns] = x + bias[columns].
void reference_add(const float *a, const float *b, float *y, size_t count);
void reference_multiply(const float *a, const float *b, float *y, size_t count);
void reference_add_bias(const float *x, const float *bias, float *y, size_t rows,
                        size_t columns);

enum reference_activation {
    REFERENCE_SILU,       // x / (1 + exp(-x))
    REFERENCE_GELU_TANH,  // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
    REFERENCE_GELU_ERF,   // x/2 * (1 + erf(x / sqrt(2)))
    REFERENCE_GELU_QUICK, // x / (1 + exp(-1.702 x))
};

// y[count] = activation(x), and y[count] = activation(gate) * up (SwiGLU, GeGLU:
// arXiv:2002.05202).
void reference_activate(enum reference_activation activation, const float *x, float *y,
                        size_t count);
void reference_gate(enum reference_activation activation, const float *gate,
                    const float *up, float *y, size_t count);

// Rows that become one: y[items][parts * columns], row j * columns + i of an item is
// x[item * parts + j][i] (interleaved: i * parts + j); or pooled, y[items][columns],
// their mean.
enum reference_merge { REFERENCE_SIDE_BY_SIDE, REFERENCE_INTERLEAVED, REFERENCE_POOLED };
void reference_merge(enum reference_merge how, const float *x, float *y, size_t items,
                     size_t parts, size_t columns);

// y[count] = cap * tanh(x / cap) (arXiv:2408.00118).
void reference_soft_cap(const float *x, float *y, size_t count, double cap);

// y[rows][columns] = exp(x) / sum(exp(x)) per row.
void reference_softmax(const float *x, float *y, size_t rows, size_t columns);

// Which two values of a head turn together.
enum reference_rope_form {
    REFERENCE_ROPE_NORM, // 2i and 2i + 1 (GGUF files of the llama family)
    REFERENCE_ROPE_NEOX, // i and i + rotary_size / 2
};

// Rotary position embedding (arXiv:2104.09864) with position interpolation and YaRN
// (arXiv:2309.00071). Zero in a field of the second group means the default beside it.
struct reference_rope {
    enum reference_rope_form form;
    size_t tokens, heads, head_size;
    size_t rotary_size; // values of a head that turn, even; the rest passes through
    double base;        // angle of pair i: position * base^(-2i / rotary_size)
    const float *pair_factors; // [rotary_size / 2], divide the angles; NULL: ones

    double position_scale; // 1; 1/4 to stretch a context four times
    double magnitude;      // 1; multiplies sine and cosine
    double yarn_mix;       // 0; how much of YaRN's ramp applies ("ext_factor")
    double
        yarn_beta_fast; // 32; pairs that turn more often in the context keep their angle
    double yarn_beta_slow; // 1; pairs that turn less often are scaled in full
    size_t yarn_context;   // context length of the original training
};

// y[tokens][heads][head_size] = x with each head rotated to its position[token].
void reference_rotate(const struct reference_rope *rope, const float *x,
                      const uint32_t *positions, float *y);

struct reference_attention {
    size_t queries;         // rows of q and y
    size_t keys;            // rows of k and v; key j stands at position j
    size_t first_position;  // of query 0
    size_t heads, kv_heads; // query head h reads key head h / (heads / kv_heads)
    size_t key_size, value_size;
    double scale;    // of the dot products, mostly 1 / sqrt(key_size)
    double soft_cap; // of the scaled dot products; 0: none
    bool causal;     // keys after the query's position are hidden
    size_t window;   // only the last `window` positions are seen, the query's too; 0: all
    const float *sinks; // [heads], one more logit per head that has no value; NULL: none
};

// y[queries][heads][value_size] = softmax(q k^T) v with grouped heads (arXiv:2305.13245).
// q: [queries][heads][key_size], k: [keys][kv_heads][key_size],
// v: [keys][kv_heads][value_size]. A query that sees no key gives zeros.
void reference_attend(const struct reference_attention *attention, const float *q,
                      const float *k, const float *v, float *y);

// The gated short convolution of LFM2 over a whole sequence: x: [tokens][3][width] (b, c,
// x), weights: [width][taps], y[t] = c[t] * sum_k weights[k] * (b * x)[t - taps + 1 + k].
void reference_short_conv(const float *x, const float *weights, float *y, size_t tokens,
                          size_t width, size_t taps);

// Experts of one token: the `used` largest of softmax(logits[experts]), largest first,
// ties to the lower index. normalised: weights[used] are divided by their sum.
void reference_route(const float *logits, size_t experts, size_t used, bool normalised,
                     uint32_t *chosen, float *weights);

// The index of the largest value, the lowest of equals. count > 0.
uint32_t reference_argmax(const float *values, size_t count);

// The k largest values, largest first, ties to the lower index. k <= count.
void reference_top_k(const float *values, size_t count, size_t k, uint32_t *indices,
                     float *largest);

double reference_log_sum_exp(const float *values, size_t count);

// Writes `count` values as blocks of the type that a KV cache stores: QUANT_F32,
// QUANT_F16, QUANT_Q8_0 or QUANT_Q4_0 (count is a multiple of 32 for the last two).
// Rounding as in ggml-quants.c: Q8_0 to the nearest of 127 steps, Q4_0 so that the
// largest becomes -8.
void reference_quantise(enum quant_type type, const float *values, size_t count,
                        uint8_t *bytes);

#endif
