// Engine: the loop that turns requests into tokens. One thread of its own.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "engine/metrics.h"
#include "engine/options.h"
#include "engine/request.h"
#include "engine/step_runner.h"

namespace vsurge::engine {

// All functions may be called from any thread, but stop, pause and replace_weights wait for the
// engine's thread and so must not be called from inside EventSink::publish. Events are published on
// the engine's thread, or by stop when it was never started.
class Engine {
 public:
  // runner and sink must outlive the engine; the clock too. options must pass check_options.
  Engine(const EngineOptions& options, StepRunner& runner, EventSink& sink,
         const base::Clock& clock);
  ~Engine();  // stops

  // Requests submitted before start wait for it. After stop, or a fault, start begins anew.
  // kEnvironment when the system has no thread.
  base::Status start();
  // How long steps take; before start.
  void set_cost(const StepCost& cost);
  // Ends every request with kCancelled, joins the thread.
  void stop();
  // Refuses new requests, lets accepted ones finish. drained() tells when.
  void drain();
  bool drained() const;
  // pause: returns when the step in hand is finished; no other begins, all state is kept, cancels
  // and deadlines still end requests. resume: goes on.
  void pause();
  void pause_soon();  // returns at once
  void resume();

  // A name for a request that is about to be submitted, so that its events can be routed first.
  Ticket new_ticket();
  // kContextLengthExceeded, kQueueFull (says when to try again), kShuttingDown, kInvalidRequest,
  // kEngineUnavailable. After success, exactly one end event of each choice follows; after an error
  // none does. A request without a seed gets
  // one that depends on the engine's seed and the ticket alone, so two equal requests differ.
  base::Status submit(Ticket ticket, Request request);
  // Takes effect within one step; unknown or ended tickets are ignored. The end events still come.
  void cancel(Ticket ticket);
  // One choice of it.
  void cancel(Ticket ticket, int choice);

  // The request computes nothing, and holds no pages, until it is resumed: for answers that nobody
  // takes. Takes effect within one step; unknown or ended tickets are ignored.
  void suspend(Ticket ticket);
  void resume(Ticket ticket);

  // Nothing computed so far is shared with requests that come later.
  void clear_prefix_cache();
  // Calls `replace` on the engine's thread while no request runs, and forgets the prefix cache:
  // requests at hand end first, with kCancelled if `abort`; new ones wait meanwhile. Returns what
  // `replace` returned, or kEngineUnavailable when the engine is not running or stops first. Waits,
  // while paused until resumed.
  base::Status replace_weights(std::function<base::Status()> replace, bool abort);

  EngineMetrics metrics() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::engine
