# tests/engine/vision/golden_qwen.py
# SPDX-License-Identifier: MIT
#
# Qwen2-VL, Qwen2.5-VL, Qwen3-VL.
import torch
import transformers
from golden_family import Family, set_epsilon
from golden_files import load, rows_of
from golden_inputs import single


class Qwen2VL(Family):
    placeholder = "<|image_pad|>"
    kinds = ("mm_token_type_ids",)
    config, generation = (
        transformers.Qwen2VLConfig,
        transformers.Qwen2VLForConditionalGeneration,
    )
    names = {
        "position_embd.weight": "pos_embed.weight",
        "patch_embd.bias": "patch_embed.proj.bias",
        "post_ln.weight": "merger.ln_q.weight",
        "post_ln.bias": "merger.ln_q.bias",
    }
    layers = {
        "ln1": "norm1",
        "ln2": "norm2",
        "attn_qkv": "attn.qkv",
        "attn_out": "attn.proj",
        "ffn_up": "mlp.fc1",
        "ffn_down": "mlp.fc2",
    }
    projector = {"mm.0": "merger.mlp.0", "mm.2": "merger.mlp.2"}

    def visual_config(self):
        width = self.file.vision("embedding_length")
        inner = self.file.tensors["v.blk.0.ffn_up.weight"].shape[0]
        return {
            "depth": self.file.vision("block_count"),
            "embed_dim": width,
            "hidden_size": self.file.vision("projection_dim"),
            "mlp_ratio": inner // width,
            "num_heads": self.file.vision("attention.head_count"),
            "patch_size": self.patch,
        }

    def build(self):
        start, end = self.ids("<|vision_start|>", "<|vision_end|>")
        text = self.language.config()
        model = self.generation(
            self.config(
                vision_config=self.visual_config(),
                text_config=text,
                image_token_id=self.language.token(self.placeholder),
                vision_start_token_id=start,
                vision_end_token_id=end,
            )
        )
        set_epsilon(model.model.visual, self.epsilon)
        weights = {"model.visual." + k: v for k, v in self.visual_weights().items()}
        return load(model, weights | self.language.weights("model.language_model."))

    def visual_weights(self):
        tensors = dict(self.file.tensors)
        frames = [
            tensors.pop("v.patch_embd.weight"),
            tensors.pop("v.patch_embd.weight.1"),
        ]
        for layer in range(self.file.vision("block_count")):
            for end in ("weight", "bias"):
                names = [f"v.blk.{layer}.attn_{part}.{end}" for part in "qkv"]
                if names[0] in tensors:
                    joined = torch.cat([tensors.pop(name) for name in names])
                    tensors[f"v.blk.{layer}.attn_qkv.{end}"] = joined
        self.file.tensors, kept = tensors, self.file.tensors
        weights = self.tower(self.names, self.layers, "", "blocks.", ("v.deepstack",))
        self.file.tensors = kept
        weights["patch_embed.proj.weight"] = torch.stack(frames, 2)
        for old, new in self.projector.items():
            for end in ("weight", "bias"):
                weights[f"{new}.{end}"] = tensors[f"{old}.{end}"]
        return weights

    def inputs(self, picture):
        """Patches in the order of merged blocks, each twice: for two frames."""
        pixels, m, p = picture.tiles[0].pixels(), 2, self.patch
        rows, columns = pixels.shape[1] // p, pixels.shape[2] // p
        frames = torch.stack([pixels, pixels])
        patches = frames.reshape(1, 2, 3, rows // m, m, p, columns // m, m, p)
        patches = patches.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return {
            "pixel_values": patches.reshape(rows * columns, 3 * 2 * p * p),
            "image_grid_thw": torch.tensor([[1, rows, columns]]),
        }

    def cases(self):
        p = self.patch
        return [
            single(1, 14 * p, 10 * p),
            single(2, 2 * p, 8 * p),
            single(3, 6 * p, 4 * p),
        ]

    def prompts(self):
        p = self.patch
        return self.three(lambda seed, turned: single(seed, 6 * p, 4 * p, turned))

    def around(self, picture):
        start, end = self.ids("<|vision_start|>", "<|vision_end|>")
        tile = picture.tiles[0]
        rows, columns = tile.height // self.patch // 2, tile.width // self.patch // 2
        return [start, (0, rows * columns, rows, columns), end]


class Qwen25VL(Qwen2VL):
    config = transformers.Qwen2_5_VLConfig
    generation = transformers.Qwen2_5_VLForConditionalGeneration
    layers = Qwen2VL.layers | {
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }

    def visual_config(self):
        period, depth = self.file.vision("n_wa_pattern"), self.file.vision("block_count")
        return {
            "depth": depth,
            "hidden_size": self.file.vision("embedding_length"),
            "intermediate_size": self.file.vision("feed_forward_length"),
            "out_hidden_size": self.file.vision("projection_dim"),
            "num_heads": self.file.vision("attention.head_count"),
            "patch_size": self.patch,
            "window_size": 112,
            "fullatt_block_indexes": list(range(period - 1, depth, period)),
        }


class Qwen3VL(Qwen2VL):
    config = transformers.Qwen3VLConfig
    generation = transformers.Qwen3VLForConditionalGeneration
    names = Qwen2VL.names | {
        "post_ln.weight": "merger.norm.weight",
        "post_ln.bias": "merger.norm.bias",
    }
    layers = Qwen2VL.layers | {"ffn_up": "mlp.linear_fc1", "ffn_down": "mlp.linear_fc2"}
    projector = {"mm.0": "merger.linear_fc1", "mm.2": "merger.linear_fc2"}

    def deepstack(self):
        flags = self.file.vision("is_deepstack_layers")
        return [i for i, flag in enumerate(flags) if flag]

    def visual_config(self):
        return {
            "depth": self.file.vision("block_count"),
            "hidden_size": self.file.vision("embedding_length"),
            "intermediate_size": self.file.vision("feed_forward_length"),
            "out_hidden_size": self.file.vision("projection_dim"),
            "num_heads": self.file.vision("attention.head_count"),
            "patch_size": self.patch,
            "num_position_embeddings": self.file.tensors["v.position_embd.weight"].shape[
                0
            ],
            "deepstack_visual_indexes": self.deepstack(),
        }

    def visual_weights(self):
        weights = super().visual_weights()
        for i, layer in enumerate(self.deepstack()):
            for old, new in (
                ("norm", "norm"),
                ("fc1", "linear_fc1"),
                ("fc2", "linear_fc2"),
            ):
                for end in ("weight", "bias"):
                    value = self.file.tensors[f"v.deepstack.{layer}.{old}.{end}"]
                    weights[f"deepstack_merger_list.{i}.{new}.{end}"] = value
        return weights

    def embed(self, picture):
        """The embedding, then what goes to the first layers of the decoder."""
        output = self.model.model.get_image_features(**self.inputs(picture))
        parts = [output.pooler_output] + list(output.deepstack_features)
        return torch.cat([rows_of(part) for part in parts], dim=1)

    def cases(self):
        p = self.patch
        return [
            single(1, 10 * p, 4 * p),
            single(2, 6 * p, 6 * p),
            single(3, 2 * p, 8 * p),
        ]
