// All there is in a small scope: three requests, at most four pages of one or two tokens, a few
// steps, and a cancel in each of them.
#include <gtest/gtest.h>

#include <array>

#include "tests/sim/simulation.h"

namespace vsurge::engine::sim {
namespace {

struct Shape {
  int length;
  int max_tokens;
  int n;
  int branch_at;
  int beams = 0;
};

constexpr std::array kShapes = {Shape{1, 3, 1, 9}, Shape{2, 2, 1, 9}, Shape{3, 1, 1, 1},
                                Shape{2, 2, 2, 9}, Shape{3, 3, 1, 2}, Shape{2, 2, 2, 9, 2}};
constexpr std::array kCancels = {-1, 0, 1, 3};  // steps after the arrival; -1 = never

RequestSpec request_of(const EngineOptions& options, const Shape& shape, int seed) {
  RequestSpec spec;
  spec.length = shape.length;
  spec.branch_at = shape.branch_at;
  spec.sampling.max_tokens = shape.max_tokens;
  spec.sampling.n = shape.n;
  if (shape.beams <= running_max(options)) spec.sampling.beam.width = shape.beams;
  spec.sampling.ignore_eos = true;
  spec.sampling.seed = static_cast<std::uint64_t>(seed);
  return spec;
}

// Every combination of three shapes and cancels, one after the other.
void run_all(const EngineOptions& options, int gap, Seen& seen) {
  constexpr std::size_t kKinds = kShapes.size() * kCancels.size();
  Scenario scenario;
  scenario.seed = 3;
  scenario.options = options;
  scenario.requests.resize(3);
  for (std::size_t code = 0; code < kKinds * kKinds * kKinds; ++code) {
    scenario.ops.clear();
    std::size_t rest = code;
    for (int i = 0; i < 3; ++i) {
      const std::size_t kind = rest % kKinds;
      rest /= kKinds;
      scenario.requests[static_cast<std::size_t>(i)] =
          request_of(options, kShapes[kind / kCancels.size()], i);
      scenario.ops.push_back({i * gap, OpKind::kArrive, i, 0, 0});
      const int cancel = kCancels[kind % kCancels.size()];
      if (cancel < 0) continue;
      // Later, the first of two choices alone; the other goes on.
      const bool first = kShapes[kind / kCancels.size()].n > 1 && cancel > 0;
      scenario.ops.push_back(
          {i * gap + cancel, first ? OpKind::kCancelChoice : OpKind::kCancel, i, 0, 0});
    }
    order_ops(scenario.ops);
    const std::string fault = run_scenario(scenario, &seen);
    ASSERT_EQ(fault, "") << describe(scenario);
  }
}

EngineOptions options_of(int page_size, int pages, int tokens) {
  EngineOptions o;
  o.page_size = page_size;
  o.pages = pages;
  o.context_max = 8;
  o.max_batched_tokens = tokens;
  o.max_concurrent_decodes = 3;
  o.max_concurrent_prefill = 2;
  o.vocabulary = 3;
  o.prefix_hash_bits = 1;
  return o;
}

void run_page_size(int page_size) {
  Seen seen;
  for (int pages = 2; pages <= 4; ++pages) {
    for (const int tokens : {1, 2, 4}) {
      for (const int gap : {0, 1}) {
        run_all(options_of(page_size, pages, tokens), gap, seen);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
  fmt::print("{} steps of {} requests\n", seen.steps, seen.requests);
  for (const Situation situation :
       {Situation::kPreemptedDecoding, Situation::kPrefixHit, Situation::kCancelHeld,
        Situation::kCancelDecoding, Situation::kCancelPreempted, Situation::kPageEvicted,
        Situation::kWaitsForPages, Situation::kHashCollision, Situation::kPageShared,
        Situation::kBeamForked, Situation::kAnswerCancelled}) {
    EXPECT_GT(seen.count(situation), 0U) << name_of(situation);
  }
}

TEST(SimSmallScope, PagesOfOneToken) {
  run_page_size(1);
}

TEST(SimSmallScope, PagesOfTwoTokens) {
  run_page_size(2);
}

}  // namespace
}  // namespace vsurge::engine::sim
