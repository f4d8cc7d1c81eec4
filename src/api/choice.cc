#include "api/choice.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace vsurge::api {

using base::ErrorCode;

Choice::Choice(const text::Tokenizer& tokenizer, const ChoiceOptions& options)
    : options_(options), text_(tokenizer, options.text) {
  if (options.reader != nullptr) reader_.emplace(tokenizer, *options.reader);
}

double Choice::logprob_mean() const {
  if (scored_tokens_ == 0) return -std::numeric_limits<double>::infinity();
  return logprob_sum_ / scored_tokens_;
}

// Text and tokens leave together.
void Choice::move_shown() {
  offsets_.clear();
  text_.take_shown(offsets_);
  if (!options_.scored) return;
  for (const std::size_t offset : offsets_) {
    ScoredToken token = std::move(pending_.front());
    pending_.pop_front();
    token.offset = offset;
    if (token.logprobs != nullptr) part_.scored.push_back(std::move(token));
  }
}

base::Status Choice::cut(const char* reason) {
  VSURGE_TRY(finish_text());
  finish_ = reason;
  return {};
}

// One token's text, to the part or to the reader. Stop strings are not looked for in reasoning.
base::Status Choice::take_text(engine::TokenId token) {
  if (!reader_) {
    const std::size_t before = part_.text.size();
    VSURGE_TRY(text_.push(token, part_.text));
    has_line_ = has_line_ || part_.text.find('\n', before) != std::string::npos;
    move_shown();
    return {};
  }
  const bool reasoning = reader_->in_reasoning();
  const bool content = reader_->in_content();
  const auto markers = reader_->markers();
  piece_.clear();
  if (std::ranges::find(markers, token) != markers.end()) {
    VSURGE_TRY(text_.push_marker(token, piece_));
    read(piece_);
    fresh_.clear();
    reader_->push_marker(token, fresh_);
    tell(fresh_);
  } else {
    VSURGE_TRY(text_.push(token, piece_, !reasoning));
    read(piece_);
  }
  has_line_ = has_line_ || piece_.contains('\n');
  if (reasoning || reader_->in_reasoning()) ++reasoning_tokens_;
  if (options_.scored && !(content && reader_->in_content())) pending_.back().content = false;
  move_shown();
  return {};
}

void Choice::read(std::string_view text) {
  if (text.empty()) return;
  fresh_.clear();
  reader_->push_text(text, fresh_);
  tell(fresh_);
}

void Choice::tell(std::vector<OutputEvent>& events) {
  for (OutputEvent& event : events) {
    if (event.kind == OutputEvent::Kind::kReasoning) {
      if (!options_.tell_reasoning) continue;
      append_output(options_.stream_reasoning ? part_.output : held_, std::move(event));
      continue;
    }
    for (OutputEvent& held : held_) part_.output.push_back(std::move(held));
    held_.clear();
    append_output(part_.output, std::move(event));
  }
}

// After the last token. A stop string may be found only now.
base::Status Choice::finish_text() {
  if (!reader_) {
    VSURGE_TRY(text_.finish(part_.text));
    move_shown();
    return {};
  }
  piece_.clear();
  VSURGE_TRY(text_.finish(piece_));
  read(piece_);
  end_reader();
  move_shown();
  return {};
}

void Choice::end_reader() {
  fresh_.clear();
  reader_->finish(fresh_);
  tell(fresh_);
  for (OutputEvent& held : held_) part_.output.push_back(std::move(held));
  held_.clear();
}

base::Status Choice::take(const engine::Event& event) {
  cached_tokens_ = event.usage.cached_tokens;
  return event.is_end() ? take_end(event) : take_token(event);
}

base::Status Choice::take_token(const engine::Event& event) {
  if (options_.prompt_only) return {};
  ++tokens_;
  if (event.logprobs != nullptr) {
    ++scored_tokens_;
    logprob_sum_ += static_cast<double>(event.logprobs->logprob);
  }
  if (options_.keep_ids) part_.ids.push_back(event.token);
  if (options_.scored) pending_.push_back({event.token, 0, event.logprobs});
  VSURGE_TRY(take_text(event.token));
  if (text_.stopped()) {
    if (reader_) end_reader();
    finish_ = stop_reason();
  }
  return {};
}

const char* Choice::stop_reason() const {
  return reader_ && reader_->calls() > 0 ? "tool_calls" : "stop";
}

base::Status Choice::take_end(const engine::Event& event) {
  if (!options_.prompt_only) tokens_ = event.usage.completion_tokens;
  accepted_guesses_ = event.usage.accepted_guesses;
  rejected_guesses_ = event.usage.rejected_guesses;
  switch (event.reason) {
    case engine::FinishReason::kStop:
      finish_ = options_.prompt_only ? "length" : "stop";
      break;
    case engine::FinishReason::kLength:
      finish_ = "length";
      break;
    case engine::FinishReason::kCancelled:
      finish_ = "cancelled";
      return base::fail(ErrorCode::kShuttingDown,
                        "The server stopped before the answer was whole.");
    case engine::FinishReason::kError:
      finish_ = "error";
      return std::unexpected(*event.error);
  }
  if (options_.prompt_only) return {};
  if (event.reason == engine::FinishReason::kStop && event.stop_token >= 0) {
    const auto& ids = options_.stop_token_ids;
    if (std::ranges::find(ids, event.stop_token) != ids.end()) stop_token_ = event.stop_token;
    if (options_.keep_ids) part_.ids.push_back(event.stop_token);
    if (options_.text.include_stop) {
      if (options_.scored) pending_.push_back({event.stop_token, 0, event.logprobs});
      VSURGE_TRY(take_text(event.stop_token));
    }
  }
  VSURGE_TRY(finish_text());
  if (text_.stopped() || event.reason == engine::FinishReason::kStop) finish_ = stop_reason();
  return {};
}

std::vector<std::size_t> best_choices(std::span<const double> means, std::size_t count) {
  std::vector<std::size_t> order(means.size());
  std::iota(order.begin(), order.end(), 0U);
  if (count < order.size()) {
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return means[a] != means[b] ? means[a] > means[b] : a < b;
    });
    order.resize(count);
  }
  return order;
}

}  // namespace vsurge::api
