// tests/ui/test_previews.c
// SPDX-License-Identifier: MIT
//
// Which pictures have pixels, and when they are asked for.
#include "ui/previews.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "tests/tap.h"

#define COUNT 40

static struct previews previews;

static void begin(const char *kind)
{
    setenv("ORIEL_GRAPHICS", kind, 1);
    previews_init(&previews);
    graphics_resized(&previews.graphics, (struct size){ 80, 24 }, (struct size){ 0 });
    previews.rows = 24;
}

// A square, grey.
static void give(struct preview *preview, uint32_t side)
{
    uint8_t *rgba = alloc_array((size_t)side * side, 4);

    memset(rgba, 128, (size_t)side * side * 4);
    preview_set(&previews, preview,
                &(struct ui_picture){ .width = side, .height = side, .rgba = rgba });
    free(rgba);
}

static void asks_once(void)
{
    struct preview preview = { 0 };

    begin("sixel");
    CHECK(preview_wanted(&previews, &preview));
    CHECK(!preview_wanted(&previews, &preview));
    give(&preview, 100);
    CHECK(!preview_wanted(&previews, &preview));
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 5);
    preview_release(&previews, &preview);
    previews_release(&previews);
}

static void does_not_ask_again_for_what_cannot_be_shown(void)
{
    struct preview preview = { 0 };

    begin("sixel");
    CHECK(preview_wanted(&previews, &preview));
    preview_set(&previews, &preview, NULL);
    CHECK(preview.failed);
    CHECK(!preview_wanted(&previews, &preview));
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 0);
    give(&preview, 10); // after all
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 1);
    preview_release(&previews, &preview);
    previews_release(&previews);
}

// Those that were seen longest ago lose their pixels, keep their size, and are asked for
// when they are seen again.
static void bounds_the_memory(void)
{
    static struct preview all[COUNT];
    size_t bytes = 0, lost = 0;

    begin("sixel");
    for (int i = 0; i < COUNT; i++) {
        previews_begin(&previews);
        give(&all[i], 1000);
    }
    for (int i = 0; i < COUNT; i++) {
        bytes += pixels_bytes(&all[i].pixels);
        lost += all[i].pixels.rgba == NULL;
        CHECK_INT(all[i].width, 1000);
        CHECK_INT(preview_fit(&previews, &all[i], 80).rows, 8);
        CHECK(preview_wanted(&previews, &all[i]) == (all[i].pixels.rgba == NULL));
    }
    CHECK(bytes <= PREVIEWS_BYTES);
    CHECK(lost > 0 && lost < COUNT);
    CHECK(all[0].pixels.rgba == NULL && all[COUNT - 1].pixels.rgba != NULL);
    for (int i = 0; i < COUNT; i++)
        preview_release(&previews, &all[i]);
    previews_release(&previews);
}

// Or it would be asked for, and lost, for ever.
static void keeps_what_is_on_the_screen(void)
{
    static struct preview all[COUNT];

    begin("sixel");
    previews_begin(&previews);
    for (int i = 0; i < COUNT; i++)
        give(&all[i], 800);
    for (int i = 0; i < COUNT; i++) {
        CHECK(all[i].pixels.rgba != NULL);
        preview_release(&previews, &all[i]);
    }
    previews_release(&previews);
}

static void words_need_the_size_only(void)
{
    struct preview preview = { 0 };

    begin("words");
    CHECK(preview_wanted(&previews, &preview));
    give(&preview, 100);
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 0);
    CHECK_INT(preview.width, 100);
    preview_release(&previews, &preview);
    previews_release(&previews);
}

static void fits_narrow_and_low_screens(void)
{
    struct preview preview = { 0 };

    begin("sixel");
    give(&preview, 1000);
    CHECK_INT(preview_fit(&previews, &preview, 5).columns, 5);
    CHECK_INT(preview_fit(&previews, &preview, 0).rows, 0);
    previews.rows = 5;
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 1);
    previews.rows = 2;
    CHECK_INT(preview_fit(&previews, &preview, 80).rows, 0);
    preview_release(&previews, &preview);
    previews_release(&previews);
}

static const struct test tests[] = {
    { "asks once", asks_once },
    { "does not ask again for what cannot be shown",
      does_not_ask_again_for_what_cannot_be_shown },
    { "bounds the memory", bounds_the_memory },
    { "keeps what is on the screen", keeps_what_is_on_the_screen },
    { "words need the size only", words_need_the_size_only },
    { "fits narrow and low screens", fits_narrow_and_low_screens },
};

TAP_MAIN(tests)
