// What vSurge holds: the engine and all that it runs on.
#pragma once

#include <atomic>
#include <cstdint>
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
#include "facade/compute_turns.h"
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
  std::int64_t taken_bytes = 0;  // of memory, as it was planned

  base::SteadyClock clock;
  api::EventRouter router;
  model::StepLimits limits;
  engine::EngineOptions engine_options;  // with the cost of steps once it is measured
  std::unique_ptr<engine::Executor> executor;
  std::unique_ptr<engine::FailingRunner> failing;  // beside the executor, in tests
  std::unique_ptr<facade::TurnRunner> turns;       // around what runs
  std::unique_ptr<engine::Engine> engine;

  std::mutex start_mutex;
  bool warm = false;     // guarded by start_mutex
  bool started = false;  // guarded by start_mutex

  State(AutoModelForCausalLM model_in, AutoTokenizer processor_in, SurgeOptions options_in)
      : model(std::move(model_in)),
        processor(std::move(processor_in)),
        options(std::move(options_in)) {}
  ~State();

  // Warms the engine up (once) and starts it, unless it runs.
  base::Status start();
  // Ends every request; start() begins anew.
  void stop();
};

namespace facade {

// Memory that the vSurges of the process have taken, as it was planned.
std::int64_t taken_by_all_surges();
// What vSurge::from_model would say of them first.
base::Status check_surge_options(const SurgeOptions& options, const AutoModelForCausalLM& model,
                                 const AutoTokenizer& processor);

// A prompt as text, or as token ids already.
using Prompt = std::variant<std::string, std::vector<std::int32_t>>;

// vSurge::generate below the exceptions.
base::Result<std::vector<ReturnSample>> generate(vSurge::State& surge,
                                                 const std::vector<Prompt>& prompts,
                                                 const SamplingParams& sampling,
                                                 const vSurge::OnSample& on_sample);

}  // namespace facade
}  // namespace vsurge
