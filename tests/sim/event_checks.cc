// What comes back must be what each request becomes alone, once, in order.
#include <algorithm>
#include <array>
#include <bit>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {
namespace {

constexpr auto number_of = [](auto value) { return static_cast<std::uint64_t>(value); };

// Of one event.
class EventCheck {
 public:
  EventCheck(World& world, const Event& event, Story& story, Choice& choice)
      : world_(world), event_(event), story_(story), choice_(choice) {}

  void run() {
    switch (event_.kind) {
      case EventKind::kPromptLogprobs:
        take_prompt_logprobs();
        break;
      case EventKind::kToken:
        take_token();
        break;
      case EventKind::kEnd:
        take_end();
        break;
    }
    check_usage();
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    world_.fault.report("ticket {}.{}: {}", event_.ticket, event_.choice,
                        fmt::format(format, std::forward<Args>(args)...));
  }

  void take_prompt_logprobs();
  void take_token();
  void take_end();
  void take_own_end();
  void take_pooled_end();
  bool failed_with(base::ErrorCode code) const;
  bool is_expected_error(const Outcome& next) const;
  void note_end(const Outcome& next);
  void note_fault(int position);
  void check_usage();
  void check_logprobs(Chain chain, TokenId token, std::optional<Alternatives> wanted);
  int answer() const { return static_cast<int>(choice_.tokens.size()) - story_.prompt; }

  World& world_;
  const Event& event_;
  Story& story_;
  Choice& choice_;
};

void EventCheck::check_logprobs(Chain chain, TokenId token, std::optional<Alternatives> wanted) {
  if (!wanted) {
    if (event_.logprobs) report("logprobs that nobody asked for");
    return;
  }
  if (!event_.logprobs) return report("no logprobs");
  std::array<kernels::TopLogprob, kRowAlternativesMax> top;
  const kernels::SampleResult right =
      Model::scores(chain, token, *wanted, world_.options().vocabulary, top.data());
  const Logprobs& got = *event_.logprobs;
  const bool same =
      got.logprob == right.logprob && got.rank == right.rank &&
      static_cast<int>(got.top.size()) == right.top_count &&
      std::equal(got.top.begin(), got.top.end(), right.top, [](const auto& a, const auto& b) {
        return a.token == b.token && a.logprob == b.logprob;
      });
  if (!same) report("logprobs of another token or place");
}

void EventCheck::take_prompt_logprobs() {
  const auto& wanted = story_.spec->sampling.prompt_logprobs;
  const auto place = static_cast<std::size_t>(choice_.scored);
  if (choice_.state != State::kRunning || choice_.scored >= story_.prompt || answer() > 0) {
    return report("prompt logprobs out of order");
  }
  if (event_.token != choice_.tokens[place]) report("logprobs of the prompt leave out one");
  check_logprobs(choice_.chain[place - 1], event_.token,
                 wanted ? std::optional(Alternatives{*wanted}) : std::nullopt);
  ++choice_.scored;
  world_.seen.note(Situation::kPromptLogprobs);
}

void EventCheck::take_token() {
  if (choice_.state != State::kRunning || choice_.sampled_rows == 0) {
    return report("a token, though nothing was sampled");
  }
  if (choice_.scored < story_.prompt) report("a token before the logprobs of the prompt");
  const Outcome next = world_.model.next(story_, choice_);
  if (next.kind != Outcome::Kind::kToken || next.token != event_.token) {
    return report("token {} at {}, alone it is {}{}", event_.token, choice_.tokens.size(),
                  next.kind == Outcome::Kind::kToken ? "" : "its end with ", next.token);
  }
  if (answer() >= story_.answer_max) report("more than {} tokens", story_.answer_max);
  check_logprobs(choice_.chain.back(), event_.token, alternatives_of(story_.spec->sampling));
  world_.seen.note_if(event_.logprobs != nullptr, Situation::kLogprobs);
  if (answer() == 0 && event_.choice == 0) {
    ++world_.ledger.first_tokens;
    world_.ledger.first_token_ns += world_.now - story_.arrival;
  }
  world_.model.accept(story_, choice_, event_.token);
  ++choice_.new_tokens;
  ++world_.ledger.generation_tokens;
  world_.queue.charge(story_.spec->client, 2);
}

bool EventCheck::failed_with(base::ErrorCode code) const {
  return event_.reason == FinishReason::kError && event_.error && event_.error->code == code;
}

void EventCheck::take_end() {
  if (choice_.expected_end.set) {
    const ExpectedEnd& end = choice_.expected_end;
    if (end.reason != event_.reason ||
        (end.reason == FinishReason::kError && !failed_with(end.code))) {
      report("ended with {} ({}), expected {}", number_of(event_.reason),
             event_.error ? event_.error->message : "", number_of(end.reason));
    }
    choice_.expected_end.set = false;
    --world_.pending_ends;
  } else {
    if (choice_.state == State::kEnded) return report("a second end");
    take_own_end();
    world_.leave(story_, event_.choice);
    choice_.state = State::kEnded;
    --story_.alive;
    world_.count_end(event_.reason);
  }
  ++story_.ends;
  const bool last = story_.ends == static_cast<int>(story_.choices.size());
  if (event_.is_last != last)
    report("end {} of {} says is_last {}", story_.ends, story_.choices.size(), event_.is_last);
}

void EventCheck::take_own_end() {
  if (choice_.planned_step != world_.ledger.steps) return report("ended out of the blue");
  if (story_.spec->pooling) return take_pooled_end();
  if (event_.pooled) report("a vector that nobody asked for");
  const bool full = answer() == story_.answer_max;
  if (event_.reason == FinishReason::kLength) {
    if (!full) report("ended after {} tokens of {}", answer(), story_.answer_max);
    const bool context = story_.prompt + answer() == sequence_tokens_max(world_.options());
    world_.seen.note(Situation::kEndByLength);
    world_.seen.note_if(context, Situation::kFullContext);
    world_.seen.note_if(answer() == 1, Situation::kAnswerOfOneToken);
    return;
  }
  if (full) report("went on after {} tokens", answer());
  const Outcome next = world_.model.next(story_, choice_);
  if (event_.reason == FinishReason::kStop) {
    if (next.kind != Outcome::Kind::kStop || next.token != event_.stop_token) {
      report("stopped by {} at {}", event_.stop_token, choice_.tokens.size());
    }
    return note_end(next);
  }
  if (event_.reason != FinishReason::kError || !is_expected_error(next)) {
    report("ended with {} at {}: {}", number_of(event_.reason), choice_.tokens.size(),
           event_.error ? event_.error->message : "");
  }
  note_end(next);
}

void EventCheck::take_pooled_end() {
  Seen& seen = world_.seen;
  const RequestSpec& spec = *story_.spec;
  const bool not_finite =
      spec.fault == FaultKind::kNotFinite && Model::is_pooled(story_, spec.fault_at);
  if (choice_.injected || not_finite) {
    const auto code = choice_.injected ? kStatusFault : base::ErrorCode::kNumericalError;
    if (!failed_with(code)) report("no error, though it failed");
    return seen.note(choice_.injected ? Situation::kChunkStatus : Situation::kPooledNotFinite);
  }
  if (event_.reason != FinishReason::kStop || !event_.pooled) return report("no vector");
  if (*event_.pooled != Model::pooled(story_, choice_)) report("another vector than alone");
  seen.note(spec.pooling->logits_of.empty() ? Situation::kPooled : Situation::kPooledLogits);
  seen.note_if(story_.prompt == sequence_tokens_max(world_.options()),
               Situation::kPooledFullContext);
}

bool EventCheck::is_expected_error(const Outcome& next) const {
  if (choice_.injected) return failed_with(kStatusFault);
  if (choice_.sampled_rows > 0 && story_.spec->constrained &&
      ChainConstraint::mask_fails(choice_.mask)) {
    return failed_with(kConstraintFault);
  }
  if (choice_.scored < story_.prompt) {  // the row of a token of the prompt
    for (const FaultKind kind : {FaultKind::kNotFinite, FaultKind::kNothingAllowed}) {
      if (!Model::fails_at(story_, event_.choice, choice_.scored, kind)) continue;
      world_.seen.note(Situation::kFaultInPromptRow);
      return failed_with(Model::code_of(kind));
    }
    return false;
  }
  return next.kind == Outcome::Kind::kError && failed_with(next.code) && choice_.sampled_rows > 0;
}

void EventCheck::note_end(const Outcome& next) {
  Seen& seen = world_.seen;
  if (next.kind == Outcome::Kind::kStop) {
    const auto& eos = world_.options().eos_tokens;
    const bool by_eos = std::find(eos.begin(), eos.end(), next.token) != eos.end();
    seen.note(by_eos ? Situation::kEndByEos : Situation::kEndByStopId);
    return;
  }
  switch (story_.spec->fault) {
    case FaultKind::kNotFinite:
      return seen.note(Situation::kNotFinite);
    case FaultKind::kNothingAllowed:
      return seen.note(Situation::kNothingAllowed);
    case FaultKind::kBadToken:
      return seen.note(Situation::kBadToken);
    case FaultKind::kRowStatus:
      return seen.note(Situation::kRowStatus);
    case FaultKind::kChunkStatus:
      return seen.note(Situation::kChunkStatus);
    case FaultKind::kNone:
      return;
  }
}

void EventCheck::check_usage() {
  const Usage& usage = event_.usage;
  const bool stopped = event_.is_end() && event_.reason == FinishReason::kStop;
  const int stop = stopped && !story_.spec->pooling ? 1 : 0;
  if (usage.prompt_tokens != story_.prompt || usage.completion_tokens != answer() + stop ||
      usage.cached_tokens != choice_.cached_tokens) {
    report("usage {} + {} ({} cached), expected {} + {} ({} cached)", usage.prompt_tokens,
           usage.completion_tokens, usage.cached_tokens, story_.prompt, answer() + stop,
           choice_.cached_tokens);
  }
}

// What a step adds to the counters of prompts and guesses.
void count_step(World& world, const Story& story, const PlannedChoice& planned,
                const Choice& choice) {
  const bool ended = choice.state == State::kEnded;
  if (planned.samples && planned.ok && planned.known == story.prompt && planned.choice == 0 &&
      choice.scored == story.prompt) {
    world.ledger.prompt_tokens += static_cast<std::uint64_t>(story.prompt);
  }
  if (story.spec->pooling && planned.ok && planned.first + planned.count == story.prompt) {
    world.ledger.prompt_tokens += static_cast<std::uint64_t>(story.prompt);
    if (!ended) world.fault.report("ticket {} has all its states, and goes on", story.ticket);
  }
  const int guesses = planned.first + planned.count - planned.known;
  if (guesses <= 0) return;
  // The token that ends an answer for its length is not counted as a guess come true.
  const bool full = static_cast<int>(choice.tokens.size()) == story.prompt + story.answer_max;
  const int taken = std::max(0, choice.new_tokens - (ended && !full ? 0 : 1));
  world.ledger.accepted += static_cast<std::uint64_t>(taken);
  world.seen.note_if(taken == guesses, Situation::kGuessesAllTaken);
  world.seen.note_if(taken > 0 && taken < guesses && !ended, Situation::kGuessesPartlyTaken);
  world.seen.note_if(taken == 0 && !ended, Situation::kGuessesRefused);
  world.seen.note_if(ended && choice.new_tokens > 0, Situation::kEndWithinGuesses);
}

void hash(std::uint64_t& trace, const Event& event) {
  trace = mix(trace, event.ticket << 8 | number_of(event.choice));
  trace = mix(trace, number_of(event.kind) << 48 | number_of(event.reason) << 40 |
                         number_of(event.is_last) << 36 | static_cast<std::uint32_t>(event.token));
  trace = mix(
      trace, number_of(event.usage.cached_tokens) << 32 | number_of(event.usage.completion_tokens));
}

}  // namespace

void take_events(World& world, std::span<const Event> events) {
  for (const Event& event : events) {
    Story* story = world.stories.find(event.ticket);
    if (story == nullptr || event.choice < 0 || event.choice >= story->answers()) {
      return world.fault.report("an event of ticket {}.{}", event.ticket, event.choice);
    }
    hash(world.trace, event);
    if (story->search) {
      take_search_event(world, event, *story);
      if (world.fault.found()) return;
      continue;
    }
    Choice& choice = story->choices[static_cast<std::size_t>(event.choice)];
    EventCheck(world, event, *story, choice).run();
    if (world.fault.found()) return;
  }
  if (world.pending_ends != 0) world.fault.report("{} ends did not come", world.pending_ends);
}

void settle_step(World& world, std::span<const PlannedChoice> planned) {
  int ends = 0;
  for (const PlannedChoice& one : planned) {
    Story& story = *world.stories.find(one.ticket);
    Choice& choice = story.choices[static_cast<std::size_t>(one.choice)];
    if (story.search) {
      count_step(world, story, one, choice);
      continue;
    }
    const bool ended = choice.state == State::kEnded;
    ends += ended ? 1 : 0;
    if (one.samples && !ended && choice.new_tokens == 0) {
      world.fault.report("ticket {}.{} sampled, and nothing came of it", one.ticket, one.choice);
    }
    const int known = static_cast<int>(choice.tokens.size());
    choice.computed = one.samples ? known - 1 : one.first + one.count;
    count_step(world, story, one, choice);
    choice.new_tokens = 0;
    choice.sampled_rows = 0;
    if (one.choice == 0) world.release_held(story);
  }
  settle_searches(world, planned);
  world.seen.note_if(ends > 1, Situation::kTwoEndsInAStep);
  for (const PlannedChoice& one : planned) {
    Story& story = *world.stories.find(one.ticket);
    if (story.alive > 0 || story.given_back) continue;
    world.give_back(story);
  }
}

}  // namespace vsurge::engine::sim
