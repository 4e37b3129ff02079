# tests/app/test_commands.py
# SPDX-License-Identifier: MIT
"""The commands, driven as a person or a script drives them, with the scripted engine of
fake_engine.c: what is printed where, exit codes, Ctrl-C, and an engine that dies, hangs or
talks nonsense."""
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import tap

top = os.environ.get("top_srcdir", ".")
build = os.environ.get("top_builddir", ".")
program = os.path.join(build, "tests/app/oriel-fake")
folder = tempfile.TemporaryDirectory()
model = os.path.join(folder.name, "model.gguf")
open(model, "w").close()


class Done:
    def __init__(self, code, out, err, seconds=0.0):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return f"exit {self.code}\nout: {self.out[-2000:]}\nerr: {self.err[-4000:]}"


def environment(script):
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("XDG_", "ORIEL_"))}
    env.update(HOME=folder.name, LC_ALL="C.UTF-8", ORIEL_FAKE=script)
    return env


def oriel(*args, stdin=b"", script="", timeout=30):
    start = time.monotonic()
    done = subprocess.run([program, *args], input=stdin, capture_output=True,
                          env=environment(script), timeout=timeout)
    done = Done(done.returncode, done.stdout.decode("utf-8", "surrogateescape"),
                done.stderr.decode("utf-8", "surrogateescape"), time.monotonic() - start)
    assert "Sanitizer" not in done.err, done
    return done


def ask(*args, **how):
    return oriel("ask", "-m", model, *args, **how)


def check(condition, *shown):
    if not condition:
        raise AssertionError("\n".join(map(str, shown)))


def one_line(done, code, *words):
    """Failed with this exit code and one line on standard error that has these words."""
    check(done.code == code, done)
    check(done.err.startswith("oriel: ") and done.err.count("\n") == 1, done)
    for word in words:
        check(word in done.err, word, done)


# ---------------------------------------------------------------------------
# Help and mistakes

def commands():
    text = oriel("--help").out
    check(len(text.splitlines()) <= 24, text)
    return re.findall(r"^  (\w+) ", text, re.M)


def test_help_fits_a_screen_and_lists_the_commands():
    check(set(commands()) >= {"ask", "tokenize", "score", "bench", "devices", "doctor"})


def test_every_command_explains_itself():
    for name in commands():
        first, second = oriel("help", name), oriel(name, "--help")
        check(first.code == 0 and first.out == second.out, first, second)
        check(first.out.startswith(f"oriel {name}"), first)
        for line in first.out.splitlines()[1:]:
            check(len(line) <= 80, line)


def test_the_manual_page_names_every_command_and_option():
    with open(os.path.join(top, "docs/oriel.1")) as file:
        manual = file.read().replace("\\-", "-")
    for name in commands():
        start = re.search(rf"^\.SS oriel {name}\b.*$", manual, re.M)
        check(start, f"no section for {name}")
        end = re.compile(r"^\.S[SH] ", re.M).search(manual, start.end())
        section = manual[start.end():end.start()]
        for option in re.findall(r"--[a-z-]+", oriel(name, "--help").out):
            check(option in section or option in ("--help",), f"{name}: {option}")


def test_mistakes_get_one_line_and_exit_code_2():
    for args, words in [
        ([], ["COMMAND"]),
        (["akk"], ["akk", "ask"]),
        (["xyzzy"], ["xyzzy", "--help"]),
        (["ask", "-m", model, "--tmep", "1", "x"], ["--tmep", "--temp"]),
        (["ask", "-m", model, "-z"], ["-z"]),
        (["ask", "-m", model, "-n"], ["--max-tokens"]),
        (["ask", "-m", model, "-n", "many", "x"], ["--max-tokens", "many"]),
        (["ask", "-m", model, "-n", "-1", "x"], ["--max-tokens", "-1"]),
        (["ask", "-m", model, "-n", "4294967296", "x"], ["--max-tokens"]),
        (["ask", "-m", model, "--temp", "nan", "x"], ["--temp", "nan"]),
        (["ask", "-m", model, "--temp", "101", "x"], ["--temp", "10"]),
        (["ask", "-m", model, "--top-p=1.5", "x"], ["--top-p"]),
        (["ask", "-m", model, "--seed", "99999999999999999999", "x"], ["--seed"]),
        (["ask", "-m", model, "--json=yes", "x"], ["--json"]),
        (["ask", "-m", model, "--logit-bias", "7", "x"], ["--logit-bias", "ID=X"]),
        (["ask", "-m", model, "--logit-bias", "7=inf", "x"], ["--logit-bias"]),
        (["ask", "-m", model, "--logprobs", "21", "x"], ["--logprobs", "20"]),
        (["ask", "-m", model, "--grammar-text", "x", "--json-schema", "y", "x"], ["one"]),
        (["ask", "-m", model], ["nothing to ask"]),
        (["score", "-m", model, "--window", "8", "--stride", "8"], ["--stride", "8"]),
        (["score", "-m", model, "a", "b"], ["FILE"]),
        (["bench", "-m", model, "-p", "0", "-n", "0"], ["nothing to measure"]),
        (["bench", "-m", model, "-r", "0"], ["--runs"]),
    ]:
        done = oriel(*args, stdin=b"abc" if "score" in args else b"")
        if args:
            one_line(done, 2, *words)
        else:
            check(done.code == 2 and "COMMAND" in done.err and done.out == "", done)


def test_a_hostile_argument_is_shown_harmless():
    one_line(oriel("\x1b]0;owned\x07\nask"), 2, "␛]0;owned␇ ask")


def test_a_missing_model_is_named():
    one_line(oriel("ask", "-m", "/nowhere/x.gguf", "hi"), 1, "/nowhere/x.gguf", "No such file")


def test_a_missing_grammar_is_named():
    one_line(ask("--grammar", "/nowhere/g", "hi"), 1, "/nowhere/g", "No such file")


# ---------------------------------------------------------------------------
# ask

def test_ask_streams_exact_bytes_and_puts_statistics_on_standard_error():
    done = ask("say", "hello", script="text=1b5b33316d41c3a90a")
    check(done.code == 0 and done.out == "\x1b[31mAé\n", done)
    check(re.search(r"read at .*written at .*seed \d+, end\]\n$", done.err), done)
    check(ask("-q", "hi").err == "")


def test_the_prompt_is_the_argument_then_a_blank_line_then_standard_input():
    for args, stdin, want in [
        (["sum", "up"], b"", "user<sum up>"),
        (["sum up"], b"notes\n", "user<sum up\n\nnotes\n>"),
        ([], b"notes", "user<notes>"),
        (["--", "-n"], b"", "user<-n>"),
        (["-s", "be brief", "hi"], b"", "system<be brief>user<hi>"),
        (["a"], b"b\xff\x00c", "user<a\n\nb�\0c>"),
    ]:
        done = ask(*args, stdin=stdin)
        check(done.code == 0 and done.out == "You said: " + want, args, done)
    check("not UTF-8: 1 place" in done.err, done)


def test_a_prompt_of_16_MiB_passes_and_one_byte_more_is_refused():
    done = ask("--context", "100000000", "-n1", stdin=b"x" * (16 << 20))
    check(done.code == 0 and done.out == "Y", done)
    one_line(ask(stdin=b"x" * ((16 << 20) + 1)), 1, "standard input", "16 MiB")


def test_an_error_of_the_engine_is_one_line():
    one_line(ask("--context", "5", "hello"), 1, "11 tokens", "room for 5")


def test_json_is_one_object_with_all_that_other_programs_need():
    done = ask("--json", "-n", "4", "--seed", "7", "--logprobs", "2", "hi",
               script="text=41c3a942")
    check(done.code == 0 and done.out.count("\n") == 1, done)
    reply = json.loads(done.out)
    check(reply["text"] == "AéB" and reply["stop_reason"] == "end", reply)
    check([t["id"] for t in reply["tokens"]] == [0x41, 0xc3, 0xa9, 0x42], reply)
    check([t["text"] for t in reply["tokens"]] == ["A", "", "é", "B"], reply)
    check([t["logprob"] for t in reply["tokens"]] == [0, -.125, -.25, -.375], reply)
    check(reply["tokens"][0]["top"] == [{"id": 0, "logprob": 0}, {"id": 1, "logprob": -.25}])
    check((reply["prompt_tokens"], reply["reused_tokens"], reply["generated_tokens"])
          == (8, 3, 4), reply)
    check((reply["prompt_tokens_per_second"], reply["generation_tokens_per_second"])
          == (80, 2), reply)
    check(reply["timings"] == {"load_ns": 500000000, "prompt_ns": 100000000,
                               "generation_ns": 2000000000}, reply)
    check((reply["seed"], reply["model"], reply["device"])
          == (7, "Fake 1B", "Fake device"), reply)


def test_text_that_was_held_back_belongs_to_the_last_token():
    reply = json.loads(ask("--json", "hi", script="text=4142 late=4344").out)
    check(reply["text"] == "ABCD" and reply["generated_tokens"] == 2, reply)
    check([t["text"] for t in reply["tokens"]] == ["A", "BCD"], reply)
    check(ask("hi", script="text=4142 late=4344").out == "ABCD")


def test_every_setting_reaches_the_engine():
    settings = json.loads(ask(
        "--json", "-n", "2", "--temp", "0.25", "--seed", "9007199254740993", "--top-k", "40",
        "--top-p", "0.5", "--min-p", "0.125", "--typical", "0.75", "--repeat-penalty", "1.5",
        "--presence-penalty", "-0.5", "--frequency-penalty=0.5", "--penalty-last-n", "64",
        "--dry-multiplier", "0.5", "--dry-base", "2", "--dry-allowed-length", "3",
        "--dry-last-n", "100", "--logit-bias", "5=-inf", "--logit-bias", "6=1.5",
        "--stop", "a", "--stop", "b", "--grammar-text", "root ::= \"x\"", "--logprobs", "1",
        "hi").out)["settings"]
    check(settings == {
        "max_tokens": 2, "temperature": .25, "seed": 9007199254740993, "top_k": 40,
        "top_p": .5, "min_p": .125, "typical_p": .75, "repetition_penalty": 1.5,
        "presence_penalty": -.5, "frequency_penalty": .5, "penalty_last_n": 64,
        "dry_multiplier": .5, "dry_base": 2, "dry_allowed_length": 3, "dry_last_n": 100,
        "logit_bias": [{"id": 5, "bias": None}, {"id": 6, "bias": 1.5}],
        "stop": ["a", "b"], "grammar": "root ::= \"x\"", "top_logprobs": 1}, settings)


def test_seeds_differ_unless_given():
    seeds = {json.loads(ask("--json", "-n1", "hi").out)["seed"] for _ in range(4)}
    check(len(seeds) == 4, seeds)


def test_pictures_go_to_models_that_can_see():
    picture = os.path.join(folder.name, "cat.png")
    shutil.copy(os.path.join(top, "tests/golden/pictures/png-0-1.png"), picture)
    with open(picture, "rb") as file:
        name = hashlib.sha256(file.read()).hexdigest()[:8]
    one_line(ask("-i", picture, "what is this"), 1, "Fake 1B", "no vision", "cat.png")
    one_line(ask("-i", "/nowhere.png", "what is this"), 1, "/nowhere.png", "No such file")
    done = ask("-i", picture, "-i", picture, "what is this", script="vision")
    check(done.out == f"You said: user<[cat.png {name}][cat.png {name}]what is this>", done)
    with open(picture, "wb") as file:
        file.write(b"abc")
    one_line(ask("-i", picture, "what is this", script="vision"), 1, "cat.png", "not a PNG")
    one_line(ask("--mmproj", "/nowhere.gguf", "x"), 1, "/nowhere.gguf", "No such file")


def pictures(*names):
    return [os.path.join(top, "tests/golden/pictures", name) for name in names]


def describe(*args, **how):
    return oriel("describe", "-m", model, *args, **how)


def test_pictures_are_described_one_by_one():
    files = pictures("png-0-1.png", "gif-plain.gif", "jpeg-444.jpg")
    one_line(describe(files[0]), 1, "Fake 1B", "no vision")
    one_line(describe(script="vision"), 2, "pictures")
    done = describe(files[0], script="vision text=" + b" two\nlines \n".hex())
    check(done.code == 0 and done.out == "two\nlines\n", done)
    done = describe("--alt", *files, script="vision text=" + b" two\nlines \n".hex())
    check(done.out == "".join(f"{file}: two lines\n" for file in files), done)
    done = describe("--json", *files, script="vision")
    lines = [json.loads(line) for line in done.out.splitlines()]
    check([line["file"] for line in lines] == files, done)
    check(all(line["text"].startswith("You said: ") and line["picture_tokens"] == 7
              and len(line["hash"]) == 64 for line in lines), lines)


def test_a_bad_picture_does_not_cost_the_others():
    files = pictures("png-0-1.png", "no-such.png", "gif-plain.gif")
    done = describe("--json", *files, script="vision")
    check(done.code == 1 and len(done.out.splitlines()) == 2, done)
    check(done.err.count("\n") == 1 and "no-such.png" in done.err, done)


def test_descriptions_go_on_where_they_were():
    files = pictures("png-0-1.png", "gif-plain.gif", "jpeg-444.jpg")
    out = os.path.join(folder.name, "out.jsonl")
    check(describe("-o", out, files[0], script="vision").code == 0)
    with open(out, "a") as file:
        file.write('{"torn":')
    done = describe("-o", out, *files, script="vision")
    with open(out) as file:
        lines = [json.loads(line) for line in file]
    check([line["file"] for line in lines] == files, done, lines)
    before = os.path.getsize(out)
    check(describe("-o", out, *files, script="vision").code == 0)
    check(os.path.getsize(out) == before)
    check(describe("-o", out, "--alt", files[0], script="vision").code == 0)
    with open(out) as file:
        check(len(file.readlines()) == 4)
    one_line(describe("-o", "/nowhere/out", files[0], script="vision"), 1, "/nowhere/out")


def test_what_a_model_sees_is_shown():
    file = pictures("jpeg-17x8.jpg")[0]
    done = oriel("image", "-m", model, file)
    check(done.code == 0 and "JPEG, 17 x 8 pixels" in done.out, done)
    check("no vision" in done.err, done)
    done = oriel("image", "-m", model, "--mmproj", model, "--json", file)
    layout = json.loads(done.out)["layout"]
    check(layout["tokens"] == 7 and layout["original"] == {"width": 17, "height": 8}, done)
    done = oriel("image", "-m", model, "--mmproj", model, file)
    check("7 of the context" in done.out and "64 x 64" in done.out, done)
    one_line(oriel("image", "-m", model, "--mmproj", model, "/nowhere.png"), 1, "nowhere")


def test_a_full_disk_is_an_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([program, "ask", "-m", model, "hi"], stdin=subprocess.DEVNULL,
                              stdout=full, stderr=subprocess.PIPE, env=environment(""))
    check(done.returncode == 1 and b"No space left" in done.stderr, done)


def test_a_reader_that_leaves_ends_ask_quietly():
    child = subprocess.Popen([program, "ask", "-m", model, "hi"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=environment("tokens=1000 token_ms=5"))
    child.stdout.read(3)
    child.stdout.close()
    check(child.wait(5) == -signal.SIGPIPE, child.returncode)
    check(child.stderr.read() == b"")


# ---------------------------------------------------------------------------
# The other commands

def test_tokenize_prints_ids_and_quoted_texts():
    check(oriel("tokenize", "-m", model, "é\n\\").out
          == "195\t\\xC3\n169\t\\xA9\n10\t\\n\n92\t\\\\\n")
    check(oriel("tokenize", "-m", model, "--special", "--json", stdin=b"\xff\x00a").out
          == '{"ids": [256, 255, 0, 97]}\n')


def test_tokenize_takes_a_long_text():
    done = oriel("tokenize", "-m", model, "--json", stdin=b"\xe2" * (1 << 16))
    check(json.loads(done.out)["ids"] == [0xe2] * (1 << 16), done.err)


def test_score_prints_logprobs_and_perplexity():
    done = oriel("score", "-m", model, "--json", "--top", "1", stdin="hé".encode())
    score = json.loads(done.out)
    check([(t["id"], t["logprob"]) for t in score["tokens"]]
          == [(256, None), (104, -.125), (0xc3, -.25), (0xa9, -.375)], score)
    check(score["tokens"][2]["text"] == "�" and score["tokens"][2]["text_base64"] == "ww==")
    check(score["tokens"][1]["top"] == [{"id": 0, "logprob": 0}], score)
    check(abs(score["perplexity"] - 2.718281828 ** .25) < 1e-6, score)
    check((score["scored_tokens"], score["window"], score["stride"]) == (3, 4096, 2048), score)
    path = os.path.join(folder.name, "text")
    with open(path, "w") as file:
        file.write("hi")
    done = oriel("score", "-m", model, "--context", "64", "--stride", "8", path)
    check(done.out.endswith("window 64, stride 8)\n") and "105\t-0.250000\ti\n" in done.out, done)


def test_score_writes_the_distributions():
    path = os.path.join(folder.name, "distributions")
    done = oriel("score", "-m", model, "--distributions", path, stdin=b"ab")
    with open(path, "rb") as file:
        check(done.code == 0 and file.read() == struct.pack("<4f", 1, -1, 2, -1), done)
    one_line(oriel("score", "-m", model, "--json", "--distributions", "/nowhere/d", stdin=b"ab"),
             1, "/nowhere/d")
    one_line(oriel("score", "-m", model, "--json", "--distributions", "/dev/full",
                   stdin=b"ab" * 4096), 1, "/dev/full", "No space left")


def test_bench_takes_the_median_after_a_warm_up():
    bench = json.loads(oriel("bench", "-m", model, "-p", "100", "-r", "3", "--json").out)
    check(abs(bench["prompt_tokens_per_second"] - 100 / 1.000002) < 1e-4, bench)
    check(bench["generation_tokens_per_second"] == 64, bench)
    check(bench["load_seconds"] == .5 and bench["peak_memory_bytes"] > 1 << 20, bench)
    check(abs(bench["generation_bandwidth_share"] - .064) < 1e-6, bench)
    check(abs(bench["prompt_arithmetic_share"] - .0099999) < 1e-6, bench)
    check("64.0 tokens/s" in oriel("bench", "-m", model).out)


def test_devices_prints_the_report_harmlessly():
    check(json.loads(oriel("devices", "--json").out)[0]["traits"] == {"fp16": False})
    check("Fake␛[31m device" in oriel("devices").out)


def test_doctor_fails_when_a_kernel_fails():
    check(oriel("doctor").code == 0)
    done = oriel("doctor", script="unfit")
    check(done.code == 1 and "FAIL" in done.out and "0 passed, 1 failed" in done.out, done)
    done = oriel("doctor", "--json", script="unfit")
    check(done.code == 1 and not json.loads(done.out)["results"][0]["passed"], done)


# ---------------------------------------------------------------------------
# Ctrl-C

def interrupt(script, *args, first=b"", command="ask"):
    """Runs a command, and sends SIGINT after `first` was printed, as a terminal does: to the
    whole process group. Returns what was printed and how long the end took."""
    child = subprocess.Popen([program, command, "-m", model, *args], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=environment(script), start_new_session=True)
    out = child.stdout.read(len(first)) if first else (time.sleep(.5), b"")[1]
    check(out == first, out)
    start = time.monotonic()
    os.killpg(child.pid, signal.SIGINT)
    rest, err = child.communicate(timeout=10)
    done = Done(child.returncode, (out + rest).decode(), err.decode(), time.monotonic() - start)
    check("Sanitizer" not in done.err, done)
    return done


# What a person must not wait for longer, and what the sanitizers add at exit.
STOP_SECONDS = 0.15 + 0.35


def test_ctrl_c_stops_a_reply_at_once_and_keeps_the_text():
    done = interrupt("tokens=1000 token_ms=5", "hi", first=b"xxx")
    check(done.code == 130 and set(done.out) == {"x"} and len(done.out) < 100, done)
    check(", cancelled]" in done.err and done.seconds < STOP_SECONDS, done.seconds, done)


def test_ctrl_c_stops_an_engine_that_does_not_listen():
    done = interrupt("tokens=1000 hang", "hi", first=b"xxx")
    check(done.code == 130 and done.out == "xxx" and done.seconds < STOP_SECONDS, done)


def test_ctrl_c_while_opening_the_model():
    for script in ("open_ms=60000", "hang_open"):
        done = interrupt(script, "hi")
        check(done.code == 130 and done.seconds < STOP_SECONDS, script, done.seconds, done)


def test_ctrl_c_before_the_first_word_says_so():
    done = interrupt("prompt_ms=60000", "hi")
    check(done.code == 130 and done.out == "" and done.seconds < STOP_SECONDS, done)
    check(done.err == "oriel: ask: stopped before the first word\n", done)


def test_ctrl_c_with_json_prints_the_object():
    done = interrupt("tokens=1000 token_ms=5 open_ms=1", "--json", "hi")
    reply = json.loads(done.out)
    check(done.code == 130 and reply["stop_reason"] == "cancelled", done)
    check(0 < reply["generated_tokens"] == len(reply["tokens"]) < 1000, done)


def test_ctrl_c_while_scoring_prints_what_there_is():
    path = os.path.join(folder.name, "long")
    with open(path, "w") as file:
        file.write("x" * 4000)
    done = interrupt("token_ms=5", "--json", path, command="score")
    score = json.loads(done.out)
    check(done.code == 130 and 0 < score["scored_tokens"] < 4000, done)
    check(len(score["tokens"]) == score["scored_tokens"] + 1, done)


def test_when_the_front_is_killed_the_engine_goes_too():
    child = subprocess.Popen([program, "ask", "-m", model, "hi"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=dict(environment("tokens=1000 hang"), ORIEL_ALLOW_CORE="1"))
    child.stdout.read(3)
    with open(f"/proc/{child.pid}/task/{child.pid}/children") as file:
        engine = int(file.read())
    check(os.readlink(f"/proc/{engine}/fd/0") == "/dev/null")
    open_files = sorted(map(int, os.listdir(f"/proc/{engine}/fd")))
    check(open_files == [0, 1, 2, 3], open_files)
    child.kill()
    child.communicate(timeout=10)
    for _ in range(100):
        if not os.path.exists(f"/proc/{engine}"):
            return
        with open(f"/proc/{engine}/stat") as file:
            if ") Z " in file.read():
                return
        time.sleep(.02)
    check(False, "the engine lives on")


# ---------------------------------------------------------------------------
# An engine that fails

def test_an_engine_that_dies_is_reported_and_the_text_is_kept():
    done = ask("hi", script="tokens=100 die=5")
    one_line(done, 1, "killed by signal 9")
    check(done.out == "xxxxx", done)
    done = ask("--json", "hi", script="tokens=100 die=5")
    reply = json.loads(done.out)
    check(done.code == 1 and reply["text"] == "xxxxx" and reply["stop_reason"] == "error"
          and "signal 9" in reply["error"]["text"], done)


def test_an_engine_that_leaves_is_reported():
    one_line(ask("hi", script="leave=3"), 1, "exit status 3")


def test_an_error_in_the_middle_keeps_the_text():
    done = ask("hi", script="tokens=9 fail=7")
    one_line(done, 1, "the fake engine fails")
    check(done.out == "xxx", done)
    one_line(ask("hi", script="tokens=9 fail=12"), 1, "the fake engine fails")


def frame(body, magic=b"ORLW", version=2, kind=65, request=1, length=None):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return magic + struct.pack("<HHII", version, kind, request,
                               len(body) if length is None else length) + body


def test_nonsense_on_the_wire_is_one_line():
    token = {"id": 1, "text": "a", "logprob": 0, "time_ns": 0}
    for name, sent, words in [
        ("magic", b"GGUF" + bytes(12), "not a message"),
        ("text", b"Mesa warning\n", "not a message"),
        ("version", frame({}, version=3), "version 3"),
        ("type", frame({}, kind=999), "unknown type 999"),
        ("a request", frame({}, kind=1), "in place of an answer"),
        ("a second greeting", frame({}, kind=64), "in place of an answer"),
        ("length", frame(b"", length=0xFFFFFFFF), "4294967295 bytes"),
        ("not JSON", frame(b"{"), "JSON"),
        ("array", frame([]), "not a JSON object"),
        ("empty", frame(b""), "not a JSON object"),
        ("NaN", frame(b'{"stage": "x", "fraction": NaN}'), "JSON"),
        ("infinity", frame(b'{"stage": "x", "fraction": 1e999}'), "JSON"),
        ("twice", frame(b'{"stage": "x", "stage": "y"}'), "JSON"),
        ("deep", frame(b'{"a":' + b"[" * 20000), "JSON"),
        ("bad UTF-8", frame(b'{"stage": "\xff", "fraction": 0}'), "JSON"),
        ("missing field", frame({"stage": "x"}), "fraction"),
        ("wrong type", frame({"stage": 3, "fraction": 0}), "stage"),
        ("NUL in a name", frame({"stage": "a\0b", "fraction": 0}), "stage"),
        ("other request", frame({}, request=9), "request 9"),
        ("tokens", frame({"tokens": {}}, kind=66), "tokens"),
        ("no token", frame({"tokens": [3]}, kind=66), "id"),
        ("negative id", frame({"tokens": [dict(token, id=-1)]}, kind=66), "id"),
        ("large id", frame({"tokens": [dict(token, id=1 << 32)]}, kind=66), "id"),
        ("base64", frame({"tokens": [dict(token, text_base64="ab=c")]}, kind=66), "base64"),
        ("top", frame({"tokens": [dict(token, top=[token] * 21)]}, kind=66), "top"),
        ("error code", frame({"code": "luck", "text": "x"}, kind=68), "code"),
        ("info", frame({"model": "x"}, kind=67), "architecture"),
    ]:
        done = ask("hi", script="send=" + sent.hex())
        one_line(done, 1, words)
        check(done.out == "", name, done)


def test_a_frame_that_never_ends_can_be_interrupted():
    done = interrupt("send=" + frame({"stage": "x", "fraction": 0})[:-1].hex(), "hi")
    check(done.code == 130 and done.seconds < STOP_SECONDS, done)


def test_an_error_from_the_wire_is_shown_harmless():
    sent = frame({"code": "device", "text": "\x1b[2J\nlost"}, kind=68)
    one_line(ask("hi", script="send=" + sent.hex()), 1, "␛[2J lost")


# ---------------------------------------------------------------------------
# On a terminal

def on_terminal(*args, script="", seconds=20, typed=b""):
    child, fd = pty.fork()
    if child == 0:
        os.execve(program, [program, *args], environment(script))
    out = b""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if select.select([fd], [], [], .1)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
            if typed and b"xxx" in out:
                os.write(fd, typed)
                typed = b""
    os.close(fd)
    return Done(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]),
                out.decode("utf-8", "replace"), "")


def test_on_a_terminal_the_reply_is_made_harmless():
    done = on_terminal("ask", "-m", model, "hi", script="text=1b5d303b78071b5b324a41c29b42")
    check("␛]0;x␇␛[2JA�B\r\n" in done.out, done)
    check("\x1b]" not in done.out and "\x1b[2J" not in done.out, done)


def test_on_a_terminal_a_wait_is_explained_and_erased():
    done = on_terminal("ask", "-m", model, "hi", script="open_ms=700 prompt_ms=1500 tokens=3")
    check("reading weights: " in done.out and ", 1 s" in done.out, done)
    check("\x1b[2Kxxx\r\n" in done.out, done)
    done = on_terminal("ask", "-m", model, "hi", script="tokens=3")
    check("\x1b[2K" not in done.out, "nothing is painted when there is no wait", done)
    done = on_terminal("ask", "-q", "-m", model, "hi", script="open_ms=700 tokens=3")
    check(done.out == "xxx\r\n", done)


def test_on_a_terminal_ctrl_c_is_typed():
    done = on_terminal("ask", "-m", model, "hi", script="tokens=1000 token_ms=10",
                       typed=b"\x03")
    check(done.code == 130 and ", cancelled]" in done.out, done)


def test_on_a_terminal_json_is_ascii():
    done = on_terminal("ask", "-m", model, "--json", "-q", "hi", script="text=c29b")
    check("\\u009B" in done.out and "\x9b" not in done.out, done)


tap.run(globals())
