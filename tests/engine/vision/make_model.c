// tests/engine/vision/make_model.c
// SPDX-License-Identifier: MIT
//
// Writes random models with pictures, for experiments and for the script that makes the
// goldens:
//     make_model FAMILY OUT_DIR [TYPE [SEED]]   OUT_DIR/FAMILY.gguf, FAMILY-mmproj.gguf
//     make_model --list                         the families, one a line
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/engine/vision/generate.h"

static int list(void)
{
    for (size_t i = 0; i < vision_family_count(); i++)
        puts(vision_family_at(i));
    return 0;
}

static int save(const struct vision_recipe *recipe, const char *folder)
{
    char *language = alloc_printf("%s/%s.gguf", folder, recipe->family);
    char *projector = alloc_printf("%s/%s-mmproj.gguf", folder, recipe->family);
    struct err err = { .code = ERR_NONE };
    bool ok = vision_generate(recipe, language, projector, &err);

    if (!ok)
        fprintf(stderr, "make_model: %s\n", err.text);
    free(language);
    free(projector);
    return ok ? 0 : 1;
}

static bool find_type(const char *name, enum quant_type *type)
{
    static const enum quant_type types[] = { QUANT_F32, QUANT_F16, QUANT_Q8_0 };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(quant_traits(types[i])->name, name) == 0) {
            *type = types[i];
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    struct vision_recipe recipe = { .type = QUANT_F16, .seed = 1 };

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc >= 3 && argc <= 5 && (argc < 4 || find_type(argv[3], &recipe.type))) {
        recipe.family = argv[1];
        recipe.seed = argc == 5 ? strtoull(argv[4], NULL, 10) : 1;
        return save(&recipe, argv[2]);
    }
    fputs("usage: make_model FAMILY OUT_DIR [F32|F16|Q8_0 [SEED]] | --list\n", stderr);
    return 2;
}
