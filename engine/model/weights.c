// engine/model/weights.c
// SPDX-License-Identifier: MIT
#include "engine/model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/model/vector.h"

// Everything that loading one model carries around.
struct loader {
    struct gpu *gpu;
    const struct gguf *gguf;
    const struct model_params *params;
    struct load_meter meter;
    struct err *err;
};

// Names a tensor of a layer ("blk.3.attn_q.weight"), or of the model (layer < 0).
static void tensor_name(char name[64], int layer, const char *role)
{
    if (layer < 0)
        snprintf(name, 64, "%s", role);
    else
        snprintf(name, 64, "blk.%d.%s", layer, role);
}

// Finds a tensor and checks its shape; NULL with *missing set when it is not there.
static const struct gguf_tensor *find(struct loader *loader, int layer, const char *role,
                                      uint64_t columns, uint64_t rows, uint64_t matrices,
                                      bool *missing)
{
    char name[64];
    const struct gguf_tensor *tensor;

    tensor_name(name, layer, role);
    tensor = gguf_find(loader->gguf, name);
    *missing = tensor == NULL;
    if (tensor == NULL)
        return NULL;
    if (tensor->shape[0] != columns || tensor->shape[1] != rows ||
        tensor->shape[2] != matrices || tensor->shape[3] != 1) {
        err_set(loader->err, ERR_FORMAT,
                "tensor %s is %llu x %llu x %llu, it must be %llu x %llu x %llu", name,
                (unsigned long long)tensor->shape[0],
                (unsigned long long)tensor->shape[1],
                (unsigned long long)tensor->shape[2], (unsigned long long)columns,
                (unsigned long long)rows, (unsigned long long)matrices);
        return NULL;
    }
    return tensor;
}

static bool missing_tensor(struct loader *loader, int layer, const char *role)
{
    char name[64];

    tensor_name(name, layer, role);
    return err_set(loader->err, ERR_FORMAT, "tensor %s is missing", name);
}

// Uploads the vectors, one after another, as floats. Optional ones may all be missing.
static bool load_vector(struct loader *loader, int layer, const char *const *roles,
                        const uint32_t *lengths, size_t count, bool optional,
                        struct gpu_buffer *buffer)
{
    size_t total = 0, at = 0;
    float *values;
    bool ok = true;

    for (size_t i = 0; i < count; i++)
        total += lengths[i];
    values = alloc_array(total, sizeof(*values));
    for (size_t i = 0; ok && i < count; i++) {
        bool missing;
        const struct gguf_tensor *tensor =
            find(loader, layer, roles[i], lengths[i], 1, 1, &missing);

        if (missing && optional && i == 0) {
            free(values);
            return true;
        }
        if (tensor == NULL) {
            ok = missing ? missing_tensor(loader, layer, roles[i]) : false;
            break;
        }
        ok = vector_read(loader->gguf, tensor, values + at, loader->err);
        at += lengths[i];
    }
    ok = ok && vector_upload(loader->gpu, roles[0], values, total, buffer, loader->err);
    free(values);
    return ok;
}

static bool load_norm(struct loader *loader, int layer, const char *role, uint32_t length,
                      struct gpu_buffer *buffer)
{
    return load_vector(loader, layer, &role, &length, 1, false, buffer);
}

static bool load_matrix(struct loader *loader, int layer, const char *const *roles,
                        uint32_t columns, const uint32_t *rows, size_t count,
                        struct matrix *matrix)
{
    const struct gguf_tensor *tensors[3];

    for (size_t i = 0; i < count; i++) {
        bool missing;

        tensors[i] = find(loader, layer, roles[i], columns, rows[i], 1, &missing);
        if (tensors[i] == NULL)
            return missing ? missing_tensor(loader, layer, roles[i]) : false;
    }
    return matrix_create(loader->gpu, loader->gguf, tensors, count, false, matrix,
                         load_meter_add, &loader->meter, loader->err);
}

static bool load_one_matrix(struct loader *loader, int layer, const char *role,
                            uint32_t columns, uint32_t rows, struct matrix *matrix)
{
    return load_matrix(loader, layer, &role, columns, &rows, 1, matrix);
}

static bool load_experts(struct loader *loader, int layer, const char *role,
                         uint32_t columns, uint32_t rows, struct matrix *matrix)
{
    bool missing;
    const struct gguf_tensor *tensor =
        find(loader, layer, role, columns, rows, loader->params->experts, &missing);

    if (tensor == NULL)
        return missing ? missing_tensor(loader, layer, role) : false;
    if (rows % PACK_ROWS != 0)
        return err_set(loader->err, ERR_UNSUPPORTED,
                       "%s: experts of %u rows, not a multiple of %u", role, rows,
                       PACK_ROWS);
    return matrix_create(loader->gpu, loader->gguf, &tensor, 1, true, matrix,
                         load_meter_add, &loader->meter, loader->err);
}

static bool load_attention(struct loader *loader, int i, struct layer_weights *layer)
{
    const struct model_params *p = loader->params;
    uint32_t q = p->heads * p->head_dim, kv = p->kv_heads * p->head_dim;
    static const char *const matrices[] = { "attn_q.weight", "attn_k.weight",
                                            "attn_v.weight" };
    static const char *const biases[] = { "attn_q.bias", "attn_k.bias", "attn_v.bias" };
    const uint32_t rows[] = { q, kv, kv };
    const char *output_bias = "attn_output.bias";

    if (p->fused_qkv
            ? !load_one_matrix(loader, i, "attn_qkv.weight", p->width, q + 2 * kv,
                               &layer->qkv)
            : !load_matrix(loader, i, matrices, p->width, rows, 3, &layer->qkv) ||
                  !load_vector(loader, i, biases, rows, 3, true, &layer->qkv_bias))
        return false;
    if (p->qk_norm &&
        (!load_norm(loader, i, "attn_q_norm.weight", p->head_dim, &layer->query_norm) ||
         !load_norm(loader, i, "attn_k_norm.weight", p->head_dim, &layer->key_norm)))
        return false;
    return load_one_matrix(loader, i, "attn_output.weight", q, p->width,
                           &layer->output) &&
           load_vector(loader, i, &output_bias, &p->width, 1, true, &layer->output_bias);
}

// A layer that convolves: matrices before and after it take the place of those around
// attention.
static bool load_convolution(struct loader *loader, int i, struct layer_weights *layer)
{
    const struct model_params *p = loader->params;
    const char *role = "shortconv.conv.weight";
    size_t count = (size_t)p->width * p->taps;
    bool missing;
    const struct gguf_tensor *tensor =
        find(loader, i, role, p->taps, p->width, 1, &missing);

    if (tensor == NULL)
        return missing ? missing_tensor(loader, i, role) : false;
    if (tensor->type != QUANT_F32)
        return err_set(loader->err, ERR_UNSUPPORTED, "tensor blk.%d.%s must be F32", i,
                       role);
    float *values = alloc_array(count, sizeof(*values));
    bool ok = gguf_read(loader->gguf, tensor, 0, count * sizeof(*values), values,
                        loader->err) &&
              gpu_buffer_create(loader->gpu, &layer->convolution, count * sizeof(*values),
                                GPU_PLACE_DEVICE, role, loader->err) &&
              gpu_write(loader->gpu, &layer->convolution, 0, values,
                        count * sizeof(*values), loader->err);
    free(values);
    return ok &&
           load_one_matrix(loader, i, "shortconv.in_proj.weight", p->width, 3 * p->width,
                           &layer->qkv) &&
           load_one_matrix(loader, i, "shortconv.out_proj.weight", p->width, p->width,
                           &layer->output);
}

static bool load_feed_forward(struct loader *loader, int i, struct layer_weights *layer)
{
    const struct model_params *p = loader->params;
    static const char *const roles[] = { "ffn_gate.weight", "ffn_up.weight" };
    const uint32_t rows[] = { p->ff_width, p->ff_width };

    if (p->experts > 0)
        return load_one_matrix(loader, i, "ffn_gate_inp.weight", p->width, p->experts,
                               &layer->router) &&
               load_experts(loader, i, "ffn_gate_exps.weight", p->width,
                            p->expert_ff_width, &layer->expert_gate) &&
               load_experts(loader, i, "ffn_up_exps.weight", p->width, p->expert_ff_width,
                            &layer->expert_up) &&
               load_experts(loader, i, "ffn_down_exps.weight", p->expert_ff_width,
                            p->width, &layer->expert_down);
    if (p->fused_gate_up
            ? !load_one_matrix(loader, i, "ffn_up.weight", p->width, 2 * p->ff_width,
                               &layer->gate_up)
            : !load_matrix(loader, i, roles, p->width, rows, 2, &layer->gate_up))
        return false;
    return load_one_matrix(loader, i, "ffn_down.weight", p->ff_width, p->width,
                           &layer->down);
}

static bool load_layer(struct loader *loader, int i, struct layer_weights *layer)
{
    const struct model_params *p = loader->params;

    if (!load_norm(loader, i, "attn_norm.weight", p->width, &layer->attention_norm) ||
        !load_norm(loader, i, "ffn_norm.weight", p->width, &layer->ff_norm))
        return false;
    if (p->post_norms &&
        (!load_norm(loader, i, "post_attention_norm.weight", p->width,
                    &layer->attention_post_norm) ||
         !load_norm(loader, i, "post_ffw_norm.weight", p->width, &layer->ff_post_norm)))
        return false;
    return (p->convolves[i] ? load_convolution(loader, i, layer)
                            : load_attention(loader, i, layer)) &&
           load_feed_forward(loader, i, layer);
}

// Divisors of the RoPE frequencies: stays on the host. A missing tensor is fine.
static bool load_factors(struct loader *loader, const char *name, float **factors)
{
    uint32_t length = loader->params->rotated / 2;
    bool missing;
    const struct gguf_tensor *tensor;

    if (name == NULL)
        return true;
    tensor = find(loader, -1, name, length, 1, 1, &missing);
    if (tensor == NULL)
        return missing;
    if (tensor->type != QUANT_F32)
        return err_set(loader->err, ERR_FORMAT, "tensor %s must be F32", name);
    *factors = alloc_array(length, sizeof(**factors));
    if (!gguf_read(loader->gguf, tensor, 0, tensor->size_bytes, (uint8_t *)*factors,
                   loader->err))
        return false;
    for (uint32_t i = 0; i < length; i++)
        if (!((*factors)[i] > 0.0f && (*factors)[i] < 1e9f))
            return err_set(loader->err, ERR_FORMAT, "tensor %s: factor %u is %g", name, i,
                           (double)(*factors)[i]);
    return true;
}

static bool load_ends(struct loader *loader, struct model_weights *weights)
{
    const struct model_params *p = loader->params;
    // Files of lfm2 call it so by mistake.
    const char *norm = p->taps > 0 ? "token_embd_norm.weight" : "output_norm.weight";

    if (!load_one_matrix(loader, -1, "token_embd.weight", p->width, p->vocabulary,
                         &weights->embedding) ||
        !load_norm(loader, -1, norm, p->width, &weights->output_norm))
        return false;
    return gguf_find(loader->gguf, "output.weight") == NULL ||
           load_one_matrix(loader, -1, "output.weight", p->width, p->vocabulary,
                           &weights->head);
}

bool model_weights_load(struct gpu *gpu, const struct gguf *gguf,
                        const struct model_params *params, struct model_weights *weights,
                        weights_progress *progress, void *user, struct err *err)
{
    struct loader loader = {
        .gpu = gpu,
        .gguf = gguf,
        .params = params,
        .meter = { .progress = progress,
                   .user = user,
                   .total_bytes = gguf_size_bytes(gguf) },
        .err = err,
    };
    bool ok;

    *weights = (struct model_weights){ .layers = alloc_array(params->layers,
                                                             sizeof(*weights->layers)) };
    ok = load_ends(&loader, weights) &&
         load_factors(&loader, params->rope.factors, &weights->rope_factors) &&
         load_factors(&loader, params->rope.long_factors, &weights->rope_long_factors);
    for (uint32_t i = 0; ok && i < params->layers; i++)
        ok = load_layer(&loader, (int)i, &weights->layers[i]);
    if (!ok)
        model_weights_release(gpu, params, weights);
    return ok;
}

static void release_layer(struct gpu *gpu, struct layer_weights *layer)
{
    struct gpu_buffer *vectors[] = {
        &layer->attention_norm, &layer->attention_post_norm, &layer->ff_norm,
        &layer->ff_post_norm,   &layer->query_norm,          &layer->key_norm,
        &layer->qkv_bias,       &layer->output_bias,         &layer->convolution,
    };
    struct matrix *matrices[] = {
        &layer->qkv,    &layer->output,      &layer->gate_up,   &layer->down,
        &layer->router, &layer->expert_gate, &layer->expert_up, &layer->expert_down,
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        gpu_buffer_destroy(gpu, vectors[i]);
    for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++)
        matrix_destroy(gpu, matrices[i]);
}

void model_weights_release(struct gpu *gpu, const struct model_params *params,
                           struct model_weights *weights)
{
    for (uint32_t i = 0; weights->layers != NULL && i < params->layers; i++)
        release_layer(gpu, &weights->layers[i]);
    free(weights->layers);
    matrix_destroy(gpu, &weights->embedding);
    matrix_destroy(gpu, &weights->head);
    gpu_buffer_destroy(gpu, &weights->output_norm);
    free(weights->rope_factors);
    free(weights->rope_long_factors);
    *weights = (struct model_weights){ .layers = NULL };
}

const struct matrix *model_weights_head(const struct model_weights *weights)
{
    return weights->head.piece_count > 0 ? &weights->head : &weights->embedding;
}
