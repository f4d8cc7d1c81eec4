// How much a step computes: time, and guesses.
#include <gtest/gtest.h>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;

EngineOptions timed() {
  EngineOptions o = options();
  o.max_batched_tokens = 512;
  o.context_max = 4096;
  o.pages = 2048;
  // 100 us, and 10 us for each token beyond the first.
  for (int power = 0; power < 10; ++power) {
    o.cost.tokens_ns[static_cast<std::size_t>(power)] = 1e5 + 1e4 * ((1 << power) - 1);
  }
  return o;
}

int tokens_of(const StepPlan& plan, Ticket ticket) {
  for (const PlannedSequence& planned : plan.sequences) {
    if (planned.ticket == ticket) return static_cast<int>(planned.tokens.size());
  }
  return 0;
}

TEST(SchedulerSteps, AlonePromptsTakeTheWholeStep) {
  Bench bench(timed());
  bench.add(1, request(2000));
  EXPECT_EQ(bench.plan().load.tokens, 512);
}

TEST(SchedulerSteps, APromptDoesNotStallTheOthers) {
  EngineOptions o = timed();
  o.target_step = 1'000'000;
  Bench bench(o);
  bench.add(1, request(1, 1000));
  bench.step();
  bench.add(2, request(2000));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(tokens_of(plan, 1), 1);
  EXPECT_EQ(tokens_of(plan, 2), 80);  // 90 fit, in whole groups of rows
  bench.commit(plan);
}

TEST(SchedulerSteps, WithoutATargetTheStepMayStretch) {
  EngineOptions o = timed();
  o.step_stretch = 5.0;
  Bench bench(o);
  bench.add(1, request(1, 1000));
  bench.step();
  bench.add(2, request(2000));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(tokens_of(plan, 2), 32);  // 500 us: 40 fit
  bench.commit(plan);
}

TEST(SchedulerSteps, APromptAlwaysGetsSome) {
  EngineOptions o = timed();
  o.target_step = 1;
  Bench bench(o);
  bench.add(1, request(1, 1000));
  bench.step();
  bench.add(2, request(2000));
  bench.add(3, request(2000));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(tokens_of(plan, 2), Scheduler::kChunkMin);
  EXPECT_EQ(tokens_of(plan, 3), 0) << "but only one";
  bench.commit(plan);
}

// A text that repeats itself, token by token.
TokenId repeating(int position) {
  return static_cast<TokenId>(10 + position % 5);
}

TEST(SchedulerSteps, GuessesComeTrueAndChangeNothing) {
  const auto run = [](int guesses, int& steps) {
    EngineOptions o = options();
    o.max_batched_tokens = 64;
    Bench bench(o);
    bench.next = repeating;
    Request r = request(5, 40);
    for (int i = 0; i < 5; ++i) r.prompt[static_cast<std::size_t>(i)] = repeating(i);
    r.sampling.speculative_tokens = guesses;
    bench.add(1, std::move(r));
    std::vector<Event> events;
    for (steps = 0; !bench.scheduler.idle(); ++steps) {
      for (Event& event : bench.step()) events.push_back(event);
    }
    EXPECT_EQ(bench.scheduler.pool().used(), 0);
    EXPECT_GE(bench.scheduler.metrics().accepted_tokens, guesses > 0 ? 20U : 0U);
    return answer(events, 1);
  };
  int plain_steps = 0;
  int guessing_steps = 0;
  EXPECT_EQ(run(0, plain_steps), run(4, guessing_steps));
  EXPECT_EQ(plain_steps, 40);
  EXPECT_LT(guessing_steps, 16);
}

TEST(SchedulerSteps, WrongGuessesCostNothingButTheirPlace) {
  EngineOptions o = options();
  o.max_batched_tokens = 64;
  Bench bench(o);
  // Looks like a repetition, and never is one.
  bench.next = [](int position) { return static_cast<TokenId>(10 + position % 3 + position / 9); };
  Request r = request(8, 40);
  for (int i = 0; i < 8; ++i) r.prompt[static_cast<std::size_t>(i)] = bench.next(i);
  r.sampling.speculative_tokens = 3;
  bench.add(1, std::move(r));
  const auto tokens = answer(bench.finish(), 1);
  ASSERT_EQ(tokens.size(), 40U);
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(tokens[static_cast<std::size_t>(i)], bench.next(8 + i)) << i;
  }
  const EngineMetrics& metrics = bench.scheduler.metrics();
  EXPECT_GT(metrics.guessed_tokens, metrics.accepted_tokens);
  EXPECT_EQ(bench.scheduler.pool().audit(), "");
}

TEST(SchedulerSteps, GuessesStopAtTheEnd) {
  EngineOptions o = options();
  o.max_batched_tokens = 64;
  Bench bench(o);
  bench.next = [](int position) { return position >= 20 ? TokenId{3} : repeating(position); };
  Request r = request(10, 40);
  for (int i = 0; i < 10; ++i) r.prompt[static_cast<std::size_t>(i)] = repeating(i);
  r.sampling.speculative_tokens = 8;
  bench.add(1, std::move(r));
  const auto events = bench.finish();
  EXPECT_EQ(answer(events, 1).size(), 10U);
  EXPECT_EQ(end_of(events, 1).stop_token, 3);
  EXPECT_EQ(end_of(events, 1).usage.completion_tokens, 11);
}

TEST(SchedulerSteps, QueueDeadlines) {
  EngineOptions o = options();
  o.max_concurrent_decodes = 1;
  Bench bench(o);
  bench.add(1, request(2, 30));
  bench.step();
  Request waiting = request(2, 2);
  waiting.queue_deadline = 10;
  bench.add(2, std::move(waiting));
  Request in_time = request(2, 2);
  in_time.queue_deadline = 1000;
  bench.add(3, std::move(in_time));
  bench.now = 10;
  EXPECT_EQ(end_of(bench.step(), 2).error->code, base::ErrorCode::kQueueTimeout);
  bench.scheduler.cancel(1);
  bench.step();
  bench.now = 2000;  // it has started
  EXPECT_EQ(end_of(bench.finish(), 3).reason, FinishReason::kLength);
}

}  // namespace
}  // namespace vsurge::engine
