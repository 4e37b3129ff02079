# tests/engine/vision/golden_inputs.py
# SPDX-License-Identifier: MIT
#
# Preprocessed tiles made by a formula: golden_reader.c makes the same.
import numpy
import torch


class Tile:
    """A rectangle of an endless picture, made of integer noise: test_goldens.c makes the
    same. Turned ones are cut from the picture after it was turned by 90 degrees clockwise;
    `turned` is the height that it had before."""

    def __init__(
        self, seed, width, height, x=0, y=0, turned=0, overview=False, row=0, column=0
    ):
        self.seed, self.width, self.height, self.x, self.y = seed, width, height, x, y
        self.turned, self.overview, self.row, self.column = turned, overview, row, column

    def pixels(self):
        y, x = numpy.meshgrid(
            numpy.arange(self.y, self.y + self.height, dtype=numpy.int64),
            numpy.arange(self.x, self.x + self.width, dtype=numpy.int64),
            indexing="ij",
        )
        if self.turned:
            y, x = self.turned - 1 - x, y
        planes = []
        for channel in range(3):
            mixed = (
                x * 2654435761
                + y * 2246822519
                + channel * 3266489917
                + self.seed * 668265263
            )
            mixed &= 0xFFFFFFFF
            mixed ^= mixed >> 15
            mixed = mixed * 40503 & 0xFFFFFFFF
            mixed ^= mixed >> 13
            planes.append((mixed >> 8 & 255).astype(numpy.float32) / 64 - 2)
        return torch.from_numpy(numpy.stack(planes))

    def line(self):
        numbers = [self.seed, self.width, self.height, self.x, self.y, self.turned]
        numbers += [int(self.overview), self.row, self.column]
        return "tile " + " ".join(map(str, numbers))


class Picture:
    def __init__(self, tiles, grid=(0, 0), original=None):
        self.tiles, self.grid = tiles, grid
        self.original = original or (tiles[0].width, tiles[0].height)

    def lines(self):
        return [
            f"picture {len(self.tiles)} {self.grid[0]} {self.grid[1]} "
            f"{self.original[0]} {self.original[1]}"
        ] + [tile.line() for tile in self.tiles]


def single(seed, width, height, turned=False):
    """One tile that is the whole picture; turned: of the picture, turned."""
    if turned:
        return Picture([Tile(seed, height, width, turned=height)])
    return Picture([Tile(seed, width, height)])


def cut(seed, side, rows, columns, original, turned=False, overview_first=True):
    """An overview (noise of its own) and tiles of `side` cut in rows and columns."""
    height = rows * side if turned else 0
    if turned:
        rows, columns, original = columns, rows, original[::-1]
    overview = Tile(seed + 1000, side, side, turned=side if turned else 0, overview=True)
    tiles = [
        Tile(seed, side, side, x=c * side, y=r * side, turned=height, row=r, column=c)
        for r in range(rows)
        for c in range(columns)
    ]
    tiles = [overview] + tiles if overview_first else tiles + [overview]
    return Picture(tiles, (rows, columns), original)
