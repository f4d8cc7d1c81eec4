// Sequence: the life of one choice of a request in the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/beam_search.h"
#include "engine/pooled.h"
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
  kSuspended,  // until Scheduler::resume
  kParked,     // of a beam search: it waits for the other beams, or there is no beam yet
  kEnded,
};

// There are no phases: a sequence has tokens, and a count of those whose keys and values are in its
// pages. Reading the prompt, reading it again after a preemption, and decoding are all the same:
// the count catches up with the tokens, and when it has, one more token is sampled.
//
// What a decoding step needs comes first, in two cache lines: with thousands of sequences running
// a step costs what it reads.
struct alignas(64) Sequence {
  Group* group = nullptr;
  std::vector<TokenId> tokens;      // prompt, then answer; then, during a step, guesses
  std::vector<std::int32_t> pages;  // -1 = left the attention window
  int length = 0;                   // of tokens, without guesses
  int computed = 0;                 // 0 <= computed < length

  int tokens_max = 0;  // prompt plus answer; ends there
  int choice = 0;
  int scored = 0;  // tokens of the prompt whose prompt_logprobs are out, or not wanted
  Place place = Place::kHeld;
  bool publishes = false;
  bool guesses = false;   // speculates
  bool started = false;   // was admitted once
  int pages_gone = 0;     // leading entries of `pages` that are -1
  int published = 0;      // leading pages that are in the prefix cache, or whose equals are
  PrefixId prefix = 0;    // names the tokens of these
  int cached_tokens = 0;  // found when it was first admitted
  int preemptions = 0;
  bool predicted = false;    // the guesses of this step are of Group::prediction
  int accepted_guesses = 0;  // of these, ever
  int rejected_guesses = 0;
  base::Nanoseconds last_token = 0;  // when it was drawn, on the engine's clock
  std::unique_ptr<SamplerState> sampler;
  std::unique_ptr<TokenConstraint> constraint;
  std::unique_ptr<Pooled> pooled;  // nullptr = it answers in tokens

  kernels::SampleRow row{};  // without position
  int priority = 0;
  std::uint64_t arrival = 0;
  std::uint64_t forked_step = 0;  // the step in which it copied a page

  // The waiting queue's.
  Sequence* before = nullptr;
  Sequence* after = nullptr;
  bool resumed = false;
  bool forked = false;  // a beam that the last selection has moved
  int passes = 0;

  int remaining() const { return length - computed; }
  bool is_scoring() const;  // prompt_logprobs are not all out
};

// One live beam; its tokens are those of the sequence of the same number.
struct BeamSlot {
  double score = 0;
  bool ready = false;                                     // `next` is known
  std::vector<kernels::TopLogprob> next;                  // the likeliest tokens
  std::vector<std::shared_ptr<const Logprobs>> logprobs;  // of the answer so far, if asked for
};

// A beam search. The `width` sequences of the group are the live beams, the first of them reads the
// prompt. The answers, one per choice, are told when all is over. When all live beams know what is
// likeliest after them, their children are dealt to the sequences. Until then those that know it
// already hold no pages, so that nobody who holds pages waits for somebody who needs some.
struct Search {
  Search(const SamplingParams& sampling, std::span<const TokenId> eos_tokens, int answer_max)
      : beams(sampling, eos_tokens, answer_max),
        slots(static_cast<std::size_t>(beams.width())),
        told(static_cast<std::size_t>(sampling.n), 0) {}

  Beams beams;
  std::vector<BeamSlot> slots;           // [width]
  std::vector<std::size_t> order = {0};  // slots of the live beams, likeliest first
  int ready = 0;                         // of these
  bool touched = false;                  // one more in the step in hand
  std::vector<char> told;                // [choices] the end of the answer
  bool reserved = false;
  // Of one selection.
  std::vector<LiveBeam> live;
  std::vector<std::size_t> homes;  // slot of each child
};

// What the choices of one request share.
struct Group {
  Ticket ticket = 0;
  Client* client = nullptr;
  int prompt_tokens = 0;
  int alive = 0;          // choices that have not ended
  int row_logprobs = -1;  // alternatives wanted of each row that draws
  bool held = false;      // choices but the first are held
  bool suspended = false;
  PrefixId root = 0;
  std::unique_ptr<Search> search;  // nullptr = none
  SamplingParams sampling;
  std::vector<TokenId> prediction;  // Request::prediction
  std::optional<base::Nanoseconds> queue_deadline;
  std::optional<base::Nanoseconds> deadline;
  base::Nanoseconds arrival_time = 0;
  base::Nanoseconds queued = 0;                    // from arrival to the first choice's start
  std::vector<std::unique_ptr<Sequence>> choices;  // of a search: its beams
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

// Sequences lie all over the memory. A loop over running ones asks for what it needs of those that
// come kPrefetchAhead later, and in time for that, of twice as many.
inline constexpr std::size_t kPrefetchAhead = 8;

inline void prefetch(const Sequence& sequence) {
  const char* begin = reinterpret_cast<const char*>(&sequence);
  __builtin_prefetch(begin, 1);
  __builtin_prefetch(begin + 64, 1);
}
inline void prefetch(const Group& group) {
  __builtin_prefetch(&group, 1);
  __builtin_prefetch(&group.sampling.stop_token_ids, 0);
}

}  // namespace vsurge::engine
