#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/escape.h"
#include "base/log.h"
#include "engine/scheduler.h"
#include "engine/watchdog.h"

namespace vsurge::engine {

using base::ErrorCode;

namespace {

struct Submission {
  Ticket ticket = 0;
  Request request;
};

struct Cancel {
  Ticket ticket = 0;
  int choice = -1;  // -1 = all
};

struct Suspension {
  Ticket ticket = 0;
  bool ends = false;
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
        scheduler(engine_options),
        cost(engine_options.cost) {
    result.sequences.reserve(static_cast<std::size_t>(running_max(options)));
    const auto rows = static_cast<std::size_t>(logit_rows_max(options));
    result.rows.reserve(rows);
    result.top.reserve(rows * kRowAlternativesMax);
  }

  const EngineOptions options;
  StepRunner& runner;
  EventSink& sink;
  const base::Clock& clock;

  // Of the engine's thread, or of whoever holds `control` while there is none.
  Scheduler scheduler;
  StepResult result;
  std::vector<Submission> arrivals;
  std::vector<Cancel> departures;
  std::vector<Suspension> suspensions;
  std::vector<Event> failures;  // of requests for which there was no memory
  EngineMetrics times;          // what the loop itself measures
  StepCost cost;
  double recent_tokens = 0;  // of a step, of late
  double recent_ns = 0;

  std::mutex control;  // start and stop, one at a time; taken before `mutex`
  std::thread thread;  // guarded by control
  std::atomic<Ticket> last_ticket{0};
  std::atomic<base::Nanoseconds> step_began{-1};  // -1: no step in hand
  const std::string whose =                       // before lines of the log
      options.name.empty()
          ? ""
          : fmt::format("model {}: ", base::shorten(base::escape_for_line(options.name), 80));
  Watchdog watchdog{step_began, clock, options.watchdog, whose};  // by control, but its count

  mutable std::mutex mutex;  // guards all below
  std::condition_variable wake;
  std::condition_variable between_steps;
  std::vector<Submission> inbox;
  std::vector<Cancel> cancels;
  std::vector<Suspension> asked_suspensions;
  std::function<base::Status()> job;  // replace_weights
  bool job_aborts = false;
  bool job_waits = false;  // from its call to its end
  base::Status job_status;
  bool clear_cache = false;
  bool stopping = false;  // also true when stopped
  bool draining = false;
  bool paused = false;
  bool failed = false;
  bool running = false;              // there is an engine's thread
  bool busy = false;                 // it is between taking the inbox and publishing
  std::size_t accepted = 0;          // requests without their end event
  std::size_t waiting_requests = 0;  // in the scheduler
  std::size_t waiting_tokens = 0;
  std::size_t inbox_tokens = 0;
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
  double tokens_per_second = 0;  // read and answered, of late
  EngineMetrics last;

  base::Status enqueue(Ticket ticket, Request request);
  base::Status queue_full(std::size_t tokens, std::string message) const;
  Turn take_inbox();
  void add_arrivals();
  void apply_changes();
  void change_suspension(Suspension change);
  void run_job();
  bool something_to_do() const;
  void wait(std::unique_lock<std::mutex>& lock);
  void loop();
  std::span<const Event> step();
  std::span<const Event> hold();
  void observe(const StepPlan& plan, base::Nanoseconds ns);
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
  const std::size_t tokens = waiting_tokens + inbox_tokens;
  if (queued >= limits.queue_requests_max) {
    return queue_full(tokens, fmt::format("{} requests are waiting already, at most {} may", queued,
                                          limits.queue_requests_max));
  }
  if (tokens + request.prompt.size() > limits.queue_tokens_max) {
    return queue_full(
        tokens,
        fmt::format("{} prompt tokens are waiting already, at most {} may, this request has {}",
                    tokens, limits.queue_tokens_max, request.prompt.size()));
  }
  inbox_tokens += request.prompt.size();
  inbox.push_back({ticket, std::move(request)});
  ++accepted;
  ++admitted;
  return {};
}

// How long the prompts that wait will take, as far as one can know.
base::Status Engine::State::queue_full(std::size_t tokens, std::string message) const {
  constexpr double kSecondsMax = 60;
  const double seconds =
      tokens_per_second > 0 ? static_cast<double>(tokens) / tokens_per_second : 1;
  base::Error error{ErrorCode::kQueueFull, std::move(message), {}};
  error.retry_after_seconds = static_cast<int>(std::ceil(std::clamp(seconds, 1.0, kSecondsMax)));
  error.message += "; try again later";
  return std::unexpected(std::move(error));
}

// While a job waits nobody new comes in.
bool Engine::State::something_to_do() const {
  if (stopping || !cancels.empty() || !asked_suspensions.empty() || clear_cache) return true;
  if (job_waits && job && (job_aborts || scheduler.idle())) return true;
  return (!job_waits && !inbox.empty()) || (!paused && scheduler.has_work());
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
Engine::State::Turn Engine::State::take_inbox() {
  std::unique_lock lock(mutex);
  busy = false;
  between_steps.notify_all();
  wait(lock);
  if (stopping) return Turn::kStop;
  busy = true;
  arrivals.clear();
  departures.clear();
  departures.swap(cancels);
  suspensions.clear();
  suspensions.swap(asked_suspensions);
  if (!job_waits) {
    arrivals.swap(inbox);
    waiting_requests += arrivals.size();
    waiting_tokens += std::exchange(inbox_tokens, 0);
  }
  if (std::exchange(clear_cache, false)) scheduler.clear_prefix_cache();
  return paused ? Turn::kHold : Turn::kRun;
}

// A request for which there is no memory ends; the others must not hear of it.
void Engine::State::add_arrivals() {
  const base::Nanoseconds now = clock.now();
  std::size_t most = 0;
  for (const Submission& arrival : arrivals) {
    most += static_cast<std::size_t>(arrival.request.sampling.n);
  }
  failures.reserve(most);
  for (Submission& arrival : arrivals) {
    const int choices = arrival.request.sampling.n;
    try {
      scheduler.add(arrival.ticket, std::move(arrival.request), now);
    } catch (const std::exception&) {
      for (int choice = 0; choice < choices; ++choice) {
        Event& event = failures.emplace_back(
            error_event({ErrorCode::kInternal, "no memory for the request", {}}));
        event.ticket = arrival.ticket;
        event.choice = choice;
        event.is_last = choice + 1 == choices;
      }
    }
  }
  arrivals.clear();
}

void Engine::State::apply_changes() {
  for (const Cancel& one : departures) {
    if (one.choice < 0) {
      scheduler.cancel(one.ticket);
    } else {
      scheduler.cancel(one.ticket, one.choice);
    }
  }
  for (const Suspension& one : suspensions) {
    if (one.ends) {
      scheduler.resume(one.ticket);
    } else {
      scheduler.suspend(one.ticket);
    }
  }
}

// Runs the job when nothing else does. True when it did, or has just ended what did.
void Engine::State::run_job() {
  std::function<base::Status()> due;
  {
    const std::lock_guard lock(mutex);
    if (!job) return;
    if (job_aborts) scheduler.abort_all(FinishReason::kCancelled, kNoError);
    if (!scheduler.idle()) return;
    due = std::exchange(job, {});
  }
  base::Status status = due();
  scheduler.clear_prefix_cache();
  const std::lock_guard lock(mutex);
  job_status = std::move(status);
  job_waits = false;
  between_steps.notify_all();
}

void Engine::State::loop() {
  try {
    for (;;) {
      const Turn turn = take_inbox();
      if (turn == Turn::kStop) break;
      add_arrivals();
      apply_changes();
      run_job();
      const std::span<const Event> events = turn == Turn::kRun ? step() : hold();
      remember();  // who hears of an end finds it in the metrics
      publish(events);
      publish(failures);
      failures.clear();
    }
    end_all(FinishReason::kCancelled, kNoError);
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("unknown exception");
  }
  const std::lock_guard lock(mutex);
  busy = false;
  running = false;
  if (std::exchange(job_waits, false)) {
    job = {};
    job_status = base::fail(ErrorCode::kEngineUnavailable, "the engine stops");
  }
  between_steps.notify_all();
}

std::span<const Event> Engine::State::step() {
  const base::Nanoseconds begin = clock.now();
  const StepPlan& plan = scheduler.plan(begin);
  result.reset(plan);
  if (plan.empty()) return scheduler.commit(result, begin);
  const base::Nanoseconds planned = clock.now();
  step_began.store(planned, std::memory_order_relaxed);
  runner.run(plan, result);
  const base::Nanoseconds done = clock.now();
  step_began.store(-1, std::memory_order_relaxed);
  observe(plan, done - planned);
  const std::span<const Event> events = scheduler.commit(result, done);
  const base::Nanoseconds end = clock.now();
  times.plan_seconds += seconds(planned - begin);
  times.run_seconds += seconds(done - planned);
  times.commit_seconds += seconds(end - done);
  times.step_seconds += seconds(end - begin);
  return events;
}

// What the machine does beside us changes; the cost of a step follows, slowly.
void Engine::State::observe(const StepPlan& plan, base::Nanoseconds ns) {
  constexpr double kShare = 0.02;
  const double time = static_cast<double>(std::max<base::Nanoseconds>(ns, 1));
  recent_tokens = recent_tokens * (1 - kShare) + plan.load.tokens * kShare;
  recent_ns = recent_ns * (1 - kShare) + time * kShare;
  if (!cost.known()) return;
  const double predicted = cost.predict_ns(plan.load);
  const double factor = std::clamp(time / predicted, 0.2, 5.0);
  cost.correction = std::clamp(cost.correction * (1 - kShare + kShare * factor), 0.1, 10.0);
  scheduler.set_cost(cost);
}

std::span<const Event> Engine::State::hold() {
  scheduler.expire(clock.now());
  return scheduler.flush();
}

void Engine::State::publish(std::span<const Event> events) {
  if (events.empty()) return;
  sink.publish(events);
  const auto ends =
      std::count_if(events.begin(), events.end(), [](const Event& event) { return event.is_last; });
  const std::lock_guard lock(mutex);
  accepted -= static_cast<std::size_t>(ends);
}

void Engine::State::remember() {
  const EngineMetrics& metrics = scheduler.metrics();
  const std::lock_guard lock(mutex);
  waiting_requests = scheduler.waiting_requests();
  waiting_tokens = scheduler.waiting_tokens();
  tokens_per_second = recent_ns > 0 ? recent_tokens / recent_ns * 1e9 : 0;
  last = metrics;
  last.step_seconds = times.step_seconds;
  last.plan_seconds = times.plan_seconds;
  last.run_seconds = times.run_seconds;
  last.commit_seconds = times.commit_seconds;
}

// The end of the thread, whatever the reason: nobody is left without an end event.
void Engine::State::end_all(FinishReason reason, const base::Error& error) {
  scheduler.abort_all(reason, error);  // drops a plan in hand, too
  for (;;) {
    add_arrivals();  // those that a fault left behind come first
    scheduler.abort_all(reason, error);
    const std::lock_guard lock(mutex);
    stopping = true;  // from here on nobody comes in
    cancels.clear();
    asked_suspensions.clear();
    inbox_tokens = 0;
    if (inbox.empty()) break;
    arrivals.swap(inbox);
  }
  const std::span<const Event> events = scheduler.flush();
  remember();
  publish(events);
  publish(failures);
  failures.clear();
}

void Engine::State::fail(const char* what) {
  base::log_error("{}the engine stops: {}", whose, what);
  step_began.store(-1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex);
    failed = true;
  }
  try {
    end_all(FinishReason::kError,
            {ErrorCode::kEngineUnavailable, fmt::format("the engine failed: {}", what), {}});
  } catch (const std::exception& error) {
    base::log_error("{}the engine could not tell its clients: {}", whose, error.what());
  } catch (...) {
    base::log_error("{}the engine could not tell its clients", whose);
  }
  const std::lock_guard lock(mutex);
  accepted = 0;
}

void Engine::State::change_suspension(Suspension change) {
  const std::lock_guard lock(mutex);
  if (stopping) return;
  asked_suspensions.push_back(change);
  wake.notify_all();
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
    s.running = true;
  }
  try {
    s.watchdog.start();
    s.thread = std::thread([&s] { s.loop(); });
  } catch (const std::system_error& error) {
    const std::lock_guard lock(s.mutex);
    s.running = false;
    return base::fail(ErrorCode::kEnvironment, "no thread for the engine: {}", error.what());
  }
  return {};
}

void Engine::set_cost(const StepCost& cost) {
  State& s = *state_;
  const std::lock_guard control(s.control);
  CHECK(!s.thread.joinable());
  s.cost = cost;
  s.scheduler.set_cost(cost);
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
  s.watchdog.stop();
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

void Engine::pause_soon() {
  const std::lock_guard lock(state_->mutex);
  state_->paused = true;
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
  cancel(ticket, -1);
}

void Engine::cancel(Ticket ticket, int choice) {
  const std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;  // all end anyway, and nobody would read it
  state_->cancels.push_back({ticket, choice});
  state_->wake.notify_all();
}

void Engine::suspend(Ticket ticket) {
  state_->change_suspension({ticket, false});
}

void Engine::resume(Ticket ticket) {
  state_->change_suspension({ticket, true});
}

void Engine::clear_prefix_cache() {
  const std::lock_guard lock(state_->mutex);
  state_->clear_cache = true;
  state_->wake.notify_all();
}

base::Status Engine::replace_weights(std::function<base::Status()> replace, bool abort) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (s.stopping || !s.running) {
    return base::fail(ErrorCode::kEngineUnavailable, "the engine does not run");
  }
  if (s.job_waits) return base::fail(ErrorCode::kInvalidRequest, "weights are being replaced");
  s.job = std::move(replace);
  s.job_aborts = abort;
  s.job_waits = true;
  s.wake.notify_all();
  s.between_steps.wait(lock, [&s] { return !s.job_waits; });
  return s.job_status;
}

EngineMetrics Engine::metrics() const {
  const base::Nanoseconds began = state_->step_began.load(std::memory_order_relaxed);
  const std::lock_guard lock(state_->mutex);
  EngineMetrics metrics = state_->last;
  metrics.page_size = state_->options.page_size;
  metrics.pages_total = state_->options.pages;
  metrics.requests_waiting = static_cast<int>(state_->waiting_requests + state_->inbox.size()) +
                             metrics.requests_suspended;
  metrics.requests_admitted = state_->admitted;
  metrics.requests_refused = state_->refused;
  const base::Nanoseconds age = began < 0 ? 0 : state_->clock.now() - began;
  metrics.step_age_seconds = seconds(age);
  metrics.stuck_steps = state_->watchdog.stuck_steps();
  metrics.stuck = age > state_->options.watchdog;
  metrics.failed = state_->failed;
  metrics.paused = state_->paused;
  return metrics;
}

}  // namespace vsurge::engine
