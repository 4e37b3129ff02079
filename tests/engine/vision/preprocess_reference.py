# tests/engine/vision/preprocess_reference.py
# SPDX-License-Identifier: MIT
#
# What the image processors of `transformers` (and the authors' of MiniCPM-V 2.6) make of
# the pictures of preprocess_cases.c, in the configurations published with the models:
# the preprocessor_config.json of the repositories named at each family.
import math

import numpy
import PIL.Image
import torch
import transformers
from transformers.models.smolvlm import processing_smolvlm

CLIP = dict(
    image_mean=[0.48145466, 0.4578275, 0.40821073],
    image_std=[0.26862954, 0.26130258, 0.27577711],
)
HALVES = dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5])
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
BILINEAR, BICUBIC, LANCZOS = 2, 3, 1  # as PIL counts them


# ---------------------------------------------------------------------------
# Pictures


def noise(seed, x, y, channel):
    mixed = x * 2654435761 + y * 2246822519 + channel * 3266489917 + seed * 668265263
    mixed &= 0xFFFFFFFF
    mixed ^= mixed >> 15
    mixed = mixed * 40503 & 0xFFFFFFFF
    mixed ^= mixed >> 13
    return mixed >> 8 & 255


def wave(seed, x, y, channel):
    across, down = seed * 7 % 23 + channel * 3, seed * 5 % 19 + channel
    place = (x * across + y * down + seed * 37 + channel * 85) // 2 % 512
    return numpy.where(place < 256, place, 511 - place)


def colour(seed, kind, x, y, channel):
    if kind % 4 == 0:
        return noise(seed, x, y, channel)
    if kind % 4 == 1:
        return wave(seed, x, y, channel)
    if kind % 4 == 2:
        return (wave(seed, x, y, channel) * 3 + noise(seed, x, y, channel)) // 4
    return numpy.where(wave(seed, x, y, channel) > 127, 255, 0)


def alpha(seed, kind, x, y):
    if kind // 4 % 3 == 0:
        return numpy.full_like(x, 255)
    return wave(seed, x, y, 3) if kind // 4 % 3 == 1 else noise(seed, x, y, 3)


def picture(seed, kind, width, height):
    """A PIL image, RGB if it has no transparency."""
    y, x = numpy.meshgrid(
        numpy.arange(height, dtype=numpy.int64),
        numpy.arange(width, dtype=numpy.int64),
        indexing="ij",
    )
    grey = kind // 12 == 1
    planes = [colour(seed, kind, x, y, 0 if grey else i) for i in range(3)]
    planes.append(alpha(seed, kind, x, y))
    image = PIL.Image.fromarray(numpy.stack(planes, -1).astype(numpy.uint8), "RGBA")
    return image if kind // 4 % 3 else image.convert("RGB")


# ---------------------------------------------------------------------------
# What a family makes of one: tiles in the order of the embeddings, and the text that
# stands for it in a prompt, with `token` for each embedding.


class Tile:
    def __init__(self, values, overview=True, row=0, column=0):
        self.values = values.numpy() if torch.is_tensor(values) else values
        self.overview, self.row, self.column = overview, row, column

    def crop(self, patch):
        """What is less than a patch is not seen."""
        _, height, width = self.values.shape
        self.values = self.values[:, : height // patch * patch, : width // patch * patch]
        return self


class Result:
    def __init__(self, tiles, grid, text, token, places=None):
        self.tiles, self.grid, self.text, self.token = tiles, grid, text, token
        self.places = places or (0, 0)

    def items(self):
        """["marker", text] and ["embed", first, count, rows, columns]."""
        items, first = [], 0
        parts = self.text.split(self.token)
        for i, part in enumerate(parts):
            if part:
                items.append(["marker", part.replace("\n", "\\n")])
            if i + 1 == len(parts):
                break
            if not items or items[-1][0] == "marker":
                items.append(["embed", first, 0, *self.places])
            items[-1][2] += 1
            first += 1
        return items, first


def bare(processor, **attributes):
    """A processor without the tokenizer that its constructor wants."""
    made = object.__new__(processor)
    made.__dict__.update(attributes)
    return made


def run(processor, image, **options):
    return processor(image, return_tensors="pt", do_convert_rgb=True, **options)


def cut_tiles(values, rows, columns):
    """Tiles of a grid, row by row."""
    return [
        Tile(values[r * columns + c], False, r, c)
        for r in range(rows)
        for c in range(columns)
    ]


class Llava:
    """liuhaotian/llava-v1.5-7b: image_aspect_ratio "pad", with CLIP ViT-L/14 336."""

    name = "llava-1.5"
    images = transformers.LlavaImageProcessor(
        size={"shortest_edge": 336},
        crop_size={"height": 336, "width": 336},
        resample=BICUBIC,
        do_pad=True,
        **CLIP,
    )
    words = bare(
        transformers.LlavaProcessor,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        image_token="<image>",
    )

    def process(self, image):
        made = run(self.images, image)
        text = self.words.replace_image_token(made, 0)
        return Result([Tile(made.pixel_values[0])], (0, 0), text, "<image>")


class LlavaNext:
    """llava-hf/llava-v1.6-mistral-7b-hf"""

    name = "llava-1.6"
    images = transformers.LlavaNextImageProcessor(
        size={"shortest_edge": 336},
        crop_size={"height": 336, "width": 336},
        resample=BICUBIC,
        image_grid_pinpoints=[
            [336, 672],
            [672, 336],
            [672, 672],
            [1008, 336],
            [336, 1008],
        ],
        **CLIP,
    )
    words = bare(
        transformers.LlavaNextProcessor,
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        image_token="<image>",
        image_processor=images,
    )

    def process(self, image):
        made = run(self.images, image)
        text = self.words.replace_image_token(made, 0)
        best = transformers.image_processing_utils.select_best_resolution(
            image.size[::-1], self.images.image_grid_pinpoints
        )
        rows, columns = best[0] // 336, best[1] // 336
        values = made.pixel_values[0]
        tiles = [Tile(values[0])] + cut_tiles(values[1:], rows, columns)
        return Result(tiles, (rows, columns), text, "<image>")


class SmolVlm:
    """HuggingFaceTB/SmolVLM-256M-Instruct, HuggingFaceTB/SmolVLM-Instruct"""

    def __init__(self, name, side, patch, tokens):
        self.name, self.patch, self.tokens = name, patch, tokens
        self.images = transformers.SmolVLMImageProcessor(
            size={"longest_edge": 4 * side},
            max_image_size={"longest_edge": side},
            resample=LANCZOS,
            **HALVES,
        )

    def process(self, image):
        made = run(self.images, image, return_row_col_info=True)
        rows, columns = made["rows"][0][0], made["cols"][0][0]
        text = processing_smolvlm.get_image_prompt_string(
            rows,
            columns,
            self.tokens,
            fake_token_around_image="<fake_token_around_image>",
            image_token="<image>",
            global_image_token="<global-img>",
        )
        values = made.pixel_values[0]
        tiles = cut_tiles(values, rows, columns) + [Tile(values[-1])]
        tiles = [tile.crop(self.patch) for tile in tiles]
        return Result(tiles, (rows, columns), text, "<image>")


class Gemma3:
    """google/gemma-3-4b-it"""

    name = "gemma3"
    images = transformers.Gemma3ImageProcessor(
        size={"height": 896, "width": 896}, resample=BILINEAR, **HALVES
    )
    words = bare(
        transformers.Gemma3Processor,
        full_image_sequence="\n\n<start_of_image>"
        + "<image_soft_token>" * 256
        + "<end_of_image>\n\n",
    )

    def process(self, image):
        made = run(self.images, image)
        text = self.words.replace_image_token(made, 0)
        return Result([Tile(made.pixel_values[0])], (0, 0), text, "<image_soft_token>")


class Qwen:
    """Qwen/Qwen2-VL-7B-Instruct, Qwen/Qwen2.5-VL-7B-Instruct with the max_pixels that its
    page proposes (the published number is the one of Qwen2-VL), Qwen/Qwen3-VL-4B-Instruct
    """

    def __init__(self, name, patch, least, most, colours):
        self.name, self.patch = name, patch
        self.images = transformers.Qwen2VLImageProcessor(
            size={"shortest_edge": least, "longest_edge": most},
            patch_size=patch,
            merge_size=2,
            resample=BICUBIC,
            **colours,
        )
        self.words = bare(
            transformers.Qwen2VLProcessor,
            image_processor=self.images,
            image_token="<|image_pad|>",
        )

    def process(self, image):
        made = run(self.images, image)
        _, rows, columns = made.image_grid_thw[0].tolist()
        values = made.pixel_values.reshape(
            rows // 2, columns // 2, 2, 2, 3, 2, self.patch, self.patch
        )
        values = values[:, :, :, :, :, 0].permute(4, 0, 2, 5, 1, 3, 6)
        values = values.reshape(3, rows * self.patch, columns * self.patch)
        text = self.words.replace_image_token(made, 0)
        places = (rows // 2, columns // 2)
        return Result([Tile(values)], (0, 0), text, "<|image_pad|>", places)


class InternVl:
    """OpenGVLab/InternVL3-1B-hf"""

    name = "internvl"
    images = transformers.GotOcr2ImageProcessor(
        size={"height": 448, "width": 448},
        crop_to_patches=True,
        min_patches=1,
        max_patches=12,
        resample=BICUBIC,
        **IMAGENET,
    )
    words = bare(
        transformers.InternVLProcessor,
        image_seq_length=256,
        start_image_token="<img>",
        end_image_token="</img>",
        image_token="<IMG_CONTEXT>",
    )

    def process(self, image):
        from transformers.models.got_ocr2 import image_processing_got_ocr2 as module

        made = run(self.images, image)
        columns, rows = module.get_optimal_tiled_canvas(
            image.size[::-1], (448, 448), 1, 12
        )
        values = made.pixel_values
        grid = (rows, columns) if len(values) > 1 else (0, 0)
        tiles = cut_tiles(values, *grid) + [Tile(values[-1])]
        text = self.words.replace_image_token(made, 0)
        return Result(tiles, grid, text, "<IMG_CONTEXT>")


class Pixtral:
    """mistral-community/pixtral-12b, mistralai/Mistral-Small-3.1-24B-Instruct-2503"""

    def __init__(self, name, longest, patch, merge):
        self.name, self.side = name, patch * merge
        self.images = transformers.PixtralImageProcessor(
            size={"longest_edge": longest},
            patch_size={"height": patch, "width": patch},
            resample=BICUBIC,
            **CLIP,
        )
        self.words = bare(
            transformers.PixtralProcessor,
            patch_size=patch,
            spatial_merge_size=merge,
            image_token="[IMG]",
            image_break_token="[IMG_BREAK]",
            image_end_token="[IMG_END]",
        )

    def process(self, image):
        made = run(self.images, image, patch_size=self.side)
        text = self.words.replace_image_token(made, 0)
        return Result([Tile(made.pixel_values[0])], (0, 0), text, "[IMG]")


class MiniCpm:
    """openbmb/MiniCPM-V-2_6: image_processing_minicpmv.py, whose rules are written down
    here again, with Pillow as there."""

    name = "minicpmv"
    most, scale, patch = 9, 448, 14

    def ensure_divide(self, length, divisor):
        return max(round(length / divisor) * divisor, divisor)

    def best_size(self, size, enlarge):
        width, height = size
        if width * height > self.scale**2 or enlarge:
            ratio = width / height
            height = int(self.scale / math.sqrt(ratio))
            width = int(height * ratio)
        return tuple(self.ensure_divide(side, self.patch) for side in (width, height))

    def grid(self, size):
        multiple = min(math.ceil(size[0] * size[1] / self.scale**2), self.most)
        if multiple <= 1:
            return None
        wanted = math.log(size[0] / size[1])
        counts = [multiple - 1, multiple, multiple + 1]
        grids = [
            (columns, count // columns)
            for count in counts
            if 1 < count <= self.most
            for columns in range(1, count + 1)
            if count % columns == 0
        ]
        return min(grids, key=lambda grid: abs(wanted - math.log(grid[0] / grid[1])))

    def slices_size(self, size, grid):
        slice_size = [self.ensure_divide(size[i], grid[i]) / grid[i] for i in (0, 1)]
        best = self.best_size(slice_size, True)
        return best[0] * grid[0], best[1] * grid[1]

    def resize(self, image, size):
        """Across first: Pillow did so when the model was made, version 13 does not."""
        across = image.resize((size[0], image.height), BICUBIC)
        return across.resize(size, BICUBIC)

    def values(self, image):
        pixels = numpy.asarray(image, dtype=numpy.float32) / 255
        return ((pixels - 0.5) / 0.5).transpose(2, 0, 1)

    def process(self, image):
        if image.mode == "RGBA":
            white = PIL.Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = PIL.Image.alpha_composite(white, image).convert("RGB")
        grid = self.grid(image.size)
        whole = self.resize(image, self.best_size(image.size, grid is None))
        tiles = [Tile(self.values(whole))]
        text = "<image_id>0</image_id><image>" + "<unk>" * 64 + "</image>"
        if grid is None:
            return Result(tiles, (0, 0), text, "<unk>")
        columns, rows = grid
        refined = self.values(
            self.resize(image, self.slices_size(image.size, grid))
        )
        height, width = refined.shape[1] // rows, refined.shape[2] // columns
        tiles += [
            Tile(
                refined[:, r * height : (r + 1) * height, c * width : (c + 1) * width],
                False,
                r,
                c,
            )
            for r in range(rows)
            for c in range(columns)
        ]
        line = ("<slice>" + "<unk>" * 64 + "</slice>") * columns
        return Result(tiles, (rows, columns), text + "\n".join([line] * rows), "<unk>")


class Lfm2Vl:
    """LiquidAI/LFM2-VL-1.6B"""

    name = "lfm2vl"
    images = transformers.Lfm2VlImageProcessor(
        downsample_factor=2,
        do_image_splitting=True,
        min_tiles=2,
        max_tiles=10,
        use_thumbnail=True,
        min_image_tokens=64,
        max_image_tokens=256,
        encoder_patch_size=16,
        tile_size=512,
        max_pixels_tolerance=2.0,
        resample=BILINEAR,
        do_convert_rgb=True,
        **HALVES,
    )
    words = bare(
        transformers.Lfm2VlProcessor,
        image_processor=images,
        image_token="<image>",
        image_start_token="<|image_start|>",
        image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )

    def process(self, image):
        made = self.images(
            [[image]], return_tensors="pt", return_row_col_info=True, do_convert_rgb=True
        )
        text = self.words.replace_image_token(made, 0, use_image_special_tokens=True)
        values = []
        for patches, shape in zip(made.pixel_values, made.spatial_shapes.tolist()):
            rows, columns = shape
            patches = patches[: rows * columns].reshape(rows, columns, 16, 16, 3)
            patches = patches.permute(4, 0, 2, 1, 3)
            values.append(patches.reshape(3, rows * 16, columns * 16))
        grid = (int(made["image_rows"][0]), int(made["image_cols"][0]))
        grid = grid if len(values) > 1 else (0, 0)
        tiles = cut_tiles(values, *grid) + [Tile(values[-1])]
        return Result(tiles, grid, text, "<image>")


FAMILIES = [
    Llava(),
    LlavaNext(),
    SmolVlm("smolvlm-256m", 512, 16, 64),
    SmolVlm("smolvlm-2.2b", 384, 14, 81),
    Gemma3(),
    Qwen("qwen2vl", 14, 56 * 56, 16384 * 28 * 28, CLIP),
    Qwen("qwen2.5vl", 14, 56 * 56, 1280 * 28 * 28, CLIP),
    Qwen("qwen3vl", 16, 65536, 16777216, HALVES),
    InternVl(),
    Pixtral("pixtral", 1024, 16, 1),
    Pixtral("mistral3", 1540, 14, 2),
    MiniCpm(),
    Lfm2Vl(),
]

# Widths and heights.
SIZES = [
    (1, 1),
    (1, 4000),
    (4000, 1),
    (2, 3),
    (17, 31),
    (336, 336),
    (335, 337),
    (640, 480),
    (479, 641),
    (513, 511),
    (700, 700),
    (1024, 768),
    (97, 1537),
    (1211, 60),
    (300, 900),
    (1500, 844),
    (300, 2049),
    (28, 56),
    (1600, 130),
    (1280, 512),
]


def cases():
    """Family, seed, kind, width, height. Most are opaque. The two SmolVLMs, which make
    every picture large, have half of the sizes each."""
    seed = 0
    for family in FAMILIES:
        for i, (width, height) in enumerate(SIZES):
            seed += 1
            if (family.name, i % 2) in (("smolvlm-256m", 0), ("smolvlm-2.2b", 1)):
                continue
            kind = seed * 5 % 4 + (0, 0, 4, 0, 0, 8)[seed % 6] + (12 if seed % 7 == 3 else 0)
            yield family, seed, kind, width, height
