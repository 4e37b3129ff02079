# tests/terminal/pixel_terminal.py
# SPDX-License-Identifier: MIT
"""A terminal that shows pictures, for tests: a pty, the program on it, and a screen of
cells and pixels. It answers as it is told to, draws sixel, kitty graphics and iTerm2
images, and refuses every sequence that it does not know. Text wipes the sixels and iTerm2
images that it is written over, as terminals do; nothing but a command removes a kitty's."""
import base64
import collections
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata
import zlib

ATTRIBUTES = {"sixel": b"\033[?63;1;2;4;6c", "plain": b"\033[?1;2c"}


class Terminal:
    """kind: sixel, kitty, iterm, plain, or mute (answers nothing). late: seconds before it
    answers, byte by byte then, with pauses."""

    pause = 0.05
    wraps = False  # text past the right border is allowed: for shells

    def __init__(self, argv, kind="sixel", columns=80, rows=24, cell=(10, 20), late=0,
                 registers=256, env=None):
        self.kind, self.columns, self.rows, self.cell = kind, columns, rows, cell
        self.late, self.registers = late, registers
        self.due = []  # (when, answer)
        self.sent = collections.Counter()
        self.output = b""
        self.kitty_images, self.placements = {}, {}
        self.upload = None
        self.bytes = b""
        self.clear_screen()
        self.saved = (0, 0)
        self.modes_at_end = None
        pid, self.fd = pty.fork()
        if pid == 0:
            for name in ("NO_COLOR", "COLORTERM", "TMUX", "STY", "ORIEL_GRAPHICS",
                         "INPUTRC"):
                os.environ.pop(name, None)
            os.environ.update({"TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
                               **(env or {})})
            time.sleep(0.05)  # until the size is set
            os.execvp(argv[0], argv)
        self.pid = pid
        self.set_size(columns, rows)
        self.resizing = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("# " + "\n# ".join(self.text().split("\n")))
            print("# " + str(dict(self.sent)))
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)

    def set_size(self, columns, rows):
        """What the program has drawn for the old size, and is still to come, is ignored:
        for the new one it begins with clearing the screen."""
        self.columns, self.rows, self.resizing = columns, rows, True
        self.clear_screen()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, columns * self.cell[0],
                                rows * self.cell[1]))

    # -----------------------------------------------------------------------
    # Time

    def run(self, seconds=0.0, until=None):
        """Reads until the condition holds, or for that long."""
        end = time.monotonic() + seconds
        while until is None or not until():
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                os.write(self.fd, self.due.pop(0)[1])
            if now >= end:
                return until is None
            wait = min([end] + [when for when, _ in self.due[:1]]) - now
            if self.fd in select.select([self.fd], [], [], max(0, min(wait, 0.05)))[0]:
                try:
                    data = os.read(self.fd, 1 << 16)
                except OSError:
                    return until is None or until()
                self.output += data
                self.take(data)
        return True

    def wait(self, until, seconds=10):
        assert self.run(seconds, until), "it did not happen"

    def settle(self, seconds=0.25):
        """Until nothing has come for so long."""
        while True:
            before = len(self.output)
            self.run(seconds)
            if len(self.output) == before:
                return

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def ended(self):
        """Waits for the end; the status as wait gives it."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.run(0.1)
                return status
            self.run(0.02)
        raise AssertionError("it does not end")

    # -----------------------------------------------------------------------
    # The screen

    def clear_screen(self):
        self.cells = [[" "] * self.columns for _ in range(self.rows)]
        self.pixels = {}  # (x, y): colour, of sixels and iTerm2 images
        self.y = self.x = 0
        self.region = 0, self.rows

    def wipe(self, y, x):
        self.cells[y][x] = " "
        width, height = self.cell
        if self.pixels:
            for j in range(y * height, (y + 1) * height):
                for i in range(x * width, (x + 1) * width):
                    self.pixels.pop((i, j), None)

    def lines(self):
        return ["".join(row).replace("\0", "").rstrip() for row in self.cells]

    def text(self):
        return "\n".join(self.lines()).rstrip()

    def row_of(self, word):
        rows = [y for y, line in enumerate(self.lines()) if word in line]
        assert len(rows) == 1, f"{word!r} is on {len(rows)} rows"
        return rows[0]

    def picture(self):
        """All pixels on the screen: (x, y) -> (red, green, blue)."""
        shown = dict(self.pixels)
        width, height = self.cell
        for image, place in self.placements.items():
            self.put_placement(shown, self.kitty_images[image], place, width, height)
        return shown

    def put_placement(self, shown, image, place, width, height):
        columns, rows = place["c"], place["r"]
        for j in range(rows * height):
            for i in range(columns * width):
                x = place["x"] + i * place["w"] // (columns * width)
                y = place["y"] + j * place["h"] // (rows * height)
                red, green, blue, alpha = image[2][4 * (y * image[0] + x):][:4]
                if alpha > 0:
                    shown[place["column"] * width + i, place["row"] * height + j] = (
                        red, green, blue)

    # -----------------------------------------------------------------------
    # What the program sends

    def take(self, data):
        self.bytes += data
        while self.bytes:
            used = self.take_one(self.bytes)
            if used == 0:
                return
            self.bytes = self.bytes[used:]

    def take_one(self, data):
        first = data[0]
        if first == 0x1B:
            return self.take_escape(data)
        if first < 0x20:
            self.control(first)
            return 1
        length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        if len(data) < length:
            return 0
        self.put(data[:length].decode())
        return length

    def control(self, byte):
        if byte == 8:
            self.x = max(0, min(self.x, self.columns - 1) - 1)
        elif byte == 10:
            self.line_feed()
        elif byte == 13:
            self.x = 0
        elif byte != 7:
            raise AssertionError(f"control character {byte}")

    def put(self, char):
        if self.resizing:
            return
        width = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if unicodedata.combining(char):
            return
        if self.wraps and self.x + width > self.columns:
            self.x = 0
            self.line_feed()
        assert self.x + width <= self.columns, "text past the right border"
        for i in range(width):
            self.wipe(self.y, self.x + i)
        self.cells[self.y][self.x] = char
        if width == 2:
            self.cells[self.y][self.x + 1] = "\0"
        self.last = char
        self.x += width

    def take_escape(self, data):
        if len(data) < 2:
            return 0
        kind = data[1:2]
        if kind in b"]P_":
            end = data.find(b"\033\\")
            bell = data.find(b"\a") if kind == b"]" else -1
            if bell >= 0 and (end < 0 or bell < end):
                self.string(kind, data[2:bell])
                return bell + 1
            if end < 0:
                return 0
            self.string(kind, data[2:end])
            return end + 2
        if kind == b"[":
            match = re.match(rb"\033\[([<-?]?)([0-9;:]*)([ -/]*)([@-~])", data)
            if not match:
                assert len(data) < 64, f"not a sequence: {data[:64]}"
                return 0
            mark, numbers, between, final = match.groups()
            self.csi((mark + between + final).decode(), numbers.decode())
            return match.end()
        if kind == b"(":
            return 3 if len(data) >= 3 else 0
        if kind == b"7":
            self.saved = self.y, self.x
        elif kind == b"8":
            self.y, self.x = self.saved
        elif kind == b"M":
            if self.y == self.region[0]:
                self.scroll(*self.region, -1)
            else:
                self.y = max(0, self.y - 1)
        elif kind not in b"=>":
            raise AssertionError(f"escape {kind}")
        return 2

    def line_feed(self):
        if self.y == self.region[1] - 1:
            self.scroll(*self.region, 1)
        else:
            self.y = min(self.y + 1, self.rows - 1)

    def scroll(self, first, end, up):
        """Rows [first, end) go up (or down), and pixels with them; but no kitty's, which
        does the same, because ours must not depend on it."""
        height = self.cell[1]
        moved = {}
        for (x, y), colour in self.pixels.items():
            if not first * height <= y < end * height:
                moved[x, y] = colour
            elif first * height <= y - up * height < end * height:
                moved[x, y - up * height] = colour
        self.pixels = moved
        for _ in range(min(abs(up), end - first)):
            del self.cells[first if up > 0 else end - 1]
            self.cells.insert(end - 1 if up > 0 else first, [" "] * self.columns)

    def erase(self, y, first, end):
        for x in range(first, end):
            self.wipe(y, x)

    def csi(self, name, numbers):
        values = [int(n) if n.isdigit() else 0 for n in numbers.split(";")]
        n = max(1, values[0])
        if name == "J":
            self.resizing = False
            self.y, self.x = min(self.y, self.rows - 1), min(self.x, self.columns - 1)
        if name in ("c", ">q", "?S", "t"):
            self.asked(name, values)
        elif self.resizing:
            return
        elif name == "H":
            self.y = n - 1
            self.x = max(1, values[1] if len(values) > 1 else 1) - 1
            assert self.y < self.rows and self.x < self.columns, "a place off the screen"
        elif name == "G":
            self.x = n - 1
        elif name == "d":
            self.y = n - 1
        elif name == "A":
            self.y = max(0, self.y - n)
        elif name == "B":
            self.y = min(self.rows - 1, self.y + n)
        elif name == "C":
            self.x = min(self.columns - 1, self.x + n)
        elif name == "D":
            self.x = max(0, min(self.x, self.columns - 1) - n)
        elif name == "K":
            x = min(self.x, self.columns - 1)
            self.erase(self.y, 0 if values[0] else x, x + 1 if values[0] == 1 else
                       self.columns)
        elif name == "J":
            self.erase_screen(values[0])
        elif name == "X":
            self.erase(self.y, self.x, min(self.x + n, self.columns))
        elif name == "b":
            for _ in range(n):
                self.put(self.last)
        elif name in "ST" and name:
            self.scroll(*self.region, n if name == "S" else -n)
        elif name in "ML":
            self.scroll(self.y, self.region[1], n if name == "M" else -n)
        elif name == "P":
            self.shift(n)
        elif name == "@":
            self.shift(-n)
        elif name == "r":
            self.region = (n - 1, values[1] if len(values) > 1 else self.rows)
            self.y = self.x = 0
        elif name not in ("m", "?h", "?l", "h", "l"):
            raise AssertionError(f"CSI {numbers} {name}")

    def shift(self, left):
        """Characters are deleted, or inserted: what is right of the cursor moves."""
        row = self.cells[self.y]
        tail = row[self.x:]
        self.erase(self.y, self.x, self.columns)
        tail = tail[left:] if left > 0 else [" "] * -left + tail
        for i, char in enumerate((tail + [" "] * self.columns)[:self.columns - self.x]):
            row[self.x + i] = char

    def erase_screen(self, what):
        for y in range(self.rows):
            if what == 2 or (what == 0 and y > self.y):
                self.erase(y, 0, self.columns)
        if what == 0:
            self.erase(self.y, self.x, self.columns)
        if what == 2:
            self.placements.clear()

    def answer(self, text):
        if self.kind == "mute":
            return
        if self.late == 0:
            os.write(self.fd, text)
            return
        when = self.due[-1][0] if self.due else time.monotonic() + self.late
        for byte in text:
            when += self.pause
            self.due.append((when, bytes([byte])))

    def asked(self, name, values):
        self.sent["question"] += 1
        if name == "c":
            self.answer(ATTRIBUTES["sixel" if self.kind == "sixel" else "plain"])
        elif name == ">q":
            self.answer(b"\033P>|iTerm2 3.5\033\\" if self.kind == "iterm" else
                        b"\033P>|test\033\\")
        elif name == "?S" and self.kind == "sixel":
            self.answer(f"\033[?1;0;{self.registers}S".encode() if values[0] == 1 else
                        b"\033[?2;0;1000;1000S")
        elif name == "t" and values[0] == 16 and self.cell:
            self.answer(f"\033[6;{self.cell[1]};{self.cell[0]}t".encode())

    def string(self, kind, data):
        if kind == b"P" and data[:2] == b"$q":
            self.answer(b"\033P0$r\033\\")
        elif self.resizing:
            return
        elif kind == b"P":
            self.sent["sixel"] += 1
            self.draw_sixel(data.decode())
        elif kind == b"_":
            self.kitty(data)
        elif data.startswith(b"1337;File="):
            self.sent["iterm"] += 1
            self.iterm(data)
        elif data == b"11;?":
            self.answer(b"\033]11;rgb:0000/0000/0000\033\\")

    # -----------------------------------------------------------------------
    # Pictures

    def draw_sixel(self, data):
        head, body = data.split("q", 1)
        assert head == "0;1;0", f"sixel parameters {head}"
        left, top = self.x * self.cell[0], self.y * self.cell[1]
        x = y = colour = 0
        palette, size = {}, None
        for match in re.finditer(r'"([\d;]+)|#([\d;]+)|!(\d+)([?-~])|([?-~])|([$-])|(.)',
                                 body, re.S):
            raster, number, repeat, repeated, single, move, other = match.groups()
            assert not other, f"{other!r} in a sixel"
            if raster:
                size = [int(n) for n in raster.split(";")]
            elif number:
                values = [int(n) for n in number.split(";")]
                colour = values[0]
                assert colour < self.registers, "more colours than registers"
                if len(values) == 5:
                    palette[colour] = tuple(round(v * 255 / 100) for v in values[2:])
            elif move:
                x, y = 0, y + (6 if move == "-" else 0)
            else:
                bits = ord(repeated or single) - 63
                for _ in range(int(repeat or 1)):
                    for k in range(6):
                        if bits >> k & 1:
                            self.pixels[left + x, top + y + k] = palette[colour]
                    x += 1
        assert size and size[:2] == [1, 1], "no size"
        rows = -(-((size[3] + 5) // 6 * 6) // self.cell[1])
        assert self.y + rows < self.rows, "a sixel that would scroll the screen"
        self.check_blank(rows, -(-size[2] // self.cell[0]))

    def check_blank(self, rows, columns):
        for y in range(self.y, self.y + rows):
            for x in range(self.x, self.x + columns):
                assert self.cells[y][x] in " \u00a0", "a picture over text"

    def kitty(self, data):
        control, _, payload = data.partition(b";")
        keys = dict(item.split("=") for item in control.decode()[1:].split(","))
        if keys.get("a") == "q":
            if self.kind == "kitty":
                self.answer(b"\033_Gi=31;OK\033\\")
            return
        assert keys["q"] == "2", "it would answer"
        assert len(payload) <= 4096
        action = keys.get("a", "t")
        if self.upload is not None or action == "t":
            self.take_upload(keys, payload)
        elif action == "p":
            self.sent["place"] += 1
            place = {key: int(value) for key, value in keys.items() if value.isdigit()}
            place.update(row=self.y, column=self.x)
            assert place["i"] in self.kitty_images, "a picture that was not sent"
            width, height, _ = self.kitty_images[place["i"]]
            assert place["x"] + place["w"] <= width and place["y"] + place["h"] <= height
            self.check_blank(place["r"], place["c"])
            self.placements[place["i"]] = place
        else:
            self.delete(keys)

    def take_upload(self, keys, payload):
        if self.upload is None:
            self.sent["upload"] += 1
            self.upload = keys, b""
        first, data = self.upload
        data += base64.b64decode(payload, validate=True)
        self.upload = first, data
        if keys.get("m") == "0":
            width, height = int(first["s"]), int(first["v"])
            assert len(data) == width * height * 4
            self.kitty_images[int(first["i"])] = width, height, data
            self.upload = None

    def delete(self, keys):
        self.sent["delete"] += 1
        if keys["d"] == "A":
            self.placements.clear()
            self.kitty_images.clear()
            return
        self.placements.pop(int(keys["i"]), None)
        if keys["d"] == "I":
            self.kitty_images.pop(int(keys["i"]), None)

    def iterm(self, data):
        head, _, payload = data[len("1337;File="):].partition(b":")
        keys = dict(item.split("=") for item in head.decode().split(";"))
        assert keys["inline"] == "1" and keys["doNotMoveCursor"] == "1"
        width, height, rgba = read_png(base64.b64decode(payload, validate=True))
        columns, rows = int(keys["width"]), int(keys["height"])
        self.check_blank(rows, columns)
        self.put_placement(self.pixels, (width, height, rgba),
                           {"c": columns, "r": rows, "x": 0, "y": 0, "w": width,
                            "h": height, "row": self.y, "column": self.x}, *self.cell)


def read_png(data):
    """8-bit RGBA without interlacing, as libpng writes it for us."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + chunk) == struct.unpack(">I", data[at + 8 + length:][:4])[0]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlace = struct.unpack(">IIBBBBB", chunk)
            assert (depth, colours, interlace) == (8, 6, 0)
        elif kind == b"IDAT":
            body += chunk
        at += 12 + length
    rows, before, raw = [], bytes(4 * width), zlib.decompress(body)
    for y in range(height):
        kind = raw[y * (4 * width + 1)]
        row = bytearray(raw[y * (4 * width + 1) + 1:(y + 1) * (4 * width + 1)])
        for i in range(4 * width):
            left = row[i - 4] if i >= 4 else 0
            above, corner = before[i], before[i - 4] if i >= 4 else 0
            guess = (0, left, above, (left + above) // 2,
                     min((left, above, corner),
                         key=lambda v: abs(left + above - corner - v)))[kind]
            row[i] = (row[i] + guess) & 255
        rows.append(bytes(row))
        before = row
    return width, height, b"".join(rows)
