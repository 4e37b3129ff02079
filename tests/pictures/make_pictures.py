#!/usr/bin/env python3
# tests/pictures/make_pictures.py
# SPDX-License-Identifier: MIT
"""Makes tests/golden/pictures: small pictures of every kind, what they must decode to, and
hostile files with the line that must be said about them. Run with Pillow 13:

    python3 tests/pictures/make_pictures.py tests/golden/pictures

What is expected is computed by Pillow, ImageOps.exif_transpose(Image.open(FILE)).convert
("RGBA"), except for the pictures in OWN_TRUTH, where it is computed here from the samples
(see app/pictures/codec.h for why). pictures.tsv: file, format, width, height, frames,
alpha (0, 1), then the SHA-256 of the RGBA bytes, or "near" where FILE.rgba holds them,
because JPEG may be rounded otherwise. hostile.tsv: file, error text after the name; with
a "*" at its end, how it begins (the rest is the words of a library)."""
import hashlib
import io
import pathlib
import random
import struct
import sys
import zlib

from PIL import Image, ImageOps

KINDS = {"png": "PNG", "jpg": "JPEG", "webp": "WebP", "gif": "GIF"}
OUT = pathlib.Path(sys.argv[1])
pictures = {}   # name: bytes
own_truth = {}  # name: (width, height, rgba)
frames = {}     # name: number, where it is not 1
hostile = {}    # name: (bytes, line)
noise = random.Random(4)


# ---------------------------------------------------------------------------
# Something to see

def gradient(width, height):
    """RGBA with every value of every channel somewhere, and edges."""
    image = Image.new("RGBA", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (x * 255 // max(1, width - 1), y * 255 // max(1, height - 1),
                                    (x * 37 + y * 91) % 256, 255 if x < y else (x * 16) % 256))
    return image


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# ---------------------------------------------------------------------------
# EXIF

def exif(orientation, order="<", before=(), kind=3, offset=8):
    entries = [*before, (0x0112, kind, orientation)]
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offset)
    out += struct.pack(order + "H", len(entries))
    for tag, entry_kind, value in entries:
        out += struct.pack(order + "HHI", tag, entry_kind, 1)
        out += struct.pack(order + ("HH" if entry_kind == 3 else "I"),
                           *((value, 0) if entry_kind == 3 else (value,)))
    return out + struct.pack(order + "I", 0)


# ---------------------------------------------------------------------------
# PNG, by hand: Pillow does not write every kind

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, data, crc=None):
    return struct.pack(">I", len(data)) + kind + data + \
        struct.pack(">I", zlib.crc32(kind + data) if crc is None else crc)


def pack_row(samples, depth):
    if depth == 16:
        return struct.pack(f">{len(samples)}H", *samples)
    bits = "".join(format(sample, f"0{depth}b") for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png_rows(pixels, width, height, depth, filtered):
    """pixels[y][x]: tuples of samples."""
    out = b""
    previous = None
    for y in range(height):
        row = pack_row([sample for x in range(width) for sample in pixels[y][x]], depth)
        if filtered and previous is not None and y % 2:  # kind 2: above
            out += b"\2" + bytes((a - b) % 256 for a, b in zip(row, previous))
        else:
            out += b"\0" + row
        previous = row
    return out


def png(pixels, depth, colour, interlaced=False, before=b"", after=b"", end=b""):
    height, width = len(pixels), len(pixels[0])
    if interlaced:
        data = b""
        for x0, y0, dx, dy in ADAM7:
            part = [row[x0::dx] for row in pixels[y0::dy]]
            if part and part[0]:
                data += png_rows(part, len(part[0]), len(part), depth, True)
    else:
        data = png_rows(pixels, width, height, depth, True)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)) + before + \
        chunk(b"IDAT", zlib.compress(data, 9)) + after + chunk(b"IEND", b"") + end


def samples(width, height, depth, colour):
    return [[tuple(noise.randrange(1 << depth) for _ in range(CHANNELS[colour]))
             for _ in range(width)] for _ in range(height)]


def own_rgba(pixels, depth, transparent):
    """The rule of app/pictures/codec.h for grey and colour."""
    out = bytearray()
    top = (1 << depth) - 1
    for row in pixels:
        for pixel in row:
            values = [v >> 8 if depth == 16 else v * 255 // top for v in pixel]
            values = values * 3 if len(values) == 1 else values
            out += bytes(values + [0 if pixel == transparent else 255])
    return len(pixels[0]), len(pixels), bytes(out)


def make_png():
    palette = bytes(noise.randrange(256) for _ in range(3 * 256))
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16),
                           6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                pixels = samples(13, 11, depth, colour)
                name = f"png-{colour}-{depth}{'-interlaced' if interlaced else ''}.png"
                before = chunk(b"PLTE", palette[:3 << depth]) if colour == 3 else b""
                pictures[name] = png(pixels, depth, colour, interlaced, before)
                if (colour, depth) == (0, 16):
                    own_truth[name] = own_rgba(pixels, depth, None)
            if colour in (0, 2):
                one = pixels[5][7]
                name = f"png-{colour}-{depth}-trns.png"
                pictures[name] = png(pixels, depth, colour, False,
                                     chunk(b"tRNS", struct.pack(f">{len(one)}H", *one)))
                if depth != 8:
                    own_truth[name] = own_rgba(pixels, depth, one)
            if colour == 3:
                name = f"png-3-{depth}-trns.png"
                alphas = bytes(noise.randrange(256) for _ in range(1 << depth >> 1))
                pictures[name] = png(pixels, depth, 3, False, before + chunk(b"tRNS", alphas))
    short = samples(13, 11, 8, 3)
    pictures["png-3-short-palette.png"] = png(short, 8, 3, False, chunk(b"PLTE", palette[:60]))
    pictures["png-gamma.png"] = png(samples(5, 5, 8, 2), 8, 2, False,
                                    chunk(b"gAMA", struct.pack(">I", 100000)))
    pictures["png-1x1.png"] = png(samples(1, 1, 8, 6), 8, 6)
    pictures["png-1x4000.png"] = png([[(y // 16 % 2,)] for y in range(4000)], 1, 0)
    pictures["png-4000x1.png"] = png([[(x // 16 % 2,) for x in range(4000)]], 1, 0, True)
    pictures["png-text.png"] = png(samples(3, 2, 8, 2), 8, 2, False,
                                   chunk(b"tEXt", b"Comment\0\x1b[31m"),
                                   chunk(b"tIME", bytes(7)), b"trailing")
    for orientation in range(1, 9):
        pictures[f"png-exif-{orientation}.png"] = png(
            samples(5, 3, 8, 2), 8, 2, False, chunk(b"eXIf", exif(orientation)))
    pictures["png-exif-behind.png"] = png(samples(5, 3, 8, 2), 8, 2, False, b"",
                                          chunk(b"eXIf", exif(6, ">")))
    pictures["png-animated.png"] = encoded(
        gradient(6, 4), "PNG", save_all=True, append_images=[gradient(6, 4).rotate(180)])
    frames["png-animated.png"] = 2


# ---------------------------------------------------------------------------
# JPEG

def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def with_segment(jpeg, marker, data):
    return jpeg[:2] + segment(marker, data) + jpeg[2:]


def scans(count):
    """8 x 8 pixels of grey in so many scans, each of one component. The two tables have one
    code: bit 0 for "nothing"."""
    table = bytes([1] + [0] * 15 + [0])
    out = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + segment(
        0xC0, b"\x08\0\x08\0\x08\x03" + b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3)))
    out += segment(0xC4, b"\0" + table) + segment(0xC4, b"\x10" + table)
    for i in range(count):
        out += segment(0xDA, bytes([1, 1 + i % 3, 0, 0, 63, 0])) + b"\x3f"
    return out + b"\xff\xd9"


def make_jpeg():
    image = gradient(19, 13).convert("RGB")
    pictures["jpeg-grey.jpg"] = encoded(image.convert("L"), "JPEG", quality=90)
    for sampling in (0, 1, 2):
        pictures[f"jpeg-{('444', '422', '420')[sampling]}.jpg"] = encoded(
            image, "JPEG", quality=90, subsampling=sampling)
    pictures["jpeg-progressive.jpg"] = encoded(image, "JPEG", quality=80, progressive=True)
    pictures["jpeg-scans.jpg"] = scans(3)
    pictures["jpeg-restart.jpg"] = encoded(image, "JPEG", quality=80, restart_marker_blocks=1)
    pictures["jpeg-rgb.jpg"] = encoded(image, "JPEG", quality=90, keep_rgb=True)
    cmyk = Image.merge("CMYK", [*image.split(), image.rotate(180).split()[2]])
    inverted = encoded(cmyk, "JPEG", quality=95)
    at = inverted.index(b"Adobe")
    pictures["jpeg-cmyk.jpg"] = inverted
    pictures["jpeg-ycck.jpg"] = inverted[:at + 11] + b"\2" + inverted[at + 12:]
    pictures["jpeg-cmyk-no-adobe.jpg"] = inverted[:at - 4] + inverted[at + 12:]
    for width, height in (1, 1), (1, 4000), (4000, 1), (17, 8):
        pictures[f"jpeg-{width}x{height}.jpg"] = encoded(
            Image.linear_gradient("L").resize((width, height)), "JPEG", quality=70)
    plain = encoded(gradient(11, 6).convert("RGB"), "JPEG", quality=85)
    for orientation in range(1, 9):
        pictures[f"jpeg-exif-{orientation}.jpg"] = with_segment(
            plain, 0xE1, b"Exif\0\0" + exif(orientation, "<>"[orientation % 2]))
    pictures["jpeg-exif-second.jpg"] = with_segment(
        plain, 0xE1, b"Exif\0\0" + exif(6, ">", [(0x010E, 4, 7), (0x0110, 4, 9)]))
    pictures["jpeg-exif-long.jpg"] = with_segment(
        plain, 0xE1, b"Exif\0\0" + exif(3, "<", (), 4))
    return plain


# ---------------------------------------------------------------------------
# WebP

def riff(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
                              for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def u24(value):
    return struct.pack("<I", value)[:3]


def vp8x(flags, width, height):
    return b"VP8X", bytes([flags, 0, 0, 0]) + u24(width - 1) + u24(height - 1)


def frame(image, x, y, flags=0):
    file = encoded(image, "WEBP", lossless=True)
    return b"ANMF", u24(x // 2) + u24(y // 2) + u24(image.width - 1) + u24(image.height - 1) + \
        u24(100) + bytes([flags]) + file[12:]


def make_webp():
    image = gradient(21, 14)
    pictures["webp-lossy.webp"] = encoded(image.convert("RGB"), "WEBP", quality=80)
    pictures["webp-lossy-alpha.webp"] = encoded(image, "WEBP", quality=80)
    pictures["webp-lossless.webp"] = encoded(image.convert("RGB"), "WEBP", lossless=True)
    pictures["webp-lossless-alpha.webp"] = encoded(image, "WEBP", lossless=True, exact=True)
    for width, height in (1, 1), (1, 4000), (4000, 1):
        pictures[f"webp-{width}x{height}.webp"] = encoded(
            Image.linear_gradient("L").resize((width, height)), "WEBP", lossless=True)
    for orientation in range(1, 9):
        pictures[f"webp-exif-{orientation}.webp"] = encoded(
            gradient(7, 4), "WEBP", lossless=True, exif=exif(orientation))
    pictures["webp-exif-prefix.webp"] = encoded(
        gradient(7, 4), "WEBP", lossless=True, exif=b"Exif\0\0" + exif(8, ">"))
    animation = b"ANIM", bytes([10, 20, 30, 255]) + struct.pack("<H", 0)
    small = gradient(6, 5)
    pictures["webp-animated.webp"] = riff(
        vp8x(0x12, 12, 9), animation, frame(small, 4, 2), frame(small.rotate(180), 0, 0))
    pictures["webp-animated-opaque.webp"] = riff(
        vp8x(0x02, 12, 9), animation, frame(small.convert("RGB"), 4, 2),
        frame(small.convert("RGB"), 6, 4), frame(small.convert("RGB"), 0, 0))
    frames.update({"webp-animated.webp": 2, "webp-animated-opaque.webp": 3})
    hostile["webp-frame-outside.webp"] = (
        riff(vp8x(0x12, 12, 9), animation, frame(small, 8, 2)), "WebP: the file is damaged")


# ---------------------------------------------------------------------------
# GIF, by hand, for frames in odd places

def lzw(indices, bits=8):
    """Never more than 2^bits - 2 codes after a clear: all have bits + 1 bits."""
    codes = []
    for i, index in enumerate(indices):
        if i % ((1 << bits) - 2) == 0:
            codes.append(1 << bits)
        codes.append(index)
    codes.append((1 << bits) + 1)
    value = sum(code << (i * (bits + 1)) for i, code in enumerate(codes))
    data = value.to_bytes((len(codes) * (bits + 1) + 7) // 8, "little")
    return bytes([bits]) + b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255]
                                    for i in range(0, len(data), 255)) + b"\0"


def gif(canvas, shown, palette=None, box=None, transparent=None, local=None, interlaced=False,
        background=0, more=b"", bits=8):
    x, y, width, height = box or (0, 0, *canvas)

    def size(colours):
        return (len(colours) // 3).bit_length() - 2

    out = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80 | size(palette) if palette else 0,
                                  background, 0) + (palette or b"")
    if transparent is not None:
        out += b"!\xf9\4" + bytes([1, 0, 0, transparent]) + b"\0"
    rows = [shown[i * width:(i + 1) * width] for i in range(height)]
    if interlaced:
        rows = rows[0::8] + rows[4::8] + rows[2::4] + rows[1::2]
    out += b"," + struct.pack("<HHHHB", x, y, width, height,
                              (0x80 | size(local) if local else 0) | (0x40 if interlaced else 0))
    return out + (local or b"") + lzw([index for row in rows for index in row], bits) + more + b";"


def make_gif():
    palette = bytes(noise.randrange(256) for _ in range(3 * 256))
    other = bytes(noise.randrange(256) for _ in range(3 * 256))
    shown = [noise.randrange(256) for _ in range(12 * 9)]
    part = [noise.randrange(256) for _ in range(5 * 4)]
    pictures["gif-plain.gif"] = gif((12, 9), shown, palette)
    pictures["gif-87a.gif"] = b"GIF87a" + gif((12, 9), shown, palette)[6:]
    pictures["gif-interlaced.gif"] = gif((12, 9), shown, palette, interlaced=True)
    pictures["gif-transparent.gif"] = gif((12, 9), shown, palette, transparent=shown[17])
    pictures["gif-local.gif"] = gif((12, 9), shown, palette, local=other)
    pictures["gif-only-local.gif"] = gif((12, 9), shown, local=other)
    pictures["gif-no-palette.gif"] = gif((12, 9), shown)
    pictures["gif-no-palette-transparent.gif"] = gif((12, 9), shown, transparent=shown[3])
    pictures["gif-short-palette.gif"] = gif((12, 9), shown, palette[:96])
    pictures["gif-short-palette-transparent.gif"] = gif((12, 9), shown, palette[:96],
                                                        transparent=200)
    pictures["gif-part.gif"] = gif((12, 9), part, palette, (3, 2, 5, 4), background=7)
    pictures["gif-part-transparent.gif"] = gif((12, 9), part, palette, (3, 2, 5, 4), part[3])
    pictures["gif-outside.gif"] = gif((6, 5), part, palette, (4, 3, 5, 4))
    pictures["gif-no-canvas.gif"] = gif((0, 0), part, palette, (4, 3, 5, 4))
    pictures["gif-no-end.gif"] = gif((12, 9), shown, palette)[:-1]
    pictures["gif-1-bit.gif"] = gif((9, 9), [i % 2 for i in range(81)], palette[:6], bits=2)
    for width, height in (1, 1), (1, 4000), (4000, 1):
        pictures[f"gif-{width}x{height}.gif"] = encoded(
            Image.linear_gradient("L").resize((width, height)), "GIF")
    pictures["gif-animated.gif"] = encoded(
        gradient(9, 7).convert("P"), "GIF", save_all=True,
        append_images=[gradient(9, 7).rotate(90 * i).convert("P") for i in (1, 2, 3)])
    with Image.open(io.BytesIO(pictures["gif-animated.gif"])) as image:
        frames["gif-animated.gif"] = image.n_frames
    hostile["gif-huge.gif"] = (gif((60000, 60000), part, palette, (4, 3, 5, 4)),
                               "GIF: 60000 x 60000 pixels, a picture may have 100 million")
    hostile["gif-far-outside.gif"] = (gif((6, 5), part, palette, (65530, 9000, 5, 4)),
                                      "GIF: 65535 x 9004 pixels, a picture may have 100 million")
    hostile["gif-too-far-outside.gif"] = (gif((6, 5), part, palette, (65533, 3, 5, 4)),
                                          "GIF: 65538 x 7 pixels, a side may have 65535")
    hostile["gif-no-frame.gif"] = (gif((6, 5), [], palette, (0, 0, 1, 1))[:13 + 768] + b";",
                                   "GIF: there is no picture in it")
    hostile["gif-empty-frame.gif"] = (gif((6, 5), [], palette, (0, 0, 0, 4)),
                                      "GIF: a frame of 0 x 4 pixels")
    hostile["gif-bad-code.gif"] = (
        gif((12, 9), shown, palette).replace(lzw(shown)[:9], lzw(shown)[:2] + b"\xff" * 7),
        None)


# ---------------------------------------------------------------------------
# Hostile

def make_hostile(jpeg):
    pixels = samples(4, 3, 8, 2)
    good = png(pixels, 8, 2)

    def header(width, height):
        return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))

    def lie(width, height):
        return good[:8] + header(width, height) + good[33:]

    hostile["empty.png"] = (b"", "the file is empty")
    hostile["one-byte.jpg"] = (b"\xff", "not a PNG, JPEG, WebP or GIF picture")
    hostile["text.png"] = (b"This is no picture.\n", "not a PNG, JPEG, WebP or GIF picture")
    hostile["bitmap.png"] = (encoded(gradient(2, 2), "BMP"),
                             "BMP is not read; PNG, JPEG, WebP and GIF are")
    hostile["tiff.jpg"] = (b"II*\0" + bytes(20),
                           "TIFF is not read; PNG, JPEG, WebP and GIF are")
    hostile["avif.jpg"] = (b"\0\0\0\x20ftypavif" + bytes(20),
                           "AVIF is not read; PNG, JPEG, WebP and GIF are")
    hostile["png-100000.png"] = (lie(100000, 100000),
                                 "PNG: 100000 x 100000 pixels, a side may have 65535")
    hostile["png-65535.png"] = (lie(65535, 65535),
                                "PNG: 65535 x 65535 pixels, a picture may have 100 million")
    hostile["png-higher.png"] = (lie(4, 3000), None)
    hostile["png-10000.png"] = (lie(10000, 10000), None)
    hostile["png-0.png"] = (lie(0, 5), None)
    hostile["png-only-header.png"] = (good[:33], "PNG: cut short after 33 bytes")
    hostile["png-crc.png"] = (good[:40] + bytes([good[40] ^ 1]) + good[41:], None)
    hostile["png-crc-trns.png"] = (
        png(pixels, 8, 2, False, chunk(b"tRNS", bytes(6), 12345)), None)
    hostile["png-long-chunk.png"] = (good[:33] + b"\x7f\xff\xff\xfftEXt" + good[33:], None)

    sof = jpeg.index(b"\xff\xc0")
    hostile["jpeg-65500.jpg"] = (
        jpeg[:sof + 5] + struct.pack(">HH", 65500, 65500) + jpeg[sof + 9:],
        "JPEG: 65500 x 65500 pixels, a picture may have 100 million")
    hostile["jpeg-10000.jpg"] = (
        jpeg[:sof + 5] + struct.pack(">HH", 10000, 10000) + jpeg[sof + 9:], None)
    hostile["jpeg-0.jpg"] = (jpeg[:sof + 5] + bytes(4) + jpeg[sof + 9:], None)
    hostile["jpeg-12-bit.jpg"] = (jpeg[:sof + 4] + b"\x0c" + jpeg[sof + 5:], None)
    hostile["jpeg-no-end.jpg"] = (jpeg[:-2], f"JPEG: cut short after {len(jpeg) - 2} bytes")
    hostile["jpeg-only-start.jpg"] = (jpeg[:3], "JPEG: cut short after 3 bytes")
    hostile["jpeg-scans.jpg"] = (scans(300), "JPEG: more than 100 passes over the picture")

    still = encoded(gradient(5, 5), "WEBP", lossless=True)
    hostile["webp-16384.webp"] = (
        riff(vp8x(0, 16384, 16384), (b"VP8L", still[20:])), None)
    hostile["webp-canvas-100000.webp"] = (
        riff(vp8x(0, 100000, 50000), (b"VP8L", still[20:])), None)
    hostile["webp-riff-longer.webp"] = (
        still[:4] + struct.pack("<I", 99999999) + still[8:],
        f"WebP: cut short after {len(still)} bytes")
    hostile["webp-riff-empty.webp"] = (b"RIFF\4\0\0\0WEBP", None)
    flipped = bytearray(still)
    for i in range(30, 60):
        flipped[i] ^= 0x55
    hostile["webp-damaged.webp"] = (bytes(flipped), None)


def make_odd_exif(jpeg):
    """Damaged EXIF leaves the picture as it is."""
    block = exif(6)
    looped = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    for name, data in {
            "far-offset": block[:4] + b"\xff\xff\xff\xff" + block[8:],
            "odd-offset": block[:4] + struct.pack("<I", len(block) - 1) + block[8:],
            "offset-0": block[:4] + bytes(4) + block[8:],
            "many-entries": block[:8] + b"\xff\xff" + b"\0" * 4 + block[14:],
            "cut": block[:17],
            "loop": looped,
            "orientation-0": exif(0),
            "orientation-9": exif(9),
            "count": block[:14] + struct.pack("<I", 0x40000001) + block[18:],
            "empty": b""}.items():
        name = f"jpeg-odd-exif-{name}.jpg"
        pictures[name] = with_segment(jpeg, 0xE1, b"Exif\0\0" + data)
        upright = Image.open(io.BytesIO(jpeg)).convert("RGBA")
        own_truth[name] = upright.width, upright.height, upright.tobytes()


# ---------------------------------------------------------------------------

def truth(name):
    if name in own_truth:
        return own_truth[name]
    with Image.open(io.BytesIO(pictures[name])) as image:
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
        return rgba.width, rgba.height, rgba.tobytes()


def has_alpha(name):
    with Image.open(io.BytesIO(pictures[name])) as image:
        return int("A" in image.mode or "transparency" in image.info)


def main():
    make_png()
    jpeg = make_jpeg()
    make_webp()
    make_gif()
    make_hostile(jpeg)
    make_odd_exif(jpeg)
    (OUT / "hostile").mkdir(parents=True, exist_ok=True)
    lines = []
    for name, data in sorted(pictures.items()):
        width, height, rgba = truth(name)
        (OUT / name).write_bytes(data)
        kind = KINDS[name.split(".")[1]]
        digest = hashlib.sha256(rgba).hexdigest()
        if kind == "JPEG":
            digest = "near"
            (OUT / (name + ".rgba")).write_bytes(rgba)
        lines.append(f"{name}\t{kind}\t{width}\t{height}\t{frames.get(name, 1)}\t"
                     f"{has_alpha(name)}\t{digest}\n")
    (OUT / "pictures.tsv").write_text("".join(lines))
    for name, (data, _) in hostile.items():
        (OUT / "hostile" / name).write_bytes(data)
    (OUT / "hostile.tsv").write_text("".join(
        f"{name}\t{line or KINDS[name.split('.')[1]] + ': *'}\n"
        for name, (_, line) in sorted(hostile.items())))


main()
