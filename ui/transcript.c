// ui/transcript.c
// SPDX-License-Identifier: MIT
#include "ui/transcript.h"

#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "ui/glyph.h"
#include "ui/markdown.h"

#define RULE_LINES  2 // the rule and a blank one, if it is not wrapped
#define THINK_BEGIN "<think>"
#define THINK_END   "</think>"

void transcript_init(struct transcript *transcript, struct previews *previews)
{
    *transcript = (struct transcript){ .previews = previews, .follow = true };
    str_init(&transcript->needle, 0);
}

static void release_block(struct transcript *transcript, struct block *block)
{
    if (block->preview != NULL)
        preview_release(transcript->previews, block->preview);
    free(block->preview);
    free(block->label);
    free(block->beside_label);
    str_release(&block->beside);
    free(block->meta);
    str_release(&block->text);
    lines_release(&block->lines);
}

void transcript_truncate(struct transcript *transcript, size_t count)
{
    while (transcript->count > count)
        release_block(transcript, &transcript->blocks[--transcript->count]);
    if (transcript->bottom > count)
        transcript->bottom = count;
    if (transcript->read_from >= count)
        transcript->read_from = 0;
    transcript->found = false;
    if (transcript->top >= transcript->count)
        transcript->follow = true;
}

void transcript_clear(struct transcript *transcript)
{
    transcript_truncate(transcript, 0);
    transcript->top = transcript->top_line = 0;
    transcript->follow = true;
}

void transcript_release(struct transcript *transcript)
{
    transcript_clear(transcript);
    free(transcript->blocks);
    str_release(&transcript->needle);
}

size_t transcript_add(struct transcript *transcript, const struct ui_block *from)
{
    struct block *block;

    transcript->blocks = alloc_grow(transcript->blocks, transcript->count,
                                    &transcript->cap, sizeof(*transcript->blocks));
    block = &transcript->blocks[transcript->count];
    *block = (struct block){
        .kind = from->kind,
        .label = alloc_string(from->label != NULL ? from->label : ""),
        .meta = alloc_string(from->meta != NULL ? from->meta : ""),
        .streaming = from->streaming,
    };
    str_init(&block->beside, 0);
    if (from->beside_label != NULL) {
        block->beside_label = alloc_string(from->beside_label);
        str_append_n(&block->beside, from->beside, from->beside_len);
    }
    str_init(&block->text, 0);
    str_append_n(&block->text, from->text, from->text_len);
    lines_init(&block->lines);
    if (block->kind == UI_BLOCK_IMAGE)
        block->preview = alloc_zero(sizeof(*block->preview));
    return transcript->count++;
}

void transcript_append(struct transcript *transcript, size_t index, const char *text,
                       size_t len)
{
    str_append_n(&transcript->blocks[index].text, text, len);
    transcript->blocks[index].width = 0;
}

void transcript_change(struct transcript *transcript, size_t index, const char *meta,
                       bool streaming)
{
    struct block *block = &transcript->blocks[index];

    free(block->meta);
    block->meta = alloc_string(meta);
    block->streaming = streaming;
    block->width = 0;
}

void transcript_set_picture(struct transcript *transcript, size_t index,
                            const struct ui_picture *picture)
{
    if (index >= transcript->count || transcript->blocks[index].preview == NULL)
        return;
    preview_set(transcript->previews, transcript->blocks[index].preview, picture);
    transcript->blocks[index].width = 0;
}

bool transcript_wanted(struct transcript *transcript, size_t *index)
{
    for (size_t i = transcript->top; i < transcript->bottom; i++)
        if (transcript->blocks[i].preview != NULL &&
            preview_wanted(transcript->previews, transcript->blocks[i].preview)) {
            *index = i;
            return true;
        }
    return false;
}

// ---------------------------------------------------------------------------
// Lines

static void put_heading(struct block *block)
{
    uint16_t style = block->kind == UI_BLOCK_USER ? STYLE_USER | STYLE_BOLD : STYLE_NAME;

    if (block->label[0] == '\0')
        return;
    lines_put(&block->lines, style, block->label, strlen(block->label));
    if (block->meta[0] != '\0') {
        lines_put(&block->lines, STYLE_MUTED, "  ", 2);
        lines_put(&block->lines, STYLE_MUTED, block->meta, strlen(block->meta));
    }
    lines_end(&block->lines, STYLE_TEXT);
}

static void put_plain(struct block *block, uint16_t style, const char *before, int width)
{
    struct styled text, first, rest;

    styled_init(&text);
    styled_init(&first);
    styled_init(&rest);
    styled_put(&text, style, block->text.data, block->text.len);
    styled_add(&first, style, before);
    for (int i = text_width(before, strlen(before)); i > 0; i--)
        styled_add(&rest, style, " ");
    lines_wrap(&block->lines, &text,
               &(struct wrapping){ .width = width, .first = &first, .rest = &rest });
    styled_release(&text);
    styled_release(&first);
    styled_release(&rest);
}

// "cat.png  640 x 480", or what stands for a picture that is not shown.
static void put_caption(struct block *block, bool shown, int width)
{
    const struct preview *preview = block->preview;
    char *size = preview->failed       ? alloc_string("  (cannot be shown)")
                 : preview->width == 0 ? alloc_string("")
                                       : alloc_printf("%s %u x %u", shown ? " " : ",",
                                                      preview->width, preview->height);
    struct styled text, first;

    styled_init(&text);
    styled_init(&first);
    styled_add(&first, STYLE_LINK, shown ? "▣ " : "[picture: ");
    styled_put(&text, STYLE_LINK, block->text.data, block->text.len);
    styled_add(&text, STYLE_MUTED, size);
    if (!shown)
        styled_add(&text, STYLE_LINK, "]");
    lines_wrap(&block->lines, &text,
               &(struct wrapping){ .width = width, .first = &first });
    styled_release(&text);
    styled_release(&first);
    free(size);
}

// Rows that are left blank for the picture, and its caption.
static void put_picture(struct block *block, int width)
{
    block->picture_line = block->lines.count;
    for (int row = 0; row < block->fit.rows; row++)
        lines_end(&block->lines, STYLE_TEXT);
    put_caption(block, block->fit.rows > 0, width);
}

static void put_muted(struct block *block, const char *bytes, size_t len, int width)
{
    struct styled text;

    styled_init(&text);
    styled_put(&text, STYLE_MUTED, bytes, len);
    lines_wrap(&block->lines, &text, &(struct wrapping){ .width = width });
    styled_release(&text);
}

// A reply may begin with its reasoning. Shown while it is written, then folded. Returns
// how many bytes of the text it takes.
static size_t put_reasoning(struct block *block, int width)
{
    const char *text = block->text.data, *begin = text + strspn(text, " \n"), *end;
    size_t len;
    char *line;

    if (strncmp(begin, THINK_BEGIN, strlen(THINK_BEGIN)) != 0)
        return 0;
    begin += strlen(THINK_BEGIN);
    begin += strspn(begin, "\n");
    end = strstr(begin, THINK_END);
    len = end != NULL ? (size_t)(end - begin) : strlen(begin);
    while (len > 0 && (begin[len - 1] == '\n' || begin[len - 1] == ' '))
        len--;
    line = alloc_printf("%s reasoning, %zu characters",
                        block->unfolded || end == NULL ? "▾" : "▸", len);
    put_muted(block, line, strlen(line), width);
    free(line);
    if (block->unfolded || end == NULL)
        put_muted(block, begin, len, width);
    lines_end(&block->lines, STYLE_TEXT);
    return end != NULL ? (size_t)(end - text) + strlen(THINK_END) : block->text.len;
}

static void put_reply(struct block *block, int width)
{
    size_t start = put_reasoning(block, width), before = block->lines.count;

    markdown_lines(&block->lines, block->text.data + start, block->text.len - start,
                   width);
    if (block->streaming && block->lines.count == before) {
        lines_put(&block->lines, STYLE_MUTED, "…", strlen("…"));
        lines_end(&block->lines, STYLE_TEXT);
    }
}

static void put_column(struct lines *lines, const char *label, const struct str *text,
                       int width)
{
    lines_put(lines, STYLE_NAME, label, strlen(label));
    lines_end(lines, STYLE_TEXT);
    markdown_lines(lines, text->data, text->len, width);
}

// Draws line `index` of a column, if there is one, and blanks up to `width` columns.
static void put_row(struct lines *to, const struct lines *column, size_t index, int width)
{
    int used = 0;

    if (index < column->count) {
        const struct line *line = &column->lines[index];

        for (size_t i = 0; i < line->run_count; i++) {
            const struct run *run = &column->runs[line->first_run + i];

            lines_put(to, run->style, column->text.data + run->start, run->len);
        }
        used = line->width;
    }
    for (; used < width; used++)
        lines_put(to, STYLE_TEXT, " ", 1);
}

// Two replies side by side, each in its column.
static void put_beside(struct block *block, int width)
{
    int half = width > 7 ? (width - 3) / 2 : 2;
    struct lines left, right;

    lines_init(&left);
    lines_init(&right);
    put_column(&left, block->beside_label, &block->beside, half);
    put_column(&right, block->label, &block->text, half);
    for (size_t i = 0; i < left.count || i < right.count; i++) {
        put_row(&block->lines, &left, i, half);
        lines_put(&block->lines, STYLE_MUTED, " │ ", strlen(" │ "));
        put_row(&block->lines, &right, i, 0);
        lines_end(&block->lines, STYLE_TEXT);
    }
    if (block->meta[0] != '\0') {
        lines_put(&block->lines, STYLE_MUTED, block->meta, strlen(block->meta));
        lines_end(&block->lines, STYLE_TEXT);
    }
    lines_release(&left);
    lines_release(&right);
}

static void put_dashes(struct styled *rule, int count)
{
    for (; count > 0; count--)
        styled_add(rule, STYLE_MUTED, "─");
}

// What the person can still read and the model cannot.
static void put_end_of_memory(const struct transcript *transcript, struct block *block)
{
    const char *text = transcript->blocks[0].kind == UI_BLOCK_SYSTEM
                           ? "above this line the model reads only the instructions"
                           : "above this line the model no longer reads";
    int width = transcript->width, dashes = width - text_width(text, strlen(text)) - 2;
    bool beside = dashes >= 2; // else below
    struct styled rule;

    styled_init(&rule);
    put_dashes(&rule, beside ? dashes / 2 : 0);
    styled_add(&rule, STYLE_NOTICE, beside ? " " : "");
    styled_add(&rule, STYLE_NOTICE, text);
    styled_add(&rule, STYLE_NOTICE, beside ? " " : "\n");
    put_dashes(&rule, beside ? dashes - dashes / 2 : width);
    lines_wrap(&block->lines, &rule, &(struct wrapping){ .width = width });
    lines_end(&block->lines, STYLE_TEXT);
    styled_release(&rule);
}

// The lines are made again when the picture needs other ones.
static void fit_picture(struct transcript *transcript, struct block *block)
{
    struct fit fit = preview_fit(transcript->previews, block->preview, transcript->width);

    if (fit.rows != block->fit.rows)
        block->width = 0;
    block->fit = fit;
}

static struct block *laid_out(struct transcript *transcript, size_t index)
{
    struct block *block = &transcript->blocks[index];
    int width = transcript->width;

    if (block->preview != NULL)
        fit_picture(transcript, block);
    if (block->width == width)
        return block;
    lines_reset(&block->lines);
    if (transcript->read_from > 0 && index == transcript->read_from)
        put_end_of_memory(transcript, block);
    if (block->beside_label == NULL)
        put_heading(block);
    switch (block->kind) {
    case UI_BLOCK_USER:
    case UI_BLOCK_SYSTEM:
        put_plain(block, block->kind == UI_BLOCK_USER ? STYLE_USER : STYLE_MUTED, "",
                  width);
        break;
    case UI_BLOCK_REPLY:
        if (block->beside_label != NULL)
            put_beside(block, width);
        else if (transcript->raw)
            put_plain(block, STYLE_TEXT, "", width);
        else
            put_reply(block, width);
        break;
    case UI_BLOCK_IMAGE:
        put_picture(block, width);
        break;
    case UI_BLOCK_NOTICE:
        put_plain(block, STYLE_NOTICE, "· ", width);
        break;
    case UI_BLOCK_ERROR:
        put_plain(block, STYLE_ERROR, "! ", width);
        break;
    }
    lines_end(&block->lines, STYLE_TEXT);
    block->width = width;
    return block;
}

static size_t height_of(struct transcript *transcript, size_t index)
{
    return laid_out(transcript, index)->lines.count;
}

// ---------------------------------------------------------------------------
// Moving

// Puts the end at the bottom.
static void go_to_end(struct transcript *transcript)
{
    size_t need = transcript->height > 0 ? (size_t)transcript->height : 0, index;

    transcript->top = transcript->top_line = 0;
    for (index = transcript->count; index-- > 0;) {
        size_t height = height_of(transcript, index);

        if (height >= need) {
            transcript->top = index;
            transcript->top_line = height - need;
            return;
        }
        need -= height;
    }
}

// Whether less than a screen is left from the top on.
static bool at_end(struct transcript *transcript)
{
    size_t left = 0;

    for (size_t i = transcript->top; i < transcript->count; i++) {
        left +=
            height_of(transcript, i) - (i == transcript->top ? transcript->top_line : 0);
        if (left > (size_t)transcript->height)
            return false;
    }
    return true;
}

static bool step(struct transcript *transcript, bool down)
{
    if (!down && transcript->top_line > 0) {
        transcript->top_line--;
        return true;
    }
    if (!down) {
        if (transcript->top == 0)
            return false;
        transcript->top--;
        transcript->top_line = height_of(transcript, transcript->top) - 1;
        return true;
    }
    if (transcript->top_line + 1 < height_of(transcript, transcript->top)) {
        transcript->top_line++;
        return true;
    }
    if (transcript->top + 1 >= transcript->count)
        return false;
    transcript->top++;
    transcript->top_line = 0;
    return true;
}

void transcript_scroll(struct transcript *transcript, int lines)
{
    bool down = lines > 0;

    if (transcript->count == 0 || transcript->width == 0 || (transcript->follow && down))
        return;
    if (transcript->follow)
        go_to_end(transcript);
    transcript->follow = false;
    for (int left = abs(lines); left > 0 && step(transcript, down); left--)
        ;
    if (down)
        transcript->follow = at_end(transcript);
}

void transcript_end(struct transcript *transcript)
{
    transcript->follow = true;
}

void transcript_begin(struct transcript *transcript)
{
    transcript->top = transcript->top_line = 0;
    transcript->follow = false;
}

void transcript_fold(struct transcript *transcript)
{
    for (size_t i = 0; i < transcript->count; i++) {
        transcript->blocks[i].unfolded = !transcript->blocks[i].unfolded;
        transcript->blocks[i].width = 0;
    }
}

void transcript_read_from(struct transcript *transcript, size_t index)
{
    size_t before = transcript->read_from;

    if (index >= transcript->count)
        index = 0;
    if (index == before)
        return;
    transcript->read_from = index;
    if (before > 0)
        transcript->blocks[before].width = 0;
    transcript->blocks[index].width = 0;
    if (transcript->top == before && before > 0) // what is read stays where it is
        transcript->top_line -=
            transcript->top_line < RULE_LINES ? transcript->top_line : RULE_LINES;
    else if (transcript->top == index && index > 0 && transcript->top_line > 0)
        transcript->top_line += RULE_LINES;
}

bool transcript_raw(struct transcript *transcript)
{
    transcript->raw = !transcript->raw;
    for (size_t i = 0; i < transcript->count; i++)
        transcript->blocks[i].width = 0;
    return transcript->raw;
}

// ---------------------------------------------------------------------------
// Searching

// Where needle is in text, without regard to case; the length of the match in *match.
static const char *find_folded(const char *text, size_t len, const char *needle,
                               size_t *match)
{
    for (size_t start = 0; start < len;) {
        size_t at = start, used, want = 0, needle_len = strlen(needle);
        uint32_t here, wanted;
        bool valid;

        while (at < len && want < needle_len) {
            used = utf8_decode(text + at, len - at, &here, &valid);
            size_t step_size =
                utf8_decode(needle + want, needle_len - want, &wanted, &valid);

            if (towlower((wint_t)here) != towlower((wint_t)wanted))
                break;
            at += used;
            want += step_size;
        }
        if (want == needle_len) {
            *match = at - start;
            return text + start;
        }
        start += utf8_decode(text + start, len - start, &here, &valid);
    }
    return NULL;
}

static bool line_matches(struct transcript *transcript, size_t block, size_t line,
                         struct str *text)
{
    size_t match;

    str_reset(text);
    lines_text(&laid_out(transcript, block)->lines, line, text);
    return find_folded(text->data, text->len, transcript->needle.data, &match) != NULL;
}

// One line further; false at the end.
static bool next_line(struct transcript *transcript, size_t *block, size_t *line,
                      bool down)
{
    if (down) {
        if (*line + 1 < height_of(transcript, *block)) {
            ++*line;
            return true;
        }
        if (*block + 1 >= transcript->count)
            return false;
        ++*block;
        *line = 0;
        return true;
    }
    if (*line > 0) {
        --*line;
        return true;
    }
    if (*block == 0)
        return false;
    --*block;
    *line = height_of(transcript, *block) - 1;
    return true;
}

static void show_line(struct transcript *transcript, size_t block, size_t line)
{
    transcript->top = block;
    transcript->top_line = line;
    transcript->follow = false;
    for (int i = transcript->height / 3; i > 0 && step(transcript, false); i--)
        ;
    transcript->follow = at_end(transcript);
}

bool transcript_find(struct transcript *transcript, const char *text, bool down)
{
    size_t block, line;
    struct str here;
    bool found = false;

    if (text != NULL) {
        str_reset(&transcript->needle);
        str_append(&transcript->needle, text);
        transcript->found = false;
    }
    if (transcript->needle.len == 0 || transcript->count == 0 || transcript->width == 0)
        return false;
    block = transcript->found ? transcript->found_block : transcript->count - 1;
    line = transcript->found ? transcript->found_line : height_of(transcript, block) - 1;
    if (line >= height_of(transcript, block))
        line = height_of(transcript, block) - 1;
    str_init(&here, 0);
    if (!transcript->found)
        found = line_matches(transcript, block, line, &here);
    while (!found && next_line(transcript, &block, &line, down))
        found = line_matches(transcript, block, line, &here);
    str_release(&here);
    if (!found)
        return false;
    transcript->found = true;
    transcript->found_block = block;
    transcript->found_line = line;
    show_line(transcript, block, line);
    return true;
}

// ---------------------------------------------------------------------------
// Painting

static void mark_matches(const struct transcript *transcript, struct terminal *terminal,
                         int y, int x, int width, const struct lines *lines, size_t line)
{
    const char *found;
    struct str text;
    size_t at = 0, match;

    str_init(&text, 0);
    lines_text(lines, line, &text);
    while (at < text.len &&
           (found = find_folded(text.data + at, text.len - at, transcript->needle.data,
                                &match)) != NULL) {
        int column = text_width(text.data, (size_t)(found - text.data));

        if (column < width)
            terminal_put(terminal, y, x + column, width - column, STYLE_FOUND, found,
                         match);
        at = (size_t)(found - text.data) + (match > 0 ? match : 1);
    }
    str_release(&text);
}

static void paint_line(const struct transcript *transcript, struct terminal *terminal,
                       int y, int x, int width, const struct lines *lines, size_t index)
{
    const struct line *line = &lines->lines[index];
    int used = 0;

    for (size_t i = 0; i < line->run_count; i++) {
        const struct run *run = &lines->runs[line->first_run + i];

        used += terminal_put(terminal, y, x + used, width - used, run->style,
                             lines->text.data + run->start, run->len);
    }
    if (line->fill != STYLE_TEXT)
        terminal_fill(terminal, y, x + used, width - used, line->fill);
    if (transcript->needle.len > 0)
        mark_matches(transcript, terminal, y, x, width, lines, index);
}

// Puts what is visible of a picture on the rows that were left for it.
static void paint_picture(struct transcript *transcript, struct terminal *terminal, int y,
                          int x, int height, const struct block *block, size_t line)
{
    int first = (int)(line - block->picture_line);
    int rows = block->fit.rows - first;

    preview_show(transcript->previews, terminal, block->preview, &block->fit, first,
                 rows < height ? rows : height, y, x);
}

static bool begins_picture(const struct block *block, size_t line, int row)
{
    return block->preview != NULL && line >= block->picture_line &&
           line < block->picture_line + (size_t)block->fit.rows &&
           (line == block->picture_line || row == 0);
}

void transcript_paint(struct transcript *transcript, struct terminal *terminal, int y,
                      int x, int height, int width)
{
    size_t index, line;

    transcript->height = height;
    transcript->width = width > 0 ? width : 1;
    if (transcript->follow)
        go_to_end(transcript);
    index = transcript->top;
    line = transcript->top_line;
    for (int row = 0; row < height && index < transcript->count;) {
        const struct block *block = laid_out(transcript, index);

        if (line >= block->lines.count) {
            index++;
            line = 0;
            continue;
        }
        if (begins_picture(block, line, row))
            paint_picture(transcript, terminal, y + row, x, height - row, block, line);
        paint_line(transcript, terminal, y + row++, x, width, &block->lines, line++);
    }
    transcript->bottom = index + (line > 0);
}
