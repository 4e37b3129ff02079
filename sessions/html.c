// sessions/html.c
// SPDX-License-Identifier: MIT
//
// A conversation as one HTML file that needs nothing else: pictures inside as data URLs,
// no script, and a policy that lets the page load nothing. All text is untrusted and
// escaped; only the four picture formats that browsers decode in their sandbox are
// embedded.
#include "sessions/private.h"

#include <string.h>

#include "base/printable.h"

static void put_escaped(FILE *out, const char *text, size_t len)
{
    struct str clean;

    str_init(&clean, 16 * SESSIONS_TEXT_LIMIT);
    printable_append(&clean, text, len);
    for (size_t i = 0; i < clean.len; i++) {
        switch (clean.data[i]) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            putc(clean.data[i], out);
        }
    }
    str_release(&clean);
}

void html_begin(FILE *out)
{
    fputs(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "img-src data:; style-src 'unsafe-inline'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<title>Conversations</title>\n<style>\n"
        "body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem;"
        " font: 1rem/1.5 system-ui, sans-serif; color-scheme: light dark; }\n"
        ".text { white-space: pre-wrap; overflow-wrap: anywhere;"
        " unicode-bidi: isolate; margin: 0.5rem 0; }\n"
        "article { border-left: 0.25rem solid #888; padding-left: 1rem; margin: 1.5rem 0; }\n"
        "article.user { border-color: #36c; }\n"
        "img { max-width: 100%; height: auto; }\n"
        "h3, .note { font-size: 0.85rem; color: #777; margin: 0; }\n"
        "</style>\n</head>\n<body>\n",
        out);
}

void html_end(FILE *out)
{
    fputs("</body>\n</html>\n", out);
}

void html_conversation(FILE *out, const struct sessions_entry *entry)
{
    fputs("<h1>", out);
    put_escaped(out, entry->title, strlen(entry->title));
    fputs("</h1>\n<p class=\"note\">", out);
    export_date(out, entry->created_ms);
    fputs("</p>\n", out);
}

static bool put_image(struct sessions *s, FILE *out, const struct part *part,
                      struct err *err)
{
    struct sessions_attachment attachment;
    struct str bytes;
    bool ok;

    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    ok = sessions_load_attachment(s, part->image_hash, &bytes, &attachment, err);
    if (ok && strncmp(attachment.media_type, "image/", 6) == 0) {
        fprintf(out, "<p><img src=\"data:%s;base64,", attachment.media_type);
        export_base64(out, &bytes);
        fputs("\" alt=\"", out);
        put_escaped(out, part->image_name, strlen(part->image_name));
        fputs("\"></p>\n", out);
    } else if (ok) {
        fputs("<p class=\"note\">", out);
        put_escaped(out, part->image_name, strlen(part->image_name));
        fprintf(out, " (%zu bytes, not a picture that browsers show)</p>\n",
                attachment.size);
    }
    str_release(&bytes);
    return ok;
}

bool html_message(struct sessions *s, FILE *out, const struct sessions_message *message,
                  struct err *err)
{
    struct str heading;
    bool ok = true;

    str_init(&heading, 0);
    export_heading(&heading, message);
    fprintf(out, "<article class=\"%s\">\n<h3>", name_of_role(message->content.role));
    put_escaped(out, heading.data, heading.len);
    fputs("</h3>\n", out);
    str_release(&heading);
    for (size_t i = 0; ok && i < message->content.part_count; i++) {
        const struct part *part = &message->content.parts[i];

        if (part->kind == PART_IMAGE) {
            ok = put_image(s, out, part, err);
        } else {
            fputs("<div class=\"text\" dir=\"auto\">", out);
            put_escaped(out, part->text, part->text_len);
            fputs("</div>\n", out);
        }
    }
    fputs("</article>\n", out);
    return ok;
}
