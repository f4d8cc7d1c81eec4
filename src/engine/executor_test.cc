#include "engine/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/rehearsal.h"

namespace vsurge::engine {
namespace {

constexpr int kVocabulary = 70;

model::StepLimits limits() {
  model::StepLimits result;
  result.tokens_max = 12;
  result.sequences_max = 4;
  result.logit_rows_max = 4;
  result.context_max = 20;
  result.page_size = 4;
  result.pages = 9;
  return result;
}

// Keeps a copy of the batch. The greatest logit of a row is token + position of its token.
class FakeModel final : public model::Model {
 public:
  FakeModel() {
    info_.vocabulary = kVocabulary;
    info_.hidden = 2;
  }
  const model::ModelInfo& info() const override { return info_; }
  std::int64_t page_bytes(int, tensor::DType) const override { return 1; }
  std::int64_t step_bytes(const model::StepLimits&) const override { return 1; }
  base::Status reserve(const model::StepLimits&) override { return {}; }
  void copy_page(std::int32_t from, std::int32_t to) override { copies.push_back({from, to}); }
  tensor::Tensor forward(const model::Batch& batch) override {
    ++forwards;
    const auto copy = [](std::span<const std::int32_t> from) {
      return std::vector<std::int32_t>(from.begin(), from.end());
    };
    tokens = copy(batch.tokens);
    positions = copy(batch.positions);
    slots = copy(batch.slots);
    sequence_offsets = copy(batch.sequence_offsets);
    context_lengths = copy(batch.context_lengths);
    pages = copy(batch.pages);
    page_offsets = copy(batch.page_offsets);
    logit_rows = copy(batch.logit_rows);
    logits_.assign(logit_rows.size() * kVocabulary, 0.0F);
    for (std::size_t row = 0; row < logit_rows.size(); ++row) {
      const auto at = static_cast<std::size_t>(logit_rows[row]);
      float* logits = logits_.data() + row * kVocabulary;
      logits[(tokens[at] + positions[at]) % kVocabulary] = 5.0F;
      if (static_cast<int>(row) == bad_row) {
        logits[11] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return tensor::Tensor::view(logits_.data(), tensor::DType::kF32,
                                static_cast<std::int64_t>(logit_rows.size()), kVocabulary);
  }

  void forward_greatest(const model::Batch& batch,
                        std::span<kernels::SampleResult> results) override {
    ++greatest;
    forward(batch);
    for (std::size_t row = 0; row < results.size(); ++row) {
      const auto logits = std::span(logits_).subspan(row * kVocabulary, kVocabulary);
      results[row].token = static_cast<int>(std::ranges::max_element(logits) - logits.begin());
      if (static_cast<int>(row) == bad_row) results[row].status = kernels::SampleStatus::kNotFinite;
    }
  }

  // [token + position, position]
  void read_state(std::int32_t token, std::span<float> out) override {
    const auto at = static_cast<std::size_t>(token);
    ASSERT_EQ(out.size(), 2U);
    out[0] = static_cast<float>(tokens[at] + positions[at]);
    out[1] = static_cast<float>(positions[at]);
  }

  std::vector<std::pair<std::int32_t, std::int32_t>> copies;
  int forwards = 0;
  int greatest = 0;  // of them
  int bad_row = -1;
  std::vector<std::int32_t> tokens, positions, slots, sequence_offsets, context_lengths, pages,
      page_offsets, logit_rows;

 private:
  model::ModelInfo info_;
  std::vector<float> logits_;
};

class FakeConstraint final : public TokenConstraint {
 public:
  base::Status fill_mask(std::span<std::uint32_t> words) override {
    ++masks;
    if (fails) return base::fail(base::ErrorCode::kInternal, "no mask");
    EXPECT_EQ(words.size(), (kVocabulary + 31) / 32);
    for (const std::uint32_t word : words) EXPECT_EQ(word, 0U);
    if (allowed >= 0) words[static_cast<std::size_t>(allowed / 32)] = 1U << (allowed % 32);
    return {};
  }
  base::Result<bool> allows(TokenId token) override {
    ++asked;
    if (fails) return base::fail(base::ErrorCode::kInternal, "no mask");
    return token == allowed;
  }
  base::Status accept(TokenId) override { return {}; }
  int asked = 0, masks = 0;
  int allowed = -1;
  bool fails = false;
};

struct Rig {
  Rig() : backend(tensor::make_cpu_backend({1, "scalar"})), executor(model, **backend, limits()) {}

  void run(const StepPlan& plan) {
    result.reset(plan);
    executor.run(plan, result);
  }

  FakeModel model;
  base::Result<std::unique_ptr<tensor::Backend>> backend;
  Executor executor;
  StepResult result;
};

PlannedSequence planned(int first, std::span<const TokenId> tokens,
                        std::span<const std::int32_t> pages, bool samples) {
  PlannedSequence result;
  result.first = first;
  result.tokens = tokens;
  result.pages = pages;
  result.samples = samples;
  result.rows = samples ? 1 : 0;
  return result;
}

constexpr kernels::SampleRow greedy{0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};

StepPlan plan_of(std::vector<PlannedSequence> sequences) {
  StepPlan plan;
  plan.sequences = std::move(sequences);
  for (auto& sequence : plan.sequences) {
    plan.load.tokens += static_cast<int>(sequence.tokens.size());
    sequence.first_row = static_cast<int>(plan.rows.size());
    for (int row = 0; row < sequence.rows; ++row) {
      plan.rows.push_back({.sampling = &greedy});
    }
  }
  return plan;
}

using Ints = std::vector<std::int32_t>;

TEST(Executor, PacksTheBatch) {
  Rig rig;
  const Ints a = {30, 31, 32};
  const Ints b = {40};
  const Ints c = {50, 51};
  const Ints pages_a = {7, 2};
  const Ints pages_b = {3};
  const Ints pages_c = {8};
  rig.run(plan_of(
      {planned(3, a, pages_a, true), planned(2, b, pages_b, true), planned(0, c, pages_c, false)}));
  EXPECT_EQ(rig.model.tokens, (Ints{30, 31, 32, 40, 50, 51}));
  EXPECT_EQ(rig.model.positions, (Ints{3, 4, 5, 2, 0, 1}));
  EXPECT_EQ(rig.model.slots, (Ints{31, 8, 9, 14, 32, 33}));
  EXPECT_EQ(rig.model.sequence_offsets, (Ints{0, 3, 4, 6}));
  EXPECT_EQ(rig.model.context_lengths, (Ints{6, 3, 2}));
  EXPECT_EQ(rig.model.pages, (Ints{7, 2, 3, 8}));
  EXPECT_EQ(rig.model.page_offsets, (Ints{0, 2, 3, 4}));
  EXPECT_EQ(rig.model.logit_rows, (Ints{2, 3}));
  ASSERT_EQ(rig.result.rows.size(), 2U);
  EXPECT_EQ(rig.result.rows[0].token, 37);
  EXPECT_EQ(rig.result.rows[1].token, 42);
  EXPECT_TRUE(rig.model.copies.empty());
}

TEST(Executor, SeveralRowsOfOneSequence) {
  Rig rig;
  const Ints tokens = {30, 31, 32};
  const Ints pages = {0};
  PlannedSequence sequence = planned(0, tokens, pages, true);
  sequence.rows = 2;
  StepPlan plan = plan_of({sequence});
  plan.copies = {{4, 5}, {4, 6}};
  rig.run(plan);
  EXPECT_EQ(rig.model.logit_rows, (Ints{1, 2}));
  EXPECT_EQ(rig.result.rows[0].token, 32);
  EXPECT_EQ(rig.result.rows[1].token, 34);
  EXPECT_EQ(rig.model.copies, (std::vector<std::pair<std::int32_t, std::int32_t>>{{4, 5}, {4, 6}}));
}

TEST(Executor, NoRowsNoSampling) {
  Rig rig;
  const Ints tokens = {1, 2};
  const Ints pages = {0};
  rig.run(plan_of({planned(0, tokens, pages, false)}));
  EXPECT_TRUE(rig.model.logit_rows.empty());
  EXPECT_EQ(rig.result.sequences[0], nullptr);
}

// Logits are stored when any row is more than greedy.
TEST(Executor, GreedyRowsAloneNeedNoLogits) {
  Rig rig;
  const Ints token = {30};
  const Ints pages[] = {{0}, {1}};
  StepPlan plan = plan_of({planned(0, token, pages[0], true), planned(1, token, pages[1], true)});
  rig.run(plan);
  EXPECT_EQ(rig.model.greatest, 1);
  const auto all = rig.result.rows;
  kernels::SampleRow drawn = greedy;
  drawn.temperature = 1e-3F;
  plan.rows[1].sampling = &drawn;
  rig.run(plan);
  EXPECT_EQ(rig.model.greatest, 1);
  EXPECT_EQ(rig.model.forwards, 2);
  for (std::size_t row = 0; row < 2; ++row) EXPECT_EQ(rig.result.rows[row].token, all[row].token);
  FakeConstraint constraint;
  constraint.allowed = 3;
  plan.rows[1].sampling = &greedy;
  plan.sequences[1].constraint = &constraint;
  rig.run(plan);
  EXPECT_EQ(rig.model.greatest, 1);
  EXPECT_EQ(rig.result.rows[1].token, 3);
}

TEST(Executor, ABadRowFailsAlone) {
  Rig rig;
  rig.model.bad_row = 1;
  const Ints token = {30};
  const Ints pages[] = {{0}, {1}, {2}};
  rig.run(plan_of({planned(0, token, pages[0], true), planned(1, token, pages[1], true),
                   planned(2, token, pages[2], true)}));
  EXPECT_EQ(rig.result.rows[0].token, 30);
  EXPECT_EQ(rig.result.rows[1].status, kernels::SampleStatus::kNotFinite);
  EXPECT_EQ(rig.result.rows[2].token, 32);
}

TEST(Executor, AsksAConstraintBeforeItMakesAMask) {
  Rig rig;
  const Ints token = {30};
  const Ints pages = {0};
  FakeConstraint constraint;
  StepPlan plan = plan_of({planned(0, token, pages, true)});
  plan.sequences[0].constraint = &constraint;
  const auto run = [&](int steps, int allowed) {
    constraint.allowed = allowed;
    constraint.asked = constraint.masks = 0;
    for (int step = 0; step < steps; ++step) {
      rig.run(plan);
      EXPECT_EQ(rig.result.rows[0].token, allowed) << step;
    }
  };
  run(5, 30);  // what is likeliest
  EXPECT_EQ(constraint.asked, 5);
  EXPECT_EQ(constraint.masks, 0);
  run(8, 69);  // asked, a mask, asked, two masks, asked, two of four masks
  EXPECT_EQ(constraint.asked, 3);
  EXPECT_EQ(constraint.masks, 8);
  run(4, 30);  // the other two
  EXPECT_EQ(constraint.asked, 2);
  EXPECT_EQ(constraint.masks, 2);
  kernels::SampleRow drawn = greedy;
  drawn.temperature = 0.5F;
  plan.rows[0].sampling = &drawn;
  run(3, 69);
  EXPECT_EQ(constraint.asked, 0);
  EXPECT_EQ(constraint.masks, 3);
  EXPECT_EQ(rig.model.greatest, 0);
}

TEST(Executor, Constraints) {
  Rig rig;
  FakeConstraint one;
  one.allowed = 69;
  FakeConstraint none;
  FakeConstraint broken;
  broken.fails = true;
  const Ints token = {30};
  const Ints pages[] = {{0}, {1}, {2}, {3}};
  StepPlan plan = plan_of({planned(0, token, pages[0], true), planned(0, token, pages[1], true),
                           planned(0, token, pages[2], true), planned(0, token, pages[3], true)});
  plan.sequences[0].constraint = &one;
  plan.sequences[1].constraint = &none;
  plan.sequences[2].constraint = &broken;
  for (int round = 0; round < 2; ++round) {  // masks are cleared between steps
    rig.run(plan);
    EXPECT_EQ(rig.result.rows[0].token, 69);
    EXPECT_EQ(rig.result.rows[1].status, kernels::SampleStatus::kNothingAllowed);
    ASSERT_NE(rig.result.sequences[2], nullptr);
    EXPECT_EQ(rig.result.sequences[2]->message, "no mask");
    EXPECT_EQ(rig.result.rows[3].token, 30);
  }
}

TEST(Executor, Pools) {
  Rig rig;
  const Ints a = {30, 31, 32};
  const Ints b = {40, 41};
  const Ints c = {50, 51};
  const Ints pages[] = {{0}, {1}, {2}};
  Pooled mean({PooledStates::kMean, {}}, 2, 2);
  Pooled logits({PooledStates::kLast, {52, 3}}, 2, 2);
  mean.reserve();
  logits.reserve();
  StepPlan plan = plan_of({planned(0, a, pages[0], true), planned(0, b, pages[1], false),
                           planned(0, c, pages[2], true)});
  plan.sequences[1].pooled = &mean;
  plan.sequences[2].pooled = &logits;
  rig.run(plan);
  EXPECT_EQ(mean.result(), (std::vector<float>{41, 0.5F}));
  EXPECT_EQ(logits.result(), (std::vector<float>{5, 0}));
  EXPECT_EQ(rig.result.rows[0].token, 34);
}

TEST(Executor, WarmsUpWithTheLargestStep) {
  Rig rig;
  rehearse_largest_step(rig.executor, limits());
  EXPECT_EQ(rig.model.forwards, 1);
  EXPECT_EQ(rig.model.tokens.size(), 12U);
  EXPECT_EQ(rig.model.context_lengths, (Ints{9, 1, 1, 1}));
  EXPECT_EQ(rig.model.pages, (Ints{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(rig.model.logit_rows.size(), 4U);
}

}  // namespace
}  // namespace vsurge::engine
