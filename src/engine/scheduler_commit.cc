// What follows from a step's result.
#include <algorithm>
#include <cmath>

#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

bool is_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float x) { return std::isfinite(x); });
}

std::shared_ptr<const Logprobs> logprobs_of(const kernels::SampleResult& sampled) {
  auto logprobs = std::make_shared<Logprobs>();
  logprobs->logprob = sampled.logprob;
  logprobs->rank = sampled.rank;
  logprobs->top.assign(sampled.top, sampled.top + sampled.top_count);
  return logprobs;
}

}  // namespace

base::Error Scheduler::row_error(const kernels::SampleResult& sampled, int position) {
  if (sampled.status == kernels::SampleStatus::kNothingAllowed) {
    return {base::ErrorCode::kInvalidRequest,
            fmt::format("the request bans every token at position {}", position),
            {}};
  }
  return {base::ErrorCode::kNumericalError,
          fmt::format("the logits are not finite at position {}", position),
          {}};
}

base::Error Scheduler::strange_token(TokenId token) {
  return {base::ErrorCode::kInternal, fmt::format("token {} is outside the vocabulary", token), {}};
}

// What is needed of a sequence that is near already.
void Scheduler::prefetch_commit(std::size_t place) const {
  const Sequence& s = *planned_[place];
  const PlannedSequence& planned = plan_.sequences[place];
  const TokenId* end = planned.tokens.data() + planned.tokens.size();
  __builtin_prefetch(end, 1);
  prefetch(*s.group);
  const int computed = std::min(planned.first + static_cast<int>(planned.tokens.size()), s.length);
  if (!s.publishes || (s.published + 1) * options_.page_size > computed) return;
  const auto size = static_cast<std::size_t>(options_.page_size);
  const auto page = static_cast<std::size_t>(s.published);
  cache_.prefetch(s.prefix, std::span<const TokenId>(s.tokens).subspan(page * size, size),
                  std::max(0, s.pages[page]));
}

std::span<const Event> Scheduler::commit(const StepResult& result, base::Nanoseconds now) {
  CHECK(in_hand_);
  CHECK(result.sequences.size() == planned_.size() && result.rows.size() == plan_.rows.size());
  in_hand_ = false;
  now_ = now;
  release_sources();
  bool any_ended = false;
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    Sequence& s = *planned_[i];
    if (i + 2 * kPrefetchAhead < planned_.size()) prefetch(*planned_[i + 2 * kPrefetchAhead]);
    if (i + kPrefetchAhead < planned_.size()) prefetch_commit(i + kPrefetchAhead);
    if (s.place != Place::kRunning) continue;  // a beam whose search has just ended
    if (const Fault& fault = result.sequences[i]; !fault) {
      commit_one(s, plan_.sequences[i], result);
    } else {
      fail(s, *fault);
    }
    any_ended |= s.place == Place::kEnded;
    if (s.group->held && s.choice == 0) release_held(*s.group);
  }
  any_ended |= advance_searches();
  metrics_.steps = plan_.step;
  if (!plan_.empty()) metrics_.step_tokens.observe(plan_.load.tokens);
  if (any_ended) {
    sweep();
    for (const PlannedSequence& planned : plan_.sequences) {
      const auto found = groups_.find(planned.ticket);
      if (found != groups_.end() && found->second->alive == 0) forget(planned.ticket);
    }
  }
  plan_.sequences.clear();
  planned_.clear();
  CHECK(pool_.balanced());
  return flush();
}

void Scheduler::commit_one(Sequence& sequence, const PlannedSequence& planned,
                           const StepResult& result) {
  sequence.computed =
      std::min(planned.first + static_cast<int>(planned.tokens.size()), sequence.length);
  // Before it can end: whoever comes next may go on from here. But not from numbers that gave none.
  const auto rows = std::span(result.rows)
                        .subspan(static_cast<std::size_t>(planned.first_row),
                                 static_cast<std::size_t>(planned.rows));
  const bool sound = std::ranges::none_of(rows, [](const kernels::SampleResult& row) {
    return row.status == kernels::SampleStatus::kNotFinite;
  });
  const bool pooled = sequence.pooled && sequence.computed == sequence.length;
  std::vector<float> made;
  if (pooled) made = sequence.pooled->result();
  if (sound && is_finite(made)) publish_pages(sequence);
  if (sequence.is_scoring()) score_prompt(sequence, planned, result);
  if (planned.samples && sequence.place != Place::kEnded) take_tokens(sequence, planned, result);
  if (pooled) finish_pooled(sequence, std::move(made));
  if (sequence.place != Place::kEnded) leave_window(sequence);
}

void Scheduler::score_prompt(Sequence& sequence, const PlannedSequence& planned,
                             const StepResult& result) {
  const int prompt = sequence.group->prompt_tokens;
  const int past = planned.first + static_cast<int>(planned.tokens.size());
  for (int position = past - planned.rows; position < past && position + 1 < prompt; ++position) {
    const int row = planned.first_row + position - (past - planned.rows);
    const kernels::SampleResult& sampled = result.rows[static_cast<std::size_t>(row)];
    if (sampled.status != kernels::SampleStatus::kOk) {
      return end(sequence, error_event(row_error(sampled, position + 1)));
    }
    Event& event = append_event();
    event.ticket = planned.ticket;
    event.choice = sequence.choice;
    event.kind = EventKind::kPromptLogprobs;
    event.token = sequence.tokens[static_cast<std::size_t>(position) + 1];
    event.usage = {prompt, sequence.cached_tokens, 0};
    event.logprobs = logprobs_of(sampled);
    sequence.scored = position + 2;
  }
}

// All states are there.
void Scheduler::finish_pooled(Sequence& sequence, std::vector<float> made) {
  metrics_.prompt_tokens += static_cast<std::uint64_t>(sequence.length);
  if (!is_finite(made)) {
    return end(
        sequence,
        error_event({base::ErrorCode::kNumericalError, "the hidden states are not finite", {}}));
  }
  Event event = end_event(FinishReason::kStop);
  event.pooled = std::make_shared<const std::vector<float>>(std::move(made));
  end(sequence, std::move(event));
}

// The token drawn, and while the guesses are what was drawn, the one after each.
void Scheduler::take_tokens(Sequence& sequence, const PlannedSequence& planned,
                            const StepResult& result) {
  const int known = sequence.length;
  const int guesses = planned.first + static_cast<int>(planned.tokens.size()) - known;
  const int first_row = planned.first_row + planned.rows - 1 - guesses;
  if (known == sequence.group->prompt_tokens && sequence.choice == 0) {
    metrics_.prompt_tokens += static_cast<std::uint64_t>(known);
  }
  if (sequence.group->search) {
    return take_candidates(sequence, result.rows[static_cast<std::size_t>(first_row)]);
  }
  for (int i = 0;; ++i) {
    const auto place = static_cast<std::size_t>(known + i);
    const TokenId guessed = i < guesses ? sequence.tokens[place] : -1;
    const auto& sampled = result.rows[static_cast<std::size_t>(first_row + i)];
    if (sequence.predicted && i < guesses) {
      const bool right = sampled.token == guessed;
      (right ? sequence.accepted_guesses : sequence.rejected_guesses) += right ? 1 : guesses - i;
    }
    if (!take_token(sequence, sampled)) return;
    if (i == guesses || sampled.token != guessed) break;
    ++sequence.computed;
    ++metrics_.accepted_tokens;
  }
  sequence.tokens.resize(static_cast<std::size_t>(sequence.length));
}

// False when the sequence ends with it.
bool Scheduler::take_token(Sequence& sequence, const kernels::SampleResult& sampled) {
  const TokenId token = sampled.token;
  if (sampled.status != kernels::SampleStatus::kOk) {
    end(sequence, error_event(row_error(sampled, sequence.length)));
    return false;
  }
  if (token < 0 || token >= options_.vocabulary) {
    end(sequence, error_event(strange_token(token)));
    return false;
  }
  const SamplingParams& sampling = sequence.group->sampling;
  if ((!sampling.ignore_eos && contains(options_.eos_tokens, token)) ||
      contains(sampling.stop_token_ids, token)) {
    Event event = end_event(FinishReason::kStop);
    event.stop_token = token;
    if (sampling.logprobs) event.logprobs = logprobs_of(sampled);
    end(sequence, std::move(event));
    return false;
  }
  if (sequence.constraint) {
    if (auto accepted = sequence.constraint->accept(token); !accepted) {
      end(sequence, error_event(std::move(accepted).error()));
      return false;
    }
  }
  if (sequence.sampler) sequence.sampler->accept(token);
  const auto place = static_cast<std::size_t>(sequence.length);
  if (place < sequence.tokens.size()) {
    sequence.tokens[place] = token;
  } else {
    sequence.tokens.push_back(token);
  }
  ++sequence.length;
  observe_token(sequence);
  Event& event = append_event();
  event.ticket = sequence.group->ticket;
  event.choice = sequence.choice;
  event.token = token;
  event.usage = {sequence.group->prompt_tokens, sequence.cached_tokens,
                 sequence.length - sequence.group->prompt_tokens, sequence.group->queued};
  if (sampling.logprobs) event.logprobs = logprobs_of(sampled);
  if (sequence.length < sequence.tokens_max) return true;
  end(sequence, end_event(FinishReason::kLength));
  return false;
}

void Scheduler::observe_token(Sequence& sequence) {
  ++metrics_.generation_tokens;
  WaitingQueue::charge(*sequence.group->client, 2);
  const auto seconds_since = [this](base::Nanoseconds then) {
    return 1e-9 * static_cast<double>(now_ - then);
  };
  if (sequence.length == sequence.group->prompt_tokens + 1) {
    if (sequence.choice == 0) {
      metrics_.first_token_time.observe(seconds_since(sequence.group->arrival_time));
    }
  } else {
    metrics_.token_time.observe(seconds_since(sequence.last_token));
  }
  sequence.last_token = now_;
}

// Pages that became full can be found from now on. Where an equal one is there already, that one
// serves both.
void Scheduler::publish_pages(Sequence& sequence) {
  if (!sequence.publishes) return;
  const auto size = static_cast<std::size_t>(options_.page_size);
  while ((sequence.published + 1) * options_.page_size <= sequence.computed) {
    const auto index = static_cast<std::size_t>(sequence.published);
    const auto tokens = std::span<const TokenId>(sequence.tokens).subspan(index * size, size);
    std::int32_t& page = sequence.pages[index];
    const PrefixCache::Hit hit = cache_.find(sequence.prefix, tokens);
    if (hit.page >= 0) {
      if (page >= 0 && hit.page != page) {
        pool_.retain(hit.page);
        pool_.release(page, cache_.contains(page));
        page = hit.page;
      }
      sequence.prefix = hit.id;
    } else if (page >= 0 && !cache_.contains(page)) {
      sequence.prefix = cache_.insert(sequence.prefix, tokens, page);
    } else {
      // Its place in the chain is lost: it left the window before, or its own beginning is gone.
      sequence.publishes = false;
      return;
    }
    ++sequence.published;
  }
}

// The page that is not full, of a sequence that ends: who goes on from here, or begins alike,
// copies it.
void Scheduler::publish_part(Sequence& sequence) {
  if (!sequence.publishes || sequence.is_scoring()) return;
  const int begin = sequence.published * options_.page_size;
  const int count = sequence.computed - begin;
  if (count < cache_.beginning_min() || count >= options_.page_size) return;
  const std::int32_t page = sequence.pages[static_cast<std::size_t>(sequence.published)];
  const auto tokens =
      std::span<const TokenId>(sequence.tokens)
          .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
  if (page < 0 || cache_.find_beginning(sequence.prefix, tokens).tokens == count) return;
  cache_.insert(sequence.prefix, tokens, page);
}

void Scheduler::leave_window(Sequence& sequence) {
  const int gone = window_pages_gone(sequence.computed);
  for (; sequence.pages_gone < gone; ++sequence.pages_gone) {
    std::int32_t& page = sequence.pages[static_cast<std::size_t>(sequence.pages_gone)];
    pool_.release(page, cache_.contains(page));
    page = -1;
  }
}

// The choices that waited for the first to read the prompt.
void Scheduler::release_held(Group& group) {
  const Sequence& first = *group.choices.front();
  if (!group.held) return;
  if (first.place != Place::kEnded && first.computed < group.prompt_tokens - 1) return;
  group.held = false;
  for (const auto& choice : group.choices) {
    if (choice->choice == 0 || choice->place != Place::kHeld) continue;
    --held_;
    if (group.suspended) {
      choice->place = Place::kSuspended;
      ++suspended_;
      continue;
    }
    queue_.push(*choice, first.started);  // else nobody of the request has had his turn
  }
}

}  // namespace vsurge::engine
