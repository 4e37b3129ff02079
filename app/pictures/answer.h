// app/pictures/answer.h
// SPDX-License-Identifier: MIT
//
// What front and decode process share: two descriptors, and one block of memory that is
// cut into the pixels and, behind them, a page for request and answer (docs/formats.md).
// The decode process may have been taken over by the picture that it decoded: the front
// believes no field that is not one of the few combinations that a good child writes.
#ifndef ORIEL_APP_PICTURES_ANSWER_H
#define ORIEL_APP_PICTURES_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/pictures/codec.h"
#include "base/err.h"

#define DECODE_ROLE_NAME "oriel decode"
#define DECODE_INPUT_FD  3 // a regular file or memory file: the original bytes
#define DECODE_OUTPUT_FD 4 // a memory file of DECODE_MEMORY bytes

#define DECODE_PIXEL_BYTES ((size_t)4 * IMAGE_PIXELS_MAX / 65536 * 65536 + 65536)
#define DECODE_PAGE_BYTES  65536 // behind the pixels; as large as pages get
#define DECODE_MEMORY      (DECODE_PIXEL_BYTES + DECODE_PAGE_BYTES)

// The page begins with the request; the answer replaces it.
#define REQUEST_BYTES 16
#define ANSWER_BYTES  320

void request_write(uint8_t bytes[REQUEST_BYTES], const struct image_request *request);
bool request_read(const uint8_t bytes[REQUEST_BYTES], struct image_request *request);

// picture: NULL for an error.
void answer_write(uint8_t bytes[ANSWER_BYTES], const struct image *image,
                  const struct err *err);

// false: err is what the child reported, or ERR_DEVICE when the answer makes no sense.
bool answer_read(const uint8_t bytes[ANSWER_BYTES], const struct image_request *request,
                 struct image *image, struct err *err);

#endif
