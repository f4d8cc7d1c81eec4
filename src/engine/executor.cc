#include "engine/executor.h"

#include <algorithm>

namespace vsurge::engine {
namespace {

std::size_t pages_of(const model::StepLimits& limits, int tokens) {
  return static_cast<std::size_t>((tokens + limits.page_size - 1) / limits.page_size);
}

// The one that draws a token.
std::size_t last_row(const PlannedSequence& planned) {
  return static_cast<std::size_t>(planned.first_row + planned.rows - 1);
}

// Some row's logits are told as they are.
bool needs_logits(const StepPlan& plan) {
  return std::ranges::any_of(plan.sequences, [](const PlannedSequence& planned) {
    return planned.pooled != nullptr && planned.rows > 0;
  });
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
  // Sequences may share pages.
  pages_.reserve(sequences * pages_of(limits, limits.context_max));
  page_offsets_.reserve(sequences + 1);
  logit_rows_.reserve(rows);
  rows_.reserve(rows);
  masks_.resize(sequences * mask_words_);
  masked_.reserve(sequences);
  asked_.reserve(sequences);
  state_.resize(static_cast<std::size_t>(model.info().hidden));
  pooled_logits_.resize(kPooledLogitsMax);
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
  for (int i = planned.rows; i > 0; --i) {
    logit_rows_.push_back(static_cast<std::int32_t>(tokens_.size()) - i);
  }
}

void Executor::MasksJob::run(void* job) {
  const auto* masks = static_cast<const MasksJob*>(job);
  masks->executor->fill_masks(*masks->plan, *masks->result);
}

// Fills masked_ and asked_.
void Executor::divide_constraints(const StepPlan& plan) {
  masked_.clear();
  asked_.clear();
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    if (planned.constraint == nullptr || !planned.samples) continue;
    const bool asks =
        kernels::wants_greatest(rows_[last_row(planned)]) && planned.constraint->mask_habit.asks();
    (asks ? asked_ : masked_).push_back(i);
  }
}

void Executor::fill_masks(const StepPlan& plan, StepResult& result) {
  for (const std::size_t i : masked_) fill_mask(plan, i, result);
}

void Executor::fill_mask(const StepPlan& plan, std::size_t sequence, StepResult& result) {
  const PlannedSequence& planned = plan.sequences[sequence];
  kernels::SampleRow& row = rows_[last_row(planned)];
  const auto words = std::span(masks_).subspan(sequence * mask_words_, mask_words_);
  std::fill(words.begin(), words.end(), 0U);
  result.sequences[sequence] = fault_of(planned.constraint->fill_mask(words));
  if (row.allowed_tokens != nullptr) {
    for (std::size_t word = 0; word < mask_words_; ++word) {
      words[word] &= row.allowed_tokens[word];
    }
  }
  row.allowed_tokens = words.data();
}

// Whoever was drawn a token that may not come gets a mask after all, and is drawn another. Greedy
// sampling without a mask left the logits as they were.
void Executor::ask_constraints(const StepPlan& plan, const tensor::Tensor& logits,
                               StepResult& result) {
  if (asked_.empty()) return;
  const auto ask = [&](std::size_t i) {
    TokenConstraint& constraint = *plan.sequences[i].constraint;
    const kernels::SampleResult& drawn = result.rows[last_row(plan.sequences[i])];
    if (drawn.status != kernels::SampleStatus::kOk) return;
    auto allowed = constraint.allows(drawn.token);
    if (!allowed) {
      result.sequences[i] = std::make_unique<base::Error>(std::move(allowed).error());
      return;
    }
    constraint.mask_habit.heard(*allowed);
    if (!*allowed) fill_mask(plan, i, result);
  };
  backend_.pool().parallel_for(std::ssize(asked_), 1,
                               [&](std::int64_t begin, std::int64_t end, int) {
                                 for (; begin < end; ++begin) {
                                   ask(asked_[static_cast<std::size_t>(begin)]);
                                 }
                               });
  for (const std::size_t i : asked_) {
    const std::size_t row = last_row(plan.sequences[i]);
    if (rows_[row].allowed_tokens == nullptr) continue;  // no mask was made
    const auto one = tensor::Tensor::view(logits.row<float>(static_cast<std::int64_t>(row)),
                                          logits.dtype, 1, logits.cols);
    backend_.sample(one, std::span(rows_).subspan(row, 1), std::span(result.rows).subspan(row, 1));
  }
}

// Each row's part of the room for alternatives.
void Executor::point_to(std::span<kernels::TopLogprob> top) {
  if (top.empty()) return;
  std::size_t taken = 0;
  for (kernels::SampleRow& row : rows_) {
    const auto count = static_cast<std::size_t>(std::max(0, row.logprobs));
    row.top = top.subspan(taken, count).data();
    taken += count;
  }
  CHECK(taken == top.size());
}

void Executor::pool(const StepPlan& plan, const tensor::Tensor& logits) {
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    if (planned.pooled == nullptr) continue;
    if (const auto wanted = planned.pooled->logits_of(); !wanted.empty()) {
      if (planned.rows == 0) continue;
      const float* row = logits.row<float>(planned.first_row);
      for (std::size_t k = 0; k < wanted.size(); ++k) pooled_logits_[k] = row[wanted[k]];
      planned.pooled->add_logits(std::span(pooled_logits_).first(wanted.size()));
      continue;
    }
    for (std::size_t k = 0; k < planned.tokens.size(); ++k) {
      const int position = planned.first + static_cast<int>(k);
      if (!planned.pooled->wants(position)) continue;
      model_.read_state(sequence_offsets_[i] + static_cast<std::int32_t>(k), state_);
      planned.pooled->add(position, state_);
    }
  }
}

void Executor::run(const StepPlan& plan, StepResult& result) {
  CHECK(plan.load.tokens <= limits_.tokens_max, "{} tokens", plan.load.tokens);
  CHECK(plan.sequences.size() <= static_cast<std::size_t>(limits_.sequences_max));
  CHECK(result.sequences.size() == plan.sequences.size() && result.rows.size() == plan.rows.size());
  clear();
  for (const PlannedSequence& planned : plan.sequences) append(planned);
  CHECK(logit_rows_.size() == plan.rows.size() &&
        logit_rows_.size() <= static_cast<std::size_t>(limits_.logit_rows_max));
  for (const PageCopy& copy : plan.copies) model_.copy_page(copy.from, copy.to);
  // Masks are made while the model runs.
  rows_.clear();
  for (const PlannedRow& row : plan.rows) rows_.push_back(row.sample_row());
  point_to(result.top);
  masks_job_ = {this, &plan, &result};
  divide_constraints(plan);
  if (!masked_.empty()) mask_thread_.start(&MasksJob::run, &masks_job_);
  const struct Joined {
    base::SideThread& thread;
    ~Joined() { thread.wait(); }
  } joined{mask_thread_};  // whatever the model does
  const model::Batch batch{tokens_,          positions_, slots_,        sequence_offsets_,
                           context_lengths_, pages_,     page_offsets_, logit_rows_};
  if (masked_.empty() && asked_.empty() && std::ranges::all_of(rows_, kernels::wants_greatest) &&
      !needs_logits(plan)) {
    model_.forward_greatest(batch, result.rows);
    pool(plan, {});
    return;
  }
  const tensor::Tensor logits = model_.forward(batch);
  mask_thread_.wait();
  pool(plan, logits);
  if (logit_rows_.empty()) return;
  backend_.sample(logits, rows_, result.rows);
  ask_constraints(plan, logits, result);
}

}  // namespace vsurge::engine
