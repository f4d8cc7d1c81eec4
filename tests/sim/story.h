// Scenarios written by hand.
#pragma once

#include <gtest/gtest.h>

#include "tests/sim/simulation.h"

namespace vsurge::engine::sim {

// All invariants are checked after every event; a test looks at what it is about besides.
class Tale {
 public:
  Tale(int pages, int page_size) {
    EngineOptions& o = scenario.options;
    o.pages = pages;
    o.page_size = page_size;
    o.context_max = 4096;
    o.max_batched_tokens = 64;
    o.max_concurrent_decodes = 8;
    o.max_concurrent_prefill = 4;
    o.vocabulary = 16;
    scenario.seed = 11;
  }

  // A request with a beginning of its own; returns its index.
  int arrives(int tick, int length, int max_tokens) {
    const int index = static_cast<int>(scenario.requests.size());
    RequestSpec& spec = scenario.requests.emplace_back();
    spec.length = length;
    spec.tree = index;
    spec.branch_at = length;
    spec.sampling.max_tokens = max_tokens;
    spec.sampling.ignore_eos = true;
    op(tick, OpKind::kArrive, index);
    return index;
  }
  // One that begins as all of the same tree do.
  int arrives_in_tree(int tick, int tree, int length, int max_tokens) {
    const int index = arrives(tick, length, max_tokens);
    request(index).tree = tree;
    return index;
  }
  RequestSpec& request(int index) { return scenario.requests[static_cast<std::size_t>(index)]; }
  void op(int tick, OpKind kind, int request = -1, int choice = 0, std::int64_t amount = 0) {
    scenario.ops.push_back({tick, kind, request, choice, amount});
  }
  void cancel(int tick, int request) { op(tick, OpKind::kCancel, request); }

  // Runs it to its end.
  void run() {
    order_ops(scenario.ops);
    simulation = std::make_unique<Simulation>(scenario);
    ASSERT_EQ(simulation->run(), "") << describe(scenario);
  }
  std::uint64_t seen(Situation situation) const { return simulation->seen().count(situation); }
  const Ledger& ledger() const { return simulation->world().ledger; }
  const EngineMetrics& metrics() const { return simulation->world().scheduler.metrics(); }
  // The steps in which the first choices ended.
  Story& story(int index) {
    return *simulation->world().stories.find(static_cast<Ticket>(index) + 1);
  }
  std::uint64_t last_step(int index) { return story(index).choices.front().planned_step; }
  int answer(int index, int choice = 0) {
    const Story& s = story(index);
    return static_cast<int>(s.choices[static_cast<std::size_t>(choice)].tokens.size()) - s.prompt;
  }

  Scenario scenario;
  std::unique_ptr<Simulation> simulation;
};

}  // namespace vsurge::engine::sim
