// tests/pictures/test_codec.c
// SPDX-License-Identifier: MIT
//
// What happens inside the sandbox, without it: the golden pictures cut and bent, sizes,
// the mean of pixels against one that is computed in another way.
#include <dirent.h>

#include "app/pictures/codec.h"
#include "app/pictures/exif.h"
#include "app/pictures/scale.h"
#include "base/alloc.h"
#include "base/file.h"
#include "tests/tap.h"

#define PIXELS_MAX 10000

static bool decode(const uint8_t *bytes, size_t len, struct image *image, uint8_t *rgba,
                   struct err *err)
{
    // A block of the exact size, so that AddressSanitizer sees the first byte past it.
    uint8_t *exact = alloc_zero(len);
    struct image_source source = { exact, len };
    struct image_request request = { .pixels_max = PIXELS_MAX };
    bool ok;

    memcpy(exact, bytes, len);
    memset(rgba, 0, (size_t)4 * PIXELS_MAX);
    ok = image_decode(&source, &request, image, rgba, err);
    free(exact);
    return ok;
}

// Calls check with the bytes of each golden picture. Returns their number.
static int each_picture(void (*check)(const char *name, const uint8_t *bytes, size_t len))
{
    const char *top = getenv("top_srcdir");
    char *folder = alloc_printf("%s/tests/golden/pictures", top != NULL ? top : ".");
    struct dirent **entries;
    int found = scandir(folder, &entries, NULL, alphasort), count = 0;

    for (int i = 0; i < found; i++) {
        const char *dot = strrchr(entries[i]->d_name, '.');
        char *path = alloc_printf("%s/%s", folder, entries[i]->d_name);
        struct err err = { .code = ERR_NONE };
        struct str file;

        str_init(&file, (size_t)1 << 20);
        if (dot != NULL && strstr(".png.jpg.webp.gif", dot) != NULL &&
            file_read(path, (size_t)1 << 20, &file, &err) && file.len > 0) {
            check(entries[i]->d_name, (const uint8_t *)file.data, file.len);
            count++;
        }
        str_release(&file);
        free(path);
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    free(folder);
    return count;
}

static bool is_one_line(const struct err *err)
{
    return err->code != ERR_NONE && err->text[0] != '\0' &&
           strchr(err->text, '\n') == NULL;
}

// Wherever it is cut, it is refused, or everything that is shown had already come.
static void check_cut(const char *name, const uint8_t *bytes, size_t len)
{
    uint8_t *whole = alloc_array(PIXELS_MAX, 4), *part = alloc_array(PIXELS_MAX, 4);
    struct image image, cut;
    struct err err = { .code = ERR_NONE };
    size_t step = len < 500 ? 1 : 10;

    if (!decode(bytes, len, &image, whole, &err)) {
        tap_note(__FILE__, __LINE__, err.text);
        len = 0;
    }
    for (size_t i = 0; i < len; i += step) {
        err = (struct err){ .code = ERR_NONE };
        if (!decode(bytes, i, &cut, part, &err)) {
            if (!is_one_line(&err))
                tap_note(__FILE__, __LINE__, name);
        } else if (cut.width != image.width || cut.height != image.height ||
                   memcmp(whole, part, (size_t)4 * PIXELS_MAX) != 0) {
            printf("# cut behind byte %zu\n", i);
            tap_note(__FILE__, __LINE__, name);
        }
    }
    free(part);
    free(whole);
}

static void a_picture_that_is_cut_is_whole_or_refused(void)
{
    CHECK(each_picture(check_cut) > 100);
}

static void check_bent(const char *name, const uint8_t *bytes, size_t len)
{
    uint8_t *bent = alloc_zero(len), *rgba = alloc_array(PIXELS_MAX, 4);
    size_t step = 1 + len / 100;
    struct image image;

    for (size_t i = 0; i < len; i += step) {
        struct err err = { .code = ERR_NONE };

        memcpy(bent, bytes, len);
        bent[i] ^= (uint8_t)(1 << (i % 8));
        if (!decode(bent, len, &image, rgba, &err) && !is_one_line(&err))
            tap_note(__FILE__, __LINE__, name);
    }
    free(rgba);
    free(bent);
}

static void a_picture_with_a_wrong_bit_is_something_or_refused(void)
{
    CHECK(each_picture(check_bent) > 100);
}

// ---------------------------------------------------------------------------
// EXIF

static void orientation_is_read_within_its_bounds(void)
{
    static const uint8_t little[] = "II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0";
    static const uint8_t big[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\10\0";

    CHECK_INT(exif_orientation(little, sizeof(little) - 1), 6);
    CHECK_INT(exif_orientation(big, sizeof(big)), 8);
    CHECK_INT(exif_orientation(NULL, 0), 1);
    for (size_t len = 0; len < sizeof(little) - 1; len++) {
        uint8_t *exact = alloc_zero(len);

        memcpy(exact, little, len);
        CHECK_INT(exif_orientation(exact, len), 1);
        free(exact);
    }
}

// ---------------------------------------------------------------------------
// Reducing

static void sizes_keep_their_shape(void)
{
    static const struct {
        uint32_t width, height, max_width, max_height, want_width, want_height;
    } cases[] = {
        { 100, 50, 0, 0, 100, 50 },         { 100, 50, 200, 200, 100, 50 },
        { 100, 50, 10, 0, 10, 5 },          { 100, 50, 0, 10, 20, 10 },
        { 100, 50, 10, 10, 10, 5 },         { 1, 4000, 100, 100, 1, 100 },
        { 4000, 1, 100, 100, 100, 1 },      { 65535, 1, 1, 1, 1, 1 },
        { 4032, 3024, 640, 480, 640, 480 }, { 3, 3, 2, 2, 2, 2 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t width, height;

        scale_fit(cases[i].width, cases[i].height, cases[i].max_width,
                  cases[i].max_height, &width, &height);
        CHECK_INT(width, cases[i].want_width);
        CHECK_INT(height, cases[i].want_height);
    }
}

static double to_light(double number)
{
    number /= 255;
    return number <= 0.04045 ? number / 12.92 : pow((number + 0.055) / 1.055, 2.4);
}

static double to_number(double light)
{
    return 255 *
           (light <= 0.0031308 ? light * 12.92 : 1.055 * pow(light, 1 / 2.4) - 0.055);
}

static double overlap(double a0, double a1, double b0, double b1)
{
    return fmax(0, fmin(a1, b1) - fmax(a0, b0));
}

// One new pixel, from its definition.
static void mean_of(const uint8_t *from, int width, int height, int to_width,
                    int to_height, int x, int y, double mean[4])
{
    double opacity = 0, light[3] = { 0 }, area = 0;

    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++) {
            const uint8_t *pixel = from + 4 * (row * width + column);
            double share = overlap((double)x * width / to_width,
                                   (x + 1.0) * width / to_width, column, column + 1) *
                           overlap((double)y * height / to_height,
                                   (y + 1.0) * height / to_height, row, row + 1);

            area += share;
            opacity += share * pixel[3];
            for (int c = 0; c < 3; c++)
                light[c] += share * pixel[3] * to_light(pixel[c]);
        }
    for (int c = 0; c < 3; c++)
        mean[c] = opacity > 0 ? to_number(light[c] / opacity) : 0;
    mean[3] = opacity / area;
}

static void check_reduced(int width, int height, int to_width, int to_height)
{
    uint8_t *from = alloc_array((size_t)width * (size_t)height, 4);
    uint8_t *to = alloc_array((size_t)to_width * (size_t)to_height, 4);
    struct err err = { .code = ERR_NONE };
    uint32_t random = 1;

    for (int i = 0; i < 4 * width * height; i++) {
        random = random * 1664525 + 1013904223;
        from[i] = (uint8_t)(i % 4 == 3 && random >> 31 != 0 ? 0 : random >> 20);
    }
    REQUIRE(scale_box(from, (uint32_t)width, (uint32_t)height, to, (uint32_t)to_width,
                      (uint32_t)to_height, &err));
    for (int y = 0; y < to_height; y++)
        for (int x = 0; x < to_width; x++) {
            double mean[4];

            mean_of(from, width, height, to_width, to_height, x, y, mean);
            // Half a step of rounding, and what a table of light cannot tell apart in
            // the dark.
            for (int c = 0; c < 4; c++)
                CHECK_NEAR(to[4 * (y * to_width + x) + c], mean[c], 0.9);
        }
    free(to);
    free(from);
}

static void reduced_pixels_are_means_of_light(void)
{
    check_reduced(7, 5, 7, 5);
    check_reduced(7, 5, 3, 2);
    check_reduced(64, 64, 16, 16);
    check_reduced(50, 1, 49, 1);
    check_reduced(1, 50, 1, 7);
    check_reduced(31, 17, 1, 1);
    check_reduced(13, 29, 12, 3);
}

static void a_size_that_stays_changes_nothing(void)
{
    uint8_t from[256 * 4], to[256 * 4];
    struct err err = { .code = ERR_NONE };

    for (int i = 0; i < 256; i++)
        memcpy(from + 4 * i, (const uint8_t[4]){ (uint8_t)i, (uint8_t)(255 - i), 7, 255 },
               4);
    REQUIRE(scale_box(from, 256, 1, to, 256, 1, &err));
    CHECK(memcmp(from, to, sizeof(from)) == 0);
}

static const struct test tests[] = {
    { "a picture that is cut is whole or refused",
      a_picture_that_is_cut_is_whole_or_refused },
    { "a picture with a wrong bit is something or refused",
      a_picture_with_a_wrong_bit_is_something_or_refused },
    { "orientation is read within its bounds", orientation_is_read_within_its_bounds },
    { "sizes keep their shape", sizes_keep_their_shape },
    { "reduced pixels are means of light", reduced_pixels_are_means_of_light },
    { "a size that stays changes nothing", a_size_that_stays_changes_nothing },
};

TAP_MAIN(tests)
