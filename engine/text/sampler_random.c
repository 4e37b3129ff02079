// engine/text/sampler_random.c
// SPDX-License-Identifier: MIT
#include "engine/text/sampler_random.h"

void pcg32_seed(struct pcg32 *random, uint64_t seed, uint64_t stream)
{
    random->state = 0;
    random->increment = stream << 1 | 1;
    pcg32_next(random);
    random->state += seed;
    pcg32_next(random);
}

uint32_t pcg32_next(struct pcg32 *random)
{
    uint64_t old = random->state;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);

    random->state = old * 6364136223846793005u + random->increment;
    return mixed >> turn | mixed << (-turn & 31);
}

double pcg32_unit(struct pcg32 *random)
{
    uint64_t high = pcg32_next(random), low = pcg32_next(random);

    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}
