// Beam searches in the scheduler. What they answer is the simulation's concern; here is what a
// search does to pages, steps and the others.
#include <gtest/gtest.h>

#include "engine/scheduler_fixture.h"

namespace vsurge::engine {
namespace {

using namespace bed;

// After each beginning the tokens 10, 11, 12 ... are likeliest, the later the less; never an end.
struct Room {
  explicit Room(const EngineOptions& o) : scheduler(o) {}

  const StepPlan& plan() { return scheduler.plan(now); }
  void run(const StepPlan& plan) {
    result.reset(plan);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < plan.rows.size(); ++i) {
      kernels::SampleResult& row = result.rows[i];
      row.token = 10;
      row.top = result.top.data() + taken;
      row.top_count = std::max(0, plan.rows[i].logprobs);
      for (int place = 0; place < row.top_count; ++place) {
        result.top[taken++] = {10 + place, -0.5F * static_cast<float>(place + 1)};
      }
    }
  }
  std::vector<Event> commit(const StepPlan& plan) {
    run(plan);
    const auto events = scheduler.commit(result, now);
    return {events.begin(), events.end()};
  }
  std::vector<Event> step() { return commit(plan()); }

  Scheduler scheduler;
  StepResult result;
  base::Nanoseconds now = 0;
};

Request search(int prompt, int width, int max_tokens) {
  Request r = request_of(counting(0, prompt), max_tokens);
  r.sampling.beam.width = width;
  r.sampling.n = width;
  return r;
}

EngineOptions roomy() {
  EngineOptions o = options();
  o.max_batched_tokens = 64;
  return o;
}

TEST(SchedulerSearch, OnePromptThenAStepOfAllBeamsThenAllAnswersAtOnce) {
  Room room(roomy());
  ASSERT_TRUE(check_request(roomy(), search(9, 3, 4)).has_value());
  room.scheduler.add(1, search(9, 3, 4), 0);
  std::vector<int> tokens;
  std::vector<std::size_t> copies;
  std::vector<Event> events;
  while (!room.scheduler.idle()) {
    const StepPlan& plan = room.plan();
    tokens.push_back(plan.load.tokens);
    copies.push_back(plan.copies.size());
    EXPECT_TRUE(events.empty());
    events = room.commit(plan);
    EXPECT_EQ(room.scheduler.waiting_requests(), 0U) << "beams are no queue";
  }
  EXPECT_EQ(tokens, (std::vector{9, 3, 3, 3}));
  // Nine tokens: after two pages one more is copied for each beam but the first.
  EXPECT_EQ(copies[1], 2U);
  ASSERT_EQ(events.size(), 15U);
  EXPECT_EQ(answer(events, 1, 0), (std::vector<TokenId>{10, 10, 10, 10}));
  EXPECT_EQ(answer(events, 1, 1).size(), 4U);
  std::vector<float> scores;
  for (const Event& event : events) {
    if (event.is_end()) scores.push_back(event.score);
  }
  EXPECT_EQ(scores, (std::vector{-2.0F, -2.5F, -2.5F}));
  EXPECT_TRUE(events.back().is_last);
  EXPECT_EQ(room.scheduler.pool().used(), 0);
  EXPECT_EQ(room.scheduler.metrics().generation_tokens, 12U);
}

TEST(SchedulerSearch, LogprobsOfEachToken) {
  Room room(roomy());
  Request r = search(5, 2, 3);
  r.sampling.logprobs = 1;
  room.scheduler.add(1, std::move(r), 0);
  std::vector<Event> events;
  while (!room.scheduler.idle()) events = room.step();
  for (int choice = 0; choice < 2; ++choice) {
    float sum = 0;
    for (const Event& event : events) {
      if (event.choice != choice) continue;
      if (event.is_end()) {
        EXPECT_EQ(event.score, sum);
        continue;
      }
      ASSERT_NE(event.logprobs, nullptr);
      sum += event.logprobs->logprob;
      EXPECT_EQ(event.logprobs->rank, event.token - 9);
      ASSERT_EQ(event.logprobs->top.size(), 1U);
      EXPECT_EQ(event.logprobs->top[0].token, 10);
    }
  }
}

TEST(SchedulerSearch, ACancelledAnswerIsNotToldTheOthersAre) {
  Room room(roomy());
  room.scheduler.add(1, search(5, 3, 6), 0);
  room.step();
  room.step();
  room.scheduler.cancel(1, 1);
  room.scheduler.cancel(1, 1);
  room.scheduler.cancel(1, 3);
  auto cancelled = room.scheduler.flush();
  ASSERT_EQ(cancelled.size(), 1U);
  EXPECT_EQ(cancelled[0].reason, FinishReason::kCancelled);
  EXPECT_EQ(cancelled[0].choice, 1);
  EXPECT_FALSE(cancelled[0].is_last);
  EXPECT_EQ(room.scheduler.metrics().requests_running, 3) << "the search needs all beams";
  std::vector<Event> events;
  while (!room.scheduler.idle()) events = room.step();
  EXPECT_EQ(answer(events, 1, 0).size(), 6U);
  EXPECT_EQ(answer(events, 1, 1).size(), 0U);
  EXPECT_EQ(answer(events, 1, 2).size(), 6U);
}

TEST(SchedulerSearch, WithAllAnswersCancelledItEnds) {
  Room room(roomy());
  room.scheduler.add(1, search(5, 2, 6), 0);
  for (int i = 0; i < 3; ++i) room.step();
  room.scheduler.cancel(1, 0);
  EXPECT_FALSE(room.scheduler.idle());
  room.scheduler.cancel(1, 1);
  EXPECT_TRUE(room.scheduler.idle());
  EXPECT_EQ(room.scheduler.pool().used(), 0);
  const auto events = room.scheduler.flush();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_TRUE(events[1].is_last);
}

// Three beams, two places: one is always late, and those that wait for it hold nothing.
TEST(SchedulerSearch, WithoutPlacesBeamsTakeTurns) {
  EngineOptions o = roomy();
  o.max_concurrent_decodes = 3;
  Room room(o);
  room.scheduler.add(1, request_of(counting(50, 4), 40), 0);
  room.scheduler.add(2, search(9, 3, 4), 0);
  std::vector<Event> all;
  bool waited = false;
  while (!room.scheduler.idle()) {
    for (Event& event : room.step()) all.push_back(std::move(event));
    waited |= room.scheduler.metrics().requests_running == 1;
  }
  EXPECT_TRUE(waited);
  EXPECT_EQ(answer(all, 1).size(), 40U);
  EXPECT_EQ(answer(all, 2, 0), (std::vector<TokenId>{10, 10, 10, 10}));
  EXPECT_EQ(end_of(all, 2).score, -2.0F);
}

TEST(SchedulerSearch, ARowThatIsNotFiniteEndsAllOfIt) {
  Room room(roomy());
  room.scheduler.add(1, search(5, 3, 6), 0);
  room.scheduler.add(2, request_of(counting(50, 4), 6), 0);
  for (int i = 0; i < 3; ++i) room.step();
  const StepPlan& plan = room.plan();
  room.run(plan);
  for (const PlannedSequence& planned : plan.sequences) {
    if (planned.ticket != 1 || planned.choice != 1) continue;
    room.result.rows[static_cast<std::size_t>(planned.first_row)].status =
        kernels::SampleStatus::kNotFinite;
  }
  const auto events = room.scheduler.commit(room.result, 0);
  ASSERT_EQ(events.size(), 4U);
  for (const Event& event : events) {
    if (event.ticket == 2) continue;
    ASSERT_EQ(event.reason, FinishReason::kError);
    EXPECT_EQ(event.error->code, base::ErrorCode::kNumericalError);
  }
  EXPECT_EQ(room.scheduler.metrics().requests_running, 1);
}

TEST(SchedulerSearch, WhatDrawsOrEditsIsRefusedByName) {
  const EngineOptions o = options();
  const auto refused = [&o](auto change) {
    Request r = search(5, 2, 4);
    change(r);
    const base::Status status = check_request(o, r);
    return status ? std::string() : status.error().param;
  };
  EXPECT_EQ(refused([](Request&) {}), "");
  EXPECT_EQ(refused([](Request& r) { r.sampling.temperature = 0; }), "");
  EXPECT_EQ(refused([](Request& r) { r.sampling.temperature = 0.5F; }), "temperature");
  EXPECT_EQ(refused([](Request& r) { r.sampling.top_k = 3; }), "top_k");
  EXPECT_EQ(refused([](Request& r) { r.sampling.logit_bias = {{1, 1.0F}}; }), "logit_bias");
  EXPECT_EQ(refused([](Request& r) { r.sampling.prompt_logprobs = 0; }), "prompt_logprobs");
  EXPECT_EQ(refused([](Request& r) { r.sampling.speculative_tokens = 1; }), "speculative_tokens");
  EXPECT_EQ(refused([](Request& r) { r.constraints.emplace_back(); }), "response_format");
  EXPECT_EQ(refused([](Request& r) { r.sampling.beam.length_penalty = 11; }), "length_penalty");
  EXPECT_EQ(refused([](Request& r) { r.sampling.n = 3; }), "n");
  EXPECT_EQ(refused([](Request& r) { r.sampling.beam.width = 1; }), "n");
  // Not more than sequences run at once, than rows have alternatives, than tokens go on.
  EXPECT_EQ(refused([](Request& r) { r.sampling.beam.width = 5; }), "n");
  const auto most = [](int decodes, int vocabulary) {
    EngineOptions wide = options();
    wide.max_concurrent_decodes = wide.max_batched_tokens = decodes;
    wide.vocabulary = vocabulary;
    Request r = search(5, 2, 4);
    while (check_request(wide, r)) ++r.sampling.beam.width;
    return r.sampling.beam.width - 1;
  };
  EXPECT_EQ(most(200, 100), 62);  // two end an answer
  EXPECT_EQ(most(200, 10), 8);
  EXPECT_EQ(most(7, 100), 7);
}

}  // namespace
}  // namespace vsurge::engine
