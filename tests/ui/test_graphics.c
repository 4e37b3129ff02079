// tests/ui/test_graphics.c
// SPDX-License-Identifier: MIT
//
// What terminals answer (measured ones, and ones that lie), and what follows from it.
#include "ui/graphics.h"

#include "tests/tap.h"

static const char *term, *forced, *colorterm, *tmux;

static char *environment(const char *name)
{
    const char *value = strcmp(name, "TERM") == 0             ? term
                        : strcmp(name, "ORIEL_GRAPHICS") == 0 ? forced
                        : strcmp(name, "COLORTERM") == 0      ? colorterm
                        : strcmp(name, "TMUX") == 0           ? tmux
                                                              : NULL;

    return (char *)(uintptr_t)value;
}

// Gives the answers, a line each.
static void answer(struct graphics *graphics, const char *answers)
{
    while (answers[0] != '\0') {
        size_t len = strcspn(answers, "\n");

        graphics_answer(graphics, answers, len);
        answers += len + (answers[len] == '\n');
    }
}

static const struct {
    const char *name;
    const char *answers; // a line each
    struct size window;  // pixels, of 80 x 24 cells
    int colours;
    enum graphics_kind kind;
    struct size cell;
    int registers;
} terminals[] = {
    { "xterm",
      "\033]11;rgb:0000/0000/0000\033\\\n\033P>|XTerm(379)\033\\\n\033[?1;3S\n"
      "\033[?2;3;0S\n\033[?64;1;2;6;9;15;16;17;18;21;22;28c",
      { 484, 316 },
      256,
      GRAPHICS_BLOCKS,
      { 6, 13 },
      0 },
    { "xterm -ti vt340",
      "\033P>|XTerm(379)\033\\\n\033[?1;0;1024S\n\033[?2;0;1000;1000S\n"
      "\033[?2;0;480;312S\n\033[?63;1;2;4;6;9;15;16;22;28c",
      { 484, 316 },
      256,
      GRAPHICS_SIXEL,
      { 6, 13 },
      1024 },
    { "a wide border", // of which the kernel's size knows nothing
      "\033[?1;0;256S\n\033[?2;0;1000;1000S\n\033[?2;0;480;312S\n\033[?63;4c",
      { 680, 400 },
      256,
      GRAPHICS_SIXEL,
      { 6, 13 },
      256 },
    { "a window larger than the largest sixel",
      "\033[?2;0;400;240S\n\033[?2;0;400;240S\n\033[?63;4c",
      { 960, 576 },
      256,
      GRAPHICS_SIXEL,
      { 12, 24 },
      0 },
    { "mlterm",
      "\033[6;19;10t\n\033[?1;0;1024S\n\033[?1;3;0S\n\033[?63;1;2;3;4;6;7c",
      { 800, 456 },
      256,
      GRAPHICS_SIXEL,
      { 10, 19 },
      1024 },
    { "foot",
      "\033P>|foot(1.13.1)\033\\\n\033[?1;0;1024S\n\033[?2;0;10000;10000S\n"
      "\033[6;14;7t\n\033[?62;4;22c",
      { 560, 336 },
      256,
      GRAPHICS_SIXEL,
      { 7, 14 },
      1024 },
    { "kitty",
      "\033_Gi=31;OK\033\\\n\033P>|kitty(0.26.5)\033\\\n\033[6;18;9t\n\033[?62;c",
      { 720, 432 },
      256,
      GRAPHICS_KITTY,
      { 9, 18 },
      0 },
    { "no kitty",
      "\033_Gi=31;ENOTSUPPORTED:no\033\\\n\033[?62;22c",
      { 720, 432 },
      256,
      GRAPHICS_BLOCKS,
      { 9, 18 },
      0 },
    { "WezTerm without the others",
      "\033P>|WezTerm 20240203-110809\033\\\n\033[?65;6;18c",
      { 0, 0 },
      256,
      GRAPHICS_ITERM,
      { 10, 20 },
      0 },
    { "tmux",
      "\033P>|tmux 3.3a\033\\\n\033[?1;2c",
      { 600, 507 },
      256,
      GRAPHICS_BLOCKS,
      { 7, 21 },
      0 },
    { "tmux with sixel",
      "\033P>|tmux 3.5\033\\\n\033[?1;2;4c",
      { 800, 480 },
      256,
      GRAPHICS_SIXEL,
      { 10, 20 },
      0 },
    { "sixel in cells that nobody knows",
      "\033[?62;4c",
      { 0, 0 },
      256,
      GRAPHICS_BLOCKS,
      { 10, 20 },
      0 },
    { "attributes that contain a 4",
      "\033[?64;14;24;40c",
      { 800, 480 },
      256,
      GRAPHICS_BLOCKS,
      { 10, 20 },
      0 },
    { "no colours", "\033[?1;2c", { 800, 480 }, 0, GRAPHICS_WORDS, { 10, 20 }, 0 },
    { "a liar",
      "\033[6;0;0t\n\033[6;-1;99999t\n\033[4;0;1t\n\033[?2;0;0;0S\n\033[?62;4c",
      { 800, 480 },
      256,
      GRAPHICS_SIXEL,
      { 10, 20 },
      0 },
    { "torn answers",
      "\033P>|iTerm2\n\033_Gi=31;OK\n\033[?62c",
      { 800, 480 },
      256,
      GRAPHICS_BLOCKS,
      { 10, 20 },
      0 },
};

static void believes_what_is_answered(void)
{
    for (size_t i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++) {
        struct graphics graphics;
        int failures = tap_failures;

        graphics_init(&graphics, environment);
        graphics_resized(&graphics, (struct size){ 80, 24 }, terminals[i].window);
        graphics.colours = terminals[i].colours;
        answer(&graphics, terminals[i].answers);
        CHECK_INT(graphics_kind(&graphics, 0), terminals[i].kind);
        CHECK_INT(graphics_cell(&graphics).width, terminals[i].cell.width);
        CHECK_INT(graphics_cell(&graphics).height, terminals[i].cell.height);
        CHECK_INT(graphics.registers, terminals[i].registers);
        if (tap_failures > failures)
            printf("# it was: %s\n", terminals[i].name);
    }
}

static void waits_for_answers(void)
{
    struct graphics graphics;

    graphics_init(&graphics, environment);
    graphics.colours = 256;
    graphics.asked_ns = 1000;
    CHECK_INT(graphics_kind(&graphics, 1000), GRAPHICS_UNDECIDED);
    CHECK_INT(graphics_kind(&graphics, 1000 + GRAPHICS_PATIENCE_NS - 1),
              GRAPHICS_UNDECIDED);
    CHECK_INT(graphics_kind(&graphics, 1000 + GRAPHICS_PATIENCE_NS), GRAPHICS_BLOCKS);
    answer(&graphics, "\033_Gi=31;OK\033\\"); // late
    CHECK_INT(graphics_kind(&graphics, 5000000000), GRAPHICS_KITTY);
}

static void is_overridden(void)
{
    static const struct {
        const char *name;
        enum graphics_kind kind;
    } names[] = {
        { "sixel", GRAPHICS_SIXEL }, { "kitty", GRAPHICS_KITTY },
        { "iterm", GRAPHICS_ITERM }, { "blocks", GRAPHICS_BLOCKS },
        { "words", GRAPHICS_WORDS }, { "nonsense", GRAPHICS_UNDECIDED },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct graphics graphics;

        forced = names[i].name;
        graphics_init(&graphics, environment);
        forced = NULL;
        CHECK_INT(graphics_kind(&graphics, 0), names[i].kind);
    }
}

static void knows_the_colours(void)
{
    struct graphics graphics;

    graphics_init(&graphics, environment);
    graphics.colours = 8;
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_8);
    graphics.colours = 16;
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_16);
    graphics.colours = 256;
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_256);
    answer(&graphics, "\033P1$r0m\033\\"); // the colour was not taken
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_256);
    answer(&graphics, "\033P1$r0;48:2::1:2:3m\033\\");
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_RGB);
    colorterm = "truecolor";
    graphics_init(&graphics, environment);
    colorterm = NULL;
    graphics.colours = 256;
    CHECK_INT(graphics_block_colours(&graphics), BLOCKS_RGB);
}

static void asks_what_does_no_harm(void)
{
    term = "linux"; // shows what it does not understand
    CHECK_STR(graphics_question(environment), "");
    term = NULL;
    CHECK_STR(graphics_question(environment), "");
    term = "xterm";
    CHECK(strstr(graphics_question(environment), "\033_G") != NULL);
    tmux = "/tmp/tmux"; // would make a title of it
    CHECK(strstr(graphics_question(environment), "\033_G") == NULL);
    tmux = NULL;
    term = "tmux-256color";
    CHECK(strstr(graphics_question(environment), "\033_G") == NULL);
    term = NULL;
}

// Device attributes come last: when they are there, all other answers are.
static void asks_for_attributes_last(void)
{
    const char *question;

    term = "xterm";
    question = graphics_question(environment);
    term = NULL;
    CHECK_STR(question + strlen(question) - 3, "\033[c");
}

static void forgets_sizes_when_resized(void)
{
    struct graphics graphics;

    graphics_init(&graphics, environment);
    graphics_resized(&graphics, (struct size){ 80, 24 }, (struct size){ 0, 0 });
    answer(&graphics, "\033[4;480;800t");
    CHECK_INT(graphics_cell(&graphics).width, 10);
    graphics_resized(&graphics, (struct size){ 160, 24 }, (struct size){ 0, 0 });
    answer(&graphics, "\033[4;480;1280t");
    CHECK_INT(graphics_cell(&graphics).width, 8);
}

static const struct test tests[] = {
    { "believes what is answered", believes_what_is_answered },
    { "waits for answers, and takes late ones", waits_for_answers },
    { "is overridden by ORIEL_GRAPHICS", is_overridden },
    { "knows the colours of text", knows_the_colours },
    { "asks what does no harm", asks_what_does_no_harm },
    { "asks for device attributes last", asks_for_attributes_last },
    { "forgets sizes when resized", forgets_sizes_when_resized },
};

TAP_MAIN(tests)
