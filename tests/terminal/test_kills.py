# tests/terminal/test_kills.py
# SPDX-License-Identifier: MIT
"""The chat is killed with SIGKILL at random instants, while a person types, sends, has
replies written, and deletes. Whatever stood on the screen as sent is in the store, and the
store is whole. KILLS: how often; `make check-screen-kills` does it for longer."""
import glob
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import chat, check  # noqa: E402
from screen import tap  # noqa: E402

KILLS = int(os.environ.get("KILLS", "4"))


def type_until(screen, end, round_):
    """Returns the messages that were seen on the screen as sent."""
    seen, sent, number = set(), set(), 0
    while time.monotonic() < end:
        text = f"note-{round_}-{number}"
        number += 1
        screen.tmux("send-keys", "-l", text, check=False)
        screen.tmux("send-keys", "Enter", check=False)
        if random.random() < 0.2:
            screen.tmux("send-keys", "Escape", check=False)
        if random.random() < 0.1:
            for _ in range(2):
                screen.tmux("send-keys", "-l", "/delete", check=False)
                screen.tmux("send-keys", "Enter", check=False)
            seen, sent = set(), set()  # what is deleted is not missed
            continue
        sent.add(text)
        lines = screen.lines()
        for above, line in zip(lines, lines[1:]):
            if above.strip() == "You" and line.strip() in sent:
                seen.add(line.strip())
    return seen


def stored(home):
    connection = sqlite3.connect(glob.glob(home + "/.local/state/oriel/*.db")[0])
    check(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    check(connection.execute("PRAGMA foreign_key_check").fetchone() is None)
    lines = {line for row in connection.execute("SELECT text FROM parts")
             for line in (row[0] or "").split("\n")}
    connection.close()
    return lines


def test_nothing_that_was_sent_is_lost_when_it_is_killed():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for round_ in range(KILLS):
            with chat(home=home, script="token_ms=2 tokens=60") as screen:
                pid, pause = screen.pid(), random.uniform(0.05, 1.5)
                timer = threading.Timer(pause, os.kill, (pid, 9))
                timer.start()
                seen = type_until(screen, time.monotonic() + pause, round_)
                timer.join()
                missing = seen - stored(home)
                check(not missing, f"round {round_}: {missing} of {seen}")


tap.run(globals())
