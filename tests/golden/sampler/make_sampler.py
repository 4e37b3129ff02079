#!/usr/bin/env python3
# tests/golden/sampler/make_sampler.py
# SPDX-License-Identifier: MIT
#
# Writes sampler.txt: logits and settings, and the distribution that follows from them by
# the published definitions, computed here in double precision without looking at our C:
#   repetition penalty arXiv:1909.05858 (negative logits multiplied), presence and frequency
#   penalty as in the OpenAI API's documentation, DRY as described by its author
#   (text-generation-webui pull request 5677), typical arXiv:2202.00666, top-p
#   arXiv:1904.09751, min-p arXiv:2407.01082.
# Needs NumPy only:
#     python3 tests/golden/sampler/make_sampler.py > tests/golden/sampler/sampler.txt
import numpy as np

random = np.random.default_rng(20231123)
DEFAULTS = {
    "temperature": 1.0, "top-k": 0, "top-p": 1.0, "min-p": 0.0, "typical-p": 1.0,
    "repetition-penalty": 1.0, "presence-penalty": 0.0, "frequency-penalty": 0.0,
    "penalty-last-n": 64, "dry-multiplier": 0.0, "dry-base": 1.75, "dry-allowed-length": 2,
    "dry-last-n": 1000,
}


def breaks(token):  # the test's vocabulary gives these tokens a text with a colon
    return token % 10 == 7


def dry(history, token, s):
    """The longest n such that the last n tokens occurred earlier, followed by token."""
    if breaks(token):
        return 0.0
    h = history[-s["dry-last-n"]:] if s["dry-last-n"] > 0 else []
    best = 0
    for at in range(len(h)):
        if h[at] != token:
            continue
        n = 0
        while n < at and h[at - 1 - n] == h[len(h) - 1 - n] and not breaks(h[at - 1 - n]):
            n += 1
        best = max(best, n)
    if best < s["dry-allowed-length"]:
        return 0.0
    return s["dry-multiplier"] * s["dry-base"] ** (best - s["dry-allowed-length"])


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def distribution(logits, history, biases, s):
    scores = {i: float(x) for i, x in enumerate(logits) if np.isfinite(x)}
    for token, bias in biases:
        if token in scores:
            scores[token] += bias
    scores = {i: x for i, x in scores.items() if np.isfinite(x)}
    recent = history[-s["penalty-last-n"]:] if s["penalty-last-n"] > 0 else []
    for i in scores:
        times = recent.count(i)
        if times > 0:
            r = s["repetition-penalty"]
            scores[i] = scores[i] / r if scores[i] > 0 else scores[i] * r
            scores[i] -= s["presence-penalty"] + times * s["frequency-penalty"]
        if s["dry-multiplier"] > 0:
            scores[i] -= dry(history, i, s)
    order = sorted(scores, key=lambda i: (-scores[i], i))
    if s["temperature"] == 0:
        return {order[0]: 1.0}
    if s["top-k"] > 0:
        order = order[: s["top-k"]]

    def probabilities():
        return softmax(np.array([scores[i] for i in order]))

    if s["typical-p"] < 1:
        p = probabilities()
        information = -np.log(p)
        entropy = float((p * information).sum())
        by = sorted(range(len(order)), key=lambda j: (abs(information[j] - entropy), j))
        kept, total = [], 0.0
        for j in by:
            kept.append(order[j])
            total += p[j]
            if total >= s["typical-p"]:
                break
        order = sorted(kept, key=lambda i: (-scores[i], i))
    if s["top-p"] < 1:
        total, n = 0.0, 0
        for p in probabilities():
            total += p
            n += 1
            if total >= s["top-p"]:
                break
        order = order[:n]
    if s["min-p"] > 0:
        p = probabilities()
        order = [i for i, q in zip(order, p) if q >= s["min-p"] * p[0]]
    p = softmax(np.array([scores[i] for i in order]) / s["temperature"])
    return dict(zip(order, p))


def write(name, logits, history=(), biases=(), **settings):
    s = dict(DEFAULTS)
    for key, value in settings.items():
        key = key.replace("_", "-")
        s[key] = value if isinstance(value, int) else float(np.float32(value))
    logits = np.asarray(logits, dtype=np.float32)
    history = [int(i) for i in history]
    result = distribution(logits, history, biases, s)
    print("case", name)
    print("settings", *(f"{k}={v:.9g}" for k, v in s.items()))
    print("history", *history)
    print("biases", *(f"{i}:{b:g}" for i, b in biases))
    print("logits", *(f"{float(x):.9g}" for x in logits))
    print("expect", *(f"{i}:{p:.12g}" for i, p in result.items()))


def logits(n=60, scale=2.0):
    return random.normal(0, scale, n)


def repeating(n, pattern, noise):
    h = [pattern[i % len(pattern)] for i in range(n)]
    return [int(random.integers(60)) if random.random() < noise else t for t in h]


print("# made by tests/golden/sampler/make_sampler.py; definitions are named there")
write("untouched", logits())
write("greedy", logits(), temperature=0)
write("greedy among equals takes the lowest id", [1, 3, 3, 2, 3], temperature=0)
for t in (0.1, 0.7, 1.5, 5.0):
    write(f"temperature {t}", logits(), temperature=t)
for k in (1, 5, 40, 1000):
    write(f"top-k {k}", logits(), top_k=k)
for p in (0.0, 0.1, 0.5, 0.9, 0.99):
    write(f"top-p {p}", logits(), top_p=p)
    write(f"min-p {p}", logits(), min_p=p)
    write(f"typical {p}", logits(), typical_p=p)
write("top-p over a long flat tail", logits(700, 0.1), top_p=0.95)
write("top-p, then the rest in order", logits(700, 1.0), top_p=0.999)
for i in range(6):
    write(f"all of them {i}", logits(200, 3), top_k=int(random.integers(5, 100)),
          top_p=random.uniform(0.5, 1), min_p=random.uniform(0, 0.2),
          typical_p=random.uniform(0.5, 1), temperature=random.uniform(0.2, 2))
history = random.integers(0, 60, 100)
write("repetition penalty", logits(), history, repetition_penalty=1.3)
write("repetition reward", logits(), history, repetition_penalty=0.7)
write("presence penalty", logits(), history, presence_penalty=0.8)
write("frequency penalty", logits(), history, frequency_penalty=0.4)
write("negative presence penalty", logits(), history, presence_penalty=-0.8)
write("penalties over few tokens", logits(), history, frequency_penalty=1.5,
      repetition_penalty=1.2, penalty_last_n=7)
write("penalties over no tokens", logits(), history, frequency_penalty=1.5, penalty_last_n=0)
write("penalties over more tokens than there are", logits(), history[:10],
      presence_penalty=1.5, penalty_last_n=64)
for i, noise in enumerate((0.0, 0.05, 0.2, 0.2, 0.4)):
    pattern = [int(x) for x in random.integers(0, 60, 5 + 3 * i)]
    h = repeating(80, pattern, noise)
    write(f"dry {i}", logits(), h, dry_multiplier=0.8)
    write(f"dry {i} from length 4", logits(), h, dry_multiplier=0.3, dry_allowed_length=4,
          dry_base=1.2)
    write(f"dry {i} over 20 tokens", logits(), h, dry_multiplier=0.8, dry_last_n=20)
write("dry does not reach across a breaker", logits(), [1, 2, 7, 3, 4, 5, 1, 2, 7, 3, 4],
      dry_multiplier=1.0)
write("dry leaves a breaker alone", logits(), [1, 2, 3, 7, 9, 1, 2, 3], dry_multiplier=1.0)
write("dry after a breaker", logits(), [1, 2, 3, 7, 1, 2, 3, 7], dry_multiplier=1.0)
write("dry on one token over and over", logits(), [5] * 30, dry_multiplier=0.01, dry_base=1.1)
write("dry with other penalties", logits(), repeating(90, [3, 1, 4, 15, 9, 26], 0.1),
      dry_multiplier=0.5, repetition_penalty=1.1, frequency_penalty=0.1, top_k=30, top_p=0.9,
      temperature=0.8)
write("biases", logits(), biases=[(3, 2.5), (9, -1.0), (10, -100), (59, 5)])
write("a bias that forbids", logits(), biases=[(3, float("-inf")), (4, float("-inf"))])
write("two biases on one token", logits(), biases=[(3, 2.5), (3, -1.0)])
write("numbers that are none", [1.0, float("nan"), 2.0, float("inf"), float("-inf"), 1.5])
write("dry before the first token", logits(), dry_multiplier=1.0)
