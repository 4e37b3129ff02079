# tests/app/test_sessions.py
# SPDX-License-Identifier: MIT
"""oriel sessions, driven as a script drives it: imports fill the store, then everything that
the command offers is done with it."""
import json
import os
import pty
import stat
import subprocess
import tempfile

import tap

build = os.environ.get("top_builddir", ".")
program = os.path.join(build, "tests/app/oriel-fake")
folder = tempfile.TemporaryDirectory()


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}\nout: {self.out[-2000:]}\nerr: {self.err[-2000:]}"


def environment(home):
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("XDG_", "ORIEL_", "NO_COLOR"))}
    env.update(HOME=home, LC_ALL="C.UTF-8", TZ="UTC")
    return env


def sessions(home, *args, stdin=""):
    done = subprocess.run([program, "sessions", *args], input=stdin.encode(),
                          capture_output=True, env=environment(home), timeout=60)
    done = Done(done.returncode, done.stdout.decode("utf-8", "surrogateescape"),
                done.stderr.decode("utf-8", "surrogateescape"))
    assert "Sanitizer" not in done.err, done
    return done


def check(condition, *shown):
    if not condition:
        raise AssertionError("\n".join(map(str, shown)))


def node(parent, role, text, time):
    return {"parent": parent, "message": {
        "author": {"role": role}, "create_time": time,
        "content": {"content_type": "text", "parts": [text]}}}


def conversation(number, title, words):
    start = 1700000000 + number * 1000
    return {"id": f"conversation-{number}", "title": title, "create_time": start,
            "update_time": start + 10, "current_node": "b",
            "mapping": {"a": node(None, "user", words, start),
                        "b": node("a", "assistant", "An answer.", start + 5)}}


def new_home():
    """A home with three conversations, the last one hostile."""
    home = tempfile.mkdtemp(dir=folder.name)
    chats = [conversation(1, "Bread", "How do I bake bread?"),
             conversation(2, "Cats", "Why do cats purr?"),
             conversation(3, "Evil \x1b]0;title\x07", "red \x1b[31m alert \u202e")]
    done = sessions(home, "import", "-", stdin=json.dumps(chats))
    check(done.code == 0, done)
    check(done.out.startswith("3 new conversations, 0 with new messages, 0 unchanged; 6 "),
          done)
    return home


def listed(home, *args):
    done = sessions(home, "list", "--json", *args)
    check(done.code == 0, done)
    return json.loads(done.out)


def test_an_empty_home_has_an_empty_list():
    home = tempfile.mkdtemp(dir=folder.name)
    check(listed(home) == [])
    check(sessions(home, "list").out == "")
    state = os.path.join(home, ".local/state/oriel")
    check(stat.S_IMODE(os.stat(state).st_mode) == 0o700)
    check(stat.S_IMODE(os.stat(state + "/sessions.db").st_mode) == 0o600)


def test_the_list_is_newest_first_and_each_has_an_id():
    home = new_home()
    chats = listed(home)
    check([chat["title"] for chat in chats][1:] == ["Cats", "Bread"], chats)
    check(all(len(chat["id"]) == 32 and chat["messages"] == 2 for chat in chats), chats)
    check(listed(home, "--limit", "1", "--offset", "2")[0]["title"] == "Bread")
    done = sessions(home, "list", "--limit", "2")
    check(len(done.out.splitlines()) == 2 and "2 of 3 shown" in done.err, done)
    check("2023-11-14 22:46     2  Cats" in sessions(home, "list").out)


def test_a_session_is_named_by_id_title_or_last():
    home = new_home()
    id = listed(home)[2]["id"]
    for name in id, id[:6], "bread":
        done = sessions(home, "show", name)
        check(done.code == 0 and "You:\n\nHow do I bake bread?\n" in done.out, done)
    check("alert" in sessions(home, "show", "last").out)
    shown = json.loads(sessions(home, "show", "bread", "--json").out)
    check([message["role"] for message in shown["messages"]] == ["user", "assistant"])
    check(shown["messages"][0]["parts"] == [{"text": "How do I bake bread?"}], shown)
    done = sessions(home, "show", "nothing")
    check(done.code == 1 and done.err.count("\n") == 1 and "nothing" in done.err, done)


def test_nothing_saved_can_reach_the_terminal_as_a_control():
    home = new_home()
    for args in ["list"], ["show", "last"], ["search", "alert"], ["export", "--format", "html"], \
            ["export", "--format", "jsonl"], ["list", "--json"], ["show", "last", "--json"]:
        parent, child = pty.openpty()
        process = subprocess.Popen([program, "sessions", *args], stdout=child, stderr=child,
                                   stdin=subprocess.DEVNULL, env=environment(home))
        os.close(child)
        out = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(parent)
        check(process.wait(60) == 0, args, out)
        out = out.replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")  # our own bold
        check(b"\x1b" not in out and b"\x07" not in out, args, out)
        check("\u202e".encode() not in out, args, out)


def test_search_finds_messages_and_titles():
    home = new_home()
    hits = json.loads(sessions(home, "search", "purr", "--json").out)
    check(len(hits) == 1 and hits[0]["title"] == "Cats", hits)
    check(hits[0]["snippet"] == "Why do cats purr?" and len(hits[0]["message"]) == 32, hits)
    check("Why do cats purr?" in sessions(home, "search", "cat").out)
    check(sessions(home, "search", '";--').code == 0)


def test_export_and_import_come_out_equal():
    home, other = new_home(), tempfile.mkdtemp(dir=folder.name)
    file = os.path.join(folder.name, "all.jsonl")
    os.umask(0)
    check(sessions(home, "export", "-o", file).code == 0)
    check(stat.S_IMODE(os.stat(file).st_mode) == 0o600)
    done = sessions(other, "import", file, "--json")
    check(json.loads(done.out)["conversations"] == 3, done)
    check(listed(home) == listed(other))
    with open(file) as saved:
        check(sessions(other, "export", "-f", "jsonl").out == saved.read())
    check("3 unchanged" in sessions(other, "import", file).out)
    check(sessions(home, "export", "bread", "-f", "html").out.startswith("<!DOCTYPE html>"))
    check(sessions(home, "export", "bread").out.startswith("# Bread\n"))
    done = sessions(home, "export", "-o", os.path.join(folder.name, "no/such/folder.md"))
    check(done.code == 1 and "no/such/folder.md" in done.err, done)


def test_bad_imports_say_where():
    home = new_home()
    done = sessions(home, "import", "-", stdin="[\n{\"mapping\": 5}\n,{]")
    check(done.code == 1 and done.err.startswith("oriel: sessions: standard input: line 3"),
          done)
    done = sessions(home, "import", "/nonexistent")
    check(done.code == 1 and "/nonexistent" in done.err, done)


def test_rename_tag_fork_delete_forget():
    home = new_home()
    check(sessions(home, "rename", "bread", "Sourdough").code == 0)
    check(sessions(home, "tag", "sourdough", "food", "slow").code == 0)
    check(sessions(home, "tag", "sourdough", "slow", "--remove").code == 0)
    found = listed(home, "--tag", "food")
    check(len(found) == 1 and found[0]["tags"] == ["food"], found)
    fork = sessions(home, "fork", "cats").out.strip()
    check(fork == listed(home)[0]["id"])
    first = json.loads(sessions(home, "show", fork, "--json").out)["messages"][0]["id"]
    short = json.loads(sessions(home, "fork", fork, "--message", first, "--json").out)["id"]
    check(listed(home)[0] == dict(listed(home)[0], id=short, messages=1))
    check(sessions(home, "delete", fork, short).code == 0)
    check(len(listed(home)) == 3)
    check(sessions(home, "forget", "sourdough").code == 0)
    check(len(listed(home)) == 2)
    with open(os.path.join(home, ".local/state/oriel/sessions.db"), "rb") as file:
        check(b"bread" not in file.read())


def test_mistakes_get_one_line_and_exit_code_2():
    home = tempfile.mkdtemp(dir=folder.name)
    for args, words in [([], ["help"]), (["lsit"], ["lsit", "help"]),
                        (["show"], ["SESSION"]), (["rename", "x"], ["TITLE"]),
                        (["list", "extra"], ["list"]), (["export", "-f", "pdf"], ["pdf"]),
                        (["list", "--limit", "0"], ["--limit"])]:
        done = sessions(home, *args)
        check(done.code == 2 and done.err.count("\n") == 1, args, done)
        check(all(word in done.err for word in words), args, done)


tap.run(globals())
