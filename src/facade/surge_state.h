// What vSurge holds: the engine and all that it runs on.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "api/event_router.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/executor.h"
#include "engine/failpoint.h"
#include "vsurge/surge.h"

namespace vsurge {

// Members are destroyed from the last to the first: the engine's thread ends before what it uses.
struct vSurge::State {
  AutoModelForCausalLM model;
  AutoTokenizer processor;
  SurgeOptions options;
  std::string name;
  int context_max = 0;
  int prompt_max = 0;
  int pages = 0;
  std::int64_t page_bytes = 0;

  base::SteadyClock clock;
  api::EventRouter router;
  model::StepLimits limits;
  engine::EngineOptions engine_options;  // with the cost of steps once it is measured
  std::unique_ptr<engine::Executor> executor;
  std::unique_ptr<engine::FailingRunner> failing;  // beside the executor, in tests
  std::unique_ptr<engine::Engine> engine;

  std::mutex start_mutex;
  bool warm = false;     // guarded by start_mutex
  bool started = false;  // guarded by start_mutex

  State(AutoModelForCausalLM model_in, AutoTokenizer processor_in, SurgeOptions options_in)
      : model(std::move(model_in)),
        processor(std::move(processor_in)),
        options(std::move(options_in)) {}

  // Warms the engine up (once) and starts it, unless it runs.
  base::Status start();
  // Ends every request; start() begins anew.
  void stop();
};

namespace facade {

// A prompt as text, or as token ids already.
using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

// vSurge::generate below the exceptions.
base::Result<std::vector<ReturnSample>> generate(vSurge::State& surge,
                                                 const std::vector<Prompt>& prompts,
                                                 const SamplingParams& sampling,
                                                 const vSurge::OnSample& on_sample);

}  // namespace facade
}  // namespace vsurge
