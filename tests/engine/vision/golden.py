# tests/engine/vision/golden.py
# SPDX-License-Identifier: MIT
#
# Independent truth for pictures: reads the random pairs that make_model writes, maps their
# weights to the modules of `transformers` (undoing what the conversion scripts of the
# ggml project do), and computes embeddings of preprocessed tiles, and logits of prompts
# with pictures in them, in float32 on the CPU. MiniCPM-V 2.6 is not in transformers: its
# vision tower is transformers' SigLIP with the authors' choice of positions, its resampler
# is written here after the authors' resampler.py.
#
#     golden.py MAKE_MODEL OUT_DIR [FAMILY...]
#
# writes OUT_DIR/embeddings.txt, embeddings.f32, logits.txt, logits.f32 (see README.md).
# Needs gguf, numpy, torch, transformers.
import os
import subprocess
import sys
import tempfile

import torch
import transformers
from golden_files import File, Language
from golden_llava import Llava, LlavaNext
from golden_minicpm import MiniCPMV
from golden_pixtral import Mistral3, Pixtral
from golden_qwen import Qwen2VL, Qwen3VL, Qwen25VL
from golden_siglip import Gemma3, Idefics3, InternVL, Lfm2VL

transformers.logging.set_verbosity_error()
torch.set_grad_enabled(False)
torch.set_num_threads(2)

FAMILIES = {
    "llava-1.5": Llava,
    "llava-1.6": LlavaNext,
    "idefics3": Idefics3,
    "gemma3": Gemma3,
    "qwen2vl": Qwen2VL,
    "qwen2.5vl": Qwen25VL,
    "qwen3vl": Qwen3VL,
    "internvl": InternVL,
    "pixtral": Pixtral,
    "mistral3": Mistral3,
    "minicpmv": MiniCPMV,
    "lfm2vl": Lfm2VL,
}


class Golden:
    """A text file that describes, and floats beside it."""

    def __init__(self, folder, name):
        self.text = open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8")
        self.floats = open(os.path.join(folder, name + ".f32"), "wb")
        self.count = 0

    def write(self, line):
        print(line, file=self.text)

    def append(self, values):
        """Returns where the values begin, in floats."""
        values = values.detach().to(torch.float32).contiguous().numpy()
        self.floats.write(values.astype("<f4").tobytes())
        self.count += values.size
        return self.count - values.size


def open_family(make_model, name, kind, folder):
    subprocess.run([make_model, name, folder, kind], check=True)
    projector = File(os.path.join(folder, name + "-mmproj.gguf"))
    language = Language(File(os.path.join(folder, name + ".gguf")))
    return FAMILIES[name](name, projector, language)


def write_embeddings(family, kind, golden):
    """All cases with half-precision weights, the first with others."""
    for picture in family.cases()[: None if kind == "F16" else 1]:
        found = family.embed(picture)
        golden.write(f"case {family.name} {kind}")
        for line in picture.lines():
            golden.write(line)
        golden.write(
            f"embeddings {found.shape[0]} {found.shape[1]} {golden.append(found)}"
        )
        print(f"{family.name} {kind}: {tuple(found.shape)}, deviation {found.std():.3f}")


def prompt_of(family, pictures):
    """Ordinary tokens, two pictures among them: ids and runs of embeddings."""
    ordinary = [100 + 7 * i % 40 for i in range(30)]
    items = ordinary[:5] + family.around(pictures[0]) + ordinary[5:9]
    second = len(items)
    items += family.around(pictures[1]) + ordinary[9:15]
    return [(0 if i < second else 1, item) for i, item in enumerate(items)]


def logits_of(family, prompt, pictures):
    pad = family.language.token(family.placeholder)
    ids = []
    for _, item in prompt:
        ids += [pad] * item[1] if isinstance(item, tuple) else [item]
    ids = torch.tensor([ids])
    return family.logits(ids, pictures)


def write_prompt(family, name, pictures, golden):
    prompt = prompt_of(family, pictures)
    golden.write(f"prompt {family.name} {name}")
    for picture in pictures:
        for line in picture.lines():
            golden.write(line)
    for picture, item in prompt:
        if isinstance(item, tuple):
            golden.write(f"embed {picture} " + " ".join(map(str, item)))
        else:
            golden.write(f"token {item}")
    logits = logits_of(family, prompt, pictures)
    last = logits[-1]
    golden.write(f"logits {len(last)} {golden.append(last)}")
    return last


def write_logits(family, golden):
    first, second, turned = family.prompts()
    plain = write_prompt(family, "plain", (first, second), golden)
    for name, pictures in (("exchanged", (second, first)), ("turned", (turned, second))):
        other = write_prompt(family, name, pictures, golden)
        change = (other - plain).norm() / plain.norm()
        print(f"{family.name}: {name} changes the last logits by {change:.4f}")


def main():
    make_model, folder = sys.argv[1:3]
    embeddings, logits = Golden(folder, "embeddings"), Golden(folder, "logits")
    for name in sys.argv[3:] or FAMILIES:
        with tempfile.TemporaryDirectory() as models:
            for kind in ("F32", "F16", "Q8_0"):
                family = open_family(make_model, name, kind, models)
                write_embeddings(family, kind, embeddings)
                if kind == "F16":
                    write_logits(family, logits)


main()
