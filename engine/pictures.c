// engine/pictures.c
// SPDX-License-Identifier: MIT
//
// From pixels to embeddings, once: what is in memory or in the cache is not computed
// again.
#include "engine/pictures.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/private.h"

// ---------------------------------------------------------------------------
// What has been seen

static void release_items(struct vision_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(items[i].marker);
    free(items);
}

void picture_destroy(struct picture *picture)
{
    if (picture == NULL)
        return;
    release_items(picture->items, picture->item_count);
    free(picture->embeddings);
    free(picture);
}

size_t picture_bytes(const struct picture *picture)
{
    return picture->embedding_count * picture->width * sizeof(float);
}

uint64_t picture_identity(const struct picture *picture, size_t offset)
{
    struct {
        char hash[SHA256_HEX];
        size_t offset;
    } key;
    unsigned char digest[SHA256_BYTES];
    uint64_t identity;

    memset(&key, 0, sizeof(key));
    memcpy(key.hash, picture->hash, sizeof(key.hash));
    key.offset = offset;
    sha256_of(&key, sizeof(key), digest);
    memcpy(&identity, digest, sizeof(identity));
    return identity;
}

const struct picture *picture_find(const struct pictures *pictures, const char *hash)
{
    for (const struct picture *p = pictures->first; p != NULL; p = p->next)
        if (hash != NULL && strcmp(p->hash, hash) == 0)
            return p;
    return NULL;
}

void pictures_release(struct pictures *pictures)
{
    while (pictures->first != NULL) {
        struct picture *picture = pictures->first;

        pictures->first = picture->next;
        picture_destroy(picture);
    }
    *pictures = (struct pictures){ .first = NULL };
}

// Forgets what was used longest ago, until the rest fits; never the one used last.
static void forget(struct pictures *pictures)
{
    while (pictures->bytes > PICTURES_MAX_BYTES) {
        struct picture **oldest = &pictures->first, *gone;

        for (struct picture **p = &pictures->first; *p != NULL; p = &(*p)->next)
            if ((*p)->used < (*oldest)->used)
                oldest = p;
        gone = *oldest;
        if (gone->used == pictures->clock)
            return;
        *oldest = gone->next;
        pictures->bytes -= picture_bytes(gone);
        picture_destroy(gone);
    }
}

// Takes the picture.
static void remember(struct pictures *pictures, struct picture *picture)
{
    picture->used = ++pictures->clock;
    picture->next = pictures->first;
    pictures->first = picture;
    pictures->bytes += picture_bytes(picture);
    forget(pictures);
}

static struct picture *find_and_use(struct pictures *pictures, const char *hash)
{
    for (struct picture *p = pictures->first; p != NULL; p = p->next) {
        if (strcmp(p->hash, hash) != 0)
            continue;
        p->used = ++pictures->clock;
        return p;
    }
    return NULL;
}

// ---------------------------------------------------------------------------
// Seeing

struct watching {
    engine_progress *progress;
    void *user;
};

static bool on_progress(void *user, const char *stage, double fraction)
{
    struct watching *watching = user;

    return watching->progress == NULL ||
           watching->progress(watching->user, stage, fraction);
}

static bool encode(struct engine *engine, const struct vision_input *input,
                   struct picture *picture, struct watching *watching, struct err *err)
{
    picture->width = vision_encoder_output_width(engine->vision->encoder);
    picture->embedding_count = input->embedding_count;
    picture->tile_count = input->tile_count;
    picture->embeddings =
        try_array((size_t)input->embedding_count * picture->width, sizeof(float));
    if (picture->embeddings == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %u embeddings of %u floats",
                       input->embedding_count, picture->width);
    return vision_encode(engine->vision->encoder, input, picture->embeddings,
                         &engine->cancelled, on_progress, watching, err);
}

static struct picture *see(struct engine *engine, const struct engine_picture *shown,
                           struct watching *watching, struct err *err)
{
    struct vision_picture pixels = { .rgba = shown->rgba,
                                     .width = shown->width,
                                     .height = shown->height };
    struct vision_input input = { .tiles = NULL };
    struct picture *picture = alloc_zero(sizeof(*picture));
    bool ok;

    memcpy(picture->hash, shown->hash, sizeof(picture->hash));
    on_progress(watching, "preparing the picture", -1);
    ok = vision_preprocess(&engine->vision->params, &pixels, &input, err) &&
         encode(engine, &input, picture, watching, err);
    picture->items = input.items;
    picture->item_count = input.item_count;
    input.items = NULL;
    input.item_count = 0;
    vision_input_release(&input);
    if (ok)
        return picture;
    picture_destroy(picture);
    return NULL;
}

static bool valid_hash(const char *hash)
{
    return strlen(hash) == SHA256_HEX - 1 &&
           strspn(hash, "0123456789abcdef") == SHA256_HEX - 1;
}

static void report(const struct picture *picture, bool was_known,
                   struct engine_picture_info *info)
{
    info->known = true;
    info->was_known = was_known;
    info->tile_count = picture->tile_count;
    for (size_t i = 0; i < picture->item_count; i++)
        if (picture->items[i].kind == VISION_EMBEDDINGS)
            info->token_count += picture->items[i].count;
}

bool engine_add_picture(struct engine *engine, const struct engine_picture *shown,
                        engine_progress *progress, void *user,
                        struct engine_picture_info *info, struct err *err)
{
    struct watching watching = { progress, user };
    const struct picture *known;
    struct picture *picture;
    int64_t start = clock_ns();

    *info = (struct engine_picture_info){ .known = false };
    engine->cancelled = false;
    if (engine->vision == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "the model has no vision: it cannot see pictures");
    if (!valid_hash(shown->hash))
        return err_set(err, ERR_FORMAT, "%s: not the SHA-256 of a picture", shown->hash);
    known = find_and_use(engine->pictures, shown->hash);
    if (known != NULL) {
        report(known, true, info);
        return true;
    }
    picture = picture_cache_load(engine->vision, shown->hash,
                                 vision_encoder_output_width(engine->vision->encoder));
    if (picture != NULL) {
        report(picture, true, info);
        remember(engine->pictures, picture);
        return true;
    }
    if (shown->rgba == NULL)
        return true;
    picture = see(engine, shown, &watching, err);
    if (picture == NULL)
        return err_prefix(err, "%s", shown->name);
    report(picture, false, info);
    info->encode_ns = clock_ns() - start;
    picture_cache_save(engine->vision, picture);
    remember(engine->pictures, picture);
    return true;
}

const char *engine_picture_placeholder(const struct engine *engine)
{
    return vision_placeholder(&engine->vision->params);
}

// ---------------------------------------------------------------------------
// Opening the eyes

bool engine_open_vision(struct engine *engine, const char *mmproj_path, struct err *err)
{
    struct vision *vision = engine->vision = alloc_zero(sizeof(*engine->vision));

    vision->gguf = gguf_open(mmproj_path, err);
    if (vision->gguf == NULL)
        return false;
    return vision_params_read(vision->gguf, &vision->params, err)
               ? file_sample(mmproj_path, vision->sample, err)
               : err_prefix(err, "%s", mmproj_path);
}

bool engine_open_encoder(struct engine *engine, const struct engine_params *params,
                         struct err *err)
{
    struct watching watching = { params->progress, params->user };
    struct vision *vision = engine->vision;
    uint32_t width = decoder_model(engine->decoder)->width;

    vision->device = alloc_printf("%s, %s", gpu_traits(engine->gpu)->name,
                                  gpu_traits(engine->gpu)->driver);
    if (params->cache_directory != NULL)
        vision->cache = alloc_printf("%s/pictures", params->cache_directory);
    if (vision->params.projection_width != width)
        return err_set(err, ERR_MISMATCH,
                       "%s: the projector makes vectors of %u numbers, but the model "
                       "takes %u: they do not belong together",
                       params->mmproj_path, vision->params.projection_width, width);
    vision->encoder = vision_encoder_create(engine->gpu, vision->gguf, &vision->params,
                                            on_progress, &watching, err);
    gguf_close(&vision->gguf);
    return vision->encoder != NULL || err_prefix(err, "%s", params->mmproj_path);
}

void engine_close_vision(struct engine *engine)
{
    struct vision *vision = engine->vision;

    if (vision == NULL)
        return;
    vision_encoder_destroy(&vision->encoder);
    gguf_close(&vision->gguf);
    free(vision->cache);
    free(vision->device);
    free(vision);
    engine->vision = NULL;
}

bool engine_make_picture_marker(struct engine *engine, struct err *err)
{
    uint64_t number[2];

    if (getrandom(number, sizeof(number), 0) != sizeof(number))
        return err_set_errno(err, "no random numbers");
    snprintf(engine->picture_marker, sizeof(engine->picture_marker),
             "[picture %016llx%016llx]", (unsigned long long)number[0],
             (unsigned long long)number[1]);
    return true;
}

// ---------------------------------------------------------------------------
// What the model would see, for a person

static json_t *size_json(uint32_t width, uint32_t height)
{
    return json_pack("{s:I, s:I}", "width", (json_int_t)width, "height",
                     (json_int_t)height);
}

static json_t *tile_json(const struct vision_tile *tile)
{
    json_t *json = size_json(tile->width, tile->height);

    json_object_set_new(json, "overview", json_boolean(tile->overview));
    json_object_set_new(json, "row", json_integer(tile->row));
    json_object_set_new(json, "column", json_integer(tile->column));
    return json;
}

static json_t *input_json(const struct vision_params *params,
                          const struct vision_input *input)
{
    json_t *json = json_object(), *tiles = json_array();
    size_t tokens = 0;

    for (size_t i = 0; i < input->tile_count; i++)
        json_array_append_new(tiles, tile_json(&input->tiles[i]));
    for (size_t i = 0; i < input->item_count; i++)
        if (input->items[i].kind == VISION_EMBEDDINGS)
            tokens += input->items[i].count;
    json_object_set_new(json, "projector",
                        json_string(projector_name(params->projector)));
    json_object_set_new(json, "original",
                        size_json(input->original_width, input->original_height));
    json_object_set_new(json, "fitted",
                        size_json(input->fitted_width, input->fitted_height));
    json_object_set_new(json, "grid",
                        json_pack("{s:I, s:I}", "rows", (json_int_t)input->grid_rows,
                                  "columns", (json_int_t)input->grid_columns));
    json_object_set_new(json, "tiles", tiles);
    json_object_set_new(json, "tokens", json_integer((json_int_t)tokens));
    return json;
}

char *engine_picture_json(const char *mmproj_path, const struct engine_picture *picture,
                          struct err *err)
{
    struct vision_picture pixels = { .rgba = picture->rgba,
                                     .width = picture->width,
                                     .height = picture->height };
    struct gguf *gguf = gguf_open(mmproj_path, err);
    struct vision_params params;
    struct vision_input input = { .tiles = NULL };
    char *text = NULL;

    if (gguf == NULL)
        return NULL;
    if (!vision_params_read(gguf, &params, err)) {
        err_prefix(err, "%s", mmproj_path);
    } else if (!vision_preprocess(&params, &pixels, &input, err)) {
        err_prefix(err, "%s", picture->name);
    } else {
        json_t *json = input_json(&params, &input);

        text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
    }
    vision_input_release(&input);
    gguf_close(&gguf);
    return text;
}
