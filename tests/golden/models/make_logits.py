"""Makes logits.tsv: what llama.cpp computes for the random models of tests/engine/model/.

    make -C BUILD tests/engine/model/generate_model
    python3 tests/golden/models/make_logits.py BUILD/tests/engine/model/generate_model \
        > tests/golden/models/logits.tsv

Needs llama-cpp-python (made with 0.3.36). The KV cache is F32 and flash attention is off, so
that what remains between llama.cpp and exact arithmetic is rounding to 32 bits, except that
its GELU goes through a table of 16-bit floats (the gemma models).
"""
import os
import subprocess
import sys
import tempfile

from llama_cpp import Llama

CONTEXT = 256  # MODEL_CONTEXT
SAMPLES = 8
TYPE_F32 = 0


def peer_logits(path, tokens):
    model = Llama(path, n_ctx=CONTEXT, logits_all=True, verbose=False, type_k=TYPE_F32,
                  type_v=TYPE_F32, flash_attn=False)
    model.eval(tokens)
    logits = model.scores[:len(tokens)].copy()
    model.close()
    return logits


def main(generate):
    print("# make_logits.py: case, position, largest token, logits of token")
    print(f"# (13 * position + 29 * i) % vocabulary for i = 0 to {SAMPLES - 1}")
    listing = subprocess.run([generate, "--list"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    for name, golden in (line.split() for line in listing.splitlines()):
        if golden != "1":
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.gguf")
            prompt = subprocess.run([generate, "--case", name, path], check=True, text=True,
                                    stdout=subprocess.PIPE).stdout
            logits = peer_logits(path, [int(token) for token in prompt.split()])
        for position, row in enumerate(logits):
            ids = [(13 * position + 29 * i) % len(row) for i in range(SAMPLES)]
            values = "\t".join("%.7g" % row[i] for i in ids)
            print("%s\t%d\t%d\t%s" % (name, position, row.argmax(), values))


main(sys.argv[1])
