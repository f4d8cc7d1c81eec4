// Beam searches: nothing is told until they are over, then all answers; in between each beam is
// where it must be.
#include <algorithm>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {
namespace {

// One beam's part of the step.
void expect_part(World& world, Story& story, const PlannedChoice& one) {
  SearchStory& search = *story.search;
  const auto index = static_cast<std::size_t>(one.choice);
  search.computed[index] = story.choices[index].chain;
  if (search.turn == SearchTurn::kError) return;
  const auto fails = [&](base::ErrorCode code) {
    search.turn = SearchTurn::kError;
    search.error = code;
    world.seen.note(Situation::kSearchFails);
  };
  if (!one.ok) return fails(kStatusFault);
  if (!one.samples) return;
  const auto planted = [&](FaultKind kind) {
    return Model::fails_at(story, one.choice, one.known, kind);
  };
  for (const FaultKind kind : {FaultKind::kNotFinite, FaultKind::kNothingAllowed}) {
    if (planted(kind)) return fails(Model::code_of(kind));
  }
  if (planted(FaultKind::kBadToken)) return fails(base::ErrorCode::kInternal);
  search.ready[index] = true;
  search.turn = SearchTurn::kPark;
}

void note_turn(World& world, const Story& story) {
  const SearchStory& search = *story.search;
  Seen& seen = world.seen;
  if (search.turn == SearchTurn::kOver) {
    const int tokens = static_cast<int>(
        story.choices[static_cast<std::size_t>(search.order.front())].tokens.size());
    const bool full = tokens + 1 == story.prompt + story.answer_max;
    return seen.note(full ? Situation::kSearchEndsByLength : Situation::kSearchEndsEarly);
  }
  if (search.turn != SearchTurn::kDeal) return;
  for (std::size_t i = 1; i < search.children.size(); ++i) {
    const SearchChild& one = search.children[i];
    seen.note_if(one.score == search.children[i - 1].score, Situation::kSearchTie);
    seen.note_if(one.parent != one.home, Situation::kBeamsOfOneParent);
  }
}

void check_logprobs(World& world, const Event& event, const Story& story, Chain chain) {
  const std::optional<int>& wanted = story.spec->sampling.logprobs;
  if ((event.logprobs != nullptr) != wanted.has_value()) {
    return world.fault.report("ticket {}: logprobs or none", story.ticket);
  }
  if (!wanted) return;
  const auto all = likeliest_after(chain, world.options().vocabulary);
  const auto own = std::ranges::find(all, event.token, &kernels::TopLogprob::token);
  if (own == all.end()) return world.fault.report("a token outside the vocabulary");
  const auto likelier =
      std::ranges::count_if(all, [own](const auto& other) { return other.logprob > own->logprob; });
  const Logprobs& got = *event.logprobs;
  const std::size_t told = std::min(static_cast<std::size_t>(*wanted), all.size());
  const bool same = got.logprob == own->logprob && got.rank == likelier + 1 &&
                    std::ranges::equal(got.top, std::span(all).first(told), [](auto& a, auto& b) {
                      return a.token == b.token && a.logprob == b.logprob;
                    });
  if (!same) world.fault.report("ticket {}: logprobs of another token or place", story.ticket);
}

void take_token(World& world, const Event& event, Story& story) {
  SearchStory& search = *story.search;
  const auto index = static_cast<std::size_t>(event.choice);
  if (search.turn != SearchTurn::kOver || search.ended[index] || index >= search.finished.size()) {
    return world.fault.report("ticket {}.{}: a token out of the blue", story.ticket, event.choice);
  }
  const SearchAnswer& answer = search.finished[index];
  const auto place = static_cast<std::size_t>(search.told[index]);
  if (place >= answer.tokens.size() || answer.tokens[place] != event.token) {
    return world.fault.report("ticket {}.{}: token {} at {} of {}", story.ticket, event.choice,
                              event.token, place, answer.tokens.size());
  }
  check_logprobs(world, event, story,
                 answer.chain[static_cast<std::size_t>(story.prompt) + place - 1]);
  ++search.told[index];
  ++world.ledger.generation_tokens;
  if (event.choice > 0 || place > 0) return;
  ++world.ledger.first_tokens;
  world.ledger.first_token_ns += world.now - story.arrival;
}

bool is_own_end(const Event& event, const SearchStory& search) {
  const auto index = static_cast<std::size_t>(event.choice);
  if (search.turn == SearchTurn::kError) {
    return event.reason == FinishReason::kError && event.error->code == search.error;
  }
  if (search.turn != SearchTurn::kOver || index >= search.finished.size()) return false;
  const SearchAnswer& answer = search.finished[index];
  const FinishReason reason = answer.stop < 0 ? FinishReason::kLength : FinishReason::kStop;
  return event.reason == reason && event.stop_token == answer.stop &&
         event.score == static_cast<float>(answer.score) &&
         search.told[index] == static_cast<int>(answer.tokens.size());
}

void take_end(World& world, const Event& event, Story& story) {
  SearchStory& search = *story.search;
  const auto index = static_cast<std::size_t>(event.choice);
  ExpectedEnd& outside = story.choices[index].expected_end;
  if (outside.set) {
    const bool same = outside.reason == event.reason &&
                      (event.reason != FinishReason::kError || event.error->code == outside.code);
    if (!same) world.fault.report("ticket {}.{}: another end", story.ticket, event.choice);
    outside.set = false;
    --world.pending_ends;
  } else {
    if (search.ended[index] || !is_own_end(event, search)) {
      return world.fault.report("ticket {}.{} ended with {} after {} tokens", story.ticket,
                                event.choice, static_cast<int>(event.reason), search.told[index]);
    }
    search.ended[index] = true;
    --story.alive;
    world.count_end(event.reason);
  }
  ++story.ends;
  if (event.is_last != (story.ends == search.answers)) {
    world.fault.report("end {} of {} says is_last {}", story.ends, search.answers, event.is_last);
  }
}

// The children become what they are; who ran and is another now waits.
void deal(World& world, Story& story) {
  SearchStory& search = *story.search;
  const std::vector<Choice> before = story.choices;
  search.order.clear();
  for (const SearchChild& child : search.children) {
    const auto home = static_cast<std::size_t>(child.home);
    const Choice& parent = before[static_cast<std::size_t>(child.parent)];
    Choice& choice = story.choices[home];
    choice.tokens = parent.tokens;
    choice.chain = parent.chain;
    world.model.accept(story, choice, child.token);
    search.order.push_back(child.home);
    search.scores[home] = child.score;
    search.ready[home] = false;
    const bool stays = child.home == child.parent && choice.state == State::kRunning;
    choice.computed = stays ? static_cast<int>(parent.tokens.size()) : 0;
    if (stays) continue;
    world.leave(story, child.home);
    choice.state = State::kWaiting;
    choice.resumed = choice.forked = true;
    world.queue.push(story, child.home, true);
  }
  world.queue.charge(story.spec->client, 2.0 * static_cast<double>(search.children.size()));
}

void park(World& world, Story& story) {
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    Choice& choice = story.choices[i];
    if (choice.state != State::kRunning || !story.search->ready[i]) continue;
    world.leave(story, static_cast<int>(i));
    choice.state = State::kParked;
    choice.computed = 0;
    world.seen.note(Situation::kBeamParked);
  }
}

void settle(World& world, Story& story) {
  SearchStory& search = *story.search;
  switch (search.turn) {
    case SearchTurn::kNone:
      return;
    case SearchTurn::kPark:
      park(world, story);
      break;
    case SearchTurn::kDeal:
      deal(world, story);
      break;
    case SearchTurn::kOver:
    case SearchTurn::kError:
      world.end_beams(story);
      if (story.alive > 0) {
        world.fault.report("ticket {}: the search is over, {} answers were not told", story.ticket,
                           story.alive);
      }
  }
  search.turn = SearchTurn::kNone;
}

}  // namespace

void expect_searches(World& world, std::span<const PlannedChoice> planned) {
  for (const PlannedChoice& one : planned) {
    Story& story = *world.stories.find(one.ticket);
    if (story.search) expect_part(world, story, one);
  }
  for (const PlannedChoice& one : planned) {
    Story& story = *world.stories.find(one.ticket);
    if (!story.search || story.search->turn != SearchTurn::kPark) continue;
    const SearchStory& search = *story.search;
    const bool all = std::ranges::all_of(
        search.order, [&search](int beam) { return search.ready[static_cast<std::size_t>(beam)]; });
    if (!all) continue;
    const auto answers = search.finished.size();
    advance_search(world.options(), story);
    world.seen.note(Situation::kSearch);
    world.seen.note_if(answers == story.choices.size(), Situation::kSearchAnswerDisplaced);
    note_turn(world, story);
  }
}

void take_search_event(World& world, const Event& event, Story& story) {
  SearchStory& search = *story.search;
  const auto index = static_cast<std::size_t>(event.choice);
  const Choice& first = story.choices[index];
  const ExpectedEnd outside = first.expected_end;
  const int cached = outside.set ? outside.cached_tokens : first.cached_tokens;
  if (!outside.set && event.choice < search.telling) {
    world.fault.report("ticket {}: answer {} after {}", story.ticket, event.choice, search.telling);
  }
  if (event.kind == EventKind::kToken) {
    search.telling = event.choice;
    take_token(world, event, story);
  } else if (event.is_end()) {
    take_end(world, event, story);
  } else {
    world.fault.report("ticket {}: prompt logprobs of a search", story.ticket);
  }
  const int stop = event.is_end() && event.reason == FinishReason::kStop ? 1 : 0;
  const Usage& usage = event.usage;
  if (usage.prompt_tokens != story.prompt || usage.completion_tokens != search.told[index] + stop ||
      usage.cached_tokens != cached) {
    world.fault.report("ticket {}.{}: usage {} + {} ({} cached)", story.ticket, event.choice,
                       usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens);
  }
}

void settle_searches(World& world, std::span<const PlannedChoice> planned) {
  for (const PlannedChoice& one : planned) {
    Story& story = *world.stories.find(one.ticket);
    if (!story.search || one.samples) continue;
    story.choices[static_cast<std::size_t>(one.choice)].computed = one.first + one.count;
  }
  // In this order their clients are charged.
  for (const bool samples : {true, false}) {
    for (const PlannedChoice& one : planned) {
      Story& story = *world.stories.find(one.ticket);
      if (story.search && one.samples == samples) settle(world, story);
    }
  }
}

}  // namespace vsurge::engine::sim
