// What the endpoints need of one model, and through it of the service. Internal to api.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/grammar_cache.h"
#include "api/request_metrics.h"
#include "api/service_hub.h"
#include "base/clock.h"

namespace vsurge::api {

// Everything but the counters is set at construction; any thread. Who holds it for a request holds
// the hub, too. A model is not taken away while anybody holds its core.
struct ServiceCore {
  ServiceCore(ServiceHub& hub_in, const ServedModel& model);

  ServiceHub& hub;
  const ModelOptions options;
  const text::TextAssets& assets;
  engine::Engine& engine;
  EventRouter& router;
  // nullptr: answers cannot be constrained with this tokenizer.
  const std::unique_ptr<GrammarCache> grammars;
  const std::int64_t created = base::unix_seconds();
  const std::shared_ptr<RequestMetrics> metrics = std::make_shared<RequestMetrics>();

  std::atomic<bool> draining{false};    // as an admin wants it
  std::atomic<int> active_requests{0};  // completions and chats in work

  // Of a request that arrived then and may name a time itself, in seconds.
  void set_deadlines(base::Nanoseconds arrived, std::optional<double> timeout_seconds,
                     engine::Request& request) const;

  const std::string& name() const { return options.model_names.front(); }
  bool knows_model(std::string_view name) const;
  std::string new_id(std::string_view prefix) const { return hub.new_id(prefix); }
};

}  // namespace vsurge::api
