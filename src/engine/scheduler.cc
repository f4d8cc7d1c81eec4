// The life of requests: they come, wait, and end. Planning is scheduler_plan.cc, what follows from
// a step's result scheduler_commit.cc.
#include "engine/scheduler.h"

#include <algorithm>

namespace vsurge::engine {
namespace {

kernels::SampleRow row_of(const SamplingParams& sampling, std::uint64_t seed) {
  kernels::SampleRow row{};
  row.temperature = sampling.beam.width > 0 ? 0 : sampling.temperature;
  row.top_p = sampling.top_p;
  row.min_p = sampling.min_p;
  row.top_k = sampling.top_k;
  row.seed = seed;
  row.typical_p = sampling.typical_p;
  row.top_n_sigma = sampling.top_n_sigma;
  row.xtc_probability = sampling.xtc.probability;
  row.xtc_threshold = sampling.xtc.threshold;
  return row;
}

// Only the first beam is there at first.
void begin_search(const EngineOptions& options, Group& group, int answer, Request& request) {
  const SamplingParams& sampling = group.sampling;
  const auto width = static_cast<std::size_t>(sampling.beam.width);
  group.search = std::make_unique<Search>(sampling, options.eos_tokens, answer);
  group.row_logprobs = std::max(group.search->beams.candidates(), group.row_logprobs);
  for (std::size_t i = 0; i < width; ++i) {
    auto sequence = std::make_unique<Sequence>();
    Sequence& s = *sequence;
    s.group = &group;
    s.choice = static_cast<int>(i);
    s.priority = request.priority;
    s.place = i == 0 ? Place::kHeld : Place::kParked;
    if (i == 0) s.tokens = std::move(request.prompt);
    s.length = static_cast<int>(s.tokens.size());
    s.tokens_max = group.prompt_tokens + answer;
    s.scored = group.prompt_tokens;
    s.row = row_of(sampling, 0);
    group.choices.push_back(std::move(sequence));
  }
}

std::unique_ptr<Group> make_group(const EngineOptions& options, Ticket ticket, Request& request) {
  auto group = std::make_unique<Group>();
  group->ticket = ticket;
  group->prompt_tokens = static_cast<int>(request.prompt.size());
  group->queue_deadline = request.queue_deadline;
  group->deadline = request.deadline;
  group->sampling = std::move(request.sampling);
  group->prediction = std::move(request.prediction);
  const SamplingParams& sampling = group->sampling;
  const int room = sequence_tokens_max(options) - group->prompt_tokens;
  CHECK(room >= (request.pooling ? 0 : 1), "ticket {} was not checked", ticket);
  // The token after a prompt that is pooled is never there, but all before it are computed.
  const int answer = request.pooling ? 1 : std::min(room, sampling.max_tokens.value_or(room));
  group->alive = sampling.n;
  group->row_logprobs = sampling.logprobs.value_or(-1);
  if (!sampling.logprob_token_ids.empty()) {
    group->row_logprobs = static_cast<int>(sampling.logprob_token_ids.size());
  }
  if (sampling.beam.width > 0) {
    begin_search(options, *group, answer, request);
    return group;
  }
  for (int choice = 0; choice < sampling.n; ++choice) {
    auto sequence = std::make_unique<Sequence>();
    Sequence& s = *sequence;
    s.group = group.get();
    s.choice = choice;
    s.priority = request.priority;
    s.tokens = request.prompt;
    s.length = group->prompt_tokens;
    s.tokens_max = s.length + answer;
    s.row = row_of(sampling, choice_seed(options, ticket, sampling, choice));
    if (!sampling.logprob_token_ids.empty()) s.row.told_tokens = sampling.logprob_token_ids.data();
    s.sampler = SamplerState::make(sampling, request.prompt, options);
    s.scored = sampling.prompt_logprobs && choice == 0 ? 1 : s.length;
    const auto index = static_cast<std::size_t>(choice);
    if (index < request.constraints.size()) s.constraint = std::move(request.constraints[index]);
    s.guesses = (sampling.speculative_tokens > 0 || !group->prediction.empty()) && !s.sampler &&
                !s.constraint;
    if (request.pooling) {
      s.pooled = std::make_unique<Pooled>(*request.pooling, s.length, options.hidden);
      s.row.temperature = 0;
    }
    group->choices.push_back(std::move(sequence));
  }
  group->held = sampling.n > 1 && group->prompt_tokens > 1;
  return group;
}

}  // namespace

Scheduler::Scheduler(const EngineOptions& options)
    : options_(options),
      running_max_(running_max(options)),
      cost_(options.cost),
      pool_(options.pages),
      cache_(options.pages, options.page_size, options.prefix_hash_bits),
      queue_(options) {
  CHECK(check_options(options).has_value());
  const auto most = static_cast<std::size_t>(running_max_);
  // No request is entered and then lost to a larger table.
  groups_.reserve(options.limits.queue_requests_max + most);
  running_.reserve(most);
  planned_.reserve(most);
  searches_.reserve(most);
  plan_.sequences.reserve(most);
  plan_.rows.reserve(static_cast<std::size_t>(logit_rows_max(options)));
  plan_.copies.reserve(most);
  sources_.reserve(most);
  found_pages_.reserve(static_cast<std::size_t>(pages_for(sequence_tokens_max(options))));
  events_.reserve(2 * most);
}

Scheduler::~Scheduler() = default;

void Scheduler::add(Ticket ticket, Request request, base::Nanoseconds now) {
  CHECK(!in_hand_);
  auto made = make_group(options_, ticket, request);
  Group& group = *made;
  group.arrival_time = now;
  const bool publishes = options_.prefix_cache && request.use_prefix_cache;
  if (publishes) group.root = cache_.root(request.cache_namespace);
  for (const auto& choice : group.choices) {
    choice->arrival = arrivals_;
    choice->prefix = group.root;
    choice->publishes = publishes;
  }
  group.client = queue_.borrow(request.client);
  // Until all is entered: without memory none of it stays.
  struct Undo {
    Scheduler& scheduler;
    Group* group;
    ~Undo() {
      if (group != nullptr) scheduler.take_back(*group);
    }
  } undo{*this, &group};
  if (group.deadline) deadlines_.emplace(*group.deadline, ticket, Limit::kRequest);
  if (group.queue_deadline) deadlines_.emplace(*group.queue_deadline, ticket, Limit::kQueue);
  // The others come when the first has read the prompt, or at once when there is nothing to read.
  for (const auto& choice : group.choices) {
    if (choice->choice > 0 && (group.held || group.search)) continue;
    queue_.push(*choice, false);
  }
  const bool is_new = groups_.emplace(ticket, std::move(made)).second;
  CHECK(is_new, "ticket {} is in use", ticket);
  undo.group = nullptr;
  if (group.held) held_ += group.choices.size() - 1;
  ++arrivals_;
}

// Whatever of a group is entered anywhere but in groups_.
void Scheduler::take_back(Group& group) {
  for (const auto& choice : group.choices) {
    if (choice->place == Place::kWaiting) queue_.erase(*choice);
  }
  if (group.deadline) deadlines_.erase({*group.deadline, group.ticket, Limit::kRequest});
  if (group.queue_deadline) deadlines_.erase({*group.queue_deadline, group.ticket, Limit::kQueue});
  queue_.give_back(group.client);
}

void Scheduler::cancel(Ticket ticket) {
  CHECK(!in_hand_);
  const auto found = groups_.find(ticket);
  if (found != groups_.end()) end_group(*found->second, FinishReason::kCancelled, {});
}

void Scheduler::cancel(Ticket ticket, int choice) {
  CHECK(!in_hand_);
  const auto found = groups_.find(ticket);
  if (found == groups_.end()) return;
  Group& group = *found->second;
  if (group.search) return cancel_answer(group, choice);
  if (choice < 0 || choice >= static_cast<int>(group.choices.size())) return;
  Sequence& sequence = *group.choices[static_cast<std::size_t>(choice)];
  if (sequence.place == Place::kEnded) return;
  end(sequence, end_event(FinishReason::kCancelled));
  sweep();
  release_held(group);
  if (group.alive == 0) forget(ticket);
}

void Scheduler::suspend(Ticket ticket) {
  CHECK(!in_hand_);
  const auto found = groups_.find(ticket);
  if (found == groups_.end() || found->second->search || found->second->suspended) return;
  Group& group = *found->second;
  group.suspended = true;
  ++suspended_requests_;
  for (const auto& choice : group.choices) {
    if (choice->place == Place::kWaiting) {
      queue_.erase(*choice);
      if (blocked_ == choice.get()) blocked_ = nullptr;
    } else if (choice->place == Place::kRunning) {
      forget_computed(*choice);
    } else {
      continue;
    }
    choice->place = Place::kSuspended;
    ++suspended_;
  }
  sweep();
}

void Scheduler::resume(Ticket ticket) {
  CHECK(!in_hand_);
  const auto found = groups_.find(ticket);
  if (found == groups_.end() || !found->second->suspended) return;
  Group& group = *found->second;
  group.suspended = false;
  --suspended_requests_;
  const bool started =
      std::ranges::any_of(group.choices, [](const auto& choice) { return choice->started; });
  for (const auto& choice : group.choices) {
    if (choice->place != Place::kSuspended) continue;
    --suspended_;
    queue_.push(*choice, started);
  }
}

void Scheduler::expire(base::Nanoseconds now) {
  CHECK(!in_hand_);
  while (!deadlines_.empty() && std::get<0>(*deadlines_.begin()) <= now) {
    const auto [time, ticket, limit] = *deadlines_.begin();
    deadlines_.erase(deadlines_.begin());
    Group& group = *groups_.at(ticket);
    if (limit == Limit::kRequest) {
      end_group(group, FinishReason::kError,
                {base::ErrorCode::kDeadlineExceeded, "the deadline of the request has passed", {}});
    } else if (std::none_of(group.choices.begin(), group.choices.end(),
                            [](const auto& choice) { return choice->started; })) {
      end_group(group, FinishReason::kError,
                {base::ErrorCode::kQueueTimeout,
                 "the request was not started within the time it may wait; try again later",
                 {}});
    }
  }
}

std::optional<base::Nanoseconds> Scheduler::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return std::get<0>(*deadlines_.begin());
}

// Pages are free before anyone hears of it.
void Scheduler::end(Sequence& sequence, Event event) {
  Group& group = *sequence.group;
  sequence.tokens.resize(static_cast<std::size_t>(sequence.length));
  if (event.reason != FinishReason::kError) publish_part(sequence);
  vacate(sequence);
  const int answer = sequence.length - group.prompt_tokens;
  tell_end(group, sequence.choice,
           {.prompt_tokens = group.prompt_tokens,
            .cached_tokens = sequence.cached_tokens,
            .completion_tokens = answer,
            .accepted_guesses = sequence.accepted_guesses,
            .rejected_guesses = sequence.rejected_guesses},
           std::move(event));
}

// The fault of one beam ends the search.
void Scheduler::fail(Sequence& sequence, base::Error error) {
  Event event = error_event(std::move(error));
  if (sequence.group->search) return end_search(*sequence.group, event);
  end(sequence, std::move(event));
}

// The one place where a sequence ends. Who runs is taken out of running_ by sweep.
void Scheduler::vacate(Sequence& sequence) {
  const Group& group = *sequence.group;
  CHECK(sequence.place != Place::kEnded, "ticket {} ends twice", group.ticket);
  if (sequence.place == Place::kWaiting) queue_.erase(sequence);
  if (sequence.place == Place::kHeld && group.held && sequence.choice > 0) --held_;
  if (sequence.place == Place::kSuspended) --suspended_;
  sequence.place = Place::kEnded;
  if (blocked_ == &sequence) blocked_ = nullptr;
  release_pages(sequence);
}

// `usage` without the token that stops the answer.
void Scheduler::tell_end(Group& group, int choice, Usage usage, Event event) {
  event.ticket = group.ticket;
  event.choice = choice;
  event.is_last = --group.alive == 0;
  event.usage = usage;
  event.usage.queued = group.queued;
  event.usage.completion_tokens += event.reason == FinishReason::kStop && !event.pooled ? 1 : 0;
  switch (event.reason) {
    case FinishReason::kStop:
      ++metrics_.requests_stopped;
      [[fallthrough]];
    case FinishReason::kLength:
      ++metrics_.requests_finished;
      metrics_.request_time.observe(1e-9 * static_cast<double>(now_ - group.arrival_time));
      metrics_.answer_length.observe(event.usage.completion_tokens);
      break;
    case FinishReason::kCancelled:
      ++metrics_.requests_cancelled;
      break;
    case FinishReason::kError:
      ++metrics_.requests_failed;
      break;
  }
  append_event() = std::move(event);
}

Event& Scheduler::append_event() {
  if (published_) events_.clear();
  published_ = false;
  return events_.emplace_back();
}

// From the last page to the first: of those that stay in the cache a page is then never older than
// the pages that follow it, and these are of no use without it.
void Scheduler::release_pages(Sequence& sequence) {
  while (!sequence.pages.empty()) {
    const std::int32_t page = sequence.pages.back();
    sequence.pages.pop_back();
    if (page >= 0) pool_.release(page, cache_.contains(page));
  }
  sequence.pages_gone = 0;
}

// To be computed again.
void Scheduler::forget_computed(Sequence& sequence) {
  release_pages(sequence);
  sequence.computed = 0;
  if (sequence.pooled) sequence.pooled->clear();
}

void Scheduler::release_sources() {
  for (const std::int32_t page : sources_) pool_.release(page, cache_.contains(page));
  sources_.clear();
}

void Scheduler::sweep() {
  std::erase_if(running_, [](const Sequence* s) { return s->place != Place::kRunning; });
}

// Outside of a step.
void Scheduler::end_group(Group& group, FinishReason reason, const base::Error& error) {
  const Event event = reason == FinishReason::kError ? error_event(error) : end_event(reason);
  if (group.search) {
    end_search(group, event);
  } else {
    for (const auto& choice : group.choices) {
      if (choice->place != Place::kEnded) end(*choice, event);
    }
  }
  sweep();
  forget(group.ticket);
}

void Scheduler::forget(Ticket ticket) {
  const auto found = groups_.find(ticket);
  Group& group = *found->second;
  CHECK(group.alive == 0);
  if (group.suspended) --suspended_requests_;
  take_back(group);
  groups_.erase(found);
}

std::span<const Event> Scheduler::flush() {
  CHECK(!in_hand_);
  if (published_) events_.clear();
  published_ = true;
  return events_;
}

void Scheduler::abort_all(FinishReason reason, const base::Error& error) {
  // What the plan in hand was to copy may not be there.
  for (Sequence* s : running_) s->publishes = s->publishes && !in_hand_;
  in_hand_ = false;
  plan_.sequences.clear();
  planned_.clear();
  release_sources();
  // By ticket: what follows must not depend on the order of a hash table.
  std::vector<Ticket> tickets;
  tickets.reserve(groups_.size());
  for (const auto& [ticket, group] : groups_) tickets.push_back(ticket);
  std::sort(tickets.begin(), tickets.end());
  for (const Ticket ticket : tickets) end_group(*groups_.at(ticket), reason, error);
}

void Scheduler::clear_prefix_cache() {
  CHECK(!in_hand_);
  for (std::int32_t page = 0; page < pool_.total(); ++page) {
    if (pool_.is_idle(page)) pool_.drop(page);
  }
  cache_.clear();
  blocked_ = nullptr;
  // What they have computed is from before. So is what further choices take from them.
  for (const Sequence* s : running_) {
    for (const auto& choice : s->group->choices) choice->publishes = false;
  }
}

const EngineMetrics& Scheduler::metrics() {
  metrics_.requests_running = static_cast<int>(running_.size() + queue_.forked());
  metrics_.requests_waiting = static_cast<int>(waiting_requests() + suspended_);
  metrics_.requests_suspended = static_cast<int>(suspended_);
  metrics_.pages_total = pool_.total();
  metrics_.pages_used = pool_.used();
  metrics_.pages_cached = pool_.idle();
  return metrics_;
}

}  // namespace vsurge::engine
