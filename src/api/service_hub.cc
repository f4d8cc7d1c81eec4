#include "api/service_hub.h"

#include <algorithm>
#include <random>
#include <utility>

#include "api/guard.h"

namespace vsurge::api {
namespace {

std::uint64_t random_key() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

// A bijection of 64 bits (splitmix64's finaliser, Vigna).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

}  // namespace

ServiceHub::ServiceHub(ServiceOptions options_in, std::unique_ptr<ResponseStore> store_in)
    : options(std::move(options_in)),
      store_owner(store_in != nullptr ? std::move(store_in) : make_memory_store({})),
      id_key_(random_key()) {}

void ServiceHub::tell_ended(const RequestRecord& record) {
  count_ended(*this, record);
  metrics.ended(record);
  if (record.model_metrics != nullptr) record.model_metrics->ended(record);
  for (const auto& observer : options.observers) observer->ended(record);
}

// Half as long again and two seconds at most; limits of keys are told as they are.
Headers ServiceHub::error_headers(const ApiError& error) {
  ApiError spread = error;
  if (error.code != "rate_limit_exceeded") {
    const int least = std::max(1, error.retry_after_seconds);
    const std::uint64_t chance = mix(id_key_ ^ error_count_.fetch_add(1));
    spread.retry_after_seconds =
        least + static_cast<int>(chance % (static_cast<std::uint64_t>(least) / 2 + 3));
  }
  return api::error_headers(spread);
}

// Unique within the process by the bijection; the rest tells processes apart.
std::string ServiceHub::new_id(std::string_view prefix) {
  const std::uint64_t count = id_count_.fetch_add(1, std::memory_order_relaxed);
  return fmt::format("{}{:016x}{:08x}", prefix, mix(id_key_ + count),
                     static_cast<std::uint32_t>(mix(id_key_ ^ ~count)));
}

}  // namespace vsurge::api
