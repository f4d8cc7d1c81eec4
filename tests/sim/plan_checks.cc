// What a plan must keep to.
#include <algorithm>
#include <tuple>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {
namespace {

struct Due {
  base::Nanoseconds time = 0;
  Story* story = nullptr;
  bool whole = false;  // the deadline of the request, not of its start
};

bool has_started(const Story& story) {
  return std::any_of(story.choices.begin(), story.choices.end(),
                     [](const Choice& choice) { return choice.started; });
}

// Of one plan.
class PlanCheck {
 public:
  PlanCheck(World& world, const StepPlan& plan)
      : world_(world), options_(world.options()), plan_(plan) {}

  void run() {
    count_decoders();
    take_preemptions();
    check_victims();
    for (const PlannedSequence& planned : plan_.sequences) {
      check_sequence(planned);
      if (world_.fault.found()) return;
    }
    check_sums();
    check_rows();
    check_left_out();
    check_time();
    check_admission();
    check_reserve();
  }

 private:
  void count_decoders();
  void take_preemptions();
  void check_victims();
  void check_sequence(const PlannedSequence& planned);
  void take_admission(Story& story, const PlannedSequence& planned);
  bool has_donor(const Story& story, const Choice& choice) const;
  void note_hit(Story& story, const Choice& choice, const PlannedSequence& planned);
  void check_part(const Story& story, const Choice& choice, const PlannedSequence& planned);
  void check_pages(const Choice& choice, const PlannedSequence& planned, int end);
  void check_sums();
  void check_rows();
  void check_left_out();
  void check_time();
  void check_admission();
  void check_reserve();
  std::int64_t keys(int first, int count) const;
  int rows_wanted(const Story& story, const Choice& choice, const PlannedSequence& planned) const;

  World& world_;
  const EngineOptions& options_;
  const StepPlan& plan_;
  StepLoad decoders_;  // before the plan
  int readers_before_ = 0;
  int readers_ = 0;        // parts of prompts in the plan
  int prompt_tokens_ = 0;  // in these
  std::int64_t prompt_keys_ = 0;
  int guesses_ = 0;
  int admitted_ = 0;
  int admitted_to_decode_ = 0;                   // with one token to compute
  std::vector<std::pair<Runner, int>> victims_;  // in order, and the pages they had
};

bool decodes(const Choice& choice) {
  return static_cast<int>(choice.tokens.size()) - choice.computed == 1;
}

void PlanCheck::count_decoders() {
  for (const Runner& runner : world_.running) {
    const Choice& choice = runner.state();
    if (!decodes(choice)) {
      ++readers_before_;
      continue;
    }
    ++decoders_.tokens;
    ++decoders_.rows;
    decoders_.decode_keys += keys(choice.computed, 1);
  }
}

// As many as the window lets them see, of a part that is all within it or all beyond.
std::int64_t PlanCheck::keys(int first, int count) const {
  std::int64_t sum = 0;
  for (int i = 1; i <= count; ++i) sum += first + i;
  if (options_.window > 0 && first + count > options_.window) {
    return std::int64_t{options_.window} * count;
  }
  return sum;
}

// Those that ran and do not any more, or were preempted once more, have given way.
void PlanCheck::take_preemptions() {
  const auto& now = SchedulerPeer::running(world_.scheduler);
  const std::vector<Runner> before = world_.running;
  for (const Runner& runner : before) {
    const auto found = std::find_if(now.begin(), now.end(), [&](const Sequence* s) {
      return s->group->ticket == runner.story->ticket && s->choice == runner.choice;
    });
    Choice& choice = runner.state();
    if (found != now.end() && (*found)->preemptions == choice.preemptions) continue;
    victims_.emplace_back(runner, choice.pages);
    world_.seen.note(decodes(choice) ? Situation::kPreemptedDecoding
                                     : Situation::kPreemptedReading);
    world_.leave(*runner.story, runner.choice);
    choice.state = State::kWaiting;
    choice.resumed = true;
    choice.computed = 0;
    ++choice.preemptions;
    ++world_.ledger.preemptions;
    world_.seen.note_if(choice.preemptions == Scheduler::kPreemptionsMax,
                        Situation::kPreemptedForTheLastTime);
    world_.seen.note_if(runner.story->spec->pooling.has_value(), Situation::kPooledPreempted);
    if (choice.preemptions > Scheduler::kPreemptionsMax) {
      world_.fault.report("ticket {} gave way {} times", runner.story->ticket, choice.preemptions);
    }
    world_.seen.note_if(runner.story->search.has_value(), Situation::kBeamPreempted);
    world_.queue.push(*runner.story, runner.choice, true);
  }
}

// The last in order give way, never the only one, and nobody without need.
void PlanCheck::check_victims() {
  if (victims_.empty()) return;
  for (const auto& [victim, pages] : victims_) {
    for (const Runner& other : world_.running) {
      if (other.goes_before(victim)) continue;
      if (other.state().preemptions >= Scheduler::kPreemptionsMax) continue;
      world_.fault.report("ticket {} gave way, though {} comes after it", victim.story->ticket,
                          other.story->ticket);
    }
  }
  if (world_.running.empty()) world_.fault.report("the only one gave way");
  const bool after_all =
      std::all_of(world_.running.begin(), world_.running.end(),
                  [&](const Runner& runner) { return runner.goes_before(victims_.front().first); });
  world_.seen.note_if(after_all, Situation::kPreemptedItself);
}

void PlanCheck::check_sequence(const PlannedSequence& planned) {
  Story* story = world_.stories.find(planned.ticket);
  if (story == nullptr || planned.choice < 0 ||
      planned.choice >= static_cast<int>(story->choices.size())) {
    return world_.fault.report("ticket {}.{} is planned, but unknown", planned.ticket,
                               planned.choice);
  }
  Choice& choice = story->choices[static_cast<std::size_t>(planned.choice)];
  if (choice.planned_step == plan_.step) {
    return world_.fault.report("ticket {}.{} is planned twice", planned.ticket, planned.choice);
  }
  if (planned.tokens.empty()) return world_.fault.report("ticket {}: no tokens", planned.ticket);
  if (choice.state == State::kWaiting) take_admission(*story, planned);
  if (choice.state != State::kRunning) {
    return world_.fault.report("ticket {}.{} is planned, but does not run", planned.ticket,
                               planned.choice);
  }
  if (planned.first != choice.computed) {
    return world_.fault.report("ticket {}.{} has computed {} tokens and goes on at {}",
                               planned.ticket, planned.choice, choice.computed, planned.first);
  }
  choice.planned_step = plan_.step;
  check_part(*story, choice, planned);
}

void PlanCheck::take_admission(Story& story, const PlannedSequence& planned) {
  const QueueModel::Entry* next = world_.queue.front();
  if (next->story != &story || next->choice != planned.choice) {
    return world_.fault.report("ticket {}.{} was admitted, but {}.{} comes first", planned.ticket,
                               planned.choice, next->story->ticket, next->choice);
  }
  world_.queue.pop_front();
  world_.start_running(story, planned.choice);
  ++admitted_;
  Choice& choice = story.choices[static_cast<std::size_t>(planned.choice)];
  choice.computed = planned.first;
  choice.admitted_step = plan_.step;
  choice.forked = false;
  note_hit(story, choice, planned);
  world_.seen.note_if(choice.preemptions == Scheduler::kPreemptionsMax,
                      Situation::kAdmittedForGood);
  if (choice.started) return world_.seen.note(Situation::kReadAgain);
  choice.started = true;
  world_.seen.note_if(story.queue_deadline != 0, Situation::kQueueDeadlineMet);
  world_.queue.charge(story.spec->client,
                      static_cast<double>(choice.tokens.size()) - planned.first);
  if (planned.choice > 0) return;
  ++world_.ledger.started;
  choice.cached_tokens = planned.first;
  if (!story.caches) return;
  world_.ledger.prefix_queries += static_cast<std::uint64_t>(story.prompt);
  world_.ledger.prefix_hits += static_cast<std::uint64_t>(planned.first);
}

// Another beam runs that had all but the last of its tokens before this step.
bool PlanCheck::has_donor(const Story& story, const Choice& choice) const {
  const auto shared = static_cast<std::ptrdiff_t>(choice.tokens.size()) - 1;
  return shared > 0 && std::ranges::any_of(story.choices, [&](const Choice& other) {
           return &other != &choice && other.state == State::kRunning &&
                  other.admitted_step != plan_.step && other.computed >= shared &&
                  std::equal(choice.tokens.begin(), choice.tokens.begin() + shared,
                             other.tokens.begin());
         });
}

// What it need not compute came from the cache, or from a sibling.
void PlanCheck::note_hit(Story& story, const Choice& choice, const PlannedSequence& planned) {
  Seen& seen = world_.seen;
  const int known = static_cast<int>(choice.tokens.size());
  const bool of_beam = story.search && has_donor(story, choice);
  const bool forked =
      story.search ? of_beam : planned.choice > 0 && planned.first == story.prompt - 1;
  if (of_beam && planned.first != known - 1) {
    world_.fault.report("ticket {}.{} computes from {} on what another beam has", story.ticket,
                        planned.choice, planned.first);
  }
  const bool copied =
      std::any_of(plan_.copies.begin(), plan_.copies.end(), [&](const PageCopy& copy) {
        return copy.to == planned.pages[static_cast<std::size_t>(planned.first) /
                                        static_cast<std::size_t>(options_.page_size)];
      });
  seen.note_if(copied, Situation::kForkWithCopy);
  seen.note_if(forked && !copied, Situation::kForkWithoutCopy);
  seen.note_if(planned.choice > 0 && !forked && !story.search && story.prompt > 1,
               Situation::kForkWithoutDonor);
  seen.note_if(of_beam, Situation::kBeamForked);
  seen.note_if(story.search && known > story.prompt && !of_beam, Situation::kBeamComputedAgain);
  if (planned.first == 0) return;
  if (planned.first >= known) world_.fault.report("ticket {} has nothing to compute", story.ticket);
  const bool of_sibling =
      story.search ? of_beam : planned.first == story.prompt - 1 && story.choices.size() > 1;
  if (of_sibling && (copied || forked)) return;
  const bool needs_all = story.spec->pooling && story.spec->pooling->states != PooledStates::kLast;
  seen.note_if(story.spec->pooling.has_value(), Situation::kPooledHit);
  if (!story.caches || choice.scored < story.prompt || needs_all) {
    world_.fault.report("ticket {} found {} tokens, but must not look", story.ticket,
                        planned.first);
  }
  if ((planned.first % options_.page_size != 0) != copied) {
    world_.fault.report("ticket {} found {} tokens, no full pages, and {} page is copied",
                        story.ticket, planned.first, copied ? "a" : "no");
  }
  seen.note_if(copied, Situation::kPrefixHitOfPart);
  seen.note(choice.started ? Situation::kPrefixHitAfterPreemption : Situation::kPrefixHit);
  seen.note_if(planned.first + options_.page_size >= known, Situation::kPrefixHitAllButTheEnd);
  seen.note_if(planned.pages[0] < 0, Situation::kPrefixHitBelowWindow);
  seen.note_if(story.spec->continues >= 0 && planned.first > story.spec->branch_at,
               Situation::kPrefixHitOfAnswer);
  if (planned.first < options_.page_size) return;
  const std::int32_t page =
      planned.pages[static_cast<std::size_t>(planned.first / options_.page_size) - 1];
  if (page < 0) return;
  const bool alone = world_.scheduler.pool().holders(page) == 1;
  seen.note(alone ? Situation::kPrefixHitOfIdlePage : Situation::kPrefixHitOfHeldPage);
}

void PlanCheck::check_part(const Story& story, const Choice& choice,
                           const PlannedSequence& planned) {
  Fault& fault = world_.fault;
  const int count = static_cast<int>(planned.tokens.size());
  const int end = planned.first + count;
  const int known = static_cast<int>(choice.tokens.size());
  const int guesses = std::max(0, end - known);
  const int most = story.spec->sampling.speculative_tokens;
  guesses_ += guesses;
  world_.ledger.guessed += static_cast<std::uint64_t>(guesses);
  if (guesses > 0 && (guesses > most || story.edited || known - planned.first != 1)) {
    fault.report("ticket {} guesses {} tokens of {}", story.ticket, guesses, most);
  }
  if (end >= story.prompt + story.answer_max) {
    fault.report("ticket {} computes up to {} of {} tokens", story.ticket, end,
                 story.prompt + story.answer_max);
  }
  const bool pools = story.spec->pooling.has_value();
  if ((planned.pooled != nullptr) != pools) {
    fault.report("ticket {} is pooled, or should be", story.ticket);
  }
  if (planned.samples != (end >= known && !pools)) {
    fault.report("ticket {} samples at {} of {}", story.ticket, end, known);
  }
  if ((planned.constraint != nullptr) != (planned.samples && story.spec->constrained)) {
    fault.report("ticket {}: the constraint is missing, or not its own", story.ticket);
  }
  if (known - planned.first == 1 && choice.admitted_step == plan_.step) ++admitted_to_decode_;
  if (known - planned.first > 1) {
    ++readers_;
    prompt_tokens_ += count;
    prompt_keys_ += keys(planned.first, count);
    world_.seen.note_if(end < known, Situation::kChunk);
    world_.seen.note_if(count == options_.prefill_chunk_max, Situation::kChunkMax);
    world_.seen.note_if(choice.scored > 1 && choice.scored < story.prompt,
                        Situation::kPromptLogprobsInParts);
    if (options_.prefill_chunk_max > 0 && count > options_.prefill_chunk_max) {
      fault.report("ticket {} reads {} tokens at once", story.ticket, count);
    }
  }
  if (planned.rows != rows_wanted(story, choice, planned)) {
    fault.report("ticket {} has {} rows, expected {}", story.ticket, planned.rows,
                 rows_wanted(story, choice, planned));
  }
  world_.seen.note_if(
      guesses > 0 && (end - 1) / options_.page_size > (known - 1) / options_.page_size,
      Situation::kGuessAcrossPages);
  check_pages(choice, planned, end);
}

int PlanCheck::rows_wanted(const Story& story, const Choice& choice,
                           const PlannedSequence& planned) const {
  const int end = planned.first + static_cast<int>(planned.tokens.size());
  const int known = static_cast<int>(choice.tokens.size());
  if (choice.scored < story.prompt) {
    return std::max(0, end - std::max(planned.first, choice.scored - 1));
  }
  if (story.spec->pooling) {
    return end == known && !story.spec->pooling->logits_of.empty() ? 1 : 0;
  }
  return end >= known ? end - known + 1 : 0;
}

void PlanCheck::check_pages(const Choice& choice, const PlannedSequence& planned, int end) {
  if (static_cast<int>(planned.pages.size()) != world_.pages_for(end)) {
    return world_.fault.report("ticket {} has {} pages for {} tokens", planned.ticket,
                               planned.pages.size(), end);
  }
  const int gone = world_.pages_gone(planned.first);
  for (std::size_t i = 0; i < planned.pages.size(); ++i) {
    const bool may_be_gone = static_cast<int>(i) < gone;
    const bool must_be_gone = may_be_gone && choice.admitted_step != plan_.step;
    if (planned.pages[i] < 0 ? !may_be_gone : must_be_gone) {
      world_.fault.report("ticket {}: page {} of {} is {}", planned.ticket, i, planned.pages.size(),
                          planned.pages[i]);
    }
  }
  world_.seen.note_if(gone > 0, Situation::kWindowLeft);
}

void PlanCheck::check_sums() {
  Fault& fault = world_.fault;
  StepLoad load;
  for (const PlannedSequence& planned : plan_.sequences) {
    const int count = static_cast<int>(planned.tokens.size());
    load.tokens += count;
    load.rows += planned.rows;
    (count == 1 ? load.decode_keys : load.prompt_keys) += keys(planned.first, count);
  }
  const StepLoad& said = plan_.load;
  if (load.tokens != said.tokens || load.rows != said.rows ||
      load.decode_keys != said.decode_keys || load.prompt_keys != said.prompt_keys) {
    fault.report("{} tokens, {} rows, {} + {} keys, and {}, {}, {} + {} said", load.tokens,
                 load.rows, load.decode_keys, load.prompt_keys, said.tokens, said.rows,
                 said.decode_keys, said.prompt_keys);
  }
  if (load.tokens > options_.max_batched_tokens) fault.report("{} tokens in a step", load.tokens);
  if (static_cast<int>(plan_.sequences.size()) > running_max(options_) ||
      static_cast<int>(world_.running.size()) > running_max(options_)) {
    fault.report("{} sequences run", world_.running.size());
  }
  if (readers_ > options_.max_concurrent_prefill) {
    fault.report("{} prompts are read at once", readers_);
  }
  if (plan_.step != world_.plan_step + (plan_.empty() ? 0 : 1)) {
    fault.report("step {} after {}", plan_.step, world_.plan_step);
  }
  world_.plan_step = plan_.step;
  world_.seen.note_if(readers_ > 1, Situation::kSeveralPromptsInAStep);
  world_.seen.note_if(load.tokens == options_.max_batched_tokens, Situation::kStepOutOfTokens);
}

void PlanCheck::check_rows() {
  int rows = 0;
  for (const PlannedSequence& planned : plan_.sequences) {
    if (planned.first_row != rows) {
      world_.fault.report("ticket {}: its rows begin at {}, not {}", planned.ticket,
                          planned.first_row, rows);
    }
    rows += planned.rows;
  }
  if (rows != static_cast<int>(plan_.rows.size()) || rows > logit_rows_max(options_)) {
    world_.fault.report("{} rows of logits, {} planned, at most {}", rows, plan_.rows.size(),
                        logit_rows_max(options_));
  }
}

// Whoever decodes goes on in every step, and so does the first that reads.
void PlanCheck::check_left_out() {
  world_.seen.note_if(!world_.alive.empty() && !world_.has_work(), Situation::kAllSuspended);
  if (plan_.empty() == world_.has_work()) {
    return world_.fault.report("{} requests, and a step of {} sequences", world_.alive.size(),
                               plan_.sequences.size());
  }
  bool first_reader = true;
  for (const Runner& runner : world_.running) {
    const Choice& choice = runner.state();
    const bool planned = choice.planned_step == plan_.step;
    if (!planned && (decodes(choice) || first_reader)) {
      world_.fault.report("ticket {}.{} does not go on at {} of {}", runner.story->ticket,
                          runner.choice, choice.computed, choice.tokens.size());
    }
    if (!decodes(choice)) first_reader = false;
  }
}

// With others that decode, prompts get no more than fits the time, but for the least chunk.
void PlanCheck::check_time() {
  if (decoders_.tokens == 0 || !world_.cost.known() || guesses_ > 0 || !victims_.empty()) return;
  if (admitted_to_decode_ > 0) return;
  const double most = options_.target_step > 0
                          ? static_cast<double>(options_.target_step)
                          : options_.step_stretch * world_.cost.predict_ns(decoders_);
  StepLoad load = decoders_;
  load.tokens += prompt_tokens_;
  load.prompt_keys += prompt_keys_;
  const double time = world_.cost.predict_ns(load);
  if (prompt_tokens_ > Scheduler::kChunkMin && time > most * (1 + 1e-9)) {
    world_.fault.report("a step of {} ns with {} prompt tokens, at most {}", time, prompt_tokens_,
                        most);
  }
  ++load.tokens;
  const bool no_more = world_.cost.predict_ns(load) > most;
  world_.seen.note_if(prompt_tokens_ > 0 && no_more, Situation::kChunkBoundInTime);
}

// Nobody waits for what is there.
void PlanCheck::check_admission() {
  const QueueModel::Entry* next = world_.queue.front();
  const PagePool& pool = world_.scheduler.pool();
  world_.seen.note_if(pool.available() == 0, Situation::kPoolFull);
  if (next == nullptr) return;
  const WaitReason reason = world_.scheduler.metrics().waiting_for;
  world_.seen.note_if(reason == WaitReason::kSequences, Situation::kWaitsForSequences);
  world_.seen.note_if(reason == WaitReason::kPrompts, Situation::kWaitsForPrompts);
  world_.seen.note_if(reason == WaitReason::kPages, Situation::kWaitsForPages);
  const Story& story = *next->story;
  const int running = static_cast<int>(world_.running.size());
  const int reading = readers_before_ + admitted_;
  const bool time_is_bound = decoders_.tokens > 0 && world_.cost.known();
  const bool scores = next->state().scored < story.prompt;
  if (running >= running_max(options_) || reading >= options_.max_concurrent_prefill ||
      plan_.load.tokens >= options_.max_batched_tokens || time_is_bound || scores) {
    return;
  }
  const int wanted = world_.pages_for(story.prompt + story.answer_max) + running;
  if (!victims_.empty() || guesses_ > 0 || pool.available() < wanted) return;
  world_.fault.report("ticket {}.{} waits, though there is room", story.ticket, next->choice);
}

// An admission leaves what those that run can ask for in the next step.
void PlanCheck::check_reserve() {
  if (admitted_ == 0 && victims_.empty()) return;
  int soon = 0;
  for (const PlannedSequence& planned : plan_.sequences) {
    if (!planned.samples) continue;
    const Story& story = *world_.stories.find(planned.ticket);
    const int end = planned.first + static_cast<int>(planned.tokens.size());
    if (end + 1 >= story.prompt + story.answer_max) continue;
    for (const Sequence* s : SchedulerPeer::running(world_.scheduler)) {
      if (s->group->ticket != planned.ticket || s->choice != planned.choice) continue;
      soon += world_.pages_for(end + 1) > static_cast<int>(s->pages.size()) ? 1 : 0;
    }
  }
  const int available = world_.scheduler.pool().available();
  if (admitted_ > 0 && available < soon) {
    world_.fault.report("{} pages are left, the next step can ask for {}", available, soon);
  }
  // The last one that gave way was needed: there was no page left but those it gave.
  if (victims_.empty() || admitted_ > 0) return;
  if (available > victims_.front().second) {
    world_.fault.report("ticket {} gave way, though there were pages",
                        victims_.front().first.story->ticket);
  }
}

}  // namespace

void expect_expiry(World& world) {
  std::vector<Due> due;
  for (Story* story : world.alive) {
    if (story->queue_deadline != 0 && story->queue_deadline <= world.now) {
      due.push_back({story->queue_deadline, story, false});
    }
    if (story->deadline != 0 && story->deadline <= world.now) {
      due.push_back({story->deadline, story, true});
    }
  }
  std::sort(due.begin(), due.end(), [](const Due& a, const Due& b) {
    return std::tuple(a.time, a.story->ticket, a.whole) <
           std::tuple(b.time, b.story->ticket, b.whole);
  });
  for (const Due& one : due) {
    Story& story = *one.story;
    if (!one.whole) story.queue_deadline = 0;  // it has been looked at
    if (story.alive == 0 || (!one.whole && has_started(story))) continue;
    const bool ran = has_started(story);
    if (one.whole) {
      world.seen.note(ran ? Situation::kDeadlineRunning : Situation::kDeadlineWaiting);
    } else {
      world.seen.note(Situation::kQueueDeadline);
    }
    const auto code =
        one.whole ? base::ErrorCode::kDeadlineExceeded : base::ErrorCode::kQueueTimeout;
    world.end_outside(story, FinishReason::kError, code);
    world.give_back(story);
  }
}

bool check_plan(World& world, const StepPlan& plan) {
  PlanCheck(world, plan).run();
  return !world.fault.found();
}

}  // namespace vsurge::engine::sim
