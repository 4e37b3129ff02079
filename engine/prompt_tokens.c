// engine/prompt_tokens.c
// SPDX-License-Identifier: MIT
//
// From the rendered conversation to tokens and pictures. Where the template has written
// the family's placeholder, or the content that we gave it holds our marker, the
// picture's own markers and embeddings go. Only the template's text can name a special
// token or a placeholder; the marker in contents is a random number that nobody outside
// knows.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/private.h"

// What a picture was given as its number when it was prepared, and the text around it.
#define NUMBER_BEFORE "<image_id>"
#define NUMBER_FIRST  NUMBER_BEFORE "0<"

struct assembly {
    const struct engine *engine;
    char **numbered; // [shown_count] markers with the picture's own number, or NULL
    const struct part **shown; // the conversation's pictures, in order
    size_t shown_count, next;
    struct text_piece *pieces; // not yet tokens
    size_t piece_count, piece_cap;
    struct token_list ids;
    bool begun; // the begin token is there, if the model wants one
    struct engine_prompt *prompt;
    size_t picture_cap;
};

void engine_prompt_release(struct engine_prompt *prompt)
{
    free(prompt->ids);
    free(prompt->pictures);
    *prompt = (struct engine_prompt){ .ids = NULL };
}

// The first place of `needle` in bytes[len], or NULL.
static const char *find(const char *bytes, size_t len, const char *needle)
{
    return memmem(bytes, len, needle, strlen(needle));
}

size_t engine_count_text(const char *bytes, size_t len, const char *needle)
{
    const char *end = bytes + len, *at;
    size_t count = 0;

    while ((at = find(bytes, (size_t)(end - bytes), needle)) != NULL) {
        count++;
        bytes = at + strlen(needle);
    }
    return count;
}

static void add_text(struct assembly *a, const char *text, size_t len, bool special)
{
    if (len == 0)
        return;
    a->pieces = alloc_grow(a->pieces, a->piece_count, &a->piece_cap, sizeof(*a->pieces));
    a->pieces[a->piece_count++] = (struct text_piece){ text, len, special };
}

// What has been gathered becomes tokens.
static bool flush(struct assembly *a, struct err *err)
{
    bool ok = (a->piece_count == 0 && a->begun) ||
              tokenizer_encode(a->engine->tokenizer, a->pieces, a->piece_count, !a->begun,
                               &a->ids, err);

    a->piece_count = 0;
    a->begun = true;
    return ok;
}

static void add_embeddings(struct assembly *a, const char *hash,
                           const struct vision_item *item)
{
    struct engine_prompt *prompt = a->prompt;
    struct prompt_picture *picture;

    prompt->pictures = alloc_grow(prompt->pictures, prompt->picture_count,
                                  &a->picture_cap, sizeof(*prompt->pictures));
    picture = &prompt->pictures[prompt->picture_count++];
    *picture = (struct prompt_picture){ .first = a->ids.count,
                                        .count = item->count,
                                        .offset = item->first,
                                        .rows = item->rows,
                                        .columns = item->columns };
    memcpy(picture->hash, hash, sizeof(picture->hash));
    for (uint32_t i = 0; i < item->count; i++)
        token_list_push(&a->ids, ENGINE_PICTURE_TOKEN);
}

// Some families number the pictures of a prompt (MiniCPM-V).
static const char *number_marker(struct assembly *a, const char *marker)
{
    size_t number = a->next - 1;

    if (strncmp(marker, NUMBER_FIRST, strlen(NUMBER_FIRST)) != 0 || number == 0)
        return marker;
    a->numbered[number] =
        alloc_printf("%s%zu%s", NUMBER_BEFORE, number, marker + strlen(NUMBER_FIRST) - 1);
    return a->numbered[number];
}

static bool add_picture(struct assembly *a, struct err *err)
{
    const struct part *part;
    const struct picture *picture;

    if (a->next == a->shown_count)
        return err_set(err, ERR_FORMAT, "the chat template shows a picture too many");
    part = a->shown[a->next++];
    picture = picture_find(a->engine->pictures, part->image_hash);
    if (picture == NULL)
        return err_set(err, ERR_NOT_FOUND, "%s: the model has not seen this picture yet",
                       part->image_name != NULL ? part->image_name : part->image_path);
    for (size_t i = 0; i < picture->item_count; i++) {
        const struct vision_item *item = &picture->items[i];

        if (item->kind == VISION_MARKER) {
            const char *marker = i == 0 ? number_marker(a, item->marker) : item->marker;

            add_text(a, marker, strlen(marker), true);
            continue;
        }
        if (!flush(a, err))
            return false;
        add_embeddings(a, picture->hash, item);
    }
    return true;
}

// One piece of the rendered text, with a picture at each place of `needle`.
static bool add_piece(struct assembly *a, const char *text, size_t len, bool trusted,
                      const char *needle, struct err *err)
{
    const char *end = text + len, *at;

    while (needle != NULL && (at = find(text, (size_t)(end - text), needle)) != NULL) {
        add_text(a, text, (size_t)(at - text), trusted);
        if (!add_picture(a, err))
            return false;
        text = at + strlen(needle);
    }
    add_text(a, text, (size_t)(end - text), trusted);
    return true;
}

static bool assemble(struct assembly *a, const struct template_output *output,
                     struct err *err)
{
    const struct engine *engine = a->engine;
    const char *placeholder = a->shown_count > 0 && engine->template_takes_pictures
                                  ? engine_picture_placeholder(engine)
                                  : NULL;
    const char *marker = a->shown_count > 0 ? engine->picture_marker : NULL;

    for (size_t i = 0; i < output->piece_count; i++) {
        const struct template_piece *piece = &output->pieces[i];

        if (!add_piece(a, output->text.data + piece->start, piece->len, piece->trusted,
                       piece->trusted ? placeholder : marker, err))
            return false;
    }
    if (a->next < a->shown_count)
        return err_set(err, ERR_FORMAT, "the chat template shows %zu of %zu pictures",
                       a->next, a->shown_count);
    return flush(a, err);
}

static void find_pictures(struct assembly *a, const struct conversation *conversation)
{
    size_t cap = 0;

    for (size_t i = 0; i < conversation->message_count; i++)
        for (size_t k = 0; k < conversation->messages[i].part_count; k++) {
            if (conversation->messages[i].parts[k].kind != PART_IMAGE)
                continue;
            a->shown = alloc_grow(a->shown, a->shown_count, &cap, sizeof(*a->shown));
            a->shown[a->shown_count++] = &conversation->messages[i].parts[k];
        }
}

bool engine_prompt_assemble(const struct engine *engine,
                            const struct conversation *conversation,
                            const struct template_output *output,
                            struct engine_prompt *prompt, struct err *err)
{
    struct assembly a = { .engine = engine, .prompt = prompt };
    bool ok;

    *prompt = (struct engine_prompt){ .ids = NULL };
    find_pictures(&a, conversation);
    a.numbered = alloc_array(a.shown_count, sizeof(*a.numbered));
    ok = assemble(&a, output, err);
    prompt->ids = a.ids.ids;
    prompt->count = a.ids.count;
    if (!ok)
        engine_prompt_release(prompt);
    for (size_t i = 0; i < a.shown_count; i++)
        free(a.numbered[i]);
    free(a.numbered);
    free(a.pieces);
    free(a.shown);
    return ok;
}
