#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;

TEST(Scheduler, ReadsInChunksThenDecodes) {
  Bench bench(options());
  bench.add(1, request(19, 3));
  std::vector<int> counts;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    ASSERT_EQ(plan.sequences.size(), 1U);
    const PlannedSequence& planned = plan.sequences[0];
    counts.push_back(static_cast<int>(planned.tokens.size()));
    const int end = planned.first + counts.back();
    EXPECT_EQ(planned.samples, end >= 19);
    ASSERT_EQ(plan.rows.size(), end >= 19 ? 1U : 0U);
    EXPECT_EQ(planned.pages.size(), static_cast<std::size_t>((end + 3) / 4));
    if (planned.samples) {
      EXPECT_EQ(plan.rows[0].position, static_cast<std::uint64_t>(end));
    }
    bench.commit(plan);
  }
  EXPECT_EQ(counts, (std::vector<int>{8, 8, 3, 1, 1}));
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(Scheduler, ChunkLimit) {
  EngineOptions o = options();
  o.prefill_chunk_max = 5;
  Bench bench(o);
  bench.add(1, request(19));
  bench.add(2, request(19));
  const StepPlan& plan = bench.plan();
  ASSERT_EQ(plan.sequences.size(), 2U);
  EXPECT_EQ(plan.sequences[0].tokens.size(), 5U);
  EXPECT_EQ(plan.sequences[1].tokens.size(), 3U);
  bench.commit(plan);
}

TEST(Scheduler, DecodingGoesOnWhileAPromptIsRead) {
  Bench bench(options());
  bench.add(1, request(1, 20));
  bench.step();
  bench.add(2, request(40));
  for (int i = 0; i < 5; ++i) {
    const StepPlan& plan = bench.plan();
    ASSERT_EQ(plan.sequences.size(), 2U);
    EXPECT_EQ(plan.sequences[0].ticket, 1U);
    EXPECT_EQ(plan.sequences[0].tokens.size(), 1U);
    EXPECT_EQ(plan.sequences[1].tokens.size(), 7U);
    bench.commit(plan);
  }
}

TEST(Scheduler, LimitsOfPromptsAndSequences) {
  Bench bench(options());
  for (Ticket ticket = 1; ticket <= 7; ++ticket) bench.add(ticket, request(1, 10));
  for (const std::size_t sequences : {2U, 4U, 4U}) {
    const StepPlan& plan = bench.plan();
    EXPECT_EQ(plan.sequences.size(), sequences);
    bench.commit(plan);
  }
  EXPECT_EQ(bench.scheduler.waiting_requests(), 3U);
  EXPECT_EQ(bench.scheduler.waiting_tokens(), 3U);
  bench.finish();
  EXPECT_EQ(bench.scheduler.metrics().requests_finished, 7U);
}

TEST(Scheduler, PriorityThenArrival) {
  EngineOptions o = options();
  o.max_concurrent_decodes = 1;
  Bench bench(o);
  const int priorities[] = {0, 5, -1, 0, -1};
  for (Ticket ticket = 0; ticket < 5; ++ticket) {
    Request r = request(2, 1);
    r.priority = priorities[ticket];
    bench.add(ticket, std::move(r));
  }
  std::vector<Ticket> order;
  for (const Event& event : bench.finish()) {
    if (event.is_end()) order.push_back(event.ticket);
  }
  EXPECT_EQ(order, (std::vector<Ticket>{2, 4, 0, 3, 1}));
}

TEST(Scheduler, EndsAndUsage) {
  Bench bench(options());
  bench.add(1, request(3, 2));
  auto events = bench.finish();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].token, 9);
  EXPECT_EQ(events[0].usage.prompt_tokens, 3);
  EXPECT_EQ(events[0].usage.completion_tokens, 1);
  EXPECT_EQ(events[2].reason, FinishReason::kLength);
  EXPECT_EQ(events[2].usage.completion_tokens, 2);

  // End-of-text and stop tokens are no part of the answer, but are counted.
  bench.token = 3;
  bench.add(2, request(3));
  events = bench.finish();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].reason, FinishReason::kStop);
  EXPECT_EQ(events[0].stop_token, 3);
  EXPECT_EQ(events[0].usage.completion_tokens, 1);

  Request stubborn = request(3);
  stubborn.sampling.ignore_eos = true;
  bench.add(3, std::move(stubborn));
  EXPECT_EQ(bench.finish().size(), 5U);

  Request stopping = request(3);
  stopping.sampling.ignore_eos = true;
  stopping.sampling.stop_token_ids = {50, 3};
  bench.add(4, std::move(stopping));
  EXPECT_EQ(bench.finish().size(), 1U);

  bench.token = 9;
  Request open = request(60);
  open.sampling.max_tokens.reset();
  bench.add(5, std::move(open));
  events = bench.finish();
  EXPECT_EQ(end_of(events, 5).reason, FinishReason::kLength);
  EXPECT_EQ(end_of(events, 5).usage.completion_tokens, 4);
}

TEST(Scheduler, CancelFreesInEveryState) {
  EngineOptions o = options();
  o.max_concurrent_decodes = 2;
  Bench bench(o);
  bench.add(1, request(2, 30));  // decodes
  bench.step();
  bench.add(2, request(40, 20));  // is being read
  bench.add(3, request(2, 30));   // waits
  bench.step();
  EXPECT_GT(bench.scheduler.pool().used(), 10);
  for (const Ticket ticket : {Ticket{3}, Ticket{2}, Ticket{1}, Ticket{1}, Ticket{99}}) {
    bench.scheduler.cancel(ticket);
  }
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
  const auto events = bench.scheduler.flush();
  ASSERT_EQ(events.size(), 3U);
  for (const Event& event : events) EXPECT_EQ(event.reason, FinishReason::kCancelled);
  EXPECT_TRUE(bench.scheduler.idle());
  EXPECT_EQ(bench.scheduler.waiting_tokens(), 0U);
}

TEST(Scheduler, DeadlinesOfRunningAndWaiting) {
  EngineOptions o = options();
  o.max_concurrent_decodes = 1;
  Bench bench(o);
  for (Ticket ticket = 1; ticket <= 3; ++ticket) {
    Request r = request(2, 30);
    if (ticket < 3) r.deadline = 100;
    bench.add(ticket, std::move(r));
  }
  EXPECT_EQ(bench.scheduler.next_deadline(), 100);
  bench.step();
  bench.now = 99;
  EXPECT_EQ(bench.step().size(), 1U);
  bench.now = 100;
  const auto events = bench.step();
  EXPECT_EQ(end_of(events, 1).error->code, base::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(end_of(events, 2).error->code, base::ErrorCode::kDeadlineExceeded);
  EXPECT_FALSE(bench.scheduler.next_deadline().has_value());
  EXPECT_EQ(end_of(bench.finish(), 3).reason, FinishReason::kLength);
}

TEST(Scheduler, YoungestGivesWay) {
  EngineOptions o = options();
  o.pages = 6;  // 24 tokens
  Bench bench(o);
  bench.add(1, request(4, 18));
  bench.add(2, request(4, 18));
  const auto events = bench.finish();
  EXPECT_GE(bench.scheduler.metrics().preemptions, 1U);
  std::vector<Ticket> order;
  for (const Event& event : events) {
    if (event.is_end()) order.push_back(event.ticket);
  }
  EXPECT_EQ(order, (std::vector<Ticket>{1, 2}));
  EXPECT_EQ(end_of(events, 2).usage.completion_tokens, 18);
}

TEST(Scheduler, LowerPriorityGivesWayThoughItIsOlder) {
  EngineOptions o = options();
  o.pages = 6;
  Bench bench(o);
  Request low = request(4, 18);
  low.priority = 1;
  bench.add(1, std::move(low));
  bench.add(2, request(4, 18));
  std::vector<Ticket> order;
  for (const Event& event : bench.finish()) {
    if (event.is_end()) order.push_back(event.ticket);
  }
  EXPECT_GE(bench.scheduler.metrics().preemptions, 1U);
  EXPECT_EQ(order, (std::vector<Ticket>{2, 1}));
}

TEST(Scheduler, BadRowEndsItsSequenceAlone) {
  Bench bench(options());
  bench.add(1, request(2, 2));
  bench.add(2, request(2, 2));
  const StepPlan& plan = bench.plan();
  ASSERT_EQ(plan.sequences.size(), 2U);
  StepResult result = bench.result_of(plan);
  result.rows[0].status = kernels::SampleStatus::kNotFinite;
  const auto events = bench.scheduler.commit(result, 0);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].error->code, base::ErrorCode::kNumericalError);
  EXPECT_FALSE(events[1].is_end());
  EXPECT_EQ(end_of(bench.finish(), 2).reason, FinishReason::kLength);
}

TEST(Scheduler, ARequestThatBansEveryTokenIsToldSo) {
  Bench bench(options());
  bench.add(1, request(2, 2));
  StepResult result = bench.result_of(bench.plan());
  result.rows[0].status = kernels::SampleStatus::kNothingAllowed;
  const auto events = bench.scheduler.commit(result, 0);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].error->code, base::ErrorCode::kInvalidRequest);
}

TEST(Scheduler, AFailedSequenceEndsAlone) {
  Bench bench(options());
  bench.add(1, request(2, 2));
  bench.add(2, request(2, 2));
  StepResult result = bench.result_of(bench.plan());
  result.sequences[1] = fault_of(base::fail(base::ErrorCode::kInternal, "no mask"));
  const auto events = bench.scheduler.commit(result, 0);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].error->message, "no mask");
  EXPECT_EQ(end_of(bench.finish(), 1).reason, FinishReason::kLength);
}

TEST(Scheduler, TokenOutsideTheVocabularyEndsItsSequence) {
  for (const TokenId token : {-1, 100}) {
    Bench bench(options());
    bench.token = token;
    bench.add(1, request(2, 2));
    EXPECT_EQ(end_of(bench.finish(), 1).error->code, base::ErrorCode::kInternal);
  }
}

class RefusingConstraint final : public TokenConstraint {
 public:
  base::Status fill_mask(std::span<std::uint32_t>) override { return {}; }
  base::Result<bool> allows(TokenId) override { return false; }
  base::Status accept(TokenId) override {
    if (++accepted_ < 3) return {};
    return base::fail(base::ErrorCode::kInternal, "enough");
  }

 private:
  int accepted_ = 0;
};

TEST(Scheduler, ConstraintSeesEachToken) {
  Bench bench(options());
  Request r = request(2, 10);
  r.constraints.push_back(std::make_unique<RefusingConstraint>());
  bench.add(1, std::move(r));
  const auto events = bench.finish();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2].error->message, "enough");
}

TEST(Scheduler, SeedsAreTheRequestsOwnOrDrawnFromTicket) {
  const auto seed_of = [](Ticket ticket, std::uint64_t engine, std::optional<std::uint64_t> own) {
    EngineOptions o = options();
    o.seed = engine;
    Bench bench(o);
    Request r = request(2, 2);
    r.sampling.seed = own;
    bench.add(ticket, std::move(r));
    return bench.plan().rows[0].sampling->seed;
  };
  EXPECT_EQ(seed_of(1, 5, 77), 77U);
  EXPECT_EQ(seed_of(2, 6, 77), 77U);
  EXPECT_EQ(seed_of(1, 5, {}), seed_of(1, 5, {}));
  EXPECT_NE(seed_of(1, 5, {}), seed_of(2, 5, {}));
  EXPECT_NE(seed_of(1, 5, {}), seed_of(1, 6, {}));
}

TEST(Scheduler, AbortEndsAllEvenWithAPlanInHand) {
  Bench bench(options());
  for (Ticket ticket = 1; ticket <= 6; ++ticket) bench.add(ticket, request(4));
  bench.plan();
  bench.scheduler.abort_all(FinishReason::kError,
                            {base::ErrorCode::kEngineUnavailable, "gone", {}});
  const auto events = bench.scheduler.flush();
  ASSERT_EQ(events.size(), 6U);
  for (const Event& event : events) EXPECT_EQ(event.error->message, "gone");
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
  EXPECT_TRUE(bench.plan().empty());
}

}  // namespace
}  // namespace vsurge::engine
