# tests/terminal/test_attach.py
# SPDX-License-Identifier: MIT
"""Pictures that go with a message: named, pasted, from the clipboard, taken off again,
kept through a crash, refused, and sent to a model that sees or does not."""
import hashlib
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import chat, check, png, put, say  # noqa: E402
from screen import program, tap  # noqa: E402

RED = png(40, 20, (255, 0, 0))
BLUE = png(8, 8, (0, 0, 255))


def mark(bytes_):
    return hashlib.sha256(bytes_).hexdigest()[:8]


def test_a_picture_is_attached_by_name_and_goes_with_the_message():
    with chat(script="vision") as screen:
        path = put(screen.home, "my cat.png", RED)
        say(screen, f"/attach {path}", "▣ my cat.png")
        say(screen, "what is it?", f"user<[my cat.png {mark(RED)}]what is it?>")
        screen.wait("ready  Fake", gone=["▣ my cat.png\n"])
        text = screen.text()
        check(text.index("You") < text.index("my cat.png") < text.index("what is it?"))


def test_several_names_in_one_line_quotes_and_home():
    with chat(script="vision", columns=100) as screen:
        put(screen.home, "a b.png", RED)
        put(screen.home, "c.png", BLUE)
        say(screen, '/attach "~/a b.png" ~/c.png', "▣ a b.png", "▣ c.png")
        say(screen, "both?", f"user<[a b.png {mark(RED)}][c.png {mark(BLUE)}]both?>")


def test_a_pasted_path_attaches_and_pasted_words_do_not():
    with chat(script="vision") as screen:
        path = put(screen.home, "shot.png", RED)
        other = put(screen.home, "notes.txt", b"just words")
        screen.type("look: ")
        screen.paste(path)
        screen.wait("▣ shot.png", "› look:")
        screen.paste("file://" + path.replace(" ", "%20"))
        screen.wait("▣ shot.png  ▣ shot.png")
        screen.paste(other)
        screen.wait("notes.txt")
        screen.keys("C-c")
        say(screen, "/detach", "Type a message")
        screen.wait(gone=["▣ shot.png"])


def test_what_is_no_picture_is_refused_when_it_is_attached():
    with chat(script="vision") as screen:
        path = put(screen.home, "fake.png", RED[:60])
        say(screen, f"/attach {path}", "! fake.png: ")
        say(screen, "/attach /nowhere/x.png", "No such file")
        say(screen, f"/attach {screen.home}", "not a file")
        say(screen, "/attach", "which pictures?")
        say(screen, "hello", "user<hello>")


def test_what_is_attached_survives_a_crash_with_the_words():
    with chat(script="vision") as screen:
        path = put(screen.home, "cat.png", RED)
        say(screen, f"/attach {path}", "▣ cat.png")
        screen.type("half a ")
        screen.wait("› half a")
        time.sleep(1.3)
        os.unlink(path)
        screen.kill()
        with chat(home=screen.home, script="vision") as again:
            again.wait("▣ cat.png", "› half a")
            say(again, "thought", f"user<[cat.png {mark(RED)}]half a thought>")


def test_a_message_sent_while_its_picture_is_read_waits_for_it():
    with chat(script="vision") as screen:
        path = put(screen.home, "big.png", png(3000, 3000, (1, 2, 3)))
        screen.burst(f"/attach {path}\nwhat is it?\n")
        screen.wait("user<[big.png", "]what is it?>")


def test_a_model_that_cannot_see_says_so_before_anything_is_sent():
    with chat() as screen:
        path = put(screen.home, "cat.png", RED)
        say(screen, f"/attach {path}", "▣ cat.png", "Fake 1B cannot see pictures",
            "/model NAME", "/detach")
        check("You" not in screen.text().replace("Your", ""))
        say(screen, "what?", "user<[a picture that you cannot see: cat.png]")
        say(screen, "/detach", "nothing is attached")


def test_one_of_several_is_taken_off():
    with chat(script="vision") as screen:
        say(screen, f"/attach {put(screen.home, 'a.png', RED)}", "▣ a.png")
        say(screen, f"/attach {put(screen.home, 'b.png', BLUE)}", "▣ a.png  ▣ b.png")
        say(screen, "/detach a.png", "▣ b.png")
        screen.wait(gone=["▣ a.png  "])
        say(screen, "/detach z.png", "z.png is not attached")
        say(screen, "left?", f"user<[b.png {mark(BLUE)}]left?>")


def test_an_edited_message_keeps_its_pictures():
    with chat(script="vision") as screen:
        say(screen, f"/attach {put(screen.home, 'a.png', RED)}", "▣ a.png")
        say(screen, "first", f"user<[a.png {mark(RED)}]first>")
        screen.wait("ready  Fake")
        say(screen, "/edit", "› first", "▣ a.png")
        say(screen, " again", f"user<[a.png {mark(RED)}]first again>")


def test_the_clipboard_gives_its_picture():
    with chat(script="vision") as screen:
        say(screen, "/paste-image", "no clipboard can be reached")
    for content, shown in [(RED, "▣ clipboard.png"), (None, "no picture in the clipboard")]:
        with tempfile.TemporaryDirectory() as tools:
            program = put(tools, "xclip", b"#!/bin/sh\n" + (
                b"cat " + put(tools, "x", content).encode() if content else b"exit 1"))
            os.chmod(program, 0o755)
            env = {"DISPLAY": ":9", "PATH": tools + ":" + os.environ["PATH"]}
            with chat(script="vision", env=env) as screen:
                say(screen, "/paste-image", shown)


def test_a_reply_about_a_picture_is_made_again():
    for script in ["vision", ""]:
        with chat(script=script) as screen:
            say(screen, f"/attach {put(screen.home, 'a.png', RED)}", "▣ a.png")
            say(screen, "mine", "You said: user<[a")
            screen.wait("a.png", "mine", "tokens/s", "ready  Fake")
            screen.keys("C-d")
            screen.ended()
            for what in [("--verify",), ()]:
                env = {**os.environ, "HOME": screen.home, "ORIEL_FAKE": script}
                env.pop("XDG_STATE_HOME", None)
                done = subprocess.run([program, "replay", *what, "-m", screen.model, "last"],
                                      capture_output=True, text=True, env=env,
                                      stdin=subprocess.DEVNULL, timeout=60)
                check(done.returncode == 0, done)
                check(("all the same" if what else "100 %") in done.stdout, done)


def test_pictures_of_an_old_conversation_are_shown_again():
    with chat(script="vision") as screen:
        say(screen, f"/attach {put(screen.home, 'a.png', RED)}", "▣ a.png")
        say(screen, "mine", "user<[a.png")
        screen.wait("ready  Fake")
        screen.keys("C-d")
        screen.ended()
        with chat("last", home=screen.home) as again:
            again.wait("a.png", "40 x 20", "mine")


tap.run(globals())
