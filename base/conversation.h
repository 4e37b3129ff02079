// base/conversation.h
// SPDX-License-Identifier: MIT
//
// The plain value types that ui, engine and sessions exchange. No functions: each room
// owns the memory of the values it hands out and says how long they live.
#ifndef ORIEL_BASE_CONVERSATION_H
#define ORIEL_BASE_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum part_kind { PART_TEXT, PART_IMAGE };

// One piece of a message; text and images may alternate freely.
struct part {
    enum part_kind kind;
    const char *text; // PART_TEXT: UTF-8, NUL-terminated
    size_t text_len;
    const char *image_path; // PART_IMAGE: where the original bytes are
    const char *image_hash; // PART_IMAGE: SHA-256 of the original bytes, hexadecimal
    const char
        *image_name; // PART_IMAGE: what the person calls it, usually the file's name
};

struct message {
    enum role role;
    const struct part *parts;
    size_t part_count;
};

struct conversation {
    const struct message *messages;
    size_t message_count;
};

struct logit_bias {
    uint32_t token;
    float bias; // added to the logit; -INFINITY forbids the token
};

enum constraint_kind { CONSTRAINT_NONE, CONSTRAINT_GBNF, CONSTRAINT_JSON_SCHEMA };

// How to generate. generation_settings_default in engine.h fills it with the defaults.
struct generation_settings {
    uint32_t max_tokens; // 0: until the model ends or the context is full
    uint64_t seed;
    float temperature;        // 0: greedy
    uint32_t top_k;           // 0: off
    float top_p;              // 1: off
    float min_p;              // 0: off
    float typical_p;          // 1: off
    float repetition_penalty; // 1: off (arXiv:1909.05858)
    float presence_penalty;   // 0: off
    float frequency_penalty;  // 0: off
    uint32_t penalty_last_n;  // tokens looked at by the three penalties
    float dry_multiplier;     // 0: off
    float dry_base;
    uint32_t dry_allowed_length;
    uint32_t dry_last_n;     // tokens looked at by DRY
    const char *const *stop; // strings that end the reply and are not part of it
    size_t stop_count;
    const struct logit_bias *biases;
    size_t bias_count;
    enum constraint_kind constraint;
    const char *constraint_text; // GBNF grammar or JSON schema
    uint32_t top_logprobs;       // how many alternatives to report per token, 0 to 20
};

enum stop_reason {
    STOP_NONE,      // still going
    STOP_END,       // the model ended its turn
    STOP_STRING,    // a stop string was produced
    STOP_LENGTH,    // max_tokens
    STOP_CONTEXT,   // the context is full
    STOP_CANCELLED, // the person stopped it
    STOP_ERROR,
};

struct token_logprob {
    uint32_t id;
    float logprob; // natural logarithm, of the model's own distribution (before sampling)
};

// One generated token. text is what became visible by it: whole UTF-8 characters only, so
// it may be empty or hold the end of earlier tokens.
struct token_event {
    uint32_t id;
    float logprob;
    const char *text;
    size_t text_len;
    const struct token_logprob *top; // most probable first
    size_t top_count;
    int64_t time_ns; // since generation began
};

#endif
