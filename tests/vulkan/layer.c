// tests/vulkan/layer.c
// SPDX-License-Identifier: MIT
//
// Loader and layer interface, version 2: "Architecture of the Vulkan Loader Interfaces",
// LoaderLayerInterface.md of Khronos' Vulkan-Loader.
#include "tests/vulkan/layer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>

#include "tests/vulkan/layer_calls.h"
#include "tests/vulkan/layer_limits.h"

#define EXPORT     __attribute__((visibility("default")))
#define MAX_CHAINS 1024 // those that hang stay

// ---------------------------------------------------------------------------
// Functions and objects

#define INSTANCE_CALLS(CALL)                                                             \
    CALL(CreateInstance, "HDI", Instance, (), ())                                        \
    CALL(EnumeratePhysicalDevices, "HDI", Nothing, (), ())                               \
    CALL(CreateDevice, "HDIL", Device, (), ())

enum function {
#define CALL(name, results, kind, parameters, arguments) FUNCTION_##name,
    INSTANCE_CALLS(CALL) DEVICE_CALLS(CALL)
#undef CALL
        FUNCTION_COUNT
};

enum kind {
#define END(kind, function) KIND_##kind,
    DEVICE_OBJECTS(END)
#undef END
        KIND_Device,
    KIND_Instance,
    KIND_Nothing
};

static const char *const kind_names[] = {
#define END(kind, function) #kind,
    DEVICE_OBJECTS(END)
#undef END
        "Device",
    "Instance",
};

static const struct {
    const char *name, *results;
} functions[] = {
#define CALL(name, results, kind, parameters, arguments) { "vk" #name, results },
    INSTANCE_CALLS(CALL) DEVICE_CALLS(CALL)
#undef CALL
};

// ---------------------------------------------------------------------------
// What to do

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    unsigned calls[FUNCTION_COUNT];
    int alive[KIND_Nothing + 1];
    int function; // -1: none is to fail
    unsigned at;  // of its calls
    VkResult result;
    bool for_ever, struck;
    const char *token; // NULL: none is needed
} plan = { .function = -1 };

static int find_function(const char *name)
{
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strcmp(functions[i].name, name) == 0)
            return i;
    fprintf(stderr, "%s: there is no function %s\n", LAYER_NAME, name);
    abort();
}

EXPORT void layer_arm(const char *function, unsigned n, VkResult result, bool for_ever)
{
    pthread_mutex_lock(&lock);
    plan.function = find_function(function);
    plan.at = plan.calls[plan.function] + n;
    plan.result = result;
    plan.for_ever = for_ever;
    plan.struck = false;
    pthread_mutex_unlock(&lock);
}

EXPORT void layer_disarm(void)
{
    pthread_mutex_lock(&lock);
    plan.function = -1;
    memset(plan.calls, 0, sizeof(plan.calls));
    pthread_mutex_unlock(&lock);
}

EXPORT bool layer_has_struck(void)
{
    return plan.struck;
}

EXPORT unsigned layer_calls(const char *function)
{
    return plan.calls[find_function(function)];
}

EXPORT int layer_alive(void)
{
    int count = 0;

    for (int kind = 0; kind < KIND_Nothing; kind++)
        count += plan.alive[kind];
    return count;
}

EXPORT void layer_print_alive(void)
{
    for (int kind = 0; kind < KIND_Nothing; kind++)
        if (plan.alive[kind] != 0)
            printf("# %d of Vk%s\n", plan.alive[kind], kind_names[kind]);
}

EXPORT const char *layer_function(size_t index, const VkResult **results)
{
    static const struct {
        char letter;
        VkResult result;
    } letters[] = {
        { 'H', VK_ERROR_OUT_OF_HOST_MEMORY }, { 'D', VK_ERROR_OUT_OF_DEVICE_MEMORY },
        { 'L', VK_ERROR_DEVICE_LOST },        { 'T', VK_TIMEOUT },
        { 'M', VK_ERROR_MEMORY_MAP_FAILED },  { 'P', VK_ERROR_OUT_OF_POOL_MEMORY },
        { 'O', VK_ERROR_TOO_MANY_OBJECTS },   { 'I', VK_ERROR_INITIALIZATION_FAILED },
    };
    static VkResult list[sizeof(letters) / sizeof(letters[0]) + 1];
    size_t count = 0;

    if (index >= FUNCTION_COUNT)
        return NULL;
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        if (strchr(functions[index].results, letters[i].letter) != NULL)
            list[count++] = letters[i].result;
    list[count] = VK_SUCCESS;
    *results = list;
    return functions[index].name;
}

// FUNCTION:N:RESULT:once|ever
static void read_environment(void)
{
    const char *fault = getenv("VULKAN_TEST_FAULT");
    char name[64], often[8];
    unsigned at;
    int result;

    if (fault == NULL || plan.function >= 0)
        return;
    if (sscanf(fault, "%63[^:]:%u:%d:%7s", name, &at, &result, often) != 4) {
        fprintf(stderr, "%s: VULKAN_TEST_FAULT makes no sense\n", LAYER_NAME);
        abort();
    }
    layer_arm(name, at, (VkResult)result, strcmp(often, "ever") == 0);
    plan.token = getenv("VULKAN_TEST_TOKEN");
}

// ---------------------------------------------------------------------------
// Chains: what comes below for each instance and device. Every handle that calls go to
// begins with the same pointer as its instance or device.

// To be asked for while the instance is made: later the loader names the topmost layer's.
#define INSTANCE_NEXT(NEXT)                                                              \
    NEXT(DestroyInstance)                                                                \
    NEXT(EnumeratePhysicalDevices)                                                       \
    NEXT(CreateDevice)                                                                   \
    NEXT(GetPhysicalDeviceProperties)                                                    \
    NEXT(GetPhysicalDeviceProperties2)                                                   \
    NEXT(GetPhysicalDeviceFeatures)                                                      \
    NEXT(GetPhysicalDeviceFeatures2)

struct chain {
    const void *key; // NULL: free
    VkInstance instance;
    VkDevice device;
    bool lost;
    PFN_vkGetInstanceProcAddr next_instance;
    PFN_vkGetDeviceProcAddr next_device;
#define NEXT(name) PFN_vk##name name;
    INSTANCE_NEXT(NEXT)
#undef NEXT
#define CALL(name, results, kind, parameters, arguments) PFN_vk##name name;
    DEVICE_CALLS(CALL)
#undef CALL
#define END(kind, function) PFN_vk##function function;
    DEVICE_OBJECTS(END)
#undef END
};

static struct chain chains[MAX_CHAINS];

static struct chain *find_chain(const void *handle)
{
    const void *key = *(const void *const *)handle;

    for (int i = 0; i < MAX_CHAINS; i++)
        if (chains[i].key == key)
            return &chains[i];
    fprintf(stderr, "%s: an unknown handle\n", LAYER_NAME);
    abort();
}

static struct chain *add_chain(const void *handle)
{
    for (int i = 0; i < MAX_CHAINS; i++)
        if (chains[i].key == NULL) {
            chains[i] = (struct chain){ .key = *(const void *const *)handle };
            return &chains[i];
        }
    fprintf(stderr, "%s: too many instances and devices\n", LAYER_NAME);
    abort();
}

// ---------------------------------------------------------------------------
// Faults

static bool strikes(enum function function)
{
    unsigned now = ++plan.calls[function];

    return (int)function == plan.function &&
           (plan.for_ever ? now >= plan.at : now == plan.at) &&
           (plan.token == NULL || unlink(plan.token) == 0);
}

// VK_SUCCESS when the call is to be made.
static VkResult strike(struct chain *chain, enum function function)
{
    VkResult result = VK_SUCCESS;
    bool loses;

    pthread_mutex_lock(&lock);
    if (strikes(function)) {
        plan.struck = true;
        result = plan.result;
    } else if (chain != NULL && chain->lost &&
               strchr(functions[function].results, 'L') != NULL) {
        result = VK_ERROR_DEVICE_LOST;
    }
    loses = result == VK_ERROR_DEVICE_LOST && chain != NULL && !chain->lost;
    pthread_mutex_unlock(&lock);
    if (loses && chain->device != VK_NULL_HANDLE) {
        chain->DeviceWaitIdle(chain->device);
        chain->lost = true;
    }
    return result;
}

static VkResult enter(VkResult result, enum kind kind)
{
    pthread_mutex_lock(&lock);
    plan.alive[kind] += result == VK_SUCCESS;
    pthread_mutex_unlock(&lock);
    return result;
}

static void leave(bool existed, enum kind kind)
{
    pthread_mutex_lock(&lock);
    plan.alive[kind] -= existed;
    pthread_mutex_unlock(&lock);
}

#define CALL(name, results, kind, parameters, arguments)                                 \
    static VKAPI_ATTR VkResult VKAPI_CALL layer_##name parameters                        \
    {                                                                                    \
        struct chain *chain = find_chain(on);                                            \
        VkResult result = strike(chain, FUNCTION_##name);                                \
                                                                                         \
        if (result == VK_SUCCESS)                                                        \
            result = enter(chain->name arguments, KIND_##kind);                          \
        return result;                                                                   \
    }
DEVICE_CALLS(CALL)
#undef CALL

#define END(kind, function)                                                              \
    static VKAPI_ATTR void VKAPI_CALL layer_##function(                                  \
        VkDevice on, Vk##kind object, const VkAllocationCallbacks *with)                 \
    {                                                                                    \
        leave(object != VK_NULL_HANDLE, KIND_##kind);                                    \
        find_chain(on)->function(on, object, with);                                      \
    }
DEVICE_OBJECTS(END)
#undef END

// ---------------------------------------------------------------------------
// Instances and devices

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateInstance(
    const VkInstanceCreateInfo *info, const VkAllocationCallbacks *with, VkInstance *made)
{
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    PFN_vkGetInstanceProcAddr next;
    PFN_vkCreateInstance create;
    struct chain *chain;
    VkResult result;

    read_environment();
    result = strike(NULL, FUNCTION_CreateInstance);
    if (result != VK_SUCCESS)
        return result;
    while (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO ||
           link->function != VK_LAYER_LINK_INFO)
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    create = (PFN_vkCreateInstance)next(VK_NULL_HANDLE, "vkCreateInstance");
    result = create(info, with, made);
    if (result != VK_SUCCESS)
        return result;
    chain = add_chain(*made);
    chain->instance = *made;
    chain->next_instance = next;
#define NEXT(name) chain->name = (PFN_vk##name)next(*made, "vk" #name);
    INSTANCE_NEXT(NEXT)
#undef NEXT
    return enter(VK_SUCCESS, KIND_Instance);
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyInstance(VkInstance on,
                                                        const VkAllocationCallbacks *with)
{
    struct chain *chain = find_chain(on);

    chain->DestroyInstance(on, with);
    chain->key = NULL;
    leave(true, KIND_Instance);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_EnumeratePhysicalDevices(
    VkInstance on, uint32_t *device_count, VkPhysicalDevice *devices)
{
    VkResult result = strike(NULL, FUNCTION_EnumeratePhysicalDevices);

    return result != VK_SUCCESS
               ? result
               : find_chain(on)->EnumeratePhysicalDevices(on, device_count, devices);
}

static VKAPI_ATTR VkResult VKAPI_CALL
layer_CreateDevice(VkPhysicalDevice on, const VkDeviceCreateInfo *info,
                   const VkAllocationCallbacks *with, VkDevice *made)
{
    struct chain *chain;
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    PFN_vkGetDeviceProcAddr next;
    VkResult result = strike(NULL, FUNCTION_CreateDevice);

    if (result != VK_SUCCESS)
        return result;
    while (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO ||
           link->function != VK_LAYER_LINK_INFO)
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    next = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    result = find_chain(on)->CreateDevice(on, info, with, made);
    if (result != VK_SUCCESS)
        return result;
    chain = add_chain(*made);
    chain->device = *made;
    chain->next_device = next;
#define CALL(name, results, kind, parameters, arguments)                                 \
    chain->name = (PFN_vk##name)next(*made, "vk" #name);
    DEVICE_CALLS(CALL)
#undef CALL
#define END(kind, function)                                                              \
    chain->function = (PFN_vk##function)next(*made, "vk" #function);
    DEVICE_OBJECTS(END)
#undef END
    return enter(VK_SUCCESS, KIND_Device);
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyDevice(VkDevice on,
                                                      const VkAllocationCallbacks *with)
{
    struct chain *chain = find_chain(on);

    ((PFN_vkDestroyDevice)chain->next_device(on, "vkDestroyDevice"))(on, with);
    chain->key = NULL;
    leave(true, KIND_Device);
}

// ---------------------------------------------------------------------------
// Limits

static VKAPI_ATTR void VKAPI_CALL
layer_GetPhysicalDeviceProperties(VkPhysicalDevice on, VkPhysicalDeviceProperties *made)
{
    find_chain(on)->GetPhysicalDeviceProperties(on, made);
    layer_lower_properties(made);
}

static VKAPI_ATTR void VKAPI_CALL
layer_GetPhysicalDeviceProperties2(VkPhysicalDevice on, VkPhysicalDeviceProperties2 *made)
{
    find_chain(on)->GetPhysicalDeviceProperties2(on, made);
    layer_lower_properties2(made);
}

static VKAPI_ATTR void VKAPI_CALL
layer_GetPhysicalDeviceFeatures(VkPhysicalDevice on, VkPhysicalDeviceFeatures *made)
{
    find_chain(on)->GetPhysicalDeviceFeatures(on, made);
    layer_lower_features(made);
}

static VKAPI_ATTR void VKAPI_CALL
layer_GetPhysicalDeviceFeatures2(VkPhysicalDevice on, VkPhysicalDeviceFeatures2 *made)
{
    find_chain(on)->GetPhysicalDeviceFeatures2(on, made);
    layer_lower_features2(made);
}

// ---------------------------------------------------------------------------
// Names

#define ENTRY(name)                                                                      \
    {                                                                                    \
        "vk" #name, (PFN_vkVoidFunction)layer_##name                                     \
    }

static const struct entry {
    const char *name;
    PFN_vkVoidFunction function;
} device_entries[] = {
#define CALL(name, results, kind, parameters, arguments) ENTRY(name),
    DEVICE_CALLS(CALL)
#undef CALL
#define END(kind, function) ENTRY(function),
        DEVICE_OBJECTS(END)
#undef END
            ENTRY(DestroyDevice),
};

static const struct entry instance_entries[] = {
    ENTRY(CreateInstance),
    ENTRY(DestroyInstance),
    ENTRY(EnumeratePhysicalDevices),
    ENTRY(CreateDevice),
    ENTRY(GetPhysicalDeviceProperties),
    ENTRY(GetPhysicalDeviceProperties2),
    ENTRY(GetPhysicalDeviceFeatures),
    ENTRY(GetPhysicalDeviceFeatures2),
};

static PFN_vkVoidFunction find_entry(const struct entry *entries, size_t entry_count,
                                     const char *name)
{
    for (size_t i = 0; i < entry_count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return entries[i].function;
    return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL layer_device_function(VkDevice on,
                                                                      const char *name);

static PFN_vkVoidFunction our_device_function(const char *name)
{
    if (strcmp(name, "vkGetDeviceProcAddr") == 0)
        return (PFN_vkVoidFunction)layer_device_function;
    return find_entry(device_entries, sizeof(device_entries) / sizeof(device_entries[0]),
                      name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL layer_device_function(VkDevice on,
                                                                      const char *name)
{
    PFN_vkVoidFunction ours = our_device_function(name);

    return ours != NULL ? ours : find_chain(on)->next_device(on, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL layer_instance_function(VkInstance on,
                                                                        const char *name)
{
    PFN_vkVoidFunction ours = find_entry(
        instance_entries, sizeof(instance_entries) / sizeof(instance_entries[0]), name);

    if (strcmp(name, "vkGetInstanceProcAddr") == 0)
        return (PFN_vkVoidFunction)layer_instance_function;
    if (ours == NULL)
        ours = our_device_function(name);
    if (ours != NULL || on == VK_NULL_HANDLE)
        return ours;
    return find_chain(on)->next_instance(on, name);
}

EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface);

EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *interface)
{
    interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = layer_instance_function;
    interface->pfnGetDeviceProcAddr = layer_device_function;
    interface->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
