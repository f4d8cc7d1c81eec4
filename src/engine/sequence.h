// Sequence: the life of one choice of a request in the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/sampler_state.h"
#include "kernels/sample.h"

namespace vsurge::engine {

struct Client;
struct Group;

enum class Place : std::uint8_t {
  kHeld,     // until its group's first choice has read the prompt
  kWaiting,  // in the waiting queue
  kRunning,
  kEnded,
};

// There are no phases: a sequence has tokens, and a count of those whose keys and values are in its
// pages. Reading the prompt, reading it again after a preemption, and decoding are all the same:
// the count catches up with the tokens, and when it has, one more token is sampled.
struct Sequence {
  Group* group = nullptr;
  int choice = 0;
  int priority = 0;
  std::uint64_t arrival = 0;
  Place place = Place::kHeld;
  std::vector<TokenId> tokens;      // prompt, then answer; then, during a step, guesses
  int length = 0;                   // of tokens, without guesses
  int tokens_max = 0;               // prompt plus answer; ends there
  int computed = 0;                 // 0 <= computed < length
  std::vector<std::int32_t> pages;  // -1 = left the attention window
  int pages_gone = 0;               // leading entries that are -1
  int published = 0;    // leading pages that are in the prefix cache, or whose equals are
  PrefixId prefix = 0;  // names the tokens of these
  bool publishes = false;
  int preemptions = 0;
  int cached_tokens = 0;          // found when it was first admitted
  bool started = false;           // was admitted once
  std::uint64_t forked_step = 0;  // the step in which it copied a page
  int scored = 0;            // tokens of the prompt whose prompt_logprobs are out, or not wanted
  kernels::SampleRow row{};  // without position and edits
  std::unique_ptr<SamplerState> sampler;
  std::unique_ptr<TokenConstraint> constraint;

  base::Nanoseconds last_token = 0;  // when it was drawn, on the engine's clock

  // The waiting queue's.
  Sequence* before = nullptr;
  Sequence* after = nullptr;
  bool resumed = false;
  int passes = 0;

  int remaining() const { return length - computed; }
  bool is_scoring() const;  // prompt_logprobs are not all out
};

// What the choices of one request share.
struct Group {
  Ticket ticket = 0;
  SamplingParams sampling;
  int prompt_tokens = 0;
  Client* client = nullptr;
  PrefixId root = 0;
  std::optional<base::Nanoseconds> queue_deadline;
  std::optional<base::Nanoseconds> deadline;
  base::Nanoseconds arrival_time = 0;
  std::vector<std::unique_ptr<Sequence>> choices;
  int alive = 0;
  bool held = false;  // choices but the first are held
};

inline bool Sequence::is_scoring() const {
  return scored < group->prompt_tokens;
}

// The order in which sequences run, and in which they give way, from the end; preempted ones keep
// their place in it.
inline bool goes_before(const Sequence& a, const Sequence& b) {
  if (a.priority != b.priority) return a.priority < b.priority;
  return a.arrival != b.arrival ? a.arrival < b.arrival : a.choice < b.choice;
}

}  // namespace vsurge::engine
