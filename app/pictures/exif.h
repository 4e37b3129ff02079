// app/pictures/exif.h
// SPDX-License-Identifier: MIT
//
// One number of EXIF: which way up the picture is. Nothing else is read, and only the
// first directory is looked at, so no offset of the file is followed twice.
//
// Source: EXIF 2.32, TIFF 6.0.
#ifndef ORIEL_APP_PICTURES_EXIF_H
#define ORIEL_APP_PICTURES_EXIF_H

#include <stddef.h>
#include <stdint.h>

// Orientation (1 to 8) as stated by a TIFF block, which may begin with "Exif" and two
// zero bytes. 1, upright, when it states none or is damaged.
unsigned exif_orientation(const uint8_t *bytes, size_t len);

#endif
