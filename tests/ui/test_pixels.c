// tests/ui/test_pixels.c
// SPDX-License-Identifier: MIT
//
// How large pictures are shown, which part of them, and the scaling.
#include "ui/pixels.h"

#include "tests/tap.h"

static const struct {
    uint32_t width, height;
    struct size cell;
    int max_columns, max_rows;
    struct size limit;
    struct fit want;
} fits[] = {
    // as it is, when there is room
    { 100, 60, { 10, 20 }, 40, 12, { 0, 0 }, { { 100, 60 }, 10, 3 } },
    { 101, 61, { 10, 20 }, 40, 12, { 0, 0 }, { { 101, 61 }, 11, 4 } },
    // as wide as it may be, as high as it may be
    { 4000, 2000, { 10, 20 }, 40, 12, { 0, 0 }, { { 400, 200 }, 40, 10 } },
    { 4000, 4000, { 10, 20 }, 40, 12, { 0, 0 }, { { 240, 240 }, 24, 12 } },
    { 4000, 4000, { 6, 13 }, 40, 12, { 0, 0 }, { { 156, 156 }, 26, 12 } },
    // the most that a terminal takes
    { 4000, 2000, { 20, 40 }, 40, 30, { 600, 600 }, { { 600, 300 }, 30, 8 } },
    // never nothing
    { 100000, 1, { 10, 20 }, 40, 12, { 0, 0 }, { { 400, 1 }, 40, 1 } },
    { 1, 100000, { 10, 20 }, 40, 12, { 0, 0 }, { { 1, 240 }, 1, 12 } },
    // unless there is no picture, or no room
    { 0, 10, { 10, 20 }, 40, 12, { 0, 0 }, { { 0, 0 }, 0, 0 } },
    { 10, 10, { 10, 20 }, 40, 0, { 0, 0 }, { { 0, 0 }, 0, 0 } },
};

static void fits_into_cells(void)
{
    for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
        struct fit fit = pixels_fit(fits[i].width, fits[i].height, fits[i].cell,
                                    fits[i].max_columns, fits[i].max_rows, fits[i].limit);

        CHECK_INT(fit.pixels.width, fits[i].want.pixels.width);
        CHECK_INT(fit.pixels.height, fits[i].want.pixels.height);
        CHECK_INT(fit.columns, fits[i].want.columns);
        CHECK_INT(fit.rows, fits[i].want.rows);
    }
}

static void fits_into_half_cells(void)
{
    struct size cell = { 10, 20 };
    struct fit fit = pixels_fit(500, 250, cell, 40, 12, (struct size){ 0 });
    struct fit blocks = pixels_fit_blocks(&fit, cell);

    CHECK_INT(blocks.columns, 40);
    CHECK_INT(blocks.pixels.width, 40);
    CHECK_INT(blocks.pixels.height, 20);
    CHECK_INT(blocks.rows, 10);
    fit = pixels_fit(30, 30, cell, 40, 12, (struct size){ 0 });
    blocks = pixels_fit_blocks(&fit, cell);
    CHECK_INT(blocks.pixels.height, 3); // one and a half rows
    CHECK_INT(blocks.rows, 2);
}

// Any picture, any cell: what is reserved is what the pixels need.
static void reserves_what_it_needs(void)
{
    for (uint32_t width = 1; width < 3000; width = width * 2 + 1)
        for (uint32_t height = 1; height < 3000; height = height * 2 + 1)
            for (int cell_width = 4; cell_width < 30; cell_width += 5) {
                struct size cell = { cell_width, 2 * cell_width + 1 };
                struct fit fit =
                    pixels_fit(width, height, cell, 40, 11, (struct size){ 0 });

                CHECK(fit.columns >= 1 && fit.columns <= 40);
                CHECK(fit.rows >= 1 && fit.rows <= 11);
                CHECK(fit.pixels.width <= fit.columns * cell.width);
                CHECK(fit.pixels.width > (fit.columns - 1) * cell.width);
                CHECK(fit.pixels.height <= fit.rows * cell.height);
                CHECK(fit.pixels.height > (fit.rows - 1) * cell.height);
                CHECK(fit.pixels.width <= (int)width || width == 1);
            }
}

static void set(uint8_t *pixel, int red, int green, int blue, int alpha)
{
    pixel[0] = (uint8_t)red;
    pixel[1] = (uint8_t)green;
    pixel[2] = (uint8_t)blue;
    pixel[3] = (uint8_t)alpha;
}

static void takes_the_mean(void)
{
    uint8_t from[4 * 2 * 4];
    struct pixels to = { 0 };

    for (int i = 0; i < 8; i++)
        set(from + 4 * i, i % 4 < 2 ? 100 : 20 * i, 0, i < 4 ? 10 : 30, 255);
    REQUIRE(pixels_scale(&to, from, 4, 2, (struct size){ 2, 1 }, (struct size){ 2, 1 }));
    CHECK_INT(to.rgba[0], 100);
    CHECK_INT(to.rgba[2], 20);
    CHECK_INT(to.rgba[3], 255);
    CHECK_INT(to.rgba[4], (40 + 60 + 120 + 140) / 4);
    pixels_release(&to);
}

// What cannot be seen has no colour.
static void weighs_by_alpha(void)
{
    static const uint8_t black[3] = { 0, 0, 0 }, white[3] = { 255, 255, 255 };
    uint8_t from[8], rgb[3];
    struct pixels to = { 0 };

    set(from, 255, 0, 0, 255);
    set(from + 4, 0, 255, 0, 0);
    REQUIRE(pixels_scale(&to, from, 2, 1, (struct size){ 1, 1 }, (struct size){ 1, 1 }));
    CHECK_INT(to.rgba[0], 255);
    CHECK_INT(to.rgba[1], 0);
    CHECK_INT(to.rgba[3], 128);
    pixels_compose(&to, 0, 1, black, rgb);
    CHECK_INT(rgb[0], 128);
    CHECK_INT(rgb[1], 0);
    pixels_compose(&to, 0, 1, white, rgb);
    CHECK_INT(rgb[0], 255);
    CHECK_INT(rgb[1], 127);
    pixels_release(&to);
}

static void lies_on_a_canvas(void)
{
    uint8_t from[4];
    struct pixels to = { 0 };

    set(from, 1, 2, 3, 255);
    REQUIRE(pixels_scale(&to, from, 1, 1, (struct size){ 2, 1 }, (struct size){ 3, 2 }));
    CHECK_INT(to.size.width, 3);
    CHECK_INT(to.rgba[3], 255);
    CHECK_INT(to.rgba[7], 255);
    for (int i = 2; i < 6; i++)
        CHECK_INT(to.rgba[4 * i + 3], 0);
    pixels_release(&to);
}

// Each source pixel of a plain gradient lands where it should, at any size.
static void keeps_places(void)
{
    enum { SIDE = 200 };
    static uint8_t from[SIDE * SIDE * 4];

    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            set(from + 4 * (y * SIDE + x), x, y, 0, 255);
    for (int side = 1; side <= 300; side += 23) {
        struct size size = { side, side / 2 + 1 };
        struct pixels to = { 0 };

        REQUIRE(pixels_scale(&to, from, SIDE, SIDE, size, size));
        for (int y = 0; y < size.height; y++)
            for (int x = 0; x < size.width; x++) {
                const uint8_t *pixel = to.rgba + 4 * (y * size.width + x);

                CHECK_NEAR(pixel[0], (x + 0.5) * SIDE / size.width - 0.5, 2.5);
                CHECK_NEAR(pixel[1], (y + 0.5) * SIDE / size.height - 0.5, 2.5);
            }
        pixels_release(&to);
    }
}

static void refuses_what_is_no_picture(void)
{
    struct pixels to = { 0 };
    uint8_t pixel[4] = { 0 };
    struct size size = { 1, 1 };

    CHECK(!pixels_scale(&to, pixel, 0, 1, size, size));
    CHECK(!pixels_scale(&to, pixel, PIXELS_SIDE_MAX + 1, 1, size, size));
    CHECK(!pixels_scale(&to, pixel, 1, 1, (struct size){ 0, 1 }, size));
    CHECK(to.rgba == NULL);
}

static const struct test tests[] = {
    { "fits into cells", fits_into_cells },
    { "fits into half cells", fits_into_half_cells },
    { "reserves what it needs", reserves_what_it_needs },
    { "takes the mean", takes_the_mean },
    { "weighs by alpha", weighs_by_alpha },
    { "lies on a canvas", lies_on_a_canvas },
    { "keeps places", keeps_places },
    { "refuses what is no picture", refuses_what_is_no_picture },
};

TAP_MAIN(tests)
