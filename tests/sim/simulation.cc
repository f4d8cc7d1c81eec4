#include "tests/sim/simulation.h"

#include <algorithm>

namespace vsurge::engine::sim {

Simulation::Simulation(const Scenario& scenario)
    : scenario_(scenario),
      world_(scenario),
      idle_(scenario.options.pages),
      random_(mix(scenario.seed, 77)),
      tickets_(scenario.requests.size(), 0) {}

std::string Simulation::run() {
  int left = -1;  // steps that may still come, once nothing happens from outside any more
  for (int tick = 0; !world_.fault.found(); ++tick) {
    bool aborts = false;
    for (; next_op_ < scenario_.ops.size() && scenario_.ops[next_op_].tick <= tick; ++next_op_) {
      const Op& op = scenario_.ops[next_op_];
      aborts |= op.kind == OpKind::kAbortInPlan;
      apply(op);
      check_idle();
      if (scenario_.audit_every == 1) audit(world_);
    }
    if (world_.fault.found()) break;
    const bool quiet = next_op_ == scenario_.ops.size();
    if (world_.alive.empty()) {
      flush();
      if (quiet) break;
      tick = std::max(tick, scenario_.ops[next_op_].tick - 1);
      continue;
    }
    // Every step computes something, and nothing is computed more often than it gave way.
    if (quiet && left < 0) {
      for (Story* story : world_.alive) resume(*story);
      left = work_left();
    }
    if (quiet && left-- == 0) world_.fault.report("no end in sight");
    step(aborts);
  }
  if (!world_.fault.found()) {
    audit(world_);
    if (!world_.scheduler.idle() || world_.scheduler.pool().used() != 0) {
      world_.fault.report("something is left at the end");
    }
    clear_cache();
    audit(world_);
    if (world_.scheduler.pool().free() != scenario_.options.pages) {
      world_.fault.report("pages are left at the end");
    }
  }
  return world_.fault.text();
}

int Simulation::work_left() const {
  int tokens = 8;
  for (const Story* story : world_.alive) {
    const int all = story->prompt + story->answer_max;
    tokens += story->alive * (Scheduler::kPreemptionsMax + 1) * all;
    // Each beam may have to be computed again for each token.
    if (story->search) tokens += static_cast<int>(story->choices.size()) * all * story->answer_max;
  }
  return tokens;
}

Story* Simulation::story_of(int request) {
  if (request < 0 || static_cast<std::size_t>(request) >= tickets_.size()) return nullptr;
  return world_.stories.find(tickets_[static_cast<std::size_t>(request)]);
}

void Simulation::apply(const Op& op) {
  Story* story = story_of(op.request);
  switch (op.kind) {
    case OpKind::kArrive:
      return arrive(op.request);
    case OpKind::kCancel:
      if (story != nullptr) cancel(*story);
      return;
    case OpKind::kCancelChoice:
      if (story != nullptr) cancel(*story, op.choice);
      return;
    case OpKind::kSuspend:
      if (story != nullptr) suspend(*story);
      return;
    case OpKind::kResume:
      if (story != nullptr) resume(*story);
      return;
    case OpKind::kClearCache:
      return clear_cache();
    case OpKind::kFlush:
      return flush();
    case OpKind::kExpire:
      expect_expiry(world_);
      return world_.scheduler.expire(world_.now);
    case OpKind::kTimeJump:
      world_.seen.note(Situation::kTimeJump);
      world_.now += op.amount;
      return;
    case OpKind::kSetCost:
      world_.seen.note(Situation::kCostChanged);
      world_.cost.tokens_ns.fill(0);
      for (int i = 0; i < 6; ++i) {
        world_.cost.tokens_ns[static_cast<std::size_t>(i)] =
            1000.0 + static_cast<double>(op.amount) * (1 << i);
      }
      return world_.scheduler.set_cost(world_.cost);
    case OpKind::kAbort:
      world_.seen.note_if(!world_.alive.empty(), Situation::kAbort);
      return abort();
    case OpKind::kAbortInPlan:
      return;
  }
}

std::vector<TokenId> Simulation::prompt_of(const RequestSpec& spec) {
  std::vector<TokenId> prompt;
  const auto vocabulary = static_cast<std::uint64_t>(scenario_.options.vocabulary);
  const auto token_of = [&](std::uint64_t tree, std::size_t place) {
    return static_cast<TokenId>((mix(mix(scenario_.seed, tree), place) >> 20) % vocabulary);
  };
  const auto length = static_cast<std::size_t>(spec.length);
  if (const Story* before = story_of(spec.continues); before != nullptr) {
    const std::vector<TokenId>& tokens = before->choices.front().tokens;
    prompt.assign(tokens.begin(),
                  tokens.begin() + static_cast<std::ptrdiff_t>(std::min(tokens.size(), length)));
  }
  while (prompt.size() < length) {
    const bool trunk = static_cast<int>(prompt.size()) < spec.branch_at;
    const int tree = trunk ? spec.tree : 1000 + spec.branch;
    prompt.push_back(token_of(static_cast<std::uint64_t>(tree), prompt.size()));
  }
  return prompt;
}

Request Simulation::request_of(const Story& story, const std::vector<TokenId>& prompt) const {
  const RequestSpec& spec = *story.spec;
  Request request;
  request.prompt = prompt;
  request.sampling = spec.sampling;
  request.priority = spec.priority;
  request.client = QueueModel::client_name(spec.client);
  if (spec.name_space > 0)
    request.cache_namespace = std::string(1, static_cast<char>('0' + spec.name_space));
  request.use_prefix_cache = spec.use_prefix_cache;
  request.pooling = spec.pooling;
  if (story.queue_deadline != 0) request.queue_deadline = story.queue_deadline;
  if (story.deadline != 0) request.deadline = story.deadline;
  if (spec.constrained) {
    for (const Choice& choice : story.choices) {
      request.constraints.push_back(
          std::make_unique<ChainConstraint>(choice.mask, scenario_.options.vocabulary));
    }
  }
  return request;
}

void Simulation::arrive(int index) {
  const RequestSpec& spec = scenario_.requests[static_cast<std::size_t>(index)];
  const std::vector<TokenId> prompt = prompt_of(spec);
  Request probe;
  probe.prompt = prompt;
  probe.sampling = spec.sampling;
  probe.pooling = spec.pooling;
  const base::Status status = check_request(scenario_.options, probe);
  const bool fits = status.has_value();
  // Never refused but for what can never fit.
  const int most = sequence_tokens_max(scenario_.options);
  const int answer = spec.pooling ? 0 : std::max(1, spec.sampling.max_tokens.value_or(1));
  const int needs = spec.length + answer;
  if (fits != (needs <= most)) {
    world_.fault.report("a request of {} tokens: {}", needs,
                        fits ? "taken" : status.error().message);
  }
  if (!fits) return world_.seen.note(Situation::kRefused);
  const Ticket ticket = world_.stories.next_ticket();
  Story& story = world_.stories.add(world_.model.begin(ticket, index, prompt));
  if (spec.queue_deadline_after > 0) story.queue_deadline = world_.now + spec.queue_deadline_after;
  if (spec.deadline_after > 0) story.deadline = world_.now + spec.deadline_after;
  story.arrival = world_.now;
  tickets_[static_cast<std::size_t>(index)] = ticket;
  world_.alive.push_back(&story);
  world_.queue.borrow(spec.client);
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    if (story.choices[i].state == State::kHeld) {
      ++world_.held;
    } else if (story.choices[i].state == State::kWaiting) {
      world_.queue.push(story, static_cast<int>(i), false);
    }
  }
  ++world_.seen.requests;
  world_.seen.note_if(story.prompt == 1, Situation::kPromptOfOneToken);
  note_namespaces(story);
  world_.scheduler.add(ticket, request_of(story, prompt), world_.now);
}

// Somebody else reads the same, but must not be shared with.
void Simulation::note_namespaces(const Story& story) {
  const int page = scenario_.options.page_size;
  for (const Story* other : world_.alive) {
    const bool same =
        other->prompt > page && story.prompt > page &&
        std::equal(story.choices[0].tokens.begin(), story.choices[0].tokens.begin() + page,
                   other->choices[0].tokens.begin());
    world_.seen.note_if(same && story.caches && other->spec->name_space != story.spec->name_space,
                        Situation::kSamePrefixOtherNamespace);
  }
}

void Simulation::note_cancel(const Story& story, const Choice& choice) {
  Seen& seen = world_.seen;
  const bool reads = static_cast<int>(choice.tokens.size()) - choice.computed > 1;
  switch (choice.state) {
    case State::kHeld:
      return seen.note(Situation::kCancelHeld);
    case State::kWaiting:
      return seen.note(choice.preemptions > 0 ? Situation::kCancelPreempted
                                              : Situation::kCancelWaiting);
    case State::kRunning:
      seen.note_if(story.held, Situation::kCancelFirstChoiceOfHeld);
      return seen.note(reads ? Situation::kCancelReading : Situation::kCancelDecoding);
    case State::kSuspended:
      return;  // leave() notes it
    case State::kParked:
      return seen.note(Situation::kCancelParked);
    case State::kEnded:
      return seen.note(Situation::kCancelEnded);
  }
}

void Simulation::cancel(Story& story) {
  if (story.alive == 0) world_.seen.note(Situation::kCancelEnded);
  const bool any = story.alive > 0;
  for (const Choice& choice : story.choices) {
    if (any && choice.state != State::kEnded) note_cancel(story, choice);
  }
  world_.end_outside(story, FinishReason::kCancelled, {});
  if (any) world_.give_back(story);
  world_.scheduler.cancel(story.ticket);
}

void Simulation::cancel(Story& story, int choice) {
  if (choice >= 0 && choice < story.answers()) {
    const Choice& state = story.choices[static_cast<std::size_t>(choice)];
    note_cancel(story, state);
    if (!story.has_ended(choice)) {
      world_.end_outside(story, choice, FinishReason::kCancelled, {});
      world_.release_held(story);
      world_.seen.note_if(story.search && story.alive > 0, Situation::kAnswerCancelled);
      if (story.alive == 0) world_.give_back(story);
    }
  }
  world_.scheduler.cancel(story.ticket, choice);
}

void Simulation::suspend(Story& story) {
  world_.suspend(story);
  world_.scheduler.suspend(story.ticket);
}

void Simulation::resume(Story& story) {
  world_.resume(story);
  world_.scheduler.resume(story.ticket);
}

void Simulation::clear_cache() {
  const PagePool& pool = world_.scheduler.pool();
  world_.seen.note_if(pool.idle() > 0, Situation::kClearWithIdlePages);
  world_.seen.note_if(pool.used() > 0, Situation::kClearWhileRunning);
  world_.oracle.change_weights();
  world_.scheduler.clear_prefix_cache();
  if (pool.idle() != 0 || world_.scheduler.prefix_cache().size() != 0) {
    world_.fault.report("the cache was cleared and is not empty");
  }
}

void Simulation::flush() {
  take_events(world_, world_.scheduler.flush());
}

void Simulation::abort() {
  const bool fails = random_.chance(50);
  const FinishReason reason = fails ? FinishReason::kError : FinishReason::kCancelled;
  const base::Error error{base::ErrorCode::kEngineUnavailable, "aborted", {}};
  const std::vector<Story*> alive = world_.alive;
  for (Story* story : alive) {
    world_.end_outside(*story, reason, error.code);
  }
  world_.scheduler.abort_all(reason, error);
  for (Story* story : alive) world_.give_back(*story);
  flush();
}

void Simulation::remember(const StepPlan& plan) {
  planned_.clear();
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const PlannedSequence& planned = plan.sequences[i];
    Story& story = *world_.stories.find(planned.ticket);
    Choice& choice = story.choices[static_cast<std::size_t>(planned.choice)];
    choice.sampled_rows = planned.samples ? planned.rows : 0;
    planned_.push_back({planned.ticket, planned.choice, planned.first,
                        static_cast<int>(planned.tokens.size()), planned.samples,
                        !result_.sequences[i], static_cast<int>(choice.tokens.size())});
  }
}

void Simulation::step(bool aborts) {
  World& world = world_;
  world.now += random_.between(0, 50);
  expect_expiry(world);
  const StepPlan& plan = world.scheduler.plan(world.now);
  if (!check_plan(world, plan)) return;
  check_idle();
  if (aborts) {
    world.seen.note(Situation::kAbortInPlan);
    return abort();
  }
  result_.reset(plan);
  world.oracle.run(plan, result_);
  if (world.fault.found()) return;
  remember(plan);
  world.ledger.steps = world.plan_step;
  world.seen.steps += plan.empty() ? 0 : 1;
  world.seen.tokens += static_cast<std::uint64_t>(plan.load.tokens);
  const base::Nanoseconds time = scenario_.step_base + scenario_.step_token * plan.load.tokens;
  world.now += scenario_.outliers > 0 && random_.chance(scenario_.outliers) ? 100 * time : time;
  expect_searches(world, planned_);
  const auto events = world.scheduler.commit(result_, world.now);
  take_events(world, events);
  if (world.fault.found()) return;
  settle_step(world, planned_);
  touch_idle();
  check_idle();
  if (world.plan_step % static_cast<std::uint64_t>(scenario_.audit_every) == 0) {
    audit(world);
  } else {
    note_pages();
  }
  world.oracle.poison_free_pages();
}

void Simulation::check_idle() {
  // With a window pages come and go within a step; after a clear the same text may be there twice.
  if (scenario_.options.window > 0 || world_.oracle.weights() > 0) return;
  idle_.check(world_.scheduler.pool(), world_.scheduler.prefix_cache(), world_.fault);
}

// Who ended in the step may have taken up a page that was idle, as equal to its own, and given it
// back at once.
void Simulation::touch_idle() {
  const PagePool& pool = world_.scheduler.pool();
  for (const PlannedChoice& one : planned_) {
    const Story& story = *world_.stories.find(one.ticket);
    const Choice& choice = story.choices[static_cast<std::size_t>(one.choice)];
    if (choice.state != State::kEnded && !story.search) continue;
    if (!story.caches || !one.ok) continue;
    if (choice.unsound_step == world_.plan_step) continue;
    for (std::int32_t page = 0; page < pool.total(); ++page) {
      if (!pool.is_idle(page)) continue;
      const PrefixCache& cache = world_.scheduler.prefix_cache();
      if (PrefixCachePeer::count(cache, page) < scenario_.options.page_size) continue;
      const Oracle::Slot& last = world_.oracle.slot(page, scenario_.options.page_size - 1);
      if (last.position < 0 || last.position >= std::min(one.first + one.count, one.known))
        continue;
      const std::vector<Chain>& chain =
          story.search ? story.search->computed[static_cast<std::size_t>(one.choice)]
                       : choice.chain;
      if (chain[static_cast<std::size_t>(last.position)] == last.chain) idle_.touch(page);
    }
  }
}

// What each holds, for the next plan to be judged by.
void Simulation::note_pages() {
  for (const Sequence* sequence : SchedulerPeer::running(world_.scheduler)) {
    Story& story = *world_.stories.find(sequence->group->ticket);
    story.choices[static_cast<std::size_t>(sequence->choice)].pages =
        static_cast<int>(sequence->pages.size()) - sequence->pages_gone;
  }
}

std::string run_scenario(const Scenario& scenario, Seen* seen, std::uint64_t* trace) {
  Simulation simulation(scenario);
  std::string fault = simulation.run();
  if (seen != nullptr) seen->add(simulation.seen());
  if (trace != nullptr) *trace = simulation.trace();
  return fault;
}

}  // namespace vsurge::engine::sim
