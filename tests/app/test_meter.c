// tests/app/test_meter.c
// SPDX-License-Identifier: MIT
//
// The line of a transfer, on a terminal of some width: it is cut between characters and
// at columns, so that it is always one line.
#include "app/models/meter.h"

#include <locale.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"
#include "tests/tap.h"
#include "ui/glyph.h"

#define LINE_MAX_BYTES 4096

// What the meter draws for `what` on a terminal of so many columns, without colours.
static size_t draw(const char *what, unsigned short columns, char line[LINE_MAX_BYTES])
{
    struct winsize size = { .ws_row = 24, .ws_col = columns };
    int kept = dup(STDERR_FILENO), terminal, user;
    struct meter meter;
    ssize_t got;
    char *end;

    line[0] = '\0';
    if (openpty(&terminal, &user, NULL, NULL, &size) != 0) {
        tap_skip("no pseudo terminal");
        close(kept);
        return 0;
    }
    dup2(user, STDERR_FILENO);
    meter_init(&meter, false);
    meter_begin(&meter, what, 0, 1000000);
    meter.painted_ns = 0; // long ago
    meter_update(&meter, 1000);
    dup2(kept, STDERR_FILENO);
    got = read(terminal, line, LINE_MAX_BYTES - 1);
    close(kept);
    close(user);
    close(terminal);
    line[got > 0 ? got : 0] = '\0';
    end = strrchr(line, '\033');
    if (end != NULL)
        *end = '\0';
    end = strrchr(line, 'm'); // of the colour in front
    return end != NULL && strncmp(line, "\r\033[2K\033[2m", 9) == 0
               ? (size_t)(strchr(line + 5, 'm') + 1 - line)
               : 0;
}

static void cuts_between_characters_and_at_columns(void)
{
    static const char *const texts[] = {
        "copying /home/jörg/größere/möbel-äußerst-schön/modellüberführung.gguf",
        "copying /home/日本語/とても長い名前のモデルファイル/模型模型模型模型.gguf",
        "copying néǵligéé óú nóń mémé mémé.gguf",
        "copying /plain/ascii/path/to/some/model.gguf",
    };
    char line[LINE_MAX_BYTES];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (unsigned short columns = 28; columns < 120; columns++) {
            size_t start = draw(texts[i], columns, line);
            size_t len = strlen(line + start);

            if (tap_skip_reason[0] != '\0')
                return;
            REQUIRE(start > 0);
            if (!utf8_valid(line + start, len) ||
                text_width(line + start, len) >= columns)
                printf("# %u columns: %s\n", columns, line + start);
            CHECK(utf8_valid(line + start, len));
            CHECK(text_width(line + start, len) < columns);
            CHECK(strstr(line + start, ": 1.0 kB of 1.0 MB") != NULL);
        }
    }
}

static void a_long_text_ends_at_a_character(void)
{
    static const char *const starts[] = { "", "x", "xx" };
    char line[LINE_MAX_BYTES];

    for (size_t i = 0; i < 3; i++) {
        char what[400];
        size_t start;

        strcpy(what, starts[i]);
        while (strlen(what) + 4 < sizeof(what))
            strcat(what, "模");
        start = draw(what, 600, line);
        if (tap_skip_reason[0] != '\0')
            return;
        REQUIRE(start > 0);
        CHECK(utf8_valid(line + start, strlen(line + start)));
    }
}

static void control_characters_are_not_drawn(void)
{
    char line[LINE_MAX_BYTES];
    size_t start = draw("copying \033[31m\007\x9B.gguf", 80, line);

    if (tap_skip_reason[0] != '\0')
        return;
    REQUIRE(start > 0);
    CHECK(strpbrk(line + start, "\033\007") == NULL);
    CHECK(utf8_valid(line + start, strlen(line + start)));
}

static const struct test tests[] = {
    { "cuts between characters and at columns", cuts_between_characters_and_at_columns },
    { "a long text ends at a character", a_long_text_ends_at_a_character },
    { "control characters are not drawn", control_characters_are_not_drawn },
};

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    return tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
