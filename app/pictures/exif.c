// app/pictures/exif.c
// SPDX-License-Identifier: MIT
#include "app/pictures/exif.h"

#include <stdbool.h>
#include <string.h>

#define ENTRY_BYTES     12
#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3
#define TYPE_LONG       4

struct tiff {
    const uint8_t *bytes;
    size_t len;
    bool big_endian;
};

// The caller has checked that the bytes are there.
static uint32_t get_16(const struct tiff *tiff, size_t at)
{
    const uint8_t *b = tiff->bytes + at;

    return tiff->big_endian ? (uint32_t)b[0] << 8 | b[1] : (uint32_t)b[1] << 8 | b[0];
}

static uint32_t get_32(const struct tiff *tiff, size_t at)
{
    uint32_t first = get_16(tiff, at), second = get_16(tiff, at + 2);

    return tiff->big_endian ? first << 16 | second : second << 16 | first;
}

static uint32_t entry_value(const struct tiff *tiff, size_t entry)
{
    uint32_t type = get_16(tiff, entry + 2);

    if (get_32(tiff, entry + 4) != 1)
        return 0;
    if (type == TYPE_SHORT)
        return get_16(tiff, entry + 8);
    return type == TYPE_LONG ? get_32(tiff, entry + 8) : 0;
}

unsigned exif_orientation(const uint8_t *bytes, size_t len)
{
    struct tiff tiff = { bytes, len, false };
    size_t directory, entries;

    if (len >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        tiff.bytes += 6;
        tiff.len -= 6;
    }
    if (tiff.len < 8)
        return 1;
    tiff.big_endian = memcmp(tiff.bytes, "MM\0*", 4) == 0;
    if (!tiff.big_endian && memcmp(tiff.bytes, "II*\0", 4) != 0)
        return 1;
    directory = get_32(&tiff, 4);
    if (directory > tiff.len - 2)
        return 1;
    entries = get_16(&tiff, directory);
    for (size_t i = 0; i < entries; i++) {
        size_t entry = directory + 2 + i * ENTRY_BYTES;
        uint32_t value;

        if (entry + ENTRY_BYTES > tiff.len)
            return 1;
        if (get_16(&tiff, entry) != TAG_ORIENTATION)
            continue;
        value = entry_value(&tiff, entry);
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}
