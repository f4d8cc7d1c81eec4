#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "engine/scheduler.h"

namespace vsurge::engine {

using base::ErrorCode;

namespace {

struct Submission {
  Ticket ticket = 0;
  Request request;
};

const base::Error kNoError{};

double seconds(base::Nanoseconds time) {
  return static_cast<double>(time) * 1e-9;
}

}  // namespace

struct Engine::State {
  enum class Turn : std::uint8_t { kStop, kRun, kHold };  // kHold: paused

  State(const EngineOptions& engine_options, StepRunner& step_runner, EventSink& event_sink,
        const base::Clock& engine_clock)
      : options(engine_options),
        runner(step_runner),
        sink(event_sink),
        clock(engine_clock),
        scheduler(engine_options) {}

  const EngineOptions options;
  StepRunner& runner;
  EventSink& sink;
  const base::Clock& clock;

  // Of the engine's thread, or of whoever holds `control` while there is none.
  Scheduler scheduler;
  StepResult result;
  double step_seconds = 0;

  std::mutex control;  // start and stop, one at a time; taken before `mutex`
  std::thread thread;  // guarded by control
  std::atomic<Ticket> last_ticket{0};
  std::atomic<base::Nanoseconds> step_began{-1};  // -1: no step in hand

  mutable std::mutex mutex;  // guards all below
  std::condition_variable wake;
  std::condition_variable between_steps;
  std::vector<Submission> inbox;
  std::vector<Ticket> cancels;
  bool stopping = false;  // also true when stopped
  bool draining = false;
  bool paused = false;
  bool failed = false;
  bool busy = false;         // the engine's thread is between taking the inbox and publishing
  std::size_t accepted = 0;  // requests without their end event
  std::size_t waiting_requests = 0;  // in the scheduler
  std::size_t waiting_tokens = 0;
  std::size_t inbox_tokens = 0;
  std::uint64_t refused = 0;
  EngineMetrics last;

  base::Status enqueue(Ticket ticket, Request request);
  Turn take_inbox(std::vector<Submission>& arrivals, std::vector<Ticket>& departures);
  bool something_to_do() const;
  void wait(std::unique_lock<std::mutex>& lock);
  void loop();
  std::span<const Event> step();
  std::span<const Event> hold();
  void publish(std::span<const Event> events);
  void remember();
  void end_all(FinishReason reason, const base::Error& error);
  void fail(const char* what);
};

base::Status Engine::State::enqueue(Ticket ticket, Request request) {
  const std::lock_guard lock(mutex);
  if (failed) return base::fail(ErrorCode::kEngineUnavailable, "the engine has failed");
  if (stopping || draining) {
    return base::fail(ErrorCode::kShuttingDown, "the engine takes no more requests");
  }
  const base::EngineLimits& limits = options.limits;
  const std::size_t queued = waiting_requests + inbox.size();
  if (queued >= limits.queue_requests_max) {
    return base::fail(ErrorCode::kQueueFull, "{} requests are waiting already, at most {} may",
                      queued, limits.queue_requests_max);
  }
  const std::size_t tokens = waiting_tokens + inbox_tokens;
  if (tokens + request.prompt.size() > limits.queue_tokens_max) {
    return base::fail(ErrorCode::kQueueFull,
                      "{} prompt tokens are waiting already, at most {} may, this request has {}",
                      tokens, limits.queue_tokens_max, request.prompt.size());
  }
  inbox_tokens += request.prompt.size();
  inbox.push_back({ticket, std::move(request)});
  ++accepted;
  return {};
}

bool Engine::State::something_to_do() const {
  return stopping || !inbox.empty() || !cancels.empty() || (!paused && !scheduler.idle());
}

// Sleeps until there is something to do; while paused also until the next deadline.
void Engine::State::wait(std::unique_lock<std::mutex>& lock) {
  while (!something_to_do()) {
    const auto deadline = scheduler.next_deadline();
    if (!deadline) {
      wake.wait(lock);
      continue;
    }
    const base::Nanoseconds left = *deadline - clock.now();
    if (left <= 0) return;
    wake.wait_for(lock, std::chrono::nanoseconds(left));
  }
}

// When it is time to stop the inbox stays as it is.
Engine::State::Turn Engine::State::take_inbox(std::vector<Submission>& arrivals,
                                              std::vector<Ticket>& departures) {
  std::unique_lock lock(mutex);
  busy = false;
  between_steps.notify_all();
  wait(lock);
  if (stopping) return Turn::kStop;
  busy = true;
  arrivals.clear();
  departures.clear();
  arrivals.swap(inbox);
  departures.swap(cancels);
  waiting_requests += arrivals.size();
  waiting_tokens += std::exchange(inbox_tokens, 0);
  return paused ? Turn::kHold : Turn::kRun;
}

void Engine::State::loop() {
  std::vector<Submission> arrivals;
  std::vector<Ticket> departures;
  try {
    for (;;) {
      const Turn turn = take_inbox(arrivals, departures);
      if (turn == Turn::kStop) break;
      for (Submission& arrival : arrivals) {
        scheduler.add(arrival.ticket, std::move(arrival.request));
      }
      for (const Ticket ticket : departures) scheduler.cancel(ticket);
      const std::span<const Event> events = turn == Turn::kRun ? step() : hold();
      remember();  // who hears of an end finds it in the metrics
      publish(events);
    }
    end_all(FinishReason::kCancelled, kNoError);
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("unknown exception");
  }
  const std::lock_guard lock(mutex);
  busy = false;
  between_steps.notify_all();
}

std::span<const Event> Engine::State::step() {
  const base::Nanoseconds begin = clock.now();
  const StepPlan& plan = scheduler.plan(begin);
  result.sequences.clear();
  result.sequences.resize(plan.sequences.size());
  if (!plan.empty()) {
    step_began.store(begin, std::memory_order_relaxed);
    runner.run(plan, result);
    step_began.store(-1, std::memory_order_relaxed);
    step_seconds += seconds(clock.now() - begin);
  }
  return scheduler.commit(result);
}

std::span<const Event> Engine::State::hold() {
  scheduler.expire(clock.now());
  return scheduler.flush();
}

void Engine::State::publish(std::span<const Event> events) {
  if (events.empty()) return;
  sink.publish(events);
  const auto ends =
      std::count_if(events.begin(), events.end(), [](const Event& event) { return event.is_end; });
  const std::lock_guard lock(mutex);
  accepted -= static_cast<std::size_t>(ends);
}

void Engine::State::remember() {
  const EngineMetrics metrics = scheduler.metrics();
  const std::lock_guard lock(mutex);
  waiting_requests = scheduler.waiting_requests();
  waiting_tokens = scheduler.waiting_tokens();
  last = metrics;
  last.step_seconds = step_seconds;
}

// The end of the thread, whatever the reason: nobody is left without an end event.
void Engine::State::end_all(FinishReason reason, const base::Error& error) {
  std::vector<Submission> arrivals;
  {
    const std::lock_guard lock(mutex);
    stopping = true;  // from here on nobody comes in
    arrivals.swap(inbox);
    cancels.clear();
    inbox_tokens = 0;
  }
  scheduler.abort_all(reason, error);  // drops a plan in hand, too
  for (Submission& arrival : arrivals) scheduler.add(arrival.ticket, std::move(arrival.request));
  scheduler.abort_all(reason, error);
  const std::span<const Event> events = scheduler.flush();
  remember();
  publish(events);
}

void Engine::State::fail(const char* what) {
  base::log_error("the engine stops: {}", what);
  step_began.store(-1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex);
    failed = true;
  }
  try {
    end_all(FinishReason::kError,
            {ErrorCode::kEngineUnavailable, fmt::format("the engine failed: {}", what), {}});
  } catch (const std::exception& error) {
    base::log_error("the engine could not tell its clients: {}", error.what());
  } catch (...) {
    base::log_error("the engine could not tell its clients");
  }
  const std::lock_guard lock(mutex);
  accepted = 0;
}

Engine::Engine(const EngineOptions& options, StepRunner& runner, EventSink& sink,
               const base::Clock& clock)
    : state_(std::make_unique<State>(options, runner, sink, clock)) {}

Engine::~Engine() {
  stop();
}

base::Status Engine::start() {
  State& s = *state_;
  const std::lock_guard control(s.control);
  if (s.thread.joinable()) {
    {
      const std::lock_guard lock(s.mutex);
      if (!s.failed) return {};
    }
    s.thread.join();
  }
  {
    const std::lock_guard lock(s.mutex);
    s.stopping = false;
    s.draining = false;
    s.failed = false;
  }
  try {
    s.thread = std::thread([&s] { s.loop(); });
  } catch (const std::system_error& error) {
    return base::fail(ErrorCode::kEnvironment, "no thread for the engine: {}", error.what());
  }
  return {};
}

void Engine::stop() {
  State& s = *state_;
  const std::lock_guard control(s.control);
  {
    const std::lock_guard lock(s.mutex);
    s.stopping = true;
    s.wake.notify_all();
  }
  if (s.thread.joinable()) {
    s.thread.join();
  } else {
    s.end_all(FinishReason::kCancelled, kNoError);  // never started
  }
}

void Engine::drain() {
  const std::lock_guard lock(state_->mutex);
  state_->draining = true;
}

bool Engine::drained() const {
  const std::lock_guard lock(state_->mutex);
  return (state_->draining || state_->stopping) && state_->accepted == 0;
}

void Engine::pause() {
  std::unique_lock lock(state_->mutex);
  state_->paused = true;
  state_->between_steps.wait(lock, [this] { return !state_->busy; });
}

void Engine::resume() {
  const std::lock_guard lock(state_->mutex);
  state_->paused = false;
  state_->wake.notify_all();
}

Ticket Engine::new_ticket() {
  return ++state_->last_ticket;
}

base::Status Engine::submit(Ticket ticket, Request request) {
  State& s = *state_;
  auto status = check_request(s.options, request);
  if (status) status = s.enqueue(ticket, std::move(request));
  if (status) {
    s.wake.notify_all();
  } else {
    const std::lock_guard lock(s.mutex);
    ++s.refused;
  }
  return status;
}

void Engine::cancel(Ticket ticket) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;  // all end anyway, and nobody would read it
  state_->cancels.push_back(ticket);
  state_->wake.notify_all();
}

EngineMetrics Engine::metrics() const {
  const base::Nanoseconds began = state_->step_began.load(std::memory_order_relaxed);
  const std::lock_guard lock(state_->mutex);
  EngineMetrics metrics = state_->last;
  metrics.pages_total = state_->options.pages;
  metrics.requests_waiting = static_cast<int>(state_->waiting_requests + state_->inbox.size());
  metrics.requests_refused = state_->refused;
  metrics.step_age_seconds = began < 0 ? 0 : seconds(state_->clock.now() - began);
  metrics.failed = state_->failed;
  return metrics;
}

}  // namespace vsurge::engine
