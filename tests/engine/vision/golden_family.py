# tests/engine/vision/golden_family.py
# SPDX-License-Identifier: MIT
#
# What the reference models of all families share.
import torch
from golden_files import rows_of
from golden_inputs import single
from torch import nn


def set_epsilon(module, value):
    """Where transformers has the epsilon of a norm as a constant, files have a key."""
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = value
        if hasattr(part, "variance_epsilon"):
            part.variance_epsilon = value


class Family:
    """Subclasses: build() makes self.model; embed(picture) gives [count][width]."""

    def __init__(self, name, projector, language):
        self.name, self.file, self.language = name, projector, language
        self.epsilon = projector.vision("attention.layer_norm_epsilon")
        self.patch = projector.vision("patch_size")
        self.side = projector.vision("image_size")
        self.model = self.build()

    def vision_config(self, **more):
        return {
            "hidden_size": self.file.vision("embedding_length"),
            "intermediate_size": self.file.vision("feed_forward_length"),
            "num_hidden_layers": self.file.vision("block_count"),
            "num_attention_heads": self.file.vision("attention.head_count"),
            "image_size": self.side,
            "patch_size": self.patch,
            "layer_norm_eps": self.epsilon,
        } | more

    def tower(self, names, layers, prefix, layer_prefix, skip=()):
        """Weights whose names start with "v.", renamed by two tables."""
        result = {}
        for name, value in self.file.tensors.items():
            if not name.startswith("v.") or name.startswith(skip):
                continue
            if name.startswith("v.blk."):
                layer, part = name[6:].split(".", 1)
                base, end = part.rsplit(".", 1)
                target = layers[base]
                suffix = "." + end if not target.endswith("!") else ""
                result[f"{prefix}{layer_prefix}{layer}.{target.rstrip('!')}{suffix}"] = (
                    value
                )
            else:
                result[prefix + names[name[2:]]] = value
        return result

    def rename(self, names):
        return {new: self.file.tensors[old] for old, new in names.items()}

    def ids(self, *words):
        return [self.language.token(word) for word in words]

    # Subclasses may replace what follows.

    placeholder = "<image>"  # the token that transformers replaces by embeddings
    kinds = ()  # inputs that say which tokens are of pictures

    def cases(self):
        """Pictures whose embeddings are kept."""
        return [single(1, self.side, self.side), single(2, self.side, self.side)]

    def prompts(self):
        """Two pictures for a prompt, and the first of them turned."""
        return self.three(lambda seed, turned: single(seed, self.side, self.side, turned))

    def inputs(self, picture):
        """What transformers takes in for one picture."""
        return {"pixel_values": torch.stack([tile.pixels() for tile in picture.tiles])}

    def embed(self, picture):
        output = self.model.model.get_image_features(**self.inputs(picture))
        return rows_of(output.pooler_output)

    def logits(self, ids, pictures):
        """Of all positions; ids has the placeholder for each embedding."""
        inputs = self.batch([self.inputs(picture) for picture in pictures])
        seen = (ids == self.language.token(self.placeholder)).int()
        inputs |= {name: seen for name in self.kinds}
        return self.model(input_ids=ids, **inputs).logits[0]

    @staticmethod
    def three(make):
        return [make(1, False), make(2, False), make(1, True)]

    def batch(self, inputs):
        """Inputs of several pictures as one call takes them."""
        return {name: torch.cat([each[name] for each in inputs]) for name in inputs[0]}

    def around(self, picture):
        """The tokens of a picture: ids, and (first, count, rows, columns) of embeddings."""
        count = self.embed(picture).shape[0]
        return [(0, count, 0, 0)]


SIGLIP_LAYERS = {
    "ln1": "layer_norm1",
    "ln2": "layer_norm2",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_out": "self_attn.out_proj",
    "ffn_up": "mlp.fc1",
    "ffn_down": "mlp.fc2",
}
# As the old scripts wrote them.
SWAPPED_LAYERS = SIGLIP_LAYERS | {"ffn_down": "mlp.fc1", "ffn_up": "mlp.fc2"}
SIGLIP_NAMES = {
    "patch_embd.weight": "embeddings.patch_embedding.weight",
    "patch_embd.bias": "embeddings.patch_embedding.bias",
    "position_embd.weight": "embeddings.position_embedding.weight",
    "class_embd": "embeddings.class_embedding",
    "pre_ln.weight": "pre_layrnorm.weight",
    "pre_ln.bias": "pre_layrnorm.bias",
    "post_ln.weight": "post_layernorm.weight",
    "post_ln.bias": "post_layernorm.bias",
}
