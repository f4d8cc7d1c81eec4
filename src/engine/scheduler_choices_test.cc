// Several choices of one request, and logprobs of its prompt.
#include <gtest/gtest.h>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;

Request choices(int prompt, int n, int max_tokens = 4) {
  Request r = request_of(counting(0, prompt), max_tokens);
  r.sampling.n = n;
  return r;
}

TEST(SchedulerChoices, ThePromptIsReadOnce) {
  EngineOptions o = options();
  o.context_max = 128;
  Bench bench(o);
  bench.add(1, choices(30, 3));
  int computed = 0;
  std::vector<PageCopy> copies;
  std::vector<Event> events;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    computed += plan.load.tokens;
    copies.insert(copies.end(), plan.copies.begin(), plan.copies.end());
    for (Event& event : bench.commit(plan)) events.push_back(event);
  }
  // The prompt, its last token twice more, and three tokens of each answer.
  EXPECT_EQ(computed, 30 + 2 + 3 * 3);
  ASSERT_EQ(copies.size(), 2U);  // 29 tokens: the eighth page is not full
  EXPECT_NE(copies[0].to, copies[1].to);
  for (int choice = 0; choice < 3; ++choice) {
    EXPECT_EQ(answer(events, 1, choice).size(), 4U) << choice;
  }
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [](const Event& e) { return e.is_end(); }),
            3);
  EXPECT_EQ(std::count_if(events.begin(), events.end(), [](const Event& e) { return e.is_last; }),
            1);
  EXPECT_TRUE(events.back().is_last);
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(SchedulerChoices, EachHasItsSeedAndTheFirstThatOfARequestWithOne) {
  Bench bench(options());
  Request r = choices(1, 3);
  r.sampling.seed = 77;
  bench.add(1, std::move(r));
  std::vector<std::uint64_t> seeds;
  const auto take_seeds = [&] {
    const StepPlan& plan = bench.plan();
    for (const PlannedRow& row : plan.rows) seeds.push_back(row.sampling->seed);
    bench.commit(plan);
  };
  take_seeds();
  take_seeds();
  std::sort(seeds.begin(), seeds.end());
  seeds.erase(std::unique(seeds.begin(), seeds.end()), seeds.end());
  EXPECT_EQ(seeds.size(), 3U);
  EXPECT_EQ(std::count(seeds.begin(), seeds.end(), 77U), 1);
}

TEST(SchedulerChoices, WaitForTheirFirstAndCanBeCancelledOneByOne) {
  Bench bench(options());
  bench.add(1, choices(20, 4, 30));
  bench.step();
  EXPECT_EQ(bench.scheduler.waiting_requests(), 3U);
  bench.scheduler.cancel(1, 2);
  EXPECT_EQ(bench.scheduler.waiting_requests(), 2U);
  for (int i = 0; i < 4; ++i) bench.step();
  EXPECT_EQ(bench.scheduler.metrics().requests_running, 3);
  bench.scheduler.cancel(1, 0);
  bench.scheduler.cancel(1, 0);
  bench.scheduler.cancel(1, 9);
  EXPECT_EQ(bench.scheduler.metrics().requests_running, 2);
  bench.scheduler.cancel(1);
  const auto events = bench.scheduler.flush();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_TRUE(events[2].is_last);
  EXPECT_TRUE(bench.scheduler.idle());
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(SchedulerChoices, TheOthersGoOnWhenTheFirstEndsWhileItReads) {
  Bench bench(options());
  bench.add(1, choices(20, 2, 3));
  bench.step();
  bench.scheduler.cancel(1, 0);
  const auto events = bench.finish();
  EXPECT_EQ(answer(events, 1, 1).size(), 3U);
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(SchedulerChoices, PromptLogprobs) {
  Bench bench(options());
  Request r = request_of(counting(0, 20), 2);
  r.sampling.prompt_logprobs = 0;
  r.sampling.logprobs = 0;
  bench.add(1, std::move(r));
  bench.add(2, request_of(counting(0, 20), 2));
  const auto events = bench.finish();
  std::vector<TokenId> scored;
  for (const Event& event : events) {
    if (event.ticket != 1) continue;
    if (event.kind == EventKind::kPromptLogprobs) {
      EXPECT_NE(event.logprobs, nullptr);
      scored.push_back(event.token);
    } else {
      EXPECT_EQ(scored.size(), 19U) << "all of them come before the answer";
      EXPECT_EQ(event.logprobs != nullptr, event.kind == EventKind::kToken);
    }
  }
  EXPECT_EQ(scored, (counting(1, 19)));
}

TEST(SchedulerChoices, PromptLogprobsNeedTheirRowsAndIgnoreTheCache) {
  EngineOptions o = options();
  o.logit_rows_max = 6;  // two more than sequences
  Bench bench(o);
  bench.add(1, request_of(counting(0, 20), 1));
  bench.finish();
  Request r = request_of(counting(0, 20), 1);
  r.sampling.prompt_logprobs = 3;
  bench.add(2, std::move(r));
  int steps = 0;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    EXPECT_EQ(plan.sequences[0].tokens.size(), steps < 6 ? 3U : 2U);
    EXPECT_EQ(plan.rows.size(), plan.sequences[0].tokens.size());
    bench.commit(plan);
    ++steps;
  }
  EXPECT_EQ(steps, 7);
}

}  // namespace
}  // namespace vsurge::engine
