// app/cmd_bench.c
// SPDX-License-Identifier: MIT
//
// oriel bench: how fast a model runs here, as the median of several runs after one that
// does not count, and how much of what this device can do at most (measured, not quoted)
// that is: reading the prompt is bound by arithmetic, generation by reading the weights.
#include <stdlib.h>
#include <string.h>

#include "app/client.h"
#include "app/commands.h"
#include "app/output.h"
#include "base/alloc.h"

#define RUNS_MAX 1000

struct bench {
    struct model_choice model;
    uint32_t prompt_tokens, generated_tokens, runs;
    bool json;
    struct client client;
    int64_t *prompt_ns, *generation_ns; // [runs]
    uint64_t peak_memory_bytes;
    json_t *limits;
};

#define AT(member) offsetof(struct bench, member)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 'p', "prompt", "TOKENS", OPTION_U32, AT(prompt_tokens), 0, 1000000,
      "length of the prompt (512)" },
    { 'n', "generate", "TOKENS", OPTION_U32, AT(generated_tokens), 0, 1000000,
      "tokens to generate (128)" },
    { 'r', "runs", "N", OPTION_U32, AT(runs), 1, RUNS_MAX, "runs that count (5)" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print one JSON object" },
    { 0, "device", "DEVICE", OPTION_TEXT, AT(model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, AT(model.context_tokens), 0, 0,
      "size of the context; 0: the model's own" },
    OPTIONS_END,
};

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double median_seconds(const int64_t *times, size_t count)
{
    int64_t *sorted = alloc_array(count, sizeof(*sorted));
    double median;

    for (size_t i = 0; i < count; i++)
        sorted[i] = times[i];
    qsort(sorted, count, sizeof(*sorted), compare_times);
    median = (double)(sorted[count / 2] + sorted[(count - 1) / 2]) * 0.5e-9;
    free(sorted);
    return median;
}

// 0 when nothing was measured.
static double rate(uint32_t tokens, const int64_t *times, size_t runs)
{
    double seconds = median_seconds(times, runs);

    return seconds > 0 ? tokens / seconds : 0;
}

static bool run_once(struct bench *bench, const char *stage, int64_t *prompt_ns,
                     int64_t *generation_ns, struct err *err)
{
    json_t *body = json_object(), *result;
    uint64_t prompt, generation;
    bool ok;

    json_object_set_new(body, "prompt_tokens", json_integer(bench->prompt_tokens));
    json_object_set_new(body, "generated_tokens", json_integer(bench->generated_tokens));
    result = client_call(&bench->client, WIRE_BENCH, stage, body, err);
    ok = result != NULL && wire_get_uint(result, "prompt_ns", INT64_MAX, &prompt, err) &&
         wire_get_uint(result, "generation_ns", INT64_MAX, &generation, err) &&
         wire_get_uint(result, "peak_memory_bytes", INT64_MAX, &bench->peak_memory_bytes,
                       err);
    json_decref(result);
    if (ok) {
        *prompt_ns = (int64_t)prompt;
        *generation_ns = (int64_t)generation;
    }
    return ok;
}

static bool measure(struct bench *bench, struct err *err)
{
    if (!run_once(bench, "warming up", &bench->prompt_ns[0], &bench->generation_ns[0],
                  err))
        return false;
    for (uint32_t i = 0; i < bench->runs; i++) {
        char stage[48];

        snprintf(stage, sizeof(stage), "measuring, run %u of %u", i + 1, bench->runs);
        if (!run_once(bench, stage, &bench->prompt_ns[i], &bench->generation_ns[i], err))
            return false;
    }
    bench->limits = client_call(&bench->client, WIRE_LIMITS,
                                "measuring the limits of the device", json_object(), err);
    return bench->limits != NULL;
}

struct shares {
    double bytes_per_second, multiply_adds_per_second;
    double prompt_arithmetic, generation_bandwidth; // 0 to 1
};

static bool find_shares(const struct bench *bench, double prompt_rate,
                        double generation_rate, struct shares *shares, struct err *err)
{
    uint64_t bytes, multiply_adds;

    if (!wire_get_real(bench->limits, "bytes_per_second", &shares->bytes_per_second,
                       err) ||
        !wire_get_real(bench->limits, "multiply_adds_per_second",
                       &shares->multiply_adds_per_second, err) ||
        !wire_get_uint(bench->limits, "weight_bytes_per_token", INT64_MAX, &bytes, err) ||
        !wire_get_uint(bench->limits, "multiply_adds_per_token", INT64_MAX,
                       &multiply_adds, err))
        return false;
    shares->prompt_arithmetic =
        prompt_rate * (double)multiply_adds / shares->multiply_adds_per_second;
    shares->generation_bandwidth =
        generation_rate * (double)bytes / shares->bytes_per_second;
    return true;
}

static json_t *times_json(const int64_t *times, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer(times[i]));
    return array;
}

static void print_json(const struct bench *bench, double prompt_rate,
                       double generation_rate, const struct shares *shares)
{
    const struct engine_info *info = &bench->client.info;
    json_t *out = json_object();

    json_object_set_new(out, "model", json_string(info->model_name));
    json_object_set_new(out, "quantisation", json_string(info->quantisation));
    json_object_set_new(out, "device", json_string(info->device_name));
    json_object_set_new(out, "prompt_tokens", json_integer(bench->prompt_tokens));
    json_object_set_new(out, "generated_tokens", json_integer(bench->generated_tokens));
    json_object_set_new(out, "runs", json_integer(bench->runs));
    wire_set_real(out, "prompt_tokens_per_second", prompt_rate);
    wire_set_real(out, "generation_tokens_per_second", generation_rate);
    json_object_set_new(out, "prompt_ns", times_json(bench->prompt_ns, bench->runs));
    json_object_set_new(out, "generation_ns",
                        times_json(bench->generation_ns, bench->runs));
    wire_set_real(out, "load_seconds", (double)info->load_ns * 1e-9);
    json_object_set_new(out, "peak_memory_bytes",
                        json_integer((json_int_t)bench->peak_memory_bytes));
    json_object_set_new(out, "device_memory_bytes",
                        json_integer((json_int_t)info->device_bytes));
    json_object_set(out, "limits", bench->limits);
    wire_set_real(out, "prompt_arithmetic_share", shares->prompt_arithmetic);
    wire_set_real(out, "generation_bandwidth_share", shares->generation_bandwidth);
    put_json(out);
}

static void print_table(const struct bench *bench, double prompt_rate,
                        double generation_rate, const struct shares *shares)
{
    const struct engine_info *info = &bench->client.info;

    fputs("model     ", stdout);
    put_printable(stdout, info->model_name, strlen(info->model_name));
    fputs(", ", stdout);
    put_printable(stdout, info->quantisation, strlen(info->quantisation));
    printf(", %.1f M parameters\ndevice    ", (double)info->parameter_count * 1e-6);
    put_printable(stdout, info->device_name, strlen(info->device_name));
    printf("\nprompt    %9.1f tokens/s, %3.0f %% of %.1f G multiply-adds/s (%u tokens)\n",
           prompt_rate, shares->prompt_arithmetic * 100,
           shares->multiply_adds_per_second * 1e-9, bench->prompt_tokens);
    printf("generate  %9.1f tokens/s, %3.0f %% of %.1f GB/s (%u tokens)\n",
           generation_rate, shares->generation_bandwidth * 100,
           shares->bytes_per_second * 1e-9, bench->generated_tokens);
    printf("load      %9.2f s\n", (double)info->load_ns * 1e-9);
    printf("memory    %9.1f MiB at most in the process, %.1f MiB on the device\n",
           (double)bench->peak_memory_bytes / 1048576,
           (double)info->device_bytes / 1048576);
}

static bool work(struct bench *bench, const struct operands *operands, struct err *err)
{
    struct shares shares = { 0 };
    double prompt_rate, generation_rate;

    if (operands->count > 0)
        return err_set(err, ERR_USAGE, "\"%s\" has no place here", operands->items[0]);
    if (bench->prompt_tokens == 0 && bench->generated_tokens == 0)
        return err_set(err, ERR_USAGE, "nothing to measure: -p and -n are both 0");
    if (!model_choice_resolve(&bench->model, err) ||
        !client_open(&bench->client, false, err) ||
        !client_open_model(&bench->client, &bench->model, err) || !measure(bench, err))
        return false;
    prompt_rate = rate(bench->prompt_tokens, bench->prompt_ns, bench->runs);
    generation_rate = rate(bench->generated_tokens, bench->generation_ns, bench->runs);
    if (!find_shares(bench, prompt_rate, generation_rate, &shares, err))
        return false;
    if (bench->json)
        print_json(bench, prompt_rate, generation_rate, &shares);
    else
        print_table(bench, prompt_rate, generation_rate, &shares);
    return true;
}

static int run(int argc, char **argv)
{
    struct bench bench = { .prompt_tokens = 512, .generated_tokens = 128, .runs = 5 };
    struct operands operands;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_bench, argc, argv, &bench, &operands, &code))
        return code;
    bench.prompt_ns = alloc_array(bench.runs, sizeof(*bench.prompt_ns));
    bench.generation_ns = alloc_array(bench.runs, sizeof(*bench.generation_ns));
    code = work(&bench, &operands, &err) ? EXIT_OK : complain("bench", &err);
    client_close(&bench.client);
    json_decref(bench.limits);
    free(bench.prompt_ns);
    free(bench.generation_ns);
    return code;
}

const struct command command_bench = {
    .name = "bench",
    .usage = "-m MODEL [-p 512] [-n 128] [-r 5] [--json]",
    .summary = "Measure how fast a model runs here",
    .options = options,
    .run = run,
};
