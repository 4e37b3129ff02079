// ui/markdown.c
// SPDX-License-Identifier: MIT
//
// md4c calls us for every block and span it enters and leaves. Text collects in `text`
// until a leaf block ends; then it is wrapped behind the prefixes of the containers
// (quotes, list items) around it. A table collects its cells and is laid out when it ends
// (table.c).
#include "ui/markdown.h"

#include <md4c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ui/glyph.h"
#include "ui/highlight.h"
#include "ui/markdown_guard.h"
#include "ui/table.h"

#define DEPTH_MAX 16 // deeper containers are drawn without their prefixes

struct container {
    MD_BLOCKTYPE type;
    bool tight;
    unsigned number; // of the next item of an ordered list
    char delimiter;
    char marker[16]; // of an item: "• ", "12. "; drawn once
    int marker_columns;
    bool marked; // the marker has been drawn
};

struct renderer {
    struct lines *out;
    int width;
    struct container stack[DEPTH_MAX];
    size_t depth;       // may be larger than DEPTH_MAX
    struct styled text; // of the leaf that is open
    uint16_t base;      // style of that text
    uint16_t attributes;
    unsigned code_spans, links;
    struct str url; // of the link that is open
    size_t link_start;
    bool in_code, any; // any: something is drawn, so that the next block needs distance
    struct str language;
    struct table table;
    bool in_table;
    struct styled first, rest; // prefixes, while a leaf is drawn
};

// ---------------------------------------------------------------------------
// Prefixes

static void add_spaces(struct styled *to, int count)
{
    for (int i = 0; i < count; i++)
        styled_add(to, STYLE_TEXT, " ");
}

static void make_prefixes(struct renderer *r)
{
    size_t depth = r->depth < DEPTH_MAX ? r->depth : DEPTH_MAX;

    styled_reset(&r->first);
    styled_reset(&r->rest);
    for (size_t i = 0; i < depth; i++) {
        struct container *container = &r->stack[i];

        if (r->first.text.len > (size_t)r->width / 2)
            break; // the text matters more than how deep it lies
        if (container->type == MD_BLOCK_QUOTE) {
            styled_add(&r->first, STYLE_MUTED, "▏ ");
            styled_add(&r->rest, STYLE_MUTED, "▏ ");
        } else if (container->type == MD_BLOCK_LI) {
            if (container->marked)
                add_spaces(&r->first, container->marker_columns);
            else
                styled_add(&r->first, STYLE_BULLET, container->marker);
            add_spaces(&r->rest, container->marker_columns);
            container->marked = true;
        }
    }
}

static bool is_tight(const struct renderer *r)
{
    size_t depth = r->depth < DEPTH_MAX ? r->depth : DEPTH_MAX;

    for (size_t i = depth; i-- > 0;)
        if (r->stack[i].type == MD_BLOCK_UL || r->stack[i].type == MD_BLOCK_OL)
            return r->stack[i].tight;
    return false;
}

// An empty line between two blocks.
static void keep_distance(struct renderer *r)
{
    bool marker_waits = false;
    size_t depth = r->depth < DEPTH_MAX ? r->depth : DEPTH_MAX;

    for (size_t i = 0; i < depth; i++)
        marker_waits |= r->stack[i].type == MD_BLOCK_LI && !r->stack[i].marked;
    if (r->any && !(is_tight(r) && marker_waits)) {
        for (size_t i = 0; i < depth; i++)
            if (r->stack[i].type == MD_BLOCK_QUOTE)
                lines_put(r->out, STYLE_MUTED, "▏", strlen("▏"));
        lines_end(r->out, STYLE_TEXT);
    }
    r->any = false;
}

// ---------------------------------------------------------------------------
// Leaves

static void draw_text(struct renderer *r, bool anywhere, uint16_t fill)
{
    make_prefixes(r);
    lines_wrap(r->out, &r->text,
               &(struct wrapping){ .width = r->width,
                                   .first = &r->first,
                                   .rest = &r->rest,
                                   .anywhere = anywhere,
                                   .fill = fill });
    styled_reset(&r->text);
}

static void end_paragraph(struct renderer *r)
{
    if (r->text.text.len == 0)
        return;
    if (!is_tight(r) || r->depth == 0)
        keep_distance(r);
    draw_text(r, false, STYLE_TEXT);
    r->any = true;
}

// What is open when a block begins inside a tight list item.
static void flush(struct renderer *r)
{
    if (r->in_table || r->in_code)
        return;
    if (r->text.text.len > 0) {
        draw_text(r, false, STYLE_TEXT);
        r->any = true;
    }
}

static void draw_rule(struct renderer *r)
{
    keep_distance(r);
    make_prefixes(r);
    lines_put_styled(r->out, &r->first, 0, r->first.text.len);
    for (int i = text_width(r->first.text.data, r->first.text.len); i < r->width; i++)
        lines_put(r->out, STYLE_MUTED, "─", strlen("─"));
    lines_end(r->out, STYLE_TEXT);
    r->any = true;
}

static void draw_code(struct renderer *r)
{
    struct styled code;
    size_t len = r->text.text.len;

    if (len > 0 && r->text.text.data[len - 1] == '\n')
        len--;
    styled_init(&code);
    highlight(&code, r->language.data, r->language.len, r->text.text.data, len);
    styled_reset(&r->text);
    if (code.text.len > 0)
        styled_copy(&r->text, &code, 0, code.text.len);
    draw_text(r, true, STYLE_CODE);
    styled_release(&code);
    r->any = true;
}

static void draw_table(struct renderer *r)
{
    keep_distance(r);
    make_prefixes(r);
    table_lines(&r->table, r->out, &r->first, &r->rest, r->width);
    table_reset(&r->table);
    r->any = true;
}

// ---------------------------------------------------------------------------
// What md4c says

static void push(struct renderer *r, MD_BLOCKTYPE type)
{
    if (r->depth < DEPTH_MAX)
        r->stack[r->depth] = (struct container){ .type = type };
    r->depth++;
}

static struct container *top(struct renderer *r)
{
    return r->depth > 0 && r->depth <= DEPTH_MAX ? &r->stack[r->depth - 1] : NULL;
}

static void enter_item(struct renderer *r, const MD_BLOCK_LI_DETAIL *detail)
{
    struct container *list = top(r), *item;

    push(r, MD_BLOCK_LI);
    item = top(r);
    if (list == NULL || item == NULL)
        return;
    if (list->type == MD_BLOCK_OL)
        snprintf(item->marker, sizeof(item->marker), "%u%c ", list->number++,
                 list->delimiter);
    else
        snprintf(item->marker, sizeof(item->marker), "%s ",
                 !detail->is_task           ? "•"
                 : detail->task_mark == ' ' ? "☐"
                                            : "☑");
    item->marker_columns = text_width(item->marker, strlen(item->marker));
    if (!list->tight && r->any)
        keep_distance(r);
}

static void enter_list(struct renderer *r, MD_BLOCKTYPE type, void *detail)
{
    struct container *list;

    if (!is_tight(r) && r->any)
        keep_distance(r);
    push(r, type);
    list = top(r);
    if (list == NULL)
        return;
    if (type == MD_BLOCK_UL) {
        list->tight = ((MD_BLOCK_UL_DETAIL *)detail)->is_tight;
        return;
    }
    list->tight = ((MD_BLOCK_OL_DETAIL *)detail)->is_tight;
    list->number = ((MD_BLOCK_OL_DETAIL *)detail)->start;
    list->delimiter = ((MD_BLOCK_OL_DETAIL *)detail)->mark_delimiter;
}

static void enter_code(struct renderer *r, const MD_BLOCK_CODE_DETAIL *detail)
{
    keep_distance(r);
    r->in_code = true;
    str_reset(&r->language);
    str_append_n(&r->language, detail->lang.text, detail->lang.size);
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct renderer *r = user;

    flush(r);
    switch (type) {
    case MD_BLOCK_QUOTE:
        if (r->any)
            keep_distance(r);
        push(r, type);
        break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        enter_list(r, type, detail);
        break;
    case MD_BLOCK_LI:
        enter_item(r, detail);
        break;
    case MD_BLOCK_H:
        keep_distance(r);
        r->base =
            STYLE_HEADING |
            (((MD_BLOCK_H_DETAIL *)detail)->level == 1 ? (unsigned)STYLE_UNDERLINE : 0u);
        break;
    case MD_BLOCK_CODE:
        enter_code(r, detail);
        break;
    case MD_BLOCK_TABLE:
        r->in_table = true;
        break;
    case MD_BLOCK_TR:
        table_add_row(&r->table);
        break;
    case MD_BLOCK_TH:
        r->attributes = STYLE_BOLD;
        break;
    default:
        break;
    }
    return 0;
}

static void leave_cell(struct renderer *r, const MD_BLOCK_TD_DETAIL *detail)
{
    table_add_cell(&r->table, &r->text,
                   detail->align == MD_ALIGN_RIGHT    ? TABLE_RIGHT
                   : detail->align == MD_ALIGN_CENTER ? TABLE_CENTRE
                                                      : TABLE_LEFT);
    styled_reset(&r->text);
    r->attributes = 0;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct renderer *r = user;

    switch (type) {
    case MD_BLOCK_LI:
        flush(r);
        if (top(r) != NULL && !top(r)->marked) { // an empty item
            draw_text(r, false, STYLE_TEXT);
            r->any = true;
        }
        r->depth--;
        break;
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        r->depth--;
        break;
    case MD_BLOCK_HR:
        draw_rule(r);
        break;
    case MD_BLOCK_H:
    case MD_BLOCK_P:
    case MD_BLOCK_HTML:
        end_paragraph(r);
        r->base = STYLE_TEXT;
        break;
    case MD_BLOCK_CODE:
        r->in_code = false;
        draw_code(r);
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD:
        leave_cell(r, detail);
        break;
    case MD_BLOCK_TABLE:
        r->in_table = false;
        draw_table(r);
        break;
    default:
        break;
    }
    return 0;
}

static uint16_t span_attribute(MD_SPANTYPE type)
{
    switch (type) {
    case MD_SPAN_EM:
        return STYLE_ITALIC;
    case MD_SPAN_STRONG:
        return STYLE_BOLD;
    case MD_SPAN_DEL:
        return STYLE_STRUCK;
    case MD_SPAN_U:
        return STYLE_UNDERLINE;
    default:
        return 0;
    }
}

static int enter_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct renderer *r = user;
    const MD_ATTRIBUTE *url = NULL;

    r->attributes |= span_attribute(type);
    r->code_spans += type == MD_SPAN_CODE;
    if (type == MD_SPAN_A)
        url = &((MD_SPAN_A_DETAIL *)detail)->href;
    if (type == MD_SPAN_IMG)
        url = &((MD_SPAN_IMG_DETAIL *)detail)->src;
    if (url != NULL && r->links++ == 0) {
        r->link_start = r->text.text.len;
        str_reset(&r->url);
        str_append_n(&r->url, url->text, url->size);
    }
    return 0;
}

// The address stands behind the words, unless they are the address.
static void put_address(struct renderer *r)
{
    const char *words = r->text.text.data + r->link_start;
    const char *url = r->url.data;

    if (strncmp(url, "mailto:", 7) == 0)
        url += 7;
    if (url[0] == '\0' || strcmp(words, url) == 0 ||
        (strncmp(url, "http", 4) == 0 && strstr(url, words) != NULL &&
         strlen(words) + 8 >= strlen(url)))
        return;
    styled_add(&r->text, STYLE_MUTED, " (");
    styled_add(&r->text, STYLE_MUTED, url);
    styled_add(&r->text, STYLE_MUTED, ")");
}

static int leave_span(MD_SPANTYPE type, void *detail, void *user)
{
    struct renderer *r = user;

    (void)detail;
    r->attributes &= (uint16_t)~span_attribute(type);
    r->code_spans -= type == MD_SPAN_CODE;
    if ((type == MD_SPAN_A || type == MD_SPAN_IMG) && --r->links == 0)
        put_address(r);
    return 0;
}

// The entities that models write; others are shown as they are written.
static const char *entity(const char *text, size_t len)
{
    static const struct {
        const char *name, *value;
    } table[] = {
        { "&amp;", "&" },   { "&lt;", "<" },    { "&gt;", ">" },
        { "&quot;", "\"" }, { "&apos;", "'" },  { "&nbsp;", "\u00a0" },
        { "&mdash;", "—" }, { "&ndash;", "–" }, { "&hellip;", "…" },
        { "&copy;", "©" },  { "&deg;", "°" },   { "&times;", "×" },
        { "&rarr;", "→" },  { "&larr;", "←" },  { "&euro;", "€" },
        { "&#39;", "'" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, text, len) == 0)
            return table[i].value;
    return NULL;
}

static uint16_t text_style(const struct renderer *r)
{
    uint16_t role = r->code_spans > 0 ? STYLE_CODE : r->links > 0 ? STYLE_LINK : r->base;

    return role | r->attributes;
}

static int on_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE len, void *user)
{
    struct renderer *r = user;
    const char *value;

    switch (type) {
    case MD_TEXT_BR:
        styled_add(&r->text, r->base, "\n");
        break;
    case MD_TEXT_SOFTBR:
        styled_add(&r->text, text_style(r), " ");
        break;
    case MD_TEXT_NULLCHAR:
        styled_add(&r->text, r->base, "\uFFFD");
        break;
    case MD_TEXT_ENTITY:
        value = entity(text, len);
        if (value != NULL)
            styled_add(&r->text, text_style(r), value);
        else
            styled_put(&r->text, text_style(r), text, len);
        break;
    default:
        styled_put(&r->text, text_style(r), text, len);
        break;
    }
    return 0;
}

static const MD_PARSER parser = {
    .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
             MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOHTML |
             MD_FLAG_NOINDENTEDCODEBLOCKS,
    .enter_block = enter_block,
    .leave_block = leave_block,
    .enter_span = enter_span,
    .leave_span = leave_span,
    .text = on_text,
};

static void parse(const char *text, size_t len, const MD_PARSER *callbacks, void *user)
{
    struct str safe;

    str_init(&safe, 2 * len + 1);
    markdown_guard(text, len, &safe);
    md_parse(safe.data, (MD_SIZE)safe.len, callbacks, user);
    str_release(&safe);
}

void markdown_lines(struct lines *out, const char *text, size_t len, int width)
{
    struct renderer r = { .out = out, .width = width };

    styled_init(&r.text);
    styled_init(&r.first);
    styled_init(&r.rest);
    str_init(&r.url, 0);
    str_init(&r.language, 0);
    table_init(&r.table);
    parse(text, len, &parser, &r);
    table_release(&r.table);
    str_release(&r.language);
    str_release(&r.url);
    styled_release(&r.rest);
    styled_release(&r.first);
    styled_release(&r.text);
}

// ---------------------------------------------------------------------------
// Code alone

struct extraction {
    size_t index, seen;
    bool inside, found;
    struct str *code;
};

static int code_enter(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct extraction *extraction = user;

    (void)detail;
    if (type == MD_BLOCK_CODE && extraction->seen++ == extraction->index)
        extraction->inside = extraction->found = true;
    return 0;
}

static int code_leave(MD_BLOCKTYPE type, void *detail, void *user)
{
    struct extraction *extraction = user;

    (void)detail;
    if (type == MD_BLOCK_CODE)
        extraction->inside = false;
    return 0;
}

static int ignore_span(MD_SPANTYPE type, void *detail, void *user)
{
    (void)type;
    (void)detail;
    (void)user;
    return 0;
}

static int code_text(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE len, void *user)
{
    struct extraction *extraction = user;

    (void)type;
    if (extraction->inside)
        str_append_n(extraction->code, text, len);
    return 0;
}

bool markdown_code(const char *text, size_t len, size_t index, struct str *code)
{
    struct extraction extraction = { .index = index, .code = code };
    MD_PARSER scanner = parser;

    scanner.enter_block = code_enter;
    scanner.leave_block = code_leave;
    scanner.enter_span = scanner.leave_span = ignore_span;
    scanner.text = code_text;
    parse(text, len, &scanner, &extraction);
    return extraction.found;
}
