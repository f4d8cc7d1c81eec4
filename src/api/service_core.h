// What the parts of the service share. Internal to api.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "api/background.h"
#include "api/grammar_cache.h"
#include "api/request_metrics.h"
#include "api/response_store.h"
#include "api/service.h"
#include "base/clock.h"

namespace vsurge::api {

// Everything but the counters is set at construction; any thread.
struct ServiceCore {
  ServiceCore(ServiceOptions options_in, const text::TextAssets& assets_in,
              engine::Engine& engine_in, EventRouter& router_in,
              std::shared_ptr<ResponseStore> store_in);

  const ServiceOptions options;
  const text::TextAssets& assets;
  engine::Engine& engine;
  EventRouter& router;
  const std::shared_ptr<ResponseStore> store_owner;
  ResponseStore& store = *store_owner;
  const base::SteadyClock clock;
  // nullptr: answers cannot be constrained with this tokenizer.
  const std::unique_ptr<GrammarCache> grammars;
  const base::Nanoseconds started = clock.now();
  const std::int64_t created = base::unix_seconds();

  RequestMetrics metrics;
  BackgroundResponses background;
  std::atomic<bool> loading{false};
  std::atomic<bool> shutting_down{false};
  std::atomic<bool> draining{false};             // as an admin wants it
  std::atomic<int> active_requests{0};           // completions and chats in work
  std::atomic<std::size_t> text_queue_bytes{0};  // bodies that wait for a text worker

  // To the metrics and all observers. Any thread.
  void tell_ended(const RequestRecord& record);

  // Of a request that arrived then and may name a time itself, in seconds.
  void set_deadlines(base::Nanoseconds arrived, std::optional<double> timeout_seconds,
                     engine::Request& request) const;
  // error_headers(), with clients that were refused at the same time spread over some seconds.
  Headers error_headers(const ApiError& error);

  bool knows_model(std::string_view name) const;
  // The prefix and 24 hex digits, never the same twice.
  std::string new_id(std::string_view prefix);

 private:
  const std::uint64_t id_key_;
  std::atomic<std::uint64_t> id_count_{0};
  std::atomic<std::uint64_t> error_count_{0};
};

}  // namespace vsurge::api
