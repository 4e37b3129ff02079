# tests/app/test_pull_faults.py
# SPDX-License-Identifier: MIT
"""oriel pull when it is killed, when the disk is full, and what it puts on the disk when."""
import hashlib
import os
import random
import re
import resource
import shutil
import subprocess
import tempfile
import time

import tap
import test_models as models
import test_pull_http as http

KILLS = 50
SIZE = 400_000
server = http.server


def version(number):
    return b"GGUF" + hashlib.sha256(str(number).encode()).digest() * (SIZE // 32)


def serve(path, number, **more):
    server.files[path] = {"data": version(number), "etag": f"v{number}", **more}


def start(home, path, *before, **more):
    return subprocess.Popen([*before, models.program, "pull", "--replace", server.url(path)],
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            env=models.environment(home, **more))


class Killed:
    """A model that is replaced again and again by pulls that are killed."""

    def __init__(self, path, **more):
        self.home, self.path, self.name = models.new_home(), path, path[1:].split(".")[0]
        self.more, self.installed, self.cut, self.finished = more, 0, 0, 0
        serve(path, 0, **more)
        self.whole()

    def whole(self):
        """A pull that nobody kills: it leaves the model and nothing else."""
        done = models.oriel(self.home, "pull", "--replace", server.url(self.path))
        models.check(done.code == 0, done)
        names = models.files(self.home)
        models.check(len(names) == 2 and self.name + ".json" in names, names)
        self.check()

    def check(self):
        """The old model is whole, or the new one. Which?"""
        done = models.oriel(self.home, "models", "verify", self.name)
        models.check(done.code == 0 and "as it was installed" in done.out, done)
        data = models.content(self.home, self.name)
        models.check(data in (version(self.installed), version(self.installed + 1)))
        is_new = data == version(self.installed + 1)
        self.installed += is_new
        serve(self.path, self.installed + 1, **self.more)
        self.cut += not is_new
        self.finished += is_new


def test_killed_at_any_instant_the_old_model_is_whole_or_the_new_one():
    killed = Killed("/killed.gguf", pause=0.004)
    began = time.monotonic()
    killed.whole()
    lasts = time.monotonic() - began
    chance = random.Random(7)
    for _ in range(KILLS):
        child = start(killed.home, killed.path)
        time.sleep(chance.uniform(0, lasts))
        child.kill()
        child.communicate()
        killed.check()
    killed.whole()
    resumed = [h for h in server.requests(killed.path) if "Range" in h]
    models.check(killed.cut > KILLS // 4 and resumed, killed.cut, killed.finished, len(resumed))


def test_killed_at_every_step_of_the_installation_too():
    if shutil.which("strace") is None:
        raise tap.Skip("no strace")
    killed = Killed("/step.gguf")
    steps = 0
    for call in "rename", "fsync", "ftruncate", "unlink", "unlinkat", "rmdir":
        for number in range(1, 40):
            child = start(killed.home, killed.path, "strace", "-o", "/dev/null", "-e",
                          f"inject={call}:signal=SIGKILL:when={number}",
                          ASAN_OPTIONS="detect_leaks=0")
            child.communicate(timeout=60)
            killed.check()
            if child.returncode == 0:
                break
            steps += 1
    models.check(steps > 10 and killed.cut > 5, steps, killed.cut, killed.finished)
    killed.whole()


# ---------------------------------------------------------------------------
# No room

def test_a_file_that_cannot_grow_is_an_error_and_goes_on_later():
    home, path = models.new_home(), "/grows.gguf"
    serve(path, 1)
    child = subprocess.run([models.program, "pull", server.url(path)], capture_output=True,
                           env=models.environment(home), timeout=60, check=False,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                 (SIZE // 4, SIZE // 4)))
    models.check(child.returncode == 1 and b"cannot write: File too large" in child.stderr, child)
    models.check(http.begun(home, "grows") == SIZE // 4)
    done = models.oriel(home, "pull", server.url(path))
    models.check(done.code == 0 and models.content(home, "grows") == version(1), done)
    models.check(server.requests(path)[-1]["Range"] == f"bytes={SIZE // 4}-")


def in_small_disk(size, *commands):
    """Runs the commands on a file system of that size, of which only they know."""
    folder = tempfile.mkdtemp(dir=models.folder.name)
    script = ["set -u", f"mount -t tmpfs -o size={size} none {folder} || exit 99",
              f"export XDG_DATA_HOME={folder}", *commands]
    done = subprocess.run(["unshare", "-rm", "sh", "-c", "\n".join(script)], timeout=60,
                          env=models.environment(models.new_home()), capture_output=True,
                          text=True, check=False)
    if done.returncode == 99 or done.stderr.startswith("unshare:"):
        raise tap.Skip("no file system can be mounted here")
    return done


def test_a_full_disk_is_one_line_and_space_makes_good():
    if shutil.which("unshare") is None:
        raise tap.Skip("no unshare")
    path = "/full.gguf"
    serve(path, 1, length=False)
    pull, old = f"{models.program} pull {server.url(path)}", models.file("old.gguf")
    done = in_small_disk(
        f"{SIZE * 3 // 4}",
        f"cp {old} $XDG_DATA_HOME/full.gguf",
        f"{models.program} pull $XDG_DATA_HOME/full.gguf", "echo first: $?",
        f"{pull} --replace", "echo second: $?",
        f"{models.program} models verify full",
        'mount -o remount,size=8m "$XDG_DATA_HOME"',
        f"{pull} --replace", "echo third: $?",
        f"{models.program} models verify full",
        "sha256sum $XDG_DATA_HOME/oriel/models/*.gguf")
    expected = ["first: 0", "second: 1", "full: as it was installed", "third: 0",
                "full: as it was installed", hashlib.sha256(version(1)).hexdigest()]
    models.check(done.stdout.splitlines()[:5] == expected[:5] and expected[5] in done.stdout,
                 done.stdout, done.stderr)
    models.check(done.stderr.count("No space left on device") == 1, done.stderr)


def test_what_does_not_fit_is_not_begun():
    path = "/large.gguf"
    serve(path, 1)
    done = in_small_disk("2m", f"{models.program} pull {server.url(path)}")
    models.check(done.returncode == 1 and "400.0 kB more must fit" in done.stderr and
                 done.stderr.count("\n") == 1, done.stderr)


# ---------------------------------------------------------------------------
# What is on the disk when

def traced(home, path):
    log = os.path.join(home, "trace")
    child = start(home, path, "strace", "-y", "-f", "--seccomp-bpf", "-o", log, "-e",
                  "trace=fsync,fdatasync,rename", ASAN_OPTIONS="detect_leaks=0")
    models.check(child.communicate(timeout=60) and child.returncode == 0, child)
    with open(log, encoding="utf-8", errors="replace") as text:
        return [line for line in text if re.search(r"\b(fsync|fdatasync|rename)\(", line)]


def first(lines, pattern, after=-1):
    for number, line in enumerate(lines):
        if number > after and re.search(pattern, line):
            return number
    raise AssertionError(pattern + " is not in\n" + "".join(lines))


def test_everything_is_on_the_disk_before_what_depends_on_it():
    if shutil.which("strace") is None:
        raise tap.Skip("no strace")
    home, path = models.new_home(), "/synced.gguf"
    server.files[path] = {"data": version(1) * 200, "etag": "v1"}  # 80 MB
    lines = traced(home, path)
    grown = [line for line in lines if re.search(r"fdatasync\(.*\.pull-synced/synced\.gguf", line)]
    models.check(len(grown) == 2, lines)  # every 32 MiB
    file = first(lines, r"fsync\(.*\.pull-synced/synced\.gguf")
    moved = first(lines, r"rename\(.*\.pull-synced/synced\.gguf.*, .*models/synced\.gguf")
    folder = first(lines, r"fsync\(.*/models>", moved)
    record = first(lines, r"rename\(.*record.*models/synced\.json")
    models.check(file < moved < folder < record, lines)
    first(lines, r"fsync\(.*/models>", record)


if __name__ == "__main__":
    tap.run(globals())
