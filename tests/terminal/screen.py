# tests/terminal/screen.py
# SPDX-License-Identifier: MIT
"""A real terminal for tests: tmux, of which each Screen has a server of its own. The
program runs in it under a shell that notes the terminal's modes before and after."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

top = os.environ.get("top_srcdir", ".")
sys.path.insert(0, os.path.join(top, "tests/app"))
import tap  # noqa: E402

build = os.path.abspath(os.environ.get("top_builddir", "."))
program = os.path.join(build, "tests/app/oriel-fake")


class Screen:
    """`oriel ARGS`, or a shell, on a screen of its own, with a home folder of its own
    unless one is given. command: another program, or one that runs it."""

    def __init__(self, *args, script="", home=None, columns=80, rows=24, env=None,
                 shell=False, command=(program,)):
        if shutil.which("tmux") is None:
            raise tap.Skip("tmux is not installed")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.home = home or self.folder.name
        self.model = os.path.join(self.home, "model.gguf")
        open(self.model, "a").close()
        self.socket = os.path.join(self.folder.name, "tmux")
        log = os.path.join(self.folder.name, "sanitizer")
        variables = {"HOME": self.home, "LC_ALL": "C.UTF-8", "ORIEL_FAKE": script,
                     "ASAN_OPTIONS": f"log_path={log}", "UBSAN_OPTIONS": f"log_path={log}",
                     **(env or {})}
        words = " ".join(quote(f"{key}={value}") for key, value in variables.items())
        args = [self.model if arg is MODEL else arg for arg in args]
        command = " ".join(map(quote, [*command, *args]))
        path = quote(self.folder.name)
        scrubbed = ("env -u XDG_STATE_HOME -u XDG_CACHE_HOME -u NO_COLOR -u INPUTRC "
                    f"{words}")
        line = (f"cd {path}; stty -g >before; {scrubbed} {command}; echo $? >code; "
                "stty -g >after; echo back; exec sleep 1000")
        if shell:
            line = f"cd {path}; exec {scrubbed} bash --norc --noprofile -i"
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), line)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("# " + "\n# ".join(self.text().split("\n")))
        self.tmux("kill-server", check=False)
        reports = [text for text in map(self.report, os.listdir(self.folder.name)) if text]
        for text in reports:
            print("# " + text.replace("\n", "\n# "))
        self.folder.cleanup()
        assert kind is not None or not reports, "a sanitizer has reported something"

    def report(self, name):
        """What a sanitizer has written into this file. That a thread, which was joined, was
        gone before the leak checker could look at it is a remark of its own, no finding."""
        if not name.startswith("sanitizer"):
            return ""
        with open(os.path.join(self.folder.name, name)) as file:
            lines = file.read().splitlines(keepends=True)
        gone = re.compile(r"^==\d+==Unable to get registers from thread \d+\.$")
        return "".join(line for line in lines if not gone.match(line.rstrip()))

    def tmux(self, *args, check=True):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args],
                              check=check, capture_output=True, text=True,
                              env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout

    def lines(self, *options):
        return [line.rstrip() for line in
                self.tmux("capture-pane", "-p", *options).split("\n")]

    def text(self, *options):
        return "\n".join(self.lines(*options)).rstrip("\n")

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def paste(self, text):
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p")

    def burst(self, text):
        """Typed so fast that all of it comes at once; newlines are Enter."""
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer")

    def wait(self, *words, seconds=10, gone=()):
        """Until all words are on the screen, and those of `gone` are not."""
        end = time.monotonic() + seconds
        while True:
            text = self.text()
            if all(word in text for word in words) and not any(w in text for w in gone):
                return text
            if time.monotonic() > end:
                raise AssertionError(f"{words} did not come, or {gone} did not go")
            time.sleep(0.02)

    def ended(self):
        """Waits for the end; returns the exit code, having seen the terminal restored."""
        self.wait("back")
        read = lambda name: open(os.path.join(self.folder.name, name)).read()
        assert read("before") == read("after"), "the terminal's modes have changed"
        return int(read("code"))

    def kill(self):
        """SIGKILL, and waits until the program is gone. What the shell says of it may be
        on either screen."""
        os.kill(self.pid(), signal.SIGKILL)
        after = os.path.join(self.folder.name, "after")
        end = time.monotonic() + 10
        while not os.path.exists(after):
            assert time.monotonic() < end, "it does not die"
            time.sleep(0.02)

    def pid(self):
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        children = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True)
        return int(children.stdout.split()[0])

    def engine_pid(self):
        children = subprocess.run(["pgrep", "-f", "-P", str(self.pid()), "^oriel engine"],
                                  capture_output=True, text=True)
        return int(children.stdout.split()[0])


MODEL = object()  # stands for the path of the screen's model


def quote(word):
    return "'" + str(word).replace("'", "'\\''") + "'"


def hexadecimal(text):
    return (text if isinstance(text, bytes) else text.encode()).hex()
