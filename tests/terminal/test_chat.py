# tests/terminal/test_chat.py
# SPDX-License-Identifier: MIT
"""The chat on a real terminal, with the scripted engine: what a person types, and what is
on the screen."""
import glob
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import chat, check, say  # noqa: E402
from screen import MODEL, Screen, hexadecimal, program, tap  # noqa: E402


def screen_is(screen, picture):
    """Compares the whole screen; what changes from run to run stands as ####."""
    got, want = screen.lines(), picture.strip("\n").split("\n")
    want += [""] * (len(got) - len(want))
    for line, wanted in zip(got, want):
        start = wanted.split("####")[0]
        check(line.startswith(start) if "####" in wanted else line == wanted,
              *got, f"the line is  {line!r}", f"and should be {wanted!r}")


def test_a_message_is_answered():
    with chat() as screen:
        say(screen, "hello", "You said: user<hello>")
        screen.wait("ready  Fake")
        blank = "\n" * 15
        screen_is(screen, f"""
 You
 hello

 Fake 1B
 You said: user<hello>
{blank}
{"─" * 80}
›
 ready  Fake 1B · Fake device · hello ####
""")
        screen.keys("C-d")
        check(screen.ended() == 0)


def test_escape_stops_and_keeps_the_text():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "xxxxx")
        screen.keys("Escape")
        screen.wait("stopped", "ready  Fake")
        text = screen.text()
        check("xxxxx" in text, text)
        time.sleep(0.3)
        check(screen.text().count("x") == text.count("x"), "it goes on")
        screen.keys("C-d")
        check(screen.ended() == 0)


def test_ctrl_c_stops_then_clears_then_asks_then_leaves():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "xxxxx")
        screen.keys("C-c")
        screen.wait("stopped", "ready  Fake")
        screen.type("typed")
        screen.wait("› typed")
        screen.keys("C-c")
        screen.wait(gone=["typed"])
        screen.keys("C-c")
        screen.wait("Ctrl-C again leaves")
        screen.keys("C-c")
        check(screen.ended() == 0)


def test_a_paste_of_many_lines_is_not_sent():
    with chat() as screen:
        screen.paste("one\ntwo\nthree")
        screen.wait("› one", "  two", "  three")
        check("You" not in screen.text())
        screen.type("!")
        screen.keys("Enter")
        screen.wait("You said: user<one two three!>")


def test_a_burst_of_typing_is_taken_whole():
    with chat() as screen:
        screen.burst("x" * 300 + "\n" + "y" * 100)
        screen.wait("You", "x" * 70, "y" * 70)


def test_ctrl_j_and_alt_enter_begin_lines():
    with chat() as screen:
        screen.type("one")
        screen.keys("C-j")
        screen.type("two")
        screen.keys("M-Enter")
        screen.type("three")
        screen.wait("› one", "  two", "  three")
        screen.keys("Up", "Home")
        screen.type(">")
        screen.wait("  >two")


def test_history_and_search_of_readline():
    with chat() as screen:
        say(screen, "first message", "user<first message>")
        say(screen, "second message", "user<second message>")
        screen.keys("Up")
        screen.wait("› second message")
        screen.keys("Up")
        screen.wait("› first message")
        screen.keys("C-c", "C-r")
        screen.type("sec")
        screen.wait("(reverse-i-search)`sec': second message")


def test_markdown_is_drawn():
    script = "text=" + hexadecimal("# Title\n\n- a\n- **b**\n\n| x | y |\n|---|---|\n| 1 | 2 |\n")
    with chat(script=script, rows=20) as screen:
        say(screen, "?", "1 │ 2")
        screen.wait("ready  Fake")
        screen_is(screen, """
 You
 ?

 Fake 1B
 Title

 • a
 • b

 x │ y
 ──┼──
 1 │ 2
""" + "\n" * 4 + "\n" + "─" * 80 + "\n›\n ready  ####")


def test_text_with_escape_sequences_is_only_text():
    hostile = (b"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1bc \xc2\x9b31m\x9b "
               b"\xe2\x80\xaeevil \x1b]52;c;aGk=\x07 \x08\x08 end")
    with chat(script="text=" + hostile.hex()) as screen:
        say(screen, "\u202eshow", "␛]0;owned␇", "␛[31mred␛c", "end", "You")
        check(screen.tmux("display-message", "-p", "#{pane_title}").strip() != "owned")
        check("\u202e" not in screen.text())


def test_any_size_is_survived():
    with chat() as screen:
        say(screen, "hello there, this is a message of some length", "You said:")
        for columns, rows in [(20, 5), (5, 2), (1, 1), (200, 60), (40, 3), (80, 24)]:
            screen.tmux("resize-window", "-x", str(columns), "-y", str(rows))
            time.sleep(0.1)
        screen.wait("You said: user<hello there, this is a message of some length>")
        screen.tmux("resize-window", "-x", "20", "-y", "5")
        screen.wait("›", "ready")


def test_the_help_lists_keys_and_commands():
    with chat(rows=60) as screen:
        screen.keys("F1")
        text = screen.wait("Ctrl-J, Alt-Enter", "/retry", "/export FILE")
        check(text.count("\n") < 60)
        screen.keys("Escape")
        screen.wait(gone=["/retry"])


def test_commands_are_completed_and_mistakes_told():
    with chat() as screen:
        screen.type("/ren")
        screen.keys("Tab")
        screen.wait("› /rename")
        screen.keys("C-c")
        say(screen, "/nonsense", "no such command", "› /nonsense")
        screen.keys("C-c")
        say(screen, "/home/someone/file.png is a path", "user</home/someone/file.png is a")


def test_arguments_are_completed():
    with chat(columns=100) as screen:
        say(screen, "Zebras are striped", "user<Zebras are striped>")
        say(screen, "/new", "Type a message")
        screen.type("/open zeb")
        screen.keys("Tab")
        screen.wait("› /open Zebras are striped")
        screen.keys("C-c")
        screen.type("/open Zebras ar")
        screen.keys("Tab", "Enter")
        screen.wait("user<Zebras are striped>")
        screen.type("/model qwen2.5-0")
        screen.keys("Tab")
        screen.wait("› /model qwen2.5-0.5b")
        screen.keys("C-c")
        screen.type("/set temp")
        screen.keys("Tab")
        screen.wait("› /set temperature")
        screen.keys("C-c")
        with open(os.path.join(screen.home, "my cat.png"), "wb"):
            pass
        screen.type(f"/attach {screen.home}/my")
        screen.keys("Tab")
        screen.wait("cat.png\"")


def test_replies_are_shown_as_they_were_written():
    with chat(script="text=" + hexadecimal("# Title\n\n**bold**")) as screen:
        say(screen, "?", "Title")
        screen.wait("ready  Fake", gone=["**bold**"])
        say(screen, "/raw", "# Title", "**bold**")
        say(screen, "/raw", "Replies as Markdown")
        screen.wait(gone=["**bold**"])


def test_conversations_are_kept_found_and_opened():
    with chat() as screen:
        say(screen, "about zebras", "user<about zebras>")
        say(screen, "/new", "Type a message")
        say(screen, "about lions", "user<about lions>")
        screen.keys("F2")
        screen.wait("Conversations", "● about lions", "  about zebras", "2 messages")
        screen.keys("Down", "Enter")
        screen.wait("user<about zebras>", "● about zebras", gone=["user<about lions>"])
        say(screen, "/rename Animals", "● Animals")
        say(screen, "/search lions", "found: lions")
        say(screen, "/fork", "This is a copy")
        say(screen, "/delete", "once more deletes")
        say(screen, "/delete", "Type a message")
        screen.keys("C-d")
        check(screen.ended() == 0)
        with chat("Animals", home=screen.home) as again:
            again.wait("user<about zebras>")


def test_replies_and_messages_have_versions():
    with chat(script="tokens=3") as screen:
        say(screen, "first", "xxx")
        say(screen, "/retry", "2/2")
        say(screen, "/previous", "1/2")
        say(screen, "/next", "2/2")
        say(screen, "/edit", "› first")
        say(screen, " and more", "first and more")
        screen.wait("ready  Fake", gone=["2/2\n xxx"])
        say(screen, "/previous", "1/2")


def test_a_draft_is_there_again():
    with chat() as screen:
        screen.type("half a thought")
        screen.wait("› half a thought")
        time.sleep(1.3)
        screen.kill()
        with chat(home=screen.home) as again:
            again.wait("› half a thought")


def test_nothing_is_lost_when_the_engine_dies():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "xxxxx")
        os.kill(screen.engine_pid(), signal.SIGKILL)
        screen.wait("killed by signal 9", "Starting the engine again", "ready  Fake", "xxxx")
        say(screen, "still there?", "still there?", "writing")


def test_an_engine_that_dies_while_it_has_nothing_to_do_is_started_again():
    with chat() as screen:
        say(screen, "one", "user<one>")
        os.kill(screen.engine_pid(), signal.SIGKILL)
        screen.wait("killed by signal 9", "Starting the engine again", "ready  Fake")
        say(screen, "two", "user<two>")


def test_when_the_device_is_lost_the_text_stays_and_the_engine_starts_again():
    with chat(script="tokens=9 fail=12") as screen:
        before = screen.engine_pid()
        say(screen, "one", "xxx", "the fake engine fails", "Starting the engine again",
            "ready  Fake")
        check(screen.engine_pid() != before)
        say(screen, "two", "two", "xxx\n", "Starting the engine again", "ready  Fake")


def test_after_another_error_the_engine_goes_on():
    with chat(script="tokens=9 fail=6") as screen:
        before = screen.engine_pid()
        say(screen, "one", "xxx", "the fake engine fails", "ready  Fake")
        check(screen.engine_pid() == before and "Starting" not in screen.text())


def test_what_is_sent_during_a_reply_waits_for_its_end():
    with chat(script="token_ms=20 tokens=60") as screen:
        say(screen, "first", "xxxxx")
        say(screen, "second", "queued: second")
        say(screen, "third", "queued: second third")
        screen.wait("ready  Fake", "second\n third", gone=["queued:"])


def test_what_waits_comes_back_when_the_reply_is_stopped():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "first", "xxxxx")
        say(screen, "second", "queued: second")
        screen.type("more")
        screen.keys("Escape")
        screen.wait("stopped", "› second\n  more", gone=["queued:"])
        screen.keys("C-c")
        say(screen, "go on", "x")
        say(screen, "kept", "queued: kept")
        screen.kill()
        with chat("last", home=screen.home) as again:
            again.wait("› kept")


def test_a_reply_that_the_store_refuses_is_in_a_file():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "xxxxxxxxxx")
        store = glob.glob(screen.home + "/.local/state/oriel/*.db")[0]
        other = sqlite3.connect(store, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        screen.keys("C-c", "C-d")
        screen.wait("the last reply is not saved", "takes it in", seconds=40)
        screen.ended()
        other.execute("ROLLBACK")
        other.close()
        done = run_plain(screen, "sessions", "import", store + ".rescue.jsonl")
        check(done.returncode == 0, done)
        with open(store + ".rescue.jsonl") as file:
            rescued = max(re.findall("x+", file.read()), key=len)
        check(rescued in run_plain(screen, "sessions", "export", "--format", "jsonl").stdout)


def test_an_engine_that_hangs_is_killed():
    with chat(script="hang") as screen:
        say(screen, "go on", "writing")
        screen.keys("Escape")
        screen.wait("did not stop", "ready  Fake")


def test_loading_is_shown_and_typing_works_meanwhile():
    with Screen("chat", "-m", MODEL, script="open_ms=1500") as screen:
        screen.wait("reading weights")
        say(screen, "already typing", "You", "already typing")
        screen.wait("user<already typing>")


def test_without_a_model_it_says_what_to_do():
    with Screen() as screen:
        screen.wait("! ", "oriel pull", "no model")
        say(screen, "anyone?", "Saved. There is no model")
        say(screen, "/model /nowhere/x.gguf", "No such file")
        say(screen, f"/model {screen.model}", "ready  Fake 1B", "user<anyone?>")
        say(screen, "hello", "user<hello>")


def test_the_oldest_turns_leave_a_full_context():
    with chat("--context", "120", "-s", "BE BRIEF", rows=40) as screen:
        say(screen, "one " * 8, "system<BE BRIEF>user<one one")
        say(screen, "two", "model's context", "system<BE BRIEF>user<two>")
        rule = "above this line the model reads only the instructions"
        check(re.search(f"──── {rule} ────+\n\n You\n two\n", screen.text()), screen.text())
        say(screen, "three", "<two>>user<three>", "ready  Fake")
        check(re.search(f"── {rule} ─+\n\n You\n two\n", screen.text()), "it stays")
        say(screen, "four " * 8, "You said: system<BE BRIEF>user<four four")
        text = screen.wait("ready  Fake")
        check(text.count(rule) == 1 and re.search(f"── {rule} ─+\n\n You\n four", text), text)
        screen.tmux("resize-window", "-x", "20", "-y", "30")
        screen.wait("above this line the\nmodel reads only the\ninstructions\n────────────────────\n\nYou\nfour")
        screen.tmux("resize-window", "-x", "80", "-y", "40")
        screen.wait(rule)
        say(screen, "/retry", "2/2")
        check(screen.text().count(rule) == 1, screen.text())
        say(screen, "/new", "Type a message", gone=[rule])


def test_the_line_where_the_context_begins_moves_nothing_that_is_read():
    lines = hexadecimal("\n\n".join(f"line {n}" for n in range(20)))
    with chat("--context", "300", script="token_ms=4 text=" + lines) as screen:
        say(screen, "one", "line 19")
        screen.wait("ready  Fake")
        say(screen, "two", "two\n\n Fake 1B\n line 0")
        screen.burst("three\n")
        screen.wait("queued: three")
        screen.keys("PageUp", "PageUp")
        screen.wait("↓ more")
        before = screen.lines()[:20]
        screen.wait("The oldest turns have left")
        check(screen.lines()[:20] == before, "it has moved")
        screen.keys("C-Home")
        screen.wait("line 1")
        say(screen, "/find above this", "── above this line the model no longer reads ──")


def test_the_end_is_followed_unless_one_scrolls():
    with chat(script="text=" + hexadecimal("\n\n".join(f"line {n}" for n in range(60)))) as screen:
        say(screen, "go", "line 59")
        screen.keys("PageUp", "PageUp")
        screen.wait("↓ more", gone=["line 59"])
        before = screen.text()
        screen.type("x")
        screen.wait("› x")
        check(screen.lines()[0] == before.split("\n")[0])
        screen.keys("C-End")
        screen.wait("line 59", gone=["↓ more"])
        say(screen, "", "line 59")
        screen.keys("C-c")
        say(screen, "/find LINE 7", "line 7")
        screen.keys("F3", "F3", "F3")  # one of them, if the second reply came that far
        screen.wait("No more above")


def test_every_end_restores_the_terminal():
    for number in [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSEGV,
                   signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGQUIT]:
        with chat(script="token_ms=20 tokens=1000") as screen:
            say(screen, "go on", "xxxxx")
            os.kill(screen.pid(), number)
            check(screen.ended() == 128 + number)
            check(screen.tmux("display-message", "-p",
                              "#{alternate_on}#{mouse_any_flag}#{cursor_flag}").strip()
                  == "001", number)


def test_even_a_kill_gives_the_terminal_back():
    with chat(script="token_ms=20 tokens=1000") as screen:
        say(screen, "go on", "xxxxx")
        modes = lambda: screen.tmux(
            "display-message", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}").strip()
        check(modes() == "111")
        screen.kill()
        end = time.monotonic() + 5
        tty = screen.tmux("display-message", "-p", "#{pane_tty}").strip()
        with open(os.path.join(screen.folder.name, "before")) as file:
            before = file.read()
        while time.monotonic() < end:
            now = subprocess.run(["stty", "-g", "-F", tty], capture_output=True, text=True)
            if now.stdout == before and modes() == "001":
                return
            time.sleep(0.02)
        raise AssertionError(f"{now.stdout} {before} {modes()}")


def test_the_screen_comes_back_after_ctrl_z():
    with Screen(shell=True) as screen:
        screen.type(f"{program} --theme dark -m {screen.model}")
        screen.keys("Enter")
        screen.wait("ready  Fake 1B")
        say(screen, "hello", "user<hello>")
        screen.keys("C-z")
        screen.wait("Stopped", gone=["user<hello>"])
        screen.type("fg")
        screen.keys("Enter")
        screen.wait("user<hello>", "ready  Fake")
        screen.keys("C-d")
        screen.wait("Stopped", gone=["user<hello>"])


def test_ephemeral_leaves_nothing_on_disk():
    with chat("--ephemeral") as screen:
        say(screen, "canary-7d1f", "user<canary-7d1f>")
        screen.keys("C-d")
        check(screen.ended() == 0)
        for folder, _, files in os.walk(screen.home):
            for name in files:
                path = os.path.join(folder, name)
                if os.path.basename(path) not in ("tmux", "model.gguf"):
                    with open(path, "rb") as file:
                        check(b"canary" not in file.read(), path)


def test_colours_follow_the_theme_and_no_color():
    with chat() as screen:
        say(screen, "hello", "user<hello>")
        check("\033[38;5;" in screen.text("-e"))
    with Screen("chat", "-m", MODEL, env={"NO_COLOR": "1"}) as screen:
        screen.wait("ready  Fake")
        check(not re.search("\033\\[[0-9;]*(3[0-8]|4[0-8]|9[0-7])[;m]", screen.text("-e")))


def test_the_reasoning_is_folded():
    script = "text=" + hexadecimal("<think>deep thoughts</think>\n\nThe answer.")
    with chat(script=script) as screen:
        say(screen, "?", "▸ reasoning, 13 characters", "The answer.")
        check("deep" not in screen.text())
        screen.keys("F5")
        screen.wait("deep thoughts")


def test_a_conversation_is_replayed():
    with chat(script="token_ms=10 tokens=40") as screen:
        say(screen, "hello", "x" * 40)
        screen.wait("ready  Fake")
        screen.keys("C-d")
        screen.ended()
        with Screen("replay", "--theme", "dark", "last", home=screen.home) as replay:
            replay.wait("hello", "xxx", "playing", gone=["x" * 40])
            replay.keys("Space")
            replay.wait("paused")
            time.sleep(0.2)
            count = replay.text().count("x")  # with those of the status line's "1x"
            replay.keys("Right", "Right")
            replay.wait("x" * (count + 1))
            time.sleep(0.3)
            check(replay.text().count("x") <= count + 4, replay.text())
            replay.type(" ++")
            replay.wait("x" * 40, "the end")
            replay.type("q")
            check(replay.ended() == 0)


def run_plain(screen, *args, script="tokens=12"):
    env = {**os.environ, "HOME": screen.home, "LC_ALL": "C.UTF-8",
           "ORIEL_FAKE": script}
    env.pop("XDG_STATE_HOME", None)
    return subprocess.run([program, *args], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL, timeout=60)


def test_a_replay_goes_into_pipes_casts_and_through_the_engine_again():
    with chat(script="tokens=12") as screen:
        say(screen, "hello", "x" * 12)
        screen.wait("ready  Fake")
        screen.keys("C-d")
        screen.ended()
        done = run_plain(screen, "replay", "--instant", "last")
        check(done.stdout == "You:\nhello\n\nFake 1B:\n" + "x" * 12 + "\n\n", done)
        cast = os.path.join(screen.folder.name, "x.cast")
        done = run_plain(screen, "replay", "--cast", cast, "last")
        check(done.returncode == 0, done)
        with open(cast) as file:
            header, *events = map(json.loads, file)
        check(header["version"] == 2 and header["width"] == 80, header)
        check("".join(event[2] for event in events) ==
              done.stdout + "You:\r\nhello\r\n\r\nFake 1B:\r\n" + "x" * 12 + "\r\n\r\n", events)
        times = [event[0] for event in events]
        check(times == sorted(times) and all(event[1] == "o" for event in events))
        done = run_plain(screen, "replay", "--verify", "-m", screen.model, "last")
        check(done.returncode == 0 and "12 tokens, all the same" in done.stdout, done)
        with open(screen.model, "a") as file:
            file.write("changed")
        done = run_plain(screen, "replay", "--verify", "-m", screen.model, "last")
        check("another model file (Fake 1B: sample:" in done.stderr, done)
        done = run_plain(screen, "replay", "--instant", "no such thing")
        check(done.returncode == 1 and done.stderr.count("\n") == 1, done)


def test_another_model_answers_the_same_turns():
    with chat(script="text=" + hexadecimal("one two three four")) as screen:
        say(screen, "first question", "one two three four")
        screen.wait("ready  Fake")
        say(screen, "second question",
            "second question\n\n Fake 1B\n one two three four", "ready  Fake")
        screen.keys("C-d")
        screen.ended()
        done = run_plain(screen, "replay", "--model", screen.model, "last",
                         script="text=" + hexadecimal("one two four five"))
        text = done.stdout
        check(done.returncode == 0 and "You:\nfirst question\n" in text and
              "Fake 1B:\none two three four\n" in text and
              "Fake 1B:\none two four five\n" in text and
              "On average 75 % of the words are the same" in text, done)
        with Screen("replay", "--theme", "dark", "-m", MODEL, "last", home=screen.home,
                    script="text=" + hexadecimal("one two four five"), columns=100,
                    rows=50) as replay:
            replay.wait("one two three four", "│ one two four five", "75 %", "done")
            replay.type("q")
            check(replay.ended() == 0)


tap.run(globals())
