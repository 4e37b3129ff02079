# tests/engine/vision/golden_siglip.py
# SPDX-License-Identifier: MIT
#
# SmolVLM (Idefics3), Gemma 3, InternVL, LFM2-VL.
import torch
import transformers
from golden_family import SIGLIP_LAYERS, SIGLIP_NAMES, Family
from golden_files import load
from golden_inputs import cut, single
from torch import nn
from transformers.models.idefics3.configuration_idefics3 import Idefics3VisionConfig


class Idefics3(Family):
    def build(self):
        config = transformers.Idefics3Config(
            vision_config=Idefics3VisionConfig(**self.vision_config()).to_dict(),
            text_config=self.language.config(),
            scale_factor=self.file.vision("projector.scale_factor"),
            image_token_id=self.language.token("<image>"),
        )
        model = transformers.Idefics3ForConditionalGeneration(config)
        weights = self.tower(
            SIGLIP_NAMES, SIGLIP_LAYERS, "model.vision_model.", "encoder.layers."
        )
        weights |= self.rename(
            {"mm.model.fc.weight": "model.connector.modality_projection.proj.weight"}
        )
        return load(model, weights | self.language.weights("model.text_model."))

    def inputs(self, picture):
        return {
            "pixel_values": torch.stack([tile.pixels() for tile in picture.tiles])[None]
        }

    def batch(self, inputs):
        """Tiles of all pictures in a row."""
        return {"pixel_values": torch.cat([each["pixel_values"] for each in inputs], 1)}

    def cases(self):
        return [
            cut(1, self.side, 1, 2, (2 * self.side, self.side), overview_first=False),
            single(2, self.side, self.side),
        ]

    def prompts(self):
        size = (2 * self.side, self.side)
        return self.three(
            lambda seed, turned: cut(
                seed, self.side, 1, 2, size, turned, overview_first=False
            )
        )

    def around(self, picture):
        fake, overview = self.ids("<fake_token_around_image>", "<global-img>")
        newline = self.language.token("\u010a")
        count = self.embed(picture).shape[0] // len(picture.tiles)
        result, first = [], 0
        for tile in picture.tiles:
            name = f"<row_{tile.row + 1}_col_{tile.column + 1}>"
            result += [newline] if tile.overview else []
            result += [fake, overview if tile.overview else self.language.token(name)]
            result += [(first, count, 0, 0)]
            if not tile.overview and tile.column + 1 == picture.grid[1]:
                result += [newline]
            first += count
        return result + [fake]


class Gemma3(Family):
    placeholder = "<image_soft_token>"
    kinds = ("token_type_ids",)

    def build(self):
        tokens = (self.side // self.patch // 4) ** 2
        config = transformers.Gemma3Config(
            vision_config=transformers.SiglipVisionConfig(
                **self.vision_config(), vision_use_head=False
            ),
            text_config=self.language.config(),
            mm_tokens_per_image=tokens,
            image_token_index=self.language.token(self.placeholder),
        )
        model = transformers.Gemma3ForConditionalGeneration(config)
        weights = self.tower(
            SIGLIP_NAMES, SIGLIP_LAYERS, "model.vision_tower.", "encoder.layers."
        )
        projector = "model.multi_modal_projector.mm_"
        tensors = self.file.tensors
        weights[projector + "input_projection_weight"] = tensors[
            "mm.input_projection.weight"
        ]
        weights[projector + "soft_emb_norm.weight"] = (
            tensors["mm.soft_emb_norm.weight"] - 1
        )
        return load(model, weights | self.language.weights("model.language_model."))

    def around(self, picture):
        start, end = self.ids("<start_of_image>", "<end_of_image>")
        return [start, (0, self.embed(picture).shape[0], 0, 0), end]


class InternVL(Family):
    placeholder = "<IMG_CONTEXT>"

    def build(self):
        scale = self.file.vision("projector.scale_factor")
        vision = self.vision_config(attention_bias=True, hidden_act="gelu")
        config = transformers.InternVLConfig(
            vision_config=vision,
            text_config=self.language.config(),
            downsample_ratio=1 / scale,
            image_token_id=self.language.token(self.placeholder),
            tie_word_embeddings=False,
        )
        model = transformers.InternVLForConditionalGeneration(config)
        names = {
            "patch_embd.weight": "embeddings.patch_embeddings.projection.weight",
            "patch_embd.bias": "embeddings.patch_embeddings.projection.bias",
            "position_embd.weight": "embeddings.position_embeddings",
            "class_embd": "embeddings.cls_token",
        }
        layers = {
            "ln1": "layernorm_before",
            "ln2": "layernorm_after",
            "ls1": "lambda_1!",
            "ls2": "lambda_2!",
            "attn_q": "attention.q_proj",
            "attn_k": "attention.k_proj",
            "attn_v": "attention.v_proj",
            "attn_out": "attention.projection_layer",
            "ffn_up": "mlp.fc1",
            "ffn_down": "mlp.fc2",
        }
        prefix = "model.vision_tower."
        weights = self.tower(names, layers, prefix, "encoder.layer.")
        for name in ("embeddings.position_embeddings", "embeddings.cls_token"):
            value = weights[prefix + name]
            weights[prefix + name] = value.reshape(1, -1, value.shape[-1])
        for old, new in ((0, "layer_norm"), (1, "linear_1"), (3, "linear_2")):
            for end in ("weight", "bias"):
                value = self.file.tensors[f"mm.model.mlp.{old}.{end}"]
                weights[f"model.multi_modal_projector.{new}.{end}"] = value
        return load(model, weights | self.language.weights("model.language_model."))

    def cases(self):
        size = (2 * self.side, self.side)
        return [
            cut(1, self.side, 1, 2, size, overview_first=False),
            single(2, self.side, self.side),
        ]

    prompts = Idefics3.prompts

    def around(self, picture):
        start, end = self.ids("<img>", "</img>")
        return [start, (0, self.embed(picture).shape[0], 0, 0), end]


class Lfm2VL(Family):
    def build(self):
        scale = self.file.vision("projector.scale_factor")
        vision = self.vision_config(
            num_patches=self.file.tensors["v.position_embd.weight"].shape[0],
            vision_use_head=False,
        )
        vision.pop("image_size")
        text = self.language.config()
        config = transformers.Lfm2VlConfig(
            vision_config=transformers.Siglip2VisionConfig(**vision),
            text_config=text,
            downsample_factor=scale,
            projector_hidden_size=self.file.tensors["mm.1.weight"].shape[0],
            image_token_id=self.language.token("<image>"),
        )
        model = transformers.Lfm2VlForConditionalGeneration(config)
        weights = self.tower(
            SIGLIP_NAMES, SIGLIP_LAYERS, "model.vision_tower.", "encoder.layers."
        )
        name = "model.vision_tower.embeddings.patch_embedding.weight"
        weights[name] = weights[name].permute(0, 2, 3, 1).flatten(1)
        for old, new in (
            ("mm.input_norm", "layer_norm"),
            ("mm.1", "linear_1"),
            ("mm.2", "linear_2"),
        ):
            for end in ("weight", "bias"):
                value = self.file.tensors[f"{old}.{end}"]
                weights[f"model.multi_modal_projector.{new}.{end}"] = value
        return load(model, weights | self.language.weights("model.language_model."))

    def inputs(self, picture):
        """Patches as rows, of equal number in all tiles."""
        p, rows, shapes = self.patch, [], []
        for tile in picture.tiles:
            high, wide = tile.height // p, tile.width // p
            pixels = tile.pixels().reshape(3, high, p, wide, p).permute(1, 3, 2, 4, 0)
            rows.append(pixels.reshape(high * wide, -1))
            shapes.append([high, wide])
        longest = max(len(row) for row in rows)
        mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
        rows = [nn.functional.pad(row, (0, 0, 0, longest - len(row))) for row in rows]
        return {
            "pixel_values": torch.stack(rows),
            "spatial_shapes": torch.tensor(shapes),
            "pixel_attention_mask": torch.tensor(mask),
        }

    def cases(self):
        p = self.patch
        return [
            single(1, 10 * p, 18 * p),
            single(2, 12 * p, 8 * p),
            single(3, 16 * p, 16 * p),
        ]

    def prompts(self):
        p = self.patch
        return self.three(lambda seed, turned: single(seed, 8 * p, 6 * p, turned))

    def around(self, picture):
        start, end = self.ids("<|image_start|>", "<|image_end|>")
        return [start, (0, self.embed(picture).shape[0], 0, 0), end]
