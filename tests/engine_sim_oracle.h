// The simulation's model: what each request must become alone, and a runner that checks every page
// it is told to read.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/options.h"
#include "engine/step_runner.h"

namespace vsurge::engine::sim {

// All randomness of a run comes from one seed (SplitMix64).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  // In [least, most].
  int between(int least, int most);
  bool chance(int percent) { return between(1, 100) <= percent; }

 private:
  std::uint64_t state_;
};

std::uint64_t mix(std::uint64_t a, std::uint64_t b);

// One request, what it must become, and what became of it.
struct Story {
  Ticket ticket = 0;
  std::vector<TokenId> tokens;  // prompt, then what the oracle answered
  int prompt = 0;
  SamplingParams sampling;
  std::uint64_t seed = 0;
  int priority = 0;
  base::Nanoseconds deadline = 0;  // 0 = none
  int error_at = 0;                // length at which its row fails; 0 = never

  // Alone: the whole answer, and why it ends.
  std::vector<TokenId> answer;
  FinishReason reason = FinishReason::kStop;
  TokenId stop_token = -1;

  // In company.
  bool cancelled = false;
  bool started = false;
  bool ended = false;
  bool last_preempted = false;  // as often as is allowed
  std::vector<TokenId> received;
};

// The next token is a hash of all tokens before it and of every sampling parameter, so a wrong
// token, position, order or parameter anywhere changes all that follows.
class Oracle final : public StepRunner {
 public:
  explicit Oracle(const EngineOptions& options);

  // Computes the answer alone: no batch, no pages, no chunks.
  void add(Story story);
  Story& story(Ticket ticket) { return stories_.at(ticket); }
  std::unordered_map<Ticket, Story>& stories() { return stories_; }

  // Writes all slots of the step, then reads all pages of every sequence as attention would.
  void run(const StepPlan& plan, StepResult& result) override;
  // What a free page holds must not be read by anyone.
  void poison(std::int32_t page);

  // The first fault; empty when there is none.
  const std::string& fault() const { return fault_; }

 private:
  struct Slot {
    Ticket ticket = 0;  // 0 = nothing to read
    int position = -1;
    std::uint64_t history = 0;  // hash of all tokens up to and with this one
  };

  TokenId next_token(std::uint64_t history, const kernels::SampleRow& row) const;
  bool is_stop(const SamplingParams& sampling, TokenId token) const;
  void check(const PlannedSequence& planned);
  void write(const PlannedSequence& planned);
  void read(const PlannedSequence& planned);
  Slot* slot(const PlannedSequence& planned, int position);
  template <class... Args>
  void report(const char* format, Args... args);

  const EngineOptions options_;
  std::vector<Slot> slots_;
  std::unordered_map<Ticket, Story> stories_;
  std::string fault_;
};

}  // namespace vsurge::engine::sim
