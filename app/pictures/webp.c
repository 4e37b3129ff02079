// app/pictures/webp.c
// SPDX-License-Identifier: MIT
//
// WebP by libwebp. Of an animation the first frame is decoded, in its place on the
// canvas.
#include "app/pictures/codec.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "app/pictures/exif.h"

static bool webp_matches(const struct image_source *source)
{
    return source->len >= 12 && memcmp(source->bytes, "RIFF", 4) == 0 &&
           memcmp(source->bytes + 8, "WEBP", 4) == 0;
}

static bool cut_short(const struct image_source *source, struct err *err)
{
    return err_set(err, ERR_FORMAT, "cut short after %zu bytes", source->len);
}

// NULL when it is damaged or not all there.
static WebPDemuxer *open_demuxer(const struct image_source *source, struct err *err)
{
    WebPData data = { source->bytes, source->len };
    WebPDemuxState state;
    WebPDemuxer *demuxer = WebPDemuxPartial(&data, &state);

    if (state == WEBP_DEMUX_DONE)
        return demuxer;
    WebPDemuxDelete(demuxer);
    if (state == WEBP_DEMUX_PARSE_ERROR)
        err_set(err, ERR_FORMAT, "the file is damaged");
    else
        cut_short(source, err);
    return NULL;
}

static unsigned find_orientation(const WebPDemuxer *demuxer)
{
    WebPChunkIterator chunk;
    unsigned orientation = 1;

    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        orientation = exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return orientation;
}

static bool read_webp_info(const struct image_source *source, struct image_info *info,
                           struct err *err)
{
    WebPDemuxer *demuxer = open_demuxer(source, err);

    if (demuxer == NULL)
        return false;
    info->width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    info->height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    info->frames = WebPDemuxGetI(demuxer, WEBP_FF_FRAME_COUNT);
    info->has_alpha = (WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG) != 0;
    info->orientation = find_orientation(demuxer);
    WebPDemuxDelete(demuxer);
    return true;
}

// The demuxer has checked that the frame lies on its canvas; the canvas may have changed
// since it was measured.
static bool frame_fits(const WebPIterator *frame, const struct image_info *info)
{
    return frame->x_offset >= 0 && frame->y_offset >= 0 && frame->width > 0 &&
           frame->height > 0 && (uint64_t)frame->x_offset + frame->width <= info->width &&
           (uint64_t)frame->y_offset + frame->height <= info->height;
}

static bool decode_frame(const struct image_source *source, const WebPIterator *frame,
                         const struct image_info *info, uint8_t *rgba, struct err *err)
{
    size_t stride = (size_t)4 * info->width;
    size_t start = stride * frame->y_offset + (size_t)4 * frame->x_offset;
    WebPDecoderConfig config;

    if (!WebPInitDecoderConfig(&config))
        return err_set(err, ERR_UNSUPPORTED, "libwebp has another version");
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rgba + start;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * info->height - start;
    switch (WebPDecode(frame->fragment.bytes, frame->fragment.size, &config)) {
    case VP8_STATUS_OK:
        return true;
    case VP8_STATUS_OUT_OF_MEMORY:
        return err_set(err, ERR_MEMORY, "%u x %u pixels do not fit into memory",
                       info->width, info->height);
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return cut_short(source, err);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return err_set(err, ERR_UNSUPPORTED, "a feature that libwebp does not know");
    default:
        return err_set(err, ERR_FORMAT, "the data of the picture is damaged");
    }
}

static void make_opaque(uint8_t *rgba, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++)
        rgba[4 * i + 3] = 0xFF;
}

static bool read_webp_pixels(const struct image_source *source,
                             const struct image_info *info, uint8_t *rgba,
                             struct err *err)
{
    WebPDemuxer *demuxer = open_demuxer(source, err);
    WebPIterator frame;
    bool ok;

    if (demuxer == NULL)
        return false;
    ok = WebPDemuxGetFrame(demuxer, 1, &frame) != 0;
    if (!ok) {
        err_set(err, ERR_FORMAT, "there is no picture in it");
    } else {
        ok = frame_fits(&frame, info)
                 ? decode_frame(source, &frame, info, rgba, err)
                 : err_set(err, ERR_FORMAT, "a frame outside the canvas");
        WebPDemuxReleaseIterator(&frame);
    }
    if (ok && !info->has_alpha)
        make_opaque(rgba, (size_t)info->width * info->height);
    WebPDemuxDelete(demuxer);
    return ok;
}

const struct image_codec image_codec_webp = {
    .name = "WebP",
    .matches = webp_matches,
    .read_info = read_webp_info,
    .read_pixels = read_webp_pixels,
};
