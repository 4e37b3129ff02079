// tests/engine/vision/preprocess_dump.c
// SPDX-License-Identifier: MIT
//
//     preprocess_dump FAMILY SEED KIND WIDTH HEIGHT
//
// Writes what the preprocessing makes of a picture (preprocess_cases.h) to standard
// output: a line for all, a line for each item and tile, a line "pixels", and then the
// values of the tiles as they are in memory. preprocess_reference.py reads it.
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/engine/vision/preprocess_cases.h"

static void print_marker(const char *text)
{
    printf("marker ");
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            printf("\\n");
        else
            putchar(*text);
    }
    putchar('\n');
}

static void dump(const struct vision_input *input)
{
    printf("grid %u %u fitted %u %u embeddings %u\n", input->grid_rows,
           input->grid_columns, input->fitted_width, input->fitted_height,
           input->embedding_count);
    for (size_t i = 0; i < input->item_count; i++) {
        const struct vision_item *item = &input->items[i];

        if (item->kind == VISION_MARKER)
            print_marker(item->marker);
        else
            printf("embed %u %u %u %u\n", item->first, item->count, item->rows,
                   item->columns);
    }
    for (size_t i = 0; i < input->tile_count; i++)
        printf("tile %u %u %d %u %u\n", input->tiles[i].width, input->tiles[i].height,
               input->tiles[i].overview, input->tiles[i].row, input->tiles[i].column);
    printf("pixels\n");
    for (size_t i = 0; i < input->tile_count; i++)
        fwrite(input->tiles[i].values, sizeof(float) * 3 * input->tiles[i].width,
               input->tiles[i].height, stdout);
}

int main(int argc, char **argv)
{
    const struct vision_params *params = argc == 6 ? preprocess_params(argv[1]) : NULL;
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    if (params == NULL) {
        fprintf(stderr, "usage: preprocess_dump FAMILY SEED KIND WIDTH HEIGHT\n");
        return 2;
    }
    uint32_t width = (uint32_t)atoi(argv[4]), height = (uint32_t)atoi(argv[5]);
    uint8_t *rgba = alloc_array((size_t)width * height, 4);
    preprocess_picture((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), width, height,
                       rgba);
    struct vision_picture picture = { .rgba = rgba, .width = width, .height = height };
    if (vision_preprocess(params, &picture, &input, &err))
        dump(&input);
    else
        printf("refused %s\n", err.text);
    vision_input_release(&input);
    free(rgba);
    return 0;
}
