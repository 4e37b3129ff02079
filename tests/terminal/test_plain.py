# tests/terminal/test_plain.py
# SPDX-License-Identifier: MIT
"""The linear mode: everything once, from top to bottom, without curses."""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import check, png, put, say  # noqa: E402
from screen import MODEL, Screen, hexadecimal, tap  # noqa: E402


def plain(*args, **how):
    screen = Screen("chat", "--plain", "-m", MODEL, *args, rows=40, **how)
    screen.wait("(ready: Fake 1B on Fake device)", "You:")
    return screen


def test_messages_are_written_once_with_who_speaks():
    with plain() as screen:
        say(screen, "hello", "Fake 1B: You said: user<hello>")
        screen.wait("user<hello>\nYou:")
        say(screen, "again", "user<again>\nYou:")
        text = screen.text()
        check(text.count("You: hello") == 1 and text.count("You: again") == 1, text)
        check(screen.tmux("display-message", "-p", "#{alternate_on}").strip() == "0")
        screen.keys("C-d")
        check(screen.ended() == 0)


def test_a_dumb_terminal_gets_it_by_itself_and_no_escape_sequences():
    with Screen("chat", "-m", MODEL, env={"TERM": "dumb"}) as screen:
        screen.wait("(ready: Fake 1B on Fake device)", "You:")
        log = os.path.join(screen.folder.name, "raw")
        screen.tmux("pipe-pane", f"cat >{log}")
        say(screen, "hello", "Fake 1B: You said: user<hello>")
        with open(log, "rb") as file:
            check(b"\x1b" not in file.read())


def test_ctrl_c_stops_and_leaves():
    with plain(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "Fake 1B: ")
        time.sleep(0.5)
        screen.keys("C-c")
        screen.wait("(stopped)", "xxx")
        screen.type("typed")
        screen.wait("You: typed")
        screen.keys("C-c")
        time.sleep(0.3)
        screen.keys("C-c")
        screen.wait("Ctrl-C again leaves")
        screen.keys("C-c")
        check(screen.ended() == 0)


def test_commands_work_and_the_list_has_numbers():
    with plain() as screen:
        say(screen, "about zebras", "user<about zebras>")
        say(screen, "/new", "Note: Type a message")
        say(screen, "about lions", "user<about lions>")
        say(screen, "/sessions", "1. about lions, ", "2. about zebras, ")
        say(screen, "/open 2", "You: about zebras\n")
        say(screen, "/retry", "(2/2)")
        say(screen, "/fold", "needs the full screen")
        say(screen, "/nonsense", "no such command")
        say(screen, "/help", "/rename TITLE: give this conversation another title")
        say(screen, "/quit")
        check(screen.ended() == 0)


def test_it_is_said_from_where_on_the_model_reads():
    with plain("--context", "80") as screen:
        say(screen, "one " * 8, "user<one one")
        say(screen, "two " * 4, "You said: user<two two",
            "(the model no longer reads what was said before: two two two two )\nFake 1B: You")


def test_pictures_are_words():
    with plain(script="vision") as screen:
        path = put(screen.home, "cat.png", png(4, 4, (255, 0, 0)))
        say(screen, f"/attach {path}", "(attached: cat.png)")
        say(screen, "what?", "You: (picture) cat.png", "[cat.png")


def test_text_with_escape_sequences_is_only_text():
    with plain(script="text=" + hexadecimal("\x1b]0;owned\x07\x1b[2Jend")) as screen:
        say(screen, "?", "␛]0;owned␇␛[2Jend")


def test_a_draft_comes_back_and_output_does_not_mix_with_typing():
    with plain() as screen:
        screen.type("half a thought")
        screen.wait("You: half a thought")
        time.sleep(1.3)
        screen.kill()
        with plain(home=screen.home) as again:
            again.wait("You: half a thought")


def test_what_is_typed_while_a_reply_is_written_waits_for_the_prompt():
    with plain(script="token_ms=20 tokens=60") as screen:
        say(screen, "go on", "Fake 1B: xxx")
        screen.type("first line")
        screen.keys("Enter")
        screen.type("second li")
        screen.keys("Left", "Left")
        screen.type("-")
        check("line" not in screen.text(), screen.text())
        text = screen.wait("You: second -li")
        check(f"Fake 1B: {'x' * 60}\nYou: first line\nFake 1B: {'x' * 60}\nYou: second -li" in text,
              text)


def test_a_paste_while_a_reply_is_written_is_not_sent():
    with plain(script="token_ms=20 tokens=60") as screen:
        say(screen, "go on", "Fake 1B: xxx")
        screen.paste("one\ntwo\nthree")
        text = screen.wait("three")
        check("You: two" not in text and f"Fake 1B: {'x' * 60}\nYou: one" in text, text)


def test_even_a_kill_gives_the_terminal_back():
    with plain() as screen:
        screen.kill()
        tty = screen.tmux("display-message", "-p", "#{pane_tty}").strip()
        with open(os.path.join(screen.folder.name, "before")) as file:
            before = file.read()
        end = time.monotonic() + 5
        modes = lambda: subprocess.run(["stty", "-g", "-F", tty], capture_output=True,
                                       text=True).stdout
        while modes() != before:
            check(time.monotonic() < end, modes(), before)
            time.sleep(0.02)


def test_the_modes_of_the_terminal_are_restored():
    with plain(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "Fake 1B: ")
        os.kill(screen.pid(), 15)
        check(screen.ended() == 128 + 15)


tap.run(globals())
