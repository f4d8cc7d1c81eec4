// What the engine is built for; plain data.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "engine/request.h"
#include "engine/step_cost.h"

namespace vsurge::engine {

struct EngineOptions {
  int max_concurrent_decodes = 64;  // sequences running at once, >= 1
  int max_concurrent_prefill = 1;   // prompts of which a part is read in one step, >= 1
  int max_batched_tokens = 512;     // of one step, >= 1
  int prefill_chunk_max = 0;        // tokens of one prompt in one step; 0 = what the step has left
  int context_max = 0;              // tokens of prompt plus answer, >= 2
  int page_size = 16;               // tokens
  int pages = 0;
  int window = 0;  // keys a query sees in every layer, itself included; 0 = all before it
  int vocabulary = 0;
  int hidden = 0;          // width of the states that are pooled; 0 = no request is
  bool generates = true;   // false: there are no logits; every request is pooled
  int logit_rows_max = 0;  // of one step; 0 = max_concurrent_decodes
  std::vector<TokenId> eos_tokens;
  std::uint64_t seed = 894;  // for requests that bring none

  // While others decode, prompts get as much of a step as keeps it within this time. 0 = within
  // step_stretch times what the step takes without them. Needs `cost`.
  base::Nanoseconds target_step = 0;
  double step_stretch = 2.0;
  StepCost cost;

  bool prefix_cache = true;
  int prefix_hash_bits = 64;  // fewer only to force collisions in tests, 1..64

  // Shares of clients that compete, by Request::client; 1 unless named.
  std::unordered_map<std::string, double> client_weights;
  int passes_max = 64;  // how often a client's first waiting request may be passed by later ones

  base::Nanoseconds watchdog = 30'000'000'000;  // a step that takes longer is reported as stuck

  base::EngineLimits limits;
  std::string name = {};  // of the model, in the log; empty = none
};

// kUsage when a value is out of range or one sequence of two tokens would not fit.
base::Status check_options(const EngineOptions& options);

// Sequences that run at once.
int running_max(const EngineOptions& options);

// Rows of logits that one step may ask for.
int logit_rows_max(const EngineOptions& options);

// Tokens one sequence may have: the context, or what all pages hold when that is less.
int sequence_tokens_max(const EngineOptions& options);

// All that makes a request impossible, whatever the load: bad tokens or ranges (kInvalidRequest,
// with param), or a prompt or answer that can never fit (kContextLengthExceeded). Any thread.
base::Status check_request(const EngineOptions& options, const Request& request);

// The seed of one choice of a request.
std::uint64_t choice_seed(const EngineOptions& options, Ticket ticket,
                          const SamplingParams& sampling, int choice);

}  // namespace vsurge::engine
