#include "engine/scheduler.h"

#include <algorithm>

namespace vsurge::engine {
namespace {

Event end_event(FinishReason reason) {
  Event event;
  event.is_end = true;
  event.reason = reason;
  return event;
}

Event error_event(base::Error error) {
  Event event = end_event(FinishReason::kError);
  event.error = std::move(error);
  return event;
}

Usage usage_of(const Sequence& sequence) {
  return {sequence.prompt_tokens, 0, sequence.length() - sequence.prompt_tokens};
}

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

// Not more sequences than a step has tokens: so each can decode in each step, and when all but one
// do, that one still has a token of the budget to read its prompt.
Scheduler::Scheduler(const EngineOptions& options)
    : options_(options),
      running_max_(std::min(options.max_concurrent_decodes, options.max_batched_tokens)),
      pool_(options.pages) {
  CHECK(check_options(options).has_value());
  const auto most = static_cast<std::size_t>(running_max_);
  running_.reserve(most);
  planned_.reserve(most);
  plan_.sequences.reserve(most);
  events_.reserve(2 * most);
  published_.reserve(2 * most);
}

Scheduler::~Scheduler() = default;

void Scheduler::add(Ticket ticket, Request request) {
  CHECK(!in_hand_);
  auto sequence = std::make_unique<Sequence>();
  Sequence& s = *sequence;
  s.ticket = ticket;
  s.priority = request.priority;
  s.arrival = arrivals_++;
  s.tokens = std::move(request.prompt);
  s.prompt_tokens = s.length();
  const int room = sequence_tokens_max(options_) - s.prompt_tokens;
  CHECK(room >= 1, "ticket {} was not checked", ticket);
  s.tokens_max = s.prompt_tokens + std::min(room, request.sampling.max_tokens.value_or(room));
  s.deadline = request.deadline;
  s.sampling = std::move(request.sampling);
  s.constraint = std::move(request.constraint);
  const std::uint64_t seed =
      s.sampling.seed ? *s.sampling.seed : kernels::random_bits(options_.seed, ticket);
  s.row = {s.sampling.temperature,
           s.sampling.top_p,
           s.sampling.min_p,
           s.sampling.top_k,
           seed,
           0,
           nullptr};
  const bool is_new = sequences_.emplace(ticket, std::move(sequence)).second;
  CHECK(is_new, "ticket {} is in use", ticket);
  waiting_.insert(&s);
  waiting_tokens_ += s.tokens.size();
  if (s.deadline) deadlines_.emplace(*s.deadline, ticket);
}

void Scheduler::cancel(Ticket ticket) {
  CHECK(!in_hand_);
  const auto found = sequences_.find(ticket);
  if (found != sequences_.end()) remove(*found->second, end_event(FinishReason::kCancelled));
}

void Scheduler::expire(base::Nanoseconds now) {
  CHECK(!in_hand_);
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Sequence& s = *sequences_.at(deadlines_.begin()->second);
    remove(s,
           error_event(
               {base::ErrorCode::kDeadlineExceeded, "the deadline of the request has passed", {}}));
  }
}

std::optional<base::Nanoseconds> Scheduler::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

const StepPlan& Scheduler::plan(base::Nanoseconds now) {
  CHECK(!in_hand_);
  expire(now);
  plan_.sequences.clear();
  plan_.tokens = 0;
  planned_.clear();
  Left left{options_.max_batched_tokens, options_.max_concurrent_prefill, 0};
  plan_running(left);
  plan_waiting(left);
  // Liveness: whoever is first in order can always go on.
  CHECK(plan_.empty() == sequences_.empty(), "{} sequences and nothing to do", sequences_.size());
  if (!plan_.empty()) ++plan_.step;
  in_hand_ = true;
  return plan_;
}

// Tokens of the sequence to compute in this step. One that decodes has its token for certain.
int Scheduler::chunk(const Sequence& sequence, int prompt_tokens_left) const {
  const int want = sequence.remaining();
  if (want == 1) return 1;
  const int most = options_.prefill_chunk_max > 0 ? options_.prefill_chunk_max : want;
  return std::min({want, most, prompt_tokens_left});
}

void Scheduler::plan_running(Left& left) {
  for (const Sequence* s : running_) {
    if (s->remaining() == 1) {
      --left.prompt_tokens;
    } else {
      --left.prompts;
    }
  }
  // Walking in order, those who may have to give way are always still unplanned.
  for (std::size_t i = 0; i < running_.size();) {
    Sequence& s = *running_[i];
    const bool decodes = s.remaining() == 1;
    const int count = chunk(s, left.prompt_tokens);
    if (count > 0) {
      if (!take_pages(i, pages_for(s.computed + count), left)) continue;  // s is gone from here
      if (!decodes) left.prompt_tokens -= count;
      append_plan(s, count, left);
    }
    ++i;
  }
}

// Gives the sequence at `place` of running_ as many pages in all; others after it give theirs back
// when there are too few. False when it had to give way itself.
bool Scheduler::take_pages(std::size_t place, int pages, Left& left) {
  Sequence& s = *running_[place];
  const int missing = pages - static_cast<int>(s.pages.size());
  while (pool_.free() < missing) {
    std::size_t victim = running_.size() - 1;
    while (victim > place && running_[victim]->preemptions == kPreemptionsMax) --victim;
    if (running_[victim]->remaining() == 1) {
      ++left.prompt_tokens;
    } else {
      ++left.prompts;
    }
    preempt(victim);
    if (victim == place) return false;
  }
  for (int i = 0; i < missing; ++i) s.pages.push_back(pool_.allocate());
  return true;
}

void Scheduler::preempt(std::size_t place) {
  Sequence& s = *running_[place];
  // The only one would have to wait for pages that nobody gives back.
  CHECK(running_.size() > 1 && s.preemptions < kPreemptionsMax, "ticket {}", s.ticket);
  release_pages(s);
  s.computed = 0;
  ++s.preemptions;
  ++metrics_.preemptions;
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(place));
  waiting_.insert(&s);
  waiting_tokens_ += s.tokens.size();
}

void Scheduler::plan_waiting(Left& left) {
  while (!waiting_.empty() && left.prompts > 0 &&
         static_cast<int>(running_.size()) < running_max_) {
    if (!admit_next(left)) return;
  }
}

// The first of the waiting starts to run, if the step has tokens and the pool pages for it. Nobody
// overtakes it.
bool Scheduler::admit_next(Left& left) {
  Sequence& s = **waiting_.begin();
  const int count = std::min(chunk(s, left.prompt_tokens), left.prompt_tokens);
  if (count < 1) return false;
  // The last token is never computed, only handed out.
  const int last = s.tokens_max - 1;
  const bool for_good = s.preemptions == kPreemptionsMax;
  const int soon = pages_for(for_good ? last : std::min(s.length() + 1, last));
  if (pool_.free() < soon + left.pages_next_step) return false;

  // What may throw comes first, so that a sequence is always either waiting or running.
  s.tokens.reserve(static_cast<std::size_t>(s.tokens_max));
  s.pages.reserve(static_cast<std::size_t>(pages_for(last)));
  waiting_.erase(waiting_.begin());
  waiting_tokens_ -= s.tokens.size();
  const int pages = for_good ? soon : pages_for(s.length());
  while (static_cast<int>(s.pages.size()) < pages) s.pages.push_back(pool_.allocate());
  running_.insert(std::upper_bound(running_.begin(), running_.end(), &s, ByOrder{}), &s);
  --left.prompts;
  left.prompt_tokens -= count;
  append_plan(s, count, left);
  return true;
}

void Scheduler::append_plan(Sequence& sequence, int count, Left& left) {
  const int end = sequence.computed + count;
  PlannedSequence& planned = plan_.sequences.emplace_back();
  planned.ticket = sequence.ticket;
  planned.first = sequence.computed;
  planned.tokens =
      std::span<const TokenId>(sequence.tokens)
          .subspan(static_cast<std::size_t>(planned.first), static_cast<std::size_t>(count));
  planned.pages =
      std::span<const std::int32_t>(sequence.pages).first(static_cast<std::size_t>(pages_for(end)));
  planned.wants_token = end == sequence.length();
  if (planned.wants_token) {
    planned.sampling = sequence.row;
    planned.sampling.position = static_cast<std::uint64_t>(end);
    planned.constraint = sequence.constraint.get();
    if (end + 1 < sequence.tokens_max &&
        pages_for(end + 1) > static_cast<int>(sequence.pages.size())) {
      ++left.pages_next_step;
    }
  }
  planned_.push_back(&sequence);
  plan_.tokens += count;
}

std::span<const Event> Scheduler::commit(const StepResult& result) {
  CHECK(in_hand_);
  CHECK(result.sequences.size() == planned_.size());
  in_hand_ = false;
  bool any_ended = false;
  for (std::size_t i = 0; i < planned_.size(); ++i) {
    Sequence& s = *planned_[i];
    const PlannedSequence& planned = plan_.sequences[i];
    s.computed += static_cast<int>(planned.tokens.size());
    if (!result.sequences[i].status) {
      end(s, error_event(result.sequences[i].status.error()));
    } else if (planned.wants_token) {
      if (s.length() == s.prompt_tokens) {
        metrics_.prompt_tokens += static_cast<std::uint64_t>(s.prompt_tokens);
      }
      take_token(s, result.sequences[i].token);
    }
    any_ended |= s.ended;
  }
  metrics_.steps = plan_.step;
  if (any_ended) {
    std::erase_if(running_, [](const Sequence* s) { return s->ended; });
    for (Sequence* s : planned_) {
      if (s->ended) forget(*s);
    }
  }
  plan_.sequences.clear();
  planned_.clear();
  CHECK(pool_.balanced());
  return flush();
}

void Scheduler::take_token(Sequence& sequence, TokenId token) {
  if (token < 0 || token >= options_.vocabulary) {
    return end(sequence, error_event({base::ErrorCode::kInternal,
                                      fmt::format("token {} is outside the vocabulary", token),
                                      {}}));
  }
  const SamplingParams& sampling = sequence.sampling;
  if ((!sampling.ignore_eos && contains(options_.eos_tokens, token)) ||
      contains(sampling.stop_token_ids, token)) {
    Event event = end_event(FinishReason::kStop);
    event.stop_token = token;
    return end(sequence, std::move(event));
  }
  if (sequence.constraint) {
    if (auto accepted = sequence.constraint->accept(token); !accepted) {
      return end(sequence, error_event(std::move(accepted).error()));
    }
  }
  sequence.tokens.push_back(token);
  ++metrics_.generation_tokens;
  Event& event = events_.emplace_back();
  event.ticket = sequence.ticket;
  event.token = token;
  event.usage = usage_of(sequence);
  if (sequence.length() == sequence.tokens_max) {
    end(sequence, end_event(FinishReason::kLength));
  }
}

// The one place where a sequence ends: its pages are free before anyone hears of it.
void Scheduler::end(Sequence& sequence, Event event) {
  CHECK(!sequence.ended, "ticket {} ends twice", sequence.ticket);
  sequence.ended = true;
  release_pages(sequence);
  event.ticket = sequence.ticket;
  event.usage = usage_of(sequence);
  if (event.reason == FinishReason::kStop) ++event.usage.completion_tokens;
  switch (event.reason) {
    case FinishReason::kStop:
    case FinishReason::kLength:
      ++metrics_.requests_finished;
      break;
    case FinishReason::kCancelled:
      ++metrics_.requests_cancelled;
      break;
    case FinishReason::kError:
      ++metrics_.requests_failed;
      break;
  }
  events_.push_back(std::move(event));
}

void Scheduler::release_pages(Sequence& sequence) {
  for (const std::int32_t page : sequence.pages) pool_.release(page);
  sequence.pages.clear();
}

void Scheduler::forget(Sequence& sequence) {
  if (sequence.deadline) deadlines_.erase({*sequence.deadline, sequence.ticket});
  sequences_.erase(sequence.ticket);
}

// Ends a sequence outside a step, wherever it is.
void Scheduler::remove(Sequence& sequence, Event event) {
  if (waiting_.erase(&sequence) > 0) {
    waiting_tokens_ -= sequence.tokens.size();
  } else {
    std::erase(running_, &sequence);
  }
  end(sequence, std::move(event));
  forget(sequence);
}

std::span<const Event> Scheduler::flush() {
  CHECK(!in_hand_);
  published_.clear();
  published_.swap(events_);
  return published_;
}

void Scheduler::abort_all(FinishReason reason, const base::Error& error) {
  in_hand_ = false;
  plan_.sequences.clear();
  planned_.clear();
  while (!sequences_.empty()) {
    Sequence& s = *sequences_.begin()->second;
    Event event = end_event(reason);
    if (reason == FinishReason::kError) event.error = error;
    remove(s, std::move(event));
  }
}

EngineMetrics Scheduler::metrics() const {
  EngineMetrics metrics = metrics_;
  metrics.requests_running = static_cast<int>(running_.size());
  metrics.requests_waiting = static_cast<int>(waiting_.size());
  metrics.pages_total = pool_.total();
  metrics.pages_used = pool_.used();
  return metrics;
}

}  // namespace vsurge::engine
