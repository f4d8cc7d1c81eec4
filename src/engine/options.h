// What the engine is built for; plain data.
#pragma once

#include <cstdint>
#include <vector>

#include "base/limits.h"
#include "engine/request.h"

namespace vsurge::engine {

struct EngineOptions {
  int max_concurrent_decodes = 64;  // sequences running at once, >= 1
  int max_concurrent_prefill = 1;   // prompts of which a part is read in one step, >= 1
  int max_batched_tokens = 512;     // of one step, >= 1
  int prefill_chunk_max = 0;        // tokens of one prompt in one step; 0 = what the step has left
  int context_max = 0;              // tokens of prompt plus answer, >= 2
  int page_size = 16;               // tokens
  int pages = 0;
  int vocabulary = 0;
  std::vector<TokenId> eos_tokens;
  std::uint64_t seed = 894;  // for requests that bring none
  base::EngineLimits limits;
};

// kUsage when a value is out of range or one sequence of two tokens would not fit.
base::Status check_options(const EngineOptions& options);

// Tokens one sequence may have: the context, or what all pages hold when that is less.
int sequence_tokens_max(const EngineOptions& options);

// All that makes a request impossible, whatever the load: bad tokens or ranges (kInvalidRequest,
// with param), or a prompt or answer that can never fit (kContextLengthExceeded). Any thread.
base::Status check_request(const EngineOptions& options, const Request& request);

}  // namespace vsurge::engine
