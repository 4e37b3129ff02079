// engine/format/gguf_rules.c
// SPDX-License-Identifier: MIT
//
// What well-known keys must be, whatever the model: type, range, and lengths that agree.
// Code that divides, multiplies, indexes or allocates with them later can rely on it. A
// key that is missing is not this room's business: the architecture knows what it needs.
//
// The ranges are wide on purpose (several times what any published model has), but small
// enough that products of two of them stay far from 2^63.
#include "engine/format/gguf_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARCHITECTURE_MAX 64
#define PIXELS_MAX       (16u << 20) // of one picture; so at most 4,096 patches a side
#define TOKEN_TYPE_BYTE  6

enum rule_kind {
    RULE_INTEGER,      // min <= value <= max
    RULE_PER_LAYER,    // an integer, or an array of integers, one per layer
    RULE_POSITIVE,     // a finite number > 0
    RULE_NOT_NEGATIVE, // a finite number >= 0
    RULE_BOOL,
    RULE_STRING,
    RULE_STRINGS,   // array of strings
    RULE_TOKEN_ID,  // an integer less than the number of tokens
    RULE_TOKEN_F32, // array of f32, one per token
    RULE_TOKEN_I32, // array of i32, one per token
    RULE_THREE_F32, // array of three f32: one per colour
};

struct rule {
    const char *key; // a leading '.' stands for the value of general.architecture
    enum rule_kind kind;
    uint64_t min, max;
};

static const struct rule rules[] = {
    { "general.architecture", RULE_STRING, 0, 0 },
    { ".block_count", RULE_INTEGER, 1, 1024 },
    { ".context_length", RULE_INTEGER, 1, 1 << 26 },
    { ".embedding_length", RULE_INTEGER, 1, 1 << 20 },
    { ".vocab_size", RULE_INTEGER, 1, 1 << 24 },
    { ".feed_forward_length", RULE_PER_LAYER, 0, 1 << 24 },
    { ".attention.head_count", RULE_PER_LAYER, 0, 1 << 16 },
    { ".attention.head_count_kv", RULE_PER_LAYER, 0, 1 << 16 },
    { ".attention.key_length", RULE_INTEGER, 1, 1 << 16 },
    { ".attention.value_length", RULE_INTEGER, 1, 1 << 16 },
    { ".attention.sliding_window", RULE_INTEGER, 0, UINT32_MAX },
    { ".attention.layer_norm_epsilon", RULE_NOT_NEGATIVE, 0, 0 },
    { ".attention.layer_norm_rms_epsilon", RULE_NOT_NEGATIVE, 0, 0 },
    { ".rope.dimension_count", RULE_INTEGER, 0, 1 << 16 },
    { ".rope.freq_base", RULE_POSITIVE, 0, 0 },
    { ".rope.scaling.factor", RULE_NOT_NEGATIVE, 0, 0 },
    { ".expert_count", RULE_INTEGER, 0, 1 << 16 },
    { ".expert_used_count", RULE_INTEGER, 0, 1 << 16 },

    { "clip.projector_type", RULE_STRING, 0, 0 },
    { "clip.has_vision_encoder", RULE_BOOL, 0, 0 },
    { "clip.vision.block_count", RULE_INTEGER, 0, 1024 },
    { "clip.vision.embedding_length", RULE_INTEGER, 1, 1 << 20 },
    { "clip.vision.feed_forward_length", RULE_INTEGER, 0, 1 << 24 },
    { "clip.vision.projection_dim", RULE_INTEGER, 0, 1 << 20 },
    { "clip.vision.attention.head_count", RULE_INTEGER, 1, 1 << 16 },
    { "clip.vision.attention.layer_norm_epsilon", RULE_NOT_NEGATIVE, 0, 0 },
    { "clip.vision.image_size", RULE_INTEGER, 1, 16384 },
    { "clip.vision.patch_size", RULE_INTEGER, 1, 4096 },
    { "clip.vision.image_min_pixels", RULE_INTEGER, 0, PIXELS_MAX },
    { "clip.vision.image_max_pixels", RULE_INTEGER, 0, PIXELS_MAX },
    { "clip.vision.spatial_merge_size", RULE_INTEGER, 1, 64 },
    { "clip.vision.n_wa_pattern", RULE_INTEGER, 0, 1024 },
    { "clip.vision.window_size", RULE_INTEGER, 0, 1 << 16 },
    { "clip.vision.projector.scale_factor", RULE_INTEGER, 1, 64 },
    { "clip.vision.image_mean", RULE_THREE_F32, 0, 0 },
    { "clip.vision.image_std", RULE_THREE_F32, 0, 0 },

    { "tokenizer.chat_template", RULE_STRING, 0, 0 },
    { "tokenizer.chat_templates", RULE_STRINGS, 0, 0 },
    { "tokenizer.ggml.model", RULE_STRING, 0, 0 },
    { "tokenizer.ggml.pre", RULE_STRING, 0, 0 },
    { "tokenizer.ggml.tokens", RULE_STRINGS, 0, 0 },
    { "tokenizer.ggml.merges", RULE_STRINGS, 0, 0 },
    { "tokenizer.ggml.scores", RULE_TOKEN_F32, 0, 0 },
    { "tokenizer.ggml.token_type", RULE_TOKEN_I32, 0, 0 },
    { "tokenizer.ggml.add_bos_token", RULE_BOOL, 0, 0 },
    { "tokenizer.ggml.add_eos_token", RULE_BOOL, 0, 0 },
    { "tokenizer.ggml.add_sep_token", RULE_BOOL, 0, 0 },
    { "tokenizer.ggml.add_space_prefix", RULE_BOOL, 0, 0 },
    { "tokenizer.ggml.remove_extra_whitespaces", RULE_BOOL, 0, 0 },
    { "tokenizer.ggml.bos_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.eos_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.eot_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.eom_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.unknown_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.seperator_token_id", RULE_TOKEN_ID, 0, 0 }, // the format's spelling
    { "tokenizer.ggml.padding_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.cls_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.mask_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_pre_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_suf_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_mid_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_pad_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_rep_token_id", RULE_TOKEN_ID, 0, 0 },
    { "tokenizer.ggml.fim_sep_token_id", RULE_TOKEN_ID, 0, 0 },
};

// What the rules are checked against.
struct facts {
    const struct gguf *gguf;
    char architecture[ARCHITECTURE_MAX];
    struct gguf_array tokens; // count 0 when there are none
};

// "key 'x', byte 40: ..."
__attribute__((format(printf, 3, 4))) static bool
refuse(const struct gguf_entry *entry, struct err *err, const char *format, ...)
{
    char reason[256];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    return err_set(err, ERR_FORMAT, "key '%.80s', byte %zu: %s", entry->name, entry->at,
                   reason);
}

static bool check_integer(const struct facts *facts, const struct gguf_entry *entry,
                          const struct rule *rule, struct err *err)
{
    uint64_t value = 0;

    if (!gguf_get_u64(facts->gguf, entry->name, &value, err))
        return false;
    if (value < rule->min || value > rule->max)
        return refuse(entry, err, "%" PRIu64 " is not between %" PRIu64 " and %" PRIu64,
                      value, rule->min, rule->max);
    return true;
}

// Integers of any type, as one value or as an array of at most 1,024.
static bool check_per_layer(const struct facts *facts, const struct gguf_entry *entry,
                            const struct rule *rule, struct err *err)
{
    const struct gguf_array *value = &entry->value;

    if (!entry->is_array)
        return check_integer(facts, entry, rule, err);
    if (value->type == GGUF_STRING || value->type == GGUF_BOOL ||
        value->type == GGUF_F32 || value->type == GGUF_F64)
        return refuse(entry, err, "must be integers, but is an array of %ss",
                      gguf_type_name(value->type));
    if (value->count < 1 || value->count > 1024)
        return refuse(entry, err,
                      "%" PRIu64 " values are not one for each of 1 to 1024 layers",
                      value->count);
    for (uint64_t i = 0; i < value->count; i++) {
        uint64_t number = gguf_array_u64(value, i); // negative ones become huge

        if (number < rule->min || number > rule->max)
            return refuse(entry, err,
                          "the value of layer %" PRIu64 " is not between %" PRIu64
                          " and %" PRIu64,
                          i, rule->min, rule->max);
    }
    return true;
}

static bool check_number(const struct facts *facts, const struct gguf_entry *entry,
                         const struct rule *rule, struct err *err)
{
    double value = 0;

    if (!gguf_get_f64(facts->gguf, entry->name, &value, err))
        return false;
    if (value < 0 || (value <= 0 && rule->kind == RULE_POSITIVE))
        return refuse(entry, err, "%g is not %s", value,
                      rule->kind == RULE_POSITIVE ? "positive" : "zero or more");
    return true;
}

static bool check_count(const struct facts *facts, const struct gguf_entry *entry,
                        enum gguf_type type, uint64_t count, const char *what,
                        struct err *err)
{
    struct gguf_array array;

    if (!gguf_get_array(facts->gguf, entry->name, type, &array, err))
        return false;
    if (array.count != count)
        return refuse(entry, err, "%" PRIu64 " values, but there are %" PRIu64 " %s",
                      array.count, count, what);
    return true;
}

static bool check_rule(const struct facts *facts, const struct gguf_entry *entry,
                       const struct rule *rule, struct err *err)
{
    const struct rule token_id = { rule->key, RULE_INTEGER, 0, facts->tokens.count - 1 };
    uint64_t tokens = facts->tokens.count;
    struct gguf_string string;
    struct gguf_array array;
    bool flag;

    switch (rule->kind) {
    case RULE_INTEGER:
        return check_integer(facts, entry, rule, err);
    case RULE_PER_LAYER:
        return check_per_layer(facts, entry, rule, err);
    case RULE_POSITIVE:
    case RULE_NOT_NEGATIVE:
        return check_number(facts, entry, rule, err);
    case RULE_BOOL:
        return gguf_get_bool(facts->gguf, entry->name, &flag, err);
    case RULE_STRING:
        return gguf_get_string(facts->gguf, entry->name, &string, err);
    case RULE_STRINGS:
        return gguf_get_array(facts->gguf, entry->name, GGUF_STRING, &array, err);
    case RULE_TOKEN_ID:
        if (tokens == 0)
            return refuse(entry, err, "names a token, but there are no tokens");
        return check_integer(facts, entry, &token_id, err);
    case RULE_TOKEN_F32:
        return check_count(facts, entry, GGUF_F32, tokens, "tokens", err);
    case RULE_TOKEN_I32:
        return check_count(facts, entry, GGUF_I32, tokens, "tokens", err);
    case RULE_THREE_F32:
        return check_count(facts, entry, GGUF_F32, 3, "colours", err);
    }
    return true;
}

// NULL if the file has no such key.
static const struct gguf_entry *find(const struct facts *facts, const char *key)
{
    char full[ARCHITECTURE_MAX + 64];

    snprintf(full, sizeof(full), "%s%s", key[0] == '.' ? facts->architecture : "", key);
    return gguf_part_find(&facts->gguf->parts[0], full);
}

static bool learn(struct facts *facts, struct err *err)
{
    struct gguf_string architecture = { "", 0 };

    if (!gguf_get_string(facts->gguf, "general.architecture", &architecture, err) ||
        !gguf_get_array(facts->gguf, "tokenizer.ggml.tokens", GGUF_STRING, &facts->tokens,
                        err))
        return false;
    if (architecture.len >= sizeof(facts->architecture))
        return refuse(find(facts, "general.architecture"), err,
                      "the name is longer than %zu bytes",
                      sizeof(facts->architecture) - 1);
    memcpy(facts->architecture, architecture.bytes, architecture.len);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_byte_token(const struct gguf_string *text)
{
    return text->len == 6 && memcmp(text->bytes, "<0x", 3) == 0 &&
           text->bytes[5] == '>' && hex_digit(text->bytes[3]) >= 0 &&
           hex_digit(text->bytes[4]) >= 0;
}

// A token of type "byte" is spelled "<0x0A>": exactly two digits.
static bool check_byte_tokens(const struct facts *facts, struct err *err)
{
    const struct gguf_entry *tokens = find(facts, "tokenizer.ggml.tokens");
    struct gguf_array types = { .count = 0 };

    if (!gguf_get_array(facts->gguf, "tokenizer.ggml.token_type", GGUF_I32, &types, err))
        return false;
    for (uint64_t i = 0; i < types.count; i++) {
        if (gguf_array_i64(&types, i) == TOKEN_TYPE_BYTE &&
            !is_byte_token(&facts->tokens.strings[i]))
            return refuse(tokens, err,
                          "token %" PRIu64
                          " has the type of a byte, but is not like \"<0x0A>\"",
                          i);
    }
    return true;
}

// The normalisation table of SentencePiece: u32 size of a trie of u32, then strings.
static bool check_charsmap(const struct facts *facts, struct err *err)
{
    const struct gguf_entry *entry = find(facts, "tokenizer.ggml.precompiled_charsmap");
    uint64_t trie;

    if (entry == NULL)
        return true;
    if (!entry->is_array ||
        (entry->value.type != GGUF_U8 && entry->value.type != GGUF_I8))
        return refuse(entry, err, "must be an array of bytes");
    if (entry->value.count < 4)
        return refuse(entry, err, "%" PRIu64 " bytes are too short", entry->value.count);
    trie = gguf_load(entry->value.bytes, 4);
    if (trie % 4 != 0 || trie > entry->value.count - 4)
        return refuse(entry, err,
                      "a trie of %" PRIu64 " bytes does not fit into %" PRIu64, trie,
                      entry->value.count);
    return true;
}

// Numbers that others divide by or into. Zero stands for a missing key.
static uint64_t integer(const struct facts *facts, const char *key)
{
    const struct gguf_entry *entry = find(facts, key);

    if (entry == NULL || entry->is_array)
        return 0;
    return gguf_array_u64(&entry->value, 0); // check_rule has seen that it is an integer
}

static bool check_heads(const struct facts *facts, struct err *err)
{
    uint64_t heads = integer(facts, ".attention.head_count");
    uint64_t groups = integer(facts, ".attention.head_count_kv");
    uint64_t width = integer(facts, ".embedding_length");

    if (heads > 0 && groups > 0 && heads % groups != 0)
        return refuse(find(facts, ".attention.head_count_kv"), err,
                      "%" PRIu64 " heads cannot share %" PRIu64 " evenly", heads, groups);
    if (heads > 0 && width % heads != 0 && find(facts, ".attention.key_length") == NULL)
        return refuse(find(facts, ".attention.head_count"), err,
                      "a width of %" PRIu64 " cannot be split into %" PRIu64 " heads",
                      width, heads);
    return true;
}

static bool check_experts(const struct facts *facts, struct err *err)
{
    const struct gguf_entry *used = find(facts, ".expert_used_count");

    if (used != NULL &&
        integer(facts, ".expert_used_count") > integer(facts, ".expert_count"))
        return refuse(used, err, "%" PRIu64 " experts of %" PRIu64 " cannot be used",
                      integer(facts, ".expert_used_count"),
                      integer(facts, ".expert_count"));
    return true;
}

static bool check_patches(const struct facts *facts, struct err *err)
{
    uint64_t side = integer(facts, "clip.vision.image_size");
    uint64_t patch = integer(facts, "clip.vision.patch_size");

    if (side * side > PIXELS_MAX)
        return refuse(find(facts, "clip.vision.image_size"), err,
                      "pictures of %" PRIu64 " x %" PRIu64 " pixels are too large", side,
                      side);
    if (side > 0 && patch > side)
        return refuse(find(facts, "clip.vision.patch_size"), err,
                      "%" PRIu64 " does not fit a picture of %" PRIu64, patch, side);
    return true;
}

// Every token must have its row.
static bool check_embedding(const struct facts *facts, struct err *err)
{
    const struct gguf_tensor *tensor = gguf_find(facts->gguf, "token_embd.weight");
    uint64_t width = integer(facts, ".embedding_length");
    const struct gguf_entry *tokens = find(facts, "tokenizer.ggml.tokens");

    if (tensor == NULL)
        return true;
    if (width > 0 && tensor->shape[0] != width)
        return refuse(find(facts, ".embedding_length"), err,
                      "is %" PRIu64
                      ", but rows of tensor 'token_embd.weight' have %" PRIu64,
                      width, tensor->shape[0]);
    if (facts->tokens.count > tensor->shape[1])
        return refuse(tokens, err,
                      "%" PRIu64 " tokens, but tensor 'token_embd.weight' has %" PRIu64
                      " rows",
                      facts->tokens.count, tensor->shape[1]);
    return true;
}

bool gguf_check_rules(const struct gguf *gguf, struct err *err)
{
    struct facts facts = { .gguf = gguf };

    if (!learn(&facts, err))
        return false;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct gguf_entry *entry = find(&facts, rules[i].key);

        if (entry != NULL && !check_rule(&facts, entry, &rules[i], err))
            return false;
    }
    return check_byte_tokens(&facts, err) && check_charsmap(&facts, err) &&
           check_heads(&facts, err) && check_experts(&facts, err) &&
           check_patches(&facts, err) && check_embedding(&facts, err);
}
