// One simulated life of a scheduler as plain data: what it is built for, and what happens to it
// when. Drawn from a seed, written by hand for one story, or cut down by the shrinker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/options.h"
#include "tests/sim/random.h"

namespace vsurge::engine::sim {

// What goes wrong with one choice of a request, once.
enum class FaultKind : std::uint8_t {
  kNone,
  kNotFinite,       // the row of the token at `at` is NaN
  kNothingAllowed,  // its mask leaves nothing
  kBadToken,        // it draws a token outside the vocabulary
  kRowStatus,       // the sequence's status is an error when the token at `at` is drawn
  kChunkStatus,     // ... when position `at` is computed for the first time
};

struct RequestSpec {
  // Tokens of the prompt: those of tree `tree` up to `branch_at`, then those of its branch; or what
  // an earlier request has become so far, and then the branch's.
  int tree = 0;
  int branch_at = 0;
  int branch = 0;
  int length = 1;
  int continues = -1;  // index of a request

  SamplingParams sampling;
  std::optional<Pooling> pooling;
  int priority = 0;
  int client = 0;
  int name_space = 0;
  bool use_prefix_cache = true;
  bool constrained = false;
  base::Nanoseconds queue_deadline_after = 0;  // 0 = none
  base::Nanoseconds deadline_after = 0;
  FaultKind fault = FaultKind::kNone;
  int fault_choice = 0;
  int fault_at = 0;
};

enum class OpKind : std::uint8_t {
  kArrive,
  kCancel,        // the ticket
  kCancelChoice,  // `choice` of it
  kClearCache,
  kFlush,
  kExpire,
  kTimeJump,  // by `amount` nanoseconds
  kSetCost,
  kSuspend,      // the ticket
  kResume,       // the ticket; all that are left resume when nothing else happens any more
  kAbort,        // everything, outside a step
  kAbortInPlan,  // with a plan in hand
};

struct Op {
  int tick = 0;  // before the step of this tick
  OpKind kind = OpKind::kArrive;
  int request = -1;  // index into Scenario::requests
  int choice = 0;
  std::int64_t amount = 0;
};

struct Scenario {
  std::uint64_t seed = 0;
  EngineOptions options;
  int predictable = 0;  // of 128 tokens, so many follow from the one before: guesses come true
  // Time of a step: base + per token, sometimes much more.
  base::Nanoseconds step_base = 1000;
  base::Nanoseconds step_token = 10;
  int outliers = 0;     // percent of the steps that take 100 times as long
  int audit_every = 1;  // steps
  std::vector<RequestSpec> requests;
  std::vector<Op> ops;  // by tick
};

Scenario draw_scenario(std::uint64_t seed);
// By tick; those of one tick stay in order.
void order_ops(std::vector<Op>& ops);
// A replay by hand: everything that is not as it is by default.
std::string describe(const Scenario& scenario);

}  // namespace vsurge::engine::sim
