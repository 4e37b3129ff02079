// tests/vulkan/with_layer.c
// SPDX-License-Identifier: MIT
#include "tests/vulkan/with_layer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// Appends to a list in the environment.
static void append_variable(const char *name, const char *value)
{
    const char *before = getenv(name);
    char *list = before != NULL && before[0] != '\0'
                     ? alloc_printf("%s:%s", before, value)
                     : alloc_string(value);

    setenv(name, list, 1);
    free(list);
}

static void *find(void *library, const char *name)
{
    void *function = dlsym(library, name);

    if (function == NULL)
        printf("# %s\n", dlerror());
    return function;
}

bool with_layer(struct layer *layer)
{
    const char *build = getenv("top_builddir");
    char *folder = realpath(build != NULL ? build : ".", NULL);
    char *path = alloc_printf("%s/tests/vulkan", folder != NULL ? folder : ".");
    char *file = alloc_printf("%s/layer.so", path);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL); // the loader gets the same one
    bool ok = library != NULL;

    if (ok) {
        append_variable("VK_ADD_LAYER_PATH", path);
        append_variable("VK_INSTANCE_LAYERS", LAYER_NAME);
        *(void **)&layer->arm = find(library, "layer_arm");
        *(void **)&layer->disarm = find(library, "layer_disarm");
        *(void **)&layer->has_struck = find(library, "layer_has_struck");
        *(void **)&layer->calls = find(library, "layer_calls");
        *(void **)&layer->alive = find(library, "layer_alive");
        *(void **)&layer->print_alive = find(library, "layer_print_alive");
        *(void **)&layer->function = find(library, "layer_function");
    } else {
        printf("# %s\n", dlerror());
    }
    free(file);
    free(path);
    free(folder);
    return ok;
}

const char *result_name(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_DEVICE_LOST:
        return "device lost";
    case VK_TIMEOUT:
        return "timeout";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "map failed";
    case VK_ERROR_OUT_OF_POOL_MEMORY:
        return "out of pool memory";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many objects";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "initialisation failed";
    default:
        return "?";
    }
}
