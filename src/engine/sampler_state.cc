#include "engine/sampler_state.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace vsurge::engine {

namespace {

constexpr float kBan = std::numeric_limits<float>::infinity();
constexpr std::size_t kSlotsMin = 16;
constexpr double kDryPenaltyMax = 1e6;  // keeps what is left of a logit finite and comparable

std::vector<std::uint32_t> bitmap(std::span<const TokenId> tokens, int vocabulary) {
  std::vector<std::uint32_t> words((static_cast<std::size_t>(vocabulary) + 31) / 32, 0);
  for (const TokenId token : tokens) {
    const auto i = static_cast<std::size_t>(token);
    words[i / 32] |= 1U << (i % 32);
  }
  return words;
}

bool contains(const std::vector<TokenId>& sorted, TokenId token) {
  return std::ranges::binary_search(sorted, token);
}

}  // namespace

std::size_t TokenTable::place(TokenId token) const {
  // Multiplicative hashing; the upper bits are the good ones.
  const std::uint64_t hash = static_cast<std::uint32_t>(token) * 0x9E3779B97F4A7C15ULL;
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = static_cast<std::size_t>(hash >> 32) & mask;
  while (slots_[at].epoch == epoch_ && slots_[at].token != token) at = (at + 1) & mask;
  return at;
}

void TokenTable::grow(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.epoch == epoch_) slots_[place(slot.token)] = slot;
  }
}

void TokenTable::reserve(std::size_t tokens) {
  std::size_t slots = std::max(slots_.size(), kSlotsMin);
  while (slots < 2 * tokens) slots *= 2;
  if (slots != slots_.size()) grow(slots);
}

std::pair<std::int32_t, bool> TokenTable::insert(TokenId token) {
  reserve(static_cast<std::size_t>(count_) + 1);
  Slot& slot = slots_[place(token)];
  if (slot.epoch == epoch_) return {slot.number, false};
  slot = {token, count_, epoch_};
  return {count_++, true};
}

void TokenTable::clear() {
  count_ = 0;
  if (++epoch_ != 0) return;
  std::ranges::fill(slots_, Slot{});
  epoch_ = 1;
}

std::unique_ptr<SamplerState> SamplerState::make(const SamplingParams& sampling,
                                                 std::span<const TokenId> prompt,
                                                 const EngineOptions& options) {
  const bool needed = sampling.repetition_penalty != 1.0F || sampling.presence_penalty != 0.0F ||
                      sampling.frequency_penalty != 0.0F || sampling.dry.multiplier > 0.0F ||
                      !sampling.logit_bias.empty() || !sampling.bad_words.empty() ||
                      !sampling.allowed_token_ids.empty() || !sampling.suppress_tokens.empty() ||
                      sampling.min_tokens > 0 || sampling.thinking.has_value();
  if (!needed) return nullptr;
  std::unique_ptr<SamplerState> state(new SamplerState(sampling, options));
  if (state->repetition_ != 1.0F) {
    const std::size_t distinct =
        std::min(prompt.size(), static_cast<std::size_t>(options.vocabulary));
    state->tokens_.reserve(distinct);
    state->edits_.reserve(distinct);
    state->counts_.reserve(distinct);
    for (const TokenId token : prompt) state->edit_of(token).repetition = state->repetition_;
  }
  return state;
}

SamplerState::SamplerState(const SamplingParams& sampling, const EngineOptions& options)
    : repetition_(sampling.repetition_penalty),
      presence_(sampling.presence_penalty),
      frequency_(sampling.frequency_penalty),
      min_tokens_(sampling.min_tokens),
      dry_(sampling.dry) {
  if (min_tokens_ > 0) {
    stops_ = sampling.stop_token_ids;
    if (!sampling.ignore_eos) {
      // A tokenizer may know tokens that the model has no logit for.
      std::ranges::copy_if(options.eos_tokens, std::back_inserter(stops_),
                           [&](TokenId token) { return token >= 0 && token < options.vocabulary; });
    }
  }
  if (!sampling.allowed_token_ids.empty()) {
    allowed_ = bitmap(sampling.allowed_token_ids, options.vocabulary);
  }
  if (sampling.thinking) {
    thinking_ = *sampling.thinking;
    is_thinking_ = thinking_.open;
    forced_ = bitmap(std::span(&thinking_.end_token, 1), options.vocabulary);
  }
  std::ranges::sort(dry_.sequence_breakers);
  add_static_edits(sampling);
}

void SamplerState::add_static_edits(const SamplingParams& sampling) {
  for (const auto& [token, bias] : sampling.logit_bias) edit_of(token).bias += bias;
  for (const TokenId token : sampling.suppress_tokens) edit_of(token).subtract = kBan;
  add_bad_words(sampling.bad_words);
}

void SamplerState::add_bad_words(std::span<const std::vector<TokenId>> words) {
  for (const std::vector<TokenId>& word : words) {
    if (word.empty()) continue;
    if (word.size() == 1) {
      edit_of(word.front()).subtract = kBan;
      continue;
    }
    const auto begin = static_cast<std::int32_t>(bad_tokens_.size());
    bad_tokens_.insert(bad_tokens_.end(), word.begin(), word.end());
    bad_words_.push_back(
        {word[word.size() - 2], begin, static_cast<std::int32_t>(bad_tokens_.size())});
  }
  std::ranges::sort(bad_words_, {},
                    [](const BadWord& word) { return std::pair(word.before_last, word.begin); });
}

kernels::LogitEdit& SamplerState::edit_of(TokenId token) {
  const auto [number, is_new] = tokens_.insert(token);
  if (is_new) {
    edits_.push_back({token, 0.0F, 1.0F, 0.0F});
    counts_.push_back(0);
  }
  return edits_[static_cast<std::size_t>(number)];
}

void SamplerState::accept(TokenId token) {
  ++answered_;
  if (repetition_ != 1.0F || presence_ != 0.0F || frequency_ != 0.0F) {
    kernels::LogitEdit& edit = edit_of(token);
    edit.repetition = repetition_;
    if (edit.subtract != kBan && (presence_ != 0.0F || frequency_ != 0.0F)) {
      const auto number = static_cast<std::size_t>(&edit - edits_.data());
      edit.subtract = frequency_ * static_cast<float>(++counts_[number]) + presence_;
    }
  }
  if (forced_.empty()) return;
  if (token == thinking_.end_token) {
    is_thinking_ = false;
  } else if (is_thinking_) {
    ++thought_;
  } else if (token == thinking_.begin_token) {
    is_thinking_ = true;
  }
}

bool SamplerState::must_end_thinking() const {
  return is_thinking_ && thought_ >= thinking_.tokens;
}

void SamplerState::prepare(std::span<const TokenId> history, kernels::SampleRow& row) {
  row.edits = nullptr;
  row.edits_count = 0;
  row.step_edits = nullptr;
  row.step_edits_count = 0;
  if (must_end_thinking()) {  // whatever else is banned
    row.allowed_tokens = forced_.data();
    return;
  }
  row.allowed_tokens = allowed_.empty() ? nullptr : allowed_.data();
  row.edits = edits_.data();
  row.edits_count = static_cast<std::int32_t>(edits_.size());
  step_edits_.clear();
  step_tokens_.clear();
  if (dry_.multiplier > 0.0F) apply_dry(history);
  if (!bad_words_.empty()) ban_bad_words(history);
  if (answered_ < min_tokens_) {
    for (const TokenId token : stops_) ban_in_step(token);
  }
  row.step_edits = step_edits_.data();
  row.step_edits_count = static_cast<std::int32_t>(step_edits_.size());
}

void SamplerState::ban_in_step(TokenId token) {
  const auto [number, is_new] = step_tokens_.insert(token);
  if (is_new) {
    step_edits_.push_back({token, 0.0F, 1.0F, kBan});
  } else {
    step_edits_[static_cast<std::size_t>(number)].subtract = kBan;
  }
}

void SamplerState::ban_bad_words(std::span<const TokenId> history) {
  if (history.empty()) return;
  const auto same = std::ranges::equal_range(bad_words_, history.back(), {}, &BadWord::before_last);
  for (const BadWord& word : same) {
    const auto tokens = std::span<const TokenId>(bad_tokens_)
                            .subspan(static_cast<std::size_t>(word.begin),
                                     static_cast<std::size_t>(word.end - word.begin));
    const auto before = tokens.first(tokens.size() - 1);
    if (before.size() > history.size()) continue;
    if (std::ranges::equal(before, history.last(before.size()))) ban_in_step(tokens.back());
  }
}

// matches_[i] becomes how many tokens before position n - i, backwards, equal those before the end:
// the Z function of the reversed history, cut off at sequence breakers. Linear time.
void SamplerState::apply_dry(std::span<const TokenId> history) {
  if (dry_.range > 0 && history.size() > static_cast<std::size_t>(dry_.range)) {
    history = history.last(static_cast<std::size_t>(dry_.range));
  }
  const std::size_t n = history.size();
  // Nothing before a breaker can match: look no further back than the last one for the suffix.
  std::size_t suffix = 0;
  while (suffix < n && !contains(dry_.sequence_breakers, history[n - 1 - suffix])) ++suffix;
  if (suffix < static_cast<std::size_t>(dry_.allowed_length)) return;
  matches_.resize(std::max(matches_.size(), n));
  const auto at = [&](std::size_t i) { return history[n - 1 - i]; };
  std::size_t left = 0;
  std::size_t right = 0;  // [left, right) matches the beginning
  for (std::size_t i = 1; i < n; ++i) {
    std::size_t length = 0;
    if (i < right) length = std::min(right - i, static_cast<std::size_t>(matches_[i - left]));
    while (length < suffix && i + length < n && at(length) == at(i + length)) ++length;
    matches_[i] = static_cast<std::int32_t>(length);
    if (i + length > right) {
      left = i;
      right = i + length;
    }
    if (length < static_cast<std::size_t>(dry_.allowed_length)) continue;
    const TokenId next = at(i - 1);
    if (contains(dry_.sequence_breakers, next)) continue;
    const auto [number, is_new] = step_tokens_.insert(next);
    if (is_new) step_edits_.push_back({next, 0.0F, 1.0F, 0.0F});
    // First the length, the greatest counts; then the penalty.
    float& longest = step_edits_[static_cast<std::size_t>(number)].subtract;
    longest = std::max(longest, static_cast<float>(length));
  }
  for (kernels::LogitEdit& edit : step_edits_) {
    const double exponent = static_cast<double>(edit.subtract) - dry_.allowed_length;
    const double penalty =
        static_cast<double>(dry_.multiplier) * std::pow(static_cast<double>(dry_.base), exponent);
    edit.subtract = static_cast<float>(std::min(penalty, kDryPenaltyMax));
  }
}

}  // namespace vsurge::engine
