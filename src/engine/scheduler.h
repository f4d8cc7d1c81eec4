// Scheduler: decides what each step computes. Pure: no thread, no clock, no tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/metrics.h"
#include "engine/options.h"
#include "engine/page_pool.h"
#include "engine/request.h"
#include "engine/sequence.h"
#include "engine/step_runner.h"

namespace vsurge::engine {

// One step is plan -> run -> commit. Between plan and commit nothing else may be called but
// abort_all.
//
// Order: priority, then arrival. Running sequences come first: each that decodes has a token of the
// step's budget for certain, prompts share the rest in order, then waiting ones are admitted
// strictly in order. Admission takes the pages of all tokens a sequence has and leaves what running
// ones can need in the next step, so only decoding ever runs out of pages. Then the last in order
// gives back its pages and goes back to its place among the waiting, to be computed again. That
// happens to a sequence at most kPreemptionsMax times: the last admission takes all pages that it
// can ever need, and keeps them.
class Scheduler {
 public:
  static constexpr int kPreemptionsMax = 3;

  // options must pass check_options.
  explicit Scheduler(const EngineOptions& options);
  ~Scheduler();

  // The request must have passed check_request, the ticket be new.
  void add(Ticket ticket, Request request);
  // Frees everything at once; unknown tickets are ignored.
  void cancel(Ticket ticket);
  // Ends what is past its deadline; plan does so itself.
  void expire(base::Nanoseconds now);

  // What to compute now; empty when nothing waits or runs. Valid until commit.
  const StepPlan& plan(base::Nanoseconds now);
  // Takes the result of the plan in hand (one entry per planned sequence). Returns all events since
  // the last call, valid until the next.
  std::span<const Event> commit(const StepResult& result);
  // Events of add, cancel and expire without a step.
  std::span<const Event> flush();

  // Ends everything, and drops the plan in hand: kCancelled, or kError with `error`.
  void abort_all(FinishReason reason, const base::Error& error);

  bool idle() const { return sequences_.empty(); }
  std::size_t waiting_requests() const { return waiting_.size(); }
  std::size_t waiting_tokens() const { return waiting_tokens_; }
  std::optional<base::Nanoseconds> next_deadline() const;
  // The fields a scheduler knows.
  EngineMetrics metrics() const;
  const PagePool& pool() const { return pool_; }

 private:
  friend struct SchedulerPeer;  // tests look inside and plant faults

  struct ByOrder {
    bool operator()(const Sequence* a, const Sequence* b) const { return goes_before(*a, *b); }
  };
  // What a step has left while it is planned.
  struct Left {
    int prompt_tokens = 0;
    int prompts = 0;
    int pages_next_step = 0;  // that planned sequences may ask for in the next step
  };

  int pages_for(int tokens) const { return (tokens + options_.page_size - 1) / options_.page_size; }
  int chunk(const Sequence& sequence, int prompt_tokens_left) const;
  void plan_running(Left& left);
  void plan_waiting(Left& left);
  bool admit_next(Left& left);
  bool take_pages(std::size_t place, int pages, Left& left);
  void preempt(std::size_t place);
  void append_plan(Sequence& sequence, int count, Left& left);
  void take_token(Sequence& sequence, TokenId token);
  void end(Sequence& sequence, Event event);
  void forget(Sequence& sequence);
  void release_pages(Sequence& sequence);
  void remove(Sequence& sequence, Event event);

  const EngineOptions options_;
  const int running_max_;
  PagePool pool_;
  std::unordered_map<Ticket, std::unique_ptr<Sequence>> sequences_;
  std::set<Sequence*, ByOrder> waiting_;
  std::vector<Sequence*> running_;  // by order
  std::set<std::pair<base::Nanoseconds, Ticket>> deadlines_;
  std::size_t waiting_tokens_ = 0;  // of waiting_

  StepPlan plan_;
  std::vector<Sequence*> planned_;  // beside plan_.sequences
  bool in_hand_ = false;
  std::vector<Event> events_;
  std::vector<Event> published_;
  std::uint64_t arrivals_ = 0;
  EngineMetrics metrics_;
};

}  // namespace vsurge::engine
