// tests/fuzz/fuzz_markdown.c
// SPDX-License-Identifier: MIT
//
// Any bytes as Markdown, at a width that the first byte says: no line is wider than the
// screen, unless the screen is too narrow for one glyph beside its prefixes.
#include <locale.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ui/glyph.h"
#include "ui/markdown.h"

#define NARROW 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines lines;
    int width;

    if (size == 0)
        return 0;
    setlocale(LC_CTYPE, "C.UTF-8");
    width = 1 + data[0] % 120;
    lines_init(&lines);
    markdown_lines(&lines, (const char *)data + 1, size - 1, width);
    for (size_t i = 0; i < lines.count; i++)
        if (width >= NARROW && lines.lines[i].width > width)
            abort();
    lines_release(&lines);
    return 0;
}
