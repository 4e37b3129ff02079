#version 450
// words[i] = value for i < count. One invocation per word.
layout(local_size_x = 64) in;
layout(push_constant) uniform Push { uint count; uint value; } push;
layout(set = 0, binding = 0, std430) writeonly buffer Words { uint words[]; };

void main()
{
    uint i = gl_GlobalInvocationID.x;
    if (i < push.count)
        words[i] = push.value;
}
