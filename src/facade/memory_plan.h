// How many pages of KV cache this machine has room for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace vsurge::facade {

struct PageDemand {
  std::int64_t allowed_bytes = 0;  // base::memory_allowed_bytes()
  double utilization = 0.8;        // share of it to use
  std::int64_t weight_bytes = 0;
  std::int64_t step_bytes = 0;   // activations and scratch
  std::int64_t other_bytes = 0;  // that other models of the process have taken
  std::int64_t page_bytes = 0;   // of one page over all layers
  int page_size = 0;
  int context_max = 0;
  int sequences_max = 0;
  std::int64_t available_bytes = 0;  // base::memory_available_bytes(), with the weights loaded
  std::int64_t kv_bytes = 0;  // for pages; 0 = kKvBytesDefault, or one context if that is more
};

// All pages are really taken before the server is ready: more than this must be asked for.
inline constexpr std::int64_t kKvBytesDefault = 4LL * 1024 * 1024 * 1024;

// What the KV caches of several models may have in all: what was asked for, or kKvBytesDefault, or
// the longest context if that is more, but no more than there is room for.
struct KvDemand {
  std::int64_t allowed_bytes = 0;  // as PageDemand
  double utilization = 0.8;
  std::int64_t fixed_bytes = 0;      // weights and steps of all models
  std::int64_t step_bytes = 0;       // of these the steps
  std::int64_t available_bytes = 0;  // with the weights loaded
  std::int64_t kv_bytes = 0;         // 0 = kKvBytesDefault
  std::int64_t context_bytes_max = 0;
};
std::int64_t kv_bytes_of_all(const KvDemand& demand);

// Shares in proportion to the weights, which are above 0; their sum is at most `bytes`.
std::vector<std::int64_t> divide_bytes(std::int64_t bytes, std::span<const double> weights);

// As many pages as fit, but no more than `sequences_max` full contexts need. kEnvironment when not
// even one full context fits, with both sizes; kUsage when kv_bytes are too few for it.
base::Result<int> plan_pages(const PageDemand& demand);

}  // namespace vsurge::facade
