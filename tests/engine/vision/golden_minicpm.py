# tests/engine/vision/golden_minicpm.py
# SPDX-License-Identifier: MIT
#
# MiniCPM-V 2.6, which is not in transformers: the tower is its SigLIP with the authors'
# choice of positions (modeling_navit_siglip.py), the resampler follows their resampler.py.
import math

import torch
import transformers
from golden_family import SIGLIP_NAMES, SWAPPED_LAYERS, Family
from golden_files import load, rows_of
from golden_inputs import Picture, Tile, single
from torch import nn


class Resampler(nn.Module):
    """Learned queries look at the patches; places are added to the keys only."""

    def __init__(self, queries, width, vision_width, epsilon):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        self.kv_proj = nn.Linear(vision_width, width, bias=False)
        self.attn = nn.MultiheadAttention(width, width // 128, batch_first=True)
        self.ln_q, self.ln_kv, self.ln_post = (
            nn.LayerNorm(width, eps=epsilon) for _ in range(3)
        )
        self.proj = nn.Parameter(torch.zeros(width, width))

    @staticmethod
    def sines(places, width):
        angles = places.reshape(-1, 1) / 10000 ** (torch.arange(width // 2) / (width / 2))
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    def forward(self, patches, rows, columns):
        width = self.query.shape[1]
        y, x = torch.meshgrid(
            torch.arange(float(rows)), torch.arange(float(columns)), indexing="ij"
        )
        places = torch.cat([self.sines(x, width // 2), self.sines(y, width // 2)], dim=1)
        values = self.ln_kv(self.kv_proj(patches))
        found, _ = self.attn(
            self.ln_q(self.query)[None], values + places, values, need_weights=False
        )
        return self.ln_post(found) @ self.proj


class MiniCPMV(Family):
    """Not in transformers: tower of SigLIP, and the resampler above."""

    placeholder = "<unk>"

    def build(self):
        tensors = self.file.tensors
        width = tensors["resampler.proj.weight"].shape[0]
        side = math.isqrt(tensors["v.position_embd.weight"].shape[0])
        config = transformers.SiglipVisionConfig(
            **self.vision_config(image_size=side * self.patch), vision_use_head=False
        )
        config._attn_implementation = "eager"
        self.places = side
        self.tower_model = load(
            transformers.SiglipVisionModel(config),
            self.tower(SIGLIP_NAMES, SWAPPED_LAYERS, "", "encoder.layers."),
        )
        weights = {
            "query": tensors["resampler.query"],
            "proj": tensors["resampler.proj.weight"].T,
        }
        weights["kv_proj.weight"] = tensors["resampler.kv.weight"]
        for end in ("weight", "bias"):
            weights["attn.in_proj_" + end] = torch.cat(
                [tensors[f"resampler.attn.{part}.{end}"] for part in "qkv"]
            )
            weights["attn.out_proj." + end] = tensors["resampler.attn.out." + end]
            for norm in ("ln_q", "ln_kv", "ln_post"):
                weights[f"{norm}.{end}"] = tensors[f"resampler.{norm}.{end}"]
        queries = self.file.keys["clip.minicpmv_query_num"]
        resampler = Resampler(queries, width, config.hidden_size, self.epsilon)
        self.resampler = load(resampler, weights)
        # The language model is an ordinary one that is given embeddings.
        text = self.language.config()
        return load(transformers.Qwen2ForCausalLM(text), self.language.weights("model."))

    def buckets(self, count):
        """Of patches of a side, among the learned positions. The authors compare fractions
        in float32; for a few counts (25, 49, ...) rounding moves a patch by one place
        there, differently on machines with other vectors. Here it is exact."""
        return torch.arange(count) * self.places // count

    def embed_tile(self, tile):
        rows, columns = tile.height // self.patch, tile.width // self.patch
        tower = self.tower_model
        patches = tower.embeddings.patch_embedding(tile.pixels()[None])
        patches = patches.flatten(2).transpose(1, 2)
        ids = self.buckets(rows)[:, None] * self.places + self.buckets(columns)
        patches = patches + tower.embeddings.position_embedding(ids.flatten())
        hidden = tower.encoder(inputs_embeds=patches).last_hidden_state
        return self.resampler(tower.post_layernorm(hidden), rows, columns)[0]

    def embed(self, picture):
        return torch.cat([self.embed_tile(tile) for tile in picture.tiles])

    @staticmethod
    def sliced(seed, p, turned=False):
        """An overview of 7 x 5 patches and two slices of 6 x 8, side by side."""
        if turned:
            tiles = [Tile(seed + 1000, 5 * p, 7 * p, turned=5 * p, overview=True)]
            tiles += [
                Tile(seed, 8 * p, 6 * p, 0, r * 6 * p, 8 * p, row=r) for r in range(2)
            ]
            return Picture(tiles, (2, 1), (8 * p, 12 * p))
        tiles = [Tile(seed + 1000, 7 * p, 5 * p, overview=True)]
        tiles += [Tile(seed, 6 * p, 8 * p, c * 6 * p, column=c) for c in range(2)]
        return Picture(tiles, (1, 2), (12 * p, 8 * p))

    def cases(self):
        p = self.patch
        return [self.sliced(1, p), single(2, 10 * p, 9 * p), single(3, 25 * p, 6 * p)]

    def prompts(self):
        return self.three(lambda seed, turned: self.sliced(seed, self.patch, turned))

    def around(self, picture):
        image, end_image, cut_start, cut_end = self.ids(
            "<image>", "</image>", "<slice>", "</slice>"
        )
        newline = self.language.token("\u010a")
        queries = self.resampler.query.shape[0]
        result = []
        for i, tile in enumerate(picture.tiles):
            start, end = (image, end_image) if tile.overview else (cut_start, cut_end)
            result += [start, (i * queries, queries, 0, 0), end]
            last = tile.column + 1 == picture.grid[1] and i + 1 < len(picture.tiles)
            result += [newline] if not tile.overview and last else []
        return result

    def logits(self, ids, pictures):
        embeddings = self.model.get_input_embeddings()(ids)
        found = rows_of([self.embed(picture) for picture in pictures])
        embeddings[ids == self.language.token(self.placeholder)] = found
        return self.model(inputs_embeds=embeddings).logits[0]
