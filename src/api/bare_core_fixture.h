// For tests and fuzzing: what the service's parts share, over an engine that never runs.
#pragma once

#include <utility>

#include "api/service_core.h"
#include "base/clock.h"
#include "engine/engine.h"

namespace vsurge::api::testing {

class BareCore {
 public:
  BareCore(ModelOptions options, const text::TextAssets& assets)
      : engine_(engine_options(options), runner_, router_, clock_),
        hub_(ServiceOptions()),
        core_(hub_, {std::move(options), assets, engine_, router_}) {}

  ServiceCore& operator*() { return core_; }
  const ServiceCore& operator*() const { return core_; }

 private:
  struct NoRunner final : engine::StepRunner {
    void run(const engine::StepPlan&, engine::StepResult&) override {}
  };
  static engine::EngineOptions engine_options(const ModelOptions& from) {
    engine::EngineOptions out;
    out.context_max = from.context_max;
    out.pages = 16;
    out.vocabulary = from.vocabulary;
    return out;
  }

  NoRunner runner_;
  EventRouter router_;
  base::SteadyClock clock_;
  engine::Engine engine_;
  ServiceHub hub_;
  ServiceCore core_;
};

}  // namespace vsurge::api::testing
