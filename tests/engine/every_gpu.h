// tests/engine/every_gpu.h
// SPDX-License-Identifier: MIT
//
// Every Vulkan device of the machine, for tests that must hold on all of them.
#ifndef ORIEL_TESTS_ENGINE_EVERY_GPU_H
#define ORIEL_TESTS_ENGINE_EVERY_GPU_H

#include <stddef.h>

#include "base/err.h"
#include "engine/gpu/gpu.h"

#define EVERY_GPU_MAX 8

// Opens them with the traits named in `disable` masked, and prints which. Returns how
// many; 0: err says why.
size_t every_gpu_open(struct gpu *gpus[EVERY_GPU_MAX], const char *disable,
                      struct err *err);
void every_gpu_close(struct gpu *gpus[EVERY_GPU_MAX], size_t count);

#endif
