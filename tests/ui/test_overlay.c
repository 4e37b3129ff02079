// tests/ui/test_overlay.c
// SPDX-License-Identifier: MIT
//
// What is sent from frame to frame, to the byte.
#include "ui/overlay.h"

#include "tests/tap.h"

static const struct overlay_picture cat = {
    .y = 2, .x = 1, .rows = 3, .columns = 4, .number = 1, .bytes = "CAT", .len = 3
};

// A frame that shows these pictures; what is sent, as text: erase, then draw.
static const char *frame(struct overlay *overlay, const struct overlay_picture *pictures,
                         size_t count)
{
    static char sent[2][4096];
    static char both[8192];
    struct str out;

    for (size_t i = 0; i < count; i++)
        overlay_add(overlay, &pictures[i]);
    str_init(&out, 0);
    overlay_erase(overlay, &out);
    snprintf(sent[0], sizeof(sent[0]), "%s", out.data);
    str_reset(&out);
    overlay_draw(overlay, &out);
    snprintf(sent[1], sizeof(sent[1]), "%s", out.data);
    str_release(&out);
    snprintf(both, sizeof(both), "%s|%s", sent[0], sent[1]);
    return both;
}

#define DRAWN  "\0337\033[3;2H\033[?8452hCAT\033[?8452l\0338"
#define ERASED "\0337\033[0m\033[3;2H    \033[4;2H    \033[5;2H    \0338"

static void draws_once(void)
{
    struct overlay overlay = { 0 };

    CHECK_STR(frame(&overlay, NULL, 0), "|");
    CHECK_STR(frame(&overlay, &cat, 1), "|" DRAWN);
    CHECK_STR(frame(&overlay, &cat, 1), "|");
    CHECK_STR(frame(&overlay, NULL, 0), ERASED "|");
    CHECK_STR(frame(&overlay, NULL, 0), "|");
}

static void moves(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture moved = cat;

    frame(&overlay, &cat, 1);
    moved.y = 0;
    CHECK_STR(frame(&overlay, &moved, 1),
              ERASED "|\0337\033[1;2H\033[?8452hCAT\033[?8452l\0338");
}

static void is_renewed_when_told(void)
{
    struct overlay overlay = { 0 };

    frame(&overlay, &cat, 1);
    overlay_renew(&overlay);
    CHECK_STR(frame(&overlay, &cat, 1), ERASED "|" DRAWN);
    CHECK_STR(frame(&overlay, &cat, 1), "|");
}

static void changes_with_its_pixels(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture other = cat;

    frame(&overlay, &cat, 1);
    other.number = 2;
    CHECK_STR(frame(&overlay, &other, 1), ERASED "|" DRAWN);
    other.first = 1;
    CHECK(strlen(frame(&overlay, &other, 1)) > 1);
}

static void leaves_others_alone(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture two[2] = { cat, cat };

    two[1].y = 10;
    two[1].number = 2;
    two[1].bytes = "DOG";
    frame(&overlay, two, 2);
    CHECK_STR(frame(&overlay, two + 1, 1), ERASED "|");
    CHECK_STR(frame(&overlay, two, 2), "|" DRAWN);
}

static void draws_all_again_after_a_clear(void)
{
    struct overlay overlay = { 0 };

    frame(&overlay, &cat, 1);
    overlay_clear(&overlay);
    CHECK_STR(frame(&overlay, &cat, 1), "|" DRAWN);
    overlay_clear(&overlay);
    CHECK_STR(frame(&overlay, NULL, 0), "|");
}

static void puts_lines_into_rows(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture lines = cat;

    lines.kind = OVERLAY_LINES;
    lines.bytes = "AAAA\nBBBB\nCCCC";
    lines.len = strlen(lines.bytes);
    CHECK_STR(frame(&overlay, &lines, 1),
              "|\0337\033[3;2HAAAA\033[4;2HBBBB\033[5;2HCCCC\0338");
}

#define PLACED  "\033_Ga=p,i=1,p=1,x=0,y=40,w=40,h=60,c=4,r=3,C=1,q=2\033\\"
#define REMOVED "\033_Ga=d,d=i,i=1,q=2\033\\"
#define FORGOT  "\033_Ga=d,d=I,i=1,q=2\033\\"

static void kitty_gets_each_picture_once(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture kitty = cat;

    kitty.kind = OVERLAY_KITTY;
    kitty.top = 40;
    kitty.crop = (struct size){ 40, 60 };
    CHECK_STR(frame(&overlay, &kitty, 1), "|\0337CAT\033[3;2H" PLACED "\0338");
    CHECK_STR(frame(&overlay, &kitty, 1), "|");
    CHECK_STR(frame(&overlay, NULL, 0), "\0337" REMOVED "\0338|");
    CHECK_STR(frame(&overlay, &kitty, 1), "|\0337\033[3;2H" PLACED "\0338");
    kitty.y = 3;
    CHECK_STR(frame(&overlay, &kitty, 1),
              "\0337" REMOVED "\0338|\0337\033[4;2H" PLACED "\0338");
    overlay_clear(&overlay); // some keep the placements, some forget the pixels
    CHECK_STR(frame(&overlay, &kitty, 1),
              "\0337" REMOVED FORGOT "\0338|\0337CAT\033[4;2H" PLACED "\0338");
}

// It keeps some, and those on the screen among them.
static void kitty_keeps_some(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture shown[2] = { cat, cat };

    shown[0].kind = shown[1].kind = OVERLAY_KITTY;
    for (uint32_t i = 2; i < 3 * OVERLAY_KITTY_MAX; i++) {
        const char *sent;

        shown[1].number = i;
        sent = frame(&overlay, shown, 2);
        CHECK((strstr(sent, "CAT") != NULL));
        CHECK(strstr(sent, "d=I,i=1,") == NULL);
        CHECK(overlay.kitty_count <= OVERLAY_KITTY_MAX);
    }
    CHECK(strstr(frame(&overlay, shown, 1), "CAT") == NULL);
}

static void more_than_it_holds_is_not_shown(void)
{
    struct overlay overlay = { 0 };
    struct overlay_picture many[OVERLAY_MAX + 5];

    for (size_t i = 0; i < OVERLAY_MAX + 5; i++) {
        many[i] = cat;
        many[i].y = (int)i;
    }
    frame(&overlay, many, OVERLAY_MAX + 5);
    CHECK_INT(overlay.shown_count, OVERLAY_MAX);
    CHECK_STR(frame(&overlay, many, OVERLAY_MAX + 5), "|");
}

static const struct test tests[] = {
    { "draws once", draws_once },
    { "moves", moves },
    { "is renewed when told", is_renewed_when_told },
    { "changes with its pixels", changes_with_its_pixels },
    { "leaves others alone", leaves_others_alone },
    { "draws all again after a clear", draws_all_again_after_a_clear },
    { "puts lines into rows", puts_lines_into_rows },
    { "kitty gets each picture once", kitty_gets_each_picture_once },
    { "kitty keeps some", kitty_keeps_some },
    { "more than it holds is not shown", more_than_it_holds_is_not_shown },
};

TAP_MAIN(tests)
