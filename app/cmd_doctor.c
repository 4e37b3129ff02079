// app/cmd_doctor.c
// SPDX-License-Identifier: MIT
//
// oriel doctor: runs every kernel on this machine's device against the plain C reference
// and prints errors and times. The exit code tells whether all passed.
#include "app/client.h"
#include "app/commands.h"
#include "app/output.h"

struct doctor {
    const char *device;
    bool json;
    struct client client;
    size_t failed;
};

#define AT(member) offsetof(struct doctor, member)
static const struct option_spec options[] = {
    { 0, "device", "DEVICE", OPTION_TEXT, AT(device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print the report as JSON" },
    OPTIONS_END,
};

static void print_result(const json_t *result)
{
    fputs(json_is_true(json_object_get(result, "passed")) ? "ok   " : "FAIL ", stdout);
    put_column(result, "kernel", 12);
    put_column(result, "variant", 14);
    printf("%7.1e %7.1e %9.3f  ", json_number_value(json_object_get(result, "error")),
           json_number_value(json_object_get(result, "tolerance")),
           json_number_value(json_object_get(result, "milliseconds")));
    put_column(result, "case", 0);
    putchar('\n');
}

static void print_report(const struct doctor *doctor, const json_t *report)
{
    const json_t *results = json_object_get(report, "results"), *result;
    size_t i;

    put_column(report, "device", 0);
    printf("\n     %-12s %-14s %7s %7s %9s  case\n", "kernel", "variant", "error",
           "allowed", "ms");
    json_array_foreach (results, i, result)
        print_result(result);
    printf("%zu passed, %zu failed\n", json_array_size(results) - doctor->failed,
           doctor->failed);
}

static bool work(struct doctor *doctor, struct err *err)
{
    json_t *body = json_object(), *answer, *report;
    const json_t *result;
    size_t i;

    if (doctor->device != NULL)
        json_object_set_new(body, "device", json_string(doctor->device));
    if (!client_open(&doctor->client, false, err)) {
        json_decref(body);
        return false;
    }
    answer = client_call(&doctor->client, WIRE_DOCTOR, "checking kernels", body, err);
    if (answer == NULL)
        return false;
    report = json_object_get(answer, "doctor");
    json_array_foreach (json_object_get(report, "results"), i, result)
        doctor->failed += !json_is_true(json_object_get(result, "passed"));
    if (doctor->json)
        put_json(json_incref(report));
    else
        print_report(doctor, report);
    json_decref(answer);
    return true;
}

static int run(int argc, char **argv)
{
    struct doctor doctor = { 0 };
    struct operands operands;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_doctor, argc, argv, &doctor, &operands, &code))
        return code;
    code = work(&doctor, &err) ? EXIT_OK : complain("doctor", &err);
    client_close(&doctor.client);
    return code == EXIT_OK && doctor.failed > 0 ? EXIT_FAILED : code;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "[--device DEVICE] [--json]",
    .summary = "Check every kernel on this machine against plain C",
    .options = options,
    .run = run,
};
