// engine/vision/encoder.c
// SPDX-License-Identifier: MIT
//
// What an encoder holds, and a picture tile by tile.
#include "engine/vision/encoder_private.h"

#include <stdlib.h>

#include "base/alloc.h"

// Tokens that are computed together, at least: on a CPU a submission is short anyway,
// elsewhere a product should fill the device.
#define CHUNK_CPU   128
#define CHUNK_OTHER 512

#define MAX_HEAD_DIM 256

// Multiply-adds per nanosecond that the first submission reckons with.
#define FIRST_SPEED 1.0

uint32_t vision_pad(uint32_t columns)
{
    return (columns + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK;
}

uint32_t vision_chunks(const struct vision_encoder *encoder)
{
    return (encoder->plan.tokens + encoder->chunk - 1) / encoder->chunk;
}

uint32_t vision_chunk_tokens(const struct vision_encoder *encoder, uint32_t chunk)
{
    uint32_t left = encoder->plan.tokens - chunk * encoder->chunk;

    return left < encoder->chunk ? left : encoder->chunk;
}

uint32_t vision_encoder_output_width(const struct vision_encoder *encoder)
{
    return encoder->params.projection_width * (1 + encoder->params.deepstack_count);
}

// ---------------------------------------------------------------------------
// Buffers

bool vision_rows_create(struct vision_encoder *encoder, struct gpu_buffer *buffer,
                        uint32_t rows, uint32_t stride, const char *name, struct err *err)
{
    uint64_t bytes = (uint64_t)rows * stride * sizeof(float);

    if (bytes > encoder->reach)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: %llu MiB are too much for one binding on %s", name,
                       (unsigned long long)(bytes >> 20), gpu_traits(encoder->gpu)->name);
    return gpu_buffer_create(encoder->gpu, buffer, bytes, GPU_PLACE_DEVICE, name, err) &&
           gpu_zero(encoder->gpu, buffer, err);
}

bool vision_store_create(struct vision_encoder *encoder, struct head_store *store,
                         uint32_t heads, uint32_t head_dim, uint32_t room, uint32_t reach,
                         const char *name, struct err *err)
{
    uint64_t head_bytes = (uint64_t)reach * head_dim * sizeof(float);
    uint64_t per_part = encoder->reach / head_bytes;

    if (per_part == 0)
        return err_set(err, ERR_MEMORY, "a tile of %u patches is too large for %s", reach,
                       gpu_traits(encoder->gpu)->name);
    *store = (struct head_store){ .heads_per_part =
                                      per_part < heads ? (uint32_t)per_part : heads,
                                  .heads = heads,
                                  .head_dim = head_dim,
                                  .room = room };
    store->parts =
        alloc_array((heads + store->heads_per_part - 1) / store->heads_per_part,
                    sizeof(*store->parts));
    for (uint32_t head = 0; head < heads; head += store->heads_per_part) {
        uint32_t left = heads - head;
        uint32_t count = left < store->heads_per_part ? left : store->heads_per_part;

        if (!vision_rows_create(encoder, &store->parts[store->part_count], count * room,
                                head_dim, name, err))
            return false;
        store->part_count++;
    }
    return true;
}

void vision_store_destroy(struct vision_encoder *encoder, struct head_store *store)
{
    for (uint32_t i = 0; i < store->part_count; i++)
        gpu_buffer_destroy(encoder->gpu, &store->parts[i]);
    free(store->parts);
    *store = (struct head_store){ .part_count = 0 };
}

static void release_room(struct vision_encoder *encoder)
{
    for (uint32_t i = 0; encoder->x != NULL && i < encoder->room / encoder->chunk; i++)
        gpu_buffer_destroy(encoder->gpu, &encoder->x[i]);
    free(encoder->x);
    encoder->x = NULL;
    encoder->room = 0;
    vision_store_destroy(encoder, &encoder->queries);
    vision_store_destroy(encoder, &encoder->keys);
    vision_store_destroy(encoder, &encoder->values);
    gpu_buffer_destroy(encoder->gpu, &encoder->angles);
    gpu_buffer_destroy(encoder->gpu, &encoder->blocks);
    gpu_buffer_destroy(encoder->gpu, &encoder->windowed);
}

// What belongs to all tokens, for as many as the plan has.
static bool make_room(struct vision_encoder *encoder, struct err *err)
{
    const struct vision_params *p = &encoder->params;
    uint32_t chunks = vision_chunks(encoder), room = chunks * encoder->chunk;
    bool ok;

    if (encoder->room >= room)
        return true;
    release_room(encoder);
    encoder->room = room;
    encoder->x = alloc_array(chunks, sizeof(*encoder->x));
    ok = vision_store_create(encoder, &encoder->queries, p->heads, p->head_dim, room,
                             room, "vision queries", err) &&
         vision_store_create(encoder, &encoder->keys, p->heads, p->head_dim, room, room,
                             "vision keys", err) &&
         vision_store_create(encoder, &encoder->values, p->heads, p->head_dim, room, room,
                             "vision values", err);
    for (uint32_t i = 0; ok && i < chunks; i++)
        ok = vision_rows_create(encoder, &encoder->x[i], encoder->chunk,
                                encoder->x_stride, "patches", err);
    if (!ok)
        release_room(encoder);
    return ok;
}

static bool upload(struct vision_encoder *encoder, struct gpu_buffer *buffer,
                   const void *bytes, uint64_t size, const char *name, struct err *err)
{
    gpu_buffer_destroy(encoder->gpu, buffer);
    return bytes == NULL ||
           (gpu_buffer_create(encoder->gpu, buffer, size, GPU_PLACE_DEVICE, name, err) &&
            gpu_write(encoder->gpu, buffer, 0, bytes, size, err));
}

// Plan, room and tables for a tile's size, kept while tiles have the same.
static bool prepare(struct vision_encoder *encoder, const struct vision_tile *tile,
                    struct err *err)
{
    struct vision_plan *plan = &encoder->plan;
    uint32_t chunks;

    if (encoder->plan_width == tile->width && encoder->plan_height == tile->height)
        return true;
    encoder->plan_width = encoder->plan_height = 0;
    vision_plan_release(plan);
    if (!vision_plan_make(&encoder->params, &encoder->weights, tile->width, tile->height,
                          encoder->chunk,
                          kernel_vision_block(encoder->gpu, encoder->params.head_dim),
                          plan, err) ||
        !make_room(encoder, err))
        return false;
    chunks = vision_chunks(encoder);
    if (!upload(encoder, &encoder->angles, plan->angles,
                (uint64_t)plan->tokens * encoder->params.head_dim * sizeof(float),
                "vision angles", err) ||
        !upload(encoder, &encoder->blocks, plan->blocks,
                plan->first_block[chunks] * sizeof(vision_block), "vision blocks", err) ||
        !upload(encoder, &encoder->windowed, plan->windowed,
                plan->windowed == NULL
                    ? 0
                    : plan->first_windowed[chunks] * sizeof(vision_block),
                "vision windows", err))
        return false;
    encoder->plan_width = tile->width;
    encoder->plan_height = tile->height;
    return true;
}

static bool create_chunk_buffers(struct vision_encoder *encoder, struct err *err)
{
    const struct vision_params *p = &encoder->params;
    uint32_t inner = p->heads * p->head_dim, chunk = encoder->chunk;
    uint32_t ff = encoder->params.ff_width;

    encoder->patch_stride = vision_pad(3 * p->patch_size * p->patch_size);
    encoder->x_stride = vision_pad(p->width);
    encoder->qkv_stride = 3 * inner;
    encoder->attended_stride = vision_pad(inner);
    encoder->up_stride = 2 * ff;
    encoder->hidden_stride = vision_pad(ff);
    return vision_rows_create(encoder, &encoder->patches, chunk, encoder->patch_stride,
                              "pixels", err) &&
           vision_rows_create(encoder, &encoder->normed, chunk, encoder->x_stride,
                              "normed patches", err) &&
           vision_rows_create(encoder, &encoder->qkv, chunk, encoder->qkv_stride,
                              "vision qkv", err) &&
           vision_rows_create(encoder, &encoder->attended, chunk,
                              encoder->attended_stride, "vision attended", err) &&
           (!encoder->params.gated ||
            vision_rows_create(encoder, &encoder->up, chunk, encoder->up_stride,
                               "vision gate and up", err)) &&
           vision_rows_create(encoder, &encoder->hidden, chunk, encoder->hidden_stride,
                              "vision hidden", err) &&
           vision_rows_create(encoder, &encoder->branch, chunk, encoder->x_stride,
                              "vision branch", err);
}

// ---------------------------------------------------------------------------
// Life

struct load_progress {
    vision_progress *progress;
    void *user;
};

static bool weights_fraction(void *user, double fraction)
{
    const struct load_progress *load = user;

    return load->progress == NULL ||
           load->progress(load->user, "reading vision weights", fraction);
}

// The bytes that a kernel can reach in one buffer.
static uint64_t find_reach(const struct gpu_traits *traits)
{
    uint64_t bytes = traits->max_range < traits->max_allocation ? traits->max_range
                                                                : traits->max_allocation;

    if (traits->texel && (uint64_t)traits->max_texels * PACK_UNIT < bytes)
        bytes = (uint64_t)traits->max_texels * PACK_UNIT;
    return bytes;
}

// Whole tiles of a product and whole groups of patches that are merged.
static uint32_t choose_chunk(struct gpu *gpu, uint32_t merge)
{
    uint32_t tile = matrix_token_tile(gpu), group = merge * merge, chunk = tile;
    uint32_t least = gpu_traits(gpu)->type == GPU_CPU ? CHUNK_CPU : CHUNK_OTHER;

    while (chunk < least || chunk % group != 0)
        chunk += tile;
    return chunk;
}

struct vision_encoder *vision_encoder_create(struct gpu *gpu, const struct gguf *gguf,
                                             const struct vision_params *params,
                                             vision_progress *progress, void *user,
                                             struct err *err)
{
    struct load_progress load = { progress, user };
    struct vision_encoder *encoder;

    if (params->head_dim % 4 != 0 || params->head_dim > MAX_HEAD_DIM) {
        err_set(err, ERR_UNSUPPORTED, "vision heads of %u", params->head_dim);
        return NULL;
    }
    encoder = alloc_zero(sizeof(*encoder));
    encoder->gpu = gpu;
    encoder->params = *params;
    encoder->chunk = choose_chunk(gpu, params->merge);
    encoder->reach = find_reach(gpu_traits(gpu));
    encoder->speed = FIRST_SPEED;
    encoder->recording = gpu_recording_create(gpu, err);
    if (encoder->recording == NULL ||
        !vision_weights_load(gpu, gguf, params, &encoder->weights, weights_fraction,
                             &load, err) ||
        !create_chunk_buffers(encoder, err) || !vision_create_projector(encoder, err)) {
        vision_encoder_destroy(&encoder);
        return NULL;
    }
    return encoder;
}

void vision_encoder_destroy(struct vision_encoder **handle)
{
    struct vision_encoder *encoder = *handle;

    if (encoder == NULL)
        return;
    struct gpu_buffer *buffers[] = {
        &encoder->patches, &encoder->normed, &encoder->qkv,    &encoder->attended,
        &encoder->up,      &encoder->hidden, &encoder->branch,
    };

    gpu_recording_destroy(&encoder->recording);
    release_room(encoder);
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        gpu_buffer_destroy(encoder->gpu, buffers[i]);
    vision_destroy_projector(encoder);
    vision_plan_release(&encoder->plan);
    vision_weights_release(encoder->gpu, &encoder->params, &encoder->weights);
    free(encoder);
    *handle = NULL;
}

// ---------------------------------------------------------------------------
// Encoding

// About what a tile costs, in multiply-adds.
static double tile_cost(const struct vision_encoder *encoder,
                        const struct vision_tile *tile)
{
    const struct vision_params *p = &encoder->params;
    double tokens = (double)tile->width / p->patch_size * tile->height / p->patch_size;
    double per_token = 0;

    for (uint32_t i = 0; i < p->feature_layer; i++) {
        const struct vision_layer *layer = &encoder->weights.layers[i];
        bool windowed = p->window > 0 && !p->full[i];
        double seen = windowed
                          ? (double)p->window * p->window / p->patch_size / p->patch_size
                          : tokens;

        per_token +=
            (double)p->width * (layer->qkv.matrix.rows + layer->up.matrix.rows) +
            (double)p->width * (p->heads * p->head_dim + encoder->params.ff_width) +
            2 * seen * p->heads * p->head_dim;
    }
    return tokens * per_token;
}

static bool encode_tiles(struct vision_pass *pass, const struct vision_input *input,
                         float *raw)
{
    struct vision_encoder *encoder = pass->encoder;

    for (size_t i = 0; i < input->tile_count; i++)
        pass->all += tile_cost(encoder, &input->tiles[i]);
    for (size_t i = 0; i < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        if (!vision_flush(pass) || !prepare(encoder, tile, pass->err) ||
            !vision_run_layers(pass, tile, raw) || !vision_project(pass, raw))
            return false;
        raw += (size_t)vision_tile_outputs(&encoder->params, tile) *
               vision_encoder_output_width(encoder);
    }
    return true;
}

bool vision_encode(struct vision_encoder *encoder, const struct vision_input *input,
                   float *embeddings, const atomic_bool *cancelled,
                   vision_progress *progress, void *user, struct err *err)
{
    struct vision_pass pass = { .encoder = encoder,
                                .cancelled = cancelled,
                                .progress = progress,
                                .user = user,
                                .err = err };
    size_t outputs = 0;
    float *raw;
    bool ok;

    for (size_t i = 0; i < input->tile_count; i++)
        outputs += vision_tile_outputs(&encoder->params, &input->tiles[i]);
    if (vision_arranged_count(encoder, input) != input->embedding_count)
        return err_set(err, ERR_UNSUPPORTED,
                       "the picture becomes %u embeddings, its prompt has places for %u",
                       vision_arranged_count(encoder, input), input->embedding_count);
    raw = try_array(outputs, vision_encoder_output_width(encoder) * sizeof(*raw));
    if (raw == NULL)
        return err_set(err, ERR_MEMORY, "not enough memory for %zu embeddings", outputs);
    ok = encode_tiles(&pass, input, raw);
    if (ok)
        vision_arrange(encoder, input, raw, embeddings);
    free(raw);
    return ok;
}
