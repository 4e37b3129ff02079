// Sums and maxima over the workgroup. With SUBGROUP the workgroup is exactly one subgroup
// (the caller sees to it) and there is no barrier; otherwise shared memory, for any subgroup
// size. WORKGROUP is the number of invocations, a power of two.
#ifdef SUBGROUP
float reduce_add(float value) { return subgroupAdd(value); }
float reduce_max(float value) { return subgroupMax(value); }
#else
shared float reduce_scratch[WORKGROUP];

#define REDUCE(name, combine)                                                            \
    float name(float value)                                                              \
    {                                                                                    \
        uint lane = gl_LocalInvocationID.x;                                              \
        barrier();                                                                       \
        reduce_scratch[lane] = value;                                                    \
        barrier();                                                                       \
        for (uint step = WORKGROUP / 2; step > 0; step /= 2) {                           \
            if (lane < step)                                                             \
                reduce_scratch[lane] =                                                   \
                    combine(reduce_scratch[lane], reduce_scratch[lane + step]);          \
            barrier();                                                                   \
        }                                                                                \
        return reduce_scratch[0];                                                        \
    }
float reduce_plus(float a, float b) { return a + b; }
REDUCE(reduce_add, reduce_plus)
REDUCE(reduce_max, max)
#endif
