#include "model/load_generation.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"

namespace vsurge::model {
namespace {

// The value, or nothing and a warning when it is wrong.
template <class T>
std::optional<T> or_ignore(base::Result<std::optional<T>> value) {
  if (value) return *value;
  base::log_warning("{}; ignored", value.error().message);
  return std::nullopt;
}

void sort_once(std::vector<std::int32_t>& tokens) {
  std::ranges::sort(tokens);
  const auto rest = std::ranges::unique(tokens);
  tokens.erase(rest.begin(), rest.end());
}

base::Status add_ends(const ConfigObject& config, IntegerRange ids, GenerationDefaults& defaults) {
  const auto ends = VSURGE_TRY(config.integers("eos_token_id", ids));
  if (!ends) return {};
  if (ends->empty() || ends->size() > base::EngineLimits{}.stop_token_ids_max) {
    return config.wrong("eos_token_id",
                        fmt::format("1 to {} ids", base::EngineLimits{}.stop_token_ids_max));
  }
  for (const std::int64_t id : *ends) defaults.eos_tokens.push_back(static_cast<std::int32_t>(id));
  return {};
}

}  // namespace

base::Result<GenerationDefaults> read_generation(const ConfigObject& config,
                                                 const Config* generation, int vocabulary) {
  const IntegerRange ids = {.min = 0, .max = vocabulary - 1};
  GenerationDefaults defaults;
  VSURGE_TRY(add_ends(config, ids, defaults));
  auto bos = VSURGE_TRY(config.integer("bos_token_id", ids));
  if (generation != nullptr) {
    const ConfigObject root = generation->root();
    VSURGE_TRY(add_ends(root, ids, defaults));
    const auto own_bos = VSURGE_TRY(root.integer("bos_token_id", ids));
    if (own_bos) bos = own_bos;
    // 1e-30: above zero; a float of the same kind cannot become 0.
    const auto temperature = or_ignore(root.number("temperature", {.min = 0, .max = 100}));
    const auto top_p = or_ignore(root.number("top_p", {.min = 1e-30, .max = 1}));
    const auto top_k = or_ignore(root.integer("top_k", {.min = 0, .max = 1 << 30}));
    const auto min_p = or_ignore(root.number("min_p", {.min = 0, .max = 1}));
    const auto repetition = or_ignore(root.number("repetition_penalty", {.min = 1e-30, .max = 10}));
    const auto most = or_ignore(root.integer("max_new_tokens", {.min = 1, .max = 1 << 30}));
    if (most) defaults.max_new_tokens = static_cast<int>(*most);
    if (min_p) defaults.min_p = static_cast<float>(*min_p);
    if (repetition) defaults.repetition_penalty = static_cast<float>(*repetition);
    if (temperature) defaults.temperature = static_cast<float>(*temperature);
    if (top_p) defaults.top_p = static_cast<float>(*top_p);
    if (top_k) defaults.top_k = static_cast<int>(*top_k);
  }
  if (bos) defaults.bos_token = static_cast<std::int32_t>(*bos);
  sort_once(defaults.eos_tokens);
  return defaults;
}

base::Result<GenerationDefaults> read_generation(const GgufFile& file, int vocabulary) {
  const IntegerRange ids = {.min = 0, .max = vocabulary - 1};
  GenerationDefaults defaults;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    const auto id = VSURGE_TRY(file.integer(key, ids));
    if (id) defaults.eos_tokens.push_back(static_cast<std::int32_t>(*id));
  }
  const auto bos = VSURGE_TRY(file.integer("tokenizer.ggml.bos_token_id", ids));
  if (bos) defaults.bos_token = static_cast<std::int32_t>(*bos);
  sort_once(defaults.eos_tokens);
  return defaults;
}

}  // namespace vsurge::model
