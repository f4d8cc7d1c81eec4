#include "tests/engine_sim_oracle.h"

#include <algorithm>
#include <bit>

namespace vsurge::engine::sim {

std::uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

int Random::between(int least, int most) {
  const auto width = static_cast<std::uint64_t>(most - least + 1);
  return least + static_cast<int>(next() % width);
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return Random(a ^ std::rotl(b, 32)).next();
}

namespace {

std::uint64_t extend(std::uint64_t history, TokenId token) {
  return mix(history, static_cast<std::uint64_t>(token) + 1);
}

}  // namespace

Oracle::Oracle(const EngineOptions& options)
    : options_(options),
      slots_(static_cast<std::size_t>(options.pages) *
             static_cast<std::size_t>(options.page_size)) {}

template <class... Args>
void Oracle::report(const char* format, Args... args) {
  if (fault_.empty()) fault_ = fmt::format(fmt::runtime(format), args...);
}

TokenId Oracle::next_token(std::uint64_t history, const kernels::SampleRow& row) const {
  std::uint64_t hash = mix(history, row.seed);
  hash = mix(hash, row.position);
  hash = mix(hash, std::bit_cast<std::uint32_t>(row.temperature));
  hash = mix(hash, std::bit_cast<std::uint32_t>(row.top_p));
  hash = mix(hash, std::bit_cast<std::uint32_t>(row.min_p));
  hash = mix(hash, static_cast<std::uint64_t>(row.top_k));
  return static_cast<TokenId>(hash % static_cast<std::uint64_t>(options_.vocabulary));
}

bool Oracle::is_stop(const SamplingParams& sampling, TokenId token) const {
  const auto in = [token](const std::vector<TokenId>& tokens) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  };
  return (!sampling.ignore_eos && in(options_.eos_tokens)) || in(sampling.stop_token_ids);
}

void Oracle::add(Story story) {
  const int room = sequence_tokens_max(options_) - story.prompt;
  const int most = std::min(room, story.sampling.max_tokens.value_or(room));
  std::uint64_t history = 0;
  for (const TokenId token : story.tokens) history = extend(history, token);
  for (story.reason = FinishReason::kLength; static_cast<int>(story.answer.size()) < most;) {
    const int length = story.prompt + static_cast<int>(story.answer.size());
    if (length == story.error_at) {
      story.reason = FinishReason::kError;
      break;
    }
    const SamplingParams& sampling = story.sampling;
    const TokenId token =
        next_token(history, {sampling.temperature, sampling.top_p, sampling.min_p, sampling.top_k,
                             story.seed, static_cast<std::uint64_t>(length), nullptr});
    if (is_stop(sampling, token)) {
      story.reason = FinishReason::kStop;
      story.stop_token = token;
      break;
    }
    story.answer.push_back(token);
    history = extend(history, token);
  }
  const Ticket ticket = story.ticket;
  stories_.emplace(ticket, std::move(story));
}

Oracle::Slot* Oracle::slot(const PlannedSequence& planned, int position) {
  const auto index = static_cast<std::size_t>(position / options_.page_size);
  if (index >= planned.pages.size()) return nullptr;
  const std::int32_t page = planned.pages[index];
  if (page < 0 || page >= options_.pages) return nullptr;
  return &slots_[static_cast<std::size_t>(page * options_.page_size +
                                          position % options_.page_size)];
}

void Oracle::check(const PlannedSequence& planned) {
  const auto found = stories_.find(planned.ticket);
  if (found == stories_.end()) return report("ticket {} does not exist", planned.ticket);
  const Story& story = found->second;
  if (story.ended) return report("ticket {} is computed after its end", planned.ticket);
  const int end = planned.first + static_cast<int>(planned.tokens.size());
  const int known = static_cast<int>(story.tokens.size());
  if (planned.tokens.empty() || planned.first < 0 || end > known) {
    return report("ticket {}: computes {}..{} of {} tokens", planned.ticket, planned.first, end,
                  known);
  }
  if (!std::equal(planned.tokens.begin(), planned.tokens.end(),
                  story.tokens.begin() + planned.first)) {
    return report("ticket {}: other tokens at {}", planned.ticket, planned.first);
  }
  if (planned.wants_token != (end == known)) {
    return report("ticket {}: samples at {} of {}", planned.ticket, end, known);
  }
}

void Oracle::write(const PlannedSequence& planned) {
  const Story& story = stories_.at(planned.ticket);
  std::uint64_t history = 0;
  for (int i = 0; i < planned.first; ++i) {
    history = extend(history, story.tokens[static_cast<std::size_t>(i)]);
  }
  for (std::size_t i = 0; i < planned.tokens.size(); ++i) {
    const int position = planned.first + static_cast<int>(i);
    history = extend(history, planned.tokens[i]);
    Slot* place = slot(planned, position);
    if (place == nullptr) return report("ticket {}: no page for {}", planned.ticket, position);
    *place = {planned.ticket, position, history};
  }
}

void Oracle::read(const PlannedSequence& planned) {
  const Story& story = stories_.at(planned.ticket);
  const int end = planned.first + static_cast<int>(planned.tokens.size());
  std::uint64_t history = 0;
  for (int position = 0; position < end; ++position) {
    history = extend(history, story.tokens[static_cast<std::size_t>(position)]);
    const Slot* place = slot(planned, position);
    if (place == nullptr) return report("ticket {}: no page for {}", planned.ticket, position);
    if (place->ticket != planned.ticket || place->position != position ||
        place->history != history) {
      return report("ticket {}: position {} of {} holds position {} of ticket {}", planned.ticket,
                    position, end, place->position, place->ticket);
    }
  }
}

void Oracle::run(const StepPlan& plan, StepResult& result) {
  for (const PlannedSequence& planned : plan.sequences) check(planned);
  if (!fault_.empty()) return;
  for (const PlannedSequence& planned : plan.sequences) write(planned);
  for (const PlannedSequence& planned : plan.sequences) read(planned);
  if (!fault_.empty()) return;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    Story& story = stories_.at(planned.ticket);
    story.started = true;
    if (!planned.wants_token) continue;
    const auto length = static_cast<int>(story.tokens.size());
    if (length == story.error_at) {
      result.sequences[i].status = base::fail(base::ErrorCode::kNumericalError, "as told");
      continue;
    }
    const TokenId token = next_token(slot(planned, length - 1)->history, planned.sampling);
    result.sequences[i].token = token;
    if (!is_stop(story.sampling, token)) story.tokens.push_back(token);
  }
}

void Oracle::poison(std::int32_t page) {
  for (int i = 0; i < options_.page_size; ++i) {
    slots_[static_cast<std::size_t>(page * options_.page_size + i)] = {};
  }
}

}  // namespace vsurge::engine::sim
