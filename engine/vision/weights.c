// engine/vision/weights.c
// SPDX-License-Identifier: MIT
#include "engine/vision/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/model/vector.h"

#define NAME_BYTES 96
#define MAX_PARTS  3 // tensors that become one matrix

struct loader {
    struct gpu *gpu;
    const struct gguf *gguf;
    const struct vision_params *params;
    struct vision_weights *weights;
    struct load_meter meter;
    struct err *err;
};

// ---------------------------------------------------------------------------
// Tensors

static const struct gguf_tensor *find(const struct loader *loader, const char *base,
                                      const char *end)
{
    char name[NAME_BYTES + 16];

    snprintf(name, sizeof(name), "%s%s", base, end);
    return gguf_find(loader->gguf, name);
}

static bool missing(struct loader *loader, const char *base, const char *end)
{
    return err_set(loader->err, ERR_FORMAT, "tensor %s%s is missing", base, end);
}

// columns values in a row, and rows of them, however the rows are arranged.
static bool check_shape(struct loader *loader, const struct gguf_tensor *tensor,
                        uint64_t columns, uint64_t rows)
{
    if (tensor->shape[0] == columns &&
        tensor->shape[1] * tensor->shape[2] * tensor->shape[3] == rows)
        return true;
    return err_set(loader->err, ERR_FORMAT,
                   "tensor %s is %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64
                   ", it must be %" PRIu64 " x %" PRIu64,
                   tensor->name, tensor->shape[0], tensor->shape[1], tensor->shape[2],
                   tensor->shape[3], columns, rows);
}

// *values is allocated: [rows][columns]. A tensor that is not there leaves it NULL.
static bool load_host(struct loader *loader, const char *name, uint64_t columns,
                      uint64_t rows, float **values)
{
    const struct gguf_tensor *tensor = find(loader, name, "");

    if (tensor == NULL)
        return true;
    if (!check_shape(loader, tensor, columns, rows))
        return false;
    *values = try_array(columns * rows, sizeof(**values));
    if (*values == NULL)
        return err_set(loader->err, ERR_MEMORY, "not enough memory for %s", name);
    return vector_read(loader->gguf, tensor, *values, loader->err);
}

// The vectors bases[i] + end, one after another; zeros for one that is not there. If none
// is, there is no buffer.
static bool load_vectors(struct loader *loader, const char *const *bases,
                         const uint64_t *lengths, size_t count, const char *end,
                         struct gpu_buffer *buffer)
{
    size_t total = 0, at = 0, found = 0;
    float *values;
    bool ok = true;

    for (size_t i = 0; i < count; i++)
        total += lengths[i];
    values = alloc_array(total, sizeof(*values));
    for (size_t i = 0; ok && i < count; i++) {
        const struct gguf_tensor *tensor = find(loader, bases[i], end);

        if (tensor != NULL) {
            ok = check_shape(loader, tensor, lengths[i], 1) &&
                 vector_read(loader->gguf, tensor, values + at, loader->err);
            found++;
        }
        at += lengths[i];
    }
    if (ok && found > 0)
        ok = vector_upload(loader->gpu, bases[0], values, total, buffer, loader->err);
    free(values);
    return ok;
}

static bool load_vector(struct loader *loader, const char *base, const char *end,
                        uint64_t length, struct gpu_buffer *buffer)
{
    return load_vectors(loader, &base, &length, 1, end, buffer);
}

// A norm that may be missing: then norm->weight has no memory. A layer norm without a
// bias gets one of zeros.
static bool load_optional_norm(struct loader *loader, const char *base, uint64_t length,
                               bool rms, struct vision_norm *norm)
{
    if (!load_vector(loader, base, ".weight", length, &norm->weight))
        return false;
    if (rms || norm->weight.memory == NULL)
        return true;
    if (!load_vector(loader, base, ".bias", length, &norm->bias))
        return false;
    return norm->bias.memory != NULL ||
           (gpu_buffer_create(loader->gpu, &norm->bias, length * sizeof(float),
                              GPU_PLACE_DEVICE, base, loader->err) &&
            gpu_zero(loader->gpu, &norm->bias, loader->err));
}

static bool load_norm(struct loader *loader, const char *base, uint64_t length, bool rms,
                      struct vision_norm *norm)
{
    return load_optional_norm(loader, base, length, rms, norm) &&
           (norm->weight.memory != NULL || missing(loader, base, ".weight"));
}

// The matrices bases[i].weight and vectors bases[i].bias, one below the other.
static bool load_linears(struct loader *loader, const char *const *bases,
                         uint64_t columns, const uint64_t *rows, size_t count,
                         struct vision_linear *linear)
{
    const struct gguf_tensor *tensors[MAX_PARTS];

    for (size_t i = 0; i < count; i++) {
        tensors[i] = find(loader, bases[i], ".weight");
        if (tensors[i] == NULL)
            return missing(loader, bases[i], ".weight");
        if (!check_shape(loader, tensors[i], columns, rows[i]))
            return false;
    }
    return matrix_create(loader->gpu, loader->gguf, tensors, count, false,
                         &linear->matrix, load_meter_add, &loader->meter, loader->err) &&
           load_vectors(loader, bases, rows, count, ".bias", &linear->bias);
}

static bool load_linear(struct loader *loader, const char *base, uint64_t columns,
                        uint64_t rows, struct vision_linear *linear)
{
    return load_linears(loader, &base, columns, &rows, 1, linear);
}

// Weights that were put together on the host.
static bool load_made(struct loader *loader, const char *name, const float *values,
                      uint64_t columns, uint64_t rows, struct matrix *matrix)
{
    struct gguf_tensor tensor = { .name = name,
                                  .type = QUANT_F32,
                                  .rank = 2,
                                  .shape = { columns, rows, 1, 1 },
                                  .bytes = (const uint8_t *)values,
                                  .size_bytes = columns * rows * sizeof(*values) };
    const struct gguf_tensor *tensors[] = { &tensor };

    return matrix_create(loader->gpu, NULL, tensors, 1, false, matrix, NULL, NULL,
                         loader->err);
}

// ---------------------------------------------------------------------------
// The encoder

static bool add_patch_kernel(struct loader *loader, const struct gguf_tensor *tensor,
                             float *sum)
{
    uint64_t side = loader->params->patch_size;
    size_t count = (size_t)(3 * side * side * loader->params->width);
    float *values;
    bool ok;

    if (tensor->shape[0] != side || tensor->shape[1] != side || tensor->shape[2] != 3 ||
        tensor->shape[3] != loader->params->width)
        return err_set(loader->err, ERR_FORMAT,
                       "tensor %s is no kernel for patches of %" PRIu64
                       " pixels and a width of %u",
                       tensor->name, side, loader->params->width);
    values = try_array(count, sizeof(*values));
    if (values == NULL)
        return err_set(loader->err, ERR_MEMORY, "not enough memory for %s", tensor->name);
    ok = vector_read(loader->gguf, tensor, values, loader->err);
    for (size_t i = 0; ok && i < count; i++)
        sum[i] += values[i];
    free(values);
    return ok;
}

// A convolution that touches every pixel once is a product with the patch as a vector.
// Where there are kernels for two frames, a still picture is both of them.
static bool load_patch(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    const struct gguf_tensor *first = find(loader, "v.patch_embd.weight", "");
    const struct gguf_tensor *second = find(loader, "v.patch_embd.weight.1", "");
    uint64_t columns = (uint64_t)3 * p->patch_size * p->patch_size;
    float *sum = try_array(columns * p->width, sizeof(*sum));
    bool ok = sum != NULL;

    if (!ok)
        err_set(loader->err, ERR_MEMORY, "not enough memory for v.patch_embd.weight");
    ok = ok && (first != NULL || missing(loader, "v.patch_embd.weight", "")) &&
         add_patch_kernel(loader, first, sum) &&
         (second == NULL || add_patch_kernel(loader, second, sum)) &&
         load_made(loader, "v.patch_embd.weight", sum, columns, p->width,
                   &loader->weights->patch.matrix);
    free(sum);
    return ok && load_vector(loader, "v.patch_embd", ".bias", p->width,
                             &loader->weights->patch.bias);
}

static bool load_ends(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    struct vision_weights *w = loader->weights;
    const struct gguf_tensor *positions = find(loader, "v.position_embd.weight", "");

    if (positions != NULL && positions->shape[1] > VISION_MAX_POSITIONS)
        return err_set(loader->err, ERR_LIMIT, "%" PRIu64 " position embeddings",
                       positions->shape[1]);
    w->position_count = positions != NULL ? (uint32_t)positions->shape[1] : 0;
    return load_patch(loader) &&
           load_host(loader, "v.position_embd.weight", p->width, w->position_count,
                     &w->positions) &&
           load_host(loader, "v.class_embd", p->width, 1, &w->class_embedding) &&
           load_optional_norm(loader, "v.pre_ln", p->width, p->rms_norm, &w->pre_norm) &&
           load_optional_norm(loader, "v.post_ln", p->width, p->rms_norm, &w->post_norm);
}

static const char *layer_name(char name[NAME_BYTES], uint32_t layer, const char *role)
{
    snprintf(name, NAME_BYTES, "v.blk.%u.%s", layer, role);
    return name;
}

static bool load_attention(struct loader *loader, uint32_t i, struct vision_layer *layer)
{
    const struct vision_params *p = loader->params;
    uint64_t inner = (uint64_t)p->heads * p->head_dim;
    const uint64_t rows[] = { inner, inner, inner };
    char fused[NAME_BYTES], q[NAME_BYTES], k[NAME_BYTES], v[NAME_BYTES];
    char output[NAME_BYTES], q_norm[NAME_BYTES], k_norm[NAME_BYTES];
    const char *const parts[] = { layer_name(q, i, "attn_q"), layer_name(k, i, "attn_k"),
                                  layer_name(v, i, "attn_v") };

    layer_name(fused, i, "attn_qkv");
    if (find(loader, fused, ".weight") != NULL
            ? !load_linear(loader, fused, p->width, 3 * inner, &layer->qkv)
            : !load_linears(loader, parts, p->width, rows, 3, &layer->qkv))
        return false;
    return load_vector(loader, layer_name(q_norm, i, "attn_q_norm"), ".weight", inner,
                       &layer->query_norm) &&
           load_vector(loader, layer_name(k_norm, i, "attn_k_norm"), ".weight", inner,
                       &layer->key_norm) &&
           load_linear(loader, layer_name(output, i, "attn_out"), inner, p->width,
                       &layer->output);
}

static bool load_feed_forward(struct loader *loader, uint32_t i,
                              struct vision_layer *layer)
{
    const struct vision_params *p = loader->params;
    const uint64_t width = p->width, rows[] = { p->ff_width, p->ff_width };
    char up_name[NAME_BYTES], down_name[NAME_BYTES], gate_name[NAME_BYTES];
    const char *up = layer_name(up_name, i, "ffn_up");
    const char *down = layer_name(down_name, i, "ffn_down");
    const char *gate = layer_name(gate_name, i, "ffn_gate");
    const struct gguf_tensor *tensor = find(loader, up, ".weight");
    const char *bases[] = { gate, up };

    if (tensor == NULL)
        return missing(loader, up, ".weight");
    if (tensor->shape[0] != width && tensor->shape[1] == width) {
        bases[1] = down;
        down = up;
    }
    return load_linears(loader, p->gated ? bases : bases + 1, width, rows,
                        p->gated ? 2 : 1, &layer->up) &&
           load_linear(loader, down, p->ff_width, width, &layer->down);
}

static bool load_layer(struct loader *loader, uint32_t i, struct vision_layer *layer)
{
    const struct vision_params *p = loader->params;
    char norm1[NAME_BYTES], norm2[NAME_BYTES], scale1[NAME_BYTES], scale2[NAME_BYTES];

    return load_norm(loader, layer_name(norm1, i, "ln1"), p->width, p->rms_norm,
                     &layer->attention_norm) &&
           load_norm(loader, layer_name(norm2, i, "ln2"), p->width, p->rms_norm,
                     &layer->ff_norm) &&
           load_vector(loader, layer_name(scale1, i, "ls1"), ".weight", p->width,
                       &layer->attention_scale) &&
           load_vector(loader, layer_name(scale2, i, "ls2"), ".weight", p->width,
                       &layer->ff_scale) &&
           load_attention(loader, i, layer) && load_feed_forward(loader, i, layer);
}

// ---------------------------------------------------------------------------
// Projectors

// Two matrices; what lies between them is as wide as the first one's tensor says.
static bool load_pair(struct loader *loader, const char *first, const char *second,
                      uint64_t columns, struct vision_mlp *mlp)
{
    const struct gguf_tensor *tensor = find(loader, first, ".weight");

    if (tensor == NULL)
        return missing(loader, first, ".weight");
    if (tensor->shape[1] > VISION_MAX_WIDTH)
        return err_set(loader->err, ERR_LIMIT, "tensor %s has %" PRIu64 " rows",
                       tensor->name, tensor->shape[1]);
    return load_linear(loader, first, columns, tensor->shape[1], &mlp->first) &&
           load_linear(loader, second, tensor->shape[1], loader->params->projection_width,
                       &mlp->second);
}

static bool load_llava(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    struct vision_weights *w = loader->weights;

    return (find(loader, "mm.2", ".weight") != NULL
                ? load_pair(loader, "mm.0", "mm.2", p->width, &w->mlp)
                : load_linear(loader, "mm.0", p->width, p->projection_width,
                              &w->mlp.first)) &&
           load_host(loader, "model.image_newline", p->projection_width, 1,
                     &w->newline) &&
           (w->newline != NULL ||
            load_host(loader, "v.image_newline", p->projection_width, 1, &w->newline));
}

// mm.input_projection is stored for multiplication from the right.
static bool load_gemma3(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    size_t columns = p->width, rows = p->projection_width;
    float *stored = NULL, *turned;
    bool ok;

    if (!load_norm(loader, "mm.soft_emb_norm", p->width, true,
                   &loader->weights->mlp.norm) ||
        !load_host(loader, "mm.input_projection.weight", rows, columns, &stored)) {
        free(stored);
        return false;
    }
    if (stored == NULL)
        return missing(loader, "mm.input_projection", ".weight");
    turned = try_array(rows * columns, sizeof(*turned));
    ok = turned != NULL;
    if (!ok)
        err_set(loader->err, ERR_MEMORY, "not enough memory for mm.input_projection");
    for (size_t row = 0; ok && row < rows; row++)
        for (size_t column = 0; column < columns; column++)
            turned[row * columns + column] = stored[column * rows + row];
    ok = ok && load_made(loader, "mm.input_projection.weight", turned, columns, rows,
                         &loader->weights->mlp.first.matrix);
    free(turned);
    free(stored);
    return ok;
}

static bool load_deepstack(struct loader *loader, uint64_t merged)
{
    const struct vision_params *p = loader->params;
    struct vision_weights *w = loader->weights;
    char norm[NAME_BYTES], first[NAME_BYTES], second[NAME_BYTES];
    uint32_t count = 0;

    w->deepstack = alloc_array(p->deepstack_count, sizeof(*w->deepstack));
    for (uint32_t i = 0; i < p->layers && count < p->deepstack_count; i++) {
        struct vision_mlp *mlp = &w->deepstack[count];

        if (!p->deepstack[i])
            continue;
        snprintf(norm, sizeof(norm), "v.deepstack.%u.norm", i);
        snprintf(first, sizeof(first), "v.deepstack.%u.fc1", i);
        snprintf(second, sizeof(second), "v.deepstack.%u.fc2", i);
        if (!load_norm(loader, norm, merged, false, &mlp->norm) ||
            !load_pair(loader, first, second, merged, mlp))
            return false;
        count++;
    }
    return true;
}

static bool load_pixtral(struct loader *loader, uint64_t merged)
{
    const struct vision_params *p = loader->params;
    struct vision_weights *w = loader->weights;

    if (p->merge > 1 &&
        (!load_norm(loader, "mm.input_norm", p->width, true, &w->input_norm) ||
         !load_linear(loader, "mm.patch_merger", merged, p->width, &w->patch_merger)))
        return false;
    return load_pair(loader, "mm.1", "mm.2", p->width, &w->mlp);
}

static bool load_resampler(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    struct vision_resampler *r = &loader->weights->resampler;
    uint64_t width = p->projection_width;

    if (!load_host(loader, "resampler.query", width, p->queries, &r->queries))
        return false;
    if (r->queries == NULL)
        return missing(loader, "resampler.query", "");
    return load_linear(loader, "resampler.kv", p->width, width, &r->kv) &&
           load_linear(loader, "resampler.attn.q", width, width, &r->query) &&
           load_linear(loader, "resampler.attn.k", width, width, &r->key) &&
           load_linear(loader, "resampler.attn.v", width, width, &r->value) &&
           load_linear(loader, "resampler.attn.out", width, width, &r->output) &&
           load_linear(loader, "resampler.proj", width, width, &r->projection) &&
           load_norm(loader, "resampler.ln_q", width, false, &r->query_norm) &&
           load_norm(loader, "resampler.ln_kv", width, false, &r->kv_norm) &&
           load_norm(loader, "resampler.ln_post", width, false, &r->post_norm);
}

static bool load_projector(struct loader *loader)
{
    const struct vision_params *p = loader->params;
    struct vision_weights *w = loader->weights;
    uint64_t merged = (uint64_t)p->width * p->merge * p->merge;

    switch (p->projector) {
    case PROJECTOR_MLP:
        return load_llava(loader);
    case PROJECTOR_IDEFICS3:
        return load_linear(loader, "mm.model.fc", merged, p->projection_width,
                           &w->mlp.first);
    case PROJECTOR_GEMMA3:
        return load_gemma3(loader);
    case PROJECTOR_QWEN2VL:
    case PROJECTOR_QWEN25VL:
    case PROJECTOR_QWEN3VL:
        return load_pair(loader, "mm.0", "mm.2", merged, &w->mlp) &&
               load_deepstack(loader, merged);
    case PROJECTOR_INTERNVL:
        return load_norm(loader, "mm.model.mlp.0", merged, false, &w->mlp.norm) &&
               load_pair(loader, "mm.model.mlp.1", "mm.model.mlp.3", merged, &w->mlp);
    case PROJECTOR_PIXTRAL:
        return load_pixtral(loader, merged);
    case PROJECTOR_RESAMPLER:
        return load_resampler(loader);
    case PROJECTOR_LFM2:
        return load_optional_norm(loader, "mm.input_norm", merged, false, &w->mlp.norm) &&
               load_pair(loader, "mm.1", "mm.2", merged, &w->mlp);
    case PROJECTOR_COUNT:
        break;
    }
    bug("no projector %d", (int)p->projector);
}

// ---------------------------------------------------------------------------

bool vision_weights_load(struct gpu *gpu, const struct gguf *gguf,
                         const struct vision_params *params,
                         struct vision_weights *weights,
                         vision_weights_progress *progress, void *user, struct err *err)
{
    struct loader loader = {
        .gpu = gpu,
        .gguf = gguf,
        .params = params,
        .weights = weights,
        .meter = { .progress = progress,
                   .user = user,
                   .total_bytes = gguf_size_bytes(gguf) },
        .err = err,
    };
    bool ok;

    *weights = (struct vision_weights){
        .layers = alloc_array(params->feature_layer, sizeof(*weights->layers)),
    };
    ok = load_ends(&loader) && load_projector(&loader);
    for (uint32_t i = 0; ok && i < params->feature_layer; i++)
        ok = load_layer(&loader, i, &weights->layers[i]);
    if (!ok)
        vision_weights_release(gpu, params, weights);
    return ok;
}

static void release_norm(struct gpu *gpu, struct vision_norm *norm)
{
    gpu_buffer_destroy(gpu, &norm->weight);
    gpu_buffer_destroy(gpu, &norm->bias);
}

static void release_linear(struct gpu *gpu, struct vision_linear *linear)
{
    matrix_destroy(gpu, &linear->matrix);
    gpu_buffer_destroy(gpu, &linear->bias);
}

static void release_mlp(struct gpu *gpu, struct vision_mlp *mlp)
{
    release_norm(gpu, &mlp->norm);
    release_linear(gpu, &mlp->first);
    release_linear(gpu, &mlp->second);
}

static void release_layer(struct gpu *gpu, struct vision_layer *layer)
{
    release_norm(gpu, &layer->attention_norm);
    release_norm(gpu, &layer->ff_norm);
    gpu_buffer_destroy(gpu, &layer->query_norm);
    gpu_buffer_destroy(gpu, &layer->key_norm);
    gpu_buffer_destroy(gpu, &layer->attention_scale);
    gpu_buffer_destroy(gpu, &layer->ff_scale);
    release_linear(gpu, &layer->qkv);
    release_linear(gpu, &layer->output);
    release_linear(gpu, &layer->up);
    release_linear(gpu, &layer->down);
}

static void release_resampler(struct gpu *gpu, struct vision_resampler *resampler)
{
    struct vision_linear *linears[] = { &resampler->kv,     &resampler->query,
                                        &resampler->key,    &resampler->value,
                                        &resampler->output, &resampler->projection };

    for (size_t i = 0; i < sizeof(linears) / sizeof(linears[0]); i++)
        release_linear(gpu, linears[i]);
    release_norm(gpu, &resampler->query_norm);
    release_norm(gpu, &resampler->kv_norm);
    release_norm(gpu, &resampler->post_norm);
    free(resampler->queries);
}

void vision_weights_release(struct gpu *gpu, const struct vision_params *params,
                            struct vision_weights *weights)
{
    for (uint32_t i = 0; weights->layers != NULL && i < params->feature_layer; i++)
        release_layer(gpu, &weights->layers[i]);
    for (uint32_t i = 0; weights->deepstack != NULL && i < params->deepstack_count; i++)
        release_mlp(gpu, &weights->deepstack[i]);
    release_linear(gpu, &weights->patch);
    release_norm(gpu, &weights->pre_norm);
    release_norm(gpu, &weights->post_norm);
    release_norm(gpu, &weights->input_norm);
    release_linear(gpu, &weights->patch_merger);
    release_mlp(gpu, &weights->mlp);
    release_resampler(gpu, &weights->resampler);
    free(weights->layers);
    free(weights->deepstack);
    free(weights->positions);
    free(weights->class_embedding);
    free(weights->newline);
    *weights = (struct vision_weights){ .layers = NULL };
}
