// engine/text/template.h
// SPDX-License-Identifier: MIT
//
// Chat templates: an interpreter for the Jinja that published templates use, with hard
// limits (nesting, call depth, steps, output bytes, heap) and no way out: no host objects, no
// files, no environment.
//
// Every string remembers, byte range by byte range, whether it came from the template or from
// the caller's data (a message, a tool, a name). The rendered prompt is a list of pieces, so
// that special tokens are recognised only in what the template itself wrote: user text that
// spells <|im_start|> stays text.
#ifndef ORIEL_ENGINE_TEXT_TEMPLATE_H
#define ORIEL_ENGINE_TEXT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

struct template; // parsed; immutable, safe to share between threads

// Parses source[len]. ERR_FORMAT names line and column; ERR_UNSUPPORTED names the construct;
// ERR_LIMIT for nesting deeper than 64 or a source above 1 MiB.
struct template *template_parse(const char *source, size_t len, struct err *err);
void template_destroy(struct template **template);

struct template_limits {
    uint64_t max_steps;     // 0: 1,000,000 evaluated nodes
    size_t max_output;      // 0: 4 MiB
    size_t max_heap;        // 0: 64 MiB for values
    uint32_t max_call_depth; // 0: 32 (macros and recursive loops)
};

// Part of the rendered text. Pieces follow one another without gaps.
struct template_piece {
    size_t start, len; // bytes within output
    bool trusted;      // written by the template itself, not taken from the caller's data
};

struct template_output {
    struct str text;
    struct template_piece *pieces; // adjacent pieces differ in `trusted`
    size_t piece_count;
};
void template_output_release(struct template_output *output);

// Renders with `globals`: a JSON object with messages, tools, add_generation_prompt,
// bos_token, eos_token and whatever else the template may name. Strings inside "messages",
// "tools" and "documents" are untrusted, all other globals are trusted. `now` (seconds since
// the epoch, UTC) is what strftime_now sees, so that rendering can be repeated exactly.
//
// ERR_FORMAT with the template's own words when it calls raise_exception, or with line and
// reason for a type error; ERR_LIMIT when a limit is reached.
bool template_render(const struct template *template, const json_t *globals, int64_t now,
                     const struct template_limits *limits, struct template_output *output,
                     struct err *err);

#endif
