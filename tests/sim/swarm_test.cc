// Random runs: a million steps, every situation, the same trace twice.
#include <gtest/gtest.h>

#include <ctime>

#include "tests/sim/shrink.h"
#include "tests/sim/simulation.h"

namespace vsurge::engine::sim {
namespace {

constexpr std::uint64_t kSteps = 500'000;  // of each half; ctest runs both at once
constexpr std::uint64_t kSeenMin = 3;      // of each situation

void run_half(std::uint64_t seed) {
  const std::clock_t begin = std::clock();
  Seen seen;
  for (; seen.steps < kSteps; ++seed) {
    const std::string fault = run_scenario(draw_scenario(seed), &seen);
    ASSERT_EQ(fault, "") << "replay: ./dev sim --seeds 1 --seed " << seed;
  }
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  fmt::print("{} steps of {} requests, {:.0f} steps/s of one core\n", seen.steps, seen.requests,
             static_cast<double>(seen.steps) / seconds);
  for (std::size_t i = 0; i < kSituations; ++i) {
    const auto situation = static_cast<Situation>(i);
    EXPECT_GE(seen.count(situation), kSeenMin) << "is hardly ever seen: " << name_of(situation);
  }
}

TEST(SimSwarm, FirstHalf) {
  run_half(1);
}

TEST(SimSwarm, SecondHalf) {
  run_half(1'000'000'000);
}

TEST(SimSwarm, TheSameSeedGivesTheSameEvents) {
  std::vector<std::string> elsewhere;  // moves what is allocated later
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::uint64_t once = 0;
    std::uint64_t again = 0;
    const Scenario scenario = draw_scenario(seed);
    ASSERT_EQ(run_scenario(scenario, nullptr, &once), "");
    elsewhere.emplace_back(100 + seed, 'x');
    ASSERT_EQ(run_scenario(draw_scenario(seed), nullptr, &again), "");
    EXPECT_EQ(once, again) << "seed " << seed;
  }
}

// What does not touch an answer: limits of steps, places, pages and times.
TEST(SimSwarm, AnotherMachineGivesTheSameAnswers) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Scenario scenario = draw_scenario(seed);
    scenario.options.max_batched_tokens += 7;
    scenario.options.max_concurrent_decodes += 3;
    scenario.options.max_concurrent_prefill += 1;
    scenario.options.logit_rows_max = 0;
    scenario.options.prefill_chunk_max = 2;
    scenario.options.prefix_cache = !scenario.options.prefix_cache;
    ASSERT_EQ(run_scenario(scenario), "") << "seed " << seed;
  }
}

TEST(SimShrink, CutsDownToWhatMatters) {
  // As if the fault came whenever anyone of client 3 arrives while two prompts may be read.
  const Fails fails = [](const Scenario& s) {
    if (s.options.max_concurrent_prefill < 2) return false;
    for (const Op& op : s.ops) {
      if (op.kind != OpKind::kArrive) continue;
      if (s.requests[static_cast<std::size_t>(op.request)].client == 3) return true;
    }
    return false;
  };
  int shrunk = 0;
  for (std::uint64_t seed = 1; seed <= 400 && shrunk < 10; ++seed) {
    const Scenario whole = draw_scenario(seed);
    if (!fails(whole)) continue;
    ++shrunk;
    const Scenario least = shrink(whole, fails);
    ASSERT_EQ(least.ops.size(), 1U);
    EXPECT_EQ(least.ops[0].tick, 0);
    EXPECT_EQ(least.options.max_concurrent_prefill, 2);
    EXPECT_EQ(least.requests[static_cast<std::size_t>(least.ops[0].request)].length, 1);
    EXPECT_NE(describe(least).find("client=3"), std::string::npos);
  }
  EXPECT_EQ(shrunk, 10);
}

TEST(SimShrink, ARunOfItsOwnTellsItsFault) {
  EXPECT_EQ(fault_apart(draw_scenario(1)), "");
  EXPECT_TRUE(same_fault("ticket 7 ends", "ticket 12 ends"));
  EXPECT_FALSE(same_fault("ticket 7 ends", "page 7 ends"));
}

}  // namespace
}  // namespace vsurge::engine::sim
