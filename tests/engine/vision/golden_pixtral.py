# tests/engine/vision/golden_pixtral.py
# SPDX-License-Identifier: MIT
#
# Pixtral and Mistral Small 3.1.
import torch
import transformers
from golden_family import Family, set_epsilon
from golden_files import load, unpermute
from golden_inputs import single
from torch import nn


class Pixtral(Family):
    placeholder = "[IMG]"

    def create(self, vision, text):
        return transformers.LlavaForConditionalGeneration(
            transformers.LlavaConfig(
                vision_config=vision,
                text_config=text,
                image_token_index=self.language.token("[IMG]"),
                vision_feature_layer=-1,
                vision_feature_select_strategy="full",
            )
        )

    def build(self):
        config = self.vision_config(hidden_act="silu")
        config.pop("layer_norm_eps")
        model = self.create(
            transformers.PixtralVisionConfig(**config), self.language.config()
        )
        set_epsilon(model.model.vision_tower, self.epsilon)
        layers = {
            "ln1": "attention_norm",
            "ln2": "ffn_norm",
            "attn_q": "attention.q_proj",
            "attn_k": "attention.k_proj",
            "attn_v": "attention.v_proj",
            "attn_out": "attention.o_proj",
            "ffn_gate": "feed_forward.gate_proj",
            "ffn_up": "feed_forward.up_proj",
            "ffn_down": "feed_forward.down_proj",
        }
        names = {
            "patch_embd.weight": "patch_conv.weight",
            "pre_ln.weight": "ln_pre.weight",
        }
        weights = self.tower(
            names, layers, "model.vision_tower.", "transformer.layers.", ("v.token_embd",)
        )
        for name in weights:
            if "q_proj" in name or "k_proj" in name:
                weights[name] = unpermute(weights[name], config["num_attention_heads"])
        weights |= self.projector(model)
        return load(model, weights | self.language.weights("model.language_model."))

    def projector(self, _):
        return self.rename(
            {
                f"mm.{i}.{end}": f"model.multi_modal_projector.linear_{i}.{end}"
                for i in (1, 2)
                for end in ("weight", "bias")
            }
        )

    def inputs(self, picture):
        tile = picture.tiles[0]
        return {
            "pixel_values": tile.pixels()[None],
            "image_sizes": torch.tensor([[tile.height, tile.width]]),
        }

    def batch(self, inputs):
        """Pictures are padded to the largest."""
        sizes = torch.cat([each["image_sizes"] for each in inputs])
        height, width = sizes.max(0).values.tolist()
        padded = [
            nn.functional.pad(
                each["pixel_values"],
                (
                    0,
                    width - each["image_sizes"][0, 1],
                    0,
                    height - each["image_sizes"][0, 0],
                ),
            )
            for each in inputs
        ]
        return {"pixel_values": torch.cat(padded), "image_sizes": sizes}

    merge = 1

    def cases(self):
        p = self.patch
        return [single(1, 6 * p, 4 * p), single(2, 2 * p, 8 * p), single(3, 8 * p, 8 * p)]

    def prompts(self):
        p = self.patch
        return self.three(lambda seed, turned: single(seed, 6 * p, 4 * p, turned))

    def around(self, picture):
        line_break, end = self.ids("[IMG_BREAK]", "[IMG_END]")
        tile = picture.tiles[0]
        side = self.patch * self.merge
        rows, columns = tile.height // side, tile.width // side
        result = []
        for row in range(rows):
            result += [
                (row * columns, columns, 0, 0),
                end if row + 1 == rows else line_break,
            ]
        return result


class Mistral3(Pixtral):
    merge = 2

    def create(self, vision, text):
        return transformers.Mistral3ForConditionalGeneration(
            transformers.Mistral3Config(
                vision_config=vision,
                text_config=text,
                image_token_index=self.language.token("[IMG]"),
                spatial_merge_size=self.file.vision("spatial_merge_size"),
                tie_word_embeddings=False,
            )
        )

    def projector(self, model):
        # Real models have one epsilon for the encoder and the language model.
        set_epsilon(model.model.multi_modal_projector, self.epsilon)
        prefix = "model.multi_modal_projector."
        return self.rename(
            {
                "mm.input_norm.weight": prefix + "norm.weight",
                "mm.patch_merger.weight": prefix + "patch_merger.merging_layer.weight",
                "mm.1.weight": prefix + "linear_1.weight",
                "mm.2.weight": prefix + "linear_2.weight",
            }
        )
