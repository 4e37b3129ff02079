# tests/terminal/test_privacy.py
# SPDX-License-Identifier: MIT
"""What a conversation leaves where it should not: nothing on the network, nothing in the debug
log, nothing in a core. Watched from outside, over a whole chat, with the scripted engine
and with the real one on a driver."""
import glob
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests/terminal"))
from chat import check, png, put, say  # noqa: E402
from screen import MODEL, Screen, build, program, tap  # noqa: E402

AF_UNIX = 1
QUESTION, ANSWER = "wherearethekeys", "underthemat"
watcher = os.path.join(build, "tests/terminal/watch_sockets")


def sockets(report):
    """[(family, name of the process)]"""
    with open(report) as file:
        return [(int(line.split(" ", 1)[0]), line.split(" ", 1)[1].strip()) for line in file]


def watchable():
    """The watcher sees what it should, or this kernel does not let it."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report")
        done = subprocess.run([watcher, report, sys.executable, "-c",
                               "import socket; socket.socket(socket.AF_INET)"],
                              capture_output=True, text=True)
        if done.returncode == 99:
            raise tap.Skip(done.stderr.strip())
        check([family for family, _ in sockets(report)] == [2], done, sockets(report))


def whole_chat(screen, ready):
    """Everything that a person may do in an evening."""
    screen.wait(ready)
    picture = put(screen.home, "cat.png", png(40, 20, (255, 0, 0)))
    say(screen, f"/attach {picture}", "cat.png")
    say(screen, "/detach", "Type a message")
    say(screen, QUESTION, "tokens/s", ready)
    say(screen, "/rename " + QUESTION, ready)
    say(screen, "/search " + QUESTION, "found: ")
    say(screen, "/new", "Type a message")
    say(screen, "again", "again", ready)
    screen.type("a draft " + QUESTION)
    time.sleep(1.2)  # it is saved
    screen.keys("C-c")
    screen.wait(gone=["a draft"])
    screen.keys("C-d")
    check(screen.ended() == 0)


def evening(command, model, ready, script=""):
    """Runs a chat; returns the sockets that were made, and the debug log."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report, log = os.path.join(folder, "report"), os.path.join(folder, "log")
        with Screen("chat", "-m", model, "-n", "40", "--theme", "dark", script=script,
                    env={"ORIEL_LOG": "3:" + log, "ASAN_OPTIONS": "detect_leaks=0"},
                    command=(watcher, report, command)) as screen:
            whole_chat(screen, ready)
        with open(log) if os.path.exists(log) else open(os.devnull) as file:
            return sockets(report), file.read()


def judge(found, log):
    print(f"# {len(found)} sockets, {len(log)} bytes of log")
    check(all(family == AF_UNIX for family, _ in found), found)
    check(not [name for _, name in found if name.startswith("oriel-engine")], found)
    for word in (QUESTION, ANSWER):
        check(word not in log, log)


def test_a_whole_chat_touches_no_network_and_the_log_has_none_of_it():
    watchable()
    judge(*evening(program, MODEL, "ready  Fake 1B", "text=" + ANSWER.encode().hex()))


def test_nor_does_it_with_a_model_on_a_driver():
    watchable()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "noise.gguf")
        made = subprocess.run([os.path.join(build, "tests/engine/model/generate_model"),
                               "llama", "Q8_0", "7", model])
        check(made.returncode == 0, made)
        listed = subprocess.run([os.path.join(build, "oriel"), "devices"],
                                capture_output=True, text=True,
                                env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
        if listed.returncode != 0:
            raise tap.Skip("no Vulkan device")
        found, log = evening(os.path.join(build, "oriel"), model, "ready  ")
        judge(found, log)
        check("device " in log, "the log is that of the chat", log)


def dumps_core(folder, command, env):
    """Whether a program that runs in the folder leaves a core when it crashes."""
    def unlimited():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
                             preexec_fn=unlimited)
    child.stdout.read(1)
    child.send_signal(signal.SIGABRT)
    _, status = os.waitpid(child.pid, 0)
    child.stdout.close()
    return os.WCOREDUMP(status) or bool(glob.glob(folder + "/core*"))


def test_a_crash_leaves_no_core():
    with tempfile.TemporaryDirectory() as folder:
        model = put(folder, "model.gguf", b"")
        env = dict(os.environ, HOME=folder, ORIEL_FAKE="tokens=1000 token_ms=20",
                   ASAN_OPTIONS="disable_coredump=0:handle_abort=0")
        command = [program, "ask", "-q", "-m", model, QUESTION]
        if not dumps_core(folder, command, dict(env, ORIEL_ALLOW_CORE="1")):
            raise tap.Skip("here no process leaves a core")
        for core in glob.glob(folder + "/core*"):
            os.unlink(core)
        check(not dumps_core(folder, command, env))


tap.run(globals())
