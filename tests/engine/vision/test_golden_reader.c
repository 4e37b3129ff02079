// tests/engine/vision/test_golden_reader.c
// SPDX-License-Identifier: MIT
#include "tests/tap.h"

#include "tests/engine/vision/golden_pair.h"

static void every_family_has_goldens(void)
{
    struct goldens goldens;
    bool ok = golden_read_all(&goldens);

    CHECK(ok);
    for (size_t i = 0; ok && i < vision_family_count(); i++) {
        size_t cases = 0;

        for (size_t j = 0; j < goldens.case_count; j++) {
            const struct golden_case *at = &goldens.cases[j];

            if (strcmp(at->family, vision_family_at(i)) == 0)
                cases += at->embeddings != NULL && at->picture.tile_count > 0;
        }
        printf("# %s: %zu cases\n", vision_family_at(i), cases);
        CHECK(cases >= 4);
    }
    goldens_release(&goldens);
}

static void every_prompt_ends_in_logits(void)
{
    struct goldens goldens;
    bool ok = golden_read_all(&goldens);

    CHECK(ok && goldens.prompt_count == 3 * vision_family_count());
    for (size_t i = 0; ok && i < goldens.prompt_count; i++) {
        CHECK_INT(goldens.prompts[i].picture_count, 2);
        CHECK(goldens.prompts[i].item_count > 15);
        CHECK(goldens.prompts[i].logits != NULL);
    }
    goldens_release(&goldens);
}

// Numbers that golden_inputs.py printed for single(2, 84, 56, turned=True).
static void tiles_are_those_of_the_script(void)
{
    static const float first[] = { -0.609375F, -1.21875F, 1.5F, 1.015625F };
    static const float last[] = { 1.15625F, 0.09375F, -0.03125F, 1.546875F };
    struct golden_picture picture = {
        .tiles = { { .seed = 2, .width = 56, .height = 84, .turned = 56 } },
        .tile_count = 1,
        .original_width = 56,
        .original_height = 84,
    };
    struct vision_input input;

    golden_input_init(&picture, 0, &input);
    CHECK_INT(memcmp(input.tiles[0].values, first, sizeof(first)), 0);
    CHECK_INT(memcmp(input.tiles[0].values + (size_t)3 * 56 * 84 - 4, last, sizeof(last)),
              0);
    CHECK_INT(input.fitted_width, 56);
    golden_input_release(&input);
}

static void a_picture_is_fitted_into_its_tiles(void)
{
    struct golden_picture picture = {
        .tiles = { { .width = 56, .height = 56 } },
        .tile_count = 1,
        .grid_rows = 2,
        .grid_columns = 1,
        .original_width = 40,
        .original_height = 100,
    };
    struct vision_input input;

    golden_input_init(&picture, 0, &input);
    CHECK_INT(input.fitted_width, 45); // 44.8
    CHECK_INT(input.fitted_height, 112);
    golden_input_release(&input);
}

static const struct test tests[] = {
    { "every family has goldens", every_family_has_goldens },
    { "every prompt ends in logits", every_prompt_ends_in_logits },
    { "tiles are those of the script", tiles_are_those_of_the_script },
    { "a picture is fitted into its tiles", a_picture_is_fitted_into_its_tiles },
};

TAP_MAIN(tests)
