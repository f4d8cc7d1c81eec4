// The state of a simulation: the scheduler under test beside what the model expects of it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "tests/sim/oracle.h"
#include "tests/sim/queue_model.h"

namespace vsurge::engine {

// The inside of the classes under test.
struct SchedulerPeer {
  static const auto& groups(const Scheduler& s) { return s.groups_; }
  static const auto& running(const Scheduler& s) { return s.running_; }
  static const WaitingQueue& queue(const Scheduler& s) { return s.queue_; }
  static std::size_t held(const Scheduler& s) { return s.held_; }
  static const StepCost& cost(const Scheduler& s) { return s.cost_; }
};

struct PrefixCachePeer {
  static const auto& roots(const PrefixCache& c) { return c.roots_; }
  static PrefixId id(const PrefixCache& c, std::size_t page) { return c.entries_[page].id; }
  static PrefixId before(const PrefixCache& c, std::size_t page) { return c.entries_[page].before; }
  static std::uint64_t hash(const PrefixCache& c, std::size_t page) {
    return c.entries_[page].hash;
  }
  static int count(const PrefixCache& c, std::int32_t page) {
    return c.entries_[static_cast<std::size_t>(page)].count;
  }
  static std::span<const TokenId> tokens(const PrefixCache& c, std::int32_t page) {
    return c.tokens_of(page);
  }
};

namespace sim {

// What the counters of the metrics must be.
struct Ledger {
  std::uint64_t steps = 0;
  std::uint64_t finished = 0;
  std::uint64_t stopped = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t failed = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t prefix_queries = 0;
  std::uint64_t prefix_hits = 0;
  std::uint64_t guessed = 0;
  std::uint64_t accepted = 0;
  std::uint64_t started = 0;
  std::uint64_t first_tokens = 0;
  std::int64_t first_token_ns = 0;  // from arrival, of all of them
};

// One choice of a story.
struct Runner {
  Story* story = nullptr;
  int choice = 0;

  Choice& state() const { return story->choices[static_cast<std::size_t>(choice)]; }
  // As sequence.h orders sequences.
  bool goes_before(const Runner& other) const {
    const int a = story->spec->priority;
    const int b = other.story->spec->priority;
    if (a != b) return a < b;
    return story->ticket != other.story->ticket ? story->ticket < other.story->ticket
                                                : choice < other.choice;
  }
};

struct World {
  explicit World(const Scenario& s);

  int pages_for(int tokens) const {
    return (tokens + options().page_size - 1) / options().page_size;
  }
  const EngineOptions& options() const { return scenario.options; }
  // Leading pages that no query at `position` or later sees.
  int pages_gone(int position) const;

  // Ends a choice from outside; its event must come with the next ones.
  void end_outside(Story& story, int choice, FinishReason reason, base::ErrorCode code);
  // All that have not ended.
  void end_outside(Story& story, FinishReason reason, base::ErrorCode code);
  void count_end(FinishReason reason);
  // It has left the place where it was.
  void leave(Story& story, int choice);
  // No beam of it is left.
  void end_beams(Story& story);
  void release_held(Story& story);
  void suspend(Story& story);
  void resume(Story& story);
  // Somebody could go on.
  bool has_work() const;
  void give_back(Story& story);
  void start_running(Story& story, int choice);

  const Scenario& scenario;
  Fault fault;
  Seen seen;
  Stories stories;
  Model model;
  Oracle oracle;
  QueueModel queue;
  Scheduler scheduler;
  Ledger ledger;
  std::vector<Runner> running;  // in order
  std::vector<Story*> alive;    // in order of tickets
  std::size_t held = 0;
  std::size_t suspended = 0;  // choices
  int pending_ends = 0;
  std::uint64_t plan_step = 0;  // of the last plan
  StepCost cost;
  base::Nanoseconds now = 1;
  std::uint64_t trace = 0;  // hash of all events
};

// plan_checks.cc. Before plan: what runs out of time.
void expect_expiry(World& world);
// After plan: who gave way, who was admitted, and that all bounds are kept. False after a fault.
bool check_plan(World& world, const StepPlan& plan);

// event_checks.cc
void take_events(World& world, std::span<const Event> events);
// After the commit of a plan of which all events were taken.
struct PlannedChoice {
  Ticket ticket = 0;
  int choice = 0;
  int first = 0;
  int count = 0;
  bool samples = false;
  bool ok = true;  // its status
  int known = 0;   // tokens before the step
};
void settle_step(World& world, std::span<const PlannedChoice> planned);

// search_checks.cc. Before the commit of a step that has run: what must become of the searches.
void expect_searches(World& world, std::span<const PlannedChoice> planned);
void take_search_event(World& world, const Event& event, Story& story);
// After all events.
void settle_searches(World& world, std::span<const PlannedChoice> planned);

// idle_pages.cc. Of the pages that are kept for their content the one released first goes first.
class IdlePages {
 public:
  explicit IdlePages(int pages) : since_(static_cast<std::size_t>(pages)) {}
  // After anything that may have changed them.
  void check(const PagePool& pool, const PrefixCache& cache, Fault& fault);
  // It may have been held since the last check, and given back.
  void touch(std::int32_t page) { since_[static_cast<std::size_t>(page)] = {}; }

 private:
  struct Since {
    std::uint64_t turn = 0;  // 0 = was not idle
    PrefixId id = 0;
  };
  std::vector<Since> since_;
  std::uint64_t turn_ = 0;
};

// audit.cc. All invariants of the state, from scratch.
void audit(World& world);

}  // namespace sim
}  // namespace vsurge::engine
