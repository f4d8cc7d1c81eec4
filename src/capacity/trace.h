// Trace: the requests that a service had, with their times and lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace vsurge::capacity {

struct TraceRequest {
  double arrival = 0;     // seconds since the first request
  int prompt_tokens = 0;  // >= 1
  int answer_tokens = 0;  // >= 1
  // In Trace::blocks: what each block of the prompt is; equal numbers, equal beginnings up to
  // there. None where the trace does not say.
  std::size_t first_block = 0;
  std::size_t blocks = 0;
};

struct Trace {
  std::vector<TraceRequest> requests;  // by arrival
  std::vector<std::uint64_t> blocks;
  int block_tokens = 512;

  std::span<const std::uint64_t> blocks_of(const TraceRequest& request) const {
    return std::span(blocks).subspan(request.first_block, request.blocks);
  }
  double duration() const { return requests.empty() ? 0 : requests.back().arrival; }
};

// More is refused, before memory is taken for it.
struct TraceLimits {
  std::size_t bytes = 512 << 20;
  std::size_t requests = 4'000'000;
  std::size_t blocks = 64'000'000;
  int tokens = 16'000'000;               // of a prompt or an answer
  double seconds = 10 * 366 * 86'400.0;  // from the first request to the last
};

// Two formats, told apart by the first character: CSV as of the Azure LLM inference traces (header
// TIMESTAMP,ContextTokens,GeneratedTokens; times as 2023-11-16 18:15:46.6805900), and JSON lines as
// of Mooncake's (timestamp in ms, input_length, output_length, hash_ids of 512 tokens each).
// Lengths of 0 count as 1. `name` is for messages. kUsage names line, expected and found.
base::Result<Trace> parse_trace(std::string_view name, std::string_view text,
                                const TraceLimits& limits = {});
// The same of a file; kEnvironment when it cannot be read.
base::Result<Trace> read_trace(const std::string& path, const TraceLimits& limits = {});

}  // namespace vsurge::capacity
