# tests/engine/vision/golden_llava.py
# SPDX-License-Identifier: MIT
#
# LLaVA 1.5 and 1.6.
import torch
import transformers
from golden_family import SIGLIP_NAMES, SWAPPED_LAYERS, Family
from golden_files import load
from golden_inputs import cut
from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape


class Llava(Family):
    def build(self):
        layers = self.file.vision("block_count")
        # The layer that is left out when the file is written is made up: it is not used.
        vision = transformers.CLIPVisionConfig(
            **self.vision_config(num_hidden_layers=layers + 1), hidden_act="quick_gelu"
        )
        model = self.create(vision)
        weights = self.tower(
            SIGLIP_NAMES, SWAPPED_LAYERS, "model.vision_tower.", "encoder.layers."
        )
        weights |= self.rename(
            {
                f"mm.{a}.{end}": f"model.multi_modal_projector.linear_{b}.{end}"
                for a, b in ((0, 1), (2, 2))
                for end in ("weight", "bias")
            }
        )
        weights |= self.language.weights("model.language_model.") | self.extra()
        return load(model, weights, ("post_layernorm", f"encoder.layers.{layers}."))

    def create(self, vision):
        return transformers.LlavaForConditionalGeneration(
            transformers.LlavaConfig(
                vision_config=vision,
                text_config=self.language.config(),
                image_token_index=self.language.token("<image>"),
                vision_feature_layer=-2,
            )
        )

    def extra(self):
        return {}


class LlavaNext(Llava):
    def create(self, vision):
        flat = self.file.vision("image_grid_pinpoints")
        return transformers.LlavaNextForConditionalGeneration(
            transformers.LlavaNextConfig(
                vision_config=vision,
                text_config=self.language.config(),
                image_token_index=self.language.token("<image>"),
                vision_feature_layer=-2,
                # Pairs of height and width here; the list is the same either way.
                image_grid_pinpoints=[list(pair) for pair in zip(flat[1::2], flat[::2])],
            )
        )

    def extra(self):
        return {"model.image_newline": self.file.tensors["model.image_newline"]}

    def inputs(self, picture):
        size = picture.original[::-1]
        grid = get_anyres_image_grid_shape(
            size, self.model.config.image_grid_pinpoints, self.side
        )
        if tuple(grid) != picture.grid:
            raise SystemExit(f"{size} is cut into {grid}, not {picture.grid}")
        return {
            "pixel_values": torch.stack([tile.pixels() for tile in picture.tiles])[None],
            "image_sizes": torch.tensor([size]),
        }

    def cases(self):
        return [
            cut(3, self.side, 2, 1, (40, 100)),
            cut(4, self.side, 2, 2, (120, 70)),
            cut(5, self.side, 1, 3, (170, 50)),
        ]

    def prompts(self):
        return self.three(
            lambda seed, turned: cut(seed, self.side, 1, 2, (100, 40), turned)
        )
