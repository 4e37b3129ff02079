// ui/format_kitty.c
// SPDX-License-Identifier: MIT
#include "ui/formats.h"

#include "base/base64.h"

#define CHUNK 3072 // bytes, 4096 as base64: the most that the protocol takes at once

// q=2: nothing is answered, ever.
bool format_kitty(const struct pixels *pixels, uint32_t image, struct str *out)
{
    const char *bytes = (const char *)pixels->rgba;
    size_t len = pixels_bytes(pixels);

    for (size_t at = 0; at < len; at += CHUNK) {
        size_t chunk = len - at < CHUNK ? len - at : CHUNK;

        if (at == 0)
            str_printf(out, "\033_Ga=t,f=32,t=d,i=%u,s=%d,v=%d,q=2,m=%d;", image,
                       pixels->size.width, pixels->size.height, chunk < len);
        else
            str_printf(out, "\033_Gq=2,m=%d;", at + chunk < len);
        base64_encode(bytes + at, chunk, out);
        str_append(out, "\033\\");
    }
    return !out->truncated;
}

void format_kitty_place(uint32_t image, int top, struct size crop, int columns, int rows,
                        struct str *out)
{
    str_printf(out, "\033_Ga=p,i=%u,p=1,x=0,y=%d,w=%d,h=%d,c=%d,r=%d,C=1,q=2\033\\",
               image, top, crop.width, crop.height, columns, rows);
}

void format_kitty_remove(uint32_t image, struct str *out)
{
    str_printf(out, "\033_Ga=d,d=i,i=%u,q=2\033\\", image);
}

void format_kitty_forget(uint32_t image, struct str *out)
{
    str_printf(out, "\033_Ga=d,d=I,i=%u,q=2\033\\", image);
}
