// tests/engine/vision/golden_reader.c
// SPDX-License-Identifier: MIT
#include "tests/engine/vision/golden_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define FILE_LIMIT  (8 << 20)
#define MAX_CASES   128
#define MAX_PROMPTS 64

// Floats of a file, as the host keeps them (little-endian).
static float *read_floats(const char *path, size_t *count, struct err *err)
{
    struct str bytes;
    float *values = NULL;

    str_init(&bytes, 0);
    if (file_read(path, FILE_LIMIT, &bytes, err)) {
        *count = bytes.len / sizeof(float);
        values = alloc_array(*count, sizeof(float));
        memcpy(values, bytes.data, *count * sizeof(float));
    }
    str_release(&bytes);
    return values;
}

static bool scan_picture(const char *line, struct golden_picture *picture)
{
    return sscanf(line, "picture %*u %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32,
                  &picture->grid_rows, &picture->grid_columns, &picture->original_width,
                  &picture->original_height) == 4;
}

static bool scan_tile(const char *line, struct golden_picture *picture)
{
    struct golden_tile tile;

    if (picture == NULL || picture->tile_count == GOLDEN_TILES ||
        sscanf(line,
               "tile %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32
               " %" SCNu32 " %" SCNu32 " %" SCNu32,
               &tile.seed, &tile.width, &tile.height, &tile.x, &tile.y, &tile.turned,
               &tile.overview, &tile.row, &tile.column) != 9)
        return false;
    picture->tiles[picture->tile_count++] = tile;
    return true;
}

static bool scan_case(struct goldens *goldens, size_t floats, const char *line)
{
    struct golden_case *at = goldens->cases + goldens->case_count;
    size_t offset;

    if (goldens->case_count < MAX_CASES &&
        sscanf(line, "case %15s %15s", at->family, at->type) == 2) {
        goldens->case_count++;
        return true;
    }
    if (goldens->case_count == 0)
        return false;
    at--;
    if (scan_picture(line, &at->picture) || scan_tile(line, &at->picture))
        return true;
    if (sscanf(line, "embeddings %" SCNu32 " %" SCNu32 " %zu", &at->count, &at->width,
               &offset) != 3 ||
        offset > floats || (uint64_t)at->count * at->width > floats - offset)
        return false;
    at->embeddings = goldens->embeddings + offset;
    return true;
}

static bool scan_item(const char *line, struct golden_prompt *prompt)
{
    struct golden_item item = { .count = 0 };

    if (prompt->item_count == GOLDEN_ITEMS ||
        (sscanf(line, "token %" SCNu32, &item.token) != 1 &&
         sscanf(line, "embed %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32,
                &item.picture, &item.first, &item.count, &item.rows, &item.columns) != 5))
        return false;
    prompt->items[prompt->item_count++] = item;
    return true;
}

static bool scan_prompt(struct goldens *goldens, size_t floats, const char *line)
{
    struct golden_prompt *at = goldens->prompts + goldens->prompt_count;
    size_t offset;

    if (goldens->prompt_count < MAX_PROMPTS &&
        sscanf(line, "prompt %15s %15s", at->family, at->name) == 2) {
        goldens->prompt_count++;
        return true;
    }
    if (goldens->prompt_count == 0)
        return false;
    at--;
    if (at->picture_count < 2 && scan_picture(line, at->pictures + at->picture_count)) {
        at->picture_count++;
        return true;
    }
    if ((at->picture_count > 0 &&
         scan_tile(line, at->pictures + at->picture_count - 1)) ||
        scan_item(line, at))
        return true;
    if (sscanf(line, "logits %" SCNu32 " %zu", &at->vocabulary, &offset) != 2 ||
        offset > floats || at->vocabulary > floats - offset)
        return false;
    at->logits = goldens->logits + offset;
    return true;
}

typedef bool scan_line(struct goldens *goldens, size_t floats, const char *line);

// Calls scan for each line of a text that is cut up.
static bool scan_lines(struct goldens *goldens, size_t floats, const char *path,
                       char *text, scan_line *scan, struct err *err)
{
    size_t number = 1;

    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (!scan(goldens, floats, line))
            return err_set(err, ERR_FORMAT, "%s, line %zu: \"%s\"", path, number, line);
        number++;
    }
    return true;
}

static bool read_part(struct goldens *goldens, const char *folder, const char *name,
                      float **floats, scan_line *scan, struct err *err)
{
    char *text_path = alloc_printf("%s/%s.txt", folder, name);
    char *float_path = alloc_printf("%s/%s.f32", folder, name);
    struct str text;
    size_t count = 0;

    str_init(&text, 0);
    *floats = read_floats(float_path, &count, err);
    bool ok = *floats != NULL && file_read(text_path, FILE_LIMIT, &text, err) &&
              scan_lines(goldens, count, text_path, text.data, scan, err);
    str_release(&text);
    free(text_path);
    free(float_path);
    return ok;
}

bool goldens_read(const char *folder, struct goldens *goldens, struct err *err)
{
    *goldens = (struct goldens){
        .cases = alloc_array(MAX_CASES, sizeof(*goldens->cases)),
        .prompts = alloc_array(MAX_PROMPTS, sizeof(*goldens->prompts)),
    };
    return read_part(goldens, folder, "embeddings", &goldens->embeddings, scan_case,
                     err) &&
           read_part(goldens, folder, "logits", &goldens->logits, scan_prompt, err);
}

void goldens_release(struct goldens *goldens)
{
    free(goldens->cases);
    free(goldens->prompts);
    free(goldens->embeddings);
    free(goldens->logits);
    *goldens = (struct goldens){ .cases = NULL };
}

// -2 to just below 2, in steps of 1/64. Wraps as the Python script's 32 bits do.
static float pixel(uint32_t seed, uint32_t channel, uint32_t y, uint32_t x)
{
    uint32_t mixed =
        x * 2654435761U + y * 2246822519U + channel * 3266489917U + seed * 668265263U;

    mixed ^= mixed >> 15;
    mixed *= 40503U;
    mixed ^= mixed >> 13;
    return (float)(mixed >> 8 & 255) / 64 - 2;
}

static float *tile_values(const struct golden_tile *tile)
{
    float *values = alloc_array((size_t)3 * tile->width * tile->height, sizeof(float));
    float *at = values;

    for (uint32_t channel = 0; channel < 3; channel++) {
        for (uint32_t row = 0; row < tile->height; row++) {
            for (uint32_t column = 0; column < tile->width; column++) {
                uint32_t y = tile->y + row, x = tile->x + column;

                *at++ = tile->turned != 0
                            ? pixel(tile->seed, channel, tile->turned - 1 - x, y)
                            : pixel(tile->seed, channel, y, x);
            }
        }
    }
    return values;
}

// The largest size of the picture's shape within its tiles, as LLaVA 1.6 fits it.
static void fit(const struct golden_picture *picture, struct vision_input *input)
{
    uint32_t width = picture->grid_columns * picture->tiles[0].width;
    uint32_t height = picture->grid_rows * picture->tiles[0].height;
    double scale_x = (double)width / picture->original_width;
    double scale_y = (double)height / picture->original_height;

    input->fitted_width = input->original_width = picture->original_width;
    input->fitted_height = input->original_height = picture->original_height;
    if (picture->grid_rows == 0)
        return;
    input->fitted_width =
        scale_x <= scale_y ? width : (uint32_t)ceil(picture->original_width * scale_y);
    input->fitted_height =
        scale_x <= scale_y ? (uint32_t)ceil(picture->original_height * scale_x) : height;
}

void golden_input_init(const struct golden_picture *picture, uint32_t embedding_count,
                       struct vision_input *input)
{
    *input = (struct vision_input){ .tile_count = picture->tile_count,
                                    .grid_rows = picture->grid_rows,
                                    .grid_columns = picture->grid_columns,
                                    .embedding_count = embedding_count };
    input->tiles = alloc_array(picture->tile_count, sizeof(*input->tiles));
    for (size_t i = 0; i < picture->tile_count; i++) {
        const struct golden_tile *tile = &picture->tiles[i];

        input->tiles[i] = (struct vision_tile){ .width = tile->width,
                                                .height = tile->height,
                                                .values = tile_values(tile),
                                                .overview = tile->overview != 0,
                                                .row = tile->row,
                                                .column = tile->column };
    }
    fit(picture, input);
}

void golden_input_release(struct vision_input *input)
{
    for (size_t i = 0; i < input->tile_count; i++)
        free(input->tiles[i].values);
    free(input->tiles);
    *input = (struct vision_input){ .tiles = NULL };
}
