// engine/model/rope.c
// SPDX-License-Identifier: MIT
#include "engine/model/rope.h"

#include <math.h>

// YaRN (arXiv:2309.00071), section 3.2: the dimension that turns `rotations` times over
// the original context.
static double yarn_dimension(const struct rope_params *params, uint32_t rotated,
                             double rotations)
{
    return rotated * log(params->original_context / (rotations * 2.0 * M_PI)) /
           (2.0 * log(params->base));
}

// How much of the frequency is kept as it was (1) rather than interpolated (0).
static double yarn_keep(const struct rope_params *params, uint32_t rotated, uint32_t i)
{
    double low = floor(yarn_dimension(params, rotated, params->yarn_beta_fast));
    double high = ceil(yarn_dimension(params, rotated, params->yarn_beta_slow));
    double ramp;

    low = fmax(low, 0.0);
    high = fmin(high, rotated - 1.0);
    ramp = (i - low) / fmax(high - low, 0.001);
    return 1.0 - fmin(fmax(ramp, 0.0), 1.0);
}

void rope_frequencies(const struct rope_params *params, uint32_t rotated,
                      const float *factors, double *frequencies, double *magnitude)
{
    *magnitude = params->attn_factor;
    if (params->yarn)
        *magnitude *= 1.0 + 0.1 * log(params->yarn_factor);
    for (uint32_t i = 0; i < rotated / 2; i++) {
        double frequency = pow(params->base, -2.0 * i / rotated);

        if (factors != NULL)
            frequency /= (double)factors[i];
        if (params->yarn) {
            double keep = yarn_keep(params, rotated, i);

            frequency = frequency * keep + frequency / params->yarn_factor * (1.0 - keep);
        }
        frequencies[i] = frequency * params->scale;
    }
}

static void set_angle(double angle, double magnitude, float entry[2])
{
    entry[0] = (float)(cos(angle) * magnitude);
    entry[1] = (float)(sin(angle) * magnitude);
}

void rope_angles(const double *frequencies, double magnitude, uint32_t rotated,
                 uint32_t first, uint32_t count, float (*table)[2])
{
    for (uint32_t p = 0; p < count; p++)
        for (uint32_t i = 0; i < rotated / 2; i++)
            set_angle((double)(first + p) * frequencies[i], magnitude, *table++);
}

void rope_angles_at(const double *frequencies, double magnitude, uint32_t rotated,
                    const uint8_t *axes, const uint32_t position[3], float (*table)[2])
{
    for (uint32_t i = 0; i < rotated / 2; i++)
        set_angle((double)position[axes[i]] * frequencies[i], magnitude, table[i]);
}

void rope_axes(const uint32_t sections[3], bool interleaved, uint32_t rotated,
               uint8_t *axes)
{
    for (uint32_t i = 0; i < rotated / 2; i++) {
        uint32_t axis = i % 3;

        if (interleaved)
            axes[i] = axis > 0 && i < 3 * sections[axis] ? (uint8_t)axis : 0;
        else
            axes[i] = i < sections[0] ? 0 : i < sections[0] + sections[1] ? 1 : 2;
    }
}
