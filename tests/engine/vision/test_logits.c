// tests/engine/vision/test_logits.c
// SPDX-License-Identifier: MIT
//
// Encoder and decoder together, on every Vulkan device of the machine, against
// `transformers`: the logits after a prompt with two pictures among its tokens, after the
// same with the pictures exchanged, and with the first one turned by 90 degrees. A model
// that did not look would give the same logits each time, so what counts is also how they
// change. The plain prompt is run once more in pieces, which tests what stays in the
// caches.
#include "tests/tap.h"

#include "base/alloc.h"
#include "engine/model/decoder.h"
#include "engine/vision/encoder.h"
#include "tests/engine/every_gpu.h"
#include "tests/engine/vision/golden_pair.h"

// Of the logits, and of their difference to those of the plain prompt (which is smaller,
// at least a twelfth of them). With an exact cache only the order of sums differs: by
// 3e-6 and 1e-5, measured.
#define TOLERANCE        2e-5
#define CHANGE_TOLERANCE 1e-4
#define LEAST_CHANGE     0.05

#define CONTEXT 512
#define LAST    3 // tokens that are forgotten and run again

// A prompt as the decoder takes it.
struct sequence {
    uint32_t tokens[CONTEXT];
    struct decoder_picture pictures[GOLDEN_ITEMS];
    size_t count, picture_count;
    float *embeddings[2]; // own
};

static uint32_t embedding_count(const struct golden_prompt *prompt, uint32_t picture)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < prompt->item_count; i++) {
        const struct golden_item *item = &prompt->items[i];

        if (item->count > 0 && item->picture == picture)
            count = item->first + item->count > count ? item->first + item->count : count;
    }
    return count;
}

static bool encode(struct vision_encoder *encoder, const struct golden_prompt *prompt,
                   struct sequence *sequence, struct err *err)
{
    bool ok = true;

    for (uint32_t i = 0; ok && i < 2; i++) {
        uint32_t count = embedding_count(prompt, i);
        struct vision_input input;

        golden_input_init(&prompt->pictures[i], count, &input);
        sequence->embeddings[i] = alloc_array(
            (size_t)count * vision_encoder_output_width(encoder), sizeof(float));
        ok = vision_encode(encoder, &input, sequence->embeddings[i], NULL, NULL, NULL,
                           err);
        golden_input_release(&input);
    }
    return ok;
}

// Lays tokens and runs of embeddings out. identity: of the prompt's first run.
static void lay_out(const struct golden_pair *pair, const struct golden_prompt *prompt,
                    uint32_t width, uint64_t identity, struct sequence *sequence)
{
    for (uint32_t i = 0; i < prompt->item_count; i++) {
        const struct golden_item *item = &prompt->items[i];

        if (item->count == 0) {
            sequence->tokens[sequence->count++] = item->token;
            continue;
        }
        sequence->pictures[sequence->picture_count++] = (struct decoder_picture){
            .first = sequence->count,
            .count = item->count,
            .embeddings =
                sequence->embeddings[item->picture] + (size_t)item->first * width,
            .deepstack = pair->params.deepstack_count,
            .identity = identity++,
            .rows = item->rows,
            .columns = item->columns,
            .bidirectional = pair->params.projector == PROJECTOR_GEMMA3,
        };
        sequence->count += item->count;
    }
}

static bool keep_logits(void *user, const struct decoder_logits *logits)
{
    memcpy(user, logits->values, logits->count * sizeof(float));
    return true;
}

// The tokens [from, to) of a sequence in one pass; pictures lie in it whole.
static bool pass(struct decoder *decoder, const struct sequence *sequence, size_t from,
                 size_t to, float *logits, struct err *err)
{
    size_t first = 0, count = 0;

    while (first < sequence->picture_count && sequence->pictures[first].first < from)
        first++;
    while (first + count < sequence->picture_count &&
           sequence->pictures[first + count].first < to)
        count++;
    return decoder_run(decoder,
                       &(struct decoder_pass){ .tokens = sequence->tokens + from,
                                               .count = (uint32_t)(to - from),
                                               .pictures = sequence->pictures + first,
                                               .picture_count = count,
                                               .on_logits = keep_logits,
                                               .user = logits },
                       err);
}

// Each token and each run of embeddings in a pass of its own, and the last tokens once
// more after they were forgotten.
static bool run_in_pieces(struct decoder *decoder, const struct sequence *sequence,
                          float *logits, struct err *err)
{
    const struct decoder_picture *picture = sequence->pictures;
    bool ok = true;

    for (size_t at = 0, end; ok && at < sequence->count; at = end) {
        end = at + 1;
        if (picture < sequence->pictures + sequence->picture_count &&
            picture->first == at)
            end = at + picture++->count;
        ok = pass(decoder, sequence, at, end, logits, err);
    }
    if (ok)
        decoder_truncate(decoder, (uint32_t)sequence->count - LAST);
    return ok &&
           pass(decoder, sequence, sequence->count - LAST, sequence->count, logits, err);
}

// The last logits of a prompt.
static bool run(struct decoder *decoder, struct vision_encoder *encoder,
                const struct golden_pair *pair, const struct golden_prompt *prompt,
                bool in_pieces, float *logits, struct err *err)
{
    struct sequence sequence = { .count = 0 };
    bool ok = encode(encoder, prompt, &sequence, err);

    if (ok) {
        lay_out(pair, prompt, vision_encoder_output_width(encoder),
                (uint64_t)(uintptr_t)prompt, &sequence);
        decoder_truncate(decoder, 0);
        ok = in_pieces ? run_in_pieces(decoder, &sequence, logits, err)
                       : pass(decoder, &sequence, 0, sequence.count, logits, err);
    }
    free(sequence.embeddings[0]);
    free(sequence.embeddings[1]);
    return ok;
}

static void subtract(float *values, const float *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] -= others[i];
}

// How the logits change from the plain prompt to this one: ours and the reference's.
static void check_change(const struct golden_prompt *plain,
                         const struct golden_prompt *prompt, const float *plain_logits,
                         const float *logits, const char *device)
{
    size_t count = plain->vocabulary;
    float *got = alloc_array(count, sizeof(*got)),
          *want = alloc_array(count, sizeof(*want));

    memcpy(got, logits, count * sizeof(*got));
    memcpy(want, prompt->logits, count * sizeof(*want));
    subtract(got, plain_logits, count);
    subtract(want, plain->logits, count);
    double change = closeness(prompt->logits, plain->logits, count).error;
    double error = closeness(got, want, count).error;
    printf("# %s on %s: %s changes the logits by %.3f, relative error of that %.1e\n",
           plain->family, device, prompt->name, change, error);
    CHECK(change >= LEAST_CHANGE);
    CHECK(error <= CHANGE_TOLERANCE);
    free(got);
    free(want);
}

static void check_prompts(const struct golden_pair *pair, struct decoder *decoder,
                          struct vision_encoder *encoder,
                          const struct golden_prompt *prompts, const char *device)
{
    size_t count = prompts->vocabulary;
    float *plain = alloc_array(count, sizeof(*plain));
    float *logits = alloc_array(count, sizeof(*logits));
    struct err err = { .code = ERR_NONE };

    for (size_t i = 0; i < 4; i++) {
        const struct golden_prompt *prompt = &prompts[i % 3]; // the plain one once more
        float *at = i == 0 ? plain : logits;
        bool ok = run(decoder, encoder, pair, prompt, i == 3, at, &err);
        double error = ok ? closeness(at, prompt->logits, count).error : (double)NAN;

        printf("# %s on %s: %s%s, relative error %.1e %s\n", prompts->family, device,
               prompt->name, i == 3 ? " in pieces" : "", error, err.text);
        CHECK(error <= TOLERANCE);
        if (ok && (i == 1 || i == 2))
            check_change(&prompts[0], prompt, plain, logits, device);
    }
    free(plain);
    free(logits);
}

static void check_device(const struct golden_pair *pair,
                         const struct golden_prompt *prompts, struct gpu *gpu)
{
    struct decoder_params params = { .gpu = gpu,
                                     .gguf = pair->language,
                                     .context = CONTEXT,
                                     .exact_cache = true,
                                     .together = 64 };
    struct err err = { .code = ERR_NONE };
    struct decoder *decoder = decoder_create(&params, &err);
    struct vision_encoder *encoder =
        decoder != NULL
            ? vision_encoder_create(gpu, pair->projector, &pair->params, NULL, NULL, &err)
            : NULL;

    if (encoder != NULL)
        check_prompts(pair, decoder, encoder, prompts, gpu_traits(gpu)->name);
    else if (err.code == ERR_UNSUPPORTED)
        tap_skip("%s", err.text);
    else
        printf("# %s: %s\n", prompts->family, err.text);
    CHECK(encoder != NULL || err.code == ERR_UNSUPPORTED);
    vision_encoder_destroy(&encoder);
    decoder_destroy(&decoder);
}

// The family's prompts follow one another: plain, exchanged, turned.
static const struct golden_prompt *find_prompts(const struct goldens *goldens,
                                                const char *family)
{
    for (size_t i = 0; i + 3 <= goldens->prompt_count; i++) {
        if (strcmp(goldens->prompts[i].family, family) == 0)
            return &goldens->prompts[i];
    }
    return NULL;
}

static void check_family(const char *family)
{
    struct vision_recipe recipe = { .family = family, .type = QUANT_F16, .seed = 1 };
    struct err err = { .code = ERR_NONE };
    struct goldens goldens;
    struct golden_pair pair;
    struct gpu *gpus[EVERY_GPU_MAX];
    size_t gpu_count = every_gpu_open(gpus, "", &err);
    const struct golden_prompt *prompts =
        golden_read_all(&goldens) ? find_prompts(&goldens, family) : NULL;
    bool ok = golden_pair_open(&pair, &recipe, &err);

    CHECK(ok && prompts != NULL);
    if (gpu_count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t i = 0; ok && prompts != NULL && i < gpu_count; i++)
        check_device(&pair, prompts, gpus[i]);
    golden_pair_close(&pair);
    every_gpu_close(gpus, gpu_count);
    goldens_release(&goldens);
}

#define CASE(function, family, name)                                                     \
    static void function(void)                                                           \
    {                                                                                    \
        check_family(family);                                                            \
    }
GOLDEN_FAMILIES(CASE)

#define SENTENCE(function, family, name)                                                 \
    { name " goes on as the reference does", function },

static const struct test tests[] = { GOLDEN_FAMILIES(SENTENCE) };

TAP_MAIN(tests)
