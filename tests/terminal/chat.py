# tests/terminal/chat.py
# SPDX-License-Identifier: MIT
"""What the tests of the chat share."""
import os
import struct
import sys
import zlib

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from screen import MODEL, Screen  # noqa: E402


def check(condition, *shown):
    if not condition:
        raise AssertionError("\n".join(map(str, shown)))


def chat(*args, **how):
    screen = Screen("chat", "-m", MODEL, "--theme", "dark", *args, **how)
    try:
        screen.wait("ready  Fake 1B")
    except BaseException:
        screen.__exit__(*sys.exc_info())
        raise
    return screen


def say(screen, text, *answer, gone=()):
    screen.type(text)
    screen.keys("Enter")
    screen.wait(*answer, gone=gone)


def png(width, height, rgb):
    """A picture of one colour."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes(rgb) * width) * height
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def put(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    return path
