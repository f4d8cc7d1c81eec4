// Machine: what a step takes on it, from a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/step_cost.h"

namespace vsurge::capacity {

// What one token makes a machine do.
struct ModelWork {
  double weight_bytes = 0;    // read in each step
  double layer_ops = 0;       // of a token in the layers; a multiplication and an addition are two
  double head_ops = 0;        // of a row of logits
  double key_bytes = 0;       // of one cached token, all layers
  double prompt_key_ops = 0;  // of a query and a key, all layers
};

// Either the steps are measured, or what bounds them is said: a step takes what reading the weights
// takes, or what the multiplications take, whichever is longer.
struct Machine {
  double memory_bytes = 0;  // that one replica may use; 0 = not said
  double read_bytes_per_second = 0;
  double ops_per_second = 0;
  engine::StepCost measured;  // known() when there is one

  engine::StepCost cost_of(const ModelWork& work) const;
};

// JSON: {"memory_gb": 64, "read_gb_s": 200, "gop_s": 8000} or {"memory_gb": 64, "step":
// {"tokens_ns": [...], "row_ns": ..., "decode_key_ns": ..., "prompt_key_ns": ...}}. kUsage names
// `name` and the member.
base::Result<Machine> parse_machine(const std::string& name, std::string_view text);
// The same of a file of at most 64 KiB; kEnvironment when it cannot be read.
base::Result<Machine> read_machine(const std::string& path);
// The second form.
std::string machine_json(const engine::StepCost& cost, double memory_bytes);

}  // namespace vsurge::capacity
