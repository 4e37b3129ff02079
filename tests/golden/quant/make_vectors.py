#!/usr/bin/env python3
# tests/golden/quant/make_vectors.py
# SPDX-License-Identifier: MIT
#
# Makes vectors.txt with the `gguf` package of PyPI (0.19) and NumPy:
#     python3 tests/golden/quant/make_vectors.py > tests/golden/quant/vectors.txt
# One block per line: type, the block's bytes in hexadecimal, the bits of its weights as f32.
# "half" lines are float bits and the bits of the nearest half. The random numbers are seeded.
import gguf
import numpy as np
from gguf.quants import dequantize

# Byte offsets of the half-precision scales inside a block.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}

np.seterr(over="ignore")  # MXFP4 with the largest scale rightly overflows
random = np.random.default_rng(4)


def print_block(name, block, values):
    bits = values.astype(np.float32).view(np.uint32).ravel()
    print(name, block.tobytes().hex(), "".join("%08x" % b for b in bits))


def random_block(name, size):
    block = random.integers(0, 256, size, dtype=np.uint8)
    for at in SCALES[name]:
        scale = np.float16(random.normal() * 0.05)
        block[at:at + 2] = np.frombuffer(scale.tobytes(), np.uint8)
    return block


for name in SCALES:
    kind = gguf.GGMLQuantizationType[name]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    for i in range(3 if values == 256 else 6):
        block = random_block(name, size)
        if name == "MXFP4":
            block[0] = [0, 1, 2, 120, 127, 254][i]
        print_block(name, block, dequantize(block.reshape(1, size), kind))

# Plain floats: subnormals, infinities and both zeros among them.
singles = random.normal(size=16).astype(np.float32)
print_block("F32", singles, singles)
halves = np.concatenate([random.normal(size=24), [0.0, -0.0, np.inf, -np.inf, 6e-8, -3e-6,
                                                  65504, 6.1e-5]]).astype(np.float16)
print_block("F16", halves, halves.astype(np.float32))
brains = random.integers(0, 0x7F80, 32).astype(np.uint16) | random.choice(
    np.array([0, 0x8000], np.uint16), 32)
print_block("BF16", brains, (brains.astype(np.uint32) << 16).view(np.float32))

edges = [0.0, -0.0, 1.0, 65504.0, 65519.9, 65520.0, 1e9, np.inf, -np.inf, 2.0**-24, 2.0**-25,
         1.0001 * 2.0**-25, 1.5 * 2.0**-24, 2.5 * 2.0**-24, 2.0**-14, 2.0**-14 - 2.0**-26,
         1 + 2.0**-11, 1 + 3 * 2.0**-11, 1 + 2.0**-11 + 2.0**-20, 2047.5, 2048.5, 2049.5]
floats = np.concatenate([edges, random.normal(size=60) * 2.0**random.integers(-26, 17, 60)])
floats = floats.astype(np.float32)
nearest = floats.astype(np.float16)
for single, half in zip(floats, nearest):
    print("half %08x %04x" % (single.view(np.uint32), half.view(np.uint16)))
