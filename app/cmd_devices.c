// app/cmd_devices.c
// SPDX-License-Identifier: MIT
//
// oriel devices: the GPUs of this machine, what each can do, and which kernel variant was
// chosen for each operation, and why. The engine makes the report (docs/formats.md); this
// prints it.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/client.h"
#include "app/commands.h"
#include "app/output.h"

struct devices {
    bool json;
    struct client client;
};

static const struct option_spec options[] = {
    { 0, "json", NULL, OPTION_FLAG, offsetof(struct devices, json), 0, 0,
      "print the report as JSON" },
    OPTIONS_END,
};

static void put_value(const json_t *value)
{
    char *text;

    if (json_is_string(value)) {
        put_printable(stdout, json_string_value(value), json_string_length(value));
        return;
    }
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text != NULL)
        put_printable(stdout, text, strlen(text));
    free(text);
}

static void print_kernel(const json_t *kernel)
{
    fputs("    ", stdout);
    put_column(kernel, "operation", 12);
    put_column(kernel, "variant", 15);
    put_value(json_object_get(kernel, "why"));
    putchar('\n');
}

// The names of the traits that are `wanted`, true or false, on one line.
static void print_flags(json_t *traits, const char *title, bool wanted)
{
    const char *key, *separator = "";
    json_t *value;

    printf("    %-20s ", title);
    json_object_foreach (traits, key, value) {
        if (!json_is_boolean(value) || json_is_true(value) != wanted)
            continue;
        fputs(separator, stdout);
        put_printable(stdout, key, strlen(key));
        separator = ", ";
    }
    fputs(*separator != '\0' ? "\n" : "nothing\n", stdout);
}

static void print_traits(json_t *traits)
{
    const char *key;
    json_t *value;

    print_flags(traits, "can", true);
    print_flags(traits, "cannot", false);
    json_object_foreach (traits, key, value) {
        if (json_is_boolean(value))
            continue;
        fputs("    ", stdout);
        put_printable(stdout, key, strlen(key));
        printf("%*s ", strlen(key) < 20 ? 20 - (int)strlen(key) : 0, "");
        put_value(value);
        putchar('\n');
    }
}

static void print_device(const json_t *device)
{
    const json_t *kernel;
    size_t i;

    put_value(json_object_get(device, "index"));
    fputs(": ", stdout);
    put_value(json_object_get(device, "name"));
    fputs("\n    ", stdout);
    put_value(json_object_get(device, "type"));
    fputs(", driver ", stdout);
    put_value(json_object_get(device, "driver"));
    fputs(", Vulkan ", stdout);
    put_value(json_object_get(device, "api"));
    printf(", %.1f GiB\n",
           (double)json_integer_value(json_object_get(device, "memory_bytes")) /
               1073741824);
    fputs("  traits\n", stdout);
    print_traits(json_object_get(device, "traits"));
    fputs("  kernels\n", stdout);
    json_array_foreach (json_object_get(device, "kernels"), i, kernel)
        print_kernel(kernel);
}

static bool work(struct devices *devices, struct err *err)
{
    json_t *result, *list, *device;
    size_t i;

    if (!client_open(&devices->client, false, err))
        return false;
    result = client_call(&devices->client, WIRE_DEVICES, "looking at the devices",
                         json_object(), err);
    if (result == NULL)
        return false;
    list = json_object_get(result, "devices");
    if (devices->json)
        put_json(json_incref(list));
    else
        json_array_foreach (list, i, device)
            print_device(device);
    json_decref(result);
    return true;
}

static int run(int argc, char **argv)
{
    struct devices devices = { 0 };
    struct operands operands;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_devices, argc, argv, &devices, &operands, &code))
        return code;
    code = work(&devices, &err) ? EXIT_OK : complain("devices", &err);
    client_close(&devices.client);
    return code;
}

const struct command command_devices = {
    .name = "devices",
    .usage = "[--json]",
    .summary = "List the GPUs, what they can do and the kernels chosen for them",
    .options = options,
    .run = run,
};
