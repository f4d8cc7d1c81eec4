#include "engine/executor.h"

#include <algorithm>

namespace vsurge::engine {
namespace {

std::size_t pages_of(const model::StepLimits& limits, int tokens) {
  return static_cast<std::size_t>((tokens + limits.page_size - 1) / limits.page_size);
}

}  // namespace

Executor::Executor(model::Model& model, tensor::Backend& backend, const model::StepLimits& limits)
    : model_(model),
      backend_(backend),
      limits_(limits),
      mask_words_((static_cast<std::size_t>(model.info().vocabulary) + 31) / 32) {
  const auto tokens = static_cast<std::size_t>(limits.tokens_max);
  const auto sequences = static_cast<std::size_t>(limits.sequences_max);
  const auto rows = static_cast<std::size_t>(limits.logit_rows_max);
  tokens_.reserve(tokens);
  positions_.reserve(tokens);
  slots_.reserve(tokens);
  sequence_offsets_.reserve(sequences + 1);
  context_lengths_.reserve(sequences);
  // Pages are not shared yet: all of them at most.
  pages_.reserve(static_cast<std::size_t>(limits.pages));
  page_offsets_.reserve(sequences + 1);
  logit_rows_.reserve(rows);
  rows_.reserve(rows);
  sampled_.reserve(rows);
  masks_.resize(rows * mask_words_);
}

void Executor::clear() {
  tokens_.clear();
  positions_.clear();
  slots_.clear();
  sequence_offsets_.assign(1, 0);
  context_lengths_.clear();
  pages_.clear();
  page_offsets_.assign(1, 0);
  logit_rows_.clear();
  rows_.clear();
  sampled_.clear();
}

void Executor::append(const PlannedSequence& planned) {
  const auto count = static_cast<int>(planned.tokens.size());
  const int end = planned.first + count;
  CHECK(count > 0 && end <= limits_.context_max, "{} tokens up to {}", count, end);
  CHECK(planned.pages.size() == pages_of(limits_, end), "{} pages for {} tokens",
        planned.pages.size(), end);
  for (int i = 0; i < count; ++i) {
    const int position = planned.first + i;
    const std::int32_t page = planned.pages[static_cast<std::size_t>(position / limits_.page_size)];
    tokens_.push_back(planned.tokens[static_cast<std::size_t>(i)]);
    positions_.push_back(position);
    slots_.push_back(page * limits_.page_size + position % limits_.page_size);
  }
  sequence_offsets_.push_back(static_cast<std::int32_t>(tokens_.size()));
  context_lengths_.push_back(end);
  pages_.insert(pages_.end(), planned.pages.begin(), planned.pages.end());
  page_offsets_.push_back(static_cast<std::int32_t>(pages_.size()));
  if (planned.wants_token) {
    logit_rows_.push_back(static_cast<std::int32_t>(tokens_.size()) - 1);
    rows_.push_back(planned.sampling);
  }
}

void Executor::fill_mask(const PlannedSequence& planned, std::size_t row, base::Status& status) {
  const auto words = std::span(masks_).subspan(row * mask_words_, mask_words_);
  std::fill(words.begin(), words.end(), 0U);
  status = planned.constraint->fill_mask(words);
  if (status) rows_[row].allowed_tokens = words.data();
}

void Executor::run(const StepPlan& plan, StepResult& result) {
  CHECK(plan.tokens <= limits_.tokens_max, "{} tokens", plan.tokens);
  CHECK(plan.sequences.size() <= static_cast<std::size_t>(limits_.sequences_max));
  CHECK(result.sequences.size() == plan.sequences.size());
  clear();
  for (const PlannedSequence& planned : plan.sequences) append(planned);
  CHECK(logit_rows_.size() <= static_cast<std::size_t>(limits_.logit_rows_max));
  const model::Batch batch{tokens_,          positions_, slots_,        sequence_offsets_,
                           context_lengths_, pages_,     page_offsets_, logit_rows_};
  const tensor::Tensor logits = model_.forward(batch);
  if (logit_rows_.empty()) return;
  std::size_t row = 0;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    if (!plan.sequences[i].wants_token) continue;
    if (plan.sequences[i].constraint != nullptr) {
      fill_mask(plan.sequences[i], row, result.sequences[i].status);
    }
    ++row;
  }
  sampled_.resize(rows_.size());
  backend_.sample(logits, rows_, sampled_);
  collect(plan, result);
}

void Executor::collect(const StepPlan& plan, StepResult& result) const {
  std::size_t row = 0;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    if (!planned.wants_token) continue;
    const kernels::SampleResult& sampled = sampled_[row++];
    SequenceResult& out = result.sequences[i];
    if (!out.status) continue;  // its mask could not be made
    switch (sampled.status) {
      case kernels::SampleStatus::kOk:
        out.token = sampled.token;
        break;
      case kernels::SampleStatus::kNotFinite:
        out.status =
            base::fail(base::ErrorCode::kNumericalError, "the logits of position {} are not finite",
                       planned.sampling.position);
        break;
      case kernels::SampleStatus::kNothingAllowed:
        out.status =
            base::fail(base::ErrorCode::kNumericalError,
                       "the constraint allows no token at position {}", planned.sampling.position);
        break;
    }
  }
}

void Executor::warm_up() {
  // As many sequences as can be, the first with all the tokens that are left.
  const int sequences =
      std::min({limits_.sequences_max, limits_.tokens_max, limits_.logit_rows_max, limits_.pages});
  const std::int64_t room =
      static_cast<std::int64_t>(limits_.pages - (sequences - 1)) * limits_.page_size;
  const int longest = static_cast<int>(std::min<std::int64_t>(
      std::min(limits_.tokens_max - (sequences - 1), limits_.context_max), room));
  const std::vector<TokenId> tokens(static_cast<std::size_t>(longest), 0);
  std::vector<std::int32_t> pages(pages_of(limits_, longest) + static_cast<std::size_t>(sequences));
  for (std::size_t i = 0; i < pages.size(); ++i) pages[i] = static_cast<std::int32_t>(i);
  StepPlan plan;
  std::size_t page = 0;
  for (int i = 0; i < sequences; ++i) {
    PlannedSequence& planned = plan.sequences.emplace_back();
    const int count = i == 0 ? longest : 1;
    planned.tokens = std::span(tokens).first(static_cast<std::size_t>(count));
    planned.pages = std::span<const std::int32_t>(pages).subspan(page, pages_of(limits_, count));
    planned.wants_token = true;
    planned.sampling = {1.0F, 1.0F, 0.0F, 0, 0, static_cast<std::uint64_t>(count), nullptr};
    page += planned.pages.size();
    plan.tokens += count;
  }
  StepResult result;
  result.sequences.resize(plan.sequences.size());
  run(plan, result);
}

}  // namespace vsurge::engine
