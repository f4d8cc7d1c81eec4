#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace vsurge::engine {
namespace {

using namespace std::chrono_literals;
using base::ErrorCode;

EngineOptions options() {
  EngineOptions result;
  result.max_concurrent_decodes = 8;
  result.max_concurrent_prefill = 4;
  result.max_batched_tokens = 32;
  result.context_max = 4096;
  result.page_size = 16;
  result.pages = 1024;
  result.vocabulary = 1000;
  return result;
}

Request request(int max_tokens, int prompt = 3) {
  Request result;
  result.prompt.assign(static_cast<std::size_t>(prompt), 7);
  result.sampling.max_tokens = max_tokens;
  return result;
}
constexpr int kLong = 4000;  // tokens of a request that must still run when the test goes on

// Token = position. Can be slow, be held, or throw.
class FakeRunner final : public StepRunner {
 public:
  void run(const StepPlan& plan, StepResult& result) override {
    ++steps;
    std::this_thread::sleep_for(step_time);
    if (throws) throw std::runtime_error("device lost");
    if (throws_number) throw 5;
    for (std::size_t i = 0; i < plan.rows.size(); ++i) {
      result.rows[i].status = kernels::SampleStatus::kOk;
      result.rows[i].token = static_cast<TokenId>(plan.rows[i].position % 1000);
    }
  }

  std::atomic<int> steps = 0;
  std::atomic<bool> throws = false;
  std::atomic<bool> throws_number = false;
  std::chrono::microseconds step_time{0};
};

class Ledger final : public EventSink {
 public:
  void publish(std::span<const Event> events) override {
    const std::lock_guard lock(mutex_);
    for (const Event& event : events) {
      if (event.is_end()) {
        ++ends_[event.ticket];
        last_[event.ticket] = event;
      } else {
        if (ends_.contains(event.ticket)) ++faults_;
        ++tokens_[event.ticket];
      }
    }
    changed_.notify_all();
  }
  Event wait_end(Ticket ticket) {
    return wait([&] { return ends_.contains(ticket); }, ticket);
  }
  void wait_token(Ticket ticket) {
    wait([&] { return tokens_[ticket] > 0; }, ticket);
  }
  int tokens(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    return tokens_[ticket];
  }
  // Exactly one end for each of [first, last], nothing after it.
  void expect_one_end_each(Ticket first, Ticket last) {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(faults_, 0);
    for (Ticket ticket = first; ticket <= last; ++ticket) EXPECT_EQ(ends_[ticket], 1) << ticket;
  }

 private:
  template <class Condition>
  Event wait(Condition condition, Ticket ticket) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 20s, condition)) << "ticket " << ticket;
    return last_[ticket];
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Ticket, int> tokens_;
  std::map<Ticket, int> ends_;
  std::map<Ticket, Event> last_;
  int faults_ = 0;
};

struct Rig {
  explicit Rig(const EngineOptions& o = options()) : engine(o, runner, ledger, clock) {}

  Ticket submit(Request r) {
    const Ticket ticket = engine.new_ticket();
    const auto status = engine.submit(ticket, std::move(r));
    EXPECT_TRUE(status.has_value()) << status.error().message;
    return ticket;
  }
  void expect_refused(Request r, ErrorCode code) {
    const auto status = engine.submit(engine.new_ticket(), std::move(r));
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().code, code) << status.error().message;
  }

  template <class Condition>
  void wait_until(Condition condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(condition());
  }

  base::SteadyClock clock;
  FakeRunner runner;
  Ledger ledger;
  Engine engine;
};

TEST(Engine, AStuckStepIsReported) {
  EngineOptions o = options();
  o.watchdog = 20'000'000;
  Rig rig(o);
  rig.runner.step_time = 300ms;
  ASSERT_TRUE(rig.engine.start());
  const Ticket ticket = rig.submit(request(1));
  bool seen = false;
  for (int i = 0; i < 2000 && !seen; ++i) {
    std::this_thread::sleep_for(1ms);
    const EngineMetrics metrics = rig.engine.metrics();
    seen = metrics.stuck && metrics.stuck_steps == 1;
  }
  EXPECT_TRUE(seen);
  EXPECT_EQ(rig.ledger.wait_end(ticket).reason, FinishReason::kLength);
  EXPECT_FALSE(rig.engine.metrics().stuck);
  EXPECT_EQ(rig.engine.metrics().stuck_steps, 1U);
}

TEST(Engine, RunsAndSleepsWhenIdle) {
  Rig rig;
  ASSERT_TRUE(rig.engine.start());
  const Ticket ticket = rig.submit(request(5));
  const Event end = rig.ledger.wait_end(ticket);
  EXPECT_EQ(end.reason, FinishReason::kLength);
  EXPECT_EQ(end.usage.completion_tokens, 5);
  EXPECT_EQ(rig.ledger.tokens(ticket), 5);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(rig.runner.steps, 5) << "no step without work";
  const EngineMetrics metrics = rig.engine.metrics();
  EXPECT_EQ(metrics.steps, 5U);
  EXPECT_EQ(metrics.requests_finished, 1U);
  EXPECT_EQ(metrics.pages_used, 0);
  EXPECT_EQ(metrics.pages_total, 1024);
  EXPECT_EQ(metrics.step_age_seconds, 0);
}

TEST(Engine, SubmittedBeforeStart) {
  Rig rig;
  const Ticket ticket = rig.submit(request(2));
  EXPECT_EQ(rig.engine.metrics().requests_waiting, 1);
  ASSERT_TRUE(rig.engine.start());
  EXPECT_EQ(rig.ledger.wait_end(ticket).reason, FinishReason::kLength);
}

TEST(Engine, StopWithoutStartStillEndsAll) {
  Rig rig;
  const Ticket ticket = rig.submit(request(2));
  rig.engine.stop();
  EXPECT_EQ(rig.ledger.wait_end(ticket).reason, FinishReason::kCancelled);
  rig.expect_refused(request(2), ErrorCode::kShuttingDown);
}

TEST(Engine, CancelAndStop) {
  Rig rig;
  rig.runner.step_time = 100us;
  ASSERT_TRUE(rig.engine.start());
  std::vector<Ticket> tickets;
  for (int i = 0; i < 12; ++i) tickets.push_back(rig.submit(request(kLong)));
  rig.ledger.wait_token(tickets[0]);
  rig.engine.cancel(tickets[0]);   // runs
  rig.engine.cancel(tickets[11]);  // waits
  rig.engine.cancel(tickets[0]);
  rig.engine.cancel(12345);
  EXPECT_EQ(rig.ledger.wait_end(tickets[0]).reason, FinishReason::kCancelled);
  EXPECT_EQ(rig.ledger.wait_end(tickets[11]).reason, FinishReason::kCancelled);
  rig.engine.stop();
  rig.engine.stop();
  for (const Ticket ticket : tickets) {
    EXPECT_EQ(rig.ledger.wait_end(ticket).reason, FinishReason::kCancelled);
  }
  rig.ledger.expect_one_end_each(tickets.front(), tickets.back());
  EXPECT_EQ(rig.engine.metrics().pages_used, 0);
  // And again.
  ASSERT_TRUE(rig.engine.start());
  EXPECT_EQ(rig.ledger.wait_end(rig.submit(request(2))).reason, FinishReason::kLength);
}

TEST(Engine, DrainFinishesWhatWasAccepted) {
  Rig rig;
  rig.runner.step_time = 50us;
  ASSERT_TRUE(rig.engine.start());
  EXPECT_FALSE(rig.engine.drained());
  const Ticket first = rig.submit(request(50));
  const Ticket last = rig.submit(request(50));
  rig.engine.drain();
  rig.expect_refused(request(2), ErrorCode::kShuttingDown);
  EXPECT_EQ(rig.ledger.wait_end(first).reason, FinishReason::kLength);
  EXPECT_EQ(rig.ledger.wait_end(last).reason, FinishReason::kLength);
  for (int i = 0; i < 2000 && !rig.engine.drained(); ++i) std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(rig.engine.drained());
}

TEST(Engine, SuspendedRequestsCostNothingAndGoOn) {
  Rig rig;
  rig.runner.step_time = 200us;
  ASSERT_TRUE(rig.engine.start().has_value());
  const Ticket slow = rig.submit(request(60, 40));
  rig.ledger.wait_token(slow);
  rig.engine.suspend(slow);
  rig.engine.suspend(12345);
  rig.wait_until([&] { return rig.engine.metrics().requests_suspended == 1; });
  EXPECT_EQ(rig.engine.metrics().requests_running, 0);
  EXPECT_EQ(rig.engine.metrics().requests_waiting, 1);
  EXPECT_EQ(rig.engine.metrics().pages_used, 0);
  const int said = rig.ledger.tokens(slow);
  EXPECT_EQ(rig.ledger.wait_end(rig.submit(request(5))).reason, FinishReason::kLength);
  const int steps = rig.runner.steps;
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(rig.runner.steps, steps) << "nobody is left to work for";
  EXPECT_EQ(rig.ledger.tokens(slow), said);
  rig.engine.resume(slow);
  EXPECT_EQ(rig.ledger.wait_end(slow).reason, FinishReason::kLength);
  EXPECT_EQ(rig.ledger.tokens(slow), 60);
  // Cancels, deadlines and the engine's end reach those who are suspended.
  Request late = request(kLong);
  late.deadline = rig.clock.now() + 30'000'000;
  const Ticket expires = rig.submit(std::move(late));
  const Ticket cancelled = rig.submit(request(kLong));
  const Ticket stopped = rig.submit(request(kLong));
  for (const Ticket ticket : {expires, cancelled, stopped}) rig.engine.suspend(ticket);
  rig.engine.cancel(cancelled);
  EXPECT_EQ(rig.ledger.wait_end(cancelled).reason, FinishReason::kCancelled);
  EXPECT_EQ(rig.ledger.wait_end(expires).error->code, ErrorCode::kDeadlineExceeded);
  rig.engine.stop();
  EXPECT_EQ(rig.ledger.wait_end(stopped).reason, FinishReason::kCancelled);
}

TEST(Engine, PauseKeepsStateAndStillCancels) {
  Rig rig;
  rig.runner.step_time = 50us;
  ASSERT_TRUE(rig.engine.start());
  const Ticket kept = rig.submit(request(kLong));
  const Ticket dropped = rig.submit(request(kLong));
  rig.ledger.wait_token(kept);
  rig.engine.pause();
  const int steps = rig.runner.steps;
  const Ticket late = rig.submit(request(2));
  rig.engine.cancel(dropped);
  EXPECT_EQ(rig.ledger.wait_end(dropped).reason, FinishReason::kCancelled);
  Request hurried = request(2);
  hurried.deadline = rig.clock.now() + 5'000'000;
  EXPECT_EQ(rig.ledger.wait_end(rig.submit(std::move(hurried))).error->code,
            ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(rig.runner.steps, steps);
  rig.engine.resume();
  EXPECT_EQ(rig.ledger.wait_end(late).reason, FinishReason::kLength);
  EXPECT_GT(rig.runner.steps, steps);
}

TEST(Engine, RefusesWhatCannotFitAndWhatIsTooMuch) {
  EngineOptions o = options();
  o.limits.queue_requests_max = 3;
  o.limits.queue_tokens_max = 100;
  Rig rig(o);
  rig.expect_refused(request(4096), ErrorCode::kContextLengthExceeded);
  rig.expect_refused(request(0), ErrorCode::kInvalidRequest);
  rig.submit(request(2, 60));
  rig.expect_refused(request(2, 41), ErrorCode::kQueueFull);
  rig.submit(request(2, 20));
  const Ticket last = rig.submit(request(2, 20));
  rig.expect_refused(request(2, 1), ErrorCode::kQueueFull);
  EXPECT_EQ(rig.engine.metrics().requests_admitted, 3U);
  EXPECT_EQ(rig.engine.metrics().requests_refused, 4U);
  ASSERT_TRUE(rig.engine.start());
  rig.ledger.wait_end(last);
  // The queue has room again when the step is over.
  for (int i = 0; i < 2000 && rig.engine.metrics().requests_waiting > 0; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  rig.ledger.wait_end(rig.submit(request(2, 100)));
}

TEST(Engine, FaultOfTheRunnerEndsAllAndNothingElse) {
  for (std::atomic<bool> FakeRunner::* const fault :
       {&FakeRunner::throws, &FakeRunner::throws_number}) {
    Rig rig;
    rig.runner.step_time = 50us;
    ASSERT_TRUE(rig.engine.start());
    std::vector<Ticket> tickets;
    for (int i = 0; i < 10; ++i) tickets.push_back(rig.submit(request(kLong)));
    rig.ledger.wait_token(tickets[0]);
    rig.runner.*fault = true;
    for (const Ticket ticket : tickets) {
      EXPECT_EQ(rig.ledger.wait_end(ticket).error->code, ErrorCode::kEngineUnavailable);
    }
    rig.ledger.expect_one_end_each(tickets.front(), tickets.back());
    rig.expect_refused(request(2), ErrorCode::kEngineUnavailable);
    EXPECT_TRUE(rig.engine.metrics().failed);
    rig.engine.pause();  // does not wait for a thread that is gone
    rig.engine.resume();
    rig.runner.*fault = false;
    ASSERT_TRUE(rig.engine.start());
    EXPECT_EQ(rig.ledger.wait_end(rig.submit(request(2))).reason, FinishReason::kLength);
  }
}

TEST(Engine, StepAgeTellsOfAStuckStep) {
  Rig rig;
  rig.runner.step_time = 50ms;
  ASSERT_TRUE(rig.engine.start());
  rig.submit(request(kLong));
  double oldest = 0;
  for (int i = 0; i < 5000 && oldest < 0.01; ++i) {
    oldest = std::max(oldest, rig.engine.metrics().step_age_seconds);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_GE(oldest, 0.01);
}

// All calls from several threads at once; every accepted ticket has exactly one end.
TEST(Engine, ManyThreads) {
  EngineOptions o = options();
  o.pages = 40;
  o.context_max = 400;
  o.limits.queue_requests_max = 64;
  Rig rig(o);
  ASSERT_TRUE(rig.engine.start());
  std::mutex mutex;
  std::vector<Ticket> accepted;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        const Ticket ticket = rig.engine.new_ticket();
        // The queue is short: it refuses many of these many times.
        while (!rig.engine.submit(ticket, request(1 + i % 40, 1 + (i * 7) % 60))) {
          std::this_thread::yield();
        }
        if ((i + t) % 3 == 0) rig.engine.cancel(ticket);
        const std::lock_guard lock(mutex);
        accepted.push_back(ticket);
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 50; ++i) {
      rig.engine.pause();
      (void)rig.engine.metrics();
      rig.engine.resume();
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(accepted.size(), 1200U);
  for (std::size_t i = 0; i < accepted.size() / 2; ++i) rig.ledger.wait_end(accepted[i]);
  std::thread stopping([&] { rig.engine.stop(); });
  rig.engine.stop();
  stopping.join();
  for (const Ticket ticket : accepted) rig.ledger.expect_one_end_each(ticket, ticket);
  EXPECT_EQ(rig.engine.metrics().pages_used, 0);
  EXPECT_TRUE(rig.engine.drained());
}

}  // namespace
}  // namespace vsurge::engine
