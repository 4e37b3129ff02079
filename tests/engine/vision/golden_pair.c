// tests/engine/vision/golden_pair.c
// SPDX-License-Identifier: MIT
#include "tests/engine/vision/golden_pair.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"

bool golden_pair_open(struct golden_pair *pair, const struct vision_recipe *recipe,
                      struct err *err)
{
    char folder[] = "/tmp/oriel-vision-XXXXXX";

    *pair = (struct golden_pair){ .language = NULL };
    if (mkdtemp(folder) == NULL)
        return err_set(err, ERR_IO, "cannot make a folder in /tmp");
    char *language = alloc_printf("%s/language.gguf", folder);
    char *projector = alloc_printf("%s/projector.gguf", folder);
    if (vision_generate(recipe, language, projector, err) &&
        (pair->language = gguf_open(language, err)) != NULL)
        pair->projector = gguf_open(projector, err);
    unlink(language);
    unlink(projector);
    rmdir(folder);
    free(language);
    free(projector);
    return pair->projector != NULL &&
           vision_params_read(pair->projector, &pair->params, err);
}

void golden_pair_close(struct golden_pair *pair)
{
    gguf_close(&pair->language);
    gguf_close(&pair->projector);
}

bool golden_read_all(struct goldens *goldens)
{
    const char *top = getenv("top_srcdir");
    char *folder = alloc_printf("%s/tests/golden/vision", top != NULL ? top : ".");
    struct err err = { .code = ERR_NONE };
    bool ok = goldens_read(folder, goldens, &err);

    if (!ok)
        printf("# %s\n", err.text);
    free(folder);
    return ok;
}

struct closeness closeness(const float *got, const float *want, size_t count)
{
    double product = 0, got_size = 0, want_size = 0, difference = 0;

    for (size_t i = 0; i < count; i++) {
        double g = (double)got[i], w = (double)want[i];

        product += g * w;
        got_size += g * g;
        want_size += w * w;
        difference += (g - w) * (g - w);
    }
    return (struct closeness){ .cosine = product / sqrt(got_size * want_size),
                               .error = sqrt(difference / want_size) };
}

void closeness_worst(struct closeness *worst, struct closeness found)
{
    if (!isnan(worst->cosine) && !(found.cosine >= worst->cosine))
        worst->cosine = found.cosine;
    if (!isnan(worst->error) && !(found.error <= worst->error))
        worst->error = found.error;
}
