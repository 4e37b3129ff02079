// tests/fuzz/fuzz_gguf.c
// SPDX-License-Identifier: MIT
//
// Any bytes as a GGUF file: open it, and if it is accepted use all that it promises.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/utf8.h"
#include "engine/format/gguf.h"
#include "engine/format/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void use_metadata(const struct gguf *gguf, size_t index)
{
    const char *key = gguf_key_at(gguf, index);
    struct gguf_string string = { NULL, 0 };
    struct gguf_array array = { .count = 0 };
    struct err err = { .code = ERR_NONE };
    uint64_t integer = 0;
    double number = 0;
    bool flag = false;
    char text[40];

    require(gguf_has(gguf, key));
    gguf_describe_value(gguf, index, text, sizeof(text));
    require(utf8_valid(text, strlen(text)));
    gguf_get_u64(gguf, key, &integer, &err);
    gguf_get_f64(gguf, key, &number, &err);
    gguf_get_bool(gguf, key, &flag, &err);
    if (gguf_get_string(gguf, key, &string, &err))
        require(utf8_valid(string.bytes, string.len));
    for (enum gguf_type type = GGUF_U8; type <= GGUF_F64; type++) {
        if (!gguf_get_array(gguf, key, type, &array, &err) || array.count == 0)
            continue;
        if (type == GGUF_STRING)
            require(utf8_valid(array.strings[array.count - 1].bytes,
                               array.strings[array.count - 1].len));
        else
            gguf_array_f64(&array, array.count - 1);
    }
}

static void use_tensor(const struct gguf *gguf, size_t index)
{
    const struct gguf_tensor *tensor = gguf_tensor_at(gguf, index);
    const struct quant_traits *traits = quant_traits(tensor->type);
    struct err err = { .code = ERR_NONE };
    float values[256];
    uint8_t block[512];
    uint64_t last = tensor->size_bytes - traits->block_bytes;

    require(gguf_find(gguf, tensor->name) == tensor);
    require(gguf_read(gguf, tensor, last, traits->block_bytes, block, &err));
    require(memcmp(block, tensor->bytes + last, traits->block_bytes) == 0);
    quant_dequantise((enum quant_type)tensor->type, tensor->bytes + last,
                     traits->block_values, values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = { .code = ERR_NONE };
    int fd = memfd_create("fuzz_gguf", MFD_CLOEXEC);
    struct gguf *gguf;
    char path[64];

    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    gguf = gguf_open(path, &err);
    require((gguf == NULL) == (err.code != ERR_NONE));
    if (gguf != NULL) {
        for (size_t i = 0; i < gguf_key_count(gguf); i++)
            use_metadata(gguf, i);
        for (size_t i = 0; i < gguf_tensor_count(gguf); i++)
            use_tensor(gguf, i);
        gguf_close(&gguf);
    }
    close(fd);
    return 0;
}
