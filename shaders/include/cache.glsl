// Keys and values in the cache: binary16, two to a word, or with CACHE_F32 floats.
// CACHE_UNITS 128-bit units hold eight dimensions; CACHE_LOAD(name, index of the eight, low,
// high) unpacks them.
#ifdef CACHE_F32
#define CACHE_UNITS 2
#define CACHE_LOAD(name, index, low, high)                                               \
    {                                                                                    \
        low = LOADF(name, (index) * 2);                                                  \
        high = LOADF(name, (index) * 2 + 1);                                             \
    }
#else
#define CACHE_UNITS 1
#define CACHE_LOAD(name, index, low, high)                                               \
    {                                                                                    \
        uvec4 unit = LOAD(name, index);                                                  \
        low = vec4(unpackHalf2x16(unit.x), unpackHalf2x16(unit.y));                      \
        high = vec4(unpackHalf2x16(unit.z), unpackHalf2x16(unit.w));                     \
    }
#endif
