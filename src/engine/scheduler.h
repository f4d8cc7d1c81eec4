// Scheduler: decides what each step computes. Pure: no thread, no clock, no tensor.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/metrics.h"
#include "engine/options.h"
#include "engine/page_pool.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/sequence.h"
#include "engine/step_runner.h"
#include "engine/waiting_queue.h"

namespace vsurge::engine {

// One step is plan -> run -> commit. Between plan and commit nothing else may be called but
// abort_all. docs/ENGINE.md tells the whole of it; in short:
//
// Running sequences come first: each that decodes has a token of the step's budget for certain,
// prompts share the rest in order, as far as the step stays within its time. Then waiting ones are
// admitted strictly in the order of the WaitingQueue. Admission takes the pages of all tokens a
// sequence has, but for those found in the prefix cache, and leaves what running ones can need in
// the next step, so only decoding ever runs out of pages. Then the last in order gives back its
// pages and waits again, to be computed again. That happens to a sequence at most kPreemptionsMax
// times: the last admission takes all pages that it can ever need, and keeps them.
class Scheduler {
 public:
  static constexpr int kPreemptionsMax = 3;
  static constexpr int kGuessesMax = 16;
  // A prompt gets at least so many tokens of a step, however long that takes.
  static constexpr int kChunkMin = 16;

  // options must pass check_options.
  explicit Scheduler(const EngineOptions& options);
  ~Scheduler();

  // The request must have passed check_request, the ticket be new. If it throws (memory), nothing
  // has changed.
  void add(Ticket ticket, Request request, base::Nanoseconds now);
  // Frees everything at once; unknown tickets and choices are ignored.
  void cancel(Ticket ticket);
  void cancel(Ticket ticket, int choice);
  // The request computes nothing and holds no pages until it is resumed; what it has said stays
  // said, and what it had computed is computed again. Deadlines and cancels go on. A beam search
  // goes on as well: it says nothing before its end.
  void suspend(Ticket ticket);
  void resume(Ticket ticket);
  // Ends what is past its deadline; plan does so itself.
  void expire(base::Nanoseconds now);

  // What to compute now; empty when there is no work. Valid until commit.
  const StepPlan& plan(base::Nanoseconds now);
  // Takes the result of the plan in hand. Returns all events since the last call, valid until the
  // next.
  std::span<const Event> commit(const StepResult& result, base::Nanoseconds now);
  // Events of cancel and expire without a step.
  std::span<const Event> flush();

  // Ends everything, and drops the plan in hand: kCancelled, or kError with `error`.
  void abort_all(FinishReason reason, const base::Error& error);

  // Nothing computed so far is shared with anyone who comes later.
  void clear_prefix_cache();
  // Steps take so long from now on.
  void set_cost(const StepCost& cost) { cost_ = cost; }

  bool idle() const { return groups_.empty(); }
  bool has_work() const { return groups_.size() > suspended_requests_; }
  std::size_t waiting_requests() const { return queue_.requests() + held_; }
  std::size_t waiting_tokens() const { return queue_.tokens(); }
  std::optional<base::Nanoseconds> next_deadline() const;
  // The fields a scheduler knows.
  const EngineMetrics& metrics();
  const PagePool& pool() const { return pool_; }
  const PrefixCache& prefix_cache() const { return cache_; }

 private:
  friend struct SchedulerPeer;  // tests look inside and plant faults

  enum class Limit : std::uint8_t { kQueue, kRequest };
  using Deadline = std::tuple<base::Nanoseconds, Ticket, Limit>;

  // What a step has left while it is planned.
  struct Left {
    int prompt_tokens = 0;
    int prompts = 0;
    int extra_rows = 0;       // of logits, besides one for each sequence
    int pages_next_step = 0;  // that planned sequences may ask for in the next step
    bool read = false;        // a part of a prompt is planned
    // What the step will take as far as it is planned, decoding ones as if they all were.
    StepLoad load;
    double time_ns_max = 0;  // 0 = not bounded
  };
  // What a sequence need not compute when it is admitted.
  struct Found {
    int pages = 0;              // in found_pages_
    int published = 0;          // of these, leading ones that are in the prefix cache
    PrefixId prefix = 0;        // names the tokens of the published ones
    int idle = 0;               // of these, that nobody holds
    int computed = 0;           // tokens
    std::int32_t partial = -1;  // page that has the tokens after the full pages, to be copied
    bool cached = false;        // it is the cache's, else a sibling's
    int gone = 0;               // leading pages that have left the window
  };

  int pages_for(int tokens) const { return (tokens + options_.page_size - 1) / options_.page_size; }

  // scheduler_plan.cc
  Left budget();
  int window_pages_gone(int computed) const;
  std::int64_t keys(int first, int count) const;
  int chunk(const Sequence& sequence, int computed, const Left& left) const;
  int chunk_in_time(int most, int computed, const Left& left) const;
  int guess(Sequence& sequence, Left& left);
  void plan_running(Left& left);
  void plan_waiting(Left& left);
  bool admit_next(Left& left);
  Found find_prefix(const Sequence& sequence, int pages, int available);
  void find_pages(const Sequence& sequence, Found& found);
  void find_beginning(const Sequence& sequence, Found& found);
  bool find_donor(const Sequence& sequence, Found& found);
  bool reserve_memory(Sequence& sequence);
  void reserve_tokens(Sequence& sequence);
  void admit(Sequence& sequence, const Found& found, int pages);
  void account_admission(Sequence& sequence, const Found& found);
  bool take_pages(std::size_t place, int pages, Left& left);
  std::int32_t allocate();
  void preempt(std::size_t place);
  void append_plan(Sequence& sequence, int count, int guesses, Left& left);
  void append_rows(Sequence& sequence, PlannedSequence& planned, int guesses);

  // scheduler_commit.cc
  void prefetch_commit(std::size_t place) const;
  void commit_one(Sequence& sequence, const PlannedSequence& planned, const StepResult& result);
  void score_prompt(Sequence& sequence, const PlannedSequence& planned, const StepResult& result);
  void finish_pooled(Sequence& sequence, std::vector<float> made);
  void take_tokens(Sequence& sequence, const PlannedSequence& planned, const StepResult& result);
  bool take_token(Sequence& sequence, const kernels::SampleResult& sampled);
  static base::Error row_error(const kernels::SampleResult& sampled, int position);
  static base::Error strange_token(TokenId token);
  void publish_pages(Sequence& sequence);
  void publish_part(Sequence& sequence);
  void leave_window(Sequence& sequence);
  void release_held(Group& group);
  void observe_token(Sequence& sequence);

  // scheduler_search.cc
  void take_candidates(Sequence& sequence, const kernels::SampleResult& sampled);
  bool advance_searches();
  void select(Group& group);
  void enter(Group& group, const BeamPick& ending);
  void deal(Group& group);
  void move_beam(Group& group, const BeamPick& child, std::size_t home);
  void append_token(Group& group, const BeamPick& child, std::size_t home);
  void park(Group& group);
  void finish_search(Group& group);
  void tell_answer(Group& group, int choice, const Hypothesis& answer);
  void end_search(Group& group, const Event& event);
  void cancel_answer(Group& group, int choice);
  void reserve_search(Group& group);

  // scheduler.cc
  void take_back(Group& group);
  Event& append_event();
  void end(Sequence& sequence, Event event);
  void fail(Sequence& sequence, base::Error error);
  void vacate(Sequence& sequence);
  void tell_end(Group& group, int choice, Usage usage, Event event);
  void end_group(Group& group, FinishReason reason, const base::Error& error);
  void sweep();
  void forget(Ticket ticket);
  void release_pages(Sequence& sequence);
  void forget_computed(Sequence& sequence);
  void release_sources();

  const EngineOptions options_;
  const int running_max_;
  StepCost cost_;
  PagePool pool_;
  PrefixCache cache_;
  WaitingQueue queue_;
  std::unordered_map<Ticket, std::unique_ptr<Group>> groups_;
  std::vector<Sequence*> running_;  // by order
  std::set<Deadline> deadlines_;
  std::size_t held_ = 0;       // choices that wait for their group's first
  std::size_t suspended_ = 0;  // choices
  std::size_t suspended_requests_ = 0;
  base::Nanoseconds now_ = 0;

  StepPlan plan_;
  std::vector<Sequence*> planned_;  // beside plan_.sequences
  std::vector<Group*> searches_;    // of which the step in hand knows more
  bool in_hand_ = false;
  std::vector<std::int32_t> found_pages_;
  std::vector<std::int32_t> sources_;  // pages of the cache, held until they are copied
  // The first of the queue did not fit into so many pages.
  const Sequence* blocked_ = nullptr;
  int blocked_pages_ = 0;
  std::vector<Event> events_;
  bool published_ = false;  // events_ are those of the last flush
  std::uint64_t arrivals_ = 0;
  EngineMetrics metrics_;
};

}  // namespace vsurge::engine
