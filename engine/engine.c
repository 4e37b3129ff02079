// engine/engine.c
// SPDX-License-Identifier: MIT
//
// Opening and closing a model, and what there is to say about it.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/format/quant.h"
#include "engine/model/vocabulary.h"
#include "engine/private.h"

static char *model_name(const struct gguf *gguf, const char *path)
{
    struct gguf_string name = { .bytes = NULL };
    const char *slash = strrchr(path, '/');

    if (gguf_get_string(gguf, "general.name", &name, NULL) && name.len > 0)
        return alloc_string_n(name.bytes, name.len);
    return alloc_string(slash != NULL ? slash + 1 : path);
}

static char *architecture(const struct gguf *gguf)
{
    struct gguf_string name = { .bytes = NULL };

    gguf_get_string(gguf, "general.architecture", &name, NULL);
    return alloc_string_n(name.bytes, name.len);
}

// The quantised type that most of the weights have.
static const char *quantisation(const struct gguf *gguf, uint64_t *parameters)
{
    uint64_t counts[64] = { 0 };
    uint32_t most = QUANT_F32;

    *parameters = 0;
    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(gguf, i);
        uint64_t count = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];

        *parameters += count;
        if (t->type < 64 && t->rank > 1) {
            counts[t->type] += count;
            if (counts[t->type] > counts[most])
                most = t->type;
        }
    }
    return quant_type_name(most);
}

struct engine *engine_open_vocabulary(const char *model_path, struct err *err)
{
    struct engine *engine = alloc_zero(sizeof(*engine));

    engine->pictures = alloc_zero(sizeof(*engine->pictures));
    engine->gguf = gguf_open(model_path, err);
    if (engine->gguf == NULL || !engine_make_picture_marker(engine, err))
        goto fail;
    engine->tokenizer = vocabulary_load(engine->gguf, err);
    if (engine->tokenizer == NULL || !engine_load_template(engine, err)) {
        err_prefix(err, "%s", model_path);
        goto fail;
    }
    engine->model_name = model_name(engine->gguf, model_path);
    engine->architecture = architecture(engine->gguf);
    engine->quantisation = quantisation(engine->gguf, &engine->parameter_count);
    return engine;

fail:
    engine_close(&engine);
    return NULL;
}

struct engine *engine_open(const struct engine_params *params, struct err *err)
{
    int64_t start = clock_ns();
    struct gpu_params gpu = { .device = params->device,
                              .cache_directory = params->cache_directory };
    struct engine *engine;

    engine = engine_open_vocabulary(params->model_path, err);
    if (engine == NULL)
        return NULL;
    if (params->mmproj_path != NULL &&
        !engine_open_vision(engine, params->mmproj_path, err))
        goto fail;
    engine->gpu = gpu_open(&gpu, err);
    if (engine->gpu == NULL)
        goto fail;
    struct decoder_params decoder = {
        .gpu = engine->gpu,
        .gguf = engine->gguf,
        .context = params->context_tokens,
        .together =
            engine->vision != NULL ? vision_tokens_together(&engine->vision->params) : 0,
        .progress = params->progress,
        .user = params->user,
    };
    engine->decoder = decoder_create(&decoder, err);
    if (engine->decoder == NULL) {
        err_prefix(err, "%s", params->model_path);
        goto fail;
    }
    if (tokenizer_size(engine->tokenizer) > decoder_model(engine->decoder)->vocabulary) {
        err_set(err, ERR_FORMAT, "%s: %zu tokens, but embeddings for %u",
                params->model_path, tokenizer_size(engine->tokenizer),
                decoder_model(engine->decoder)->vocabulary);
        goto fail;
    }
    if (engine->vision != NULL && !engine_open_encoder(engine, params, err))
        goto fail;
    engine_probe_template(engine);
    engine->load_ns = clock_ns() - start;
    return engine;

fail:
    engine_close(&engine);
    return NULL;
}

void engine_close(struct engine **handle)
{
    struct engine *engine = *handle;

    if (engine == NULL)
        return;
    engine_close_vision(engine);
    pictures_release(engine->pictures);
    free(engine->pictures);
    decoder_destroy(&engine->decoder);
    gpu_close(&engine->gpu);
    vocabulary_destroy(&engine->vocabulary);
    template_destroy(&engine->template);
    tokenizer_destroy(&engine->tokenizer);
    gguf_close(&engine->gguf);
    free(engine->model_name);
    free(engine->architecture);
    free(engine);
    *handle = NULL;
}

void engine_cancel(struct engine *engine)
{
    engine->cancelled = true;
}

void engine_info(const struct engine *engine, struct engine_info *info)
{
    *info = (struct engine_info){
        .model_name = engine->model_name,
        .architecture = engine->architecture,
        .quantisation = engine->quantisation,
        .device_name = engine->gpu != NULL ? gpu_traits(engine->gpu)->name : "",
        .parameter_count = engine->parameter_count,
        .file_bytes = gguf_size_bytes(engine->gguf),
        .device_bytes = engine->gpu != NULL ? gpu_allocated_bytes(engine->gpu) : 0,
        .vocabulary_size = (uint32_t)tokenizer_size(engine->tokenizer),
        .has_template = !engine->template_is_fallback,
        .has_vision = engine->vision != NULL,
        .load_ns = engine->load_ns,
    };
    if (engine->decoder != NULL) {
        const struct model_params *model = decoder_model(engine->decoder);

        info->context_tokens = decoder_context(engine->decoder);
        info->trained_context_tokens = model->trained_context;
        info->layer_count = model->layers;
        info->width = model->width;
    }
}
