#!/usr/bin/env python3
# tests/engine/vision/check_preprocess.py
# SPDX-License-Identifier: MIT
#
#     check_preprocess.py DUMP [FAMILY]
#
# Every pixel of every case of preprocess_reference.py against what the program DUMP
# (preprocess_dump) writes: `make check-preprocess`. Prints the largest difference for each
# family in units of 1/255 before normalisation, and fails if one is more than 1, or if
# tiles, places or prompts differ. Says so and skips (77) where a package is missing.
import subprocess
import sys

try:
    import numpy
    import preprocess_reference as reference
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


class Ours:
    def __init__(self, program, family, seed, kind, width, height):
        words = [program, family.name] + [str(n) for n in (seed, kind, width, height)]
        head, _, pixels = subprocess.check_output(words).partition(b"pixels\n")
        lines = head.decode().splitlines()
        self.refused = lines[0] if lines[0].startswith("refused") else None
        if self.refused:
            return
        numbers = lines[0].split()
        self.grid, self.count = (int(numbers[1]), int(numbers[2])), int(numbers[7])
        self.items = [line for line in lines if line.startswith(("marker", "embed"))]
        self.tiles, at = [], 0
        for line in lines:
            if line.startswith("tile"):
                width, height, overview, row, column = map(int, line.split()[1:])
                count = 3 * width * height
                values = numpy.frombuffer(pixels, numpy.float32, count, at)
                values = values.reshape(3, height, width)
                self.tiles.append((values, bool(overview), row, column))
                at += 4 * count
        assert at == len(pixels)


def compare(family, case, ours, theirs):
    """The largest difference; complaints go to the list."""
    complaints, worst = [], 0.0
    items, count = theirs.items()
    items = [" ".join(map(str, item)) for item in items]
    if ours.refused:
        return worst, [ours.refused]
    if ours.items != items or ours.count != count:
        complaints.append(f"items {ours.items[:3]} {ours.count}, want {items[:3]} {count}")
    if ours.grid != tuple(theirs.grid) or len(ours.tiles) != len(theirs.tiles):
        complaints.append(f"grid {ours.grid}, want {theirs.grid}")
        return worst, complaints
    deviation = numpy.array(family_deviation(family)).reshape(3, 1, 1)
    for (values, overview, row, column), tile in zip(ours.tiles, theirs.tiles):
        place, want = (overview, row, column), (tile.overview, tile.row, tile.column)
        if place != want or values.shape != tile.values.shape:
            complaints.append(f"tile {values.shape} {place}, want {want}")
            continue
        worst = max(worst, numpy.abs((values - tile.values) * deviation * 255).max())
    return worst, complaints


def family_deviation(family):
    return family.images.image_std if hasattr(family, "images") else [0.5] * 3


def main():
    program, only = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    worst, cases, refused, failed = {}, {}, {}, 0
    for family, *case in reference.cases():
        if only not in family.name:
            continue
        ours = Ours(program, family, *case)
        try:
            theirs = family.process(reference.picture(*case))
        except ValueError as error:
            refused[family.name] = refused.get(family.name, 0) + 1
            print(f"# {family.name} {case}: the reference: {error}; ours: {ours.refused}")
            continue
        difference, complaints = compare(family, case, ours, theirs)
        worst[family.name] = max(worst.get(family.name, 0), difference)
        cases[family.name] = cases.get(family.name, 0) + 1
        for complaint in complaints:
            print(f"# {family.name} {case}: {complaint}")
        failed += bool(complaints) or difference > 1.0001
    for name, difference in worst.items():
        print(
            f"{name}: {cases[name]} pictures, largest difference {difference:.6f}/255, "
            f"{refused.get(name, 0)} that the reference refuses"
        )
    print(f"{sum(cases.values())} pictures, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
