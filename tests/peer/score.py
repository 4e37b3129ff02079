#!/usr/bin/env python3
# tests/peer/score.py
# SPDX-License-Identifier: MIT
#
# Compares the next-token distributions of `oriel score` with those of llama-cpp-python on the
# same model file and the texts of texts.py: mean KL divergence in nats, and how often the
# most probable token is the same.
#
#     pip install llama-cpp-python numpy gguf
#     tests/peer/score.py build/run/oriel [--exact] MODEL.gguf...
#
# The peer's CPU backend rounds activations to eight bits before it multiplies them with
# quantised weights. --exact gives it the same weights as 32-bit floats, with which it does not:
# what is left then is the difference of the two programs.
import json, os, subprocess, sys, tempfile
import numpy as np
from llama_cpp import Llama
from texts import TEXTS


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def compare(oriel, model, peer, text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "distributions")
        out = subprocess.run([oriel, "score", "-m", model, "--json", "--context", "1024",
                              "--distributions", path],
                             input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
        ids = [token["id"] for token in json.loads(out)["tokens"]]
        raw = np.fromfile(path, dtype="<f4")
    peer.reset()
    peer.eval(ids)
    want = log_softmax(np.array(peer.scores[:len(ids) - 1]))
    got = raw.reshape(len(ids) - 1, -1).astype(np.float64)[:, :want.shape[1]]
    divergence = (np.exp(want) * (want - got)).sum(axis=1)
    return divergence, got.argmax(axis=1) == want.argmax(axis=1)


def write_floats(source, target):
    """Copies a model file with all tensors dequantised to F32."""
    import gguf
    from gguf.quants import dequantize
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        array = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(name, field.contents(), field.types[0],
                             sub_type=field.types[-1] if array else None)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def open_peer(model, exact):
    if not exact:
        return Llama(model, n_ctx=1024, logits_all=True, verbose=False)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "floats.gguf")
        write_floats(model, path)
        return Llama(path, n_ctx=1024, logits_all=True, verbose=False, use_mmap=False)


def main():
    exact = "--exact" in sys.argv
    oriel, *models = [argument for argument in sys.argv[1:] if argument != "--exact"]
    for model in models:
        peer = open_peer(model, exact)
        results = [compare(oriel, model, peer, text) for text in TEXTS]
        divergence = np.concatenate([r[0] for r in results])
        same = np.concatenate([r[1] for r in results])
        print(f"{os.path.basename(model)}: {len(divergence)} tokens of {len(TEXTS)} texts, "
              f"mean KL {divergence.mean():.5f} nats (worst text "
              f"{max(r[0].mean() for r in results):.5f}), same top token "
              f"{100 * same.mean():.2f} %", flush=True)


main()
