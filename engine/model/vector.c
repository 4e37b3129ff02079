// engine/model/vector.c
// SPDX-License-Identifier: MIT
#include "engine/model/vector.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/format/quant.h"

bool vector_read(const struct gguf *gguf, const struct gguf_tensor *tensor, float *values,
                 struct err *err)
{
    uint64_t count =
        tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    uint8_t *bytes = try_array(tensor->size_bytes, 1);
    bool ok = bytes != NULL;

    if (!ok)
        err_set(err, ERR_MEMORY, "not enough memory to read %s", tensor->name);
    ok = ok && gguf_read(gguf, tensor, 0, tensor->size_bytes, bytes, err);
    if (ok)
        quant_dequantise(tensor->type, bytes, count, values);
    free(bytes);
    return ok;
}

bool vector_upload(struct gpu *gpu, const char *name, const float *values, size_t count,
                   struct gpu_buffer *buffer, struct err *err)
{
    return gpu_buffer_create(gpu, buffer, count * sizeof(*values), GPU_PLACE_DEVICE, name,
                             err) &&
           gpu_write(gpu, buffer, 0, values, count * sizeof(*values), err);
}

bool load_meter_add(void *user, uint64_t bytes)
{
    struct load_meter *meter = user;

    meter->done_bytes += bytes;
    return meter->progress == NULL ||
           meter->progress(meter->user,
                           (double)meter->done_bytes / (double)meter->total_bytes);
}
