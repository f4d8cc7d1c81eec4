#include "engine/rehearsal.h"

#include <algorithm>
#include <limits>

namespace vsurge::engine {
namespace {

// A step of sequences that nobody asked for.
class Scene {
 public:
  explicit Scene(const model::StepLimits& limits)
      : limits_(limits), tokens_(static_cast<std::size_t>(limits.tokens_max), 0) {
    for (std::int32_t page = 0; page < limits.pages; ++page) pages_.push_back(page);
    plan_.sequences.reserve(static_cast<std::size_t>(limits.sequences_max));
  }

  int pages_for(int tokens) const { return (tokens + limits_.page_size - 1) / limits_.page_size; }

  // `count` tokens from position `first` on, on pages of its own, with `rows` rows of logits.
  void add(int first, int count, int rows) {
    PlannedSequence& planned = plan_.sequences.emplace_back();
    planned.first = first;
    planned.tokens = std::span<const TokenId>(tokens_).first(static_cast<std::size_t>(count));
    const auto pages = static_cast<std::size_t>(pages_for(first + count));
    planned.pages = std::span<const std::int32_t>(pages_).subspan(pages_taken_, pages);
    pages_taken_ += pages;
    planned.samples = rows > 0;
    planned.rows = rows;
    planned.first_row = static_cast<int>(plan_.rows.size());
    for (int i = 0; i < rows; ++i) {
      PlannedRow& row = plan_.rows.emplace_back();
      row.sampling = &sampling_;
      row.position = static_cast<std::uint64_t>(first + count);
      row.logprobs = kTopLogprobsMax;
      plan_.alternatives += row.logprobs;
    }
    plan_.load.tokens += count;
    plan_.load.rows += rows;
  }

  void run(StepRunner& runner) {
    StepResult result;
    result.reset(plan_);
    runner.run(plan_, result);
  }

  // Least time of a few runs: what disturbs only adds.
  double time_ns(StepRunner& runner, const base::Clock& clock) {
    constexpr int kRunsMax = 3;
    constexpr double kEnoughNs = 5e7;
    double least = std::numeric_limits<double>::max();
    double sum = 0;
    for (int i = 0; i < kRunsMax && sum < kEnoughNs; ++i) {
      const base::Nanoseconds begin = clock.now();
      run(runner);
      const auto time = static_cast<double>(std::max<base::Nanoseconds>(clock.now() - begin, 1));
      least = std::min(least, time);
      sum += time;
    }
    return least;
  }

 private:
  const model::StepLimits limits_;
  const std::vector<TokenId> tokens_;
  std::vector<std::int32_t> pages_;
  std::size_t pages_taken_ = 0;
  const kernels::SampleRow sampling_{1.0F, 0.95F, 0.0F, 0, 1, 0, nullptr};
  StepPlan plan_;
};

int most_tokens(const model::StepLimits& limits) {
  const std::int64_t held = static_cast<std::int64_t>(limits.pages) * limits.page_size;
  return static_cast<int>(std::min<std::int64_t>(limits.context_max, held));
}

}  // namespace

void rehearse_largest_step(StepRunner& runner, const model::StepLimits& limits) {
  // As many sequences as can be, the first with all the tokens and rows that are left.
  const int sequences =
      std::min({limits.sequences_max, limits.tokens_max, limits.logit_rows_max, limits.pages});
  const std::int64_t room =
      static_cast<std::int64_t>(limits.pages - (sequences - 1)) * limits.page_size;
  const int longest = static_cast<int>(std::min<std::int64_t>(
      std::min(limits.tokens_max - (sequences - 1), limits.context_max), room));
  Scene scene(limits);
  scene.add(0, longest, std::min(longest, limits.logit_rows_max - (sequences - 1)));
  for (int i = 1; i < sequences; ++i) scene.add(0, 1, 1);
  scene.run(runner);
}

StepCost measure_step_cost(StepRunner& runner, const model::StepLimits& limits,
                           const base::Clock& clock) {
  const auto time = [&](int first, int count) {
    Scene scene(limits);
    scene.add(first, count, 1);
    return scene.time_ns(runner, clock);
  };
  StepCost cost;
  const int context = most_tokens(limits);
  const int longest = std::min(limits.tokens_max, context);
  for (int power = 0; power < StepCost::kPowers && (1 << power) <= longest; ++power) {
    // More tokens never take less; a machine that is disturbed may say so.
    double& ns = cost.tokens_ns[static_cast<std::size_t>(power)];
    ns = time(0, 1 << power);
    if (power > 0) ns = std::max(ns, cost.tokens_ns[static_cast<std::size_t>(power) - 1]);
  }
  const int rows =
      std::min({16, limits.sequences_max, limits.logit_rows_max, limits.tokens_max, limits.pages});
  if (rows > 1) {
    Scene scene(limits);
    for (int i = 0; i < rows; ++i) scene.add(0, 1, 1);
    const double more = scene.time_ns(runner, clock) - cost.predict_ns({.tokens = rows, .rows = 1});
    cost.row_ns = std::max(0.0, more / (rows - 1));
  }
  constexpr int kKeysMax = 4096;
  constexpr int kChunk = 32;
  const int far = std::min(context, kKeysMax);
  if (far > 2 * kChunk && limits.tokens_max >= kChunk) {
    const int before = far - kChunk;
    const double decode = time(before, 1) - cost.tokens_ns[0];
    cost.decode_key_ns = std::max(0.0, decode / before);
    const double prompt = time(before, kChunk) - cost.predict_ns({.tokens = kChunk, .rows = 1});
    cost.prompt_key_ns = std::max(0.0, prompt / (static_cast<double>(kChunk) * before));
  }
  return cost;
}

}  // namespace vsurge::engine
