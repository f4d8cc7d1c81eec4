// Sequence: the life of one request in the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/request.h"
#include "kernels/sample.h"

namespace vsurge::engine {

// There are no phases: a sequence has tokens, and a count of those whose keys and values are in its
// pages. Reading the prompt, reading it again after a preemption, and decoding are all the same:
// the count catches up with the tokens, and when it has, one more token is sampled.
struct Sequence {
  Ticket ticket = 0;
  int priority = 0;
  std::uint64_t arrival = 0;
  std::vector<TokenId> tokens;  // prompt, then answer
  int prompt_tokens = 0;
  int tokens_max = 0;  // prompt plus answer; ends there
  int computed = 0;    // 0 <= computed < tokens.size()
  std::vector<std::int32_t> pages;
  int preemptions = 0;
  bool ended = false;
  std::optional<base::Nanoseconds> deadline;
  SamplingParams sampling;
  kernels::SampleRow row{};  // without position
  std::unique_ptr<TokenConstraint> constraint;

  int length() const { return static_cast<int>(tokens.size()); }
  int remaining() const { return length() - computed; }
};

// The order in which sequences are served; preempted ones keep their place in it.
inline bool goes_before(const Sequence& a, const Sequence& b) {
  return a.priority != b.priority ? a.priority < b.priority : a.arrival < b.arrival;
}

}  // namespace vsurge::engine
