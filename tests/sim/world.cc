#include "tests/sim/world.h"

#include <algorithm>

namespace vsurge::engine::sim {

World::World(const Scenario& s)
    : scenario(s),
      model(s, seen),
      oracle(s, model, stories, fault),
      queue(s.options, seen),
      scheduler(s.options),
      cost(s.options.cost) {
  oracle.watch(scheduler.pool(), scheduler.prefix_cache());
}

int World::pages_gone(int position) const {
  const int window = options().window;
  if (window == 0) return 0;
  // The query at `position` sees keys from position - window + 1 on.
  const int first_seen = position - window + 1;
  return first_seen <= 0 ? 0 : first_seen / options().page_size;
}

void World::leave(Story& story, int choice) {
  Choice& state = story.choices[static_cast<std::size_t>(choice)];
  switch (state.state) {
    case State::kWaiting:
      queue.erase(story, choice);
      break;
    case State::kRunning:
      std::erase_if(running, [&](const Runner& runner) {
        return runner.story == &story && runner.choice == choice;
      });
      break;
    case State::kHeld:
      --held;
      break;
    case State::kSuspended:
      seen.note(Situation::kSuspendedEnds);
      --suspended;
      break;
    case State::kParked:
      break;
    case State::kEnded:
      fault.report("ticket {}.{} ends twice", story.ticket, choice);
      break;
  }
  state.pages = 0;
}

void World::end_beams(Story& story) {
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    if (story.choices[i].state == State::kEnded) continue;
    leave(story, static_cast<int>(i));
    story.choices[i].state = State::kEnded;
  }
}

void World::end_outside(Story& story, FinishReason reason, base::ErrorCode code) {
  for (int i = 0; i < story.answers(); ++i) {
    if (!story.has_ended(i)) end_outside(story, i, reason, code);
  }
}

void World::end_outside(Story& story, int choice, FinishReason reason, base::ErrorCode code) {
  Choice& state = story.choices[static_cast<std::size_t>(choice)];
  if (story.search) {
    story.search->ended[static_cast<std::size_t>(choice)] = true;
    if (story.alive == 1) end_beams(story);
  } else {
    leave(story, choice);
    state.state = State::kEnded;
  }
  state.expected_end = {true, reason, code, state.cached_tokens};
  ++pending_ends;
  --story.alive;
  count_end(reason);
}

void World::count_end(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      ++ledger.stopped;
      [[fallthrough]];
    case FinishReason::kLength:
      ++ledger.finished;
      break;
    case FinishReason::kCancelled:
      ++ledger.cancelled;
      break;
    case FinishReason::kError:
      ++ledger.failed;
      break;
  }
}

// The choices that waited for the first to read the prompt.
void World::release_held(Story& story) {
  if (!story.held) return;
  const Choice& first = story.choices.front();
  const bool ended = first.state == State::kEnded;
  if (!ended && first.computed < story.prompt - 1) return;
  story.held = false;
  for (std::size_t i = 1; i < story.choices.size(); ++i) {
    Choice& choice = story.choices[i];
    if (choice.state != State::kHeld) continue;
    seen.note_if(ended, Situation::kChoicesReleasedByEnd);
    --held;
    if (story.suspended) {
      seen.note(Situation::kChoicesReleasedSuspended);
      choice.state = State::kSuspended;
      ++suspended;
      continue;
    }
    choice.state = State::kWaiting;
    choice.resumed = first.started;
    queue.push(story, static_cast<int>(i), first.started);
  }
}

void World::suspend(Story& story) {
  if (story.alive == 0 || story.suspended) return;
  seen.note_if(story.search.has_value(), Situation::kSuspendSearch);
  if (story.search) return;
  story.suspended = true;
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    Choice& choice = story.choices[i];
    const bool reads = static_cast<int>(choice.tokens.size()) - choice.computed > 1;
    seen.note_if(choice.state == State::kHeld, Situation::kSuspendHeld);
    if (choice.state == State::kWaiting) {
      seen.note(Situation::kSuspendWaiting);
    } else if (choice.state == State::kRunning) {
      seen.note(reads ? Situation::kSuspendReading : Situation::kSuspendDecoding);
    } else {
      continue;
    }
    leave(story, static_cast<int>(i));
    choice.state = State::kSuspended;
    choice.computed = 0;
    ++suspended;
  }
}

void World::resume(Story& story) {
  if (story.alive == 0 || !story.suspended) return;
  story.suspended = false;
  const bool started =
      std::ranges::any_of(story.choices, [](const Choice& choice) { return choice.started; });
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    Choice& choice = story.choices[i];
    if (choice.state != State::kSuspended) continue;
    seen.note(Situation::kResumed);
    --suspended;
    choice.state = State::kWaiting;
    choice.resumed = started;
    queue.push(story, static_cast<int>(i), started);
  }
}

bool World::has_work() const {
  return std::ranges::any_of(alive, [](const Story* story) { return !story->suspended; });
}

void World::give_back(Story& story) {
  story.given_back = true;
  queue.give_back(story.spec->client);
  std::erase(alive, &story);
}

void World::start_running(Story& story, int choice) {
  const Runner runner{&story, choice};
  running.insert(
      std::upper_bound(running.begin(), running.end(), runner,
                       [](const Runner& a, const Runner& b) { return a.goes_before(b); }),
      runner);
  story.choices[static_cast<std::size_t>(choice)].state = State::kRunning;
}

}  // namespace vsurge::engine::sim
