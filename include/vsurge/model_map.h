// Several models in one process: how they share its memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vsurge/auto_model.h"
#include "vsurge/auto_tokenizer.h"
#include "vsurge/error.h"
#include "vsurge/surge.h"

namespace vsurge {

struct ModelSource {
  std::string name;
  AutoModelForCausalLM model;
  AutoTokenizer processor;
  double memory = 1;  // weight in the division of the memory for KV caches
};

struct DividedModels {
  std::map<std::string, vSurge> vsurge_map;  // by name
  std::int64_t spare_bytes = 0;
};

// A vSurge of each, with the same options; a max_length is cut to the model's own. Their KV caches
// have in all what one model would have (kv_cache_memory_bytes, or as that says), in proportion to
// their weights; `spare` is the weight of what is kept for models that come later. Load all models
// before: the memory that they leave is what is divided. Throws kUsage where a share holds not one
// request of full length.
DividedModels divide_memory(const std::vector<ModelSource>& sources,
                            const SurgeOptions& options = {}, double spare = 0);

}  // namespace vsurge
