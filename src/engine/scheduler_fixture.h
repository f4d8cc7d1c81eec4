// A scheduler on a test bed: a model that answers what the test wants, and time that stands still.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "engine/scheduler.h"

namespace vsurge::engine::bed {

inline EngineOptions options() {
  EngineOptions result;
  result.max_concurrent_decodes = 4;
  result.max_concurrent_prefill = 2;
  result.max_batched_tokens = 8;
  result.context_max = 64;
  result.page_size = 4;
  result.pages = 32;
  result.vocabulary = 100;
  result.eos_tokens = {2, 3};
  return result;
}

inline Request request(int prompt, int max_tokens = 4) {
  Request result;
  result.prompt.assign(static_cast<std::size_t>(prompt), 7);
  result.sampling.max_tokens = max_tokens;
  return result;
}

// A scheduler, and a model that answers `token` for every row.
struct Bench {
  explicit Bench(const EngineOptions& o) : scheduler(o) {}

  const StepPlan& plan() { return scheduler.plan(now); }
  void add(Ticket ticket, Request r) { scheduler.add(ticket, std::move(r), now); }
  // All rows say `token`, or what `next` makes of the position.
  StepResult result_of(const StepPlan& plan) const {
    StepResult result;
    result.sequences.resize(plan.sequences.size());
    for (const PlannedRow& row : plan.rows) {
      kernels::SampleResult& sampled = result.rows.emplace_back();
      sampled.status = kernels::SampleStatus::kOk;
      sampled.token = row.scored_token >= 0 ? row.scored_token
                      : next                ? next(static_cast<int>(row.position))
                                            : token;
    }
    return result;
  }
  std::vector<Event> commit(const StepPlan& plan) {
    const auto events = scheduler.commit(result_of(plan), now);
    return {events.begin(), events.end()};
  }
  std::vector<Event> step() { return commit(plan()); }
  // Until nothing is left; all events.
  std::vector<Event> finish() {
    std::vector<Event> all;
    while (!scheduler.idle()) {
      for (Event& event : step()) all.push_back(std::move(event));
    }
    return all;
  }

  Scheduler scheduler;
  TokenId token = 9;
  std::function<TokenId(int position)> next;
  base::Nanoseconds now = 0;
};

inline const Event& end_of(const std::vector<Event>& events, Ticket ticket) {
  const auto found = std::find_if(events.begin(), events.end(), [&](const Event& event) {
    return event.ticket == ticket && event.is_end();
  });
  EXPECT_NE(found, events.end()) << "ticket " << ticket;
  return *found;
}

inline std::vector<TokenId> counting(int first, int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((first + i) % 90 + 5);
  return tokens;
}

inline Request request_of(std::vector<TokenId> prompt, int max_tokens = 4) {
  Request result;
  result.prompt = std::move(prompt);
  result.sampling.max_tokens = max_tokens;
  return result;
}

// Tokens of one choice, in order.
inline std::vector<TokenId> answer(const std::vector<Event>& events, Ticket ticket,
                                   int choice = 0) {
  std::vector<TokenId> tokens;
  for (const Event& event : events) {
    if (event.ticket == ticket && event.choice == choice && event.kind == EventKind::kToken) {
      tokens.push_back(event.token);
    }
  }
  return tokens;
}

}  // namespace vsurge::engine::bed
