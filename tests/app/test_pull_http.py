# tests/app/test_pull_http.py
# SPDX-License-Identifier: MIT
"""oriel pull over HTTP, from a server on the loopback that misbehaves in every way it can."""
import hashlib
import http.server
import json
import os
import pty
import re
import subprocess
import threading
import time

import tap
import test_models as models

DATA = b"GGUF" + bytes(range(251)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.log = []       # (path, headers) of each request
        self.failures = {}  # path: how many requests still fail
        self.files = {}     # path: what is there at the moment
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):  # a client that went away
        pass

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def requests(self, path):
        return [headers for where, headers in self.log if where == path]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def send(self, code, body=b"", length=None, pause=0, **headers):
        """length 0: not said. pause: so many seconds before each 20 kB."""
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != 0:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        step = 20_000 if pause else len(body) + 1
        for at in range(0, len(body) if self.command != "HEAD" else 0, step):
            time.sleep(pause)
            self.wfile.write(body[at:at + step])

    def failing(self):
        left = self.server.failures.get(self.path, 0)
        if self.command == "GET" and left:
            self.server.failures[self.path] = left - 1
        return left > 0

    def do_HEAD(self):
        self.do_GET()

    def do_file(self, data, etag, hub=False, breaks=False, ranges=True, pause=0, length=True,
                said=None):
        """A file that a test put there. breaks: half of it, and then no more for an hour.
        said: what the hub says is its content."""
        if breaks and self.server.failures.get(self.path):
            return self.send(429, Retry_After="3600")
        headers = {"ETag": f'"{etag}"'} if etag else {}
        if hub and not self.path.startswith("/cdn"):
            headers.update(Location=f"/cdn{self.path}", X_Linked_Size=str(len(data)),
                           X_Linked_Etag=f'"{hashlib.sha256(said or data).hexdigest()}"')
            return self.send(302, **headers)
        code, first = 200, 0
        if "Range" in self.headers and ranges and self.headers.get("If-Range") == f'"{etag}"':
            first = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            code = 206
        end = len(data) // 2 if breaks else len(data)
        self.close_connection = breaks or not length
        self.server.failures[self.path] = breaks
        return self.send(code, data[first:end], len(data) - first if length else 0, pause,
                         **headers)

    def do_GET(self):
        self.server.log.append((self.path, dict(self.headers)))
        if self.path.removeprefix("/cdn") in self.server.files:
            return self.do_file(**self.server.files[self.path.removeprefix("/cdn")])
        name = self.path.rsplit("/", 1)[-1]
        data, code, headers = DATA, 200, {"ETag": '"v1"', "Accept-Ranges": "bytes"}
        if name.startswith("missing"):
            return self.send(404)
        if name.startswith("busy") and self.failing():
            return self.send(429, Retry_After="1")
        if name.startswith("loop"):
            return self.send(302, Location=self.path)
        if name.startswith("moved"):
            return self.send(302, Location=f"http://localhost:{self.server.server_port}/good.gguf")
        if name.startswith("changed"):
            headers["ETag"] = f'"{len(self.server.requests(self.path))}"'
        wanted = self.headers.get("Range")
        fresh = self.headers.get("If-Range") in (None, headers["ETag"])
        if wanted and fresh and not name.startswith("norange"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
            data, code = DATA[start:], 206
        if name.startswith(("cut", "norange", "changed")) and self.failing():
            self.send(code, data[:len(data) // 2], len(data), **headers)
            self.close_connection = True
            return None
        if name.startswith("long"):
            return self.send(code, data, len(data) + 100, **headers)
        return self.send(code, data, **headers)


server = Server()


def pull(home, path, *args, **more):
    return models.oriel(home, "pull", server.url(path), *args, **more)


def installed(home, name, data=DATA):
    with open(os.path.join(models.store(home), name + ".gguf"), "rb") as f:
        return f.read() == data


def nothing_installed(home):
    store = models.store(home)
    return not os.path.isdir(store) or not [n for n in os.listdir(store)
                                            if n.endswith((".gguf", ".json"))]


def test_a_file_arrives_whole():
    home = models.new_home()
    done = pull(home, "/good.gguf", "--sha256", SHA256)
    models.check(done.code == 0 and installed(home, "good"), done)


def test_a_cut_connection_is_resumed():
    home = models.new_home()
    server.failures["/cut.gguf"] = 1
    done = pull(home, "/cut.gguf", "--sha256", SHA256)
    models.check(done.code == 0 and installed(home, "cut"), done)
    models.check(any("Range" in headers for headers in server.requests("/cut.gguf")))


def test_a_server_without_ranges_is_read_again():
    home = models.new_home()
    server.failures["/norange.gguf"] = 1
    done = pull(home, "/norange.gguf", "--sha256", SHA256)
    models.check(done.code == 0 and installed(home, "norange"), done)


def test_a_file_that_changed_is_not_mixed():
    home = models.new_home()
    server.failures["/changed.gguf"] = 1
    done = pull(home, "/changed.gguf", "--sha256", SHA256)
    models.check(done.code != 0 or installed(home, "changed"), done)


def test_a_wrong_hash_is_refused():
    home = models.new_home()
    models.fails(pull(home, "/good.gguf", "--sha256", "0" * 64), 1, "good.gguf")
    models.check(nothing_installed(home))


def test_a_missing_file_is_one_line():
    home = models.new_home()
    models.fails(pull(home, "/missing.gguf"), 1, "404")
    models.check(nothing_installed(home))


def test_a_busy_server_is_asked_again():
    home = models.new_home()
    server.failures["/busy.gguf"] = 2
    done = pull(home, "/busy.gguf", "--sha256", SHA256)
    models.check(done.code == 0 and installed(home, "busy"), done)


def test_redirects_end():
    home = models.new_home()
    models.fails(pull(home, "/loop.gguf"), 1, "redirect")
    models.check(nothing_installed(home))


def test_a_length_that_is_a_lie_is_not_installed():
    home = models.new_home()
    done = pull(home, "/long.gguf")
    models.check(done.code == 1, done)
    models.check(nothing_installed(home))


def test_the_hub_is_found_and_its_token_stays_with_it():
    home = models.new_home()
    done = models.oriel(home, "pull", "hf:owner/repo:moved.gguf", "--name", "hub",
                        HF_ENDPOINT=server.url(""), HF_TOKEN="secret-token")
    models.check(done.code == 0 and installed(home, "hub"), done)
    first = [headers for where, headers in server.log if where.endswith("/moved.gguf")]
    models.check(first and all("secret-token" in h.get("Authorization", "") for h in first))
    later = [h for h in server.requests("/good.gguf") if h["Host"].startswith("localhost")]
    models.check(later and not any("Authorization" in h for h in later), later)



def hub(home, source, *args):
    return models.oriel(home, "pull", source, *args, HF_ENDPOINT=server.url(""))


def list_repository(name, *files, **more):
    listing = {"siblings": [{"rfilename": file} for file in files], **more}
    server.files[f"/api/models/{name}"] = {"data": json.dumps(listing).encode(), "etag": "x"}
    for number, file in enumerate(files):
        data = models.EYE if file.startswith("mmproj") else DATA
        server.files[f"/{name}/resolve/main/{file}"] = {"data": data + bytes([number]),
                                                        "etag": f"v{number}", "hub": True}


def test_of_a_repository_the_best_file_and_the_projector_are_taken():
    home = models.new_home()
    list_repository("some/Model-GGUF", "README.md", "model-F16.gguf", "model-Q8_0.gguf",
                    "model-Q4_K_M.gguf", "mmproj-model-Q8_0.gguf", "mmproj-model-f16.gguf",
                    cardData={"license": "mit"})
    done = hub(home, "hf:some/Model-GGUF", "--json")
    record = json.loads(done.out)
    models.check(record["source"] == "hf:some/Model-GGUF" and record["licence"] == "mit", record)
    models.check(record["files"][0]["source"] == "hf:some/Model-GGUF:model-Q4_K_M.gguf", record)
    with open(record["mmproj"], "rb") as data:
        models.check(data.read() == models.EYE + bytes([5]), record)
    again = hub(home, "hf:some/Model-GGUF")
    models.check(again.code == 0 and "installed already" in again.err, again)


def test_of_a_split_model_in_a_repository_all_parts_are_taken():
    home = models.new_home()
    list_repository("some/split", *(f"q4/m-Q4_0-{i:05}-of-00003.gguf" for i in (2, 1, 3)))
    record = json.loads(hub(home, "hf:some/split", "--json").out)
    models.check(record["name"] == "m-Q4_0" and len(record["files"]) == 3, record)
    models.check(models.oriel(home, "models", "verify", "m-Q4_0").code == 0)


def test_a_hub_that_says_a_wrong_hash_is_not_believed():
    home = models.new_home()
    server.files["/liar.gguf"] = {"data": DATA, "etag": "v1", "hub": True, "said": b"other"}
    models.fails(pull(home, "/liar.gguf"), 1, "its SHA-256 is " + SHA256)
    models.check(nothing_installed(home))


def test_a_repository_without_a_model_is_an_error():
    home = models.new_home()
    list_repository("some/dataset", "README.md", "data.parquet")
    models.fails(hub(home, "hf:some/dataset"), 1, "no GGUF file")
    models.fails(hub(home, "hf:some/missing"), 1, "404")
    server.files["/api/models/some/nonsense"] = {"data": b"<html>", "etag": "x"}
    models.fails(hub(home, "hf:some/nonsense"), 1, "not a JSON object")


def test_a_url_with_a_query_has_the_name_of_its_file():
    home = models.new_home()
    server.files["/queried.gguf?download=true"] = {"data": DATA, "etag": "v1"}
    done = pull(home, "/queried.gguf?download=true")
    models.check(done.code == 0 and installed(home, "queried"), done)


def test_a_terminal_sees_how_far_it_is_how_fast_and_how_long_yet():
    home, path = models.new_home(), "/slow.gguf"
    server.files[path] = {"data": DATA, "etag": "v1", "pause": 0.04}
    terminal, user = pty.openpty()
    child = subprocess.Popen([models.program, "pull", server.url(path)], stderr=user,
                             stdin=subprocess.DEVNULL, env=models.environment(home))
    os.close(user)
    seen = b""
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    models.check(child.wait(timeout=60) == 0, seen)
    models.check(re.search(rb"fetching slow.gguf: [0-9.]+ kB of 1.0 MB, [0-9.]+ kB/s, \d+ s left",
                           seen), seen)
    models.check(seen.endswith(b"\r\x1b[2Koriel: pull: slow is installed, 1.0 MB\r\n"), seen)


# ---------------------------------------------------------------------------
# From one pull to the next

OTHER = b"GGUF" + bytes(range(249)) * 5000


def interrupted(home, path, *args, **more):
    server.files[path].update(breaks=True)
    models.fails(pull(home, path, *args, **more), 1, "429")
    server.files[path].update(breaks=False)


def begun(home, name):
    return os.path.getsize(os.path.join(models.store(home), f".pull-{name}/{name}.gguf"))


def test_the_next_pull_goes_on_where_the_last_one_stopped():
    for hub in False, True:
        home, path = models.new_home(), f"/on{hub}.gguf"
        server.files[path] = {"data": DATA, "etag": "v1", "hub": hub}
        interrupted(home, path)
        done = pull(home, path)
        models.check(done.code == 0 and installed(home, f"on{hub}"), done)
        last = server.requests(("/cdn" if hub else "") + path)[-1]
        models.check(last["Range"] == f"bytes={len(DATA) // 2}-" and last["If-Range"] == '"v1"')
        models.check("beginning" not in done.err, done)


def test_a_file_that_changed_since_the_last_pull_begins_anew_and_says_so():
    for hub in False, True:
        home, path = models.new_home(), f"/new{hub}.gguf"
        server.files[path] = {"data": DATA, "etag": "v1", "hub": hub}
        interrupted(home, path)
        server.files[path].update(data=OTHER, etag="v2")
        done = pull(home, path)
        models.check(done.code == 0 and installed(home, f"new{hub}", OTHER), done)
        models.check(done.err.count("another file by now") == 1, done)
        models.check(models.oriel(home, "models", "verify", f"new{hub}").code == 0)


def test_what_a_person_asks_for_stays_asked_for():
    home, path = models.new_home(), "/asked.gguf"
    server.files[path] = {"data": DATA, "etag": "v1", "hub": True}
    interrupted(home, path, "--sha256", SHA256)
    server.files[path].update(data=OTHER, etag="v2")
    models.fails(pull(home, path, "--sha256", SHA256), 1, "should be " + SHA256)
    models.check(begun(home, "asked") > 0)  # it is still good for the file that was asked for
    server.files[path].update(data=DATA, etag="v1")
    done = pull(home, path, "--sha256", SHA256)
    models.check(done.code == 0 and installed(home, "asked"), done)


def test_what_is_whole_is_only_asked_about():
    for change in False, True:
        home, path, eye = models.new_home(), f"/whole{change}.gguf", f"/missing-eye{change}.gguf"
        server.files[path] = {"data": DATA, "etag": "v1"}
        args = "--mmproj", server.url(eye)
        models.fails(pull(home, path, *args), 1, "missing-eye")  # 404
        server.files[eye] = {"data": models.EYE, "etag": "eye"}
        if change:
            server.files[path].update(data=OTHER, etag="v2")
        done = pull(home, path, *args)
        models.check(done.code == 0, done)
        models.check(installed(home, f"whole{change}", OTHER if change else DATA), done)
        models.check(server.requests(path)[-1]["Range"] == f"bytes={len(DATA) - 1}-")


def test_a_server_that_cannot_go_on_is_read_from_the_beginning_and_says_so():
    home, path = models.new_home(), "/forgetful.gguf"
    server.files[path] = {"data": DATA, "etag": "v1", "ranges": False}
    interrupted(home, path)
    done = pull(home, path)
    models.check(done.code == 0 and installed(home, "forgetful"), done)
    models.check("cannot go on" in done.err, done)


def test_without_a_validator_nothing_is_continued():
    home, path = models.new_home(), "/anonymous.gguf"
    server.files[path] = {"data": DATA, "etag": None}
    interrupted(home, path)
    server.files[path].update(data=OTHER)
    done = pull(home, path)
    models.check(done.code == 0 and installed(home, "anonymous", OTHER), done)
    models.check(not any("Range" in headers for headers in server.requests(path)))


def test_after_a_restart_of_the_machine_what_was_not_on_the_disk_is_fetched_again():
    home, path = models.new_home(), "/power.gguf"
    server.files[path] = {"data": DATA, "etag": "v1"}
    interrupted(home, path)
    part = os.path.join(models.store(home), ".pull-power/power.gguf")
    with open(part + ".state", encoding="utf-8") as text:
        state = json.load(text)
    state["boot"] = "of another day"
    with open(part + ".state", "w", encoding="utf-8") as text:
        json.dump(state, text)
    with open(part, "r+b") as data:  # what the power loss left
        data.seek(1000)
        data.write(bytes(len(DATA) // 2 - 1000))
    done = pull(home, path)
    models.check(done.code == 0 and installed(home, "power"), done)


def test_a_file_that_is_only_linked_is_never_written_to():
    home, original = models.new_home(), models.file("mine.gguf", b"GGUF of a person")
    os.makedirs(models.store(home) + "/.pull-good")
    os.link(original, models.store(home) + "/.pull-good/good.gguf")  # a pull that was killed
    done = pull(home, "/good.gguf")
    models.check(done.code == 0 and installed(home, "good"), done)
    with open(original, "rb") as data:
        models.check(data.read() == b"GGUF of a person")


def test_a_pull_that_got_nothing_leaves_nothing():
    home = models.new_home()
    models.fails(pull(home, "/missing.gguf"), 1, "404")
    models.check(os.listdir(models.store(home)) == [])


if __name__ == "__main__":
    tap.run(globals())
