// Beam searches: what a step's result makes of them.
#include <algorithm>

#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

std::size_t index_of(int number) {
  return static_cast<std::size_t>(number);
}

// Of a token that was picked among the likeliest: as its row would have told of it.
std::shared_ptr<const Logprobs> logprobs_of(const BeamSlot& slot, int place, int alternatives) {
  auto logprobs = std::make_shared<Logprobs>();
  const kernels::TopLogprob& own = slot.next[index_of(place)];
  logprobs->logprob = own.logprob;
  const auto likelier =
      std::count_if(slot.next.begin(), slot.next.end(),
                    [&own](const auto& other) { return other.logprob > own.logprob; });
  logprobs->rank = static_cast<std::int32_t>(likelier) + 1;
  const auto told = std::min(index_of(alternatives), slot.next.size());
  logprobs->top.assign(slot.next.begin(), slot.next.begin() + static_cast<std::ptrdiff_t>(told));
  return logprobs;
}

}  // namespace

// For all that the search can have.
void Scheduler::reserve_search(Group& group) {
  Search& search = *group.search;
  if (search.reserved) return;
  const auto width = search.slots.size();
  for (const auto& beam : group.choices) reserve_tokens(*beam);
  for (BeamSlot& slot : search.slots) slot.next.reserve(index_of(group.row_logprobs));
  search.beams.reserve();
  search.order.reserve(width);
  search.live.reserve(width);
  search.homes.reserve(width);
  search.reserved = true;
}

// What is likeliest after one beam.
void Scheduler::take_candidates(Sequence& sequence, const kernels::SampleResult& sampled) {
  Group& group = *sequence.group;
  Search& search = *group.search;
  if (sampled.status != kernels::SampleStatus::kOk) {
    return fail(sequence, row_error(sampled, sequence.length));
  }
  const std::span<const kernels::TopLogprob> top(sampled.top, index_of(sampled.top_count));
  CHECK(top.size() >= index_of(search.beams.candidates()), "{} alternatives", top.size());
  for (const kernels::TopLogprob& one : top) {
    if (one.token >= 0 && one.token < options_.vocabulary) continue;
    return fail(sequence, strange_token(one.token));
  }
  BeamSlot& slot = search.slots[index_of(sequence.choice)];
  slot.next.assign(top.begin(), top.end());
  slot.ready = true;
  ++search.ready;
  if (std::exchange(search.touched, true)) return;
  searches_.push_back(&group);
}

// True when there were any: who ran may not run any more.
bool Scheduler::advance_searches() {
  const bool any = !searches_.empty();
  for (Group* group : searches_) {
    Search& search = *group->search;
    search.touched = false;
    if (group->alive == 0) continue;
    if (index_of(search.ready) == search.order.size()) {
      select(*group);
    } else {
      park(*group);
    }
  }
  searches_.clear();
  return any;
}

// Those that wait for others hold nothing.
void Scheduler::park(Group& group) {
  for (const auto& beam : group.choices) {
    if (beam->place != Place::kRunning || !group.search->slots[index_of(beam->choice)].ready) {
      continue;
    }
    publish_part(*beam);
    forget_computed(*beam);
    beam->place = Place::kParked;
  }
}

void Scheduler::select(Group& group) {
  Search& search = *group.search;
  search.live.clear();
  for (const std::size_t slot : search.order) {
    const BeamSlot& beam = search.slots[slot];
    const auto candidates = std::min(beam.next.size(), index_of(search.beams.candidates()));
    search.live.push_back({beam.score, std::span(beam.next).first(candidates)});
  }
  const Sequence& first = *group.choices[search.order.front()];
  search.beams.select(search.live, first.length - group.prompt_tokens + 1);
  for (const BeamPick& ending : search.beams.endings()) enter(group, ending);
  if (search.beams.over()) return finish_search(group);
  deal(group);
  WaitingQueue::charge(*group.client, 2.0 * static_cast<double>(search.order.size()));
}

void Scheduler::enter(Group& group, const BeamPick& ending) {
  Search& search = *group.search;
  Hypothesis* answer = search.beams.enter(ending);
  if (answer == nullptr) return;
  const std::size_t parent = search.order[index_of(ending.parent)];
  const Sequence& sequence = *group.choices[parent];
  const BeamSlot& slot = search.slots[parent];
  answer->answer.assign(sequence.tokens.begin() + group.prompt_tokens, sequence.tokens.end());
  answer->logprobs = slot.logprobs;
  if (ending.stops) return;
  answer->answer.push_back(ending.token);
  if (!group.sampling.logprobs) return;
  answer->logprobs.push_back(logprobs_of(slot, ending.place, *group.sampling.logprobs));
}

// The first child of each beam stays where it is, with its pages. The others go to the sequences
// that have none, in order; they wait, and take up the pages of the first.
void Scheduler::deal(Group& group) {
  Search& search = *group.search;
  const std::span<const BeamPick> children = search.beams.children();
  constexpr auto kNowhere = static_cast<std::size_t>(-1);
  const auto is_home = [&](std::size_t slot) {
    return std::find(search.homes.begin(), search.homes.end(), slot) != search.homes.end();
  };
  search.homes.clear();
  for (const BeamPick& child : children) {
    const std::size_t parent = search.order[index_of(child.parent)];
    search.homes.push_back(is_home(parent) ? kNowhere : parent);
  }
  std::size_t free = 0;
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (search.homes[i] != kNowhere) continue;
    while (is_home(free)) ++free;
    search.homes[i] = free;
    move_beam(group, children[i], free);
  }
  // Only now: their tokens were to be copied as they were.
  for (std::size_t i = 0; i < children.size(); ++i) {
    append_token(group, children[i], search.homes[i]);
  }
  search.order.assign(search.homes.begin(), search.homes.end());
  search.ready = 0;
}

// Another sequence becomes what the child's parent is.
void Scheduler::move_beam(Group& group, const BeamPick& child, std::size_t home) {
  Search& search = *group.search;
  const std::size_t parent = search.order[index_of(child.parent)];
  const Sequence& from = *group.choices[parent];
  Sequence& to = *group.choices[home];
  forget_computed(to);
  to.place = Place::kParked;
  to.tokens.assign(from.tokens.begin(), from.tokens.end());
  to.publishes = from.publishes;
  search.slots[home].logprobs = search.slots[parent].logprobs;
}

void Scheduler::append_token(Group& group, const BeamPick& child, std::size_t home) {
  Search& search = *group.search;
  const BeamSlot& parent = search.slots[search.order[index_of(child.parent)]];
  BeamSlot& slot = search.slots[home];
  if (group.sampling.logprobs) {
    slot.logprobs.push_back(logprobs_of(parent, child.place, *group.sampling.logprobs));
  }
  slot.score = child.score;
  slot.ready = false;
  Sequence& sequence = *group.choices[home];
  sequence.tokens.push_back(child.token);
  sequence.length = static_cast<int>(sequence.tokens.size());
  if (sequence.place != Place::kParked) return;
  sequence.forked = true;
  queue_.push(sequence, true);
}

void Scheduler::finish_search(Group& group) {
  const Search& search = *group.search;
  for (const auto& beam : group.choices) vacate(*beam);
  const std::span<const Hypothesis> answers = search.beams.finished();
  CHECK(answers.size() == search.slots.size(), "{} answers", answers.size());
  for (int choice = 0; choice < group.sampling.n; ++choice) {
    if (search.told[index_of(choice)] != 0) continue;
    tell_answer(group, choice, answers[index_of(choice)]);
  }
}

void Scheduler::tell_answer(Group& group, int choice, const Hypothesis& answer) {
  Usage usage{group.prompt_tokens, group.choices[index_of(choice)]->cached_tokens, 0};
  const int tokens = static_cast<int>(answer.answer.size());
  for (int i = 0; i < tokens; ++i) {
    Event& event = append_event();
    event.ticket = group.ticket;
    event.choice = choice;
    event.token = answer.answer[index_of(i)];
    ++usage.completion_tokens;
    event.usage = usage;
    if (group.sampling.logprobs) event.logprobs = answer.logprobs[index_of(i)];
  }
  metrics_.generation_tokens += index_of(tokens);
  if (choice == 0 && tokens > 0) {
    metrics_.first_token_time.observe(1e-9 * static_cast<double>(now_ - group.arrival_time));
  }
  const bool stopped = answer.stop_token >= 0;
  Event event = end_event(stopped ? FinishReason::kStop : FinishReason::kLength);
  event.stop_token = answer.stop_token;
  event.score = static_cast<float>(answer.score);
  tell_end(group, choice, usage, std::move(event));
}

// From outside, or by a fault: no answer is told.
void Scheduler::end_search(Group& group, const Event& event) {
  for (const auto& beam : group.choices) vacate(*beam);
  for (int choice = 0; choice < group.sampling.n; ++choice) {
    if (std::exchange(group.search->told[index_of(choice)], 1) != 0) continue;
    const int cached = group.choices[index_of(choice)]->cached_tokens;
    tell_end(group, choice, {group.prompt_tokens, cached, 0}, event);
  }
}

// That answer is not told; the search goes on for the others.
void Scheduler::cancel_answer(Group& group, int choice) {
  if (choice < 0 || choice >= group.sampling.n) return;
  if (group.search->told[index_of(choice)] != 0) return;
  const Event event = end_event(FinishReason::kCancelled);
  if (group.alive == 1) {
    end_search(group, event);
    sweep();
    return forget(group.ticket);
  }
  group.search->told[index_of(choice)] = 1;
  const int cached = group.choices[index_of(choice)]->cached_tokens;
  tell_end(group, choice, {group.prompt_tokens, cached, 0}, event);
}

}  // namespace vsurge::engine
