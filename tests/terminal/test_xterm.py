# tests/terminal/test_xterm.py
# SPDX-License-Identifier: MIT
"""Pictures as real pixels: xterm with sixel on a virtual X server, whose screen is read
back. With the font "fixed" a cell has 6 x 13 pixels."""
import collections
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

top = os.environ.get("top_srcdir", ".")
sys.path[:0] = [os.path.join(top, "tests/app")]
import tap  # noqa: E402

build = os.path.abspath(os.environ.get("top_builddir", "."))
program = os.path.join(build, "tests/ui/picture-screen")
CELL = 6, 13
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 204, 0), (0, 0, 255), (255, 204, 0)


class Xterm:
    """The program in an xterm of 100 x 36 cells in the corner of the screen. It is typed
    to through a pty that stands between (xterm takes no synthetic keys)."""

    def __init__(self, *args, sixel=True, light=False, theme=None):
        for name in "Xvfb", "xterm":
            if shutil.which(name) is None:
                raise tap.Skip(f"{name} is not installed")
        self.folder = tempfile.TemporaryDirectory()
        self.keys = os.path.join(self.folder.name, "keys")
        os.mkfifo(self.keys)
        self.processes = []
        display = self.start_server()
        colours = ["-bg", "white", "-fg", "black"] if light else ["-bg", "black",
                                                                  "-fg", "white"]
        relay = os.path.join(top, "tests/terminal/relay.py")
        env = {**os.environ, "DISPLAY": display, "LC_ALL": "C.UTF-8",
               **({"THEME": theme} if theme else {})}
        for name in "NO_COLOR", "COLORTERM", "TMUX", "STY", "ORIEL_GRAPHICS":
            env.pop(name, None)
        self.processes.append(subprocess.Popen(
            ["xterm", "-u8", "-b", "0", "-bw", "0", "-fn", "fixed", "-cr", "grey50",
             "-tn", "xterm-256color", "-geometry", "100x36+0+0", "+sb", *colours,
             *(["-ti", "vt340"] if sixel else []), "-e", sys.executable, relay, self.keys,
             program, *args],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.keys_fd = None

    def start_server(self):
        read, write = os.pipe()
        self.processes.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-fbdir",
             self.folder.name, "-nolisten", "tcp", "-noreset"],
            pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        self.image = os.path.join(self.folder.name, "Xvfb_screen0")
        for _ in range(100):
            if not number or os.path.exists(self.image):
                break
            time.sleep(0.05)
        if not os.path.exists(self.image):
            raise tap.Skip("Xvfb does not start")
        return f":{number}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.keys_fd is not None:
            os.close(self.keys_fd)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()
        self.folder.cleanup()

    def type(self, text):
        if self.keys_fd is None:
            self.keys_fd = os.open(self.keys, os.O_RDWR)
        os.write(self.keys_fd, text.encode())

    def read_image(self):
        """The server keeps its screen in an XWD file, 32 bits a pixel."""
        with open(self.image, "rb") as file:
            data = file.read()
        header = struct.unpack(">25I", data[:100])
        return data[header[0] + 12 * header[19]:], header[12]

    def screen(self):
        """The pixels, as a function of x and y."""
        data, row = self.read_image()

        def pixel(x, y):
            blue, green, red = data[y * row + 4 * x:y * row + 4 * x + 3]
            return red, green, blue
        return pixel

    def count(self, wanted):
        """How many pixels have about this colour."""
        data, _ = self.read_image()
        counts = collections.Counter(zip(data[2::4], data[1::4], data[0::4]))
        return sum(count for colour, count in counts.items() if near(colour, wanted))

    def wait(self, until, seconds=15):
        end = time.monotonic() + seconds
        while not until(self.screen()):
            assert time.monotonic() < end, "it did not appear"
            time.sleep(0.1)
        time.sleep(0.3)


def near(colour, wanted):
    return all(abs(a - b) <= 12 for a, b in zip(colour, wanted))


def at(column, row, x, y):
    return column * CELL[0] + x, row * CELL[1] + y


def check_quarters(pixel, column, row, width, height, top=0):
    for y in range(top + 2, height - 8, 4):
        for x in range(2, width - 2, 4):
            if abs(x - width / 2) < 3 or abs(y - height / 2) < 3:
                continue
            colour = [RED, GREEN, BLUE, YELLOW][2 * (y > height / 2) + (x > width / 2)]
            got = pixel(*at(column, row, x, y - top))
            assert near(got, colour), f"({x}, {y}) is {got}, not {colour}"


def test_xterm_shows_the_pixels():
    for light in False, True:
        with Xterm("text:2", "quarters:180:130", light=light) as xterm:
            xterm.wait(lambda pixel: near(pixel(*at(1, 4, 5, 5)), RED))
            check_quarters(xterm.screen(), 1, 4, 180, 130)
            red = xterm.count(RED)
            assert abs(red - 90 * 65) < 300, red


def test_they_go_when_it_scrolls_away():
    with Xterm("quarters:180:130", "text:10") as xterm:
        xterm.wait(lambda pixel: near(pixel(*at(1, 0, 5, 5)), RED))
        xterm.type("stream:40\r")
        xterm.wait(lambda pixel: not any(map(xterm.count, (RED, BLUE, YELLOW))))
        time.sleep(1)  # while more lines come
        assert not any(map(xterm.count, (RED, BLUE, YELLOW)))


def test_they_move_with_the_text():
    with Xterm("quarters:180:130", "text:25") as xterm:  # six of its rows are above
        xterm.wait(lambda pixel: near(pixel(*at(1, 0, 100, 5)), YELLOW))
        check_quarters(xterm.screen(), 1, 0, 180, 130, top=6 * CELL[1])
        for cut in range(5, -1, -1):
            xterm.type("\033[1;2A")
            xterm.wait(lambda pixel: near(pixel(*at(1, 9 - cut, 100, 5)), YELLOW))
            check_quarters(xterm.screen(), 1, 0, 180, 130, top=cut * CELL[1])


def test_help_leaves_nothing_of_them():
    with Xterm("quarters:180:130") as xterm:
        xterm.wait(lambda pixel: near(pixel(*at(1, 0, 5, 5)), RED))
        xterm.type("\033OP")
        xterm.wait(lambda pixel: not any(map(xterm.count, (RED, BLUE, YELLOW))))
        xterm.type("\033")
        xterm.wait(lambda pixel: near(pixel(*at(1, 0, 5, 5)), RED))
        check_quarters(xterm.screen(), 1, 0, 180, 130)


def test_a_list_beside_them_leaves_them_alone():
    with Xterm("quarters:180:130") as xterm:
        xterm.type("\033OQ")
        xterm.wait(lambda pixel: near(pixel(*at(31, 0, 5, 5)), RED))
        for _ in range(30):
            xterm.type("\033[B")
            time.sleep(0.03)
        time.sleep(0.5)
        check_quarters(xterm.screen(), 31, 0, 180, 130)


def test_transparent_pixels_are_the_background():
    for light, background in (False, (0, 0, 0)), (True, (255, 255, 255)):
        with Xterm("hole:180:130", light=light) as xterm:
            xterm.wait(lambda pixel: near(pixel(*at(1, 0, 5, 5)), RED))
            assert near(xterm.screen()(*at(1, 0, 90, 65)), background)


def test_xterm_without_sixel_shows_half_blocks():
    with Xterm("quarters:180:130", sixel=False) as xterm:
        xterm.wait(lambda pixel: near(pixel(*at(1, 0, 5, 3)), RED))
        check_quarters(xterm.screen(), 1, 0, 180, 130)


if __name__ == "__main__":
    tap.run(globals())
