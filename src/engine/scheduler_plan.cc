// What a step computes.
#include <algorithm>
#include <new>

#include "engine/prompt_lookup.h"
#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

// Both beams have the same first `count` tokens. They differ late, if at all.
bool begins_with(const Sequence& donor, const Sequence& sequence, int count) {
  const auto differ = sequence.tokens.begin() + sequence.group->prompt_tokens;
  const auto end = sequence.tokens.begin() + count;
  if (end <= differ) return true;
  return std::equal(std::reverse_iterator(end), std::reverse_iterator(differ),
                    std::reverse_iterator(donor.tokens.begin() + count));
}

}  // namespace

const StepPlan& Scheduler::plan(base::Nanoseconds now) {
  CHECK(!in_hand_);
  now_ = now;
  expire(now);
  plan_.sequences.clear();
  plan_.rows.clear();
  plan_.copies.clear();
  plan_.alternatives = 0;
  plan_.load = {};
  planned_.clear();
  Left left = budget();
  plan_running(left);
  plan_waiting(left);
  // Liveness: whoever is first in order can always go on.
  CHECK(plan_.empty() != has_work(), "{} requests and nothing to do", groups_.size());
  if (!plan_.empty()) ++plan_.step;
  in_hand_ = true;
  return plan_;
}

// One that decodes has its token for certain; prompts share what is left of tokens and of time.
Scheduler::Left Scheduler::budget() {
  Left left;
  left.prompts = options_.max_concurrent_prefill;
  for (const Sequence* s : running_) {
    if (s->remaining() == 1) {
      ++left.load.tokens;
      left.load.decode_keys += keys(s->computed, 1);
    } else {
      --left.prompts;
    }
  }
  left.load.rows = left.load.tokens;
  left.prompt_tokens = options_.max_batched_tokens - left.load.tokens;
  left.extra_rows = logit_rows_max(options_) - running_max_;
  if (left.load.tokens > 0 && cost_.known()) {
    left.time_ns_max = options_.target_step > 0
                           ? static_cast<double>(options_.target_step)
                           : options_.step_stretch * cost_.predict_ns(left.load);
  }
  return left;
}

// Keys that `count` queries read, the first at position `first`.
std::int64_t Scheduler::keys(int first, int count) const {
  const auto last = static_cast<std::int64_t>(first) + count;
  if (options_.window > 0 && last > options_.window) {
    return std::int64_t{options_.window} * count;
  }
  return (last * (last + 1) - std::int64_t{first} * (first + 1)) / 2;
}

// Leading pages that no query at `computed` or later reads.
int Scheduler::window_pages_gone(int computed) const {
  if (options_.window == 0) return 0;
  return std::max(0, computed - options_.window + 1) / options_.page_size;
}

// Tokens of the sequence to compute in this step.
int Scheduler::chunk(const Sequence& sequence, int computed, const Left& left) const {
  const int want = sequence.length - computed;
  if (want == 1) return 1;
  int most = std::min(want, left.prompt_tokens);
  if (options_.prefill_chunk_max > 0) most = std::min(most, options_.prefill_chunk_max);
  if (sequence.is_scoring()) {
    const int without_rows = std::max(0, sequence.scored - 1 - computed);
    most = std::min(most, without_rows + 1 + left.extra_rows);
  }
  if (most < 1) return 0;
  const int count = chunk_in_time(most, computed, left);
  // Whole groups of rows suit the kernels.
  return count < want && count > 32 ? count - count % 16 : count;
}

// As many tokens as the time allows; but the first prompt of a step always gets some.
int Scheduler::chunk_in_time(int most, int computed, const Left& left) const {
  if (left.time_ns_max <= 0) return most;
  int fits = left.read ? 0 : std::min(most, kChunkMin);
  int too_many = most + 1;
  while (fits + 1 < too_many) {
    const int count = fits + (too_many - fits) / 2;
    StepLoad load = left.load;
    load.tokens += count;
    load.prompt_keys += keys(computed, count);
    (cost_.predict_ns(load) <= left.time_ns_max ? fits : too_many) = count;
  }
  return fits;
}

// Appends guesses of what comes after the tokens of a decoding sequence, and their pages; nobody
// has to give way for them.
int Scheduler::guess(Sequence& sequence, Left& left) {
  if (!sequence.guesses) return 0;
  const SamplingParams& sampling = sequence.group->sampling;
  // Prompts come first: guesses are worth less.
  const bool others_read = left.prompts < options_.max_concurrent_prefill || !queue_.empty();
  const int tokens = left.prompt_tokens - (others_read ? kChunkMin : 0);
  const std::vector<TokenId>& prediction = sequence.group->prediction;
  const int wanted =
      std::max(sampling.speculative_tokens, prediction.empty() ? 0 : kPredictionGuesses);
  int most = std::min(
      {wanted, kGuessesMax, tokens, left.extra_rows, sequence.tokens_max - sequence.length - 1});
  const int spare = std::max(0, pool_.available() - static_cast<int>(running_.size()));
  const int room = (static_cast<int>(sequence.pages.size()) + spare) * options_.page_size;
  most = std::min(most, room - sequence.length);
  if (most < 1) return 0;
  std::array<TokenId, kGuessesMax> room_for;
  const auto guesses = std::span(room_for).first(static_cast<std::size_t>(most));
  const auto answer = std::span<const TokenId>(sequence.tokens)
                          .subspan(static_cast<std::size_t>(sequence.group->prompt_tokens));
  int count = guess_from_prediction(prediction, answer, guesses);
  sequence.predicted = count > 0;
  if (count == 0 && sampling.speculative_tokens > 0) {
    const auto fewer = static_cast<std::size_t>(std::min(most, sampling.speculative_tokens));
    count = guess_next_tokens(sequence.tokens, guesses.first(fewer));
  }
  sequence.tokens.insert(sequence.tokens.end(), guesses.begin(), guesses.begin() + count);
  while (static_cast<int>(sequence.pages.size()) < pages_for(sequence.length + count)) {
    sequence.pages.push_back(allocate());
  }
  left.prompt_tokens -= count;
  left.extra_rows -= count;
  left.load.tokens += count;
  left.load.rows += count;
  metrics_.guesses += count > 0 ? 1 : 0;
  metrics_.guessed_tokens += static_cast<std::uint64_t>(count);
  return count;
}

void Scheduler::plan_running(Left& left) {
  // Walking in order, those who may have to give way are always still unplanned.
  for (std::size_t i = 0; i < running_.size();) {
    if (i + 2 * kPrefetchAhead < running_.size()) prefetch(*running_[i + 2 * kPrefetchAhead]);
    if (i + kPrefetchAhead < running_.size()) prefetch(*running_[i + kPrefetchAhead]->group);
    Sequence& s = *running_[i];
    const bool decodes = s.remaining() == 1;
    const int count = chunk(s, s.computed, left);
    if (count > 0) {
      if (!take_pages(i, pages_for(s.computed + count), left)) continue;  // s is gone from here
      append_plan(s, count, decodes ? guess(s, left) : 0, left);
      if (!decodes) {
        left.prompt_tokens -= count;
        left.load.tokens += count;
        left.load.prompt_keys += keys(s.computed, count);
        left.read = true;
      }
    }
    ++i;
  }
}

// Gives the sequence at `place` of running_ as many pages in all; others after it give theirs back
// when there are too few. False when it had to give way itself.
bool Scheduler::take_pages(std::size_t place, int pages, Left& left) {
  Sequence& s = *running_[place];
  const int missing = pages - static_cast<int>(s.pages.size());
  while (pool_.available() < missing) {
    std::size_t victim = running_.size() - 1;
    while (victim > place && running_[victim]->preemptions == kPreemptionsMax) --victim;
    const Sequence& gives_way = *running_[victim];
    if (gives_way.remaining() == 1) {
      ++left.prompt_tokens;
      --left.load.tokens;
      --left.load.rows;
      left.load.decode_keys -= keys(gives_way.computed, 1);
    } else {
      ++left.prompts;
    }
    preempt(victim);
    if (victim == place) return false;
  }
  for (int i = 0; i < missing; ++i) s.pages.push_back(allocate());
  return true;
}

std::int32_t Scheduler::allocate() {
  const PagePool::Allocation allocation = pool_.allocate();
  if (allocation.was_idle) {
    cache_.erase(allocation.page);
    ++metrics_.pages_evicted;
  }
  return allocation.page;
}

void Scheduler::preempt(std::size_t place) {
  Sequence& s = *running_[place];
  // The only one would have to wait for pages that nobody gives back.
  CHECK(running_.size() > 1 && s.preemptions < kPreemptionsMax, "ticket {}", s.group->ticket);
  forget_computed(s);
  ++s.preemptions;
  ++metrics_.preemptions;
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(place));
  queue_.push(s, true);
}

void Scheduler::plan_waiting(Left& left) {
  metrics_.waiting_for = WaitReason::kNone;
  while (!queue_.empty()) {
    if (static_cast<int>(running_.size()) == running_max_) {
      metrics_.waiting_for = WaitReason::kSequences;
      return;
    }
    if (!admit_next(left)) return;
  }
}

// The first of the waiting starts to run, if the step has tokens and the pool pages for it. Nobody
// overtakes it.
bool Scheduler::admit_next(Left& left) {
  Sequence& s = *queue_.front();
  const auto wait_for = [this](WaitReason reason) {
    metrics_.waiting_for = reason;
    return false;
  };
  // Who has siblings that run may have nothing to read.
  if (left.prompt_tokens < 1 || (left.prompts < 1 && !s.resumed)) {
    return wait_for(WaitReason::kPrompts);
  }
  const int available = pool_.available() - left.pages_next_step;
  if (blocked_ == &s && available <= blocked_pages_) return wait_for(WaitReason::kPages);
  // The last token is never computed, only handed out.
  const int last = s.tokens_max - 1;
  const bool for_good = s.preemptions == kPreemptionsMax;
  const int soon = pages_for(for_good ? last : std::min(s.length + 1, last));
  const Found found = find_prefix(s, soon, available);
  const bool reads = s.length - found.computed > 1 || !s.resumed;
  const int count = chunk(s, found.computed, left);
  if (count < 1 || (reads && left.prompts < 1)) return wait_for(WaitReason::kPrompts);
  if (available - found.idle < soon - found.pages) {
    blocked_ = &s;
    blocked_pages_ = available;
    return wait_for(WaitReason::kPages);
  }
  if (!reserve_memory(s)) return true;
  admit(s, found, for_good ? soon : pages_for(s.length));
  left.prompt_tokens -= count;
  left.load.tokens += count;
  left.load.prompt_keys += keys(s.computed, count);
  if (reads) {
    --left.prompts;
    left.read = true;
  }
  append_plan(s, count, 0, left);
  return true;
}

void Scheduler::reserve_tokens(Sequence& sequence) {
  const auto tokens = static_cast<std::size_t>(sequence.tokens_max + kGuessesMax);
  sequence.tokens.reserve(tokens);
  sequence.pages.reserve(static_cast<std::size_t>(pages_for(static_cast<int>(tokens))));
  if (sequence.pooled) sequence.pooled->reserve();
}

// For all tokens and pages that it can have, so that no step allocates for it. Without memory the
// sequence ends.
bool Scheduler::reserve_memory(Sequence& sequence) {
  try {
    if (sequence.group->search) {
      reserve_search(*sequence.group);
    } else {
      reserve_tokens(sequence);
    }
    return true;
  } catch (const std::bad_alloc&) {
    Group& group = *sequence.group;
    fail(sequence, {base::ErrorCode::kInternal, "no memory for the request", {}});
    release_held(group);
    if (group.alive == 0) forget(group.ticket);
    return false;
  }
}

// What is already computed of the sequence's tokens: in pages of a sibling, or in the cache. At
// least its last token is left to compute. It needs `pages` in all; of the cache's beginnings none
// is taken for which there is no room.
Scheduler::Found Scheduler::find_prefix(const Sequence& sequence, int pages, int available) {
  Found found;
  found_pages_.clear();
  found.prefix = sequence.group->root;
  if (find_donor(sequence, found)) return found;
  if (!sequence.publishes || sequence.is_scoring()) return found;
  if (sequence.pooled && sequence.pooled->needs_all()) return found;
  find_pages(sequence, found);
  Found more = found;
  find_beginning(sequence, more);
  if (available - more.idle >= pages - more.pages) found = more;
  found.gone = window_pages_gone(found.computed);
  for (int i = 0; i < found.gone && i < found.pages; ++i) {
    std::int32_t& page = found_pages_[static_cast<std::size_t>(i)];
    found.idle -= pool_.is_idle(page) ? 1 : 0;
    page = -1;
  }
  return found;
}

// Full pages.
void Scheduler::find_pages(const Sequence& sequence, Found& found) {
  const auto size = static_cast<std::size_t>(options_.page_size);
  const int most = (sequence.length - 1) / options_.page_size;
  for (; found.pages < most; ++found.pages) {
    const auto tokens = std::span<const TokenId>(sequence.tokens)
                            .subspan(static_cast<std::size_t>(found.pages) * size, size);
    const PrefixCache::Hit hit = cache_.find(found.prefix, tokens);
    if (hit.page < 0) break;
    found_pages_.push_back(hit.page);
    found.prefix = hit.id;
    found.idle += pool_.is_idle(hit.page) ? 1 : 0;
  }
  found.published = found.pages;
  found.computed = found.pages * options_.page_size;
}

// The page after them that begins as the sequence goes on.
void Scheduler::find_beginning(const Sequence& sequence, Found& found) {
  const int count = std::min(options_.page_size, sequence.length - 1 - found.computed);
  if (count < 1) return;
  const auto tokens =
      std::span<const TokenId>(sequence.tokens)
          .subspan(static_cast<std::size_t>(found.computed), static_cast<std::size_t>(count));
  const PrefixCache::Beginning beginning = cache_.find_beginning(found.prefix, tokens);
  if (beginning.page < 0) return;
  found.partial = beginning.page;
  found.cached = true;
  found.computed += beginning.tokens;
  found.idle += pool_.is_idle(beginning.page) ? 1 : 0;
}

// A choice that has not begun to differ takes the prompt from one of its siblings that has read it;
// a beam all tokens but its last from one that has the same.
bool Scheduler::find_donor(const Sequence& sequence, Found& found) {
  const Group& group = *sequence.group;
  const int shared = sequence.length - 1;
  if (group.choices.size() == 1 || shared == 0) return false;
  if (!group.search && sequence.length != group.prompt_tokens) return false;
  if (sequence.is_scoring()) return false;
  for (const auto& donor : group.choices) {
    if (donor->place != Place::kRunning || donor->computed < shared) continue;
    if (donor->pages_gone > window_pages_gone(shared)) continue;
    // Its page is made in this very step.
    if (donor->forked_step == plan_.step + 1) continue;
    if (group.search && !begins_with(*donor, sequence, shared)) continue;
    found.pages = shared / options_.page_size;
    found.computed = shared;
    found.gone = donor->pages_gone;
    if (donor->published <= found.pages) {
      found.published = donor->published;
      found.prefix = donor->prefix;
    }
    found_pages_.assign(donor->pages.begin(), donor->pages.begin() + found.pages);
    if (shared % options_.page_size != 0) {
      found.partial = donor->pages[static_cast<std::size_t>(found.pages)];
    }
    return true;
  }
  return false;
}

void Scheduler::admit(Sequence& sequence, const Found& found, int pages) {
  queue_.pop_front();
  sequence.place = Place::kRunning;
  blocked_ = nullptr;
  for (const std::int32_t page : found_pages_) {
    if (page >= 0) pool_.retain(page);
    sequence.pages.push_back(page);
  }
  if (found.cached) {  // so that no allocation takes it away before it is copied
    pool_.retain(found.partial);
    sources_.push_back(found.partial);
  }
  while (static_cast<int>(sequence.pages.size()) < pages) sequence.pages.push_back(allocate());
  sequence.pages_gone = std::min(found.gone, found.pages);
  sequence.computed = found.computed;
  if (found.partial >= 0) {
    plan_.copies.push_back({found.partial, sequence.pages[static_cast<std::size_t>(found.pages)]});
    sequence.forked_step = plan_.step + 1;
  }
  sequence.published = found.published;
  sequence.prefix = found.prefix;
  running_.insert(
      std::upper_bound(running_.begin(), running_.end(), &sequence,
                       [](const Sequence* a, const Sequence* b) { return goes_before(*a, *b); }),
      &sequence);
  account_admission(sequence, found);
}

void Scheduler::account_admission(Sequence& sequence, const Found& found) {
  if (sequence.started) return;
  sequence.started = true;
  Group& group = *sequence.group;
  WaitingQueue::charge(*group.client, sequence.length - found.computed);
  if (sequence.choice > 0) return;
  sequence.cached_tokens = found.computed;
  group.queued = now_ - group.arrival_time;
  metrics_.queue_time.observe(1e-9 * static_cast<double>(group.queued));
  metrics_.prompt_length.observe(group.prompt_tokens);
  if (!sequence.publishes) return;
  metrics_.prefix_queries += static_cast<std::uint64_t>(group.prompt_tokens);
  metrics_.prefix_hits += static_cast<std::uint64_t>(found.computed);
}

void Scheduler::append_plan(Sequence& sequence, int count, int guesses, Left& left) {
  const int end = sequence.computed + count + guesses;
  PlannedSequence& planned = plan_.sequences.emplace_back();
  planned.ticket = sequence.group->ticket;
  planned.choice = sequence.choice;
  planned.first = sequence.computed;
  planned.tokens = std::span<const TokenId>(sequence.tokens)
                       .subspan(static_cast<std::size_t>(planned.first),
                                static_cast<std::size_t>(count + guesses));
  planned.pages =
      std::span<const std::int32_t>(sequence.pages).first(static_cast<std::size_t>(pages_for(end)));
  planned.samples = !sequence.pooled && sequence.computed + count == sequence.length;
  planned.pooled = sequence.pooled.get();
  append_rows(sequence, planned, guesses);
  if (sequence.is_scoring()) {
    left.extra_rows -= std::max(0, planned.rows - 1);
  }
  if (planned.samples) {
    planned.constraint = sequence.constraint.get();
    if (end + 1 < sequence.tokens_max &&
        pages_for(end + 1) > static_cast<int>(sequence.pages.size())) {
      ++left.pages_next_step;
    }
  }
  planned_.push_back(&sequence);
  plan_.load.tokens += count + guesses;
  plan_.load.rows += planned.rows;
  (count + guesses == 1 ? plan_.load.decode_keys : plan_.load.prompt_keys) +=
      keys(planned.first, count + guesses);
}

// The last tokens whose logits are wanted: those before a prompt's token that is to be scored, and
// those that draw.
void Scheduler::append_rows(Sequence& sequence, PlannedSequence& planned, int guesses) {
  const int end = planned.first + static_cast<int>(planned.tokens.size());
  const int prompt = sequence.group->prompt_tokens;
  planned.first_row = static_cast<int>(plan_.rows.size());
  if (sequence.is_scoring()) {
    planned.rows = std::max(0, end - std::max(planned.first, sequence.scored - 1));
  } else if (planned.samples) {
    planned.rows = guesses + 1;
  } else if (sequence.pooled && end == sequence.length) {
    planned.rows = sequence.pooled->logits_of().empty() ? 0 : 1;
  }
  for (int position = end - planned.rows; position < end; ++position) {
    PlannedRow& row = plan_.rows.emplace_back();
    row.sampling = &sequence.row;
    row.position = static_cast<std::uint64_t>(position) + 1;
    row.logprobs = sequence.group->row_logprobs;
    const auto next = static_cast<std::size_t>(position) + 1;
    if (position + 1 < prompt) {
      row.scored_token = sequence.tokens[next];
      row.logprobs = *sequence.group->sampling.prompt_logprobs;
    } else if (sequence.sampler) {
      sequence.sampler->prepare(std::span<const TokenId>(sequence.tokens).first(next),
                                sequence.row);
    }
    plan_.alternatives += std::max(0, row.logprobs);
  }
}

}  // namespace vsurge::engine
