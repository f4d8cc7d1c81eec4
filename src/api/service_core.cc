#include "api/service_core.h"

#include <algorithm>
#include <random>
#include <utility>

#include "api/guard.h"
#include "base/log.h"

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

std::unique_ptr<GrammarCache> make_grammars(const text::Tokenizer& tokenizer,
                                            const ServiceOptions& options) {
  if (options.end_tokens.empty()) return nullptr;
  auto factory = text::GrammarFactory::make(tokenizer, options.vocabulary, options.end_tokens);
  if (!factory) {
    base::log_warning("answers cannot be constrained (response_format, tool_choice): {}",
                      factory.error().message);
    return nullptr;
  }
  return std::make_unique<GrammarCache>(std::move(*factory), base::GrammarLimits{}.cache_bytes_max);
}

}  // namespace

ServiceCore::ServiceCore(ServiceOptions options_in, const text::TextAssets& assets_in,
                         engine::Engine& engine_in, EventRouter& router_in,
                         std::shared_ptr<ResponseStore> store_in)
    : options(std::move(options_in)),
      assets(assets_in),
      engine(engine_in),
      router(router_in),
      store_owner(std::move(store_in)),
      grammars(make_grammars(assets_in.tokenizer, options)),
      id_key_(random_key()) {}

void ServiceCore::tell_ended(const RequestRecord& record) {
  count_ended(*this, record);
  metrics.ended(record);
  for (const auto& observer : options.observers) observer->ended(record);
}

void ServiceCore::set_deadlines(base::Nanoseconds arrived, std::optional<double> timeout_seconds,
                                engine::Request& request) const {
  base::Nanoseconds longest = options.request_timeout;
  if (timeout_seconds) {
    const auto own = static_cast<base::Nanoseconds>(*timeout_seconds * 1e9);
    longest = longest == 0 ? own : std::min(longest, own);
  }
  if (longest != 0 || timeout_seconds) request.deadline = arrived + longest;
  if (options.queue_timeout != 0) request.queue_deadline = arrived + options.queue_timeout;
}

// Half as long again and two seconds at most; limits of keys are told as they are.
Headers ServiceCore::error_headers(const ApiError& error) {
  ApiError spread = error;
  if (error.code != "rate_limit_exceeded") {
    const int least = std::max(1, error.retry_after_seconds);
    const std::uint64_t chance = mix(id_key_ ^ error_count_.fetch_add(1));
    spread.retry_after_seconds =
        least + static_cast<int>(chance % (static_cast<std::uint64_t>(least) / 2 + 3));
  }
  return api::error_headers(spread);
}

bool ServiceCore::knows_model(std::string_view name) const {
  return std::ranges::find(options.model_names, name) != options.model_names.end();
}

// Unique within the process by the bijection; the rest tells processes apart.
std::string ServiceCore::new_id(std::string_view prefix) {
  const std::uint64_t count = id_count_.fetch_add(1, std::memory_order_relaxed);
  return fmt::format("{}{:016x}{:08x}", prefix, mix(id_key_ + count),
                     static_cast<std::uint32_t>(mix(id_key_ ^ ~count)));
}

}  // namespace vsurge::api
