// Engine: the loop that turns requests into tokens. One thread of its own.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/limits.h"
#include "engine/metrics.h"
#include "engine/request.h"
#include "engine/step_runner.h"

namespace vsurge::engine {

struct EngineOptions {
  int max_concurrent_decodes = 64;  // sequences running at once
  int max_concurrent_prefill = 1;   // prompts being read at once
  int max_batched_tokens = 512;     // of one step
  int context_max = 0;              // tokens of prompt plus answer
  int page_size = 16;
  int pages = 0;
  int vocabulary = 0;
  std::vector<TokenId> eos_tokens;
  std::uint64_t seed = 894;  // for requests that bring none
  base::EngineLimits limits;
};

// All functions may be called from any thread.
class Engine {
 public:
  // runner and sink must outlive the engine; the clock too.
  Engine(const EngineOptions& options, StepRunner& runner, EventSink& sink,
         const base::Clock& clock);
  ~Engine();  // stops

  void start();
  // Ends every request with kCancelled, joins the thread.
  void stop();
  // Refuses new requests, lets accepted ones finish. drained() tells when.
  void drain();
  bool drained() const;
  // pause: finishes the step in hand, keeps all state. resume: goes on.
  void pause();
  void resume();

  // A name for a request that is about to be submitted, so that its events can be routed first.
  Ticket new_ticket();
  // kContextLengthExceeded, kQueueFull, kShuttingDown, kInvalidRequest. After success, exactly one
  // end event follows; after an error none does.
  base::Status submit(Ticket ticket, Request request);
  // Takes effect within one step; unknown or ended tickets are ignored. The end event still comes.
  void cancel(Ticket ticket);

  EngineMetrics metrics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::engine
