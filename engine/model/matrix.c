// engine/model/matrix.c
// SPDX-License-Identifier: MIT
#include "engine/model/matrix.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#define MAX_THREADS 16

// Row groups that a thread reads and packs at a time.
#define STRIP_GROUPS 16

// ---------------------------------------------------------------------------
// Loading

// A run of rows, maybe of several tensors, that becomes one piece.
struct load {
    struct gpu *gpu;
    const struct gguf *gguf;
    const struct gguf_tensor *const *tensors;
    size_t tensor_count;
    struct matrix_piece *piece;
    uint64_t columns;
    uint32_t blocks;
    uint8_t *quants, *scales; // where the planes are built
    atomic_uint next_group;
    atomic_bool failed;
    pthread_mutex_t lock; // of progress and err
    matrix_progress *progress;
    void *user;
    struct err err;
};

static uint64_t tensor_rows(const struct gguf_tensor *tensor)
{
    return tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
}

static void load_fail(struct load *load, const struct err *err)
{
    pthread_mutex_lock(&load->lock);
    if (!load->failed)
        load->err = *err;
    load->failed = true;
    pthread_mutex_unlock(&load->lock);
}

// Finds row `row` of the matrix: the tensor, and the row within it.
static const struct gguf_tensor *find_row(const struct load *load, uint64_t row,
                                          uint64_t *within)
{
    for (size_t i = 0; i < load->tensor_count; i++) {
        if (row < tensor_rows(load->tensors[i])) {
            *within = row;
            return load->tensors[i];
        }
        row -= tensor_rows(load->tensors[i]);
    }
    bug("row past the end of %s", load->tensors[0]->name);
}

static void pack_strip(const struct load *load, enum quant_type type, uint32_t group,
                       uint64_t rows, size_t row_bytes, const uint8_t *bytes)
{
    enum device_format format = load->piece->format;
    size_t quant_bytes = pack_quant_bytes(format, load->blocks);
    size_t scale_bytes = pack_scale_bytes(format, load->blocks);

    for (uint64_t done = 0; done < rows; done += PACK_ROWS, group++) {
        const uint8_t *pointers[PACK_ROWS] = { NULL };

        for (uint64_t i = 0; i < PACK_ROWS && done + i < rows; i++)
            pointers[i] = bytes + (done + i) * row_bytes;
        pack_rows(type, pointers, load->columns,
                  (uint32_t *)(load->quants + group * quant_bytes),
                  (uint32_t *)(load->scales + group * scale_bytes));
    }
}

// A strip may hold rows of two tensors of different types but one device format (Q5_0
// beside Q8_0), so it is cut where a tensor ends; plan_pieces sees to it that a group
// ends there too.
static bool load_strip(struct load *load, uint32_t first_group, uint32_t groups,
                       uint8_t *buffer, struct err *err)
{
    uint64_t row = (uint64_t)first_group * PACK_ROWS;
    uint64_t end = row + (uint64_t)groups * PACK_ROWS;
    uint64_t total = 0;

    end = end < load->piece->rows ? end : load->piece->rows;
    while (row < end) {
        uint64_t within;
        const struct gguf_tensor *tensor =
            find_row(load, load->piece->first + row, &within);
        const struct quant_traits *traits = quant_traits(tensor->type);
        size_t row_bytes = load->columns / traits->block_values * traits->block_bytes;
        uint64_t run = tensor_rows(tensor) - within;

        run = run < end - row ? run : end - row;
        if (load->gguf == NULL)
            memcpy(buffer, tensor->bytes + within * row_bytes, run * row_bytes);
        else if (!gguf_read(load->gguf, tensor, within * row_bytes, run * row_bytes,
                            buffer, err))
            return false;
        pack_strip(load, tensor->type, (uint32_t)(row / PACK_ROWS), run, row_bytes,
                   buffer);
        row += run;
        total += run * row_bytes;
    }
    pthread_mutex_lock(&load->lock);
    if (load->progress != NULL && !load->progress(load->user, total))
        err_set(err, ERR_CANCELLED, "loading was stopped");
    pthread_mutex_unlock(&load->lock);
    return err->code == ERR_NONE;
}

static void *load_thread(void *argument)
{
    struct load *load = argument;
    uint32_t groups = (load->piece->rows + PACK_ROWS - 1) / PACK_ROWS;
    struct err err = { .code = ERR_NONE };
    uint8_t *buffer = try_array(STRIP_GROUPS * PACK_ROWS, load->columns * 4 + 256);

    if (buffer == NULL)
        err_set(&err, ERR_MEMORY, "not enough memory to read weights");
    while (err.code == ERR_NONE && !load->failed) {
        uint32_t first = atomic_fetch_add(&load->next_group, STRIP_GROUPS);

        if (first >= groups)
            break;
        if (!load_strip(load, first,
                        groups - first < STRIP_GROUPS ? groups - first : STRIP_GROUPS,
                        buffer, &err))
            break;
    }
    if (err.code != ERR_NONE)
        load_fail(load, &err);
    free(buffer);
    return NULL;
}

static void run_threads(struct load *load)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long count = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : cores;
    pthread_t threads[MAX_THREADS];
    long started = 0;

    while (started < count - 1 &&
           pthread_create(&threads[started], NULL, load_thread, load) == 0)
        started++;
    load_thread(load);
    for (long i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

// Where the planes of a buffer are built: in the buffer itself, or beside it.
static uint8_t *plane(struct gpu_buffer *buffer, struct err *err)
{
    uint8_t *bytes = buffer->mapped;

    if (bytes == NULL) {
        bytes = try_array(buffer->size, 1);
        if (bytes == NULL)
            err_set(err, ERR_MEMORY, "not enough memory to prepare weights");
        return bytes;
    }
    memset(bytes, 0, buffer->size);
    return bytes;
}

static bool finish_plane(struct gpu *gpu, struct gpu_buffer *buffer, uint8_t *bytes,
                         struct err *err)
{
    bool ok = true;

    if (bytes == NULL || bytes == buffer->mapped)
        return true;
    if (err->code == ERR_NONE)
        ok = gpu_write(gpu, buffer, 0, bytes, buffer->size, err);
    free(bytes);
    return ok;
}

static bool load_piece(struct load *load, const char *name, struct err *err)
{
    struct matrix_piece *piece = load->piece;
    size_t groups = (piece->rows + PACK_ROWS - 1) / PACK_ROWS;
    size_t scale_bytes = groups * pack_scale_bytes(piece->format, load->blocks);
    struct err own = { .code = ERR_NONE };

    if (!gpu_buffer_create(load->gpu, &piece->quants,
                           groups * pack_quant_bytes(piece->format, load->blocks),
                           GPU_PLACE_DEVICE, name, err))
        return false;
    if (scale_bytes > 0 && !gpu_buffer_create(load->gpu, &piece->scales, scale_bytes,
                                              GPU_PLACE_DEVICE, name, err))
        return false;
    load->quants = plane(&piece->quants, &own);
    load->scales = scale_bytes > 0 ? plane(&piece->scales, &own) : NULL;
    if (own.code == ERR_NONE) {
        load->next_group = 0;
        run_threads(load);
        own = load->err;
    }
    finish_plane(load->gpu, &piece->quants, load->quants, &own);
    finish_plane(load->gpu, &piece->scales, load->scales, &own);
    return own.code == ERR_NONE || err_set(err, own.code, "%s: %s", name, own.text);
}

// The most rows of a format that one binding can hold: a multiple of PACK_ROWS.
static uint64_t piece_limit(const struct gpu *gpu, enum device_format format,
                            uint32_t blocks)
{
    const struct gpu_traits *traits = gpu_traits(gpu);
    uint64_t bytes = traits->max_range < traits->max_allocation ? traits->max_range
                                                                : traits->max_allocation;

    if (traits->texel && (uint64_t)traits->max_texels * PACK_UNIT < bytes)
        bytes = (uint64_t)traits->max_texels * PACK_UNIT;
    return bytes / pack_quant_bytes(format, blocks) * PACK_ROWS;
}

static struct matrix_piece *add_piece(struct matrix *matrix, enum device_format format,
                                      uint32_t first)
{
    matrix->pieces =
        alloc_resize(matrix->pieces, matrix->piece_count + 1, sizeof(*matrix->pieces));
    matrix->pieces[matrix->piece_count] =
        (struct matrix_piece){ .format = format, .first = first };
    return &matrix->pieces[matrix->piece_count++];
}

// Cuts the rows into pieces: a new one where the device format changes on a row that does
// not end a group of eight, or where a piece is full.
static bool plan_pieces(const struct gpu *gpu, const struct gguf_tensor *const *tensors,
                        size_t count, bool whole, struct matrix *matrix, struct err *err)
{
    struct matrix_piece *piece = NULL;

    for (size_t i = 0; i < count; i++) {
        enum device_format format = pack_format(tensors[i]->type);
        uint64_t left = tensor_rows(tensors[i]);
        uint64_t limit = piece_limit(gpu, format, matrix->blocks);

        if (limit == 0 || (whole && left > limit))
            return err_set(err, ERR_UNSUPPORTED, "%s: too large for one binding on %s",
                           tensors[i]->name, gpu_traits(gpu)->name);
        while (left > 0) {
            uint64_t room, take;

            if (piece == NULL || piece->format != format || piece->rows == limit ||
                piece->rows % PACK_ROWS != 0)
                piece = add_piece(matrix, format, matrix->rows);
            room = limit - piece->rows;
            take = left < room ? left : room;
            piece->rows += (uint32_t)take;
            matrix->rows += (uint32_t)take;
            left -= take;
        }
    }
    return true;
}

bool matrix_create(struct gpu *gpu, const struct gguf *gguf,
                   const struct gguf_tensor *const *tensors, size_t count, bool whole,
                   struct matrix *matrix, matrix_progress *progress, void *user,
                   struct err *err)
{
    *matrix = (struct matrix){ .columns = (uint32_t)tensors[0]->shape[0],
                               .blocks = pack_blocks(tensors[0]->shape[0]) };
    if (!plan_pieces(gpu, tensors, count, whole, matrix, err))
        return false;
    for (size_t i = 0; i < matrix->piece_count; i++) {
        struct load load = {
            .gpu = gpu,
            .gguf = gguf,
            .tensors = tensors,
            .tensor_count = count,
            .piece = &matrix->pieces[i],
            .columns = matrix->columns,
            .blocks = matrix->blocks,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .progress = progress,
            .user = user,
        };

        if (!load_piece(&load, tensors[0]->name, err)) {
            matrix_destroy(gpu, matrix);
            return false;
        }
    }
    return true;
}

void matrix_destroy(struct gpu *gpu, struct matrix *matrix)
{
    for (size_t i = 0; i < matrix->piece_count; i++) {
        gpu_buffer_destroy(gpu, &matrix->pieces[i].quants);
        gpu_buffer_destroy(gpu, &matrix->pieces[i].scales);
    }
    free(matrix->pieces);
    *matrix = (struct matrix){ .columns = 0 };
}

uint64_t matrix_bytes(const struct matrix *matrix)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < matrix->piece_count; i++)
        bytes += matrix->pieces[i].quants.size + matrix->pieces[i].scales.size;
    return bytes;
}

// ---------------------------------------------------------------------------
// Products

// Up to this many tokens the one-token kernel, once per token, is the faster one: it
// reads the weights again for each, the other computes a whole tile.
#define FEW_TOKENS 10

// Groups of eight rows in a tile of matmul_tiled.comp.
#define TILE_GROUPS 8

// How the one-token kernel is cut. On a CPU a workgroup is one vector and reuses each
// activation for many rows; elsewhere many lanes share a row.
static void matvec_shape(const struct gpu *gpu, uint32_t rows, uint32_t *workgroup,
                         uint32_t *rows_per_lane)
{
    if (gpu_traits(gpu)->type == GPU_CPU) {
        *workgroup = PACK_ROWS;
        *rows_per_lane = rows >= 1024 ? 8 : 4;
    } else {
        *workgroup = 64;
        *rows_per_lane = 1;
    }
}

static uint32_t matmul_workgroup(const struct gpu *gpu)
{
    return gpu_traits(gpu)->type == GPU_CPU ? 8 : 16;
}

uint32_t matrix_token_tile(const struct gpu *gpu)
{
    if (gpu_traits(gpu)->tiles)
        return TILE_GROUPS * PACK_ROWS; // as many tokens as rows
    return matmul_workgroup(gpu) * 4;   // TOKENS_PER_LANE of matmul.comp
}

// The groups of eight rows of a piece that a product wants.
struct group_range {
    uint32_t first, count;
};

static struct group_range find_groups(const struct matrix_piece *piece,
                                      const struct matrix_product *product)
{
    uint32_t end_row = product->end_row > 0 ? product->end_row : UINT32_MAX;
    uint32_t first =
        product->first_row > piece->first ? product->first_row - piece->first : 0;
    uint32_t end = end_row > piece->first ? end_row - piece->first : 0;

    end = end < piece->rows ? end : piece->rows;
    if (first >= end)
        return (struct group_range){ .count = 0 };
    return (struct group_range){ first / PACK_ROWS,
                                 (end - first + PACK_ROWS - 1) / PACK_ROWS };
}

static const struct gpu_buffer *scales_of(const struct matrix_piece *piece)
{
    return piece->scales.memory != NULL ? &piece->scales : &piece->quants;
}

static bool record_matvec(struct gpu *gpu, struct gpu_recording *recording,
                          const struct matrix *matrix, const struct matrix_piece *piece,
                          const struct matrix_product *product, struct err *err)
{
    uint32_t rows = product->chosen != NULL ? product->expert_rows : piece->rows;
    struct group_range range =
        product->chosen != NULL
            ? (struct group_range){ 0, (rows + PACK_ROWS - 1) / PACK_ROWS }
            : find_groups(piece, product);
    uint32_t workgroup, rows_per_lane;
    struct {
        uint32_t blocks, rows, first, y_stride, items_per_x, first_x, first_group;
    } push = { matrix->blocks,
               rows,
               product->y_first + piece->first,
               product->y_stride,
               product->items_per_x > 0 ? product->items_per_x : 1,
               product->first_x,
               range.first };
    struct gpu_binding bindings[] = {
        { &piece->quants, 0, 0 },
        { scales_of(piece), 0, 0 },
        { product->x, 0, 0 },
        { product->y, 0, 0 },
        { product->bias != NULL ? product->bias : &piece->quants, 0, 0 }, // or a stand-in
        { product->chosen, 0, 0 },
    };
    struct gpu_kernel *kernel;
    char variant[32];

    matvec_shape(gpu, rows, &workgroup, &rows_per_lane);
    uint32_t constants[] = { workgroup, rows_per_lane, product->bias != NULL,
                             product->accumulate };
    snprintf(variant, sizeof(variant), "%s%s%s",
             device_format_traits(piece->format)->name,
             product->chosen != NULL ? "_experts" : "",
             gpu_traits(gpu)->texel ? "_texel" : "");
    kernel = gpu_kernel(gpu, "matvec", variant, constants, 4, err);
    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, product->chosen != NULL ? 6 : 5, &push,
                      sizeof(push), (range.count + rows_per_lane - 1) / rows_per_lane,
                      product->tokens, 1, err);
}

static bool record_matmul(struct gpu *gpu, struct gpu_recording *recording,
                          const struct matrix *matrix, const struct matrix_piece *piece,
                          const struct matrix_product *product, struct err *err)
{
    uint32_t tile = matrix_token_tile(gpu);
    struct group_range range = find_groups(piece, product);
    bool tiled = gpu_traits(gpu)->tiles;
    uint32_t end = (range.first + range.count) * PACK_ROWS;
    uint32_t constants[] = { matmul_workgroup(gpu), 0, product->bias != NULL,
                             product->accumulate };
    struct {
        uint32_t blocks, rows, first, y_stride, tokens, first_group;
    } push = { matrix->blocks,  end < piece->rows ? end : piece->rows,
               piece->first,    product->y_stride,
               product->tokens, range.first };
    struct gpu_binding bindings[] = {
        { &piece->quants, 0, 0 },
        { scales_of(piece), 0, 0 },
        { product->x, 0, 0 },
        { product->y, 0, 0 },
        { product->bias != NULL ? product->bias : &piece->quants, 0, 0 }, // or a stand-in
    };
    struct gpu_kernel *kernel;
    char variant[32];

    snprintf(variant, sizeof(variant), "%s%s", device_format_traits(piece->format)->name,
             gpu_traits(gpu)->texel && !tiled ? "_texel" : "");
    kernel =
        gpu_kernel(gpu, tiled ? "matmul_tiled" : "matmul", variant, constants, 4, err);
    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 5, &push, sizeof(push),
                      tiled ? (range.count + TILE_GROUPS - 1) / TILE_GROUPS : range.count,
                      (product->tokens + tile - 1) / tile, 1, err);
}

bool matrix_multiply(struct gpu *gpu, struct gpu_recording *recording,
                     const struct matrix *matrix, const struct matrix_product *product,
                     struct err *err)
{
    bool few =
        product->tokens <= FEW_TOKENS || product->chosen != NULL || product->first_x > 0;

    for (size_t i = 0; i < matrix->piece_count; i++) {
        if (product->chosen == NULL &&
            find_groups(&matrix->pieces[i], product).count == 0)
            continue;
        if (i > 0)
            gpu_record_barrier(recording); // y is one resource, though the rows differ
        if (!(few ? record_matvec : record_matmul)(gpu, recording, matrix,
                                                   &matrix->pieces[i], product, err))
            return false;
    }
    return true;
}

bool matrix_embed(struct gpu *gpu, struct gpu_recording *recording,
                  const struct matrix *matrix, const struct gpu_buffer *tokens,
                  uint32_t token_count, float scale, const struct gpu_buffer *y,
                  uint32_t stride, struct err *err)
{
    uint32_t workgroup = gpu_traits(gpu)->type == GPU_CPU ? 8 : 64;

    for (size_t i = 0; i < matrix->piece_count; i++) {
        const struct matrix_piece *piece = &matrix->pieces[i];
        struct {
            uint32_t blocks, first, rows, stride;
            float scale;
        } push = { matrix->blocks, piece->first, piece->rows, stride, scale };
        struct gpu_binding bindings[] = {
            { &piece->quants, 0, 0 },
            { scales_of(piece), 0, 0 },
            { tokens, 0, 0 },
            { y, 0, 0 },
        };
        struct gpu_kernel *kernel = gpu_kernel(
            gpu, "embed", device_format_traits(piece->format)->name, &workgroup, 1, err);

        if (kernel == NULL || !gpu_record(recording, kernel, bindings, 4, &push,
                                          sizeof(push), token_count, 1, 1, err))
            return false;
    }
    return true;
}
