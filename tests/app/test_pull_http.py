# tests/app/test_pull_http.py
# SPDX-License-Identifier: MIT
"""oriel pull over HTTP, from a server on the loopback that misbehaves in every way it can."""
import hashlib
import http.server
import os
import threading

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
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def requests(self, path):
        return [headers for where, headers in self.log if where == path]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def send(self, code, body=b"", length=None, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def failing(self):
        left = self.server.failures.get(self.path, 0)
        if self.command == "GET" and left:
            self.server.failures[self.path] = left - 1
        return left > 0

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.log.append((self.path, dict(self.headers)))
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


def installed(home, name):
    with open(os.path.join(models.store(home), name + ".gguf"), "rb") as f:
        return f.read() == DATA


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


tap.run(globals())
