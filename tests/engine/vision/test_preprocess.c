// tests/engine/vision/test_preprocess.c
// SPDX-License-Identifier: MIT
//
// The preprocessing against tests/golden/vision/preprocess.txt, which
// make_preprocess_golden.py made with the reference processors, and what that cannot
// show.
#include "tests/tap.h"

#include "base/alloc.h"
#include "base/file.h"
#include "engine/vision/resample.h"
#include "tests/engine/vision/preprocess_cases.h"

#define GOLDEN_LIMIT (4 << 20)
#define SAMPLES      48
#define NAME_BYTES   32

// ---------------------------------------------------------------------------
// Goldens

struct check {
    char family[NAME_BYTES];
    const struct vision_params *params;
    struct vision_input input;
    bool open, refused;
    size_t items, tiles; // compared so far
    unsigned cases;
    double worst; // of the family, in units of a byte
};

static bool preprocess(const struct vision_params *params, uint32_t seed, uint32_t kind,
                       uint32_t width, uint32_t height, struct vision_input *input,
                       struct err *err)
{
    uint8_t *rgba = alloc_array((size_t)width * height, 4);
    struct vision_picture picture = { .rgba = rgba, .width = width, .height = height };

    preprocess_picture(seed, kind, width, height, rgba);
    bool ok = vision_preprocess(params, &picture, input, err);
    free(rgba);
    return ok;
}

static void end_case(struct check *check)
{
    if (!check->open)
        return;
    CHECK_INT(check->items, check->input.item_count);
    CHECK_INT(check->tiles, check->input.tile_count);
    vision_input_release(&check->input);
    check->open = false;
}

static void end_family(struct check *check)
{
    end_case(check);
    if (check->cases > 0)
        printf("# %s: %u pictures, largest difference %.6f/255\n", check->family,
               check->cases, check->worst);
    CHECK(check->worst <= 1.0001);
    *check = (struct check){ .open = false };
}

static void begin_case(struct check *check, const char *line)
{
    unsigned seed, kind, width, height, rows, columns, count;
    struct err err = { .code = ERR_NONE };
    char family[NAME_BYTES];

    REQUIRE(sscanf(line, "case %31s %u %u %u %u %u %u %u", family, &seed, &kind, &width,
                   &height, &rows, &columns, &count) == 8);
    if (strcmp(family, check->family) != 0) {
        end_family(check);
        memcpy(check->family, family, sizeof(family));
        check->params = preprocess_params(family);
    }
    end_case(check);
    REQUIRE(check->params != NULL);
    check->refused =
        !preprocess(check->params, seed, kind, width, height, &check->input, &err);
    check->open = true;
    check->items = check->tiles = 0;
    check->cases++;
    if (err.code != ERR_NONE)
        CHECK_INT(err.code, ERR_LIMIT);
    CHECK_INT(check->input.grid_rows, rows);
    CHECK_INT(check->input.grid_columns, columns);
    CHECK_INT(check->input.embedding_count, count);
}

static void check_marker(const struct vision_item *item, const char *text)
{
    char plain[256];
    size_t len = 0;

    for (; *text != '\0' && len + 1 < sizeof(plain); text++) {
        bool line = text[0] == '\\' && text[1] == 'n';

        plain[len++] = line ? '\n' : *text;
        text += line;
    }
    plain[len] = '\0';
    CHECK_INT(item->kind, VISION_MARKER);
    CHECK_STR(item->marker, plain);
}

static void check_item(struct check *check, const char *line)
{
    unsigned first, count, rows, columns;

    REQUIRE(check->items < check->input.item_count);
    const struct vision_item *item = &check->input.items[check->items++];
    if (strncmp(line, "marker ", 7) == 0) {
        check_marker(item, line + 7);
        return;
    }
    REQUIRE(sscanf(line, "embed %u %u %u %u", &first, &count, &rows, &columns) == 4);
    CHECK_INT(item->kind, VISION_EMBEDDINGS);
    CHECK_INT(item->first, first);
    CHECK_INT(item->count, count);
    CHECK_INT(item->rows, rows);
    CHECK_INT(item->columns, columns);
}

// As a byte before normalisation.
static double original(const struct check *check, const struct vision_tile *tile,
                       unsigned channel, size_t at)
{
    double value =
        (double)tile->values[(size_t)channel * tile->width * tile->height + at];

    return (value * (double)check->params->deviation[channel] +
            (double)check->params->mean[channel]) *
           255;
}

static void note_difference(struct check *check, double got, double want)
{
    double difference = fabs(got - want);

    if (!isnan(check->worst) && !(difference <= check->worst))
        check->worst = difference; // what is no number stays the worst
}

static void check_sums(struct check *check, const struct vision_tile *tile,
                       const unsigned long long sums[3])
{
    size_t pixels = (size_t)tile->width * tile->height;

    for (unsigned channel = 0; channel < 3; channel++) {
        const float *values = tile->values + channel * pixels;
        double sum = 0;

        for (size_t i = 0; i < pixels; i++)
            sum += (double)values[i];
        sum = sum * (double)check->params->deviation[channel] / (double)pixels;
        note_difference(check, (sum + (double)check->params->mean[channel]) * 255,
                        (double)sums[channel] / (double)pixels);
    }
}

static void check_samples(struct check *check, const struct vision_tile *tile,
                          const char *digits)
{
    uint32_t state = tile->width * 65536 + tile->height;

    REQUIRE(strlen(digits) == (size_t)SAMPLES * 6);
    for (int i = 0; i < SAMPLES; i++) {
        uint32_t x, y;

        state = state * 1664525 + 1013904223;
        x = (state >> 8) % tile->width;
        state = state * 1664525 + 1013904223;
        y = (state >> 8) % tile->height;
        for (unsigned channel = 0; channel < 3; channel++, digits += 2) {
            const char byte[] = { digits[0], digits[1], '\0' };

            note_difference(check,
                            original(check, tile, channel, (size_t)y * tile->width + x),
                            (double)strtoul(byte, NULL, 16));
        }
    }
}

static void check_tile(struct check *check, const char *line)
{
    unsigned width, height, overview, row, column;
    unsigned long long sums[3];
    int digits = 0;

    REQUIRE(check->tiles < check->input.tile_count);
    const struct vision_tile *tile = &check->input.tiles[check->tiles++];
    REQUIRE(sscanf(line, "tile %u %u %u %u %u %llu %llu %llu %n", &width, &height,
                   &overview, &row, &column, &sums[0], &sums[1], &sums[2], &digits) == 8);
    CHECK_INT(tile->overview, overview);
    CHECK_INT(tile->row, row);
    CHECK_INT(tile->column, column);
    CHECK_INT(tile->width, width);
    CHECK_INT(tile->height, height);
    if (tile->width != width || tile->height != height)
        return;
    check_sums(check, tile, sums);
    check_samples(check, tile, line + digits);
}

static void check_line(struct check *check, const char *line)
{
    if (strncmp(line, "case ", 5) == 0)
        begin_case(check, line);
    else if (strncmp(line, "tile ", 5) == 0)
        check_tile(check, line);
    else if (strcmp(line, "refused") == 0)
        CHECK(check->refused);
    else if (line[0] != '#')
        check_item(check, line);
}

static void pictures_become_what_the_reference_makes(void)
{
    const char *source = getenv("top_srcdir");
    struct err err = { .code = ERR_NONE };
    struct check check = { .open = false };
    struct str file;
    char *path = alloc_printf("%s/tests/golden/vision/preprocess.txt",
                              source != NULL ? source : ".");

    str_init(&file, GOLDEN_LIMIT);
    bool ok = file_read(path, GOLDEN_LIMIT, &file, &err);
    free(path);
    if (!ok)
        printf("# %s\n", err.text);
    CHECK(ok);
    for (char *line = file.data, *end; ok && *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            break;
        *end = '\0';
        check_line(&check, line);
    }
    end_family(&check);
    str_release(&file);
}

// ---------------------------------------------------------------------------
// What goldens do not show

static void check_refused(const char *family, uint32_t width, uint32_t height,
                          const char *text)
{
    static const uint8_t pixel[4];
    struct vision_picture picture = { .rgba = pixel, .width = width, .height = height };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    CHECK(!vision_preprocess(preprocess_params(family), &picture, &input, &err));
    printf("# %s\n", err.text);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(strstr(err.text, text) != NULL);
    vision_input_release(&input);
}

static void too_few_and_too_many_pixels_are_refused(void)
{
    check_refused("gemma3", 0, 1, "0 x 1");
    check_refused("gemma3", 1, 0, "1 x 0");
    check_refused("gemma3", 65536, 1, "65535");
    check_refused("gemma3", 65535, 65535, "134217728");
    check_refused("internvl", UINT32_MAX, UINT32_MAX, "4294967295");
}

static void too_large_a_result_is_refused(void)
{
    struct vision_params params = *preprocess_params("gemma3");
    static const uint8_t pixel[4];
    struct vision_picture picture = { .rgba = pixel, .width = 1, .height = 1 };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    params.image_size = 16384;
    CHECK(!vision_preprocess(&params, &picture, &input, &err));
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(strstr(err.text, "16384 x 16384") != NULL);
    vision_input_release(&input);
}

static void a_line_of_pixels_is_one_patch_wide(void)
{
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    REQUIRE(preprocess(preprocess_params("pixtral"), 1, 2, 1, 4000, &input, &err));
    REQUIRE(input.tile_count == 1);
    CHECK_INT(input.tiles[0].width, 16);
    CHECK_INT(input.tiles[0].height, 1024);
    CHECK_INT(input.item_count, 128);
    CHECK_STR(input.items[127].marker, "[IMG_END]");
    vision_input_release(&input);
}

static void markers_say_the_number_of_the_picture(void)
{
    static const uint8_t pixel[4];
    struct vision_picture picture = {
        .rgba = pixel, .width = 1, .height = 1, .number = 12
    };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    REQUIRE(vision_preprocess(preprocess_params("minicpmv"), &picture, &input, &err));
    REQUIRE(input.item_count == 3);
    CHECK_STR(input.items[0].marker, "<image_id>12</image_id><image>");
    vision_input_release(&input);
}

static void what_cannot_be_seen_is_white(void)
{
    static const uint8_t pixel[4] = { 10, 20, 30, 0 };
    struct vision_picture picture = { .rgba = pixel, .width = 1, .height = 1 };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    REQUIRE(vision_preprocess(preprocess_params("gemma3"), &picture, &input, &err));
    CHECK_NEAR(input.tiles[0].values[0], 1, 1e-6);
    CHECK_NEAR(input.tiles[0].values[3 * 896 * 896 - 1], 1, 1e-6);
    vision_input_release(&input);
}

// On a canvas, and the same canvas made of pixels.
static void check_canvas(const struct raster *picture, const struct raster_place *place,
                         uint32_t width, uint32_t height)
{
    struct raster canvas, got, want;
    struct err err = { .code = ERR_NONE };

    REQUIRE(raster_create(&canvas, place->width, place->height, &err));
    for (size_t i = 0; i < (size_t)place->width * place->height; i++)
        memcpy(canvas.bytes + i * 4, place->colour, 4);
    for (uint32_t y = 0; y < picture->height; y++)
        memcpy(canvas.bytes + ((size_t)(place->top + y) * place->width + place->left) * 4,
               picture->bytes + (size_t)y * picture->width * 4,
               (size_t)picture->width * 4);
    REQUIRE(raster_resize(&canvas, RESAMPLE_BICUBIC, width, height, &want, &err));
    REQUIRE(raster_resize_placed(picture, place, RESAMPLE_BICUBIC, width, height, &got,
                                 &err));
    CHECK(memcmp(got.bytes, want.bytes, (size_t)width * height * 4) == 0);
    raster_release(&canvas);
    raster_release(&got);
    raster_release(&want);
}

static void a_canvas_is_as_if_it_had_pixels(void)
{
    static const struct raster_place places[] = {
        { 61, 47, 0, 0, { 122, 116, 104, 255 } },
        { 200, 90, 139, 43, { 1, 2, 3, 4 } },
        { 700, 700, 300, 320, { 255, 0, 255, 0 } },
        { 61, 300, 0, 200, { 9, 9, 9, 9 } },
    };
    struct raster picture = { .width = 61, .height = 47 };

    picture.bytes = alloc_array((size_t)61 * 47, 4);
    preprocess_picture(5, 0, 61, 47, picture.bytes);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        check_canvas(&picture, &places[i], 33, 34);
        check_canvas(&picture, &places[i], 300, 7);
        check_canvas(&picture, &places[i], places[i].width, 90);
        check_canvas(&picture, &places[i], 1, 1);
    }
    raster_release(&picture);
}

static const struct test tests[] = {
    { "pictures become what the reference processors make of them",
      pictures_become_what_the_reference_makes },
    { "too few and too many pixels are refused",
      too_few_and_too_many_pixels_are_refused },
    { "too large a result is refused", too_large_a_result_is_refused },
    { "a line of pixels is one patch wide", a_line_of_pixels_is_one_patch_wide },
    { "markers say the number of the picture", markers_say_the_number_of_the_picture },
    { "what cannot be seen is white", what_cannot_be_seen_is_white },
    { "a canvas is as if it had pixels", a_canvas_is_as_if_it_had_pixels },
};
TAP_MAIN(tests)
