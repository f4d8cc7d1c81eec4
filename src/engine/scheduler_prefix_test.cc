// Prefix cache and sliding window, as the scheduler uses them.
#include <gtest/gtest.h>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;

TEST(SchedulerPrefix, FullPagesAreFoundAgain) {
  Bench bench(options());
  bench.add(1, request_of(counting(0, 10)));
  auto events = bench.finish();
  EXPECT_EQ(end_of(events, 1).usage.cached_tokens, 0);
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
  EXPECT_EQ(bench.scheduler.pool().idle(), 3);  // 13 tokens computed of 14
  bench.add(2, request_of(counting(0, 10)));
  const StepPlan& plan = bench.plan();
  ASSERT_EQ(plan.sequences.size(), 1U);
  EXPECT_EQ(plan.sequences[0].first, 8);
  EXPECT_EQ(plan.sequences[0].tokens.size(), 2U);
  EXPECT_EQ(plan.sequences[0].pages.size(), 3U);
  events = bench.commit(plan);
  for (Event& event : bench.finish()) events.push_back(event);
  EXPECT_EQ(end_of(events, 2).usage.cached_tokens, 8);
  EXPECT_EQ(bench.scheduler.metrics().prefix_hits, 8U);
  EXPECT_EQ(bench.scheduler.metrics().prefix_queries, 20U);
  EXPECT_EQ(bench.scheduler.prefix_cache().audit(), "");
}

TEST(SchedulerPrefix, NeverTheVeryEnd) {
  Bench bench(options());
  bench.add(1, request_of(counting(0, 8)));
  bench.finish();
  bench.add(2, request_of(counting(0, 8)));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(plan.sequences[0].first, 7);
  EXPECT_EQ(plan.copies.size(), 1U) << "three tokens of the second page are taken over";
  bench.commit(plan);
}

// What is not a full page is found, too: the end of an earlier request, as far as it is the same.
TEST(SchedulerPrefix, BeginningsOfPagesAreCopied) {
  EngineOptions o = options();
  o.page_size = 16;
  Bench bench(o);
  bench.add(1, request_of(counting(0, 28), 1));
  bench.finish();
  EXPECT_EQ(bench.scheduler.pool().idle(), 2);
  std::vector<TokenId> other = counting(0, 30);
  other[20] = 99;
  bench.add(2, request_of(other, 1));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(plan.sequences[0].first, 16) << "four tokens alike are not worth a copy";
  bench.commit(plan);
  bench.finish();
  bench.add(3, request_of(counting(0, 12), 1));
  const StepPlan& shorter = bench.plan();
  EXPECT_EQ(shorter.sequences[0].first, 11) << "of a full page";
  ASSERT_EQ(shorter.copies.size(), 1U);
  EXPECT_EQ(shorter.copies[0].to, shorter.sequences[0].pages[0]);
  EXPECT_NE(shorter.copies[0].from, shorter.copies[0].to);
  EXPECT_EQ(end_of(bench.commit(shorter), 3).usage.cached_tokens, 11);
  EXPECT_EQ(bench.scheduler.prefix_cache().audit(), "");
}

// It would have to be thrown away to make room for its own copy.
TEST(SchedulerPrefix, NoCopyWithoutRoom) {
  EngineOptions o = options();
  o.pages = 3;
  o.context_max = 12;
  Bench bench(o);
  bench.add(1, request_of(counting(0, 11), 1));
  bench.finish();
  EXPECT_EQ(bench.scheduler.pool().idle(), 3);
  bench.add(2, request_of(counting(0, 11), 1));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(plan.sequences[0].first, 8);
  EXPECT_TRUE(plan.copies.empty());
  bench.commit(plan);
}

TEST(SchedulerPrefix, AnswersCountForTheNextTurn) {
  Bench bench(options());
  bench.add(1, request_of(counting(0, 6), 7));  // 12 of 13 tokens computed
  bench.finish();
  std::vector<TokenId> turn = counting(0, 6);
  turn.insert(turn.end(), 7, 9);
  turn.push_back(50);
  bench.add(2, request_of(turn));
  EXPECT_EQ(bench.plan().sequences[0].first, 12);
}

TEST(SchedulerPrefix, NamespacesAndSwitches) {
  Bench bench(options());
  Request first = request_of(counting(0, 10));
  first.cache_namespace = "a";
  bench.add(1, std::move(first));
  bench.finish();
  const auto computed_for = [&](Ticket ticket, const std::string& name, bool use) {
    Request r = request_of(counting(0, 10));
    r.cache_namespace = name;
    r.use_prefix_cache = use;
    bench.add(ticket, std::move(r));
    const StepPlan& plan = bench.plan();
    const int computed = plan.sequences[0].first;
    bench.commit(plan);
    bench.finish();
    return computed;
  };
  EXPECT_EQ(computed_for(2, "b", true), 0);
  EXPECT_EQ(computed_for(3, "a", false), 0);
  EXPECT_EQ(computed_for(4, "a", true), 8);
  bench.scheduler.clear_prefix_cache();
  EXPECT_EQ(bench.scheduler.pool().free(), 32);
  EXPECT_EQ(computed_for(5, "a", true), 0);

  EngineOptions off = options();
  off.prefix_cache = false;
  Bench without(off);
  without.add(1, request_of(counting(0, 10)));
  without.finish();
  EXPECT_EQ(without.scheduler.pool().idle(), 0);
}

TEST(SchedulerPrefix, PagesOfABadRowAreNotShared) {
  Bench bench(options());
  bench.add(1, request_of(counting(0, 8)));
  StepResult result = bench.result_of(bench.plan());
  result.rows[0].status = kernels::SampleStatus::kNotFinite;
  EXPECT_EQ(bench.scheduler.commit(result, 0)[0].error->code, base::ErrorCode::kNumericalError);
  EXPECT_EQ(bench.scheduler.prefix_cache().size(), 0);
  EXPECT_EQ(bench.scheduler.pool().free(), 32);
}

TEST(SchedulerPrefix, SharedWhileItsOwnerRuns) {
  Bench bench(options());
  bench.add(1, request_of(counting(0, 8), 20));
  bench.step();
  bench.add(2, request_of(counting(0, 9), 20));
  bench.step();
  // Two pages for the first, of which the second shares both, and one each.
  EXPECT_EQ(bench.scheduler.pool().used(), 4);
  bench.scheduler.cancel(1);
  EXPECT_EQ(bench.scheduler.pool().used(), 3);
  bench.finish();
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

// Both read the same prompt at once: from the end of the step on they share it.
TEST(SchedulerPrefix, EqualPagesAreMerged) {
  EngineOptions o = options();
  o.max_batched_tokens = 32;
  Bench bench(o);
  bench.add(1, request_of(counting(0, 9), 20));
  bench.add(2, request_of(counting(0, 9), 20));
  const StepPlan& plan = bench.plan();
  EXPECT_EQ(plan.sequences.size(), 2U);
  EXPECT_EQ(bench.scheduler.pool().used(), 6);
  bench.commit(plan);
  EXPECT_EQ(bench.scheduler.pool().used(), 4);
  bench.finish();
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(SchedulerPrefix, LeastRecentlyUsedGoesFirst) {
  EngineOptions o = options();
  o.pages = 8;
  o.context_max = 32;
  Bench bench(o);
  for (Ticket ticket = 1; ticket <= 2; ++ticket) {
    bench.add(ticket, request_of(counting(30 * static_cast<int>(ticket), 12), 1));
    bench.finish();
  }
  EXPECT_EQ(bench.scheduler.pool().idle(), 6);
  bench.add(3, request_of(counting(30, 12), 1));  // uses the first again
  bench.finish();
  bench.add(4, request_of(counting(5, 13), 1));  // takes two free pages and two of the second
  bench.finish();
  EXPECT_EQ(bench.scheduler.metrics().pages_evicted, 2U);
  bench.add(5, request_of(counting(30, 12), 1));
  EXPECT_EQ(bench.plan().sequences[0].first, 11);
}

TEST(SchedulerPrefix, PreemptedOnesFindTheirPagesAgain) {
  EngineOptions o = options();
  o.pages = 6;
  Bench bench(o);
  bench.add(1, request_of(counting(0, 4), 18));
  bench.add(2, request_of(counting(40, 4), 18));
  std::vector<int> starts;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    for (const PlannedSequence& planned : plan.sequences) {
      if (planned.ticket == 2) starts.push_back(planned.first);
    }
    bench.commit(plan);
  }
  EXPECT_GE(bench.scheduler.metrics().preemptions, 1U);
  EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end()) ||
              std::count(starts.begin(), starts.end(), 0) < 4);
}

TEST(SchedulerPrefix, PagesLeaveTheWindow) {
  EngineOptions o = options();
  o.window = 6;
  Bench bench(o);
  bench.add(1, request_of(counting(0, 4), 40));
  int most = 0;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    const PlannedSequence& planned = plan.sequences[0];
    const int oldest = std::max(0, planned.first - o.window + 1);
    for (std::size_t i = 0; i < planned.pages.size(); ++i) {
      const bool read = static_cast<int>(i + 1) * o.page_size > oldest;
      EXPECT_EQ(planned.pages[i] >= 0, read) << i << " at " << planned.first;
    }
    most = std::max(most, bench.scheduler.pool().used());
    bench.commit(plan);
  }
  EXPECT_LE(most, 3);
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
  EXPECT_EQ(bench.scheduler.pool().audit(), "");
  // They are in the cache, as long as nobody else needs them.
  bench.add(2, request_of(counting(0, 9), 2));
  bench.finish();
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

}  // namespace
}  // namespace vsurge::engine
