#!/usr/bin/env python3
# tests/golden/reference/make_kernels.py
# SPDX-License-Identifier: MIT
#
# Makes kernels.txt with NumPy, by other formulas than engine/reference/kernels.c (complex
# numbers for rotation, whole-matrix products for attention):
#     python3 tests/golden/reference/make_kernels.py > tests/golden/reference/kernels.txt
# (with the `gguf` package of PyPI, 0.19, for quantised blocks). One case per line: its name,
# then every output. test_goldens.c makes the same inputs:
# wave(n, phase)[i] = sin(0.7 i + phase) + 0.25 cos(2.3 i), rounded to 32 bits.
import gguf
import numpy as np
from gguf.quants import quantize


def wave(shape, phase):
    i = np.arange(np.prod(shape))
    return (np.sin(0.7 * i + phase) + 0.25 * np.cos(2.3 * i)).astype(np.float32).astype(
        float).reshape(shape)


def rms_norm():
    x, weight = wave((3, 17), 1), wave(17, 2)
    return x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(17) * weight


def layer_norm():
    x, weight, bias = wave((3, 17), 1), wave(17, 2), wave(17, 3)
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-3) \
        * weight + bias


def matmul():
    return wave((3, 37), 1) @ wave((5, 37), 2).T


def rope(form, speeds, magnitude=1, rotary=8):
    """Heads [tokens 2][heads 2][10] at positions 3 and 70."""
    x = wave((2, 2, 10), 1)
    turning = x[..., :rotary]
    if form == "norm":
        pairs = turning[..., 0::2] + 1j * turning[..., 1::2]
    else:
        pairs = turning[..., :rotary // 2] + 1j * turning[..., rotary // 2:]
    pairs = magnitude * pairs * np.exp(1j * np.multiply.outer([3, 70], speeds))[:, None, :]
    y = x.copy()
    if form == "norm":
        y[..., 0:rotary:2], y[..., 1:rotary:2] = pairs.real, pairs.imag
    else:
        y[..., :rotary] = np.concatenate([pairs.real, pairs.imag], -1)
    return y


def plain_speeds(rotary):
    return 500.0 ** (-np.arange(0, rotary, 2) / rotary)


def yarn_speeds(rotary, base, factor, context, fast, slow):
    """As the paper has it: by the turns that a pair makes within the context."""
    def pair(turns):
        return rotary * np.log(context / (turns * 2 * np.pi)) / (2 * np.log(base))
    speeds = plain_speeds(rotary)
    low, high = max(np.floor(pair(fast)), 0), min(np.ceil(pair(slow)), rotary - 1)
    ramp = np.clip((np.arange(rotary // 2) - low) / (high - low), 0, 1)
    return speeds / factor * ramp + speeds * (1 - ramp)


def attention(window=None, cap=None, sinks=None):
    """4 queries at positions 3 to 6 over 7 keys, 4 heads over 2, sizes 5 and 3."""
    q, k, v = wave((4, 4, 5), 1), wave((7, 2, 5), 2), wave((7, 2, 3), 3)
    k, v = np.repeat(k, 2, axis=1), np.repeat(v, 2, axis=1)
    scores = np.einsum("qhi,khi->hqk", q, k) * 1.5
    if cap is not None:
        scores = cap * np.tanh(scores / cap)
    distance = np.arange(3, 7)[:, None] - np.arange(7)[None, :]
    scores[:, distance < 0] = -np.inf
    if window is not None:
        scores[:, distance >= window] = -np.inf
    weights = np.exp(scores)
    total = weights.sum(-1, keepdims=True)
    if sinks is not None:
        total = total + np.exp(sinks)[:, None, None]
    return np.einsum("hqk,khi->qhi", weights / total, v)


def blocks(quant):
    """The bytes of 160 values in blocks."""
    return quantize(wave((1, 160), 1).astype(np.float32), quant).view(np.uint8)


cases = {
    "rms_norm": rms_norm(),
    "layer_norm": layer_norm(),
    "matmul": matmul(),
    "rope_norm": rope("norm", plain_speeds(8)),
    "rope_neox": rope("neox", plain_speeds(8)),
    "rope_whole": rope("neox", plain_speeds(10), rotary=10),
    "rope_factors": rope("norm", plain_speeds(8) / 4 / np.array([1, 2, 3, 4])),
    "rope_yarn": rope("neox", yarn_speeds(8, 500.0, 4, 64, 8, 0.5), magnitude=1.25),
    "attention": attention(),
    "attention_window": attention(window=3),
    "attention_cap": attention(cap=0.8),
    "attention_sinks": attention(window=3, cap=0.8, sinks=wave(4, 4)),
    "quantise_q8_0": blocks(gguf.GGMLQuantizationType.Q8_0),
    "quantise_q4_0": blocks(gguf.GGMLQuantizationType.Q4_0),
    "quantise_f16": blocks(gguf.GGMLQuantizationType.F16),
}
print("# make_kernels.py")
for name, values in cases.items():
    print(name, " ".join("%.9g" % value for value in values.ravel()))
