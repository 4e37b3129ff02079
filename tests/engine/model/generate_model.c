// tests/engine/model/generate_model.c
// SPDX-License-Identifier: MIT
//
// Writes random models for experiments and for the script that makes the goldens:
//     generate_model ARCHITECTURE TYPE SEED OUT.gguf   a model without further features
//     generate_model --list                            "name golden" for each case
//     generate_model --case NAME OUT.gguf              that case; prints its prompt's
//     tokens
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/engine/model/reference_cases.h"

static int list(void)
{
    for (size_t i = 0; i < model_case_count(); i++) {
        struct model_case found = model_case_at(i);

        printf("%s %d\n", found.name, found.golden);
    }
    return 0;
}

static int save(const struct model_recipe *recipe, const char *path)
{
    struct err err = { .code = ERR_NONE };

    if (model_generate(recipe, path, &err))
        return 0;
    fprintf(stderr, "generate_model: %s\n", err.text);
    return 1;
}

static int save_case(const char *name, const char *path)
{
    for (size_t i = 0; i < model_case_count(); i++) {
        struct model_case found = model_case_at(i);
        uint32_t tokens[MODEL_PROMPT_MAX];

        if (strcmp(found.name, name) != 0)
            continue;
        model_prompt(&found.recipe, found.prompt, tokens);
        for (size_t j = 0; j < found.prompt; j++)
            printf("%" PRIu32 "%c", tokens[j], j + 1 < found.prompt ? ' ' : '\n');
        return save(&found.recipe, path);
    }
    fprintf(stderr, "generate_model: no case \"%s\"\n", name);
    return 1;
}

static int save_named(char **arguments)
{
    for (uint32_t type = 0; type < 64; type++) {
        const struct quant_traits *traits = quant_traits(type);
        struct model_recipe recipe = { .architecture = arguments[0],
                                       .type = (enum quant_type)type,
                                       .seed = strtoull(arguments[2], NULL, 10) };

        if (traits != NULL && strcmp(traits->name, arguments[1]) == 0)
            return save(&recipe, arguments[3]);
    }
    fprintf(stderr, "generate_model: no type \"%s\"\n", arguments[1]);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 4 && strcmp(argv[1], "--case") == 0)
        return save_case(argv[2], argv[3]);
    if (argc == 5)
        return save_named(argv + 1);
    fputs("usage: generate_model ARCHITECTURE TYPE SEED OUT.gguf | --list | "
          "--case NAME OUT.gguf\n",
          stderr);
    return 2;
}
