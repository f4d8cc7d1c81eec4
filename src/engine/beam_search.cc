#include "engine/beam_search.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vsurge::engine {

std::vector<TokenId> stop_tokens(const SamplingParams& sampling,
                                 std::span<const TokenId> eos_tokens) {
  std::vector<TokenId> tokens = sampling.stop_token_ids;
  if (!sampling.ignore_eos) tokens.insert(tokens.end(), eos_tokens.begin(), eos_tokens.end());
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

Beams::Beams(const SamplingParams& sampling, std::span<const TokenId> eos_tokens, int answer_max)
    : width_(sampling.beam.width),
      length_penalty_(static_cast<double>(sampling.beam.length_penalty)),
      early_stopping_(sampling.beam.early_stopping),
      min_tokens_(sampling.min_tokens),
      answer_max_(answer_max),
      stop_tokens_(stop_tokens(sampling, eos_tokens)) {}

void Beams::reserve() {
  const auto width = static_cast<std::size_t>(width_);
  heads_.reserve(width);
  children_.reserve(width);
  endings_.reserve(width);
  finished_.resize(width + 1);
  for (Hypothesis& one : finished_) one.answer.reserve(static_cast<std::size_t>(answer_max_));
}

bool Beams::stops(TokenId token) const {
  return std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token);
}

double Beams::worth(double score, int tokens) const {
  return score / std::pow(static_cast<double>(tokens), length_penalty_);
}

void Beams::select(std::span<const LiveBeam> beams, int answer) {
  CHECK(answer >= 1 && answer <= answer_max_ && beams.size() <= static_cast<std::size_t>(width_));
  answer_ = answer;
  children_.clear();
  endings_.clear();
  heads_.assign(beams.size(), 0);
  const auto width = static_cast<std::size_t>(width_);
  const bool full = answer == answer_max_;
  std::size_t rank = 0;
  while (full ? rank < width : children_.size() < width) {
    // All of them are in order: the next is the first of one of them.
    BeamPick best{.parent = -1};
    for (std::size_t i = 0; i < beams.size(); ++i) {
      const LiveBeam& beam = beams[i];
      if (heads_[i] == beam.next.size()) continue;
      const kernels::TopLogprob& next = beam.next[heads_[i]];
      const double score = beam.score + static_cast<double>(next.logprob);
      if (best.parent >= 0 && score <= best.score) continue;
      best = {static_cast<int>(i), static_cast<int>(heads_[i]), next.token, score, false};
    }
    if (best.parent < 0) return;
    ++heads_[static_cast<std::size_t>(best.parent)];
    best.stops = stops(best.token);
    if (best.stops && answer <= min_tokens_) continue;
    if (!full && !best.stops) {
      children_.push_back(best);
    } else if (rank < width) {
      endings_.push_back(best);
    }
    ++rank;
  }
}

Hypothesis* Beams::enter(const BeamPick& ending) {
  const double value = worth(ending.score, answer_);
  const auto end = finished_.begin() + static_cast<std::ptrdiff_t>(count_);
  const auto place =
      std::find_if(finished_.begin(), end, [value](const auto& one) { return one.worth < value; });
  const auto width = static_cast<std::size_t>(width_);
  if (place == end && count_ == width) return nullptr;
  std::rotate(place, end, end + 1);
  count_ = std::min(count_ + 1, width);
  place->score = ending.score;
  place->worth = value;
  place->stop_token = ending.stops ? ending.token : -1;
  place->answer.clear();
  place->logprobs.clear();
  return &*place;
}

bool Beams::over() const {
  if (answer_ == answer_max_) return true;
  if (count_ < static_cast<std::size_t>(width_)) return false;
  if (early_stopping_ == BeamStop::kWhenFull) return true;
  // As long as it can become, if that makes it worth more.
  const bool longest = early_stopping_ == BeamStop::kNever && length_penalty_ > 0;
  const double hope = worth(children_.front().score, longest ? answer_max_ : answer_);
  return hope <= finished_[count_ - 1].worth;
}

}  // namespace vsurge::engine
