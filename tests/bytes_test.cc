// The same bytes: whatever a request is told alone, it is told in company, whatever the chunks,
// pages, threads, arrivals, cache, preemptions, guesses and cancels of others.
//
// Small in the normal tests; `./dev bytes` makes it large, by VSURGE_BYTES_REQUESTS,
// VSURGE_BYTES_MINUTES and VSURGE_BYTES_SEED.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "base/test_build.h"
#include "base/test_data.h"
#include "bytes_support.h"

namespace vsurge::engine::bytes {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kDefaultModel = "SmolLM2";
constexpr std::uint64_t kSeed = 1;

// A question, its answer, and the question again, in the default model's tokens: it answers the
// same, as is guessed. "What is the capital of France?", "The capital of France is Paris."
constexpr TokenId kAskedTwice[] = {1,    4093, 198, 1780, 314,  260, 3575, 282, 4649, 47,   2,
                                   198,  1,    520, 9531, 198,  504, 3575, 282, 4649, 314,  7042,
                                   30,   2,    198, 1,    4093, 198, 1780, 314, 260,  3575, 282,
                                   4649, 47,   2,   198,  1,    520, 9531, 198};

const std::filesystem::path kGolden = std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden";

// A number of the environment, or `otherwise`.
double setting(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return otherwise;
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (*end == '\0' && value >= 0) return value;
  ADD_FAILURE() << name << ": expected a number, found " << text;
  return otherwise;
}

std::vector<std::string> checkpoints() {
  std::vector<std::string> names = {kDefaultModel};
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (std::filesystem::exists(entry.path() / "golden.json")) {
      names.push_back(entry.path().filename());
    }
  }
  std::ranges::sort(names);
  return names;
}

struct Plan {
  int requests = 0;
  bool all_seen = true;  // rounds go on until all has happened that must not matter
  int rounds = 0;        // at least; every second has few pages
  double seconds = 0;    // rounds go on so long
  Sizes sizes;
};

Plan plan_for(bool large_model, const model::ModelInfo& info) {
  Plan plan;
  const bool small = VSURGE_SANITIZED != 0;
  plan.requests = large_model ? (small ? 4 : 8) : 24;
  plan.rounds = large_model ? 2 : small ? 4 : 8;
  plan.sizes = large_model ? (small ? Sizes{0, 45, 12} : Sizes{0, 90, 30}) : Sizes{0, 600, 40};
  if (small && !large_model) plan.sizes.prompt_max = 300;
  plan.all_seen = !(large_model && small);
  const auto requests = static_cast<int>(setting("VSURGE_BYTES_REQUESTS", 0));
  if (requests > 0) {
    plan.requests = requests;
    plan.rounds = 2;
    plan.sizes = {0, large_model ? 320 : 600, 40};
  }
  // Of the time the default model takes 60 %, half of it with either kind of KV cache.
  const double share =
      large_model ? 0.6 / 2 : 0.4 / (2 * static_cast<double>(checkpoints().size()));
  plan.seconds = setting("VSURGE_BYTES_MINUTES", 0) * 60 * share;
  plan.sizes.vocabulary = info.vocabulary;
  plan.sizes.answer_max = std::min(plan.sizes.answer_max, info.context_max / 4);
  plan.sizes.prompt_max = std::min(plan.sizes.prompt_max, info.context_max - plan.sizes.answer_max);
  return plan;
}

// The model, its kind of KV cache.
class EngineBytes : public ::testing::TestWithParam<std::tuple<std::string, tensor::DType>> {
 protected:
  static Ticket ticket(std::size_t draft) { return static_cast<Ticket>(draft) + 1; }

  bool all_seen() const { return !plan_.all_seen || counts_.missing().empty(); }
  void prepare(const std::filesystem::path& path);
  void answer_alone(Machine& machine);
  void round(int number);
  std::vector<Visit> visits(Random& random, const EngineOptions& options, Ticket first);
  void compare(const Answers& found, Ticket first);

  Conditions base_;
  Plan plan_;
  std::uint64_t seed_ = kSeed;
  std::uint64_t model_seed_ = 0;
  std::vector<Draft> drafts_;
  Answers alone_;  // by ticket(draft) and choice
  Counts counts_;
};

void EngineBytes::prepare(const std::filesystem::path& path) {
  const bool large_model = std::get<0>(GetParam()) == kDefaultModel;
  seed_ = static_cast<std::uint64_t>(setting("VSURGE_BYTES_SEED", kSeed));
  base_.path = path;
  base_.kv = std::get<1>(GetParam());
  model_seed_ = sim::mix(seed_, static_cast<std::uint64_t>(base_.kv));
  for (const char c : std::get<0>(GetParam())) {
    model_seed_ = sim::mix(model_seed_, static_cast<std::uint64_t>(c));
  }
  Random random(model_seed_);
  if (!large_model) {
    using enum model::WeightChoice;
    base_.weights = random.one_of({kAuto, kF32, kI8, kI4});
  }
  auto machine = Machine::load(base_);
  ASSERT_TRUE(machine) << machine.error().message;
  plan_ = plan_for(large_model, (*machine)->info());
  drafts_ = draw_drafts(random, plan_.sizes, plan_.requests);
  if (large_model) drafts_[0].prompt.assign(std::begin(kAskedTwice), std::end(kAskedTwice));
  const auto reserved = (*machine)->reserve(alone_conditions(base_, plan_.sizes));
  ASSERT_TRUE(reserved) << reserved.error().message;
  answer_alone(**machine);
}

void EngineBytes::answer_alone(Machine& machine) {
  Counts ignored;
  for (std::size_t i = 0; i < drafts_.size(); ++i) {
    for (int choice = 0; choice < drafts_[i].sampling.n; ++choice) {
      const Draft draft = drafts_[i].alone(choice);
      const auto allowed = check_request(machine.options(), draft.request());
      ASSERT_TRUE(allowed) << allowed.error().message;
      Scheduler scheduler(machine.options());
      const Visit visit{.ticket = ticket(i), .draft = &draft};
      Answers answers = run(machine, scheduler, {&visit, 1}, ignored);
      Answer& answer = answers[{ticket(i), draft.searches() ? choice : 0}];
      ASSERT_EQ(answer.ends, 1);
      ASSERT_TRUE(answer.reason == FinishReason::kStop || answer.reason == FinishReason::kLength)
          << answer.error;
      alone_[{ticket(i), choice}] = std::move(answer);
    }
  }
}

// All drafts that fit, in some order, at some times; a few are cancelled.
std::vector<Visit> EngineBytes::visits(Random& random, const EngineOptions& options, Ticket first) {
  const int spread = random.one_of({0, 0, 1, 4}) * plan_.requests;
  std::vector<Visit> result;
  for (std::size_t i = 0; i < drafts_.size(); ++i) {
    if (!check_request(options, drafts_[i].request())) continue;
    Visit visit{.ticket = first + ticket(i), .draft = &drafts_[i]};
    visit.arrives = random.between(0, spread);
    if (random.chance(12)) {
      visit.leaves = random.between(0, 30);
      if (random.chance(40)) visit.choice = random.between(0, drafts_[i].sampling.n - 1);
    }
    result.push_back(visit);
  }
  for (std::size_t i = result.size(); i-- > 1;) {
    const auto other = static_cast<std::size_t>(random.between(0, static_cast<int>(i)));
    std::swap(result[i], result[other]);
  }
  return result;
}

void EngineBytes::compare(const Answers& found, Ticket first) {
  for (const auto& [name, answer] : found) {
    const auto& [number, choice] = name;
    const auto expected = alone_.find({number - first, choice});
    ASSERT_NE(expected, alone_.end());
    const Draft& draft = drafts_[static_cast<std::size_t>(number - first - 1)];
    EXPECT_EQ(difference(expected->second, answer), "")
        << "request " << number - first << ", choice " << choice << " of " << draft.sampling.n
        << ", prompt of " << draft.prompt.size() << ", temperature " << draft.sampling.temperature
        << ", guesses " << draft.sampling.speculative_tokens << ", cached "
        << answer.usage.cached_tokens;
    ++(answer.reason == FinishReason::kCancelled ? counts_.cancelled : counts_.compared);
    if (answer.reason != FinishReason::kCancelled && draft.searches()) ++counts_.searched;
    counts_.tokens += answer.tokens.size();
  }
}

void EngineBytes::round(int number) {
  Random random(sim::mix(model_seed_, static_cast<std::uint64_t>(number) + 1));
  const Conditions conditions = draw_conditions(random, base_, plan_.sizes, number % 2 == 0);
  SCOPED_TRACE(fmt::format("seed {}, round {}, {}", seed_, number, conditions.describe()));
  auto machine = Machine::load(conditions);
  ASSERT_TRUE(machine) << machine.error().message;
  const auto reserved = (*machine)->reserve(conditions);
  ASSERT_TRUE(reserved) << reserved.error().message;
  Scheduler scheduler((*machine)->options());
  Ticket first = 0;
  for (const char* cache : {"cold", "warm"}) {
    SCOPED_TRACE(cache);
    const auto coming = visits(random, (*machine)->options(), first);
    const Answers found = run(**machine, scheduler, coming, counts_);
    std::size_t choices = 0;
    for (const Visit& visit : coming) {
      choices += static_cast<std::size_t>(visit.draft->sampling.n);
    }
    EXPECT_EQ(found.size(), choices);
    compare(found, first);
    EXPECT_EQ(scheduler.metrics().pages_used, 0);
    first += drafts_.size();
  }
}

TEST_P(EngineBytes, AloneAndTogether) {
  const auto begin = Clock::now();
  const std::string& name = std::get<0>(GetParam());
  const auto path = name == kDefaultModel ? base::default_model_path() : kGolden / name;
  if (!path) GTEST_SKIP() << base::default_model_missing();
  ASSERT_NO_FATAL_FAILURE(prepare(*path));
  fmt::print("seed {}, {} requests\n", seed_, plan_.requests);
  const std::chrono::duration<double> alone = Clock::now() - begin;
  int rounds = 0;
  for (; !HasFailure(); ++rounds) {
    const std::chrono::duration<double> past = Clock::now() - begin;
    if (rounds >= plan_.rounds && past.count() >= plan_.seconds && all_seen()) break;
    if (rounds >= 10 * plan_.rounds && past.count() >= plan_.seconds) break;
    ASSERT_NO_FATAL_FAILURE(round(rounds));
  }
  fmt::print("alone in {:.1f} s; {} rounds: {}\n", alone.count(), rounds, counts_.describe());
  if (!plan_.all_seen) return;
  EXPECT_EQ(counts_.missing(), "") << "never happened, so that nothing is proved of it";
  if (name == kDefaultModel) {
    EXPECT_GT(counts_.guesses_kept, 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(, EngineBytes,
                         ::testing::Combine(::testing::ValuesIn(checkpoints()),
                                            ::testing::Values(tensor::DType::kBF16,
                                                              tensor::DType::kI8)),
                         [](const auto& test) {
                           return std::get<0>(test.param) +
                                  (std::get<1>(test.param) == tensor::DType::kI8 ? "_int8"
                                                                                 : "_bf16");
                         });

}  // namespace
}  // namespace vsurge::engine::bytes
