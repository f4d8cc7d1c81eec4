// How the next token is chosen, and when an answer ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vsurge {

struct SamplingParams {
  std::optional<int> max_tokens = 16;      // absent: what fits the context
  float temperature = 1.0F;                // [0, 2]; 0 = greedy
  float top_p = 1.0F;                      // (0, 1]
  int top_k = 0;                           // 0 = off
  float min_p = 0.0F;                      // [0, 1]
  std::optional<std::uint64_t> seed = {};  // the same seed gives the same answer
  std::vector<std::string> stop = {};      // at most 4; never part of the answer
  std::vector<std::int32_t> stop_token_ids = {};
  bool ignore_eos = false;
};

}  // namespace vsurge
