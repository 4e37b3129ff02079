// app/output.c
// SPDX-License-Identifier: MIT
#include "app/output.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "base/str.h"
#include "base/utf8.h"

void put_printable(FILE *file, const char *bytes, size_t len)
{
    struct str text;

    str_init(&text, 0);
    printable_append(&text, bytes, len);
    fwrite(text.data, 1, text.len, file);
    str_release(&text);
}

void put_column(const json_t *object, const char *key, int width)
{
    const json_t *value = json_object_get(object, key);
    int len = (int)json_string_length(value);

    if (len > 0)
        put_printable(stdout, json_string_value(value), json_string_length(value));
    if (width > 0)
        printf("%*s ", len < width ? width - len : 0, "");
}

static void put_escape(FILE *file, unsigned char byte)
{
    static const char named[][2] = {
        { '\n', 'n' }, { '\t', 't' }, { '\r', 'r' }, { '\\', '\\' }
    };

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (byte == (unsigned char)named[i][0]) {
            fprintf(file, "\\%c", named[i][1]);
            return;
        }
    }
    fprintf(file, "\\x%02X", byte);
}

void put_quoted(FILE *file, const char *bytes, size_t len)
{
    struct str shown;

    str_init(&shown, 0);
    for (size_t at = 0; at < len;) {
        uint32_t codepoint;
        bool valid;
        size_t used = utf8_decode(bytes + at, len - at, &codepoint, &valid);

        str_reset(&shown);
        printable_append(&shown, bytes + at, used);
        if (valid && codepoint >= ' ' && codepoint != '\\' && shown.len == used &&
            memcmp(shown.data, bytes + at, used) == 0)
            fwrite(shown.data, 1, shown.len, file);
        else
            for (size_t i = 0; i < used; i++)
                put_escape(file, (unsigned char)bytes[at + i]);
        at += used;
    }
    str_release(&shown);
}

static void put_line(const char *command, const char *text)
{
    fputs(command != NULL ? "oriel: " : "oriel", stderr);
    if (command != NULL)
        fputs(command, stderr);
    fputs(": ", stderr);
    for (const char *at = text; *at != '\0';) { // one line, whatever is in it
        size_t len = strcspn(at, "\r\n\t");

        put_printable(stderr, at, len);
        at += len;
        if (*at != '\0') {
            fputc(' ', stderr);
            at++;
        }
    }
    fputc('\n', stderr);
}

int complain(const char *command, const struct err *err)
{
    put_line(command, err->text);
    if (err->code == ERR_CANCELLED)
        return EXIT_INTERRUPTED;
    return err->code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

void remark(const char *command, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put_line(command, text);
}

bool put_text(const char *bytes, size_t len, struct err *err)
{
    if (isatty(STDOUT_FILENO))
        put_printable(stdout, bytes, len);
    else
        fwrite(bytes, 1, len, stdout);
    return finish_output(err);
}

bool put_json(json_t *json)
{
    size_t flags = JSON_REAL_PRECISION(9); // enough for every float to come back exactly
    bool ok;

    if (isatty(STDOUT_FILENO))
        flags |= JSON_ENSURE_ASCII;
    ok = json_dumpf(json, stdout, flags) == 0 && putchar('\n') != EOF;

    json_decref(json);
    return ok;
}

bool finish_output(struct err *err)
{
    bool failed_before = ferror(stdout); // then errno tells of something else by now

    if (fflush(stdout) != 0 && !failed_before)
        return err_set_errno(err, "cannot write to standard output");
    return !failed_before || err_set(err, ERR_IO, "cannot write to standard output");
}
