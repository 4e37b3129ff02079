#!/usr/bin/env python3
# tests/engine/vision/make_preprocess_golden.py
# SPDX-License-Identifier: MIT
#
#     make_preprocess_golden.py > tests/golden/vision/preprocess.txt
#
# What test_preprocess compares with, of each case of preprocess_reference.py:
#
#     case FAMILY SEED KIND WIDTH HEIGHT ROWS COLUMNS EMBEDDINGS
#     marker TEXT
#     embed FIRST COUNT ROWS COLUMNS
#     tile WIDTH HEIGHT OVERVIEW ROW COLUMN SUM SUM SUM BYTES
#
# Pixels are given as the bytes that they were before normalisation: the sum of each
# channel, and of places that a small generator chooses all three as hexadecimal digits.
# "refused" follows a case that the reference refuses on purpose; cases on which it fails
# are left out.
import sys

import numpy
import preprocess_reference as reference

SAMPLES = 48


def samples(width, height):
    state = width * 65536 + height & 0xFFFFFFFF
    for _ in range(SAMPLES):
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        x = (state >> 8) % width
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        yield x, (state >> 8) % height


def to_bytes(family, values):
    images = getattr(family, "images", None)
    mean = numpy.array(images.image_mean if images else [0.5] * 3).reshape(3, 1, 1)
    deviation = numpy.array(images.image_std if images else [0.5] * 3).reshape(3, 1, 1)
    exact = (values.astype(numpy.float64) * deviation + mean) * 255
    rounded = numpy.rint(exact)
    assert numpy.abs(exact - rounded).max() < 1e-3
    return rounded.astype(numpy.int64)


def print_tile(family, tile):
    pixels = to_bytes(family, tile.values)
    _, height, width = pixels.shape
    sums = " ".join(str(channel.sum()) for channel in pixels)
    chosen = bytes(
        int(pixels[channel, y, x])
        for x, y in samples(width, height)
        for channel in range(3)
    )
    place = f"{int(tile.overview)} {tile.row} {tile.column}"
    print(f"tile {width} {height} {place} {sums} {chosen.hex()}")


def main():
    print("# made by tests/engine/vision/make_preprocess_golden.py: see README.md")
    for family, *case in reference.cases():
        words = " ".join(map(str, case))
        try:
            result = family.process(reference.picture(*case))
        except ValueError as error:
            print(f"{family.name} {words}: {error}", file=sys.stderr)
            if "aspect ratio" in str(error):
                print(f"case {family.name} {words} 0 0 0\nrefused")
            continue
        items, count = result.items()
        rows, columns = result.grid
        print(f"case {family.name} {words} {rows} {columns} {count}")
        for item in items:
            print(*item)
        for tile in result.tiles:
            print_tile(family, tile)


if __name__ == "__main__":
    main()
