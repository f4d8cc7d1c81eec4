#include "facade/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace vsurge::facade {
namespace {

// For what is not planned: the tokenizer, requests, stacks, the allocator.
constexpr std::int64_t kMarginBytes = 256LL * 1024 * 1024;

}  // namespace

std::int64_t kv_bytes_of_all(const KvDemand& demand) {
  const auto budget =
      static_cast<std::int64_t>(demand.utilization * static_cast<double>(demand.allowed_bytes));
  const std::int64_t room = budget - demand.fixed_bytes - kMarginBytes;
  const std::int64_t left = demand.available_bytes - demand.step_bytes - kMarginBytes;
  const std::int64_t asked =
      demand.kv_bytes > 0 ? demand.kv_bytes : std::max(kKvBytesDefault, demand.context_bytes_max);
  return std::max<std::int64_t>(0, std::min({asked, room, left}));
}

std::vector<std::int64_t> divide_bytes(std::int64_t bytes, std::span<const double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> shares;
  std::int64_t left = bytes;
  for (const double weight : weights) {
    const auto share =
        std::min(left, static_cast<std::int64_t>(static_cast<double>(bytes) * (weight / sum)));
    shares.push_back(share);
    left -= share;
  }
  return shares;
}

base::Result<int> plan_pages(const PageDemand& demand) {
  const auto budget =
      static_cast<std::int64_t>(demand.utilization * static_cast<double>(demand.allowed_bytes));
  const std::int64_t fixed =
      demand.weight_bytes + demand.step_bytes + demand.other_bytes + kMarginBytes;
  const std::int64_t room = std::max<std::int64_t>(0, budget - fixed);
  const std::int64_t per_context = (demand.context_max + demand.page_size - 1) / demand.page_size;
  const std::int64_t wanted = per_context * demand.sequences_max;
  const std::int64_t most = std::numeric_limits<std::int32_t>::max() / demand.page_size;
  constexpr std::int64_t kMiB = 1024 * 1024;
  if (demand.kv_bytes > 0 && demand.kv_bytes / demand.page_bytes < per_context) {
    return base::fail(base::ErrorCode::kUsage,
                      "kv_cache_memory_bytes: one context of {} tokens needs {} MiB, found {}: "
                      "give a smaller max_length or more",
                      demand.context_max, per_context * demand.page_bytes / kMiB,
                      demand.kv_bytes / kMiB);
  }
  const std::int64_t asked = demand.kv_bytes > 0
                                 ? demand.kv_bytes / demand.page_bytes
                                 : std::max(kKvBytesDefault / demand.page_bytes, per_context);
  const std::int64_t left =
      std::max<std::int64_t>(0, demand.available_bytes - demand.step_bytes - kMarginBytes);
  const std::int64_t pages =
      std::min({room / demand.page_bytes, left / demand.page_bytes, wanted, asked, most});
  if (pages < per_context) {
    return base::fail(base::ErrorCode::kEnvironment,
                      "memory: one context of {} tokens needs {} MiB beside {} MiB for weights "
                      "and activations; found {} MiB in all ({:.0f} % of {} MiB), {} MiB free: "
                      "give a smaller max_length or a larger hbm_utilization",
                      demand.context_max, per_context * demand.page_bytes / kMiB, fixed / kMiB,
                      budget / kMiB, demand.utilization * 100, demand.allowed_bytes / kMiB,
                      demand.available_bytes / kMiB);
  }
  return static_cast<int>(pages);
}

}  // namespace vsurge::facade
