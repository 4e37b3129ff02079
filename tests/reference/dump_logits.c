// tests/reference/dump_logits.c
// SPDX-License-Identifier: MIT
//
// Runs the reference decoder on any model file and writes the logits [tokens][vocabulary]
// as 64-bit floats to standard output, for comparing with a peer by hand:
//     dump_logits MODEL.gguf CONTEXT TOKEN...
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "tests/reference/decoder.h"

static bool dump(const char *path, size_t context, char **texts, size_t count,
                 struct err *err)
{
    struct gguf *gguf = gguf_open(path, err);
    size_t vocabulary = gguf != NULL ? reference_vocabulary(gguf, err) : 0;
    uint32_t *tokens = alloc_array(count, sizeof(*tokens));
    double *logits = alloc_array(count, vocabulary * sizeof(*logits));
    struct reference_options options = { .context = context };

    for (size_t i = 0; i < count; i++)
        tokens[i] = (uint32_t)strtoul(texts[i], NULL, 10);
    bool ok =
        vocabulary != 0 && reference_logits(gguf, tokens, count, &options, logits, err);
    if (ok && fwrite(logits, vocabulary * sizeof(*logits), count, stdout) != count)
        ok = err_set_errno(err, "standard output");
    free(tokens);
    free(logits);
    gguf_close(&gguf);
    return ok;
}

int main(int argc, char **argv)
{
    struct err err = { .code = ERR_NONE };

    if (argc < 4) {
        fputs("usage: dump_logits MODEL.gguf CONTEXT TOKEN...\n", stderr);
        return 2;
    }
    if (dump(argv[1], strtoul(argv[2], NULL, 10), argv + 3, (size_t)argc - 3, &err))
        return 0;
    fprintf(stderr, "dump_logits: %s\n", err.text);
    return 1;
}
