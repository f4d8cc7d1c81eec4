// Requests for one vector of a prompt, from admission to the end.
#include "engine/pooled.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;
using Vector = std::vector<float>;

constexpr PooledStates kAll[] = {PooledStates::kLast, PooledStates::kMean, PooledStates::kFirst};

EngineOptions pooling_options() {
  EngineOptions result = options();
  result.hidden = 2;
  return result;
}

Request pooled_request(std::vector<TokenId> prompt, PooledStates states) {
  Request result;
  result.prompt = std::move(prompt);
  result.pooling = Pooling{states, {}};
  return result;
}

// A state that depends on token and position in a way that no sum hides.
std::array<float, 2> state_of(TokenId token, int position) {
  return {1.0F / static_cast<float>(token + 1), static_cast<float>(position) * 0.37F};
}

Vector expected(const std::vector<TokenId>& prompt, PooledStates states) {
  const int last = static_cast<int>(prompt.size()) - 1;
  double sum[2] = {};
  int count = 0;
  for (int i = 0; i <= last; ++i) {
    if (states == PooledStates::kLast && i != last) continue;
    if (states == PooledStates::kFirst && i != 0) continue;
    const auto state = state_of(prompt[static_cast<std::size_t>(i)], i);
    sum[0] += state[0];
    sum[1] += state[1];
    ++count;
  }
  return {static_cast<float>(sum[0] / count), static_cast<float>(sum[1] / count)};
}

// As the executor does; `poison` makes what is pooled at that position not finite.
std::vector<Event> step(Bench& bench, int poison = -1) {
  const StepPlan& plan = bench.plan();
  for (const PlannedSequence& planned : plan.sequences) {
    if (planned.pooled == nullptr) continue;
    EXPECT_FALSE(planned.samples);
    EXPECT_EQ(planned.rows, 0);
    for (std::size_t i = 0; i < planned.tokens.size(); ++i) {
      const int position = planned.first + static_cast<int>(i);
      if (!planned.pooled->wants(position)) continue;
      auto state = state_of(planned.tokens[i], position);
      if (position == poison) state[1] = std::numeric_limits<float>::quiet_NaN();
      planned.pooled->add(position, state);
    }
  }
  return bench.commit(plan);
}

std::vector<Event> finish(Bench& bench, int poison = -1) {
  std::vector<Event> all;
  while (!bench.scheduler.idle()) {
    for (Event& event : step(bench, poison)) all.push_back(std::move(event));
  }
  return all;
}

TEST(Pooled, OneVectorWhateverTheChunks) {
  for (const PooledStates states : kAll) {
    for (const int tokens : {1, 2, 7, 8, 9, 31, 64}) {
      const auto prompt = counting(tokens, tokens);
      for (const int chunk : {1, 3, 8}) {
        EngineOptions o = pooling_options();
        o.prefill_chunk_max = chunk;
        Bench bench(o);
        ASSERT_TRUE(check_request(o, pooled_request(prompt, states)));
        bench.add(1, pooled_request(prompt, states));
        const auto events = finish(bench);
        ASSERT_EQ(events.size(), 1U);
        const Event& end = events[0];
        EXPECT_EQ(end.reason, FinishReason::kStop);
        EXPECT_TRUE(end.is_last);
        ASSERT_NE(end.pooled, nullptr);
        EXPECT_EQ(*end.pooled, expected(prompt, states)) << tokens << " in " << chunk;
        EXPECT_EQ(end.usage.prompt_tokens, tokens);
        EXPECT_EQ(end.usage.completion_tokens, 0);
        EXPECT_EQ(bench.scheduler.pool().used(), 0);
        EXPECT_EQ(bench.scheduler.metrics().prompt_tokens, static_cast<std::uint64_t>(tokens));
        EXPECT_EQ(bench.scheduler.metrics().generation_tokens, 0U);
      }
    }
  }
}

TEST(Pooled, InCompany) {
  Bench bench(pooling_options());
  bench.add(1, request_of(counting(0, 11), 9));
  for (Ticket i = 0; i < 3; ++i) {
    bench.add(2 + i, pooled_request(counting(static_cast<int>(i), 20), kAll[i]));
  }
  bench.add(6, request_of(counting(3, 5), 5));
  const auto events = finish(bench);
  for (Ticket i = 0; i < 3; ++i) {
    EXPECT_EQ(*end_of(events, 2 + i).pooled, expected(counting(static_cast<int>(i), 20), kAll[i]));
  }
  EXPECT_EQ(answer(events, 1).size(), 9U);
  EXPECT_EQ(answer(events, 6).size(), 5U);
  EXPECT_EQ(end_of(events, 6).pooled, nullptr);
}

// Only the last state can be had when what comes before it is taken over.
TEST(Pooled, PrefixCache) {
  for (const PooledStates states : kAll) {
    Bench bench(pooling_options());
    const auto prompt = counting(0, 14);
    bench.add(1, request_of(prompt, 1));
    finish(bench);
    bench.add(2, pooled_request(prompt, states));
    auto events = finish(bench);
    const int cached = end_of(events, 2).usage.cached_tokens;
    EXPECT_EQ(cached > 0, states == PooledStates::kLast);
    EXPECT_EQ(*end_of(events, 2).pooled, expected(prompt, states));
    // What they compute serves others.
    Bench fresh(pooling_options());
    fresh.add(1, pooled_request(prompt, states));
    finish(fresh);
    fresh.add(2, request_of(prompt, 1));
    events = finish(fresh);
    EXPECT_GE(end_of(events, 2).usage.cached_tokens, 12);
    EXPECT_EQ(fresh.scheduler.prefix_cache().audit(), "");
  }
}

// One that gives way begins again.
TEST(Pooled, Preempted) {
  for (const PooledStates states : kAll) {
    EngineOptions o = pooling_options();
    o.pages = 11;
    o.prefill_chunk_max = 2;
    o.prefix_cache = false;
    Bench bench(o);
    bench.add(1, request_of(counting(0, 4), 36));
    while (bench.scheduler.metrics().generation_tokens < 5) step(bench);
    Request pooled = pooled_request(counting(1, 30), states);
    pooled.priority = 1;
    bench.add(2, std::move(pooled));
    const auto events = finish(bench);
    EXPECT_EQ(*end_of(events, 2).pooled, expected(counting(1, 30), states));
    EXPECT_GT(bench.scheduler.metrics().preemptions, 0U);
  }
}

TEST(Pooled, NotFiniteIsAnError) {
  for (const PooledStates states : kAll) {
    Bench bench(pooling_options());
    const int poison = states == PooledStates::kLast ? 9 : 0;
    bench.add(1, pooled_request(counting(0, 10), states));
    const auto events = finish(bench, poison);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].reason, FinishReason::kError);
    EXPECT_EQ(events[0].error->code, base::ErrorCode::kNumericalError);
    EXPECT_EQ(events[0].pooled, nullptr);
  }
}

TEST(Pooled, LogitsOfTheLastToken) {
  EngineOptions o = pooling_options();
  Bench bench(o);
  Request request = pooled_request(counting(0, 13), PooledStates::kLast);
  request.pooling->logits_of = {5, 90, 5};
  ASSERT_TRUE(check_request(o, request));
  bench.add(1, std::move(request));
  std::vector<Event> events;
  while (!bench.scheduler.idle()) {
    const StepPlan& plan = bench.plan();
    const PlannedSequence& planned = plan.sequences.at(0);
    const bool last = planned.first + static_cast<int>(planned.tokens.size()) == 13;
    EXPECT_EQ(planned.rows, last ? 1 : 0);
    if (last) planned.pooled->add_logits(Vector{1, 2, 3});
    for (Event& event : bench.commit(plan)) events.push_back(std::move(event));
  }
  EXPECT_EQ(*end_of(events, 1).pooled, (Vector{1, 2, 3}));
}

TEST(Pooled, CancelledAndExpired) {
  Bench bench(pooling_options());
  Request late = pooled_request(counting(0, 40), PooledStates::kMean);
  late.deadline = 10;
  bench.add(1, std::move(late));
  bench.add(2, pooled_request(counting(1, 40), PooledStates::kMean));
  step(bench);
  bench.scheduler.cancel(2);
  bench.now = 10;
  const auto events = finish(bench);
  EXPECT_EQ(end_of(events, 1).error->code, base::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(bench.scheduler.pool().used(), 0);
}

TEST(Pooled, RequestsAreChecked) {
  const EngineOptions o = pooling_options();
  const auto refused = [&](const EngineOptions& with, const auto& change) {
    Request request = pooled_request(counting(0, 8), PooledStates::kMean);
    change(request);
    return !check_request(with, request);
  };
  EXPECT_FALSE(refused(o, [](Request&) {}));
  EXPECT_TRUE(refused(o, [](Request& r) { r.sampling.n = 2; }));
  EXPECT_TRUE(refused(o, [](Request& r) { r.sampling.max_tokens = 1; }));
  EXPECT_TRUE(refused(o, [](Request& r) { r.sampling.logprobs = 1; }));
  EXPECT_TRUE(refused(o, [](Request& r) { r.sampling.prompt_logprobs = 1; }));
  EXPECT_TRUE(refused(o, [](Request& r) { r.pooling->logits_of = {1}; })) << "of the mean";
  const auto logits = [](TokenId token) {
    return [token](Request& r) { r.pooling = Pooling{PooledStates::kLast, {token}}; };
  };
  EXPECT_FALSE(refused(o, logits(99)));
  EXPECT_TRUE(refused(o, logits(100)));
  EXPECT_TRUE(refused(o, logits(-1)));
  EXPECT_FALSE(refused(o, [](Request& r) { r.prompt.assign(64, 7); })) << "the whole context";
  EXPECT_TRUE(refused(o, [](Request& r) { r.prompt.assign(65, 7); }));
  EXPECT_TRUE(refused(o, [](Request& r) { r.prompt.clear(); }));
  EXPECT_TRUE(refused(options(), [](Request&) {})) << "no states";
  EngineOptions headless = pooling_options();
  headless.generates = false;
  EXPECT_FALSE(refused(headless, [](Request&) {}));
  EXPECT_TRUE(refused(headless, logits(1)));
  EXPECT_FALSE(check_request(headless, request(5)));
}

}  // namespace
}  // namespace vsurge::engine
