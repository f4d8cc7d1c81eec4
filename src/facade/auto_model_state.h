// What AutoModelForCausalLM holds.
#pragma once

#include <atomic>
#include <memory>

#include "facade/load_plan.h"
#include "model/model.h"
#include "tensor/backend.h"
#include "vsurge/auto_model.h"

namespace vsurge {

struct AutoModelForCausalLM::State {
  std::unique_ptr<tensor::Backend> backend;
  std::unique_ptr<model::Model> model;  // destroyed before its backend
  facade::LoadPlan plan;
  std::string isa;
  int threads = 0;
  int context_max = 0;
  // A model runs under one engine: its KV cache and activations are reserved once.
  std::atomic<bool> taken = false;
};

}  // namespace vsurge
