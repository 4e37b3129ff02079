// app/pictures/scale.c
// SPDX-License-Identifier: MIT
#include "app/pictures/scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define LIGHT_STEPS 4096 // fine enough that every sRGB number comes back as itself

// What new pixel or row `index` covers of the old ones: first to last, with these shares
// of its area. `middle` is that of each between them.
struct span {
    uint32_t first, last;
    float head, middle, tail;
};

// A new pixel on its way: sums of opacity, and of light times opacity, times share.
struct sum {
    float light[3];
    float opacity;
};

struct scaler {
    uint32_t to_width;
    struct span *columns;            // [to_width]
    struct sum *row;                 // [to_width]
    float light[256];                // of an sRGB number
    uint8_t number[LIGHT_STEPS + 1]; // sRGB, of a light
};

void scale_fit(uint32_t width, uint32_t height, uint32_t max_width, uint32_t max_height,
               uint32_t *fit_width, uint32_t *fit_height)
{
    double factor = 1;

    if (max_width != 0)
        factor = fmin(factor, (double)max_width / width);
    if (max_height != 0)
        factor = fmin(factor, (double)max_height / height);
    *fit_width = (uint32_t)fmax(1, round(width * factor));
    *fit_height = (uint32_t)fmax(1, round(height * factor));
}

static struct span span_of(uint32_t index, uint32_t from, uint32_t to)
{
    uint64_t begin = (uint64_t)index * from, end = begin + from; // in 1 / to of a pixel
    struct span span = { .first = (uint32_t)(begin / to),
                         .last = (uint32_t)((end - 1) / to),
                         .middle = (float)to / (float)from };

    span.head = (float)(to - begin % to) / (float)from;
    span.tail = (float)(end - (uint64_t)span.last * to) / (float)from;
    return span;
}

static float span_share(const struct span *span, uint32_t at)
{
    return at == span->first ? span->head : at == span->last ? span->tail : span->middle;
}

static void fill_tables(struct scaler *scaler)
{
    for (int i = 0; i < 256; i++) {
        float number = (float)i / 255;

        scaler->light[i] =
            number <= 0.04045F ? number / 12.92F : powf((number + 0.055F) / 1.055F, 2.4F);
    }
    for (int i = 0; i <= LIGHT_STEPS; i++) {
        float light = (float)i / LIGHT_STEPS;
        float number = light <= 0.0031308F ? light * 12.92F
                                           : 1.055F * powf(light, 1 / 2.4F) - 0.055F;

        scaler->number[i] = (uint8_t)lroundf(number * 255);
    }
}

static void add_row(struct scaler *scaler, const uint8_t *from, float share)
{
    for (uint32_t x = 0; x < scaler->to_width; x++) {
        const struct span *span = &scaler->columns[x];
        struct sum *sum = &scaler->row[x];

        for (uint32_t i = span->first; i <= span->last; i++) {
            const uint8_t *pixel = from + (size_t)4 * i;
            float opacity = share * span_share(span, i) * (float)pixel[3];

            sum->opacity += opacity;
            for (int c = 0; c < 3; c++)
                sum->light[c] += opacity * scaler->light[pixel[c]];
        }
    }
}

static void finish_row(const struct scaler *scaler, uint8_t *to)
{
    for (uint32_t x = 0; x < scaler->to_width; x++, to += 4) {
        const struct sum *sum = &scaler->row[x];

        for (int c = 0; c < 3; c++) {
            float light = sum->opacity > 0 ? sum->light[c] / sum->opacity : 0;

            to[c] = scaler->number[lroundf(fminf(light, 1) * LIGHT_STEPS)];
        }
        to[3] = (uint8_t)lroundf(fminf(sum->opacity, 255));
    }
}

bool scale_box(const uint8_t *from, uint32_t width, uint32_t height, uint8_t *to,
               uint32_t to_width, uint32_t to_height, struct err *err)
{
    struct scaler scaler = { .to_width = to_width };
    bool ok;

    scaler.columns = try_array(to_width, sizeof(*scaler.columns));
    scaler.row = try_array(to_width, sizeof(*scaler.row));
    ok = scaler.columns != NULL && scaler.row != NULL;
    if (!ok)
        err_set(err, ERR_MEMORY, "a row of %u pixels does not fit into memory", to_width);
    if (ok) {
        fill_tables(&scaler);
        for (uint32_t x = 0; x < to_width; x++)
            scaler.columns[x] = span_of(x, width, to_width);
    }
    for (uint32_t y = 0; ok && y < to_height; y++) {
        struct span span = span_of(y, height, to_height);

        memset(scaler.row, 0, to_width * sizeof(*scaler.row));
        for (uint32_t i = span.first; i <= span.last; i++)
            add_row(&scaler, from + (size_t)4 * width * i, span_share(&span, i));
        finish_row(&scaler, to + (size_t)4 * to_width * y);
    }
    free(scaler.row);
    free(scaler.columns);
    return ok;
}
