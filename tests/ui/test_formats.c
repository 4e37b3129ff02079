// tests/ui/test_formats.c
// SPDX-License-Identifier: MIT
//
// Pictures as terminals take them, read back: sixel by libsixel's decoder, the others by
// hand.
#include "ui/formats.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>
#include <sixel.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "tests/tap.h"

static const uint8_t black[3] = { 0, 0, 0 };

// Quarters: red, green / blue, yellow.
static struct pixels quarters(int width, int height)
{
    static const uint8_t colours[4][4] = {
        { 255, 0, 0, 255 }, { 0, 204, 0, 255 }, { 0, 0, 255, 255 }, { 255, 204, 0, 255 }
    };
    struct pixels pixels = { .size = { width, height } };

    pixels.rgba = alloc_array((size_t)width * (size_t)height, 4);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(pixels.rgba + 4 * (y * width + x),
                   colours[2 * (y >= height / 2) + (x >= width / 2)], 4);
    return pixels;
}

static struct pixels gradient(int width, int height)
{
    struct pixels pixels = { .size = { width, height } };

    pixels.rgba = alloc_array((size_t)width * (size_t)height, 4);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *pixel = pixels.rgba + 4 * (y * width + x);

            pixel[0] = (uint8_t)(x * 255 / width);
            pixel[1] = (uint8_t)(y * 255 / height);
            pixel[2] = (uint8_t)(255 - x * 255 / width);
            pixel[3] = 255;
        }
    return pixels;
}

// ---------------------------------------------------------------------------
// Sixel

struct decoded {
    int width, height, colours;
    unsigned char *pixels, *palette;
};

static bool decode(const struct str *sixel, struct decoded *decoded)
{
    return SIXEL_SUCCEEDED(sixel_decode_raw(
        (unsigned char *)sixel->data, (int)sixel->len, &decoded->pixels, &decoded->width,
        &decoded->height, &decoded->palette, &decoded->colours, NULL));
}

static const unsigned char *colour_at(const struct decoded *decoded, int x, int y)
{
    return decoded->palette + 3 * decoded->pixels[y * decoded->width + x];
}

static void release(struct decoded *decoded)
{
    free(decoded->pixels);
    free(decoded->palette);
}

// The mean over a square: dithering is exact only on average.
static int mean_at(const struct decoded *decoded, int x, int y, int channel)
{
    int sum = 0;

    for (int i = -3; i <= 3; i++)
        for (int j = -3; j <= 3; j++)
            sum += colour_at(decoded, x + i, y + j)[channel];
    return sum / 49;
}

static void sixel_has_the_colours(void)
{
    static const int want[4][3] = {
        { 255, 0, 0 }, { 0, 204, 0 }, { 0, 0, 255 }, { 255, 204, 0 }
    };
    struct pixels pixels = quarters(90, 48);
    struct sixel_source *source = format_sixel_prepare(&pixels, black, 128);
    struct decoded decoded = { 0 };
    struct str out;

    str_init(&out, 0);
    REQUIRE(source != NULL && format_sixel(source, 0, 48, &out));
    CHECK(strncmp(out.data, "\033P0;1;0q\"1;1;90;48", 18) == 0);
    CHECK(strcmp(out.data + out.len - 2, "\033\\") == 0);
    CHECK(strchr(out.data, '\n') == NULL);
    REQUIRE(decode(&out, &decoded));
    CHECK_INT(decoded.width, 90);
    CHECK_INT(decoded.height, 48);
    for (int i = 0; i < 4; i++)
        for (int channel = 0; channel < 3; channel++)
            CHECK_NEAR(colour_at(&decoded, i % 2 * 60 + 10, i / 2 * 30 + 10)[channel],
                       want[i][channel], 8);
    release(&decoded);
    format_sixel_release(&source);
    pixels_release(&pixels);
    str_release(&out);
}

// With the registers that the terminal says it has, and not more.
static void sixel_keeps_to_the_registers(void)
{
    static const int registers[] = { 2, 4, 16, 64, 256, 1024 };
    struct pixels pixels = gradient(120, 60);

    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
        struct sixel_source *source = format_sixel_prepare(&pixels, black, registers[i]);
        struct str out;

        str_init(&out, 0);
        REQUIRE(source != NULL && format_sixel(source, 0, 60, &out));
        for (const char *at = out.data; (at = strchr(at, '#')) != NULL; at++)
            CHECK(atoi(at + 1) < registers[i]);
        format_sixel_release(&source);
        str_release(&out);
    }
    pixels_release(&pixels);
}

static void sixel_is_dithered(void)
{
    struct pixels pixels = gradient(200, 100);
    struct sixel_source *source = format_sixel_prepare(&pixels, black, 16);
    struct decoded decoded = { 0 };
    struct str out;

    str_init(&out, 0);
    REQUIRE(source != NULL && format_sixel(source, 0, 100, &out));
    REQUIRE(decode(&out, &decoded));
    for (int y = 10; y < 90; y += 20)
        for (int x = 10; x < 190; x += 20)
            for (int channel = 0; channel < 3; channel++)
                CHECK_NEAR(mean_at(&decoded, x, y, channel),
                           pixels.rgba[4 * (y * 200 + x) + channel], 40);
    release(&decoded);
    format_sixel_release(&source);
    pixels_release(&pixels);
    str_release(&out);
}

static void sixel_can_be_cut(void)
{
    struct pixels pixels = quarters(40, 60);
    struct sixel_source *source = format_sixel_prepare(&pixels, black, 128);
    struct decoded decoded = { 0 };
    struct str out;

    str_init(&out, 0);
    REQUIRE(source != NULL && format_sixel(source, 20, 18, &out));
    REQUIRE(decode(&out, &decoded));
    CHECK_INT(decoded.height, 18);
    CHECK_NEAR(colour_at(&decoded, 5, 9)[0], 255, 8);  // still red
    CHECK_NEAR(colour_at(&decoded, 5, 11)[2], 255, 8); // blue
    release(&decoded);
    format_sixel_release(&source);
    pixels_release(&pixels);
    str_release(&out);
}

static void sixel_covers_the_background(void)
{
    static const uint8_t white[3] = { 255, 255, 255 };
    struct pixels pixels = quarters(24, 12);
    struct sixel_source *source;
    struct decoded decoded = { 0 };
    struct str out;

    for (int i = 0; i < 24 * 12; i++)
        pixels.rgba[4 * i + 3] = 0;
    source = format_sixel_prepare(&pixels, white, 128);
    str_init(&out, 0);
    REQUIRE(source != NULL && format_sixel(source, 0, 12, &out));
    REQUIRE(decode(&out, &decoded));
    for (int channel = 0; channel < 3; channel++)
        CHECK_INT(colour_at(&decoded, 5, 5)[channel], 255);
    release(&decoded);
    format_sixel_release(&source);
    pixels_release(&pixels);
    str_release(&out);
}

static void sixel_takes_any_size(void)
{
    for (int width = 1; width < 20; width++)
        for (int height = 1; height < 15; height++) {
            struct pixels pixels = gradient(width, height);
            struct sixel_source *source = format_sixel_prepare(&pixels, black, 128);
            struct str out;

            str_init(&out, 0);
            CHECK(source != NULL && format_sixel(source, 0, height, &out));
            format_sixel_release(&source);
            pixels_release(&pixels);
            str_release(&out);
        }
}

static void bands_stay_in_their_room(void)
{
    CHECK_INT(format_sixel_height(60, 0, 60), 60);
    CHECK_INT(format_sixel_height(52, 0, 52), 48);  // the ninth band would reach to 54
    CHECK_INT(format_sixel_height(52, 0, 60), 52);  // and here it may
    CHECK_INT(format_sixel_height(52, 13, 39), 36); // cut above
    CHECK_INT(format_sixel_height(52, 0, 26), 24);  // cut below
    CHECK_INT(format_sixel_height(4, 0, 5), 0);
    for (int height = 1; height < 100; height++)
        for (int top = 0; top < height; top++)
            for (int room = 6; room < 60; room += 7) {
                int shown = format_sixel_height(height, top, room);

                CHECK(shown <= height - top && shown <= room);
                CHECK((shown + SIXEL_BAND - 1) / SIXEL_BAND * SIXEL_BAND <= room);
            }
}

// ---------------------------------------------------------------------------
// The others

// Takes the chunks apart as a terminal would; returns the pixels.
static void read_kitty(const struct str *sent, struct str *control, struct str *pixels)
{
    const char *at = sent->data;
    bool more = true;

    while (more) {
        const char *end = strstr(at, "\033\\"), *data = strchr(at, ';');

        REQUIRE(strncmp(at, "\033_G", 3) == 0 && end != NULL && data != NULL);
        if (control->len == 0)
            str_append_n(control, at + 3, (size_t)(data - at - 3));
        REQUIRE(end - data - 1 <= 4096);
        more = strncmp(data - 3, "m=1", 3) == 0;
        CHECK(memmem(at, (size_t)(data - at), "q=2", 3) != NULL);
        CHECK(base64_decode(data + 1, (size_t)(end - data - 1), pixels));
        at = end + 2;
    }
    CHECK(at[0] == '\0');
}

static void kitty_gets_the_pixels(void)
{
    static const int sides[] = { 1, 27, 28, 100 }; // one chunk, nearly one, two, many

    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        struct pixels pixels = gradient(sides[i], sides[i]);
        struct str sent, control, got;
        char want[80];

        str_init(&sent, 0);
        str_init(&control, 0);
        str_init(&got, 0);
        REQUIRE(format_kitty(&pixels, 7, &sent));
        read_kitty(&sent, &control, &got);
        snprintf(want, sizeof(want), "a=t,f=32,t=d,i=7,s=%d,v=%d,q=2,m=%d", sides[i],
                 sides[i], sides[i] > 27);
        CHECK_STR(control.data, want);
        CHECK_INT(got.len, pixels_bytes(&pixels));
        CHECK(memcmp(got.data, pixels.rgba, got.len) == 0);
        pixels_release(&pixels);
        str_release(&sent);
        str_release(&control);
        str_release(&got);
    }
}

static void kitty_is_told_what_to_show(void)
{
    struct str out;

    str_init(&out, 0);
    format_kitty_place(7, 40, (struct size){ 100, 60 }, 10, 3, &out);
    format_kitty_remove(7, &out);
    format_kitty_forget(7, &out);
    CHECK_STR(out.data, "\033_Ga=p,i=7,p=1,x=0,y=40,w=100,h=60,c=10,r=3,C=1,q=2\033\\"
                        "\033_Ga=d,d=i,i=7,q=2\033\\\033_Ga=d,d=I,i=7,q=2\033\\");
    str_release(&out);
}

static void iterm_gets_a_png(void)
{
    struct pixels pixels = gradient(50, 40);
    png_image image = { .version = PNG_IMAGE_VERSION };
    const char *data;
    struct str out, png;
    uint8_t got[50 * 20 * 4];

    str_init(&out, 0);
    str_init(&png, 0);
    REQUIRE(format_iterm(&pixels, 20, 20, 5, 1, &out));
    data = strchr(out.data, ':');
    REQUIRE(strncmp(out.data, "\033]1337;File=inline=1;size=", 26) == 0 && data != NULL);
    CHECK(strstr(out.data, ";width=5;height=1;preserveAspectRatio=0;"
                           "doNotMoveCursor=1:") != NULL);
    CHECK(out.data[out.len - 1] == '\a');
    REQUIRE(base64_decode(data + 1, out.len - (size_t)(data + 2 - out.data), &png));
    CHECK_INT(png.len, atoi(out.data + 26));
    REQUIRE(png_image_begin_read_from_memory(&image, png.data, png.len));
    CHECK_INT(image.width, 50);
    CHECK_INT(image.height, 20);
    image.format = PNG_FORMAT_RGBA;
    REQUIRE(png_image_finish_read(&image, NULL, got, 0, NULL));
    CHECK(memcmp(got, pixels.rgba + 20 * 50 * 4, sizeof(got)) == 0);
    pixels_release(&pixels);
    str_release(&out);
    str_release(&png);
}

static const struct {
    enum block_colours colours;
    const char *want;
} blocks[] = {
    { BLOCKS_RGB, "\033[0m\033[38;2;255;0;0m\033[48;2;0;0;255m▀"
                  "\033[38;2;0;204;0m\033[48;2;255;204;0m▀\033[0m" },
    { BLOCKS_256, "\033[0m\033[38;5;196m\033[48;5;21m▀"
                  "\033[38;5;40m\033[48;5;220m▀\033[0m" },
    { BLOCKS_16, "\033[0m\033[91m\033[44m▀\033[32m\033[43m▀\033[0m" },
    { BLOCKS_8, "\033[0m\033[31m\033[44m▀\033[32m\033[43m▀\033[0m" },
};

static void blocks_have_two_pixels(void)
{
    struct pixels pixels = quarters(2, 2);

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct str out;

        str_init(&out, 0);
        CHECK(format_blocks(&pixels, 0, 2, black, blocks[i].colours, &out));
        CHECK_STR(out.data, blocks[i].want);
        str_release(&out);
    }
    pixels_release(&pixels);
}

static void blocks_end_in_half_a_row(void)
{
    struct pixels pixels = quarters(2, 4);
    struct str out;

    str_init(&out, 0);
    CHECK(format_blocks(&pixels, 0, 3, black, BLOCKS_256, &out));
    CHECK_STR(out.data, "\033[0m\033[38;5;196m\033[48;5;196m▀"
                        "\033[38;5;40m\033[48;5;40m▀\033[0m\n"
                        "\033[0m\033[38;5;21m▀\033[38;5;220m▀\033[0m");
    str_release(&out);
    pixels_release(&pixels);
}

// Each of the 256 colours is its own nearest one, or as near as that.
static void finds_the_nearest_of_256(void)
{
    static const int levels[] = { 0, 95, 135, 175, 215, 255 };

    for (int i = 16; i < 256; i++) {
        int cube = i - 16, grey = 8 + 10 * (i - 232);
        uint8_t pixel[4] = { 0, 0, 0, 255 };
        struct pixels pixels = { .size = { 1, 1 }, .rgba = pixel };
        struct str out;
        int got;

        for (int k = 0; k < 3; k++)
            pixel[k] = (uint8_t)(i >= 232 ? grey
                                          : levels[cube /
                                                   (k == 0   ? 36
                                                    : k == 1 ? 6
                                                             : 1) %
                                                   6]);
        str_init(&out, 0);
        format_blocks(&pixels, 0, 1, black, BLOCKS_256, &out);
        REQUIRE(sscanf(out.data, "\033[0m\033[38;5;%dm", &got) == 1);
        CHECK_INT(got, i);
        str_release(&out);
    }
}

static const struct test tests[] = {
    { "sixel has the colours", sixel_has_the_colours },
    { "sixel keeps to the registers", sixel_keeps_to_the_registers },
    { "sixel is dithered", sixel_is_dithered },
    { "sixel can be cut", sixel_can_be_cut },
    { "sixel covers the background", sixel_covers_the_background },
    { "sixel takes any size", sixel_takes_any_size },
    { "bands of sixels stay in their room", bands_stay_in_their_room },
    { "kitty gets the pixels", kitty_gets_the_pixels },
    { "kitty is told what to show", kitty_is_told_what_to_show },
    { "iTerm2 gets a PNG", iterm_gets_a_png },
    { "half blocks have two pixels", blocks_have_two_pixels },
    { "half blocks end in half a row", blocks_end_in_half_a_row },
    { "finds the nearest of 256 colours", finds_the_nearest_of_256 },
};

TAP_MAIN(tests)
