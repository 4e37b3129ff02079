// tests/fuzz/fuzz_wire.c
// SPDX-License-Identifier: MIT
//
// A stream of frames from the other process, and every value that may be in their bodies.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "app/messages.h"
#include "app/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_body(const json_t *body)
{
    struct err err = { 0 };
    struct token_message token;
    struct settings_message settings;
    struct conversation_message conversation;
    struct engine_info info;
    struct engine_result result;

    token_message_init(&token);
    if (token_message_read(&token, body, &err))
        json_decref(token_json(&token.event));
    token_message_release(&token);
    settings_message_read(&settings, body, &err);
    settings_message_release(&settings);
    if (conversation_message_read(&conversation, body, &err))
        json_decref(conversation_json(&conversation.conversation));
    conversation_message_release(&conversation);
    info_read(&info, body, &err);
    result_read(&result, body, &err);
    wire_read_error(body, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    struct err err = { 0 };
    size_t used;

    while (wire_parse((const char *)data, size, &used, &message, &err) == WIRE_MESSAGE) {
        read_body(message.body);
        wire_message_release(&message);
        data += used;
        size -= used;
    }
    return 0;
}
