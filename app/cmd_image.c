// app/cmd_image.c
// SPDX-License-Identifier: MIT
//
// oriel image: what a model will see of a picture: its size after decoding, the tiles
// that it is cut into, the tokens that it takes, and a preview.
#include <stdlib.h>
#include <string.h>

#include "app/client_pictures.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/pictures/picture.h"
#include "base/alloc.h"

struct image {
    struct model_choice model;
    bool json;
    struct client client;
    bool failed;
};

#define AT(member) offsetof(struct image, member)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 0, "mmproj", "FILE", OPTION_TEXT, AT(model.mmproj), 0, 0,
      "vision projector that belongs to the model" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print one JSON object a line" },
    OPTIONS_END,
};

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void put_size(const char *label, const json_t *size)
{
    printf("  %-10s %lld x %lld pixels\n", label, (long long)number(size, "width"),
           (long long)number(size, "height"));
}

static void put_tiles(const json_t *layout)
{
    const json_t *grid = json_object_get(layout, "grid");
    const json_t *tiles = json_object_get(layout, "tiles");
    const json_t *first = json_array_get(tiles, 0);
    size_t count = json_array_size(tiles), overviews = 0;

    for (size_t i = 0; i < count; i++)
        overviews += json_is_true(json_object_get(json_array_get(tiles, i), "overview"));
    if (number(grid, "rows") > 0)
        printf("  %-10s %lld x %lld of %lld x %lld pixels%s\n", "tiles",
               (long long)number(grid, "columns"), (long long)number(grid, "rows"),
               (long long)number(first, "width"), (long long)number(first, "height"),
               overviews > 0 ? ", and one of the whole picture" : "");
    else
        printf("  %-10s %zu of %lld x %lld pixels\n", "tiles", count,
               (long long)number(first, "width"), (long long)number(first, "height"));
}

static void put_report(const char *path, const struct picture *picture,
                       const json_t *layout)
{
    put_printable(stdout, path, strlen(path));
    printf("\n  %-10s %s, %u x %u pixels%s%s\n", "file", picture->format, picture->width,
           picture->height, picture->has_alpha ? ", transparent" : "",
           picture->frames > 1 ? ", the first frame of several" : "");
    if (layout == NULL)
        return;
    put_size("seen as", json_object_get(layout, "fitted"));
    put_tiles(layout);
    printf("  %-10s %lld of the context\n", "tokens",
           (long long)number(layout, "tokens"));
}

static bool show(struct image *image, const char *path, struct err *err)
{
    const char *mmproj = image->model.files.mmproj;
    struct picture picture;
    json_t *layout = NULL;

    if (!picture_open(path, &picture, err))
        return false;
    if (mmproj[0] != '\0') {
        layout = client_picture_layout(&image->client, mmproj, path, &picture, err);
        if (layout == NULL) {
            picture_release(&picture);
            return false;
        }
    }
    if (image->json) {
        json_t *report = json_object();

        wire_set_text(report, "file", path, strlen(path));
        json_object_set_new(report, "format", json_string(picture.format));
        json_object_set_new(report, "width", json_integer(picture.width));
        json_object_set_new(report, "height", json_integer(picture.height));
        json_object_set_new(report, "layout",
                            layout != NULL ? json_incref(layout) : json_null());
        put_json(report);
    } else {
        put_report(path, &picture, layout);
    }
    json_decref(layout);
    picture_release(&picture);
    return true;
}

static int show_all(struct image *image, const struct operands *files)
{
    struct err err = { .code = ERR_NONE };

    if (files->count == 0) {
        err_set(&err, ERR_USAGE, "which picture? Give its FILE");
        return complain("image", &err);
    }
    if (!model_choice_resolve(&image->model, &err) ||
        !client_open(&image->client, false, &err))
        return complain("image", &err);
    if (image->model.files.mmproj[0] == '\0')
        remark("image", "the model has no vision: only the file is shown");
    for (size_t i = 0; i < files->count; i++) {
        if (show(image, files->items[i], &err))
            continue;
        complain("image", &err);
        err = (struct err){ .code = ERR_NONE };
        image->failed = true;
    }
    return image->failed ? EXIT_FAILED : EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct image image = { .json = false };
    struct operands files;
    int code;

    if (command_options(&command_image, argc, argv, &image, &files, &code))
        code = show_all(&image, &files);
    client_close(&image.client);
    return code;
}

const struct command command_image = {
    .name = "image",
    .usage = "[-m MODEL] [--json] PICTURE...",
    .summary = "Show what a model will see of a picture",
    .options = options,
    .run = run,
};
