// Loads of 128 bits, through a texel buffer (TEXEL) or a storage buffer.
// INPUT(binding, name) declares; LOAD(name, index) gives a uvec4, LOADF a vec4.
#ifdef TEXEL
#define INPUT(number, name) layout(set = 0, binding = number) uniform usamplerBuffer name
#define LOAD(name, index)   texelFetch(name, int(index))
#else
#define INPUT(number, name)                                                              \
    layout(set = 0, binding = number, std430) readonly buffer name##_block { uvec4 name[]; }
#define LOAD(name, index) name[index]
#endif
#define LOADF(name, index) uintBitsToFloat(LOAD(name, index))
