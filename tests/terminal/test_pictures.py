# tests/terminal/test_pictures.py
# SPDX-License-Identifier: MIT
"""Pictures on terminals that show them: where they are, their colours, and what is sent
when something changes. tests/ui/picture-screen is what runs in them."""
import os
import signal
import sys
import tempfile

top = os.environ.get("top_srcdir", ".")
sys.path[:0] = [os.path.join(top, "tests/terminal"), os.path.join(top, "tests/app")]
import tap  # noqa: E402
from pixel_terminal import Terminal  # noqa: E402

build = os.path.abspath(os.environ.get("top_builddir", "."))
program = os.path.join(build, "tests/ui/picture-screen")
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 204, 0), (0, 0, 255), (255, 204, 0)


def near(colour, wanted, tolerance=12):
    return colour is not None and all(abs(a - b) <= tolerance
                                      for a, b in zip(colour, wanted))


class Shown(Terminal):
    def __init__(self, *args, wait="ready", **how):
        super().__init__([program, *args], **how)
        self.wait(lambda: wait in self.text())

    def area(self):
        """The cells that pictures touch: top, left, bottom, right (exclusive)."""
        pixels = self.picture()
        if not pixels:
            return None
        width, height = self.cell
        xs, ys = [x for x, _ in pixels], [y for _, y in pixels]
        return (min(ys) // height, min(xs) // width, max(ys) // height + 1,
                max(xs) // width + 1)

    def check_quarters(self, row, column, width, height, top=0):
        """The picture of four colours, in pixels; its first `top` rows are cut off."""
        pixels, (cell_width, cell_height) = self.picture(), self.cell
        for y in range(top + 2, height - 8, 5):
            for x in range(2, width - 2, 5):
                if abs(x - width / 2) < 3 or abs(y - height / 2) < 3:
                    continue
                colour = [RED, GREEN, BLUE, YELLOW][2 * (y > height / 2) + (x > width / 2)]
                got = pixels.get((column * cell_width + x, row * cell_height + y - top))
                assert near(got, colour), f"({x}, {y}) is {got}, not {colour}"


def test_a_sixel_is_where_it_should_be():
    with Shown("text:2", "quarters:240:120", wait="quarters.png  240 x 120") as screen:
        screen.wait(lambda: screen.sent["sixel"] == 1)
        screen.wait(lambda: screen.area() == (4, 1, 10, 25))
        screen.check_quarters(4, 1, 240, 120)
        assert screen.row_of("quarters.png") == 10
        assert screen.sent["sixel"] == 1


def test_a_large_one_takes_a_third_of_the_screen():
    with Shown("quarters:4000:4000", wait="4000 x 4000", rows=30) as screen:
        screen.wait(lambda: screen.area() == (0, 1, 10, 21))
        screen.check_quarters(0, 1, 200, 200)


def test_a_broad_one_takes_forty_columns():
    with Shown("quarters:4000:400", wait="4000 x 400", columns=100) as screen:
        screen.wait(lambda: screen.area() == (0, 1, 2, 41))


def test_the_shape_is_right_in_any_cell():
    for cell in (6, 13), (9, 18), (14, 21):
        with Shown("quarters:1000:1000", wait="1000 x 1000", cell=cell) as screen:
            screen.wait(screen.area)
            xs, ys = zip(*screen.picture())
            width, height = max(xs) - min(xs) + 1, max(ys) - min(ys) + 1
            assert abs(width - height) <= 6, (cell, width, height)
            assert height <= 8 * cell[1]


def test_typing_sends_no_picture_again():
    with Shown("quarters:240:120", wait="240 x 120") as screen:
        screen.wait(screen.area)
        screen.type("some words")
        screen.wait(lambda: "some words" in screen.text())
        screen.settle()
        assert screen.sent["sixel"] == 1
        screen.check_quarters(0, 1, 240, 120)


def test_a_reply_below_sends_no_picture_again():
    with Shown("quarters:240:120", "stream:8", wait="line 8", rows=30) as screen:
        screen.settle()
        assert screen.sent["sixel"] == 1
        screen.check_quarters(0, 1, 240, 120)


def test_a_reply_pushes_it_up_and_out():
    with Shown("quarters:240:120", "stream:30", wait="line 30") as screen:
        screen.wait(lambda: screen.area() is None)
        assert not screen.pixels


def test_it_is_cut_where_it_is_scrolled_out():
    with Shown("quarters:240:120", "text:16", wait="line 16") as screen:
        screen.settle()
        # the first line of the picture is above: 26 lines on 21 rows
        cut = 120 // 20 - screen.row_of("quarters.png")
        assert 0 < cut < 6
        screen.check_quarters(0, 1, 240, 120, top=20 * cut)
        assert screen.area() == (0, 1, 6 - cut, 25)
        sent = screen.sent["sixel"]
        for up in range(1, cut + 1):
            screen.type("\033[1;2A")
            screen.wait(lambda: screen.row_of("quarters.png") == 6 - cut + up)
            screen.wait(lambda: screen.area() == (0, 1, 6 - cut + up, 25))
            screen.check_quarters(0, 1, 240, 120, top=20 * (cut - up))
        assert screen.sent["sixel"] == sent + cut


def test_it_is_cut_at_the_bottom():
    with Shown("text:18", "quarters:240:120", wait="240 x 120") as screen:
        screen.wait(lambda: screen.area() == (13, 1, 19, 25))
        screen.type("\033[1;2A" * 4)
        screen.wait(lambda: screen.row_of("line 18") == 15)
        screen.wait(lambda: screen.area() == (17, 1, 21, 25))
        pixels = screen.picture()
        assert near(pixels[15, 17 * 20 + 5], RED) and near(pixels[245, 20 * 20 + 5], YELLOW)


def test_a_list_that_scrolls_beside_it_leaves_it_alone():
    with Shown("quarters:240:240", wait="240 x 240", rows=30) as screen:
        screen.type("\033OQ")
        screen.wait(lambda: "Conversations" in screen.text())
        screen.settle()
        area = screen.area()
        for _ in range(25):
            screen.type("\033[B")
            screen.run(0.03)
        screen.settle()
        assert "Number 26" in screen.text()
        screen.wait(lambda: screen.area() == area)
        screen.check_quarters(0, 31, 200, 200)


def test_help_and_the_list_go_in_front():
    with Shown("quarters:240:120", wait="240 x 120") as screen:
        screen.wait(screen.area)
        screen.type("\033OP")
        screen.wait(lambda: "send the message" in screen.text())
        screen.wait(lambda: screen.area() is None)
        screen.type("\033")
        screen.wait(screen.area)
        screen.check_quarters(0, 1, 240, 120)
        screen.type("\033OQ")
        screen.wait(lambda: "Conversations" in screen.text())
        screen.wait(lambda: screen.area() == (0, 31, 6, 55))
        screen.check_quarters(0, 31, 240, 120)


def test_it_is_drawn_again_after_a_resize():
    with Shown("quarters:240:240", wait="240 x 240") as screen:
        screen.wait(lambda: screen.area() == (0, 1, 8, 17))
        screen.set_size(60, 36)
        screen.wait(lambda: "ready" in screen.text() and screen.area())
        screen.wait(lambda: screen.area() == (0, 1, 12, 25))
        screen.check_quarters(0, 1, 240, 240)
        screen.set_size(20, 8)
        screen.wait(lambda: "ready" in screen.text() and screen.area())
        screen.settle()
        assert screen.area()[2] <= 2


def test_the_font_may_change():
    for kind in "sixel", "kitty":
        with Shown("quarters:240:120", wait="240 x 120", kind=kind) as screen:
            screen.wait(lambda: screen.area() == (0, 1, 6, 25))
            screen.cell = 12, 24
            screen.set_size(80, 24)
            os.kill(screen.pid, signal.SIGWINCH)  # the size in cells is what it was
            screen.wait(lambda: screen.area() == (0, 1, 5, 21))
            screen.check_quarters(0, 1, 240, 120)


def test_control_l_draws_it_again():
    with Shown("quarters:240:120", wait="240 x 120") as screen:
        screen.wait(screen.area)
        screen.type("\014")
        screen.wait(lambda: screen.sent["sixel"] == 2)
        screen.settle()
        screen.check_quarters(0, 1, 240, 120)


def test_transparency_shows_the_background():
    with Shown("hole:240:120", wait="240 x 120") as screen:
        screen.wait(screen.area)
        screen.settle()
        assert near(screen.picture()[10 + 120, 60], (0, 0, 0))
        assert near(screen.picture()[12, 3], RED)


def test_what_is_taken_away_is_erased():
    with Shown("text:2", "quarters:240:120", wait="240 x 120") as screen:
        screen.wait(screen.area)
        screen.type("truncate:1\r")
        screen.wait(lambda: "quarters" not in screen.text())
        screen.wait(lambda: screen.area() is None)


def test_many_pictures_are_each_in_their_place():
    with Shown("quarters:100:60", "photo:200:80", "hole:100:60", wait="hole.png",
               rows=40) as screen:
        screen.wait(lambda: screen.sent["sixel"] == 3)
        screen.settle()
        screen.check_quarters(0, 1, 100, 60)
        rows = [screen.row_of(name) for name in ("quarters.png", "photo.png", "hole.png")]
        assert rows == [3, 9, 14], rows
        assert screen.area() == (0, 1, 14, 21)


def test_few_registers_are_enough():
    with Shown("photo:240:120", wait="240 x 120", registers=16) as screen:
        screen.wait(screen.area)  # the terminal refuses higher ones
        assert len(set(screen.picture().values())) <= 16


def test_a_kitty_gets_it_once():
    with Shown("quarters:240:120", "text:16", wait="line 16", kind="kitty") as screen:
        screen.wait(screen.area)
        for _ in range(8):
            screen.type("\033[1;2A")
        screen.wait(lambda: "240 x 120" in screen.text() and
                    screen.row_of("quarters.png") == 6)
        screen.settle()
        screen.check_quarters(0, 1, 240, 120)
        assert screen.sent["upload"] == 1 and screen.sent["sixel"] == 0
        screen.type("\033OP")
        screen.wait(lambda: "send the message" in screen.text())
        screen.wait(lambda: screen.area() is None)
        screen.type("\033")
        screen.wait(screen.area)
        assert screen.sent["upload"] == 1


def test_a_kitty_cuts_it():
    with Shown("quarters:240:120", "text:16", wait="line 16", kind="kitty") as screen:
        screen.wait(screen.area)
        screen.settle()
        cut = 6 - screen.row_of("quarters.png")
        assert 0 < cut < 6
        screen.check_quarters(0, 1, 240, 120, top=20 * cut)


def test_a_kitty_is_given_back_clean():
    for end in "\004", None:
        with Shown("quarters:240:120", wait="240 x 120", kind="kitty") as screen:
            screen.wait(screen.area)
            if end is not None:
                screen.type(end)
            else:
                os.kill(screen.pid, signal.SIGABRT)
            screen.ended()
            assert not screen.placements and not screen.kitty_images
            assert b"\033[?1049l" in screen.output


def test_it_comes_back_after_control_z():
    for kind in "sixel", "kitty":
        screen = Shown.__new__(Shown)
        Terminal.__init__(screen, ["bash", "--norc", "--noprofile", "-i"], kind=kind)
        screen.wraps = True
        with screen:
            screen.type(f"{program} quarters:240:120\r")
            screen.wait(lambda: "240 x 120" in screen.text() and screen.area())
            screen.type("\032")
            screen.wait(lambda: b"Stopped" in screen.output)
            assert not screen.placements and not screen.kitty_images
            screen.clear_screen()
            screen.type("fg\r")
            screen.wait(lambda: "240 x 120" in screen.text() and screen.area())
            screen.settle()
            screen.check_quarters(0, 1, 240, 120)


def test_it_survives_any_size():
    with Shown("quarters:240:240", "photo:400:50", "text:3", wait="ready") as screen:
        for columns, rows in (20, 5), (1, 1), (3, 2), (10, 40), (200, 60), (41, 9), (80, 24):
            screen.set_size(columns, rows)
            screen.settle(0.15)
        screen.type("\033[1;5H")
        screen.wait(lambda: "240 x 240" in screen.text() and screen.area())
        screen.settle()
        screen.check_quarters(0, 1, 160, 160)


def test_iterm_gets_images():
    with Shown("text:2", "quarters:240:120", wait="240 x 120", kind="iterm") as screen:
        screen.wait(screen.area)
        screen.wait(lambda: screen.area() == (4, 1, 10, 25))
        screen.check_quarters(4, 1, 240, 120)
        assert screen.sent["iterm"] == 1
        screen.type("\033OP")
        screen.wait(lambda: "send the message" in screen.text())
        screen.wait(lambda: screen.area() is None)


def test_others_get_half_blocks():
    for kind in "plain", "mute":
        with Shown("quarters:240:120", wait="240 x 120", kind=kind) as screen:
            screen.wait(lambda: "▀" in screen.text())
            screen.settle()
            assert screen.lines()[:7] == [" " + "▀" * 24] * 6 + [" ▣ quarters.png  240 x 120"]
            assert b"\033[38;5;196m" in screen.output
            assert b"\033[38;2;" not in screen.output
            assert screen.sent["sixel"] == screen.sent["upload"] == 0
            screen.type("\033OP")
            screen.wait(lambda: "send the message" in screen.text())
            screen.settle()
            assert "▀" not in screen.text()


def test_half_blocks_in_all_colours():
    with Shown("quarters:240:120", wait="▀", kind="plain",
               env={"COLORTERM": "truecolor"}) as screen:
        assert b"\033[38;2;255;0;0m" in screen.output


def test_without_colours_there_are_words():
    for variable in {"NO_COLOR": "1"}, {"ORIEL_GRAPHICS": "words"}:
        with Shown("quarters:240:120", wait="[picture: quarters.png, 240 x 120]",
                   kind="plain", env=variable) as screen:
            screen.settle()
            assert "▀" not in screen.text()


def test_what_cannot_be_shown_is_said():
    with Shown("broken", wait="[picture: broken.png  (cannot be shown)]") as screen:
        screen.wait(lambda: screen.area() is None)


def test_the_kind_can_be_chosen():
    for name, kind in ("sixel", "sixel"), ("kitty", "upload"), ("iterm", "iterm"):
        with Shown("quarters:240:120", wait="240 x 120", kind="plain",
                   env={"ORIEL_GRAPHICS": name}) as screen:
            screen.wait(lambda: screen.sent[kind] == 1)


def test_late_answers_are_not_typed():
    with Shown("quarters:240:120", wait="240 x 120", late=0.5) as screen:
        screen.wait(lambda: "▀" in screen.text())  # meanwhile
        screen.wait(lambda: not screen.due, 30)
        screen.wait(lambda: screen.sent["sixel"] == 1)
        screen.settle()
        screen.check_quarters(0, 1, 240, 120)
        assert screen.lines()[-2] == "›", screen.lines()


def paste(screen, text):
    screen.type("\033[200~" + text + "\033[201~")


def test_a_pasted_path_is_offered():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a cat.png")
        open(path, "w").close()
        with Shown() as screen:
            paste(screen, path)
            screen.wait(lambda: "files: " in screen.text())
            assert screen.lines()[-2] == "›"
            paste(screen, "look at " + path)
            screen.wait(lambda: "› look at" in screen.text())


def test_attachments_stand_above_the_message():
    with Shown("attach:cat.png") as screen:
        screen.wait(lambda: "▣ cat.png" in screen.text())
        assert screen.row_of("▣ cat.png") == screen.row_of("›") - 1


def test_many_attachments_are_counted():
    with Shown("attach:a:bb:a very long name of a picture that is attached.png:c:d",
               columns=40) as screen:
        screen.wait(lambda: "▣ a  ▣ bb  +3" in screen.text())


def test_names_are_harmless():
    with Shown("attach:a\033[31mb\033]0;x\007.png", wait="▣ a") as screen:
        screen.settle()
        assert b"\033]0;" not in screen.output


if __name__ == "__main__":
    tap.run(globals())
